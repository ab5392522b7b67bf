"""`VirtualWork`: engine.ports.Work on the virtual clock, a discrete-event scheduler.

Tasks are threads, yet only one of them ever runs: whoever sleeps (a command takes its time) hands the baton back,
and the thread that calls `wait` or runs a command itself passes it on to the sleeper whose time comes first. So
tasks overlap in virtual time, each command sees the host at its own moment, and the same input gives the same trace
on every machine.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from xenlocal.simulator.host import SimulatedDom0

_POLL = 0.001  # seconds


class Idle(RuntimeError):
    """`wait(None)` with nothing left that could ever end it: on a real host it would block for good."""


class Abandoned(BaseException):
    """Raised in a task at its next command once the work is closed: the process was killed there."""


class _Turn:
    """A thread, and the task that it has: asleep until it is given the baton. Only one holds a baton at any time, so a
    plain lock, taken from the beginning, is one. A thread whose task has ended takes the next: a start is dear."""

    def __init__(self) -> None:
        self.baton = _taken()
        self.abandoned = False
        self.task: Callable[[], None] | None = None  # None, with the baton: the thread ends


def _taken() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


class _Result(Future[None]):
    """A Future that lets virtual time go on when it is asked for its result."""

    def __init__(self, work: VirtualWork) -> None:
        super().__init__()
        self._work = work

    def result(self, timeout: float | None = None) -> None:
        self._work.finish(self)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._work.finish(self)
        return super().exception(0)


class VirtualWork:
    """Time and concurrency of a simulated host. Belongs to the thread that made it.

    Births and deaths end a `wait` only where somebody watches them and calls `wake`, as on a real host. Its threads are
    named `name`.
    """

    def __init__(self, dom0: SimulatedDom0, name: str = "virtual-task") -> None:
        self._dom0, self._name = dom0, name
        self._sleepers: list[tuple[float, int, _Turn]] = []
        self._seq = 0
        self._current: _Turn | None = None
        self._idle: list[_Turn] = []
        self._main = _taken()
        self._woken = False

    def now(self) -> float:
        return self._dom0.now

    def wall(self) -> float:
        return self._dom0.state.epoch + self._dom0.now

    def wake(self) -> None:
        self._woken = True

    def submit(self, task: Callable[[], Any]) -> Future[None]:
        """The task starts when the caller next lets time pass, before anything else at that moment."""
        future = _Result(self)
        turn = self._idle.pop() if self._idle else self._hire()
        turn.task = partial(self._run, task, future, turn)
        self._push(self.now(), turn)
        return future

    def _hire(self) -> _Turn:
        turn = _Turn()
        threading.Thread(target=self._serve, args=(turn,), name=self._name, daemon=True).start()
        return turn

    def _serve(self, turn: _Turn) -> None:
        while True:
            turn.baton.acquire()
            if turn.task is None:
                return
            turn.task()
            turn.task = None
            self._idle.append(turn)
            self._woken = True
            self._main.release()

    def _run(self, task: Callable[[], Any], future: Future[None], turn: _Turn) -> None:
        try:
            if turn.abandoned:
                raise Abandoned
            task()
        except BaseException as error:  # whatever it was belongs to who asks for the result
            future.set_exception(error)
        else:
            future.set_result(None)

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass for the calling thread: a task, or the one that made this."""
        until = self.now() + seconds
        turn = self._current
        if turn is None:
            while self._step(until):
                pass
            return
        self._push(until, turn)
        self._main.release()
        turn.baton.acquire()
        if turn.abandoned:
            raise Abandoned

    def wait(self, until: float | None) -> None:
        if until is not None:  # a loop that polls takes some time too, or others would never get on
            until = max(until, self.now() + _POLL)
        while not self._woken and (until is None or self.now() < until):
            if not self._step(until, one_event=True) and until is None:
                raise Idle(f"nothing will ever happen after {self.now():g} s")
        self._woken = False

    def finish(self, future: Future[None]) -> None:
        while not future.done() and self._step(None):
            pass

    def close(self) -> None:
        """Abandon every task where it stands: the end of the process. What they had done stays done."""
        while self._sleepers:
            _, _, turn = heapq.heappop(self._sleepers)
            turn.abandoned = True
            self._hand_over(turn)
        while self._idle:
            self._idle.pop().baton.release()

    def _push(self, at: float, turn: _Turn) -> None:
        self._seq += 1
        heapq.heappush(self._sleepers, (at, self._seq, turn))

    def _step(self, until: float | None, one_event: bool = False) -> bool:
        """Go on to the next thing: a task whose time has come, an event of the host, or `until`. False when there
        was nothing but `until`, or nothing at all."""
        event = self._dom0.next_event() if one_event and self._dom0.watched else None
        task = self._sleepers[0][0] if self._sleepers else None
        times = [at for at in (event, task) if at is not None and (until is None or at <= until)]
        if not times:
            if until is not None:
                self._dom0.advance(until)
            return False
        at = min(times)
        self._dom0.advance(at)
        if task is not None and task <= at and not (one_event and self._woken):
            self._hand_over(heapq.heappop(self._sleepers)[2])
        return True

    def _hand_over(self, turn: _Turn) -> None:
        before, self._current = self._current, turn
        turn.baton.release()
        self._main.acquire()
        self._current = before
