"""Scenario 6: the dom0 reboots. Order and cleanness are read from the guests' own journals, not from our log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab import NETWORK, domain, journal, reload, status, wait_all_ready, whats, write

from rig.guest import Guest, create, domids, wait_ready
from rig.journal import times
from rig.machine import Machine
from rig.package import install

OURS = ("nas", "left", "right", "top", "hung")
HUNG_TIME = 15
SLOW_TIME = 20
OPTIONS = {"left": {"stop": f"slow:{SLOW_TIME}"}, "hung": {"stop": "hang"}}
BEFORE = {"nas": (), "left": ("nas",), "right": ("nas",), "top": ("left", "right"), "hung": ()}


def declare(m: Machine) -> None:
    keys = {name: f"after = {', '.join(before)}," if before else "" for name, before in BEFORE.items()}
    keys["hung"] = f"stop_timeout = {HUNG_TIME}s"
    write(m, net=NETWORK, **{name: domain(name, keys=keys[name], options=OPTIONS.get(name)) for name in OURS})


def foreign(m: Machine) -> None:
    m.run("lvcreate -q -y -Wy -n foreign-0 -L 32M vg0")
    guest = Guest("foreign", disks=("/dev/vg0/foreign-0",))
    create(m, guest)
    wait_ready(m, guest)


def life(m: Machine, name: str, number: int) -> dict[str, float]:
    """When things happened to a guest in one of its lives."""
    events = journal(m, name)
    starts = [index for index, event in enumerate(events) if event.what.startswith("started")]
    ends = [*starts[1:], len(events)]
    return {event.what.split()[0]: event.time for event in events[starts[number - 1] : ends[number - 1]]}


def keep_the_journal(m: Machine) -> None:
    m.run("mkdir -p /var/log/journal && systemctl restart systemd-journald && journalctl --flush")


@pytest.mark.every_suite
@pytest.mark.limit(1800)
def test_reboot_in_order_and_back(fresh_dom0: Machine, deb: Path, figures: dict[str, str]) -> None:
    m = fresh_dom0
    keep_the_journal(m)
    m.make_vg()
    install(m, deb)
    declare(m)
    assert reload(m).rc == 0
    wait_all_ready(m, *OURS, timeout=600)
    foreign(m)

    seconds = m.reboot(900)
    figures["xenlocal: from `systemctl reboot` to the next kernel"] = f"{seconds:.0f} s"
    wait_all_ready(m, *OURS, timeout=600)
    first = {name: life(m, name, 1) for name in (*OURS, "foreign")}
    begun = min(each["asked"] for each in first.values())
    # every guest was asked, in reverse order: none before all that stand on it had ended
    for name, before in BEFORE.items():
        assert "asked" in first[name], name
        for other in before:
            assert first[name]["stopped"] < first[other]["asked"], f"{name} was to end before {other} is asked"
    assert "stopped" in first["foreign"]
    # none was cut short of its time; the hung one was destroyed at its own
    assert "stopped" not in first["hung"]
    assert first["left"]["stopped"] - first["left"]["asked"] >= SLOW_TIME
    said = m.out("journalctl -b -1 -u 'xenlocal*' -o short-unix --no-pager")
    destroyed = next(float(line.split()[0]) for line in said.splitlines() if "hung" in line and "destroyed" in line)
    # our clock starts when `xl shutdown` has returned, the guest's with its own look at xenstore, up to a second later
    assert HUNG_TIME - 1 <= destroyed - first["hung"]["asked"] < HUNG_TIME + 30
    assert re.search(r"had to be destroyed: hung", said), "whoever had to be destroyed is named"
    ended = max([each["stopped"] for each in first.values() if "stopped" in each] + [destroyed])
    total = ended - begun
    own = {name: each["stopped"] - each["asked"] for name, each in first.items() if "stopped" in each}
    chain = own["top"] + own["left"] + own["nas"]
    assert total < sum(own.values()) + HUNG_TIME + 30
    figures["xenlocal: from the first request to the last end"] = f"{total:.0f} s"
    figures["xenlocal: longest chain of the guests' own times"] = f"{chain:.0f} s"
    figures["xenlocal: guests that ended cleanly"] = f"{len(own)} of {len(first)}, the other one hangs"

    # and the same set is back, in order
    second = {name: life(m, name, 2) for name in OURS}
    for name, before in BEFORE.items():
        for other in before:
            assert second[other]["started"] < second[name]["started"], f"{other} was to start before {name}"
    assert "foreign" not in domids(m)

    # a file broken in the meantime: the last good configuration boots, loudly
    m.put("/etc/xenlocal/left.conf", "[domain left\nmemory = 1")
    m.reboot(900)
    wait_all_ready(m, *OURS, timeout=600)
    assert "left.conf" in status(m)["problems"][0]["file"]
    assert "LAST GOOD" in m.out("journalctl -b -u xenlocal -o cat --no-pager")
    assert "started life=3" in whats(m, "left")


@pytest.mark.limit(1200)
def test_the_same_with_plain_xendomains(fresh_dom0: Machine, figures: dict[str, str]) -> None:
    """The peer, for comparison: what Debian's own script does with the same five guests."""
    m = fresh_dom0
    m.make_vg()
    m.run("mkdir -p /etc/xen/auto")
    for name in OURS:
        m.run(f"lvcreate -q -y -Wy -n {name}-0 -L 32M vg0")
        guest = Guest(name, disks=(f"/dev/vg0/{name}-0",), options=OPTIONS.get(name, {}))
        create(m, guest)
        wait_ready(m, guest)
        m.run(f"ln -s /etc/xen/{name}.cfg /etc/xen/auto/")
    m.run("systemctl start xendomains", 120, check=False)
    seconds = m.reboot(900)
    asked = [name for name in OURS if times(journal(m, name), "asked")]
    stopped = [name for name in OURS if times(journal(m, name), "stopped")]
    figures["xendomains (Debian's defaults): from `systemctl reboot` to the next kernel"] = f"{seconds:.0f} s"
    figures["xendomains: guests that were asked to stop"] = f"{len(asked)} of {len(OURS)}"
    figures["xendomains: guests that ended cleanly"] = f"{len(stopped)} of {len(OURS)}"
