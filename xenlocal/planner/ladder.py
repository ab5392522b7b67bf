"""The stop ladder of one guest, as a pure decision: wait, look, ask again, nudge, destroy. All times are of one clock.

Asking again harms no guest, and helps one that was asked while it booted: its kernel acknowledges before there is a
userland that could act on it. Destroying is the last rung, never before the guest's own time is over; how long that
is depends on what the guest shows (`Patience`). What is not known never shortens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum, auto

from xenlocal.model.desired import Patience
from xenlocal.model.memory import Reply
from xenlocal.model.units import Duration

QUIET = 10.0  # seconds without a write after which a guest counts as not writing
FRESH = 5.0  # seconds that the latest look may be old when a guest is given up
LOOK_WAIT = 10.0  # seconds that such a look is waited for
_RETRY = 5.0  # seconds after a request that could not be passed on
_AGAIN_FIRST, _AGAIN_LAST = 10.0, 60.0  # seconds between two requests: as long as the first has been without effect
_NUDGE = 5.0  # seconds before its end
SETTLE = 2.0  # seconds between a nudge and destroying, where it turned out only then that its time is over


class _Limit(IntEnum):
    """What a guest's time can be over by; of two at one moment the earlier ends it, and the later prolongs it."""

    HUNG = auto()
    QUIET = auto()
    MOST = auto()
    STOP = auto()
    DEADLINE = auto()


class Rung(StrEnum):
    WAIT = "wait"
    LOOK = "look"  # its time is over by what was seen a while ago: look once more
    ASK = "ask"
    NUDGE = "nudge"  # ACPI for HVM; for others sync, so that less is lost if it has to be destroyed
    DESTROY = "destroy"


@dataclass(frozen=True)
class Case:
    """A guest that is to stop. `begun`: since when its time runs, which is the first request that came through, or
    the first attempt as long as none has. `tried`: the latest attempt. `reply` None: no request has come through."""

    patience: Patience
    begun: float
    tried: float | None = None
    reply: Reply | None = None
    grow_until: float = float("inf")  # the deadline of the host leaves no time beyond this for growing
    end_by: float = float("inf")  # ... and none at all beyond this


def end_of_time(case: Case) -> float:
    """When its own time is over, by what was seen last."""
    return _end(case)[0]


def _end(case: Case) -> tuple[float, _Limit]:
    reply, patience = case.reply, case.patience
    end = case.begun + patience.stop, _Limit.STOP
    if reply is not None and _hangs(reply, patience):
        end = case.begun + patience.hung, _Limit.HUNG
    elif reply is not None and reply.heard and reply.wrote is not None:
        most, deadline = (case.begun + patience.most, _Limit.MOST), (case.grow_until, _Limit.DEADLINE)
        end = max(end, min((reply.wrote + QUIET, _Limit.QUIET), most, deadline))
    return min(end, (case.end_by, _Limit.DEADLINE))


def what_was_over(case: Case, declared: Patience, now: float) -> str:
    """Why a guest is destroyed `now`, as it follows on "it had not stopped". `declared`: of which the host's deadline
    may have left it but a share."""
    limit, patience = _end(case)[1], case.patience
    if limit is _Limit.DEADLINE:
        return "in the time that shutdown_deadline left it"
    if limit is _Limit.MOST:
        return f"within stop_max = {_seconds(patience.most)}"
    if now < case.begun + patience.stop:  # HUNG; of one that hangs no look may have been fresh enough so early
        return f"{_within('hung_timeout', patience.hung, declared.hung)} (no acknowledgement, quiet disks)"
    after = f" nor {QUIET:.0f} s after its last write" if limit is _Limit.QUIET else ""
    return _within("stop_timeout", patience.stop, declared.stop) + after


def _within(key: str, had: float, declared: float) -> str:
    share = f", of which shutdown_deadline left it {_seconds(had)}," if had < declared else ""
    return f"within {key} = {_seconds(declared)}{share}"


def _seconds(seconds: float) -> Duration:
    return Duration(round(seconds, 1))


def decide(case: Case, now: float) -> tuple[Rung, float]:
    """What to do now, and when to decide again if nothing happens before."""
    end, limit = _end(case)
    if now >= end:
        rung, until = _at_the_end(case, end, limit is _Limit.HUNG, now)
        if rung is not Rung.WAIT:
            return rung, until
        end = until
    again, nudge = _ask_at(case), _nudge_at(case, end)
    if now >= nudge:  # before asking again: `xl shutdown` of a guest that hangs may itself hang until its time is over
        return Rung.NUDGE, end
    if now >= again:
        return Rung.ASK, end
    return Rung.WAIT, min(end, again, nudge)


def _hangs(reply: Reply, patience: Patience) -> bool:
    """Its kernel is known not to have acknowledged, and its disks are known to be quiet."""
    quiet = reply.quiet
    return reply.heard is False and quiet is not None and quiet >= min(QUIET, patience.hung / 2)


def _at_the_end(case: Case, end: float, hangs: bool, now: float) -> tuple[Rung, float]:
    """Nobody is given up by what was seen long ago, nor for what it had not shown before its time was over; but where
    no look ends, the end is not put off for long."""
    seen = case.reply.seen if case.reply is not None else now
    limit = min(end + LOOK_WAIT, case.end_by)
    nudged = case.reply.nudged if case.reply is not None else None
    fresh = FRESH if nudged is None or nudged < end else FRESH + SETTLE  # the look that led to the nudge still counts
    if seen is None or now - seen > fresh or (hangs and seen < end):
        if now < limit:
            return Rung.LOOK, limit
        own = min(case.begun + case.patience.stop, case.end_by)
        if now < own:
            return Rung.WAIT, own
    return _last(case, now)


def _last(case: Case, now: float) -> tuple[Rung, float]:
    """A guest that is destroyed was nudged before, also where only a late look has shown that its time is over."""
    reply = case.reply
    if reply is None or now >= case.end_by:
        return Rung.DESTROY, now
    settled = min((now if reply.nudged is None else reply.nudged) + SETTLE, case.end_by)
    if reply.nudged is None:
        return Rung.NUDGE, settled
    return (Rung.DESTROY, now) if now >= settled else (Rung.WAIT, settled)


def _ask_at(case: Case) -> float:
    if case.tried is None:
        return float("-inf")
    if case.reply is None:
        return case.tried + _RETRY
    return case.tried + min(max(case.tried - case.begun, _AGAIN_FIRST), _AGAIN_LAST)


def _nudge_at(case: Case, end: float) -> float:
    if case.reply is None or case.reply.nudged is not None:
        return float("inf")
    if _hangs(case.reply, case.patience):
        return float("-inf")
    return end - min(_NUDGE, (end - case.begun) / 2)
