"""What is remembered of logins to iSCSI targets: by the target, whatever its section is called."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.build import NOW, bay, desired, observed, sessions
from xenlocal.model.desired import Iscsi
from xenlocal.model.host_actions import LogIn
from xenlocal.model.memory import Login, Memory
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.planner.logins import forgotten, logged_in, login_failed

ONE, TWO = LogIn("bay1", bay(1).node), LogIn("bay2", bay(2).node)
FAILED: dict[str, Any] = {"failures": 1, "failure": "timed out", "retry_at": NOW + 5}


def test_each_target_has_its_own() -> None:
    kept = logged_in(login_failed(Memory(), ONE, "timed out", NOW), TWO)
    assert kept.logins == {
        str(ONE.node): Login("bay1", **FAILED),
        str(TWO.node): Login("bay2", done=True),
    }


def test_a_login_that_worked_forgets_the_failures() -> None:
    kept = logged_in(login_failed(Memory(), ONE, "timed out", NOW), ONE)
    assert kept.logins == {str(ONE.node): Login("bay1", done=True)}


def test_a_session_stays_ours_though_it_is_lost_and_goes_by_the_name_of_its_latest_section() -> None:
    kept = login_failed(logged_in(Memory(), LogIn("old", ONE.node)), ONE, "timed out", NOW)
    assert kept.logins == {str(ONE.node): Login("bay1", done=True, **FAILED)}


NONE, HERE = observed(), observed(iscsi=sessions(bay1="FAILED"))
UNKNOWN = observed(iscsi=Unavailable("no such directory"))
OURS, IN_VAIN = logged_in(Memory(), ONE), login_failed(Memory(), ONE, "timed out", NOW)


@pytest.mark.parametrize(
    ("kept", "declared", "seen", "stays"),
    [
        (OURS, (), NONE, False),
        (OURS, (), observed(iscsi=sessions(bay2="LOGGED_IN")), False),
        (OURS, (), HERE, True),
        (OURS, (), UNKNOWN, True),
        (OURS, (), Observed(), True),
        (OURS, (bay(1),), NONE, True),
        (IN_VAIN, (bay(1),), NONE, True),
        (IN_VAIN, (), NONE, False),
        (IN_VAIN, (), HERE, False),
        (IN_VAIN, (), UNKNOWN, False),
    ],
)
def test_what_nobody_names_is_forgotten_when_its_session_is_gone(
    kept: Memory, declared: tuple[Iscsi, ...], seen: Observed, stays: bool
) -> None:
    both = logged_in(kept, TWO)
    want = desired(*declared, bay(2))
    assert forgotten(both, want, seen) == (both if stays else logged_in(Memory(), TWO))


def test_one_that_has_failed_for_days_is_still_tried_again() -> None:
    kept = Memory()
    for _ in range(2000):
        kept = login_failed(kept, ONE, "timed out", NOW)
    assert kept.logins[str(ONE.node)] == Login("bay1", failures=2000, failure="timed out", retry_at=NOW + 60)
