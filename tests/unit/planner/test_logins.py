"""What is remembered of logins to iSCSI targets: by the target, whatever its section is called."""

from __future__ import annotations

from typing import Any

from tests.unit.planner.build import NOW, bay
from xenlocal.model.host_actions import LogIn
from xenlocal.model.memory import Login, Memory
from xenlocal.planner.logins import logged_in, login_failed

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


def test_one_that_has_failed_for_days_is_still_tried_again() -> None:
    kept = Memory()
    for _ in range(2000):
        kept = login_failed(kept, ONE, "timed out", NOW)
    assert kept.logins[str(ONE.node)] == Login("bay1", failures=2000, failure="timed out", retry_at=NOW + 60)
