"""What was done and what happened, for `why`, `history` and `blame`: kept across boots, unlike the memory.

Nothing is ever decided by it: a lost or unreadable history costs explanations, never a guest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from xenlocal.model.names import THIS_HOST

HOST = str(THIS_HOST)


@dataclass(frozen=True)
class Stamp:
    """When: `wall` (Unix seconds) for people, `at` (seconds of the dom0's monotonic clock, which no correction of the
    time disturbs) for durations. `at` only compares within one `boot` (the kernel's id of it)."""

    wall: float
    at: float
    boot: str = ""


@dataclass(frozen=True)
class Deed:
    """One action that has ended. `stamp`: when it began; `seconds`: how long it took."""

    stamp: Stamp
    goal: str
    verb: str
    target: str
    reason: str
    outcome: str
    message: str = ""
    seconds: float = 0.0
    commands: tuple[str, ...] = ()  # as `plan --sh` shows them
    edges: tuple[str, ...] = ()  # ids of the steps that had to end first
    number: int = field(default=0, compare=False)  # grows with each entry; 0: not written yet

    @property
    def step(self) -> str:
        """As in a plan: `start domain/web`."""
        return f"{self.verb} {self.target}"

    @property
    def end(self) -> float:
        """Monotonic seconds."""
        return self.stamp.at + self.seconds


class What(StrEnum):
    """What can happen to a domU, or to the host as a whole."""

    BORN = "born"
    READY = "ready"  # `seconds` after its birth, or `message` "again"
    LATE = "late"  # not ready in start_timeout; `seconds` after its birth; `message`: why
    UNREADY = "unready"  # was ready, and is not any more; `message`: why
    ASKED = "asked"  # to shut down
    OFF = "off"  # `cause`: model.memory.Off, "" where it was not learned; `seconds` since what `message` says
    BY_HAND = "by hand"  # `cause`: model.memory.Hand
    BEGUN = "begun"  # `cause`: the goal, boot or shutdown
    ENDED = "ended"  # `cause`: the goal; `message`: how it went


@dataclass(frozen=True)
class Event:
    """Something that happened. Of a host goal `target` is HOST."""

    stamp: Stamp
    target: str
    what: What
    cause: str = ""
    message: str = ""
    seconds: float | None = None
    uuid: str = ""
    domid: int | None = None
    number: int = field(default=0, compare=False)


Entry = Deed | Event


@dataclass(frozen=True)
class Query:
    """Which entries: the newest `limit` of those that match."""

    targets: tuple[str, ...] = ()  # `domain/web`; (): all
    since: float | None = None  # Unix seconds
    first: int = 0  # from this number on
    limit: int = 1000
