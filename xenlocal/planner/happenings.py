"""What has happened between two memories, for the history; and which steps a step had to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xenlocal.model.actions import StartDomain, StopDomain
from xenlocal.model.history import Event, Stamp, What
from xenlocal.model.memory import Memory, Off, Record
from xenlocal.model.names import Kind, Target
from xenlocal.model.plan import Step


def happenings(before: Memory, after: Memory, stamp: Stamp) -> tuple[Event, ...]:
    """Events of every domU whose record has changed. `stamp`: when the change was learned."""
    events = []
    for uuid, record in after.records.items():
        old = before.records.get(uuid)
        if old is not record:
            events += list(_changes(old or Record(uuid, record.name), record, stamp))
    for uuid in before.records.keys() - after.records.keys():
        old = before.records[uuid]
        if old.is_on:  # its section had vanished: nothing is remembered of its end
            events.append(_event(old, What.OFF, stamp, cause=Off.STOPPED if old.stop_asked is not None else ""))
    return tuple(events)


def _changes(old: Record, new: Record, stamp: Stamp) -> Iterator[Event]:
    reborn = new.domid is not None and new.domid != old.domid
    # a birth may change it too, as when it fulfils a restart: no new word
    if new.hand is not None and not reborn and (new.hand, new.hand_domid) != (old.hand, old.hand_domid):
        yield _event(new, What.BY_HAND, stamp, cause=new.hand)
    if reborn:
        again = f"anew, without an end that was seen; it was domid {old.domid}" if old.domid is not None else ""
        yield _event(new, What.BORN, stamp, message=again)
    if new.stop_asked is not None and new.stop_asked != old.stop_asked:
        yield _event(new, What.ASKED, stamp)
    if new.ready and not (old.ready and not reborn):
        if old.lost is not None and not reborn:
            yield _event(new, What.READY, stamp, message="again")  # how long that took is no matter of its birth
        else:
            yield _event(new, What.READY, stamp, seconds=_since(new.born, stamp))
    if new.lost is not None and (old.lost is None or reborn):
        yield _event(new, What.UNREADY, stamp, message=new.unready)
    elif new.gave_up_waiting and not old.gave_up_waiting:
        yield _event(new, What.LATE, stamp, message=new.unready, seconds=_since(new.born, stamp))
    if new.off is not None and new.off is not old.off:
        last = new if new.domid is not None else old  # the life that has ended: its shell is still there, or it is gone
        since = "after its birth" if new.stop_asked is None else "after it was asked"
        if new.off is Off.DESTROYED and new.given_up:
            since += f": it had not stopped {new.given_up}"
        seconds = _since(last.born if new.stop_asked is None else new.stop_asked, stamp)
        yield Event(stamp, _target(new), What.OFF, new.off, since, seconds, new.uuid, last.domid)


def _event(record: Record, what: What, stamp: Stamp, **values: Any) -> Event:
    return Event(stamp, _target(record), what, uuid=record.uuid, domid=record.domid, **values)


def _target(record: Record) -> str:
    return str(Target(Kind.DOMAIN, record.name))


def _since(begin: float | None, stamp: Stamp) -> float | None:
    return None if begin is None else max(stamp.at - begin, 0.0)


def edges(step: Step, memory: Memory) -> tuple[str, ...]:
    """Ids of the steps this one stands on: those of its plan, and those that an earlier plan may have done."""
    action, found = step.action, {*step.needs, *step.after}
    if isinstance(action, StartDomain) and action.uuid in memory.records:
        found |= {f"await domain/{name}" for name in memory.records[action.uuid].predecessors}
    elif isinstance(action, StopDomain):
        followers = [each.name for each in memory.records.values() if action.name in each.predecessors]
        found |= {f"stop domain/{name}" for name in followers}
    return tuple(sorted(found))
