"""The real engine with the real adapters on a simulated dom0 with a virtual clock; what tests ask of it.

A `Machine` is the host and what is on its disks; a `Daemon` is one process on it, which may be killed at any
command.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.console import Consoles
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.iscsi import ChapRecords
from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.probe import HostProber
from xenlocal.adapters.trials import Trials
from xenlocal.engine.configuration import Configuration
from xenlocal.engine.inbox import Inbox, Request
from xenlocal.engine.keeper import Keeper
from xenlocal.engine.lookout import Lookout
from xenlocal.engine.loop import Loop
from xenlocal.engine.recorder import Recorder
from xenlocal.engine.tasks import Tools
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Deed, Entry, Event, Query
from xenlocal.model.memory import Memory, Record
from xenlocal.simulator.files import SimFiles, SimTcp
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.runner import Fault, SimRunner
from xenlocal.simulator.state import Behaviour, Link, small_host
from xenlocal.simulator.work import VirtualWork

# What only looks: everything else changes the host.
_LOOKS = ("xl list", "xl info", "xenstore-ls", "xenstore-read", "lvm fullreport", "lvs", "vgs", "ip -", "tail", "ping")
Faults = Callable[[Sequence[str], int], Fault | None]


class Killed(BaseException):
    """kill -9 of the daemon."""


class Disk:
    """/run and /var/lib, and the configuration directory: what a new process finds."""

    path = "/etc/xenlocal"

    def __init__(self) -> None:
        self.memory = Memory()
        self.good: tuple[ConfigFile, ...] | None = None
        self.files: dict[str, str] = {}
        self.full = False
        self.saves = 0

    def load_memory(self) -> Memory:
        return self.memory

    def save_memory(self, memory: Memory) -> None:
        if self.full:
            raise XenlocalError("cannot write memory.json: No space left on device")
        self.saves += 1
        self.memory = memory

    def load_good(self) -> tuple[ConfigFile, ...] | None:
        return self.good

    def save_good(self, files: Sequence[ConfigFile]) -> None:
        if self.full:
            raise XenlocalError("cannot write last-good.json: No space left on device")
        self.good = tuple(files)

    def read(self) -> tuple[ConfigFile, ...]:
        return tuple(ConfigFile(name, text) for name, text in sorted(self.files.items()))


class Paper:
    """A History on no disk."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entries: Sequence[Entry]) -> None:
        self.entries += [replace(entry, number=len(self.entries) + n) for n, entry in enumerate(entries, 1)]

    def read(self, query: Query) -> tuple[Entry, ...]:
        found = [
            entry
            for entry in self.entries
            if entry.number >= query.first
            and (not query.targets or entry.target in query.targets)
            and (query.since is None or entry.stamp.wall >= query.since)
        ]
        return tuple(found[-query.limit :])

    def deeds(self) -> list[Deed]:
        return [entry for entry in self.entries if isinstance(entry, Deed)]

    def events(self, target: str = "") -> list[Event]:
        return [entry for entry in self.entries if isinstance(entry, Event) and entry.target.endswith(target)]


class Notes:
    """A Notifier that remembers."""

    def __init__(self, interval: float | None = None) -> None:
        self.said: list[str] = []
        self.beats: list[float] = []
        self.ready_at: float | None = None
        self.stopped = False
        self.interval = interval
        self.clock: Callable[[], float] = lambda: 0.0

    def ready(self) -> None:
        self.ready_at = self.clock()

    def status(self, sentence: str) -> None:
        self.said.append(sentence)

    def reloading(self) -> None: ...

    def watchdog(self) -> None:
        self.beats.append(self.clock())

    def stopping(self) -> None:
        self.stopped = True

    def watchdog_interval(self) -> float | None:
        return self.interval


class CountingWork(VirtualWork):
    """Also calls tests at their moment, and counts waits."""

    def __init__(self, dom0: SimulatedDom0) -> None:
        super().__init__(dom0)
        self.waits = 0
        self.turns: list[tuple[float, Callable[[], object]]] = []

    def wait(self, until: float | None) -> None:
        self.waits += 1
        assert self.waits < 200_000, "a busy loop"
        due = self.turns[0][0] if self.turns else None
        if due is not None and due <= self.now():
            self.turns.pop(0)[1]()
            return
        super().wait(until if due is None else due if until is None else min(due, until))


class Machine:
    def __init__(self, *texts: str) -> None:
        state = small_host()
        state.now = 1000.0
        state.links.append(Link("br0", state.next_link, "bridge", up=True, alias="xenlocal"))
        state.next_link += 1
        self.dom0 = SimulatedDom0(state)
        self.disk, self.history, self.boot = Disk(), Paper(), "first boot"
        self.disk.memory = Memory(boot_done=True)
        self.unique = itertools.count()  # across its daemons, and the same in each run
        self.write(*texts)

    def write(self, *texts: str, name: str = "a.conf") -> None:
        self.disk.files[name] = "\n".join(texts)

    def put(self, path: str, text: str) -> None:
        """What the daemon writes for a tool, or to know later."""
        self.dom0.state.texts[path] = text

    def copy(self, place: str, name: str, sources: Mapping[str, str], still: Callable[[], bool]) -> None:
        """Of a kernel."""
        SimFiles(self.dom0).copy(place, name, sources, still)

    def behave(self, name: str, **values: Any) -> None:
        self.dom0.state.behaviours[name] = Behaviour(**values)

    @property
    def running(self) -> dict[str, str]:
        return {domain.name: domain.state for domain in self.dom0.state.domains}

    def domid(self, name: str) -> int:
        return next(domain.domid for domain in self.dom0.state.domains if domain.name == name)

    def record(self, name: str) -> Record:
        return next(record for record in self.disk.memory.records.values() if record.name == name)

    def changes(self) -> list[str]:
        """Commands that change the host, without the wrapper that gives each start a scope."""
        commands = [trace.text for trace in self.dom0.trace if trace.what == "command"]
        return [text for text in commands if not text.startswith((*_LOOKS, "systemd-run"))]

    def moments(self, what: str) -> dict[str, float]:
        """The first time of each event of a kind, by domain name: born, heard, ended, gone."""
        found: dict[str, float] = {}
        for trace in self.dom0.trace:
            if trace.what == what:
                found.setdefault(trace.text.split()[0], trace.at)
        return found

    def order(self, what: str) -> list[str]:
        return [trace.text.split()[0] for trace in self.dom0.trace if trace.what == what]


class Daemon:
    """One process. `turns`: what happens to it from outside, by the seconds since it began."""

    def __init__(self, machine: Machine, faults: Faults | None = None, notes: Notes | None = None) -> None:
        self.machine, self.work, self.notes = machine, CountingWork(machine.dom0), notes or Notes()
        self.notes.clock = self.work.now
        self.runner = SimRunner(machine.dom0, self.work, faults=faults)
        files = SimFiles(machine.dom0)
        identities = Identities("/var/lib/xenlocal", read=files.read_text, write=machine.put)
        trials = Trials("/var/lib/xenlocal", read=files.read_text, write=machine.put)
        kernels = Kernels("/var/lib/xenlocal", "/run/xenlocal", files, files, machine.copy, trials)
        reader = HostReader(self.runner, files, identities, kernels)
        actuator = HostActuator(
            self.runner,
            "/run/xenlocal",
            systemd=True,
            identities=identities,
            kernels=kernels,
            chap=ChapRecords(files, files.secret, machine.put),
            write=machine.put,
            unique=lambda: f"{next(machine.unique):08x}",
            clock=self.work.now,
            pause=self.work.sleep,
        )
        recorder = Recorder(machine.history, self.work, actuator.script, machine.boot)
        self.keeper = Keeper(machine.disk, recorder.remembered)
        self.tools = Tools(
            reader,
            actuator,
            HostProber(self.runner, files, SimTcp(machine.dom0, self.work).connect),
            Consoles(files, "/var/lib/xenlocal/console", write=files.write),
            self.work,
            self.keeper,
            Lookout(reader, self.work),
        )
        self.inbox = Inbox(self.work.wake, self.work.now)
        self.configuration = Configuration(machine.disk, machine.disk, "host")
        self.loop = Loop(self.configuration, self.tools, self.inbox, self.notes, recorder)
        self.began = self.work.now()
        self._unwatch = machine.dom0.watch(self.inbox.host_event)

    def at(self, seconds: float, what: Callable[[], object]) -> None:
        self.work.turns.append((self.began + seconds, what))
        self.work.turns.sort(key=lambda turn: turn[0])

    def ask(self, seconds: float, verb: str, *names: str) -> Request:
        request = Request(verb, names)
        self.at(seconds, lambda: self.inbox.ask(request))
        return request

    def edit(self, seconds: float, *texts: str) -> None:
        def do() -> None:
            self.machine.write(*texts)
            self.inbox.look_again()

        self.at(seconds, do)

    def run(self, seconds: float) -> Daemon:
        """Run for so long, then stop as at `systemctl stop`."""
        self.at(seconds, self.inbox.stop)
        try:
            self.loop.run()
        finally:
            self.end()
        return self

    def serve(self, verb: str, *names: str) -> Request:
        """One verb of the command line, with no daemon."""
        request = Request(verb, names)
        try:
            self.loop.serve(request)
        finally:
            self.end()
        return request

    def run_until_killed(self, seconds: float) -> bool:
        """True when the daemon was killed before."""
        try:
            self.run(seconds)
        except Killed:
            return True
        return False

    def end(self) -> None:
        self._unwatch()
        self.work.close()
        assert not self.machine.dom0.unknown


def conf(name: str, *lines: str) -> str:
    return "\n".join([f"[domain {name}]", "memory = 512M", "kernel = /boot/vmlinuz", *lines, ""])


def listens(name: str, port: int, *lines: str) -> str:
    """A domU whose readiness is a TCP port of 192.0.2.50."""
    return conf(name, *lines, "[[ready]]", f"tcp = 192.0.2.50:{port}")


def fail(*words: str, fault: Fault | None = None, times: int = 10**9) -> Faults:
    """Strike commands that contain any of these words."""
    left = [times]

    def faults(argv: Sequence[str], _n: int) -> Fault | None:
        if any(each in " ".join(argv) for each in words) and left[0] > 0:
            left[0] -= 1
            return fault or Fault()
        return None

    return faults
