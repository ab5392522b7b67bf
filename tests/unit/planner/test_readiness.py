"""A domU that runs: whether it is asked if it does its job, what is said of it, and when it is restarted for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.build import (
    NOW,
    TCP,
    action,
    desired,
    dom,
    ids,
    learned_plan,
    live,
    memory,
    noticed,
    observed,
    plan,
    ready,
    rec,
    refused,
    uid,
)
from xenlocal.model.actions import AwaitReady, CheckReady
from xenlocal.model.desired import Domain, OnUnready, State
from xenlocal.model.memory import Hand, Record
from xenlocal.model.plan import Plan
from xenlocal.model.units import Duration
from xenlocal.planner import xlcfg
from xenlocal.planner.memory import CRASH_CAP, UNREADY_GRACE

PLAIN = dom("web", probe=TCP)
RESTARTED = dom("web", probe=TCP, on_unready=OnUnready.RESTART)


def runs(domain: Domain, **values: Any) -> Record:
    return ready("web", 3, running=xlcfg.settings(domain), **values)


def late(domain: Domain, **values: Any) -> Record:
    values = {"born": NOW - 999, "gave_up_waiting": True, **values}
    return rec("web", domid=3, running=xlcfg.settings(domain), **values)


def made(domain: Domain, record: Record) -> Plan:
    return plan(desired(domain, resync=Duration(600)), observed(live(3, "web")), memory(record))


@pytest.mark.parametrize(
    ("probed", "asked"), [(None, True), (NOW - 601, True), (NOW - 300, True), (NOW - 299, False), (NOW, False)]
)
def test_one_that_is_ready_is_asked_twice_in_every_resync_whether_it_still_is(
    probed: float | None, asked: bool
) -> None:
    result = made(PLAIN, runs(PLAIN, probed=probed))
    assert ids(result) == (("check domain/web",) if asked else ())
    assert result.is_empty and not result.notices


@pytest.mark.parametrize("domain", [PLAIN, RESTARTED], ids=["report", "restart"])
def test_the_question_knows_whether_a_no_leads_to_a_restart(domain: Domain) -> None:
    check = action(made(domain, runs(domain)), "check domain/web")
    assert check == CheckReady("web", uid("web"), TCP, restarts=domain is RESTARTED)


def test_where_the_probe_cannot_be_tried_that_is_said_and_it_counts_as_ready() -> None:
    failed = {"untried": True, "unready": "could not be tried: no such program", "probed": NOW}
    result = made(PLAIN, runs(PLAIN, **failed))
    assert noticed(result, "domain/web") == ("was ready; whether it still is could not be tried: no such program")
    promised_nothing = dom("web")
    assert not made(promised_nothing, runs(promised_nothing, **failed)).notices


def test_one_that_is_late_is_tried_again_soon_and_that_it_is_late_is_said() -> None:
    result = made(PLAIN, late(PLAIN))
    assert action(result, "await domain/web") == AwaitReady("web", uid("web"), TCP, Duration(300), late=True)
    assert result.steps[0].reason == "was not ready in time"
    assert noticed(result, "domain/web") == "is running, but was not ready after 5m"
    assert result.look_again == NOW + 15


def test_one_that_lost_its_readiness_is_tried_again_too_and_is_not_called_late() -> None:
    result = made(PLAIN, late(PLAIN, lost=NOW - 9))
    assert action(result, "await domain/web").late
    assert result.steps[0].reason == "was ready, and is not any more"
    assert result.look_again == NOW + 15 and not result.notices


def test_one_that_has_its_time_yet_is_waited_for_without_a_word() -> None:
    result = made(PLAIN, late(PLAIN, gave_up_waiting=False))
    assert not action(result, "await domain/web").late
    assert result.look_again is None and not result.notices


# on_unready = restart

LOST = "was ready, and is not any more"
PAUSE = f"{LOST}; restarted after a pause (on_unready = restart)"
CAP = (
    f"{LOST}; it is left running, since it has ended so or crashed 5 times within an hour; `xenlocal restart web`"
    " restarts it"
)
ONCE, TWICE = (NOW - 70,), (NOW - 3000, NOW - 70)


@pytest.mark.parametrize(
    ("values", "notice"),
    [
        ({"lost": NOW - 59, "crashes": ONCE}, PAUSE),
        ({"lost": NOW - 60, "crashes": ONCE}, None),
        ({"lost": NOW - UNREADY_GRACE - 9, "crashes": TWICE}, PAUSE),
        ({"lost": NOW - UNREADY_GRACE - 10, "crashes": TWICE}, None),
        ({"lost": NOW - 900, "crashes": ONCE, "untried": True, "unready": "cannot be tried"}, "untried"),
        ({"lost": NOW - 900, "crashes": (NOW - 900,) * (CRASH_CAP - 1)}, None),
        ({"lost": NOW - 900, "crashes": (NOW - 900,) * CRASH_CAP}, CAP),
    ],
)
def test_one_that_is_not_ready_any_more_is_restarted_after_a_grace_and_not_for_ever(
    values: dict[str, Any], notice: str | None
) -> None:
    if notice == "untried":
        notice = f"{LOST}; it is left running while its probe cannot be tried"
    for domain, record in [
        (RESTARTED, late(RESTARTED, **values)),
        (
            dom("web", probe=TCP, on_unready=OnUnready.RESTART, state=State.MANUAL),
            late(PLAIN, hand=Hand.START, **values),
        ),
    ]:
        result = made(domain, record)
        assert noticed(result, "domain/web") == (notice or "")
        assert ("stop domain/web" in ids(result)) is (notice is None)
        if notice is None:
            assert result.steps[0].reason == f"{LOST} (on_unready = restart)"


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (PLAIN, {"lost": NOW - 900}),
        (RESTARTED, {}),
        (dom("web", probe=TCP, on_unready=OnUnready.RESTART, state=State.MANUAL), {"lost": NOW - 900}),
    ],
    ids=["report", "never-ready", "manual"],
)
def test_nobody_else_is_restarted_for_not_being_ready(domain: Domain, values: dict[str, Any]) -> None:
    assert ids(made(domain, late(domain, **values))) == ("await domain/web",)


def test_a_restart_for_that_is_not_begun_where_it_could_not_start_again() -> None:
    domain = dom("web", probe=TCP, on_unready=OnUnready.RESTART, kernel="/boot/gone")
    result = made(domain, late(domain, lost=NOW - 900))
    assert ids(result) == ("await domain/web",)
    assert refused(result, "domain/web") == (
        "not restarted, and goes on running: kernel /boot/gone does not exist (a.conf:1)"
    ), "there is no word to withdraw"


def test_what_our_own_create_still_builds_is_not_compared() -> None:
    result = learned_plan(desired(dom("web")), observed(live(3, "web", "paused")), memory(rec("web")))
    assert ids(result) == ("await domain/web",)
    assert noticed(result, "domain/web") == "is paused; `xl unpause 3` lets it run"


def test_a_new_life_that_its_monitor_still_builds_is_looked_at_soon() -> None:
    """Nothing tells when it runs: until then its former life stands for it, which was ready, or was to be restarted."""
    before = ready("web", 3, running=xlcfg.settings(dom("web")))
    again = learned_plan(desired(dom("web")), observed(live(4, "web", "paused")), memory(before))
    assert (ids(again), again.look_again) == ((), NOW + 5.0)
    by_hand = learned_plan(desired(dom("web")), observed(live(3, "web", "paused")), memory(before))
    assert (ids(by_hand), by_hand.look_again) == ((), None), "whoever has paused it looks after it"
