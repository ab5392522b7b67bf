"""What a word by hand, a start, a probe and the shutdown of the host leave in the memory, field by field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import NOW, desired, dom, live, memory, observed, ready, rec, uid
from xenlocal.model.memory import Hand, Off, Record, Reply
from xenlocal.planner import memory as transitions
from xenlocal.planner.looks import learn

RUNS = {"memory": "1024"}
ASKED = {"stop_asked": NOW - 9, "reply": Reply(NOW - 9)}


# A word by hand


@pytest.mark.parametrize(
    ("hand", "means", "reply", "away", "off"),
    [
        (Hand.START, None, None, None, None),
        (Hand.STOP, None, Reply(NOW - 9), 7.0, Off.POWEROFF),
        (Hand.RESTART, 5, Reply(NOW - 9), None, Off.POWEROFF),
        (Hand.DESTROY, 5, Reply(NOW - 9), 7.0, Off.POWEROFF),
    ],
)
def test_each_word_by_hand_forgets_what_it_overrules_and_no_more(
    hand: Hand, means: int | None, reply: Reply | None, away: float | None, off: Off | None
) -> None:
    """RESTART and DESTROY mean the life that is there, or was there until the last look."""
    before = rec("web", lived=5, off=Off.POWEROFF, off_since=7.0, away=7.0, **ASKED)
    told = transitions.by_hand(memory(before), uid("web"), hand).records[uid("web")]
    assert told == replace(before, hand=hand, hand_domid=means, reply=reply, away=away, off=off)


@pytest.mark.parametrize("hand", [Hand.STOP, Hand.DESTROY])
def test_only_a_start_takes_the_shell_of_a_guest_for_one_that_is_to_be_restarted(hand: Hand) -> None:
    shell = rec("web", domid=5, lived=5, off=Off.POWEROFF, off_since=7.0)
    told = transitions.by_hand(memory(shell), uid("web"), hand).records[uid("web")]
    assert (told.hand, told.off) == (hand, Off.POWEROFF)


def test_the_start_of_one_that_runs_holds_for_what_comes_after_this_life() -> None:
    told = transitions.by_hand(memory(ready("web", 5, lived=5)), uid("web"), Hand.START)
    assert told.records[uid("web")] == ready("web", 5, lived=5, hand=Hand.START)


# A start


def test_before_a_start_nothing_is_left_of_the_last_life_but_its_domid() -> None:
    shell = rec(
        "web", domid=5, lived=5, born=1.0, off=Off.CRASH, off_since=2.0, xl_name="old", monitor="old", unready="no",
        untried=True, failures=2, failure="no memory",
    )  # fmt: skip
    begun = transitions.starting(memory(shell), uid("web"), RUNS).records[uid("web")]
    assert begun == rec("web", lived=5, running=RUNS, failures=2, failure="no memory")


def test_after_a_start_that_failed_it_is_not_known_what_may_be_there() -> None:
    begun = transitions.starting(memory(rec("web")), uid("web"), RUNS)
    failed = transitions.start_failed(begun, uid("web"), "no memory", NOW).records[uid("web")]
    assert failed == rec("web", failures=1, failure="no memory", retry_at=NOW + 10, running={})


def test_a_start_that_has_failed_for_days_is_still_tried_again() -> None:
    assert transitions.retry_delay(5000) == 300


# The boot of the host


@pytest.mark.parametrize(("record", "runs"), [(ready("web", 5, running=RUNS), RUNS), (rec("web", running=RUNS), {})])
def test_a_boot_forgets_what_those_that_are_off_ran_with(record: Record, runs: dict[str, str]) -> None:
    kept = transitions.forget(memory(replace(record, failure="no memory", away=1.0)))
    assert kept.records[uid("web")] == replace(record, running=runs)


# Readiness


@pytest.mark.parametrize("tried", [True, False])
def test_why_a_probe_failed_is_kept_and_whether_it_could_be_tried(tried: bool) -> None:
    before = rec("web", domid=5, untried=tried)
    kept = transitions.not_ready(memory(before), uid("web"), "refused", tried)
    assert kept.records[uid("web")] == replace(before, unready="refused", untried=not tried)


def test_a_probe_that_succeeds_takes_back_all_that_was_said_of_its_failures() -> None:
    """... the crash as which the loss of its readiness counted too, but none of the others."""
    before = rec(
        "web", domid=5, gave_up_waiting=True, unready="refused", untried=True, lost=NOW - 50,
        crashes=(NOW - 90, NOW - 50, NOW - 20),
    )  # fmt: skip
    kept = transitions.became_ready(memory(before), uid("web"), NOW)
    assert kept.records[uid("web")] == rec("web", domid=5, ready=True, probed=NOW, crashes=(NOW - 90, NOW - 20))


@pytest.mark.parametrize(("counts", "crashes"), [(True, (NOW - 90, NOW)), (False, (NOW - 90,))])
def test_lost_readiness_counts_like_a_crash_where_it_leads_to_a_restart(
    counts: bool, crashes: tuple[float, ...]
) -> None:
    before = ready("web", 5, untried=True, crashes=(NOW - 90,))
    kept = transitions.lost_readiness(memory(before), uid("web"), "refused", NOW, counts).records[uid("web")]
    assert kept == replace(
        before, ready=False, gave_up_waiting=True, unready="refused", untried=False, lost=NOW, crashes=crashes
    )


@pytest.mark.parametrize(("age", "kept"), [(transitions.CRASH_WINDOW - 1, True), (transitions.CRASH_WINDOW, False)])
def test_a_crash_is_forgotten_after_an_hour(age: float, kept: bool) -> None:
    counted = transitions.counted(rec("web", crashes=(NOW - age,)), NOW)
    assert counted.crashes == ((NOW - age, NOW) if kept else (NOW,))


# The shutdown of the host


@pytest.mark.parametrize(
    ("before", "begins"),
    [
        ({}, True),
        ({"shutting_down": NOW - 60}, False),
        ({"shutting_down": NOW - 60, "shutdown_over": True}, True),
    ],
)
def test_a_request_to_shut_down_begins_anew_only_after_the_last_one_has_ended(
    before: dict[str, Any], begins: bool
) -> None:
    """Said once more, foreign domUs may be asked once more too."""
    asked = transitions.shutting_down(memory(forced=("db",), foreign_asked={9: NOW - 50}, **before), NOW)
    if begins:
        assert asked == memory(shutting_down=NOW)
    else:
        assert asked == memory(shutting_down=NOW - 60, forced=("db",))


def test_who_had_to_be_destroyed_is_told_in_order_and_when() -> None:
    names = "abcdefgh"
    kept = memory(*(ready(name, 5) for name in names), shutting_down=NOW - 60)
    for name in reversed(names):
        kept = transitions.destroyed(kept, uid(name), name, NOW)
    assert kept.forced == tuple(names)
    assert all((each.off, each.off_since) == (Off.DESTROYED, NOW) for each in kept.records.values())


def test_when_it_was_destroyed_is_not_changed_by_the_look_that_shows_it_gone() -> None:
    kept = transitions.destroyed(memory(ready("web", 5)), uid("web"), "web", NOW)
    gone = learn(kept, desired(dom("web")), observed(), {}, NOW + 5).records[uid("web")]
    still = learn(kept, desired(dom("web")), observed(live(5, "web", "dying")), {}, NOW + 5).records[uid("web")]
    assert (gone.off, gone.off_since) == (still.off, still.off_since) == (Off.DESTROYED, NOW)
