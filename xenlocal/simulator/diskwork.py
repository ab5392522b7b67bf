"""Work on disks of the simulated host: what the scripts in `libexec` do, as far as others see it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from xenlocal.adapters.diskwork import PROGRAMS
from xenlocal.model.diskwork import Preparation
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand
from xenlocal.simulator.state import Happening, Volume
from xenlocal.simulator.surroundings import RELEASE

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0

DONE = "disk done"  # what is scheduled for the end of it
UNFINISHED = "xenlocal-new"  # label of a file system that is not complete
_WORKS = {program: work for work, program in PROGRAMS.items()}


def at_work(dom0: SimulatedDom0) -> list[Happening]:
    return [event for event in dom0.state.agenda if event.what == DONE]


def command_lines(dom0: SimulatedDom0) -> list[tuple[str, ...]]:
    return [("/bin/sh", PROGRAMS[_work(event)], event.detail, event.config["disk"]) for event in at_work(dom0)]


def begin(dom0: SimulatedDom0, argv: list[str], unit: str, command: list[str]) -> Answer:
    """The service has begun when systemd-run returns; what it finds wrong at once ends it."""
    if command[0] not in _WORKS or len(command) != 3:
        raise UnknownCommand(argv, "only work on a disk is known as a service")
    service = f"{unit.removesuffix('.service')}.service"
    if any(event.scope == service for event in at_work(dom0)):
        text = f"Unit {service} was already loaded or has a fragment file."
        raise Refused(f"Failed to start transient service unit: {text}\n")
    work, (name, disk) = _WORKS[command[0]], command[1:]
    log, volume = work.log_of(name), _volume(dom0, disk)
    if not is_marked(dom0, disk, work):
        dom0.state.texts[log] = f"does nothing: {disk} does not carry the mark {work.mark}\n"
        return Answer()
    wrong = _why_not(dom0, disk, work, volume)
    if wrong:
        dom0.state.texts[log] = f"cannot {work} {name}: {wrong}\n"
        return Answer()
    dom0.state.texts[log] = f"works on {disk}\n"
    if work is Preparation.INSTALL:
        dom0.state.holds[disk] = UNFINISHED
    if volume is not None:
        volume.opened = True
    seconds = dom0.state.behaviour(name).install_seconds
    seconds = dom0.state.durations.install if seconds is None else seconds
    release = next((word.rpartition("=")[2] for word in argv if word.startswith("--setenv=XENLOCAL_RELEASE=")), "")
    happening = {"disk": disk, "work": str(work), "release": release}
    dom0.schedule(min(seconds, _longest(work)), DONE, detail=name, scope=service, config=happening)
    return Answer()


def end(dom0: SimulatedDom0, event: Happening) -> None:
    """Well, or by a failure, or killed by systemd since it took too long."""
    name, disk, work = event.detail, event.config["disk"], _work(event)
    behaviour, volume = dom0.state.behaviour(name), _volume(dom0, disk)
    if volume is not None:
        volume.opened = False
    hangs = (behaviour.install_seconds or 0.0) > _longest(work)
    if hangs or behaviour.install_fails > 0:
        behaviour.install_fails = max(behaviour.install_fails - 1, 0)
        dom0.state.texts[work.log_of(name)] += "" if hangs else "E: it failed\n"
        return
    if work is Preparation.INSTALL:
        dom0.state.holds[disk] = "ext4"
    if work is Preparation.MODULES:
        there = dom0.state.surroundings.modules.get(disk, [RELEASE])
        dom0.state.surroundings.modules[disk] = [*there, event.config["release"]]
    if volume is not None:
        volume.tags = [tag for tag in volume.tags if tag != work.mark]
    else:
        dom0.state.paths.pop(work.mark_of_file(disk), None)
    dom0.state.texts[work.log_of(name)] += "is done\n"


def _longest(work: Preparation) -> float:
    """Seconds until systemd ends it."""
    return math.inf if work is Preparation.RESIZE else 7200.0


def is_marked(dom0: SimulatedDom0, disk: str, work: Preparation) -> bool:
    volume = _volume(dom0, disk)
    return work.mark in volume.tags if volume is not None else work.mark_of_file(disk) in dom0.state.paths


def _why_not(dom0: SimulatedDom0, disk: str, work: Preparation, volume: Volume | None) -> str:
    held = any(each.path == disk for domain in dom0.state.domains for each in domain.disks)
    if held or (volume is not None and volume.opened):
        return f"{disk} is in use; `lsblk` tells where"
    holds = dom0.state.holds.get(disk, "")
    if work is Preparation.INSTALL and holds not in ("", UNFINISHED):
        unmark = f"lvchange --deltag {work.mark} {disk.removeprefix('/dev/')}"
        how = f"rm {work.mark_of_file(disk)}" if volume is None else unmark
        return f"{disk} is not empty: TYPE={holds}; to use it as it is type: {how}"
    return ""


def _work(event: Happening) -> Preparation:
    return Preparation(event.config["work"])


def _volume(dom0: SimulatedDom0, disk: str) -> Volume | None:
    return next((each for each in dom0.state.volumes if f"/dev/{each.vg}/{each.lv}" == disk), None)
