"""What an administrator types to stop one guest of a host made by hand: first there, then, on the same machine, what
stands for it under xenlocal. Part of `make peers`."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison import Comparison
from hand_made import Ran, asked, declare, guest, names, ran, take_over
from lab import domain, wait_all_ready, whats, write

from rig.guest import create, domids, wait_ready
from rig.machine import Machine

pytestmark = [pytest.mark.long, pytest.mark.limit(1200)]


def last(end: Ran) -> str:
    """The last line of what it said, for the table."""
    return end.said.strip().splitlines()[-1]


def test_one_guest_by_hand(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, again = by_hand, "one guest is shut down and started again"
    number = "a guest whose name is a number is shut down"
    one = guest("one")
    declare(m, one)
    create(m, one)
    wait_ready(m, one)
    end = ran(m, "xl shutdown -w one && xl create -q /etc/xen/auto/one.cfg")
    m.wait_until("! xl domid one && ! systemctl is-active -q rig-one.scope")
    assert end.rc != 0 and whats(m, "one")[-1] == "stopped"
    told = f"xl shutdown -w one && xl create …: {end}: {last(end)}. It is off then"
    compare.tell(again, xendomains=told)

    seven = guest(str(create(m, one)))
    declare(m, seven)
    create(m, seven)
    for each in (one, seven):
        wait_ready(m, each)
    end = ran(m, f"xl shutdown -w {seven.name}")
    m.wait_until("! xl domid one")
    assert end.rc == 0 and list(domids(m)) == [seven.name] and not asked(m, seven.name)
    told = f"xl shutdown -w {seven.name}: {end}; asked: one, which has that domid; left running: {names(domids(m))}"
    compare.tell(number, xendomains=told)

    take_over(m, deb, one=domain("one"))
    before = domids(m)
    end = ran(m, "xenlocal restart one")
    wait_all_ready(m, "one")
    assert end.rc == 0 and domids(m)["one"] != before["one"], end.said
    ends = [what for what in whats(m, "one") if what.startswith(("started", "stopped"))]
    assert ends == ["started life=1", "stopped", "started life=2"]
    compare.tell(again, xenlocal=f"xenlocal restart one: {end}; it ended by itself, and is back")
    write(m, number=domain(seven.name))
    end = ran(m, "xenlocal check")
    problem = next(line for line in end.said.splitlines() if "domid" in line)
    assert end.rc == 4 and "/etc/xenlocal/number.conf:1:" in problem, end.said
    compare.tell(number, xenlocal=f"there is none: {problem}")
