"""An iSCSI target in the dom0 itself, which comes late, asks for a secret, drops during use and comes back."""

from __future__ import annotations

from typing import Any

import pytest
from lab import SETTLE, domain, reload, status, wait_all_ready, wait_notice, write

from rig.guest import domids
from rig.journal import guest_journal, times
from rig.machine import Machine
from rig.wait import wait_for

pytestmark = [pytest.mark.long, pytest.mark.every_suite]
TARGET, PORTAL = "iqn.2012-10.example:bay1", "127.0.0.1:3260"
LUN = f"/dev/disk/by-path/ip-{PORTAL}-iscsi-{TARGET}-lun-1"
SECRET, PLACE = "nobody-sees-this", "/etc/xenlocal/bay1.secret"
BAY1 = f"[iscsi bay1]\nportal = {PORTAL}\ntarget = {TARGET}\nchap_user = dom0\nchap_secret = {PLACE}\n"
DB = domain("db", disks=(), parts=f"  [[disk xvda]]\n  device = {LUN}\n")
LATE = domain("late", keys="needs = iscsi/bay1")
ABSENT_AT_LEAST = 30
"""Seconds for which nobody answers at the portal."""


def keep_secret(m: Machine, secret: str) -> None:
    m.run(f"umask 077; printf '%s\\n' '{secret}' >{PLACE}")


def serve(m: Machine) -> None:
    """A target of one disk, for who knows the secret."""
    tgtadm = "tgtadm --lld iscsi"
    m.run(
        "systemctl start tgt; truncate -s 64M /srv/lun1.img;"
        f"{tgtadm} --op new --mode target --tid 1 -T {TARGET} &&"
        f"{tgtadm} --op new --mode logicalunit --tid 1 --lun 1 -b /srv/lun1.img &&"
        f"{tgtadm} --op new --mode account --user dom0 --password {SECRET} &&"
        f"{tgtadm} --op bind --mode account --tid 1 --user dom0 &&"
        f"{tgtadm} --op bind --mode target --tid 1 -I ALL",
        120,
    )


def bay1(m: Machine) -> dict[str, Any]:
    """What `xenlocal status` says of it; {} where it says nothing."""
    return next((row for row in status(m)["iscsi"] if row["name"] == "bay1"), {})


def wait_session(m: Machine, state: str) -> None:
    wait_for(lambda: bay1(m).get("observed") == state, SETTLE, f"the session to be {state}", 5)


@pytest.mark.limit(1500)
def test_a_target_comes_late_and_asks_for_a_secret(installed: Machine) -> None:
    m = installed
    m.make_vg()
    m.run("systemctl stop tgt", 120)
    keep_secret(m, "not-the-right-one")
    began = float(m.out("cut -d' ' -f1 /proc/uptime"))
    write(m, iscsi=BAY1, db=DB, web=domain("web"))
    assert reload(m).rc == 0

    # nobody answers: only the domU on it waits, and status says for what
    wait_all_ready(m, "web")
    wait_notice(m, "db", f"device/{LUN} is reached by iscsi/bay1, which is not logged in")
    m.wait_until(f"test $(cut -d. -f1 /proc/uptime) -ge {int(began) + ABSENT_AT_LEAST}", 120)
    assert set(domids(m)) == {"web"}
    before = domids(m)["web"]

    # it comes, and does not take the secret: the words are open-iscsi's own
    serve(m)
    wait_for(
        lambda: any("authorization failure" in each for each in bay1(m)["notices"]), SETTLE, "the target to say no", 5
    )
    assert set(domids(m)) == {"web"}
    keep_secret(m, SECRET)
    wait_all_ready(m, "db")
    assert bay1(m)["observed"] == "logged in" and domids(m)["web"] == before
    assert "iscsiadm" not in m.out("xenlocal plan --sh", 120), "nothing is left to do"

    # nobody has seen the secret but the record of open-iscsi, which only root can read
    said = "journalctl --no-pager -u 'xenlocal*' -u iscsid; xenlocal history; xenlocal status --json; xenlocal why db"
    assert m.run(f"({said}; cat /run/xenlocal/*.json) 2>&1 | grep -F {SECRET}", 120, check=False).rc == 1
    # exit 2: a socket or the like among them; what it names counts
    holders = m.out(f"grep -rlF {SECRET} /etc /var/lib /run/xenlocal || true", 120).split()
    assert PLACE in holders and len(holders) == 2 and "/iscsi/nodes/" in "".join(holders), holders
    assert {m.out(f"stat -c %a {each}").strip() for each in holders} == {"600"}


@pytest.mark.limit(1500)
def test_a_target_drops_during_use_and_its_section_vanishes(installed: Machine) -> None:
    m = installed
    m.make_vg()
    serve(m)
    keep_secret(m, SECRET)
    write(m, iscsi=BAY1, db=DB)
    assert reload(m).rc == 0
    wait_all_ready(m, "db")
    db = domids(m)["db"]

    # it drops: the guest lives on, nothing is started on it
    m.run("kill -STOP $(pidof tgtd)")
    wait_session(m, "lost")
    wait_notice(m, "db", "its xvda waits for iscsi/bay1, whose session is lost; the guest is left as it is")
    write(m, late=LATE)
    assert reload(m).rc == 0
    wait_notice(m, "late", "needs iscsi/bay1, which is lost")
    assert domids(m) == {"db": db}
    m.run("kill -CONT $(pidof tgtd)")
    wait_session(m, "logged in")
    wait_all_ready(m, "late")

    # the section vanishes: nobody logs out
    write(m, iscsi="", late=domain("late"))
    assert reload(m).rc == 0
    wait_for(lambda: any("--logout" in each for each in bay1(m)["notices"]), SETTLE, "what to type is said", 5)
    assert "LOGGED_IN" in m.out("cat /sys/class/iscsi_session/*/state")
    assert domids(m)["db"] == db

    # and its guest can write to its disk to the end
    m.run("xenlocal stop db", 300)
    events = guest_journal(m, LUN)
    assert len(times(events, "started")) == 1 and times(events, "asked poweroff")
