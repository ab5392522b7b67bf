"""How the memory changes: pure transitions, one for every thing that can happen to a domU.

`learn` takes what a look at the host shows; the others take what we did and how it ended. What a guest shows while it
is to stop is in `replies`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from xenlocal.model.desired import Desired, Domain, GuestType, State
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.observed import LiveDomain, LiveState, Observed, Unavailable
from xenlocal.planner import xlcfg
from xenlocal.planner.order import nearest

CRASH_WINDOW = 3600.0  # seconds: crashes older than this are forgotten
CRASH_CAP = 5  # so many in the window, and the domU stays off
SHORT_LIFE = 60.0  # seconds: a guest that powers itself off so early counts like one that crashed
REBOOT_GRACE = 60.0  # seconds a monitor gets to create its domU anew; it sleeps 2 s itself (FACTS)
UNREADY_GRACE = 60.0  # seconds in which one that is not ready any more may recover before it is restarted
LOST_GRACE = 10.0  # seconds before a domU that is gone for no known reason is started again
FIRST_RETRY = 10.0  # seconds; doubles with each failure in a row
LAST_RETRY = 300.0


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
            or (record.domid is not None and record.off is None)
        )
    )


def names_of_monitor(record: Record, observed: Observed) -> tuple[str, ...]:
    """By which the monitor of a domU that is not live may go: first that of its latest life, unless that is another's
    name by now; then that of a start just begun."""
    live = {} if isinstance(observed.domains, Unavailable) else observed.domains
    taken = any(each.name == record.monitor and each.uuid != record.uuid for each in live.values())
    return (record.name,) if taken or record.monitor in ("", record.name) else (record.monitor, record.name)


def learn(memory: Memory, desired: Desired, observed: Observed, words: Mapping[str, Off], now: float) -> Memory:
    """The memory after a look. `words`: for each `unexplained` UUID what its monitor told."""
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
    for uuid in sorted(records.keys() - declared.keys()):
        records[uuid] = replace(records[uuid], declared="")
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
                records[uuid] = replace(_gone(record, words.get(uuid), now), away=away)
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
    return replace(record, hand=None, hand_domid=None, away=None, crashes=(), retry_at=None, failures=0, failure="")


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
        elif record.hand in (Hand.STOP, Hand.DESTROY) and not came_back:
            record = replace(record, hand=Hand.START, hand_domid=None)  # somebody used xl: not fought
        if not came_back and record.off not in (None, Off.LOST):
            record = replace(record, running=MappingProxyType({}), staged=None)  # not started by us: unknown
        record = replace(
            record,
            xl_name=live.name,
            monitor=record.monitor if came_back and record.monitor else live.name,
            domid=live.domid,
            lived=live.domid,
            born=now,
            ready=False,
            gave_up_waiting=False,
            unready="",
            untried=False,
            lost=None,
            off=None,
            off_since=None,
            dying_since=None,
            stop_asked=None,
            reply=None,
            # a guest's own reboot picks up what `xl config-update` had staged
            running=record.staged if record.staged is not None else record.running,
            staged=None,
        )
    if not record.xl_name:  # what dies has no name any more
        record = replace(record, xl_name=live.name, monitor=record.monitor or live.name)
    if live.state is LiveState.DYING and record.dying_since is None:
        return replace(record, dying_since=now)
    if live.is_down and record.off is None:
        if live.state is LiveState.CRASHED:
            return replace(_counted(record, now), off=Off.CRASH, off_since=now, ready=False)
        if record.stop_asked is None and record.born is not None and now - record.born < SHORT_LIFE:
            record = _counted(record, now)
        cause = Off.STOPPED if record.stop_asked is not None else Off.POWEROFF
        return replace(record, off=cause, off_since=now, ready=False)
    return record


def _counted(record: Record, now: float) -> Record:
    """One more end that was not meant to be: what back-off and the cap go by."""
    recent = tuple(when for when in record.crashes if now - when < CRASH_WINDOW)
    return replace(record, crashes=(*recent, now))


def _gone(record: Record, words: Off | None, now: float) -> Record:
    if record.domid is None and record.off not in (Off.REBOOTING, Off.LOST):
        return record
    off, since = record.off, record.off_since
    if off is None or off in (Off.REBOOTING, Off.LOST):
        told = words if words not in (None, Off.LOST) else (off or Off.LOST)  # what was told once holds
        asked = record.stop_asked is not None and told is not Off.REBOOTING
        if off is None and told is Off.LOST and not asked and not _was_destroyed(record):
            record = _counted(record, now)
        told = Off.DESTROYED if _was_destroyed(record) else Off.STOPPED if asked else told
        off, since = told, since if off is not None else now
    return replace(
        record,
        domid=None,
        born=None,
        ready=False,
        gave_up_waiting=False,
        dying_since=None,
        unready="",
        untried=False,
        lost=None,
        stop_asked=None,
        reply=None,
        off=off,
        off_since=since,
    )


def forget(memory: Memory) -> Memory:
    """Start of a boot goal: what was decided by hand or by a guest before is forgotten."""
    return replace(
        memory,
        records=MappingProxyType(
            {
                uuid: replace(
                    record,
                    hand=None,
                    hand_domid=None,
                    away=None,
                    reply=None,
                    off=None,
                    off_since=None,
                    crashes=(),
                    failures=0,
                    failure="",
                    retry_at=None,
                )
                for uuid, record in memory.records.items()
            }
        ),
    )


def by_hand(memory: Memory, uuid: str, hand: Hand) -> Memory:
    """An administrator's word. It also ends back-off: they know what they do."""
    record = memory.records[uuid]
    if hand is Hand.START and record.domid is not None and record.off is not None:
        hand = Hand.RESTART  # only the shell of an ended guest is there: reap it, then start
    return memory.change(
        uuid,
        hand=hand,
        hand_domid=record.domid if hand in (Hand.RESTART, Hand.DESTROY) else None,
        reply=None if hand is Hand.START else record.reply,  # a request withdrawn: the next one begins anew
        away=None if hand in (Hand.START, Hand.RESTART) else record.away,  # what it comes `after` is waited for anew
        # its monitor is about to create it anew: a second create would race with it
        off=None if hand is Hand.START and record.off is not Off.REBOOTING else record.off,
        crashes=(),
        failures=0,
        failure="",
        retry_at=None,
    )


def starting(memory: Memory, uuid: str, settings: Mapping[str, str]) -> Memory:
    """`xl create` is about to run: what appears under this UUID from now on runs with these settings. Nothing is left
    of its former self, whose end was counted when it was seen: that it is gone is no second end."""
    memory = memory.change(uuid, domid=None, born=None, ready=False, gave_up_waiting=False, stop_asked=None, reply=None)
    memory = memory.change(uuid, xl_name="", monitor="")  # the new one has the declared name
    return _runs_with(memory, uuid, settings)


def started(memory: Memory, uuid: str, settings: Mapping[str, str]) -> Memory:
    return _runs_with(memory, uuid, settings).change(uuid, failures=0, failure="", retry_at=None)


def _runs_with(memory: Memory, uuid: str, settings: Mapping[str, str]) -> Memory:
    return memory.change(uuid, running=settings, staged=None, off=None, off_since=None)


def start_failed(memory: Memory, uuid: str, why: str, now: float) -> Memory:
    failures = memory.records[uuid].failures + 1
    unknown: Mapping[str, str] = MappingProxyType({})  # whatever may be there is not what was to be started
    return memory.change(uuid, failures=failures, failure=why, retry_at=now + retry_delay(failures), running=unknown)


def retry_delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return float(min(FIRST_RETRY * 2 ** min(failures - 1, 10), LAST_RETRY))


def crash_delay(crashes: int) -> float:
    """Seconds between the latest of so many crashes and the restart: none after the first."""
    return 0.0 if crashes <= 1 else retry_delay(crashes - 1)


def shutting_down(memory: Memory, now: float) -> Memory:
    """The host is to go down, or somebody says so once more: a foreign domU may be asked once more too."""
    if memory.shutting_down is None or memory.shutdown_over:
        memory = replace(memory, shutting_down=now, shutdown_over=False, forced=())
    return replace(memory, foreign_asked=MappingProxyType({}))


def became_ready(memory: Memory, uuid: str, now: float) -> Memory:
    """Its probe says that it does its job. One that recovers by itself has caused no restart, so it counts as none."""
    record = memory.records[uuid]
    crashes = tuple(when for when in record.crashes if when != record.lost)
    ready = replace(record, ready=True, gave_up_waiting=False, unready="", untried=False, lost=None, probed=now)
    return memory.with_record(replace(ready, crashes=crashes))


def not_ready(memory: Memory, uuid: str, why: str, tried: bool) -> Memory:
    """One more try of its probe that did not show that it is ready."""
    return memory.change(uuid, unready=why, untried=not tried)


def lost_readiness(memory: Memory, uuid: str, why: str, now: float, counts: bool) -> Memory:
    """It was ready, and its probe says that it is not any more: those who need it wait again."""
    record = replace(memory.records[uuid], ready=False, gave_up_waiting=True, unready=why, lost=now, untried=False)
    return memory.with_record(_counted(record, now) if counts else record)


def destroying(memory: Memory, uuid: str, domid: int | None) -> Memory:
    """It is about to be destroyed: should we not live to see the end of that, it was forced all the same. None: it has
    ended by itself in the last moment."""
    return memory.change(uuid, destroying=domid) if uuid in memory.records else memory


def _was_destroyed(record: Record) -> bool:
    return record.domid is not None and record.destroying == record.domid


def destroyed(memory: Memory, uuid: str, name: str, now: float) -> Memory:
    """It had to be destroyed: its own time was over."""
    forced = memory.forced if memory.shutting_down is None else tuple(sorted({*memory.forced, name}))
    memory = replace(memory, forced=forced)
    return memory.change(uuid, off=Off.DESTROYED, off_since=now) if uuid in memory.records else memory


def attached(memory: Memory, uuid: str, key: str, spec: str) -> Memory:
    """The running domU has one more disk (`key` disk) or nic (vif)."""
    items = xlcfg.parts(memory.records[uuid].running[key])
    return changed_live(memory, uuid, key, xlcfg.joined([*items.values(), spec]))


def detached(memory: Memory, uuid: str, key: str, spec: str) -> Memory:
    """... or one less."""
    items = xlcfg.parts(memory.records[uuid].running[key])
    left = [item for name, item in items.items() if name != xlcfg.name_of(spec)]
    return changed_live(memory, uuid, key, xlcfg.joined(left))


def changed_live(memory: Memory, uuid: str, key: str, rendered: str) -> Memory:
    """A setting of the running domU was brought to what is declared."""
    return memory.change(uuid, running=MappingProxyType({**memory.records[uuid].running, key: rendered}))
