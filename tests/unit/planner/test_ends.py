"""Which steps of a plan end a domU, which of them has to succeed first, and why an object cannot be had."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import TCP, uid
from xenlocal.model.actions import Action, AwaitReady, DestroyDomain, SetLive, StartDomain, StopDomain
from xenlocal.model.names import domain
from xenlocal.model.observed import NOT_ASKED, Observed, Table, Unavailable
from xenlocal.model.plan import Goal
from xenlocal.model.units import Duration
from xenlocal.planner.draft import Draft, ends_and_shells, unknown

WEB, DB = domain("web"), domain("db")
STEPS: dict[str, Action] = {
    "stop": StopDomain("web", uid("web"), 5, Duration(300)),
    "reap": DestroyDomain("web", uid("web"), 5, "reap"),
    "destroy": DestroyDomain("web", uid("web"), 5, "destroy"),
    "start": StartDomain("web", uid("web"), ""),
    "await": AwaitReady("web", uid("web"), TCP, Duration(300)),
    "set": SetLive("web", uid("web"), 5, "vcpus", "2"),
}


@pytest.mark.parametrize("verb", STEPS)
def test_a_domu_is_ended_by_being_stopped_reaped_or_destroyed(verb: str) -> None:
    draft = Draft(Observed())
    step = draft.step(STEPS[verb], "why")
    assert draft.steps_of(WEB) == (step,) == (f"{verb} domain/web",) and draft.steps_of(DB) == ()
    assert draft.ends_of(WEB) == ((step,) if verb in ("stop", "reap", "destroy") else ())


def test_clearing_away_a_shell_may_fail_and_the_other_ends_may_not() -> None:
    ends = ("stop domain/a", "reap domain/b", "destroy domain/c", "stop domain/reap ")
    shells = ("reap domain/b",)
    assert ends_and_shells(ends) == (("stop domain/a", "destroy domain/c", "stop domain/reap "), shells)
    assert ends_and_shells(()) == ((), ())


def test_the_first_reason_why_an_object_cannot_be_had_is_the_one_that_is_named_elsewhere() -> None:
    draft = Draft(Observed())
    draft.refuse(WEB, "its disk is gone", look_again=30.0)
    draft.refuse(WEB, "its kernel is gone", look_again=20.0)
    draft.look_again(None)
    assert draft.refusal(WEB) == "its disk is gone" and draft.refusal(DB) is None
    made = draft.plan(Goal.BOOT, 3)
    assert [each.reason for each in made.refusals] == ["its disk is gone", "its kernel is gone"]
    assert (made.goal, made.start_slots, made.look_again) == (Goal.BOOT, 3, 20.0)


def test_nothing_is_to_be_looked_at_again_where_nobody_asked_for_it() -> None:
    assert Draft(Observed()).plan(Goal.BOOT, 1).look_again is None


@pytest.mark.parametrize(
    ("table", "value", "wanted"),
    [({}, {}, set()), (NOT_ASKED, None, {Table.PATHS}), (Unavailable("no"), None, set())],
)
def test_a_table_is_asked_for_where_it_was_not_and_not_where_it_could_not_be_had(
    table: object, value: object, wanted: set[Table]
) -> None:
    draft = Draft(Observed())
    assert draft.table(Table.PATHS, table) == value
    assert draft.plan(Goal.CONVERGE, 1).wanted == wanted


def test_what_hangs_on_a_table_that_could_not_be_had_is_said_so() -> None:
    assert unknown(Table.PATHS) == "the host's paths could not be found out"
