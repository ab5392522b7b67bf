"""Births and ends, as a look finds them: what a life takes over from the last one, and which ends count as a crash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import NOW, desired, dom, live, memory, observed, ready, rec, uid
from xenlocal.model.memory import Hand, Off, Record
from xenlocal.model.observed import LiveDomain
from xenlocal.planner.looks import learn

RUNS = {"memory": "1024"}


def after(record: Record, *lives: LiveDomain, words: Off | None = None, now: float = NOW) -> Record:
    """web's record after one look."""
    told = {uid("web"): words} if words else {}
    return learn(memory(record), desired(dom("web")), observed(*lives), told, now).records[uid("web")]


# Births


def test_what_xl_create_is_still_building_is_not_born_yet() -> None:
    begun = rec("web", running=RUNS, xl_name="", away=None)
    assert after(begun, live(5, "web", "paused")) == begun
    assert after(begun, live(5, "web")).born == NOW


def test_one_that_somebody_pauses_goes_on_to_live() -> None:
    """Also one that a version of xenlocal has started which did not note its name."""
    lives = ready("web", 5)
    assert after(lives, live(5, "web", "paused")) == lives
    assert after(replace(lives, xl_name="", monitor=""), live(5, "web", "paused")) == lives


def test_a_birth_begins_with_nothing_that_was_known_of_the_last_life() -> None:
    dying = {"unready": "refused", "untried": True, "gave_up_waiting": True, "lost": NOW - 5, "dying_since": NOW - 1}
    born = after(rec("web", domid=5, lived=5, born=1.0, probed=NOW - 9, **dying), live(6, "web"))
    assert born == rec("web", domid=6, lived=6, born=NOW, xl_name="web", monitor="web", probed=NOW - 9)


@pytest.mark.parametrize("hand", [Hand.STOP, Hand.DESTROY])
@pytest.mark.parametrize(
    ("before", "ours"),
    [({"running": RUNS}, True), ({"running": RUNS, "off": Off.POWEROFF, "off_since": 1.0}, False), ({}, False)],
)
def test_a_word_to_stop_holds_for_the_birth_of_what_we_had_begun_to_start(
    hand: Hand, before: dict[str, Any], ours: bool
) -> None:
    """Anything else that appears was started by somebody with xl, who is not fought."""
    born = after(rec("web", hand=hand, **before), live(6, "web"))
    assert born.hand is (hand if ours else Hand.START)


def test_where_no_word_was_said_none_is_taken_for_said() -> None:
    assert after(rec("web"), live(6, "web")).hand is None
    assert after(rec("web", hand=Hand.START), live(6, "web")).hand is Hand.START


@pytest.mark.parametrize(
    ("off", "known"),
    [(None, True), (Off.LOST, True), (Off.REBOOTING, True), (Off.POWEROFF, False), (Off.CRASH, False)],
)
def test_what_comes_back_from_nowhere_runs_with_what_it_ran_with(off: Off | None, known: bool) -> None:
    born = after(rec("web", off=off, off_since=1.0, running=RUNS), live(6, "web"))
    assert born.running == (RUNS if known else {})


@pytest.mark.parametrize(
    ("before", "monitor"),
    [
        ({"domid": 5, "monitor": "old"}, "old"),  # its own reboot: the same monitor
        ({"domid": 5, "monitor": ""}, "new"),
        ({"monitor": "old"}, "new"),  # `xl create`: another monitor
    ],
)
def test_a_monitor_keeps_the_name_that_it_came_with(before: dict[str, Any], monitor: str) -> None:
    born = after(rec("web", **before), live(6, "new", uuid=uid("web")))
    assert (born.monitor, born.xl_name) == (monitor, "new")


@pytest.mark.parametrize(("known", "monitor"), [("", "new"), ("old", "old")])
def test_a_name_that_was_not_noted_is_noted_at_the_next_look(known: str, monitor: str) -> None:
    seen = after(ready("web", 5, xl_name="", monitor=known), live(5, "new", uuid=uid("web")))
    assert (seen.monitor, seen.xl_name) == (monitor, "new")


# Ends


@pytest.mark.parametrize(
    ("born", "asked", "counts"),
    [
        (NOW - 59, None, True),
        (NOW - 60, None, False),
        (NOW - 59, NOW - 2, False),
        (None, None, False),
    ],
)
def test_a_guest_that_powers_itself_off_at_once_counts_like_one_that_crashed(
    born: float | None, asked: float | None, counts: bool
) -> None:
    shell = after(rec("web", domid=5, born=born, stop_asked=asked), live(5, "web", "shutdown"))
    assert shell.crashes == ((NOW,) if counts else ())
    assert shell.off is (Off.POWEROFF if asked is None else Off.STOPPED)


@pytest.mark.parametrize(
    ("values", "words", "off", "counts"),
    [
        ({}, None, Off.LOST, True),
        ({}, Off.LOST, Off.LOST, True),
        ({}, Off.VANISHED, Off.VANISHED, False),
        ({}, Off.REBOOTING, Off.REBOOTING, False),
        ({"stop_asked": NOW - 9}, None, Off.STOPPED, False),
        ({"stop_asked": NOW - 9}, Off.REBOOTING, Off.REBOOTING, False),
        ({"destroying": 5}, None, Off.DESTROYED, False),
        ({"destroying": 4}, None, Off.LOST, True),
    ],
)
def test_only_an_end_that_nothing_explains_counts_like_a_crash(
    values: dict[str, Any], words: Off | None, off: Off, counts: bool
) -> None:
    gone = after(ready("web", 5, **values), words=words)
    assert (gone.off, gone.crashes) == (off, (NOW,) if counts else ())
    assert gone.domid is None and gone.off_since == NOW


WITHDRAWN = ready("web", 5, stop_asked=NOW, reply=None)  # its time to act on it, if it goes on writing: 900 s


@pytest.mark.parametrize(
    ("record", "passed", "by_itself"),
    [
        (WITHDRAWN, 899, False),
        (WITHDRAWN, 900, True),
        (ready("web", 5, stop_asked=NOW), 900, False),
    ],
    ids=["soon", "late", "not-withdrawn"],
)
@pytest.mark.parametrize(
    ("states", "words", "cause"), [(["shutdown"], None, Off.POWEROFF), ([], Off.VANISHED, Off.VANISHED)]
)
def test_a_request_that_was_withdrawn_explains_no_end_once_its_time_is_over(
    record: Record, passed: float, by_itself: bool, states: list[str], words: Off | None, cause: Off
) -> None:
    """Days later a guest that powers itself off has done so, and what somebody destroys with xl is not fought."""
    seen = after(record, live(5, "web"), now=NOW + passed)
    ended = after(seen, *(live(5, "web", state) for state in states), words=words, now=NOW + 9000)
    assert ended.off is (cause if by_itself else Off.STOPPED)


@pytest.mark.parametrize("state", ["shutdown", "dying"])
def test_an_end_that_was_seen_late_may_still_be_what_was_asked_for(state: str) -> None:
    once = after(WITHDRAWN, live(5, "web", state), now=NOW + 9000)
    twice = after(once, live(5, "web", state), now=NOW + 9001)
    assert after(once).off is after(twice).off is Off.STOPPED


@pytest.mark.parametrize(
    ("before", "words", "off"),
    [
        (Off.LOST, None, Off.LOST),
        (Off.LOST, Off.VANISHED, Off.VANISHED),
        (Off.LOST, Off.REBOOTING, Off.REBOOTING),
        (Off.REBOOTING, None, Off.REBOOTING),
        (Off.REBOOTING, Off.LOST, Off.REBOOTING),
        (Off.REBOOTING, Off.VANISHED, Off.VANISHED),
        (Off.VANISHED, Off.REBOOTING, Off.VANISHED),
        (None, Off.VANISHED, None),
    ],
)
@pytest.mark.parametrize("asked", [None, NOW - 99])
def test_later_words_explain_the_end_of_one_that_may_have_been_on_its_way_back(
    before: Off | None, words: Off | None, off: Off | None, asked: float | None
) -> None:
    """What was told once holds against silence, it is one end and not two, and a request that it has survived by a
    reboot is not its cause."""
    since = None if before is None else NOW - 3
    gone = rec("web", off=before, off_since=since, away=NOW - 3, stop_asked=asked, reply=None)
    assert after(gone, words=words) == replace(gone, off=off)


def test_it_is_dying_since_the_first_look_that_shows_it_so() -> None:
    dying = after(ready("web", 5), live(5, "web", "dying"))
    assert dying == ready("web", 5, dying_since=NOW)
    assert after(dying, live(5, "web", "dying"), now=NOW + 9) == dying
