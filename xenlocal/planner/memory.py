"""How the memory changes by what we do and by how that ends, by words by hand and by probes: pure transitions.

What a look at the host teaches is in `looks`, what a guest shows while it is to stop in `replies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.planner import xlcfg

CRASH_WINDOW = 3600.0  # seconds: crashes older than this are forgotten
CRASH_CAP = 5  # so many in the window, and the domU stays off
REBOOT_GRACE = 60.0  # seconds a monitor gets to create its domU anew; it sleeps 2 s itself (FACTS)
UNREADY_GRACE = 60.0  # seconds in which one that is not ready any more may recover before it is restarted
LOST_GRACE = 10.0  # seconds before a domU that is gone for no known reason is started again
RETRIES = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)  # seconds after the first failure in a row, the second, ...


def lifeless(record: Record) -> Record:
    """Nothing is left of what was known of its present life."""
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
        reply=None,
    )


def counted(record: Record, now: float) -> Record:
    """One more end that was not meant to be: what back-off and the cap go by."""
    recent = tuple(when for when in record.crashes if now - when < CRASH_WINDOW)
    return replace(record, crashes=(*recent, now))


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
                    running=record.running if record.domid is not None else MappingProxyType({}),
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
    meant = record.lived if record.domid is None else record.domid  # also where a wrong look has just taken it for gone
    if hand is Hand.START and record.domid is not None and record.off is not None:
        hand = Hand.RESTART  # only the shell of an ended guest is there: reap it, then start
    return memory.change(
        uuid,
        hand=hand,
        hand_domid=meant if hand in (Hand.RESTART, Hand.DESTROY) else None,
        reply=None if hand is Hand.START else record.reply,  # a request withdrawn: the next one begins anew
        away=None if hand in (Hand.START, Hand.RESTART) else record.away,  # what it comes `after` is waited for anew
        # its monitor is about to create it anew: a second create would race with it
        off=None if hand is Hand.START and record.off is not Off.REBOOTING else record.off,
        crashes=(),
        failures=0,
        failure="",
        retry_at=None,
        preparing="",
    )


def trial_failed(memory: Memory, uuid: str) -> Memory:
    """The kernel that it has, or had, is not to be kept: it is started from the one before, whatever its end was."""
    hand = Hand.START if memory.records[uuid].domid is None else Hand.RESTART
    return by_hand(memory, uuid, hand)


def starting(memory: Memory, uuid: str, settings: Mapping[str, str]) -> Memory:
    """`xl create` is about to run: what appears under this UUID from now on runs with these settings. Nothing is left
    of its former self, whose end was counted when it was seen: that it is gone is no second end."""
    record = replace(lifeless(memory.records[uuid]), xl_name="", monitor="")  # the new one has the declared name
    memory = memory.with_record(record)
    return _runs_with(memory, uuid, settings)


def started(memory: Memory, uuid: str, settings: Mapping[str, str]) -> Memory:
    return _runs_with(memory, uuid, settings).change(uuid, failures=0, failure="", retry_at=None, preparing="")


def _runs_with(memory: Memory, uuid: str, settings: Mapping[str, str]) -> Memory:
    return memory.change(uuid, running=settings, staged=None, off=None, off_since=None)


def start_failed(memory: Memory, uuid: str, why: str, now: float) -> Memory:
    failures = memory.records[uuid].failures + 1
    unknown: Mapping[str, str] = MappingProxyType({})  # whatever may be there is not what was to be started
    retry_at = now + retry_delay(failures)
    return memory.change(uuid, failures=failures, failure=why, retry_at=retry_at, running=unknown, preparing="")


def retry_delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return RETRIES[min(failures, len(RETRIES)) - 1]


def crash_delay(crashes: int) -> float:
    """Seconds between the latest of so many crashes and the restart: none after the first."""
    return 0.0 if crashes <= 1 else retry_delay(crashes - 1)


def shutting_down(memory: Memory, now: float) -> Memory:
    """The host is to go down, or somebody says so once more: a foreign domU may be asked once more too. `now`: when
    that was asked for; what a plan of before has destroyed since then counts too."""
    if memory.shutting_down is None or memory.shutdown_over:
        forced = [record.known_as for record in memory.records.values() if _was_forced(record, now)]
        memory = replace(memory, shutting_down=now, shutdown_over=False, forced=tuple(sorted(forced)))
    return replace(memory, foreign_asked=MappingProxyType({}))


def _was_forced(record: Record, since: float) -> bool:
    return record.off is Off.DESTROYED and record.off_since is not None and record.off_since >= since


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
    return memory.with_record(counted(record, now) if counts else record)


def destroying(memory: Memory, uuid: str, domid: int | None) -> Memory:
    """It is about to be destroyed: should we not live to see the end of that, it was forced all the same. None: it has
    ended by itself in the last moment."""
    return memory.change(uuid, destroying=domid, given_up="") if uuid in memory.records else memory


def destroyed(memory: Memory, uuid: str, name: str, now: float) -> Memory:
    """It had to be destroyed: its own time was over."""
    forced = memory.forced if memory.shutting_down is None else tuple(sorted({*memory.forced, name}))
    memory = replace(memory, forced=forced)
    return memory.change(uuid, off=Off.DESTROYED, off_since=now) if uuid in memory.records else memory


def attached(memory: Memory, uuid: str, key: str, spec: str) -> Memory:
    """The running domU has one more disk (`key` disk) or nic (vif)."""
    items = _items(memory, uuid, key)
    return memory if items is None else changed_live(memory, uuid, key, xlcfg.joined([*items.values(), spec]))


def detached(memory: Memory, uuid: str, key: str, spec: str) -> Memory:
    """... or one less."""
    items = _items(memory, uuid, key)
    if items is None:
        return memory
    left = [item for name, item in items.items() if name != xlcfg.name_of(spec)]
    return changed_live(memory, uuid, key, xlcfg.joined(left))


def _items(memory: Memory, uuid: str, key: str) -> dict[str, str] | None:
    """None: it is not known what it runs with, and one part that is known does not make it so."""
    running = memory.records[uuid].running
    return xlcfg.parts(running.get(key, "")) if running else None


def changed_live(memory: Memory, uuid: str, key: str, rendered: str) -> Memory:
    """A setting of the running domU was brought to what is declared."""
    return memory.change(uuid, running=MappingProxyType({**memory.records[uuid].running, key: rendered}))
