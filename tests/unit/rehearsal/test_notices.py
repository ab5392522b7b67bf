"""Every kind of finding, from the cause on the host to the notice in `status`: the daemon's rehearsals, all real."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.unit.engine.rig import Daemon, Machine
from tests.unit.rehearsal.support import rehearsed
from tests.unit.rehearsal.test_findings import one_host
from xenlocal.adapters.rehearser import notices
from xenlocal.engine.foresight import Foresight
from xenlocal.model.plan import Notice
from xenlocal.rehearsal import data

RESYNC = 600.0
DAY = 86_400.0 + RESYNC
Cause = Callable[[Machine], object]


class Rehearser:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def rehearse(self) -> Sequence[Notice]:
        return notices(data(rehearsed(self._machine)))


def edit(machine: Machine, old: str, new: str) -> None:
    machine.write(machine.disk.files["a.conf"].replace(old, new))


def lose_bridge(machine: Machine) -> None:
    links = machine.dom0.state.links
    links[:] = [link for link in links if link.name != "br1"]


def lose_volume(machine: Machine) -> None:
    machine.dom0.state.volumes.clear()
    machine.dom0.state.groups[0].name = "vg9"


# Nobody tells the daemon: what a cycle looks at is noticed by the next one, all else when a day is over.
CAUSES: dict[str, tuple[Cause, float]] = {
    "kernel /boot/vmlinuz does not exist": (lambda m: m.dom0.state.paths.pop("/boot/vmlinuz"), RESYNC),
    "ramdisk /boot/initrd.img does not exist": (lambda m: m.dom0.state.paths.pop("/boot/initrd.img"), RESYNC),
    "device//dev/sdb does not exist yet": (lambda m: m.dom0.state.paths.pop("/dev/sdb"), RESYNC),
    "volume group vg0 does not exist": (lose_volume, RESYNC),
    "bridge/br1 does not exist": (lose_bridge, RESYNC),
    "a saved state of it lies in": (
        lambda m: m.dom0.state.texts.__setitem__("/var/lib/xen/save/web", "memory"),
        RESYNC,
    ),
    "pending until its next reboot: cmdline": (
        lambda m: edit(m, "[[disk xvda]]", "cmdline = quiet\n[[disk xvda]]"),
        RESYNC,
    ),
    "not all can run at once": (lambda m: edit(m, "memory = 512M", "memory = 900G"), RESYNC),
    "it would have to be destroyed after stop_timeout": (lambda m: m.behave("web", no_pv=True), DAY),
    "its xl monitor is gone": (lambda m: setattr(m.dom0.state.domains[0], "monitor", False), DAY),
    "autoballoon is on": (lambda m: setattr(m.dom0.state, "xl_conf", 'autoballoon="on"\n'), DAY),
    "nothing was learned yet of web": (lambda m: m.history.entries.clear(), DAY),
}


@pytest.mark.parametrize("words", CAUSES)
def test_a_cause_is_a_notice_the_same_day(words: str) -> None:
    cause, within = CAUSES[words]
    machine = one_host()
    daemon = Daemon(machine)
    daemon.loop._foresight = Foresight(Rehearser(machine), daemon.work)
    seen: list[str] = []

    def look() -> None:
        status = daemon.loop.status()
        assert status is not None
        found = [*status["host"]["notices"], *(each for row in status["domains"] for each in row["notices"])]
        seen.append("\n".join(found))

    daemon.at(299, look)
    daemon.at(300, lambda: cause(machine))
    daemon.at(300 + within + 5, look)
    daemon.run(300 + within + 10)
    assert seen[0] == "" and words in seen[1]
