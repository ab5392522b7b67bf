"""The events of the history as a whole: which domU and life each is of, what it says and how long that took."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import NOW, TCP, desired, dom, live, memory, observed, plan, ready, rec, uid
from xenlocal.model.actions import AwaitReady, DestroyDomain, StartDomain, StopDomain
from xenlocal.model.history import Event, Stamp, What
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.plan import Step
from xenlocal.model.units import Duration
from xenlocal.planner.happenings import edges, happenings
from xenlocal.planner.looks import learn

AT = Stamp(0.0, NOW)
WEB = {"uuid": uid("web")}
ALIVE = ready("web", 5)
BORN = NOW - 1000  # of what `ready` makes


def told(before: Record | None, after: Record | None) -> list[Event]:
    return list(happenings(memory(*filter(None, [before])), memory(*filter(None, [after])), AT))


def event(what: What, cause: str = "", message: str = "", seconds: float | None = None, domid: int | None = 5) -> Event:
    return Event(AT, "domain/web", what, cause, message, seconds, uid("web"), domid)


# The life of a domU


def test_a_domu_that_was_never_seen_before_is_born_too() -> None:
    assert told(None, rec("web", domid=5, born=NOW)) == [event(What.BORN)]
    assert told(None, rec("web")) == []


def test_a_birth_says_whose_end_was_not_seen() -> None:
    unseen = "anew, without an end that was seen; it was domid 5"
    assert told(ALIVE, rec("web", domid=6, born=NOW)) == [event(What.BORN, message=unseen, domid=6)]
    assert told(rec("web", off=Off.REBOOTING), rec("web", domid=6, born=NOW)) == [event(What.BORN, domid=6)]


def test_it_is_told_once_that_it_was_asked_to_stop_and_again_for_another_request() -> None:
    asked = replace(ALIVE, stop_asked=NOW - 1)
    assert told(ALIVE, asked) == [event(What.ASKED)]
    assert told(asked, replace(asked, ready=False)) == []
    assert told(asked, replace(asked, stop_asked=NOW)) == [event(What.ASKED)]
    assert [each.what for each in told(asked, rec("web", domid=6, born=NOW))] == [What.BORN]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"ready": True}, [event(What.READY, seconds=9)]),
        ({"lost": 1.0}, {"ready": True}, [event(What.READY, message="again")]),
        ({"ready": True}, {"ready": True, "probed": NOW}, []),
        ({}, {"gave_up_waiting": True}, [event(What.LATE, seconds=9)]),
        ({}, {"gave_up_waiting": True, "unready": "refused"}, [event(What.LATE, message="refused", seconds=9)]),
        ({"gave_up_waiting": True}, {"gave_up_waiting": True, "unready": "refused"}, []),
        (
            {"ready": True},
            {"lost": NOW, "gave_up_waiting": True, "unready": "refused"},
            [event(What.UNREADY, message="refused")],
        ),
        ({"lost": NOW - 5}, {"lost": NOW - 5, "unready": "refused"}, []),
        ({"lost": NOW - 5, "gave_up_waiting": True}, {"lost": NOW - 5, "gave_up_waiting": True}, []),
    ],
)
def test_whether_it_does_its_job_is_told_when_that_changes(
    before: dict[str, Any], after: dict[str, Any], expected: list[Event]
) -> None:
    lives = rec("web", domid=5, born=NOW - 9)
    assert told(replace(lives, **before), replace(lives, **after)) == expected


@pytest.mark.parametrize("before", [{"ready": True}, {"lost": NOW - 50}, {"lost": NOW - 50, "ready": True}])
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"ready": True}, event(What.READY, seconds=2, domid=6)),
        ({"lost": NOW, "unready": "refused"}, event(What.UNREADY, message="refused", domid=6)),
    ],
)
def test_what_the_new_life_does_is_not_measured_by_the_old_one(
    before: dict[str, Any], after: dict[str, Any], expected: Event
) -> None:
    birth, *others = told(rec("web", domid=5, born=1.0, **before), rec("web", domid=6, born=NOW - 2, **after))
    assert birth.what is What.BORN and others == [expected]


# Its end


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"off": Off.CRASH}, event(What.OFF, "crash", "after its birth", 1000)),
        ({}, {"domid": None, "born": None, "off": Off.LOST}, event(What.OFF, "lost", "after its birth", 1000)),
        (
            {"stop_asked": NOW - 30},
            {"domid": None, "born": None, "stop_asked": NOW - 30, "off": Off.STOPPED},
            event(What.OFF, "stopped", "after it was asked", 30),
        ),
        (
            {"stop_asked": NOW - 30},
            {"stop_asked": NOW - 30, "off": Off.DESTROYED, "given_up": "within stop_timeout = 30s"},
            event(What.OFF, "destroyed", "after it was asked: it had not stopped within stop_timeout = 30s", 30),
        ),
        (
            {"given_up": "within stop_timeout = 30s"},
            {"given_up": "within stop_timeout = 30s", "off": Off.CRASH},
            event(What.OFF, "crash", "after its birth", 1000),
        ),
        ({}, {"off": Off.DESTROYED}, event(What.OFF, "destroyed", "after its birth", 1000)),
        (
            {"domid": None, "born": None, "off": Off.LOST},
            {"domid": None, "born": None, "off": Off.VANISHED},
            event(What.OFF, "vanished", "after its birth", None, domid=None),
        ),
    ],
)
def test_an_end_is_that_of_the_life_that_was_there(
    before: dict[str, Any], after: dict[str, Any], expected: Event
) -> None:
    assert told(replace(ALIVE, **before), replace(ALIVE, **after)) == [expected]


def test_one_that_was_asked_and_has_ended_within_one_look_has_taken_no_time_from_its_birth() -> None:
    ended = replace(ALIVE, domid=None, born=None, stop_asked=NOW - 3, off=Off.STOPPED)
    assert told(ALIVE, ended)[-1] == event(What.OFF, "stopped", "after it was asked", 3)


def test_a_life_that_began_and_ended_between_two_looks_has_an_end_of_its_own() -> None:
    """The one before was asked to stop: it rebooted instead, and the next one powered itself off."""
    before = memory(replace(ALIVE, stop_asked=NOW - 30, lived=5))
    after = learn(before, desired(dom("web")), observed(live(6, "web", "shutdown")), {}, NOW)
    birth, end = happenings(before, after, AT)
    assert (birth.what, birth.domid) == (What.BORN, 6)
    assert end == event(What.OFF, "poweroff", "after its birth", 0, domid=6)


def test_a_length_is_never_less_than_nothing() -> None:
    """The asking was noted after the look had begun."""
    before = replace(ALIVE, stop_asked=NOW + 1)
    assert told(before, replace(before, off=Off.STOPPED))[0].seconds == 0


@pytest.mark.parametrize(
    ("forgotten", "expected"),
    [
        (ALIVE, [event(What.OFF)]),
        (replace(ALIVE, stop_asked=NOW - 9), [event(What.OFF, "stopped")]),
        (replace(ALIVE, off=Off.CRASH), []),
        (rec("web"), []),
        (rec("web", off=Off.LOST), []),
    ],
)
def test_the_end_of_what_is_forgotten_is_told_unless_it_was_told_before(
    forgotten: Record, expected: list[Event]
) -> None:
    assert told(forgotten, None) == expected


def test_a_word_by_hand_is_told_when_it_is_said() -> None:
    told_to = replace(ALIVE, hand=Hand.RESTART, hand_domid=5)
    assert told(ALIVE, told_to) == [event(What.BY_HAND, "restart")]
    assert told(told_to, replace(told_to, ready=False)) == []


def test_only_those_that_have_changed_are_told_of() -> None:
    before = memory(ALIVE, ready("db", 7))
    (only,) = happenings(before, before.change(uid("db"), stop_asked=NOW), AT)
    assert (only.target, only.uuid, only.domid) == ("domain/db", uid("db"), 7)


# What a step stands on

START = StartDomain("web", uid("web"), "")
STOP = StopDomain("web", uid("web"), 5, Duration(300))
WEB_AFTER_NAS = rec("web", predecessors=("nas",))
APP_AFTER_WEB = rec("app", predecessors=("web",))
DB = rec("db")


@pytest.mark.parametrize(
    ("action", "kept", "found"),
    [
        (START, memory(WEB_AFTER_NAS, APP_AFTER_WEB, DB), ("await domain/nas", "x", "y")),
        (START, memory(APP_AFTER_WEB, DB), ("x", "y")),
        (STOP, memory(WEB_AFTER_NAS, APP_AFTER_WEB, DB), ("stop domain/app", "x", "y")),
        (STOP, memory(WEB_AFTER_NAS, DB), ("x", "y")),
        (AwaitReady("web", uid("web"), TCP, Duration(300)), memory(WEB_AFTER_NAS, APP_AFTER_WEB), ("x", "y")),
        (DestroyDomain("web", uid("web"), 5, "destroy"), memory(WEB_AFTER_NAS, APP_AFTER_WEB), ("x", "y")),
    ],
)
def test_a_start_stands_on_those_before_it_and_a_stop_on_those_after_it(
    action: Any, kept: Memory, found: tuple[str, ...]
) -> None:
    assert edges(Step("id", action, "", needs=("y",), after=("x",)), kept) == found


def test_what_a_step_stands_on_comes_in_order() -> None:
    names = "abcdefgh"
    kept = memory(*(rec(name, predecessors=("web",)) for name in reversed(names)))
    assert edges(Step("id", STOP, ""), kept) == tuple(f"stop domain/{name}" for name in names)


def test_the_edges_of_a_plan_are_kept() -> None:
    (first, second, *_) = plan(desired(dom("db"), dom("web", needs=("db",))), observed()).steps
    assert edges(second, memory()) == (first.id,)
