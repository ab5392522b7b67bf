"""The shutdown goal: every guest of the host is asked to stop, ours and foreign, in reverse start order.

A domU is asked as soon as all that stand on it are gone; independent ones at once, so their times overlap.
"""

from __future__ import annotations

from collections.abc import Mapping

from xenlocal.model.actions import DestroyDomain, StopDomain
from xenlocal.model.desired import Desired, Patience
from xenlocal.model.memory import Hand, Memory, Record
from xenlocal.model.names import THIS_HOST
from xenlocal.model.names import domain as domain_target
from xenlocal.model.observed import NOT_ASKED, LiveDomain, LiveState, Observed, Table
from xenlocal.model.units import Duration
from xenlocal.planner.draft import Draft, ends_and_shells
from xenlocal.planner.looks import names_of_monitor
from xenlocal.planner.order import nearest, start_order, successors, tied, without_circles
from xenlocal.planner.wishes import is_up

DEFAULT_STOP = 300.0  # seconds, for a foreign domU
_BIRTH_WAIT = 120.0  # seconds an `xl create` gets; under autoballoon the dom0 has to give its memory away first
_BIRTH_LOOK = 1.0  # seconds between two looks at one
ENDGAME = 15.0  # seconds of the deadline kept for destroying what hangs
LAST_LOOK = 3.0  # ... the last of them for seeing who is left
# An `xl destroy` that takes longer hangs: libxl itself waits 10 s for a guest's devices, and 40 s for their scripts.
DESTROY_WITHIN = Duration(60)

_BLIND = (
    "no guest can be seen, asked to stop or destroyed while xl does not answer; tried until shutdown_deadline is over."
    " Where xl hangs, xenstored has usually died; `xenstore-read domid` hangs too then, and only a reboot helps"
)
_OUTLINE = (
    "xl does not tell which guests run ({why}): they are seen and asked through xenstore, where one that has crashed"
    " looks like one that runs, and none can be destroyed"
)


def plan_shutdown(draft: Draft, desired: Desired, observed: Observed, memory: Memory, now: float) -> None:
    live = draft.table(Table.DOMAINS, observed.domains)
    if live is None:
        if observed.domains != NOT_ASKED:
            draft.notice(THIS_HOST, _BLIND)
        return
    if observed.xl is not None:
        draft.notice(THIS_HOST, _OUTLINE.format(why=observed.xl.why))
    records = memory.records
    if memory.shutdown_over:
        text = "was started after the guests of this host had been shut down: left as it is; `xenlocal boot` goes on"
        for each in live.values():
            if each.uuid in records and is_up(each):
                draft.notice(domain_target(_name(each)), text)
        return
    begun = memory.shutting_down if memory.shutting_down is not None else now
    _await_births(draft, records, live, observed, begun, now)
    going = {_key(each): each for each in live.values() if not _has_ended(each, observed)}
    names = {records[each.uuid].name: key for key, each in going.items() if each.uuid in records}
    remembered = {record.name: record.predecessors for record in records.values()}
    before: Mapping[str, tuple[str, ...]] = {
        key: tuple(names[name] for name in nearest(_predecessors(records.get(each.uuid)), names, remembered))
        for key, each in going.items()
    }
    before = without_circles(before)
    order, followers = start_order(before), successors(before)
    whole = max(desired.host.shutdown_deadline.seconds - ENDGAME, 1.0)
    left = max(begun + whole - now, 1.0)
    end_by = now + left
    share: dict[str, float] = {}
    ask_by: dict[str, float] = {}
    for part in tied(order, before):  # a chain that is too long takes no time from guests that have no part in it
        own = _share_of_time(going, memory, part, followers, left, now)
        share |= dict.fromkeys(part, own)
        ask_by |= _last_turns(going, memory, part, before, whole, end_by)
        if own < 1:
            draft.notice(
                THIS_HOST,
                "the stop timeouts along the longest chain exceed shutdown_deadline ="
                f" {desired.host.shutdown_deadline}: every guest that is tied to it gets {own:.0%} of its own",
            )
    times = {key: _time_left(going, memory, key, share[key], now) for key in going}
    behind = _time_behind(times, order, before)
    ends: dict[str, tuple[str, ...]] = {}  # what those wait for that it stands on: its end, and what it waits not for
    for key in reversed(order):
        each = going[key]
        record = records.get(each.uuid)
        later = tuple(dict.fromkeys(step for follower in followers[key] for step in ends[follower]))
        if each.is_down:
            if record is None:
                continue  # foreign and ended: nothing to ask, and not ours to clear away
            reap = DestroyDomain(each.name, each.uuid, each.domid, verb="reap", within=DESTROY_WITHIN)
            ends[key] = (draft.step(reap, "has ended; only its shell is left", after=later),)
            continue
        if record is not None and record.hand is Hand.DESTROY and record.hand_domid == each.domid:
            given_up = DestroyDomain(each.name, each.uuid, each.domid, verb="destroy", within=DESTROY_WITHIN)
            ends[key] = (draft.step(given_up, "given up by hand while the host shuts down"), *later)
            continue
        patience = (record.patience if record is not None else Patience.of(DEFAULT_STOP, None, None)).scaled(share[key])
        timeout = Duration(patience.stop)
        asked = _asked(memory, each)
        if record is None and asked is not None and now >= asked + timeout.seconds:
            draft.notice(domain_target(_name(each)), "did not stop in its time; not ours, so it is left running")
            continue
        waits = now < ask_by[key]
        step = draft.step(
            StopDomain(
                _name(each),
                each.uuid,
                each.domid,
                timeout,
                asked,
                destroy=record is not None,
                hung=Duration(patience.hung),
                most=Duration(patience.most),
                grow_until=end_by - behind[key],
                end_by=end_by,
                ask_by=ask_by[key],
                hvm=record is not None and record.hvm,
            ),
            "the host shuts down" + ("" if record is not None else "; not ours, so only asked"),
            *ends_and_shells(later if waits else ()),
        )
        ends[key] = (step,) if waits else (step, *later)


def _has_ended(live: LiveDomain, observed: Observed) -> bool:
    """Nothing is left to do. By what only xenstore shows nothing is cleared away either: that proves too little."""
    return live.state is LiveState.DYING or (live.is_down and observed.xl is not None)


def _key(live: LiveDomain) -> str:
    return f"{live.name}#{live.domid}"


def _name(live: LiveDomain) -> str:
    return live.name or f"domid-{live.domid}"


def _asked(memory: Memory, live: LiveDomain) -> float | None:
    record = memory.records.get(live.uuid)
    return record.asked_as(live.domid) if record is not None else memory.foreign_asked.get(live.domid)


def _predecessors(record: Record | None) -> tuple[str, ...]:
    return record.predecessors if record is not None else ()


def _timeout(record: Record | None) -> float:
    return record.stop_timeout if record is not None else DEFAULT_STOP


def _time_left(going: Mapping[str, LiveDomain], memory: Memory, key: str, share: float, now: float) -> float:
    """What is left of a guest's own time; a guest already asked has used up some of it."""
    live, asked = going[key], _asked(memory, going[key])
    time = 0.0 if live.is_down else _timeout(memory.records.get(live.uuid)) * share
    return time if asked is None else max(time - (now - asked), 0.0)


def _time_behind(
    times: Mapping[str, float], order: tuple[str, ...], before: Mapping[str, tuple[str, ...]]
) -> Mapping[str, float]:
    """How many seconds those need that are asked only when this one has ended: a guest that takes longer than its own
    time takes none of theirs. `times`: of each guest alone."""
    behind: dict[str, float] = {}
    for key in order:
        behind[key] = max((times[other] + behind[other] for other in before[key]), default=0.0)
    return behind


def _last_turns(
    going: Mapping[str, LiveDomain],
    memory: Memory,
    order: tuple[str, ...],
    before: Mapping[str, tuple[str, ...]],
    whole: float,
    end_by: float,
) -> Mapping[str, float]:
    """When each guest is asked at the latest, though one that follows it is still there and cannot even be destroyed:
    half of its own time is left to it then, and the whole of theirs to those it stands on. Its time is its share of
    the `whole`, not of what waiting has left of that: else its turn would recede for ever."""
    full = {key: 0.0 if each.is_down else _timeout(memory.records.get(each.uuid)) for key, each in going.items()}
    behind = _time_behind(full, order, before)
    longest = max(full[key] + behind[key] for key in order)
    share = whole / max(longest, whole)
    return {key: end_by - (behind[key] + full[key] / 2) * share for key in order}


def _share_of_time(
    going: Mapping[str, LiveDomain],
    memory: Memory,
    order: tuple[str, ...],
    followers: Mapping[str, tuple[str, ...]],
    left: float,
    now: float,
) -> float:
    """1, or the part of its stop timeout each guest can be given so that the longest chain ends in `left`.

    Time that a guest already asked has used up counts as its own, so that a plan made again, after a restart
    of the daemon for instance, gives nobody less than the plan before.
    """

    def longest(share: float) -> float:
        ends: dict[str, float] = {}
        for key in reversed(order):
            begin = max((ends[follower] for follower in followers[key]), default=0.0)
            ends[key] = begin + _time_left(going, memory, key, share, now)
        return max(ends.values())

    if longest(1.0) <= left:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):  # longest() grows with its share: halve the interval until it does not matter
        middle = (low + high) / 2
        low, high = (middle, high) if longest(middle) <= left else (low, middle)
    return low


def _await_births(
    draft: Draft,
    records: Mapping[str, Record],
    live: Mapping[int, LiveDomain],
    observed: Observed,
    begun: float,
    now: float,
) -> None:
    """A domU that is about to be born must not be left running: by an `xl create` that outlived its daemon, or by
    the monitor of a guest that reboots by itself. A monitor whose guest has ended for good exits at once (FACTS).
    """
    monitors = draft.table(Table.MONITORS, observed.monitors)
    here = {each.uuid for each in live.values() if each.state is not LiveState.DYING}
    for uuid, record in records.items():
        at_work = [] if monitors is None else [name for name in names_of_monitor(record, observed) if name in monitors]
        if uuid in here or not at_work:
            continue
        target, what = domain_target(record.name), "an xl process is at work on it: its own reboot, or a start"
        since = max(when for when in (begun, record.off_since, record.dying_since) if when is not None)
        if now < since + _BIRTH_WAIT:
            text = f"{what} begun before; waited for up to {_BIRTH_WAIT:.0f} s, so that it can be shut down too"
            draft.refuse(target, text, now + _BIRTH_LOOK)
        else:
            look = f"`ps ax | grep domains/{at_work[0]}.cfg` shows it"
            draft.notice(target, f"{what} that hangs; not waited for any longer; {look}")
