"""`SimulatedDom0`: the state, its clock, and what happens by itself as the clock goes on.

The clock only moves by `advance`; everything due on the way happens at its own time, in order of time and then of
scheduling. So the same calls give the same trace. Whoever waits (`work`, or the live thread of `filebacked`)
decides how far to advance.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from xenlocal.simulator import commands, guests, store
from xenlocal.simulator.answer import Answer
from xenlocal.simulator.state import Happening, Host, Timer, small_host


@dataclass(frozen=True)
class Trace:
    """One thing that happened: `what` is command, born, heard, ended, gone, timer or unknown."""

    at: float
    what: str
    text: str
    status: int | None = None


class SimulatedDom0:
    """A dom0 in memory. `state` may be changed freely between calls by tests; use `hold` where threads share it."""

    def __init__(self, state: Host | None = None) -> None:
        self.state = small_host() if state is None else state
        self.trace: list[Trace] = []
        self.unknown: list[tuple[str, ...]] = []
        self.creating: list[str] = []
        """The files of `xl create` commands that have made no domU yet."""
        """Every argv that was not understood, in case the raised error was swallowed: tests assert it is empty."""
        self._lock = threading.RLock()
        self._depth = 0
        self._watchers: list[Callable[[], None]] = []
        self._announced = self.state.lifecycle

    @property
    def now(self) -> float:
        """Seconds of the host's own clock."""
        return self.state.now

    @contextmanager
    def hold(self) -> Iterator[Host]:
        """The state, for this thread alone. Births and deaths are announced on the way out."""
        with self._lock:
            outermost = self._depth == 0
            self._depth += 1
            try:
                if outermost:
                    self._enter()
                try:
                    yield self.state
                finally:
                    if outermost:
                        self._leave()
            finally:
                self._depth -= 1
            changed = outermost and self.state.lifecycle != self._announced
            if changed:
                self._announced = self.state.lifecycle
        if changed:
            for watcher in tuple(self._watchers):
                watcher()

    def _enter(self) -> None:
        """For a subclass that keeps the state elsewhere: load it."""

    def _leave(self) -> None:
        """... and write it back."""

    def watch(self, on_event: Callable[[], None]) -> Callable[[], None]:
        """Call `on_event` after each birth, shutdown and death, as xenstore's @introduceDomain and @releaseDomain
        do; also once now, as a new watch of xenstore does. Returns what ends the watch."""
        self._watchers.append(on_event)
        on_event()
        return lambda: self._watchers.remove(on_event)

    @property
    def watched(self) -> bool:
        return bool(self._watchers)

    def announce(self, what: str, text: str) -> None:
        """A birth, shutdown or death."""
        self.state.lifecycle += 1
        self.note(what, text)

    def note(self, what: str, text: str, status: int | None = None) -> None:
        self.trace.append(Trace(round(self.now, 6), what, text, status))

    def schedule(self, delay: float, what: str, domid: int = -1, detail: str = "", **more: Any) -> None:
        self.state.seq += 1
        self.state.agenda.append(Happening(self.now + delay, self.state.seq, what, domid, detail, **more))

    def next_event(self) -> float | None:
        """When something will next happen by itself."""
        times = [one.at for one in self.state.agenda] + [timer.due for timer in self.state.timers]
        return min(times, default=None)

    def advance(self, to: float) -> None:
        """Let time pass, up to `to`; never back."""
        with self.hold() as state:
            while True:
                due = self._next_due(to)
                if due is None:
                    break
                if isinstance(due, Timer):
                    state.timers.remove(due)
                    state.now = max(state.now, due.due)
                    self.note("timer", due.unit)
                    self.execute(due.command)
                else:
                    state.agenda.remove(due)
                    state.now = max(state.now, due.at)
                    guests.happen(self, due)
            state.now = max(state.now, to)

    def _next_due(self, to: float) -> Happening | Timer | None:
        event = min(self.state.agenda, key=lambda one: (one.at, one.seq), default=None)
        timer = min(self.state.timers, key=lambda one: (one.due, one.unit), default=None)
        if timer and timer.due <= to and not (event and event.at <= timer.due):
            return timer
        return event if event and event.at <= to else None

    def execute(self, argv: Sequence[str], stdin: str | None = None) -> Answer:
        """What the command does at this very moment, and what it prints. Takes no time: `runner` does.

        Raises `answer.UnknownCommand` for an argv that is not understood; never a silent success.
        """
        with self.hold():
            try:
                answer = commands.execute(self, list(argv), stdin)
            except BaseException:
                self.unknown.append(tuple(argv))
                self.note("unknown", " ".join(argv))
                raise
            self.note("command", " ".join(argv), answer.status)
            return answer

    def read_text(self, path: str) -> str:
        """A text file that a command is handed: one of the simulated host's, else of the real disk, where the
        adapters write the generated xl.cfg. Raises OSError."""
        if path in self.state.texts:
            return self.state.texts[path]
        return store.read_file(path)

    def log(self, name: str, line: str) -> None:
        """A line in the log of a domU's xl monitor."""
        path = f"/var/log/xen/xl-{name}.log"
        kept = (self.state.texts.get(path, "") + line + "\n").splitlines(keepends=True)[-100:]
        self.state.texts[path] = "".join(kept)
