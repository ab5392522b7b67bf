"""What a rehearsal tells: the timeline, and what becomes of each domU, with the reason where it does not come back."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.unit.planner.build import NOW, WALL, desired, dom, live, memory, observed, ready, rec
from tests.unit.planner.past import START, deed, event
from xenlocal.model.desired import Desired, State
from xenlocal.model.history import Entry, What
from xenlocal.model.memory import Memory, Record
from xenlocal.model.names import Target, bridge, domain
from xenlocal.model.observed import LiveDomain, Observed, Unavailable
from xenlocal.model.plan import Goal, Notice, Plan, Refusal
from xenlocal.planner.rehearsal import (
    Fate,
    Moment,
    Rehearsal,
    Scene,
    fate_by_hand,
    fates_of_reboot,
    timeline,
)

EMPTY = Plan(Goal.CONVERGE)


def scene(want: Desired, seen: Observed | None = None) -> Scene:
    return Scene(want, seen or observed(), Memory(), {}, NOW, WALL, {})


# The timeline.


@pytest.mark.parametrize(
    ("outcome", "message", "result"),
    [
        ("done", "", "done"),
        ("done", "with a remark", "done"),
        ("failed", "no memory left", "failed: no memory left"),
        ("late", "", "late"),
    ],
)
def test_a_step_is_a_part_of_the_timeline_and_says_why_it_was_not_done(outcome: str, message: str, result: str) -> None:
    told = timeline([deed("log in to iscsi/bay1", 2, 3, outcome=outcome, message=message)], START)
    assert told == (Moment(2, 5, "iscsi/bay1", "log in to", result),)


@pytest.mark.parametrize(
    ("entry", "moment"),
    [
        (event(What.READY, "domain/web", 30, 20.0), Moment(10, 30, "domain/web", "await", "ready")),
        (event(What.LATE, "domain/web", 30, 20.0), Moment(10, 30, "domain/web", "await", "not ready in time")),
        (event(What.READY, "domain/web", 30, 50.0), Moment(0, 30, "domain/web", "await", "ready")),  # born before
        (event(What.READY, "domain/web", 30, message="again"), None),
        (event(What.OFF, "domain/web", 30, 20.0), None),
        (event(What.BORN, "domain/web", 30), None),
    ],
)
def test_so_is_waiting_for_readiness_and_nothing_else_that_happens(entry: Entry, moment: Moment | None) -> None:
    assert timeline([entry], START) == (() if moment is None else (moment,))


def test_it_is_in_the_order_of_begin_then_end_then_name() -> None:
    told = timeline(
        [
            deed("start domain/late", 9, 1),
            deed("start domain/z", 0, 2),
            deed("start domain/b", 0, 5),
            deed("start domain/a", 0, 5),
            event(What.READY, "domain/z", 4, 3.0),
        ],
        START,
    )
    assert [(each.what, each.target) for each in told] == [
        ("start", "domain/z"),
        ("start", "domain/a"),
        ("start", "domain/b"),
        ("await", "domain/z"),
        ("start", "domain/late"),
    ]


# Who comes back.

UP, OFF = (live(7, "web"),), ()


@pytest.mark.parametrize(
    ("state", "here", "record", "well", "meant", "reason"),
    [
        (State.RUNNING, UP, ready("web", 7), True, True, ""),
        (State.RUNNING, UP, rec("web", domid=7), True, True, "comes up, but is not ready after 5m"),
        (State.RUNNING, UP, None, True, True, "comes up, but is not ready after 5m"),
        (State.RUNNING, (live(7, "web", "paused"),), ready("web", 7), True, True, ""),
        (State.MANUAL, UP, ready("web", 7), True, False, ""),
        (State.RUNNING, OFF, ready("web", 7), False, True, "is off, and nothing tells why"),
        (State.RUNNING, OFF, None, False, True, "is off, and nothing tells why"),
        (State.RUNNING, (live(7, "web", "crashed"),), None, False, True, "is off, and nothing tells why"),
        (State.RUNNING, (live(7, "web", "dying"),), None, False, True, "is off, and nothing tells why"),
        (State.MANUAL, OFF, None, False, False, "state = manual in a.conf:1"),
        (State.STOPPED, OFF, None, False, False, "state = stopped in a.conf:1"),
    ],
)
def test_a_declared_domu_comes_back_or_it_is_said_why_not(
    state: State, here: Iterable[LiveDomain], record: Record | None, well: bool, meant: bool, reason: str
) -> None:
    remembered = memory(*([record] if record else []))
    told = fates_of_reboot(scene(desired(dom("web", state=state))), observed(*here), remembered, EMPTY)
    assert told == (Fate("web", well, meant, reason),)


def plan_of(refusals: Iterable[tuple[Target, str]], notices: Iterable[tuple[Target, str]]) -> Plan:
    told = tuple(Refusal(target, text) for target, text in refusals)
    return Plan(Goal.CONVERGE, refusals=told, notices=tuple(Notice(target, text) for target, text in notices))


WEB, DB = domain("web"), domain("db")
FAILED = rec("web", failure="xl: no bootable disk")


@pytest.mark.parametrize(
    ("refusals", "record", "notices", "reason"),
    [
        ([(DB, "not this"), (WEB, "its disk is gone"), (WEB, "and more")], FAILED, [(WEB, "n")], "its disk is gone"),
        ([(DB, "not this")], FAILED, [(WEB, "a notice")], "xl: no bootable disk"),
        ([(bridge("web"), "not this")], rec("web"), [(DB, "not this"), (WEB, "a notice")], "a notice"),
        ([], None, [(WEB, "a notice")], "a notice"),
        ([], rec("web"), [(DB, "not this")], "is off, and nothing tells why"),
    ],
)
def test_the_first_reason_is_the_refusal_then_the_failure_then_what_else_is_noticed(
    refusals: list[tuple[Target, str]], record: Record | None, notices: list[tuple[Target, str]], reason: str
) -> None:
    remembered = memory(rec("db", failure="not this"), *([record] if record else []))
    want = desired(dom("db", state=State.ABSENT), dom("web"))
    told = fates_of_reboot(scene(want), observed(), remembered, plan_of(refusals, notices))
    assert told == (Fate("web", False, True, reason),), "and one that is to be absent has no fate to tell"


@pytest.mark.parametrize(
    ("before", "told_of"),
    [
        (live(3, "theirs"), True),
        (live(3, "theirs", "paused"), True),
        (live(3, "theirs", "dying"), False),
        (live(3, "theirs", "shutdown"), False),
        (live(3, "", uuid="being-built"), False),  # not even xl knows its name
        (live(3, "web"), False),  # declared: it has its own
    ],
)
def test_one_that_runs_today_and_that_no_section_declares_is_not_started_again(
    before: LiveDomain, told_of: bool
) -> None:
    told = fates_of_reboot(
        scene(desired(dom("web"), dom("a")), observed(before)),
        observed(live(7, "web"), live(8, "a")),
        memory(ready("web", 7), ready("a", 8)),
        EMPTY,
    )
    stranger = Fate("theirs", False, False, "no section declares it: nothing starts it again")
    web, other = Fate("web", True, True, ""), Fate("a", True, True, "")
    assert told == ((other, stranger, web) if told_of else (other, web)), "by name"


def test_a_host_of_which_nobody_knows_who_runs_has_no_strangers() -> None:
    unknown = scene(desired(), observed(domains=Unavailable("xl hangs")))
    assert fates_of_reboot(unknown, observed(), Memory(), EMPTY) == ()


@pytest.mark.parametrize(
    ("fates", "well"),
    [
        ((), True),
        ((Fate("a", True, True, ""), Fate("b", False, False, "state = manual in a.conf:1")), True),
        ((Fate("a", True, True, ""), Fate("b", False, True, "its disk is gone")), False),
        ((Fate("a", False, True, "its disk is gone"), Fate("b", True, False, "")), False),
        ((Fate("a", False, False, "state = manual in a.conf:1"),), True),
    ],
)
def test_a_rehearsal_went_well_where_all_came_back_that_were_meant_to(fates: tuple[Fate, ...], well: bool) -> None:
    assert Rehearsal("reboot", (), fates, ()).well is well


# A start or stop by hand.


@pytest.mark.parametrize(
    ("verb", "here", "record", "well"),
    [
        ("start", UP, ready("web", 7), True),
        ("start", UP, rec("web", domid=7), False),
        ("start", UP, None, False),
        ("start", OFF, ready("web", 7), False),
        ("start", (live(7, "web", "crashed"),), ready("web", 7), False),
        ("start", (live(7, "db"),), ready("web", 7), False),
        ("stop", OFF, None, True),
        ("stop", (live(7, "web", "shutdown"),), rec("web"), True),
        ("stop", (live(7, "db"),), rec("web"), True),
        ("stop", UP, ready("web", 7), False),
        ("stop", UP, rec("web", domid=7), False),
    ],
)
def test_a_start_went_well_where_it_is_ready_and_a_stop_where_it_is_off(
    verb: str, here: Iterable[LiveDomain], record: Record | None, well: bool
) -> None:
    end = (observed(*here), memory(*([record] if record else [])))
    told = fate_by_hand(verb, "web", scene(desired(dom("db"), dom("web"))), end, "what xenlocal answers")
    assert told == Fate("web", well, True, "what xenlocal answers")
