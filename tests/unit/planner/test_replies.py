"""What is kept of how a guest takes our request to stop: when it was asked, if it has heard, what it has written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import memory, ready, rec, uid
from xenlocal.model.desired import Patience
from xenlocal.model.memory import Memory, Reply
from xenlocal.model.observed import Signs
from xenlocal.planner.ladder import Case
from xenlocal.planner.memory import destroying
from xenlocal.planner.replies import REACTION, asked, given_up, nudged, saw_signs

FIRST = 1000.0  # when it was asked first
AGAIN = 1100.0


def looked(before: Reply, signs: Signs, since: float) -> Reply | None:
    """What is kept after a look at web, which was asked first at FIRST."""
    kept = memory(ready("web", 3, stop_asked=FIRST, reply=before))
    return saw_signs(kept, {3: signs}, since).records[uid("web")].reply


# Asking


def test_the_first_request_begins_its_time_and_the_next_ones_do_not() -> None:
    kept = asked(memory(ready("web", 3)), uid("web"), 3, FIRST)
    assert kept == memory(ready("web", 3, stop_asked=FIRST, reply=Reply(FIRST)))
    heard = kept.change(uid("web"), reply=Reply(FIRST, heard=True, nudged=FIRST + 9))
    again = asked(heard, uid("web"), 3, AGAIN).records[uid("web")]
    assert (again.stop_asked, again.reply) == (FIRST, Reply(AGAIN, heard=True, nudged=FIRST + 9))


def test_the_time_of_a_foreign_domu_is_kept_by_its_domid() -> None:
    kept = asked(memory(ready("web", 3)), "foreign", 9, FIRST)
    assert kept == memory(ready("web", 3), foreign_asked={9: FIRST})
    assert asked(kept, "other", 8, AGAIN).foreign_asked == {9: FIRST, 8: AGAIN}
    assert asked(kept, "foreign", 9, AGAIN) == kept


def test_a_nudge_is_dated() -> None:
    kept = memory(ready("web", 3, stop_asked=FIRST), ready("db", 4))
    told = nudged(kept, uid("web"), AGAIN)
    assert told == kept.change(uid("web"), reply=Reply(FIRST, nudged=AGAIN))


@pytest.mark.parametrize("uuid", [uid("web"), "foreign"])
def test_a_nudge_of_one_that_is_not_to_stop_any_more_or_is_not_ours_is_not_kept(uuid: str) -> None:
    kept = memory(ready("web", 3))
    assert nudged(kept, uuid, AGAIN) == kept


# Giving up


def test_one_that_is_given_up_is_kept_with_what_of_its_time_was_over() -> None:
    kept = memory(ready("web", 3, stop_timeout=60.0), ready("db", 4))
    case = Case(Patience(30, 30, 90), FIRST, reply=Reply(FIRST))
    over = "within stop_timeout = 1m, of which shutdown_deadline left it 30s,"
    after = given_up(kept, uid("web"), 3, case, FIRST + 30)
    assert after == kept.change(uid("web"), destroying=3, given_up=over)
    assert destroying(after, uid("web"), 4) == kept.change(uid("web"), destroying=4), "that one is by hand"
    assert given_up(kept, "foreign", 3, case, FIRST + 30) == kept


@pytest.mark.parametrize(
    ("destroying", "before", "after"),
    [
        (3, "within hung_timeout = 15s", "within hung_timeout = 15s"),  # tried in vain, and now more is over
        (3, "", "within stop_timeout = 1m"),  # by hand, in vain
        (2, "within hung_timeout = 15s", "within stop_timeout = 1m"),  # another life
    ],
)
def test_the_first_of_several_attempts_to_destroy_it_tells_why(destroying: int, before: str, after: str) -> None:
    web = ready("web", 3, stop_timeout=60.0, destroying=destroying, given_up=before)
    case = Case(Patience(60, 60, 90), FIRST, reply=Reply(FIRST))
    found = given_up(memory(web), uid("web"), 3, case, FIRST + 80).records[uid("web")]
    assert (found.destroying, found.given_up) == (3, after)


# Looking


ASKED = ready("web", 3, stop_asked=FIRST)


@pytest.mark.parametrize(
    ("kept", "changes"),
    [
        (memory(ASKED), True),
        (memory(replace(ASKED, reply=None)), False),  # withdrawn
        (memory(ready("web", 3)), False),
        (memory(replace(ASKED, domid=4)), False),  # there was no look at this life
        (memory(replace(ASKED, domid=None)), False),
        (memory(replace(ASKED, stop_asked=None)), False),  # it has never been asked
    ],
)
def test_only_guests_that_are_to_stop_and_were_looked_at_show_something(kept: Memory, changes: bool) -> None:
    """Others are left as they are."""
    db = rec("db", domid=8, stop_asked=FIRST)
    before = kept.with_record(db)
    after = saw_signs(before, {3: Signs(False, 5)}, FIRST + 1)
    expected = replace(ASKED, reply=Reply(FIRST, True, FIRST + 1, 5, FIRST + 1))
    assert after == (before.with_record(expected) if changes else before)


@pytest.mark.parametrize(
    ("before", "pending", "since", "heard"),
    [
        (None, True, AGAIN + 1, False),
        (None, False, AGAIN + 1, True),
        (None, None, AGAIN + 1, None),
        (False, None, AGAIN + 1, None),
        (False, False, AGAIN + 1, True),
        (True, True, AGAIN + 1, True),  # it has acknowledged once, and the next request is still standing
        (None, False, AGAIN, None),  # there may have been nothing to see yet
        (None, True, AGAIN - 1, None),
        (True, None, AGAIN - 1, True),
    ],
)
@pytest.mark.parametrize(("sectors", "later"), [(None, None), (None, 7), (7, 7), (7, None)])
def test_whether_it_has_heard_is_told_by_a_look_that_began_after_the_request(
    before: bool | None, pending: bool | None, since: float, heard: bool | None, sectors: int | None, later: int | None
) -> None:
    """... whatever is known of its disks, which are watched from the first look on that could count what they wrote."""
    watched = None if sectors is None else FIRST
    reply = looked(Reply(AGAIN, before, FIRST, sectors, watched), Signs(pending, later), since)
    begins = since if sectors is None else FIRST
    assert reply == Reply(AGAIN, heard, since, later, None if later is None else begins)


def test_a_count_without_a_date_counts_for_nothing() -> None:
    undated = Reply(FIRST, True, None, 5, FIRST)
    assert looked(undated, Signs(False, 6), AGAIN) == Reply(FIRST, True, AGAIN, 6, AGAIN)


WROTE: dict[str, Any] = {"heard": True, "seen": AGAIN - 1, "sectors": 5, "watched": FIRST}


@pytest.mark.parametrize(
    ("values", "since", "counts"),
    [
        ({}, AGAIN + 1, False),
        ({}, AGAIN + REACTION, False),
        ({}, AGAIN + REACTION + 0.1, True),
        ({"heard": None}, AGAIN + 1, True),
        ({"seen": AGAIN - REACTION / 2}, AGAIN + 1, False),
        ({"seen": AGAIN - REACTION / 2 - 0.1}, AGAIN + 1, True),
        ({"seen": AGAIN - REACTION / 2 + 0.1}, AGAIN + 1, False),
        ({"wrote": AGAIN - REACTION}, AGAIN + 1, False),
        ({"wrote": AGAIN - REACTION + 0.1}, AGAIN + 1, True),
    ],
)
@pytest.mark.parametrize("by", ["request", "nudge"])
def test_only_what_it_wrote_of_its_own_accord_is_progress(
    by: str, values: dict[str, Any], since: float, counts: bool
) -> None:
    """Not what follows at once on another request or on a nudge, of one that has heard and was quiet before."""
    times: dict[str, Any] = {"requested": AGAIN} if by == "request" else {"requested": FIRST, "nudged": AGAIN}
    before = Reply(**times, **{**WROTE, **values})
    pending = None if before.heard is None else False
    reply = looked(before, Signs(pending, 6), since)
    assert reply == replace(before, seen=since, sectors=6, wrote=since if counts else before.wrote)
    still = looked(before, Signs(pending, 5), since)
    assert still == replace(before, seen=since), "it has written nothing"


def test_what_follows_on_the_first_request_is_progress() -> None:
    reply = looked(Reply(FIRST, True, FIRST - 1, 5, FIRST - 1), Signs(False, 6), FIRST + 1)
    assert reply is not None and reply.wrote == FIRST + 1
