"""A host that has a past, how it would look to a rehearsal, and a reboot that really happens to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.unit.engine.rig import Daemon, Machine
from xenlocal import config
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.trials import Trials
from xenlocal.model.history import Deed, Event, What
from xenlocal.model.memory import Memory
from xenlocal.planner.learned import learned
from xenlocal.planner.rehearsal import Rehearsal, Scene
from xenlocal.rehearsal import look_around, rehearse
from xenlocal.simulator.files import SimFiles
from xenlocal.simulator.runner import SimRunner


def reader_of(machine: Machine) -> HostReader:
    files = SimFiles(machine.dom0)
    trials = Trials("/var/lib/xenlocal", read=files.read_text, write=files.write)
    kernels = Kernels("/var/lib/xenlocal", "/run/xenlocal", files, files, files.copy, trials)
    return HostReader(SimRunner(machine.dom0), files, Identities("/var/lib/xenlocal", read=files.read_text), kernels)


def scene_of(machine: Machine) -> Scene:
    desired = config.read(machine.disk.read(), "host")
    state = machine.dom0.state
    clock = (state.now, state.epoch + state.now)
    lessons = learned(machine.history.entries)
    return look_around(desired, machine.disk.memory, reader_of(machine), lessons, clock)


def rehearsed(machine: Machine, what: str = "reboot", name: str = "") -> Rehearsal:
    return rehearse(scene_of(machine), what, name)


def come_up(machine: Machine, name: str) -> None:
    """The dom0 boots: no domU, an empty /run."""
    machine.boot = name
    state = machine.dom0.state
    state.domains, state.agenda, machine.disk.memory = [], [], Memory()
    Daemon(machine).serve("boot")


def with_a_past(machine: Machine) -> Machine:
    """It has come up, gone down, and come up again; some time later."""
    come_up(machine, "boot 1")
    Daemon(machine).serve("shutdown")
    come_up(machine, "boot 2")
    Daemon(machine).run(900)
    return machine


@dataclass(frozen=True)
class Course:
    """How a shutdown or boot went: who was asked or started when, and its length, in seconds."""

    order: tuple[str, ...]
    began: Mapping[str, float]
    seconds: float


def really(machine: Machine, verb: str) -> Course:
    """Have it happen."""
    began, known = machine.dom0.now, len(machine.history.entries)
    if verb == "boot":
        come_up(machine, "boot 3")
    else:
        Daemon(machine).serve(verb)
    end = began
    found: dict[str, float] = {}
    for entry in machine.history.entries[known:]:
        if isinstance(entry, Deed) and entry.verb in ("start", "stop"):
            found.setdefault(entry.target.removeprefix("domain/"), round(entry.stamp.at - began, 3))
        if isinstance(entry, Deed) or entry.what in (What.READY, What.LATE):
            end = max(end, entry.end if isinstance(entry, Deed) else entry.stamp.at)
        assert not isinstance(entry, Event) or entry.what is not What.BORN or verb == "boot"
    return Course(tuple(sorted(found, key=lambda name: (found[name], name))), found, end - began)


def told(rehearsal: Rehearsal, name: str) -> Course:
    phase = next(each for each in rehearsal.phases if each.name == name)
    found: dict[str, float] = {}
    for moment in phase.moments:
        if moment.what in ("start", "stop"):
            found.setdefault(moment.target.removeprefix("domain/"), round(moment.begin, 3))
    return Course(tuple(sorted(found, key=lambda name: (found[name], name))), found, phase.seconds)


def lose_copies(machine: Machine) -> None:
    """Of kernels: one that is gone is not to be had any more."""
    paths = machine.dom0.state.paths
    machine.dom0.state.paths = {path: each for path, each in paths.items() if "/kernels/" not in path}
