"""How the memory changes while a guest is to stop: it was asked, it was nudged, and what it shows of itself.

Pure transitions, as in `memory`; `ladder` decides by what they keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from xenlocal.model.memory import Memory, Reply
from xenlocal.model.observed import Signs
from xenlocal.planner.ladder import Case, what_was_over

REACTION = 5.0  # seconds within which a guest writes because it was asked again


def asked(memory: Memory, uuid: str, domid: int, when: float) -> Memory:
    """A domU, ours or foreign, was asked to stop: its time runs from the first request on, whatever follows."""
    if uuid in memory.records:
        record = memory.records[uuid]
        if record.reply is not None:
            return memory.change(uuid, reply=replace(record.reply, requested=when))
        return memory.change(uuid, stop_asked=when, reply=Reply(requested=when))
    times = {domid: when, **memory.foreign_asked}
    return replace(memory, foreign_asked=MappingProxyType(times))


def nudged(memory: Memory, uuid: str, when: float) -> Memory:
    record = memory.records.get(uuid)
    if record is None or record.reply is None:
        return memory
    return memory.change(uuid, reply=replace(record.reply, nudged=when))


def given_up(memory: Memory, uuid: str, domid: int, case: Case, now: float) -> Memory:
    """Its time is over, so it is about to be destroyed: should we not live to see the end of that, it was forced all
    the same. What was over at the first attempt is the reason, however many follow."""
    record = memory.records.get(uuid)
    if record is None or (record.destroying == domid and record.given_up):
        return memory
    over = what_was_over(case, record.patience, now)
    return memory.change(uuid, destroying=domid, given_up=over)


def saw_signs(memory: Memory, signs: Mapping[int, Signs], since: float) -> Memory:
    """What a look that began at `since` showed of guests that were asked to stop, by domid."""
    changed = {
        uuid: replace(record, reply=_reply(record.reply, record.stop_asked, signs[record.domid], since))
        for uuid, record in memory.records.items()
        if record.reply is not None and record.stop_asked is not None
        if record.domid is not None and record.domid in signs
    }
    return replace(memory, records=MappingProxyType({**memory.records, **changed}))


def _reply(reply: Reply, asked: float, signs: Signs, since: float) -> Reply:
    heard = reply.heard
    if heard is not True and since > reply.requested:  # an older look may not have seen the request at all
        heard = None if signs.pending is None else not signs.pending
    if signs.sectors is None:
        return replace(reply, heard=heard, seen=since, sectors=None, watched=None)
    if reply.sectors is None or reply.seen is None:
        return replace(reply, heard=heard, seen=since, sectors=signs.sectors, watched=since)
    grown = signs.sectors > reply.sectors and not (heard and _provoked(reply, asked, reply.seen, since))
    return replace(reply, heard=heard, seen=since, sectors=signs.sectors, wrote=since if grown else reply.wrote)


def _provoked(reply: Reply, asked: float, seen: float, since: float) -> bool:
    """Whether what a guest has written from `seen` to `since` is but its answer to being asked again or told to sync,
    such as a line in its log: it was quiet before. That must not buy it time. Where looks are so rare that the write
    may as well have been before or long after, the guest has the benefit of the doubt."""
    provoked = max(
        (when for when in (reply.requested, reply.nudged) if when is not None and when > asked), default=None
    )
    return (
        provoked is not None
        and since <= provoked + REACTION
        and seen >= provoked - REACTION / 2
        and (reply.wrote is None or reply.wrote <= provoked - REACTION)
    )
