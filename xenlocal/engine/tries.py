"""The tries of one domU's probe, one at a time. Waiting for the next one costs no thread.

What a guest writes to xenstore is read by the lookout, for all that wait at once; every other try runs on the pool, so
that a slow one holds nobody else up.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from xenlocal.engine.lookout import INTERVAL
from xenlocal.engine.ports import Guest
from xenlocal.engine.tasks import Tools, told
from xenlocal.model.observed import Unavailable
from xenlocal.model.probes import CommandProbe, DefaultProbe, Probe, TcpProbe, XenstoreProbe

_STOPPABLE = "control/feature-poweroff"
_NO = ("", "0", "false")  # values that say that the guest is not ready
_PAUSE, _TCP_PAUSE = 1.0, 0.5  # seconds between two tries
_LONGEST_PAUSE = 5.0  # for commands, whose pause grows: what they ask may be dear
_FULL = 0.5  # seconds until a command asks again for a slot


@dataclass(frozen=True)
class Answer:
    """Of one try. `why` the domU is not ready, "" when it is. Not `tried`: it could not be asked, which says nothing of
    it (DESIGN rule 7)."""

    why: str = ""
    tried: bool = True

    @property
    def ready(self) -> bool:
        return self.tried and not self.why


def _not_tried(why: str) -> Answer:
    return Answer(f"could not be tried: {why}", tried=False)


class Tries(Protocol):
    @property
    def next(self) -> float | None:
        """When to poll again although nothing happened."""

    @property
    def under_way(self) -> bool:
        """Whether a try has begun whose answer is still to come."""

    def poll(self) -> Answer | None:
        """The answer of a try that has ended, once; None when there is none. Begins a try that is due."""


def tries_of(probe: Probe, guest: Guest, born: float, tools: Tools) -> Tries:
    if isinstance(probe, DefaultProbe | XenstoreProbe):
        return _Looks(probe, guest, born, tools)
    return _Attempts(probe, guest, tools)


class _Looks:
    under_way = False  # a look comes whether or not somebody waits for it

    def __init__(self, probe: DefaultProbe | XenstoreProbe, guest: Guest, born: float, tools: Tools) -> None:
        self._probe, self._tools = probe, tools
        self._node = (guest.domid, probe.key if isinstance(probe, XenstoreProbe) else _STOPPABLE)
        self._due = born + probe.after.seconds if isinstance(probe, DefaultProbe) else float("inf")
        self._answered = float("-inf")

    @property
    def next(self) -> float | None:
        return self._due if self._tools.work.now() < self._due < float("inf") else None

    def poll(self) -> Answer | None:
        lookout = self._tools.lookout
        is_due = self._tools.work.now() >= self._due
        lookout.call(within=0 if is_due else INTERVAL, node=self._node)
        # that so many seconds have passed is not enough: a look after them has to show that it still runs
        if is_due and lookout.since >= self._due and not isinstance(lookout.domains, Unavailable):
            return Answer()
        if self._node not in lookout.nodes or lookout.since == self._answered:
            return None
        self._answered = lookout.since
        value = lookout.nodes[self._node]
        if isinstance(value, Unavailable):
            return _not_tried(f"xenstore cannot be read: {value.why}")
        if isinstance(lookout.domains, Unavailable):  # what a guest wrote stays when it has crashed
            return _not_tried(f"whether it still runs cannot be seen: {lookout.domains.why}")
        if isinstance(self._probe, DefaultProbe):
            return Answer("" if value == "1" else "it does not show yet that it can be asked to stop")
        if value is None:
            return Answer(f"{self._probe} is not written yet")
        return Answer(f"{self._probe} is '{value}'" if value in _NO else "")


class _Attempts:
    def __init__(self, probe: Probe, guest: Guest, tools: Tools) -> None:
        self._probe, self._guest, self._tools = probe, guest, tools
        self._future: Future[None] | None = None
        self._answer = Answer()
        self._pause = _TCP_PAUSE if isinstance(probe, TcpProbe) else _PAUSE
        self.next: float | None = tools.work.now()

    @property
    def under_way(self) -> bool:
        return self._future is not None

    def poll(self) -> Answer | None:
        now = self._tools.work.now()
        if self._future is not None:
            if not self._future.done():
                return None
            self._future, self.next = None, now + self._pause
            if isinstance(self._probe, CommandProbe):
                self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
            return self._answer
        if self.next is not None and now >= self.next:
            self._begin(now)
        return None

    def _begin(self, now: float) -> None:
        """A command may hang until its limit: never so many at once that nothing else finds a thread."""
        if not isinstance(self._probe, CommandProbe):
            self._future, self.next = self._tools.work.submit(self._try), None
        elif self._tools.command_slots.acquire(blocking=False):
            self._future, self.next = self._tools.work.submit(self._try_in_slot), None
        else:
            self.next = now + _FULL

    def _try_in_slot(self) -> None:
        try:
            self._try()
        finally:
            self._tools.command_slots.release()

    def _try(self) -> None:
        try:
            self._answer = Answer(self._tools.prober.why_not(self._probe, self._guest))
        except Exception as error:  # whatever goes wrong, it proves neither that it is ready nor that it is not
            self._answer = _not_tried(told(error))
