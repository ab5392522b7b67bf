"""Sessions: logged in to where one is missing, never logged out, and nothing started on one that does not work."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import (
    HERE,
    NOW,
    action,
    bay,
    block_facts,
    desired,
    dom,
    ids,
    live,
    lun,
    lv,
    memory,
    observed,
    plan,
    ready,
    refused,
    sessions,
)
from xenlocal.model.host_actions import LogIn
from xenlocal.model.iscsi import Chap
from xenlocal.model.memory import Login, Memory
from xenlocal.model.names import iscsi
from xenlocal.model.observed import NOT_ASKED, Observed, Table, Unavailable
from xenlocal.model.plan import Goal, Notice
from xenlocal.planner import logins

PATHS = {lun().backing.path: block_facts(lun().backing.path)}
WEB = dom("web", lun())


def test_a_missing_session_is_logged_in_to() -> None:
    chap = Chap("dom0", "/etc/s")
    made = plan(desired(bay(1, chap), bay(2), bay(3)), observed(iscsi=sessions(bay(2), bay3="LOGGED_IN")))
    assert ids(made) == ("log in to iscsi/bay1", "log in to iscsi/bay2")
    assert action(made, "log in to iscsi/bay1") == LogIn("bay1", bay(1).node, chap, known=False)
    assert action(made, "log in to iscsi/bay2") == LogIn("bay2", bay(2).node, None, known=True)
    assert made.steps[0].reason == f"is declared in {HERE} and not logged in"


def test_hosts_without_iscsi_are_not_asked_for_it() -> None:
    made = plan(desired(dom("web", lv("root"))), Observed(domains={}))
    assert Table.ISCSI not in made.wanted
    assert Table.ISCSI in plan(desired(bay()), Observed(domains={})).wanted


def test_sessions_that_cannot_be_looked_at_are_unknown_and_nothing_follows() -> None:
    made = plan(desired(bay(), WEB), observed(iscsi=Unavailable("EIO"), paths=PATHS))
    assert ids(made) == () and dict(made.unavailable) == {"iscsi": "EIO"}
    assert "iscsi/bay1, which could not be looked at: EIO" in refused(made, "domain/web")


@pytest.mark.parametrize(("state", "why"), [(None, "is not logged in"), ("FAILED", "is lost"), ("FREE", "is lost")])
def test_nothing_starts_on_a_session_that_does_not_work(state: str | None, why: str) -> None:
    """Though the path is there, as it is while a session is lost."""
    states = {} if state is None else {"bay1": state}
    made = plan(desired(bay(), WEB, dom("free")), observed(iscsi=sessions(bay(), **states), paths=PATHS))
    assert refused(made, "domain/web").startswith(f"disk xvda: device/{lun().backing.path} is reached by iscsi/bay1,")
    assert why in refused(made, "domain/web")
    assert "start domain/free" in ids(made) and made.look_again is not None and made.look_again <= NOW + 10


def test_a_domu_starts_on_one_that_works_once_its_disk_is_there() -> None:
    seen = sessions(bay1="LOGGED_IN")
    assert "start domain/web" in ids(plan(desired(bay(), WEB), observed(iscsi=seen, paths=PATHS)))
    late = plan(desired(bay(), WEB), observed(iscsi=seen))
    assert "does not exist yet; waiting for it" in refused(late, "domain/web")


def test_needs_waits_for_a_session_even_while_it_is_logged_in_to() -> None:
    web = dom("web", needs_things=(iscsi("bay1"),))
    made = plan(desired(bay(), web), observed(iscsi=sessions()))
    assert ids(made) == ("log in to iscsi/bay1",)
    assert refused(made, "domain/web") == "needs iscsi/bay1, which is not logged in"
    assert "start domain/web" in ids(plan(desired(bay(), web), observed(iscsi=sessions(bay1="LOGGED_IN"))))


def test_a_login_that_failed_is_tried_again_after_a_pause() -> None:
    remembered = Memory(boot_done=True)
    login = LogIn("bay1", bay().node)
    pauses = []
    for _ in range(6):
        remembered = logins.login_failed(remembered, login, "timed out", NOW)
        kept = remembered.logins[str(bay().node)]
        assert kept.retry_at is not None
        pauses.append(kept.retry_at - NOW)
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    waits = plan(desired(bay(), WEB), observed(iscsi=sessions()), remembered, now=NOW + 59)
    text = "the last login failed: timed out; it is tried again after a pause"
    assert refused(waits, "iscsi/bay1") == text and ids(waits) == ()
    assert refused(waits, "domain/web").endswith(f"iscsi/bay1, which is not logged in: {text}")
    assert ids(plan(desired(bay()), observed(iscsi=sessions()), remembered, now=NOW + 60)) == ("log in to iscsi/bay1",)
    assert logins.logged_in(remembered, login).logins == {str(bay().node): Login("bay1", done=True)}


def test_a_lost_session_is_told_of_at_it_and_at_the_running_domus_on_it() -> None:
    want = desired(bay(), WEB, dom("off", lun(2)), dom("other"))
    seen = observed(live(7, "web"), live(8, "other"), iscsi=sessions(bay1="FAILED"), paths=PATHS)
    made = plan(want, seen, memory(ready("web", 7), ready("other", 8)))
    told = {str(notice.target) for notice in made.notices if "session is lost" in notice.text}
    assert told == {"iscsi/bay1", "domain/web"}
    assert not any(step.changes_host for step in made.steps)


def test_a_section_that_vanished_logs_nothing_out() -> None:
    remembered = logins.logged_in(Memory(boot_done=True), LogIn("bay1", bay().node))
    made = plan(desired(), observed(iscsi=sessions(bay1="FAILED", bay2="LOGGED_IN")), remembered)
    (notice,) = made.notices
    assert ids(made) == () and notice == Notice(iscsi("bay1"), notice.text) and "--logout` ends it" in notice.text
    assert plan(desired(), observed(iscsi=sessions()), remembered).notices == ()
    assert plan(desired(bay()), observed(iscsi=sessions(bay1="LOGGED_IN")), remembered).notices == ()
    failed = logins.login_failed(Memory(boot_done=True), LogIn("bay1", bay().node), "no", NOW)
    assert Table.ISCSI not in plan(desired(), observed(iscsi=NOT_ASKED), failed).wanted


def test_the_shutdown_of_the_host_logs_in_to_nothing() -> None:
    assert ids(plan(desired(bay()), observed(iscsi=sessions()), goal=Goal.SHUTDOWN)) == ()


def test_no_event_tells_of_a_session_so_it_is_looked_at_often() -> None:
    """None on a host without one: an idle daemon does not wake up."""
    looks = [plan(desired(bay()), observed(iscsi=sessions(bay1=state))).look_again for state in ("LOGGED_IN", "FAILED")]
    assert looks == [NOW + 60, NOW + 10] and plan(desired(), observed()).look_again is None
