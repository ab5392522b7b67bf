"""`SimRunner`: the command runner that the adapters are given. A command takes its time, then happens and answers.

Its effect takes place at its end, and an answer tells how things stand then; but see `guests` for `xl create` and
`xl destroy`, of which something shows on the way. A command that hangs or is killed by its timeout before that has no
effect, unless a fault says that it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from xenlocal.model.errors import CommandFailed, ToolMissing
from xenlocal.simulator import commands, guests
from xenlocal.simulator.answer import Answer, UnknownCommand
from xenlocal.simulator.host import SimulatedDom0


@dataclass(frozen=True)
class Fault:
    """What strikes one command. The default: it fails at once with exit 1 and does nothing."""

    status: int | None = 1  # None: it hangs until the timeout; negative: ended by a signal
    stderr: str = "injected fault"
    missing: bool = False  # the program is not installed
    effect: bool = False  # it has its effect all the same: fails late, or hangs after it was done
    delay: float = 0.0  # takes so much longer first
    rewrite: Callable[[str], str] | None = None  # of its stdout: cut, emptied, garbled; then `status` 0 is usual


Faults = Callable[[Sequence[str], int], Fault | None]
OnRun = Callable[[Sequence[str], float, int | None], None]


class Sleeper(Protocol):
    def sleep(self, seconds: float) -> None:
        """Let simulated time pass for the calling thread."""


class Alone:
    """The sleeper of a program with one thread and no scheduler: time simply goes on."""

    def __init__(self, dom0: SimulatedDom0) -> None:
        self._dom0 = dom0

    def sleep(self, seconds: float) -> None:
        self._dom0.advance(self._dom0.now + seconds)


class Watching:
    """A running `xenstore-watch`; `stop` ends it."""

    def __init__(self, unsubscribe: Callable[[], None]) -> None:
        self.stop = unsubscribe


class SimRunner:
    """`adapters.command.Runner` and `Streamer` on a simulated dom0.

    `sleeper`: who lets the time of a command pass, such as `VirtualWork`; without one the clock just advances.
    `faults(argv, n)` is asked before the n-th command, counted from 0. `on_run(argv, seconds, status)` is called
    after each, status None when it timed out.
    """

    def __init__(
        self,
        dom0: SimulatedDom0,
        sleeper: Sleeper | None = None,
        *,
        faults: Faults | None = None,
        on_run: OnRun | None = None,
    ) -> None:
        self.dom0 = dom0
        self.sleeper: Sleeper = sleeper or Alone(dom0)
        self.faults = faults
        self.count = 0
        self._on_run = on_run

    def run(
        self, argv: Sequence[str], *, timeout: float = 60, input: str | None = None, ok: frozenset[int] = frozenset({0})
    ) -> str:
        fault = self.faults(tuple(argv), self.count) if self.faults else None
        self.count += 1
        started = self.dom0.now
        try:
            answer = self._answer(argv, timeout, input, fault)
        except CommandFailed:
            self._ran(argv, started, None)
            raise
        self._ran(argv, started, answer.status)
        if answer.status not in ok:
            raise CommandFailed(tuple(argv), answer.status, answer.stderr, answer.stdout)
        return answer.stdout

    def _ran(self, argv: Sequence[str], started: float, status: int | None) -> None:
        if self._on_run:
            self._on_run(tuple(argv), self.dom0.now - started, status)

    def _answer(self, argv: Sequence[str], timeout: float, stdin: str | None, fault: Fault | None) -> Answer:
        if fault and fault.missing:
            raise ToolMissing(f"cannot find the program {argv[0]}")
        with self.dom0.hold():
            try:
                seconds = commands.duration(self.dom0, argv)
            except UnknownCommand:
                self.dom0.unknown.append(tuple(argv))
                raise
        if fault is None:
            return self._perform(argv, seconds, timeout, stdin)
        if fault.effect or fault.rewrite:
            answer = self._perform(argv, fault.delay + seconds, timeout, stdin)
            if fault.status is None:
                self._spend(argv, timeout + 1, max(0.0, timeout - fault.delay - seconds))
            if fault.rewrite:
                answer = Answer(fault.rewrite(answer.stdout), answer.stderr, answer.status)
            return Answer(answer.stdout, fault.stderr, fault.status or 0) if fault.status else answer
        self._spend(argv, timeout + 1 if fault.status is None else fault.delay, timeout)
        with self.dom0.hold():
            self.dom0.note("command", " ".join(argv), fault.status)
        return Answer("", fault.stderr, fault.status or 0)

    def _perform(self, argv: Sequence[str], seconds: float, timeout: float, stdin: str | None) -> Answer:
        with self.dom0.hold():
            commands.begin(self.dom0, argv)
            rest = commands.creation(self.dom0, argv)[1] if commands.creates(argv) else 0.0
        self._begin_to_create(argv, seconds - rest, timeout) if rest else self._spend(argv, seconds, timeout)
        with self.dom0.hold() as state:
            answer = self.dom0.execute(argv, stdin)
            made = state.domains[-1].domid if rest and not answer.status else None
        if made is not None:
            try:
                self._spend(argv, rest, max(0.0, timeout - (seconds - rest)))
            except CommandFailed:
                with self.dom0.hold():
                    guests.killed_while_creating(self.dom0, made)
                raise
        return answer

    def _begin_to_create(self, argv: Sequence[str], seconds: float, timeout: float) -> None:
        """The `xl create` is there, and no domU of it yet."""
        self.dom0.creating.append(argv[-1])
        try:
            self._spend(argv, seconds, timeout)
        finally:
            self.dom0.creating.remove(argv[-1])

    def _spend(self, argv: Sequence[str], seconds: float, timeout: float) -> None:
        self.sleeper.sleep(min(seconds, timeout))
        if seconds > timeout:
            with self.dom0.hold():
                self.dom0.note("command", " ".join(argv), None)
            raise CommandFailed(tuple(argv), None, f"no end after {timeout:g} s")

    def stream(
        self, argv: Sequence[str], on_line: Callable[[str], None], on_start: Callable[[], None] | None = None
    ) -> Watching:
        """`xenstore-watch PATH...`: a line for each path at once, then one for each birth, shutdown and death."""
        if not argv or argv[0] != "xenstore-watch":
            raise UnknownCommand(argv)
        if on_start:
            on_start()
        for path in argv[1:]:
            on_line(path)
        first = [True]  # the watch calls once at its start, which the lines above were

        def announce() -> None:
            if not first:
                on_line("@releaseDomain")
            first.clear()

        return Watching(self.dom0.watch(announce))
