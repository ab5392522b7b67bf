"""The stop ladder as data: how long each kind of guest has, and that nothing shortens or prolongs it unduly."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planner.build import memory, ready, uid
from xenlocal.model.desired import Patience
from xenlocal.model.memory import Reply
from xenlocal.model.observed import Signs
from xenlocal.planner.ladder import FRESH, LOOK_WAIT, QUIET, SETTLE, Case, Rung, decide, end_of_time, what_was_over
from xenlocal.planner.replies import asked, nudged, saw_signs

ASKED = 1000.0
PATIENCE = Patience(30, 12, 90)


def case(reply: Reply | None = None, **values: float) -> Case:
    return Case(PATIENCE, ASKED, **{"tried": ASKED, **values}, reply=reply or Reply(ASKED))


def seen(at: float, **values: Any) -> Reply:
    """By a look so many seconds after the request; watched from the beginning."""
    given: dict[str, Any] = {"sectors": 0, "watched": ASKED, "heard": True, "nudged": ASKED, **values}
    return replace(Reply(ASKED, seen=ASKED + at), **given)


def end(reply: Reply | None, **values: float) -> float:
    return end_of_time(case(reply, **values)) - ASKED


def test_each_kind_of_guest_has_its_time() -> None:
    assert end(None) == 30
    assert end(seen(20)) == 30  # heard, and quiet
    assert end(seen(12, heard=False)) == 12
    assert end(seen(12, heard=None)) == 30
    assert end(seen(12, heard=False, sectors=None, watched=None)) == 30  # its disks are not known to be quiet
    assert end(seen(12, heard=False, wrote=ASKED + 9)) == 30
    assert end(seen(12, heard=False, watched=ASKED + 10)) == 30
    assert end(seen(16, heard=False, wrote=ASKED + 10)) == 12
    assert end(seen(29, wrote=ASKED + 29)) == 29 + QUIET
    assert end(seen(29, wrote=ASKED + 15)) == 30
    assert end(seen(89, wrote=ASKED + 89)) == 90
    assert end(seen(29, heard=False, wrote=ASKED + 29)) == 30  # it has not even heard


def test_growing_takes_only_what_the_deadline_leaves() -> None:
    writing = seen(29, wrote=ASKED + 29)
    assert end(writing, grow_until=ASKED + 33) == 33
    assert end(writing, grow_until=ASKED + 5) == 30  # never less than its own
    assert end(writing, grow_until=ASKED + 33, end_by=ASKED + 20) == 20


HUNG = "within hung_timeout = 12s (no acknowledgement, quiet disks)"
WROTE = "within stop_timeout = 30s nor 10 s after its last write"
LEFT = "in the time that shutdown_deadline left it"


@pytest.mark.parametrize(
    ("now", "reply", "values", "over"),
    [
        (30, None, {}, "within stop_timeout = 30s"),
        (30, seen(28), {}, "within stop_timeout = 30s"),
        (12, seen(12, heard=False), {}, HUNG),
        (29.9, seen(26, heard=False), {}, HUNG),
        (30, seen(8, heard=False), {}, "within stop_timeout = 30s"),  # no look was fresh enough before
        (40, seen(38, wrote=ASKED + 29), {}, WROTE),
        (30, seen(29, wrote=ASKED + 20), {}, "within stop_timeout = 30s"),
        (90, seen(89, wrote=ASKED + 80), {}, WROTE),
        (90, seen(89, wrote=ASKED + 81), {}, "within stop_max = 90s"),
        (30, seen(29, wrote=ASKED + 20), {}, "within stop_timeout = 30s"),
        (20, seen(19), {"end_by": ASKED + 20, "grow_until": ASKED + 5}, LEFT),
        (90, seen(89, wrote=ASKED + 85), {"grow_until": ASKED + 90}, "within stop_max = 90s"),
        (33, seen(32, wrote=ASKED + 31), {"grow_until": ASKED + 33}, LEFT),
        (30, seen(29, wrote=ASKED + 29), {"grow_until": ASKED + 5}, "within stop_timeout = 30s"),
        (20, seen(19), {"end_by": ASKED + 20}, LEFT),
        (11, seen(11, heard=False), {"end_by": ASKED + 11}, LEFT),
        (30, seen(29), {"end_by": ASKED + 30}, "within stop_timeout = 30s"),
    ],
)
def test_what_of_its_time_was_over(now: float, reply: Reply | None, values: dict[str, float], over: str) -> None:
    assert what_was_over(case(reply, **values), PATIENCE, ASKED + now) == over


@pytest.mark.parametrize(
    ("declared", "reply", "over"),
    [
        (Patience(60, 12, 90), seen(28), "within stop_timeout = 1m, of which shutdown_deadline left it 30s,"),
        (Patience(30, 24, 90), seen(28), "within stop_timeout = 30s"),
        (
            Patience(30, 24, 90),
            seen(12, heard=False),
            "within hung_timeout = 24s, of which shutdown_deadline left it 12s, (no acknowledgement, quiet disks)",
        ),
        (Patience(60, 12, 90), seen(12, heard=False), HUNG),
        (Patience(20, 12, 90), seen(28), "within stop_timeout = 20s"),  # an edit took time from it meanwhile
    ],
)
def test_a_share_of_its_time_is_called_so(declared: Patience, reply: Reply, over: str) -> None:
    now = 12 if reply.heard is False else 30
    assert what_was_over(case(reply), declared, ASKED + now) == over


def test_no_length_has_more_figures_than_anybody_reads() -> None:
    made = Case(Patience(10 / 3, 10 / 3, 100), ASKED)
    over = "within stop_timeout = 10s, of which shutdown_deadline left it 3.3s,"
    assert what_was_over(made, Patience(10, 10, 30), ASKED + 4) == over


def what(now: float, reply: Reply | None = None, **values: float) -> Rung:
    return decide(case(reply, **values), ASKED + now)[0]


def test_the_rungs_in_their_order() -> None:
    assert decide(Case(PATIENCE, ASKED), ASKED)[0] is Rung.ASK
    assert what(5, seen(5)) is Rung.WAIT
    assert what(10, seen(10)) is Rung.ASK
    assert what(15, seen(15), tried=ASKED + 10) is Rung.WAIT
    assert what(25, seen(25, nudged=None), tried=ASKED + 20) is Rung.NUDGE
    assert what(29.9, seen(29), tried=ASKED + 20) is Rung.WAIT
    assert what(30, seen(26), tried=ASKED + 20) is Rung.DESTROY


def test_the_edges_of_each_rung() -> None:
    assert end(seen(5.9, heard=False)) == 30 and end(seen(6, heard=False)) == 12  # half of hung_timeout is quiet
    assert what(6.5, seen(6.5, heard=False, nudged=None)) is Rung.NUDGE
    assert what(30, seen(25), tried=ASKED + 20) is Rung.DESTROY  # a look as old as FRESH will do
    assert what(24.9, seen(24, nudged=None), tried=ASKED + 20) is Rung.WAIT
    assert what(25, seen(25, nudged=None), tried=ASKED + 20) is Rung.NUDGE
    short = Case(Patience(4, 4, 8), ASKED, ASKED, seen(1.5, nudged=None))
    assert decide(short, ASKED + 1.9) == (Rung.WAIT, ASKED + 2)  # half of its time is left for what it writes then
    assert decide(short, ASKED + 2)[0] is Rung.NUDGE


def test_when_to_decide_again_is_the_first_of_what_may_be_due() -> None:
    assert decide(case(seen(5)), ASKED + 5) == (Rung.WAIT, ASKED + 10)  # to ask again
    assert decide(case(seen(21), tried=ASKED + 20), ASKED + 21) == (Rung.WAIT, ASKED + 30)  # its end
    assert decide(case(seen(21, nudged=None), tried=ASKED + 20), ASKED + 21) == (Rung.WAIT, ASKED + 25)  # a nudge
    hung = seen(8, heard=False)
    assert decide(case(hung, tried=ASKED + 12), ASKED + 14) == (Rung.LOOK, ASKED + 12 + LOOK_WAIT)
    assert decide(case(hung, tried=ASKED + 20), ASKED + 22) == (Rung.WAIT, ASKED + 30)
    assert what(22, hung, tried=ASKED + 2) is Rung.ASK  # while no look ends, it is asked all the same


def test_a_guest_that_hangs_is_nudged_early() -> None:
    assert what(7, seen(7, heard=False, nudged=None)) is Rung.NUDGE
    assert what(7, seen(7, heard=False, nudged=ASKED)) is Rung.WAIT
    assert what(7, seen(7, heard=True, nudged=None)) is Rung.WAIT


def test_a_guest_that_hangs_is_nudged_before_it_is_asked_again() -> None:
    assert what(11, seen(11, heard=False, nudged=None)) is Rung.NUDGE
    assert what(11, seen(11, heard=False, nudged=ASKED + 11)) is Rung.ASK


def test_nobody_is_given_up_by_what_was_seen_long_ago() -> None:
    tried = ASKED + 29
    assert what(30, seen(20), tried=tried) is Rung.LOOK
    assert what(30 + LOOK_WAIT, seen(20), tried=tried) is Rung.DESTROY  # no look has ended meanwhile
    hung = seen(8, heard=False)
    assert what(14, hung, tried=ASKED + 12) is Rung.LOOK
    assert what(12 + LOOK_WAIT, hung, tried=ASKED + 20) is Rung.WAIT  # it may have heard since: its whole time
    assert what(30, hung, tried=ASKED + 20) is Rung.DESTROY
    assert what(20, seen(1), tried=ASKED + 19, end_by=ASKED + 20) is Rung.DESTROY


def test_one_that_is_seen_to_hang_only_when_its_time_is_over_is_nudged_before_it_is_destroyed() -> None:
    late = seen(14, heard=False, nudged=None)
    assert decide(case(late, tried=ASKED + 13), ASKED + 14) == (Rung.NUDGE, ASKED + 16)
    done = replace(late, nudged=ASKED + 14)
    assert decide(case(done, tried=ASKED + 13), ASKED + 15) == (Rung.WAIT, ASKED + 16)
    assert what(16, done, tried=ASKED + 13) is Rung.DESTROY
    slow = replace(late, seen=ASKED + 12.5, watched=ASKED)  # a look that took 4.5 s
    assert what(17, slow, tried=ASKED + 13) is Rung.NUDGE
    assert what(19, replace(slow, nudged=ASKED + 17), tried=ASKED + 13) is Rung.DESTROY
    assert what(20, replace(slow, nudged=ASKED + 17), tried=ASKED + 13) is Rung.LOOK
    assert decide(case(late, tried=ASKED + 13, end_by=ASKED + 15), ASKED + 14) == (Rung.NUDGE, ASKED + 15)
    assert what(15, done, tried=ASKED + 13, end_by=ASKED + 15) is Rung.DESTROY
    assert what(15, late, tried=ASKED + 13, end_by=ASKED + 15) is Rung.DESTROY  # the host leaves no time for it


def test_one_that_seems_to_hang_is_looked_at_when_its_time_is_over() -> None:
    """It may have acknowledged at the last moment, and then has the whole of its time."""
    tried = ASKED + 11
    assert what(12, seen(11.9, heard=False), tried=tried) is Rung.LOOK
    assert what(12.5, seen(12, heard=False), tried=tried) is Rung.DESTROY
    assert what(12.5, seen(12, heard=True), tried=tried) is Rung.WAIT
    assert what(11, seen(10.9, heard=False), tried=tried, end_by=ASKED + 11) is Rung.DESTROY  # no time for it


def test_the_look_that_led_to_a_nudge_at_the_very_end_still_counts() -> None:
    at_its_end = seen(25.5, nudged=ASKED + 30)
    assert what(32, at_its_end, tried=ASKED + 29) is Rung.DESTROY
    before = replace(at_its_end, nudged=ASKED + 29.9)
    assert what(32, before, tried=ASKED + 29) is Rung.LOOK


def test_one_whose_time_is_hardly_any_is_nudged_at_its_end() -> None:
    short = Case(Patience(1, 1, 2), ASKED, ASKED, seen(0.4, nudged=None))
    assert decide(short, ASKED + 1) == (Rung.NUDGE, ASKED + 1 + SETTLE)


def test_requests_are_repeated_less_often_as_time_goes_on() -> None:
    tried, moments = ASKED, []
    for second in range(300):
        if decide(Case(Patience(300, 300, 900), ASKED, tried, seen(second)), ASKED + second)[0] is Rung.ASK:
            tried = ASKED + second
            moments.append(second)
    assert moments == [10, 20, 40, 80, 140, 200, 260]


def test_one_that_could_not_be_passed_on_is_tried_again_soon() -> None:
    never = Case(PATIENCE, ASKED, tried=ASKED + 2)
    assert decide(never, ASKED + 6)[0] is Rung.WAIT and decide(never, ASKED + 7)[0] is Rung.ASK
    assert decide(never, ASKED + 30)[0] is Rung.DESTROY


TIMES = st.floats(0, 200)
SIGNS = st.builds(Signs, st.none() | st.booleans(), st.none() | st.integers(0, 3).map(lambda growth: growth % 3))


@st.composite
def lives(draw: st.DrawFn) -> tuple[Case, float]:
    """A guest as looks, requests and a nudge have left it, and the time now."""
    hung = draw(st.floats(1, 40))
    stop = draw(st.floats(hung, 60))
    patience = Patience(stop, hung, draw(st.floats(stop, 180)))
    kept = asked(memory(ready("web", 3)), uid("web"), 3, ASKED)
    now, sectors, tried = ASKED, 0, ASKED
    for pause in draw(st.lists(st.floats(0.1, 20), max_size=12)):
        now += pause
        signs = draw(SIGNS)
        sectors += signs.sectors or 0
        kept = saw_signs(kept, {3: replace(signs, sectors=None if signs.sectors is None else sectors)}, now)
        if draw(st.booleans()):
            kept, tried = asked(kept, uid("web"), 3, now), now
        if draw(st.booleans()):
            kept = nudged(kept, uid("web"), now)
    record = kept.records[uid("web")]
    assert record.stop_asked == ASKED  # asking again never resets the clock
    limits = sorted(draw(st.tuples(st.floats(1, 300), st.floats(1, 300))))
    made = Case(patience, ASKED, tried, record.reply, ASKED + limits[0], ASKED + limits[1])
    return made, now + draw(st.floats(0, 30))


@given(lives())
def test_nobody_is_destroyed_before_its_time(life: tuple[Case, float]) -> None:
    made, now = life
    rung, until = decide(made, now)
    patience, reply, since = made.patience, made.reply, now - ASKED
    assert reply is not None
    if rung is Rung.DESTROY:
        assert now >= min(ASKED + patience.hung, made.end_by)
        if reply.heard is not False or reply.quiet is None:
            assert now >= min(ASKED + patience.stop, made.end_by)
        if reply.heard and reply.wrote is not None:
            assert now >= min(reply.wrote + QUIET, ASKED + patience.most, made.grow_until, made.end_by)
    else:
        assert until > now or rung in (Rung.ASK, Rung.NUDGE)
        assert now < made.end_by
        settling = reply.nudged is not None and now < reply.nudged + SETTLE  # however late it was nudged
        assert rung is Rung.NUDGE or settling or since < max(patience.stop, patience.most) + LOOK_WAIT


@given(lives())
def test_the_ladder_ends_by_itself_and_waits_for_no_look_that_never_ends(life: tuple[Case, float]) -> None:
    """Nothing more is seen: all that changes is what was done and the time."""
    made, now = life
    for _ in range(40):
        rung, until = decide(made, now)
        if rung is Rung.DESTROY:
            return
        if rung is Rung.ASK:
            made = replace(made, tried=now)
        elif rung is Rung.NUDGE:
            assert made.reply is not None
            made = replace(made, reply=replace(made.reply, nudged=now))
        else:
            assert until > now
            now = until
    pytest.fail(f"still {rung} at {now - ASKED:.0f}")


@given(st.lists(st.floats(0.2, FRESH), min_size=1, max_size=60), st.floats(0, 100))
def test_a_guest_that_goes_on_writing_has_all_of_stop_max_and_one_that_ends_no_more(
    pauses: list[float], until: float
) -> None:
    kept, now, sectors, nudge = asked(memory(ready("web", 3)), uid("web"), 3, ASKED), ASKED, 0, ASKED
    record = kept.records[uid("web")]
    for pause in pauses:
        now += pause
        sectors += 8 if now - ASKED <= until else 0
        kept = saw_signs(kept, {3: Signs(False, sectors)}, now)
        record = kept.records[uid("web")]
        rung, _ = decide(Case(PATIENCE, ASKED, tried=now, reply=record.reply), now)
        if now - ASKED < min(max(PATIENCE.stop, until), PATIENCE.most):
            assert rung is not Rung.DESTROY
        if rung is Rung.NUDGE:
            kept, nudge = nudged(kept, uid("web"), now), now
    gone_by = max(min(max(PATIENCE.stop, until + QUIET), PATIENCE.most), nudge - ASKED + SETTLE)
    if now - ASKED > gone_by:
        assert rung is Rung.DESTROY


def test_a_look_from_before_the_request_tells_nothing_of_it() -> None:
    kept = asked(memory(ready("web", 3)), uid("web"), 3, ASKED)
    kept = saw_signs(kept, {3: Signs(False, 1)}, ASKED - 1)
    assert kept.records[uid("web")].reply == Reply(ASKED, None, ASKED - 1, 1, ASKED - 1)
    kept = saw_signs(kept, {3: Signs(True, 1)}, ASKED + 1)
    kept = saw_signs(kept, {3: Signs(None, 1)}, ASKED + 2)
    reply = kept.records[uid("web")].reply
    assert reply is not None and reply.heard is None and reply.quiet == 3
    kept = saw_signs(kept, {3: Signs(False, 9)}, ASKED + 8)
    kept = saw_signs(kept, {3: Signs(True, 9), 4: Signs()}, ASKED + 9)  # asked once more, and not yet heard
    reply = kept.records[uid("web")].reply
    assert reply is not None and (reply.heard, reply.wrote, reply.quiet) == (True, ASKED + 8, 1)


def test_what_a_guest_writes_because_it_was_asked_again_or_told_to_sync_is_no_progress() -> None:
    kept, sectors, found = asked(memory(ready("web", 3)), uid("web"), 3, ASKED), 0, []
    for at in range(1, 40):
        kept = asked(kept, uid("web"), 3, ASKED + at) if at in (10, 20) else kept
        kept = nudged(kept, uid("web"), ASKED + at) if at == 30 else kept
        sectors += at in (3, 12, 22, 33, 37)
        kept = saw_signs(kept, {3: Signs(False, sectors)}, ASKED + at + 0.5)
        reply = kept.records[uid("web")].reply
        found.append(reply.wrote if reply is not None else None)
    assert found[:36] == [None] * 2 + [ASKED + 3.5] * 34 and found[-1] == ASKED + 37.5
    deaf = saw_signs(asked(memory(ready("web", 3)), uid("web"), 3, ASKED), {3: Signs(True, 0)}, ASKED + 1)
    reply = saw_signs(deaf, {3: Signs(True, 1)}, ASKED + 2).records[uid("web")].reply
    assert reply is not None and reply.wrote == ASKED + 2  # not by our doing: it has not heard us


def test_where_looks_are_rare_a_write_between_two_of_them_counts() -> None:
    kept = saw_signs(asked(memory(ready("web", 3)), uid("web"), 3, ASKED), {3: Signs(False, 8)}, ASKED + 1)
    kept = asked(kept, uid("web"), 3, ASKED + 10)
    reply = saw_signs(kept, {3: Signs(False, 80)}, ASKED + 14).records[uid("web")].reply
    assert reply is not None and reply.wrote == ASKED + 14


def test_counters_that_cannot_be_read_for_a_while_begin_anew() -> None:
    kept = asked(memory(ready("web", 3)), uid("web"), 3, ASKED)
    for at, sectors in enumerate([5, 5, None, 7, 7], 1):
        kept = saw_signs(kept, {3: Signs(True, sectors)}, ASKED + at)
    reply = kept.records[uid("web")].reply
    assert reply is not None and (reply.wrote, reply.watched, reply.quiet) == (None, ASKED + 4, 1)
    assert all(a <= b for a, b in pairwise([reply.requested, reply.watched or 0, reply.seen or 0]))
