"""What a look at the host teaches the memory: who is there, who has gone and why, as a pure transition.

The others, of what we do ourselves, are in `memory`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from xenlocal.model.desired import Desired, Domain, GuestType, State
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.observed import LiveDomain, LiveState, Observed, Unavailable
from xenlocal.planner.memory import REBOOT_GRACE, counted, lifeless
from xenlocal.planner.order import nearest

SHORT_LIFE = 60.0  # seconds: a guest that powers itself off so early counts like one that crashed


def unexplained(memory: Memory, observed: Observed, now: float) -> tuple[str, ...]:
    """UUIDs of domUs that are gone without our doing: their monitor's last words are worth reading. Not for ever: a
    monitor that has said nothing for so long is gone too, and each look would read its log in vain."""
    if isinstance(observed.domains, Unavailable):
        return ()
    live = observed.by_uuid()
    return tuple(
        uuid
        for uuid, record in sorted(memory.records.items())
        if uuid not in live
        and (
            (record.off in (Off.REBOOTING, Off.LOST) and now - (record.off_since or now) <= REBOOT_GRACE)
            # one we asked to stop as well: it may be rebooting instead
            or record.is_on
        )
    )


def names_of_monitor(record: Record, observed: Observed) -> tuple[str, ...]:
    """By which the monitor of a domU that is not live may go: first that of its latest life, unless that is another's
    name by now; then that of a start just begun."""
    live = {} if isinstance(observed.domains, Unavailable) else observed.domains
    taken = any(each.name == record.monitor and each.uuid != record.uuid for each in live.values())
    return (record.name,) if taken or record.monitor in ("", record.name) else (record.monitor, record.name)


def learn(memory: Memory, desired: Desired, observed: Observed, words: Mapping[str, Off | None], now: float) -> Memory:
    """The memory after a look. `words`: for each `unexplained` UUID what its monitor told; None where that could not be
    read."""
    declared = {domain.uuid: domain for domain in desired.domains.values()}
    records = dict(memory.records)
    for uuid, domain in declared.items():
        record = records.get(uuid) or new_record(domain)
        if record.declared not in ("", domain.state):
            record = _decided_anew(record)
            withdrawn = domain.state in (State.RUNNING, State.MANUAL)
            record = replace(record, reply=None) if withdrawn else record
        if record.probe not in ("", str(domain.probe)):
            record = _to_be_proved_anew(record)
        records[uuid] = replace(
            record,
            name=domain.name,
            declared=domain.state,
            probe=str(domain.probe),
            predecessors=domain.predecessors,
            stop_timeout=domain.stop_timeout.seconds,
            hung_timeout=None if domain.hung_timeout is None else domain.hung_timeout.seconds,
            stop_max=None if domain.stop_max is None else domain.stop_max.seconds,
            hvm=domain.type is GuestType.HVM,
        )
    for uuid, record in records.items():
        if uuid not in declared:
            records[uuid] = replace(record, declared="")
    forced = set(memory.forced)
    if not isinstance(observed.domains, Unavailable):
        live = observed.by_uuid()
        for uuid, record in records.items():
            ends = uuid not in live or live[uuid].state is LiveState.DYING
            if ends and _was_destroyed(record) and record.off is None and memory.shutting_down is not None:
                forced.add(record.known_as)
            if uuid in live:
                records[uuid] = replace(_alive(record, live[uuid], now), away=None)
            else:
                away = now if record.away is None else record.away
                records[uuid] = replace(_gone(record, words.get(uuid, Off.LOST), now), away=away)
    kept = {
        uuid: _inherited(record, records.values(), now) for uuid, record in records.items() if _is_kept(record, now)
    }
    return replace(memory, records=MappingProxyType(dict(sorted(kept.items()))), forced=tuple(sorted(forced)))


def _is_kept(record: Record, now: float) -> bool:
    """Nothing is left to say of the others. One whose section has vanished is no stranger when it comes back from a
    reboot of its own."""
    may_come_back = record.off in (Off.REBOOTING, Off.LOST) and now - (record.off_since or now) <= REBOOT_GRACE
    return bool(record.declared) or record.domid is not None or may_come_back


def _inherited(record: Record, others: Collection[Record], now: float) -> Record:
    """One whose section has vanished comes after all that those came after which vanished with it and are forgotten,
    since they are off: else it would lose its place."""
    if record.declared:
        return record
    names = {other.name for other in others if _is_kept(other, now)}
    further = nearest(record.predecessors, names, {other.name: other.predecessors for other in others})
    return replace(record, predecessors=tuple(dict.fromkeys((*record.predecessors, *further))))


def _decided_anew(record: Record) -> Record:
    """A new decision in the files: what a guest or a word by hand decided before no longer counts."""
    if record.off is not Off.REBOOTING:
        record = replace(record, off=None, off_since=None)
    record = replace(record, hand=None, hand_domid=None, away=None, preparing="")
    return replace(record, crashes=(), retry_at=None, failures=0, failure="")


def _to_be_proved_anew(record: Record) -> Record:
    """What another probe has proved is not lost where this one fails: it may have a mistake in it."""
    return replace(record, ready=False, gave_up_waiting=False, probed=None, lost=None, unready="", untried=False)


def new_record(domain: Domain) -> Record:
    return Record(uuid=domain.uuid, name=domain.name)


def _alive(record: Record, live: LiveDomain, now: float) -> Record:
    if record.domid != live.domid and live.state is LiveState.PAUSED:
        return record  # `xl create` is still building it, and may yet fail: not born
    if record.domid != live.domid:
        # from its own reboot; or it was never away: a look that did not show it was wrong
        came_back = record.domid is not None or record.off is Off.REBOOTING or record.lived == live.domid
        if record.hand is Hand.RESTART and record.hand_domid != live.domid:
            record = replace(record, hand=Hand.START, hand_domid=None)
        elif record.hand in (Hand.STOP, Hand.DESTROY) and not came_back and not _is_ours(record):
            record = replace(record, hand=Hand.START, hand_domid=None)  # somebody used xl: not fought
        if not came_back and record.off not in (None, Off.LOST):
            record = replace(record, running=MappingProxyType({}), staged=None)  # not started by us: unknown
        if record.lived != live.domid:  # else it may still act on our request, and its reboot is still to come
            record = replace(
                record,
                stop_asked=None,
                # a guest's own reboot picks up what `xl config-update` had staged
                running=record.staged if record.staged is not None else record.running,
                staged=None if record.staged else record.staged,  # where that was not known, it is still to be staged
            )
        record = replace(
            lifeless(record),
            xl_name=live.name,
            monitor=record.monitor if came_back and record.monitor else live.name,
            domid=live.domid,
            lived=live.domid,
            born=now,
            off=None,
            off_since=None,
        )
    if not record.xl_name:  # what dies has no name any more
        record = replace(record, xl_name=live.name, monitor=record.monitor or live.name)
    if live.state is LiveState.DYING:
        return replace(record, dying_since=now if record.dying_since is None else record.dying_since)
    if not live.is_down:
        return _on_its_own(record, now)
    if record.off is None:
        if live.state is LiveState.CRASHED:
            return replace(counted(record, now), off=Off.CRASH, off_since=now, ready=False)
        if record.stop_asked is None and record.born is not None and now - record.born < SHORT_LIFE:
            record = counted(record, now)
        cause = Off.STOPPED if record.stop_asked is not None else Off.POWEROFF
        return replace(record, off=cause, off_since=now, ready=False)
    return record


def _on_its_own(record: Record, now: float) -> Record:
    """A guest that is up. A request that was withdrawn, and on which it has not acted in all the time that a request
    may take, explains nothing that it does from now on."""
    if record.stop_asked is None or record.reply is not None or now < record.stop_asked + record.patience.most:
        return record
    return replace(record, stop_asked=None)


def _is_ours(record: Record) -> bool:
    """Whether what is born is what we started, and a word to stop it came before its birth was seen."""
    return record.off is None and bool(record.running)


def _gone(record: Record, words: Off | None, now: float) -> Record:
    if record.domid is None and record.off not in (Off.REBOOTING, Off.LOST):
        return record
    off, since = record.off, record.off_since
    if off is None or off in (Off.REBOOTING, Off.LOST):
        told = words if words not in (None, Off.LOST) else (off or Off.LOST)  # what was told once holds
        asked = record.domid is not None and record.stop_asked is not None and told is not Off.REBOOTING
        if off is None and told is Off.LOST and not asked and not _was_destroyed(record):
            record = counted(record, now)
        # one that was asked may reboot instead: where its monitor's words could not be read, that is not known
        stopped = asked and words is not None
        told = Off.DESTROYED if _was_destroyed(record) else Off.STOPPED if stopped else told
        off, since = told, since if off is not None else now
    return replace(lifeless(record), off=off, off_since=since)


def _was_destroyed(record: Record) -> bool:
    return record.domid is not None and record.destroying == record.domid
