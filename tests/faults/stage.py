"""Plays one day of a simulated host under faults: real engine, real adapters, and the oracle at every step.

A day begins with a host that is as declared (or has just booted), then things happen to it (`Happening`) while strikes
fall; then the faults end, the administrator repeats what failed, and the host has to become what the scenario says.
"""

from __future__ import annotations

import itertools
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.faults.oracle import Oracle
from tests.faults.strikes import STRIKES, Strike, tool
from tests.faults.truth import Truth
from tests.unit.engine.rig import Daemon, Disk, Killed, Machine
from xenlocal.engine.inbox import Request
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Entry
from xenlocal.model.memory import Memory
from xenlocal.simulator.host import SimulatedDom0, Trace
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Host

SETTLING = 900.0  # seconds in which back-off may have its time, once the faults have ended
_RESTART = 3.0  # seconds until systemd has started a killed daemon again


@dataclass(frozen=True)
class Happening:
    """`at`: seconds since the day began. `what`: ask VERB NAMES.. | write FILE TEXT | drop FILE | end NAME HOW | xl
    WORDS.. (of names, by hand) | host CHANGE | restart."""

    at: float
    what: str
    words: tuple[str, ...] = ()
    change: Callable[[Host], object] | None = None


@dataclass(frozen=True)
class Scenario:
    """`files`: name -> text. `host` prepares the host before anything runs. `end`: name of a domU -> its state, or
    "off", or several with `|` between, of which only strikes may bring about the latter; `holds` is asked of the host
    at the very end. `cold`: the boot goal has not run when the day begins, and nothing is there yet."""

    name: str
    files: Mapping[str, str]
    day: tuple[Happening, ...] = ()
    end: Mapping[str, str] = field(default_factory=dict)
    behave: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    host: Callable[[Host], object] | None = None
    holds: Callable[[Host], bool] | None = None
    seconds: float = 90.0
    cold: bool = False


@dataclass(frozen=True)
class Blow:
    """A strike at the n-th command of the day, or at the n-th write of our own files."""

    at: int
    strike: str

    def __str__(self) -> str:
        return f"{self.strike}@{self.at}"

    @classmethod
    def parse(cls, text: str) -> Blow:
        strike, _, at = text.partition("@")
        return cls(int(at), strike)


class WatchedDom0(SimulatedDom0):
    """Tells the oracle of everything that happens."""

    oracle: Oracle | None = None

    def note(self, what: str, text: str, status: int | None = None) -> None:
        super().note(what, text, status)
        if self.oracle is not None:
            self.oracle.happened(self.trace[-1])


class Play:
    """One day. `broken` says what went against the rules, and what was not as it should have been in the end."""

    def __init__(self, scenario: Scenario, blows: Sequence[Blow] = ()) -> None:
        self.scenario, self.blows = scenario, {blow.at: STRIKES[blow.strike] for blow in blows}
        self.machine = _begun(scenario, self)
        self.count = self.writes = 0
        self.argvs: list[tuple[str, ...]] = []
        self.trace: list[Trace] = []
        self.struck: list[str] = []
        self.striking = False
        self.status: dict[str, Any] | None = None
        self._broken_tools: dict[str, Strike] = {}
        self._false: set[tuple[str, ...]] = set()
        self._disk = 0
        self._unsaved = False  # what the daemon remembers is not on the disk
        self._killing = False
        self._requests: list[Request] = []
        self._done: set[int] = set()
        self._began = self.machine.dom0.now
        dom0 = self.machine.dom0
        assert isinstance(dom0, WatchedDom0)
        self.truth = Truth(dom0)
        self.truth.booted = not scenario.cold
        self.truth.wrote(self.machine.disk.files)
        for domain in dom0.state.domains:
            self.truth.born(domain)
        self.oracle = dom0.oracle = Oracle(self.truth)

    @property
    def broken(self) -> list[str]:
        return self.oracle.broken

    @property
    def now(self) -> float:
        return self.machine.dom0.now

    def play(self) -> Play:
        self.striking = True
        while not self._live():
            pass
        self._judge()
        return self

    # The day

    def _live(self) -> bool:
        """The life of one process; True when it is the last one."""
        until = self._began + self.scenario.seconds
        daemon = self._present = self._daemon()
        self.truth.forgot = self.now if self._unsaved else self.truth.forgot
        self._false.clear()  # nobody is left who would hear those answers
        lost = [each for each in self._requests if not each.finished or each.result.get("retry")]
        for each in self._worth_repeating(lost):
            daemon.at(0, partial(self._ask, each.verb, *each.names))
        for number, happening in enumerate(self.scenario.day):
            if number not in self._done:
                daemon.at(max(self._began + happening.at - self.now, 0.0), partial(self._happen, number, happening))
        if self.striking:
            daemon.at(max(until - self.now, 0.0), self._faults_end)
        try:
            daemon.run(max(until + SETTLING - self.now, 1.0))
        except Killed:
            self._killing = False
            self.machine.dom0.advance(self.now + _RESTART)
            return False
        return self.now >= until + SETTLING

    def _daemon(self) -> Daemon:
        daemon = Daemon(self.machine, self._strike)
        daemon.runner._on_run = self._ran
        return daemon

    def _happen(self, number: int, happening: Happening) -> None:
        self._done.add(number)
        words, disk = happening.words, self.machine.disk
        if happening.what == "ask":
            self._ask(*words)
        elif happening.what in ("write", "drop"):
            if happening.what == "write":
                disk.files[words[0]] = words[1]
            else:
                disk.files.pop(words[0], None)
            self.truth.wrote(disk.files)
            self._present.inbox.look_again()
        elif happening.what == "end":
            if self.machine.running.get(words[0]) == "running":
                self.machine.dom0.schedule(0, "end", self.machine.domid(words[0]), words[1])
        elif happening.what == "xl":
            self._by_hand(words)
        elif happening.what == "host":
            assert happening.change is not None
            happening.change(self.machine.dom0.state)
            self.oracle.ending.by_hand(())
        elif happening.what == "restart":
            self._present.inbox.stop()
        else:
            raise AssertionError(happening)

    def _by_hand(self, words: Sequence[str]) -> None:
        """What an administrator does with xl, who types names."""
        names = {domain.name: str(domain.domid) for domain in self.machine.dom0.state.domains}
        if words[0] == "create" or words[-1] in names:
            argv = [names.get(word, word) for word in words]
            self.oracle.ending.by_hand(argv)
            self.machine.dom0.execute(["xl", *argv])

    def _ask(self, verb: str, *names: str) -> None:
        request = Request(verb, names)
        request.ended = partial(self._ended, request)
        self._requests.append(request)
        self.truth.asked(verb, names)
        if verb == "shutdown":
            self.oracle.ending.begins()
        self._present.inbox.ask(request)

    def _ended(self, request: Request) -> None:
        if request.verb == "shutdown" and not request.result.get("retry") and self.truth.shutdown is not None:
            self.oracle.ending.went_down(request.code, str(request.result.get("message", "")), request.begun)

    def _faults_end(self) -> None:
        """And who was told that something failed tries once more."""
        self.striking = False
        for each in self._worth_repeating([each for each in self._requests if each.finished and each.code]):
            if each.verb == "shutdown":
                self.truth.shutdown = None  # the next one is a shutdown of its own
            self._ask(each.verb, *each.names)
        self._present.inbox.look_again()

    def _worth_repeating(self, requests: list[Request]) -> list[Request]:
        """Whoever got no answer, or a bad one, asks once more, people and systemd alike; but nobody asks for what a
        later word has made void."""
        worth = [each for number, each in enumerate(self._requests) if each in requests and not self._is_void(number)]
        self._requests = [each for each in self._requests if each not in requests]
        return worth

    def _is_void(self, number: int) -> bool:
        verb, names = self._requests[number].verb, set(self._requests[number].names)
        later = self._requests[number + 1 :]
        if verb in ("boot", "shutdown"):
            return any(each.verb in ("boot", "shutdown") for each in later)
        same = [each for each in later if (each.verb == "unlock") == (verb == "unlock")]  # it starts and stops nothing
        return any(each.verb == "boot" for each in later) or any(names & set(each.names) for each in same)

    # Strikes

    def _strike(self, argv: Sequence[str], _n: int) -> Fault | None:
        number, self.count = self.count, self.count + 1
        self.oracle.issued(argv)
        if not self.striking:
            return None
        name = tool(argv)
        self.argvs.append(tuple(argv))
        strike = self.blows.get(number)
        if strike is not None and strike.lasting:
            self._broken_tools[name] = strike
        strike = self._broken_tools.get(name, strike)
        if strike is None or strike.errno or not strike.fits(argv):
            return None
        self.struck.append(f"{number} {strike.name} {' '.join(argv)[:80]}")
        self.truth.disturbed = True
        if strike.kill:
            self._killing = True
            if strike.kill == "before":
                self._strike_dead()
            return None
        if strike.lies(argv):
            self.truth.lied = self.now
        if strike.bad:
            self._false.add(tuple(argv))
        assert strike.fault is not None
        return strike.fault(argv)

    def _strike_dead(self) -> None:
        """kill -9: at once in the thread that owns the decisions, else as soon as that is where it can be hit."""
        work = self._present.work
        if work._current is None:
            raise Killed
        work.turns.insert(0, (self.now, _die))
        work.wake()

    def _ran(self, argv: Sequence[str], _seconds: float, status: int | None) -> None:
        self.oracle.answered(argv, status == 0 and tuple(argv) not in self._false)
        self._false.discard(tuple(argv))
        if self._killing:
            self._strike_dead()

    def about_to_write(self, path: str) -> None:
        """Raises OSError from the write on at which the disk was struck, until the faults end."""
        if self.striking:
            number, self.writes = self.writes, self.writes + 1
            strike = self.blows.get(number)
            if strike is not None and strike.errno:
                self._disk = strike.errno
                self.struck.append(f"write {number} {strike.name} {path}")
                self.truth.disturbed = True
        failed = self.striking and bool(self._disk)
        self._unsaved = failed if path == "memory.json" else self._unsaved
        if failed:
            raise OSError(self._disk, os.strerror(self._disk))

    # The end

    def _judge(self) -> None:
        """Rule 8."""
        self.oracle.ending.day_is_over()
        state = self.machine.dom0.state
        for name, wanted in self.scenario.end.items():
            found = self.machine.running.get(name, "off")
            wanted = wanted if self.struck else wanted.split("|")[0]
            misled = self.truth.lying and self.truth.shutdown is not None  # told that nobody is left, it was over
            if found not in wanted.split("|") and not misled:
                self.oracle.say(8, f"{name} is {found} in the end, not {wanted}")
        if self.scenario.holds is not None and not self.scenario.holds(state):
            self.oracle.say(8, "the host is not in the end as it should be")
        self.trace = list(self.machine.dom0.trace)
        self.machine.dom0.trace.clear()
        daemon = self._daemon()
        daemon.run(30)
        changes = [text for text in self.machine.changes() if text.split()[0] not in state.programs]
        if changes:
            self.oracle.say(8, f"the next cycle still changes something: {changes}")
        self.trace += self.machine.dom0.trace
        self.status = daemon.loop.status()
        assert self.status is not None
        if self.status["host"]["pending_steps"]:
            self.oracle.say(8, f"still to do: {self.status['host']['pending_steps']}")
        for row in self.status["domains"] if self.truth.shutdown is None else ():
            on, wanted = row["observed"] == "running", row["desired"]
            if wanted == "running" and not on and not row["notices"]:
                self.oracle.say(8, f"{row['name']} is {row['observed']}, and status does not say why")
            if wanted in ("stopped", "absent") and on and self.truth.last_word(row["name"]) is None:
                self.oracle.say(8, f"{row['name']} runs, and is declared {wanted}")


def _die() -> None:
    raise Killed


class _Disk(Disk):
    """The files of one play, which may be struck."""

    play: Play

    def save_memory(self, memory: Memory) -> None:
        self._write("memory.json")
        super().save_memory(memory)

    def save_good(self, files: Sequence[ConfigFile]) -> None:
        self._write("last-good.json")
        super().save_good(files)

    def _write(self, path: str) -> None:
        try:
            self.play.about_to_write(path)
        except OSError as error:
            raise XenlocalError(f"cannot write {path}: {error.strerror}") from error


class _Machine(Machine):
    """... and what else is written on its disks."""

    play: Play

    def put(self, path: str, text: str) -> None:
        self.play.about_to_write(path)
        super().put(path, text)

    def copy(self, place: str, name: str, sources: Mapping[str, str], still: Callable[[], bool]) -> None:
        try:
            self.play.about_to_write(f"{place}/{name}")
        except OSError as error:
            raise XenlocalError(f"cannot copy to {place}: {error.strerror}") from error
        super().copy(place, name, sources, still)


@dataclass
class _Beginning:
    """A host at the beginning of a day, from which any number of plays begin."""

    state: bytes
    memory: Memory
    good: tuple[ConfigFile, ...] | None
    entries: list[Entry]


_beginnings: dict[str, _Beginning] = {}


def _begun(scenario: Scenario, play: Play) -> Machine:
    """As declared and at rest, or cold."""
    begun = _beginnings.get(scenario.name)
    if begun is None:
        _beginnings.clear()  # one scenario is played many times in a row
        begun = _beginnings[scenario.name] = _begin(scenario)
    machine, disk = _Machine(), _Disk()
    machine.play = disk.play = play
    disk.memory, disk.good, disk.files = begun.memory, begun.good, dict(scenario.files)
    machine.disk, machine.dom0 = disk, WatchedDom0(pickle.loads(begun.state))
    machine.history.entries = list(begun.entries)
    machine.unique = itertools.count(1000)
    return machine


def _begin(scenario: Scenario) -> _Beginning:
    machine = Machine()
    machine.disk.files = dict(scenario.files)
    for name, values in scenario.behave.items():
        machine.behave(name, **values)
    if scenario.host is not None:
        scenario.host(machine.dom0.state)
    if scenario.cold:
        machine.disk.memory = Memory()
    else:
        Daemon(machine).run(60)
    state = pickle.dumps(machine.dom0.state)
    return _Beginning(state, machine.disk.memory, machine.disk.good, machine.history.entries)
