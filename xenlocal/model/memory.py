"""What xenlocal remembers between two cycles, since the dom0 came up: it lives in /run, so a boot forgets it.

Pure data; `planner.looks` and `planner.memory` hold the transitions, `adapters.records` the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from xenlocal.model.desired import Patience


class Hand(StrEnum):
    """What an administrator asked for by hand; it holds until the next request by hand or boot."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"  # until the domU has been born anew
    DESTROY = "destroy"  # like STOP, without asking the guest


class Off(StrEnum):
    """Why a domU that is not live is not live, as far as it is known."""

    POWEROFF = "poweroff"  # the guest powered itself off, or `xl shutdown` was used
    CRASH = "crash"
    STOPPED = "stopped"  # by us
    DESTROYED = "destroyed"  # by us, after its time
    VANISHED = "vanished"  # somebody destroyed it with xl
    REBOOTING = "rebooting"  # its monitor is about to create it anew
    LOST = "lost"  # gone, and nothing tells why


@dataclass(frozen=True)
class Reply:
    """How a guest takes our request to stop, as far as it is seen from outside."""

    requested: float  # when it was last asked
    heard: bool | None = None  # it has acknowledged; None: not known
    seen: float | None = None  # when the latest look at it began
    sectors: int | None = None  # written to its disks up to that look; None: not known
    watched: float | None = None  # since when they are counted
    wrote: float | None = None  # the latest look that found more of them than the one before
    nudged: float | None = None  # when the rung between asking and destroying was taken

    @property
    def quiet(self) -> float | None:
        """For how many seconds, up to the latest look, it is known to have written nothing."""
        if self.sectors is None or self.seen is None or self.watched is None:
            return None
        return self.seen - (self.watched if self.wrote is None else max(self.wrote, self.watched))


@dataclass(frozen=True)
class Record:
    """One domU of ours. Times are seconds of the dom0's monotonic clock, which no clock jump disturbs."""

    uuid: str
    name: str
    declared: str = ""  # `state` in the files at the last look; "" while no section names it
    xl_name: str = ""  # what xl calls its latest life, and goes on to when the files rename it
    monitor: str = ""  # ... and what it was called when its monitor came, which stays across its own reboots
    domid: int | None = None  # live at the last look
    lived: int | None = None  # the domid of its latest life, which no later one has
    born: float | None = None  # of the present domid
    ready: bool = False  # of the present domid
    gave_up_waiting: bool = False  # not ready in start_timeout, of the present domid
    probe: str = ""  # by which it has to prove that it is ready, at the last look
    probed: float | None = None  # when its probe last said that the present domid is ready
    lost: float | None = None  # since when the present domid, which was ready, is not any more
    unready: str = ""  # why the latest try of its probe failed, of the present domid; "" once it is ready
    untried: bool = False  # ... because it could not be tried at all, which says nothing of the domU
    console: str = ""  # how far its console's log went when the present life began, or the last one ended
    away: float | None = None  # since when it is known not to be live, or is wanted anew; None while it is live
    off: Off | None = None
    off_since: float | None = None
    dying_since: float | None = None  # the present domid is being torn down
    hand: Hand | None = None
    hand_domid: int | None = None  # RESTART, DESTROY: the domid that is meant
    stop_asked: float | None = None  # when we asked the latest life to shut down
    reply: Reply | None = None  # ... and how it takes that; None: not asked, or that was withdrawn
    destroying: int | None = None  # the domid that we set out to destroy, whatever came of it
    given_up: str = ""  # ... because it had not stopped: within what; "" where it was by hand
    crashes: tuple[float, ...] = ()  # ends that were not meant to be: crashes, and lives that were very short
    failures: int = 0  # starts in a row that failed
    failure: str = ""  # of the last one
    retry_at: float | None = None  # not started before this
    preparing: str = ""  # the work on a disk that we have begun and whose end we have not heard: kind and path
    running: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # xl settings it runs with
    staged: Mapping[str, str] | None = None  # ... and will run with after its own reboot; empty: not known
    predecessors: tuple[str, ...] = ()  # kept for the day its section has vanished
    stop_timeout: float = 300.0
    hung_timeout: float | None = None
    stop_max: float | None = None
    hvm: bool = False

    @property
    def known_as(self) -> str:
        """What xl and its console's log call the latest life."""
        return self.xl_name or self.name

    @property
    def is_on(self) -> bool:
        """Whether it was live at the last look, and its guest had not ended."""
        return self.domid is not None and self.off is None

    @property
    def asked(self) -> float | None:
        """Since when it has been on its way to stop."""
        return None if self.reply is None else self.stop_asked

    def asked_as(self, domid: int) -> float | None:
        """... as this life, which may be its next one that is being built: what the former was asked is not its."""
        return self.asked if domid == self.domid else None

    @property
    def may_still_stop_until(self) -> float | None:
        """A request that was withdrawn cannot be taken back from the guest: until then it may act on it."""
        if self.domid is None or self.stop_asked is None or self.reply is not None:
            return None
        return self.stop_asked + self.stop_timeout

    def may_still_stop(self, now: float) -> bool:
        until = self.may_still_stop_until
        return self.is_on and until is not None and now < until

    @property
    def patience(self) -> Patience:
        return Patience.of(self.stop_timeout, self.hung_timeout, self.stop_max)


@dataclass(frozen=True)
class Login:
    """What became of the logins to an iSCSI target, which has stood, or stands, in `[iscsi NAME]`."""

    name: str
    done: bool = False  # we logged in, so the session is ours to tell of when its section has vanished
    failures: int = 0  # logins in a row that failed
    failure: str = ""  # of the last one
    retry_at: float | None = None  # not tried before this


@dataclass(frozen=True)
class Memory:
    """Everything remembered. `boot_done`: the boot goal has run; `shutting_down`: the shutdown goal has begun."""

    records: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))  # by UUID
    boot_done: bool = False
    shutting_down: float | None = None  # since when
    shutdown_over: bool = False  # ... and has come to its end: the next request is one of its own
    forced: tuple[str, ...] = ()  # domUs that had to be destroyed during this shutdown
    # by domid: when a domU that is not ours was asked to stop during this shutdown
    foreign_asked: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    logins: Mapping[str, Login] = field(default_factory=lambda: MappingProxyType({}))  # by `str(node)`

    def with_record(self, record: Record) -> Memory:
        return replace(self, records=MappingProxyType({**self.records, record.uuid: record}))

    def change(self, uuid: str, **changes: Any) -> Memory:
        """The memory with fields of one record changed; KeyError where the UUID is not known."""
        return self.with_record(replace(self.records[uuid], **changes))
