"""What is done with each kind of guest when the host shuts down, and what is said where nothing can be done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    NOW,
    action,
    actions,
    desired,
    dom,
    edges,
    ids,
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
from xenlocal.model.actions import DestroyDomain, StopDomain
from xenlocal.model.memory import Hand, Memory, Off, Record, Reply
from xenlocal.model.observed import NOT_ASKED, LiveDomain, Observed, Table, Unavailable
from xenlocal.model.plan import Goal, Plan
from xenlocal.model.units import Duration

HOST = "host/this"
XL_HANGS = Unavailable("xl list: no answer within 30 s")


def down(seen: Observed, kept: Memory, now: float = NOW) -> Plan:
    return plan(desired(dom("web")), seen, kept, Goal.SHUTDOWN, now)


# Where xl does not answer.


def test_where_no_guest_can_be_seen_that_is_said_with_its_usual_cause() -> None:
    made = down(observed(domains=XL_HANGS), memory(ready("web", 3)))
    assert noticed(made, HOST) == (
        "no guest can be seen, asked to stop or destroyed while xl does not answer; tried until shutdown_deadline is"
        " over. Where xl hangs, xenstored has usually died; `xenstore-read domid` hangs too then, and only a reboot"
        " helps"
    )
    assert not made.steps and not made.refusals


def test_guests_that_only_xenstore_shows_are_asked_and_none_is_cleared_away() -> None:
    seen = observed(live(3, "web"), live(4, "db", "shutdown"), live(5, "old", "dying"), xl=XL_HANGS)
    made = down(seen, memory(ready("web", 3), ready("db", 4), ready("old", 5)))
    assert ids(made) == ("stop domain/web",)
    assert noticed(made, HOST) == (
        "xl does not tell which guests run (xl list: no answer within 30 s): they are seen and asked through xenstore,"
        " where one that has crashed looks like one that runs, and none can be destroyed"
    )
    assert not noticed(down(replace(seen, xl=None), memory(ready("web", 3))), HOST)


# Who is asked, and who is not.


@pytest.mark.parametrize(
    ("guest", "told"),
    [
        (live(3, "web"), True),
        (live(3, "web", "paused"), True),
        (live(3, "web", "crashed"), False),
        (live(3, "web", "dying"), False),
        (live(3, "web", uuid="foreign"), False),
    ],
    ids=["running", "paused", "crashed", "dying", "foreign"],
)
def test_only_our_guests_that_run_are_told_of_when_the_shutdown_is_over(guest: LiveDomain, told: bool) -> None:
    made = down(observed(guest), memory(ready("web", 3), shutting_down=NOW - 99, shutdown_over=True))
    text = "was started after the guests of this host had been shut down: left as it is; `xenlocal boot` goes on"
    assert noticed(made, "domain/web") == (text if told else "") and not made.steps


def test_a_guest_without_a_name_is_named_by_its_number() -> None:
    made = down(observed(live(7, "", uuid="foreign")), memory())
    assert ids(made) == ("stop domain/domid-7",) and action(made, ids(made)[0]).name == "domid-7"


def test_a_shell_of_ours_is_reaped_when_its_followers_have_ended() -> None:
    kept = memory(ready("db", 1), ready("web", 2, predecessors=("db",)))
    made = down(observed(live(1, "db", "crashed"), live(2, "web")), kept)
    assert action(made, "reap domain/db") == DestroyDomain("db", uid("db"), 1, verb="reap", within=Duration(60))
    assert edges(made, "reap domain/db") == ((), ("stop domain/web",))
    assert made.steps[-1].reason == "has ended; only its shell is left"


@pytest.mark.parametrize(
    ("hand", "domid", "given_up"),
    [(Hand.DESTROY, 3, True), (Hand.DESTROY, 2, False), (Hand.DESTROY, None, False), (Hand.RESTART, 3, False)],
)
def test_one_that_is_given_up_by_hand_is_destroyed_at_once_where_it_is_the_one_that_was_meant(
    hand: Hand, domid: int | None, given_up: bool
) -> None:
    hung = ready("db", 3, hand=hand, hand_domid=domid)
    made = down(observed(live(3, "db"), live(4, "web")), memory(hung, ready("web", 4, predecessors=("db",))))
    if given_up:
        assert action(made, "destroy domain/db") == DestroyDomain(
            "db", uid("db"), 3, verb="destroy", within=Duration(60)
        )
        assert edges(made, "destroy domain/db") == ((), ())
        assert made.steps[-1].reason == "given up by hand while the host shuts down"
    else:
        assert edges(made, "stop domain/db") == (("stop domain/web",), ())


@pytest.mark.parametrize(("since", "asks"), [(299, True), (300, False), (301, False)])
def test_a_foreign_guest_whose_time_is_over_is_left_running_and_that_is_said(since: float, asks: bool) -> None:
    kept = memory(foreign_asked={3: NOW - since}, shutting_down=NOW - since)
    made = down(observed(live(3, "theirs")), kept)
    assert bool(made.steps) is asks
    text = "did not stop in its time; not ours, so it is left running"
    assert noticed(made, "domain/theirs") == ("" if asks else text)


def test_one_of_ours_whose_time_is_over_is_brought_to_its_end() -> None:
    late = ready("web", 3, stop_asked=NOW - 301, reply=Reply(NOW - 301))
    made = down(observed(live(3, "web")), memory(late, shutting_down=NOW - 301))
    assert [each.destroy for each in actions(made, StopDomain)] == [True]


# Births that are under way.

WAITED = (
    "an xl process is at work on it: its own reboot, or a start begun before; waited for up to 120 s, so that it can be"
    " shut down too"
)
HANGS = (
    "an xl process is at work on it: its own reboot, or a start that hangs; not waited for any longer;"
    " `ps ax | grep domains/web.cfg` shows it"
)


@pytest.mark.parametrize(
    ("record", "begun", "since"),
    [
        (rec("web"), NOW, NOW),
        (rec("web", off=Off.REBOOTING, off_since=NOW - 9), NOW, NOW),
        (rec("web", off=Off.REBOOTING, off_since=NOW + 9), NOW, NOW + 9),
        (ready("web", 3, dying_since=NOW + 20), NOW, NOW + 20),
        (ready("web", 3, dying_since=NOW + 20, off_since=NOW + 30), NOW, NOW + 30),
    ],
    ids=["start", "went-before", "went-since", "dying", "gone"],
)
def test_a_birth_is_waited_for_from_its_latest_sign_on(record: Record, begun: float, since: float) -> None:
    kept = memory(record, shutting_down=begun)
    early = down(observed(monitors=frozenset({"web"})), kept, since + 119)
    assert refused(early, "domain/web") == WAITED and not early.notices
    assert early.look_again == since + 120
    late = down(observed(monitors=frozenset({"web"})), kept, since + 120)
    assert noticed(late, "domain/web") == HANGS and not late.refusals and late.look_again is None


def test_who_else_is_off_is_not_waited_for() -> None:
    kept = memory(rec("web"), rec("off"), ready("db", 4), shutting_down=NOW)
    made = down(observed(live(4, "db"), monitors=frozenset({"web", "db"})), kept)
    assert [str(each.target) for each in made.refusals] == ["domain/web"]
    assert ids(made) == ("stop domain/db",)


def test_where_nobody_knows_what_xl_does_no_birth_is_waited_for_and_the_guests_are_asked() -> None:
    kept = memory(rec("web"), ready("db", 4))
    blind = down(observed(live(4, "db"), monitors=Unavailable("no /proc")), kept)
    assert ids(blind) == ("stop domain/db",) and not blind.refusals
    assert blind.unavailable == (("monitors", "no /proc"),)
    assert down(observed(live(4, "db"), monitors=NOT_ASKED), kept).wanted == {Table.MONITORS}
