"""The services of a host are touched, Xen's own or xendomains: what becomes of the guests, and of what shuts them down.
First on a host made by hand, then on the same machine under xenlocal. Part of `make peers`."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison import Comparison
from hand_made import SAVED, asked, clear, declare, guest, names, ran, shutdown, stopped, take_over
from lab import domain

from rig.guest import domids, wait_ready
from rig.machine import Machine

pytestmark = [pytest.mark.long, pytest.mark.limit(1200)]

# What dpkg runs before and after it unpacks another build for the Xen that runs, by the scripts as they are installed.
UPGRADE = """cd /var/lib/dpkg/info && tools=$(ls xen-utils-[0-9]*.prerm) && tools=${tools%.prerm} &&
./$tools.prerm upgrade 99 && ! systemctl is-active -q xen && ./$tools.postinst configure 1 && systemctl is-active -q xen
"""

# As they are written for hosts that are to shut their guests down rather than save them.
OF_ONES_OWN = """[Unit]
Requires=xen.service
After=xen.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/usr/sbin/xl shutdown -a -w
"""


def active(m: Machine, unit: str) -> str:
    return m.out(f"systemctl is-active {unit} || true")  # exit 3: it is not, which it prints too


def test_an_upgrade_of_xen_utils(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, under = by_hand, "xen-utils is upgraded, which stops and starts xen.service"
    own = f"{under}; a unit of one's own that requires it shuts the guests down"
    declare(m, guest("one"))
    m.run("systemctl restart xendomains", 300)
    wait_ready(m, guest("one"))
    before = domids(m)
    end = ran(m, UPGRADE)
    assert end.rc == 0 and domids(m) == before and active(m, "xendomains") == "active", end.said
    compare.tell(
        under, xendomains="no failure: it is only ordered after xen.service, and stays active; the guest runs on"
    )

    m.put("/run/systemd/system/own.service", OF_ONES_OWN)
    m.run("systemctl daemon-reload && systemctl start own")
    end = ran(m, UPGRADE)
    m.wait_until("! xl domid one")
    assert end.rc == 0 and not domids(m) and active(m, "own") == "inactive", end.said
    told = f"asked: {names(asked(m, 'one'))}; left running: {names(domids(m))}; nobody starts them again, and the unit"
    compare.tell(own, xendomains=f"{told} is {active(m, 'own')} from then on")
    m.run("rm /run/systemd/system/own.service && systemctl daemon-reload")

    take_over(m, deb, one=domain("one"))
    before = domids(m)
    end = ran(m, UPGRADE)
    units = [active(m, unit) for unit in ("xenlocal", "xenlocal-guests")]
    assert end.rc == 0 and domids(m) == before and units == ["active", "active"], end.said
    end = shutdown(m)
    assert end.rc == 0 and stopped(m, "one") and not domids(m), end.said
    told = "same domain, no guest noticed; xenlocal and xenlocal-guests stay active"
    compare.tell(under, xenlocal=told)
    compare.tell(own, xenlocal=f"{told}: they want xen.service, and do not require it. The next shutdown: {end}")


def test_xendomains_is_disabled(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, scenario = by_hand, "`systemctl disable xendomains`; later the host goes down, which stops what is active"
    declare(m, guest("one"))
    m.run("systemctl restart xendomains", 300)
    wait_ready(m, guest("one"))
    m.run("systemctl disable xendomains")
    assert active(m, "xendomains") == "active"
    end = ran(m, "systemctl stop xendomains")
    saved = m.out(f"ls {SAVED}").split()
    assert end.rc == 0 and saved == ["one"] and not domids(m) and not asked(m, "one")
    told = f"it stays active, and its stop saves {names(saved)} to disk all the same, asking {names(asked(m, 'one'))}"
    compare.tell(scenario, xendomains=told)

    clear(m)
    m.run("systemctl start xendomains", 120)
    take_over(m, deb, one=domain("one"))
    assert active(m, "xendomains") == "active"
    before = domids(m)
    end = ran(m, "systemctl stop xendomains")
    assert end.rc == 0 and domids(m) == before and m.out(f"ls {SAVED}") == ""
    assert active(m, "xendomains") == "inactive"
    end = shutdown(m)
    assert end.rc == 0 and stopped(m, "one") and not domids(m), end.said
    compare.tell(scenario, xenlocal=f"its stop does nothing, saved: nobody. The guest ended by itself, asked: {end}")
    m.run("systemctl enable xendomains")
