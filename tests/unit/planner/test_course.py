"""The course of a boot or shutdown out of the history: where it begins and ends, what took time, what its end waited
for. `blame` and `plot` both stand on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.past import START, begun, deed, ended, event, numbered, stamp
from xenlocal.model.history import Deed, Entry, What
from xenlocal.model.memory import Off
from xenlocal.planner.course import Course, course, last_begun
from xenlocal.planner.words import ENDS


def told(*entries: Entry) -> Course:
    """Of the last boot or shutdown of them."""
    listed = numbered(*entries)
    opening = last_begun(listed, None)
    assert opening is not None
    return course(listed, opening)


def spans(found: Course) -> list[tuple[str, float, float, str, bool]]:
    """Times in seconds since START."""
    return [(span.step, span.begin - START, span.end - START, span.result, span.well) for span in found.spans]


def path(found: Course) -> list[tuple[str, float]]:
    """Each step and when it ended."""
    return [(span.step, span.end - START) for span in found.path]


# Where it begins and ends.


def test_the_last_of_a_kind_or_of_both() -> None:
    listed = numbered(
        deed("create volume/vg0/x", -9, 1),
        begun("boot", 0),
        ended("boot", 1),
        begun("boot", 10),
        begun("shutdown", 20),
        deed("stop domain/web", 21, 1),
        ended("shutdown", 30),
    )
    assert last_begun(listed, "boot") == begun("boot", 10)
    assert last_begun(listed, "shutdown") == last_begun(listed, None) == begun("shutdown", 20)
    assert last_begun(listed[:3], "shutdown") is None


def test_it_holds_all_from_its_begin_to_its_end() -> None:
    opening, ending = begun("boot"), ended("boot", 9)
    inside: list[Entry] = [opening, deed("start domain/web", 0, 2), event(What.READY, "domain/web", 9, 8.0), ending]
    found = told(deed("start domain/db", -9, 2), *inside, deed("start domain/later", 10, 2), ended("boot", 11))
    assert found.begun == opening and found.ended == ending
    assert found.entries == tuple(inside)
    assert [span.step for span in found.spans] == ["start domain/web", "await domain/web"]


def test_a_boot_that_a_shutdown_cut_short_has_no_end_of_its_own() -> None:
    listed = numbered(begun("boot"), deed("start domain/web", 0, 2), begun("shutdown", 3), ended("shutdown", 9))
    boot = last_begun(listed, "boot")
    assert boot is not None and course(listed, boot).ended is None
    assert told(*listed).ended == ended("shutdown", 9)


def test_what_another_boot_of_the_host_did_is_no_part_of_it() -> None:
    """Its clock begins anew, so that no time of it compares."""
    later = replace(deed("start domain/web", 5, 2), stamp=stamp(5, "next"))
    found = told(begun("shutdown"), later, replace(ended("shutdown", 6), stamp=stamp(6, "next")))
    assert found.ended is None and not found.spans and found.entries == (begun("shutdown"),)


def test_the_forced_are_named_in_order() -> None:
    gone = [event(What.OFF, f"domain/{name}", 30, cause=Off.DESTROYED) for name in ("web", "db")]
    others = [event(What.OFF, "domain/a", 30, cause=Off.STOPPED), event(What.OFF, "domain/b", 30, cause=Off.VANISHED)]
    found = told(begun("shutdown"), *gone, *others, deed("stop domain/c", 1, 30, outcome="late"))
    assert found.forced == ("db", "web")


# What took time.


@pytest.mark.parametrize(
    ("outcome", "message", "result", "well"),
    [
        ("done", "", "done", True),
        ("done", "with a remark", "done", True),
        ("failed", "", "failed", False),
        ("failed", "no memory left", "failed: no memory left", False),
        ("late", "not off in 5m", "late: not off in 5m", False),
    ],
)
def test_a_step_tells_how_it_ended_and_why_where_that_was_not_well(
    outcome: str, message: str, result: str, well: bool
) -> None:
    found = told(begun("boot"), deed("start domain/web", 1, 2, outcome=outcome, message=message))
    assert spans(found) == [("start domain/web", 1, 3, result, well)]


def test_waiting_for_readiness_takes_from_the_birth_on() -> None:
    found = told(
        begun("boot"),
        event(What.BORN, "domain/web", 1),
        event(What.READY, "domain/web", 9, 8.0),
        event(What.LATE, "domain/db", 300, 299.0),
    )
    assert spans(found) == [
        ("await domain/web", 1, 9, "ready", True),
        ("await domain/db", 1, 300, "not ready in time", False),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        event(What.READY, "domain/web", 9, None, message="again"),  # it had been ready before
        event(What.UNREADY, "domain/web", 9),
        event(What.OFF, "domain/web", 9, 8.0, Off.CRASH),  # seconds of its life
    ],
)
def test_nothing_else_that_happens_to_a_domu_at_boot_took_time(entry: Entry) -> None:
    assert spans(told(begun("boot"), event(What.BORN, "domain/web", 1), entry)) == []


def test_a_shutdown_does_not_wait_for_readiness_nor_a_boot_for_ends() -> None:
    assert spans(told(begun("shutdown"), event(What.READY, "domain/web", 9, 8.0))) == []
    asked = [event(What.ASKED, "domain/web", 1), event(What.OFF, "domain/web", 9, 8.0, Off.STOPPED)]
    assert spans(told(begun("boot"), *asked)) == []
    assert spans(told(begun("shutdown"), *asked)) == [("stop domain/web", 1, 9, "done", True)]


def test_all_that_took_time_is_in_the_order_of_its_end_and_then_by_its_name() -> None:
    found = told(
        begun("boot"),
        event(What.READY, "domain/web", 9, 1.0),
        deed("start domain/b", 1, 4),
        deed("start domain/a", 2, 3),
        deed("create volume/vg0/x", 0, 2),
    )
    steps = ["create volume/vg0/x", "start domain/a", "start domain/b", "await domain/web"]
    assert [span.step for span in found.spans] == steps


# Guests whose end no daemon lived to see.

ASKED = event(What.ASKED, "domain/web", 1)


@pytest.mark.parametrize(
    ("cause", "result", "well"),
    [
        (Off.STOPPED, "done", True),
        (Off.DESTROYED, "it was destroyed by xenlocal", False),
        (Off.CRASH, "the guest crashed", False),
        ("", "it ended, and nothing is remembered of how", False),
        ("as a later version says", "as a later version says", False),
    ],
)
def test_one_that_was_asked_by_a_daemon_that_was_killed_took_until_it_was_off(
    cause: str, result: str, well: bool
) -> None:
    found = told(begun("shutdown"), ASKED, event(What.OFF, "domain/web", 40, cause=cause))
    assert spans(found) == [("stop domain/web", 1, 40, result, well)]
    assert cause not in ENDS or well or result == ENDS[cause]


@pytest.mark.parametrize(
    ("stop", "off", "told_once"),
    [
        (deed("stop domain/web", 1, 39), 1, True),
        (deed("stop domain/web", 1, 39), 20, True),
        (deed("stop domain/web", 1, 39), 40, True),
        (deed("stop domain/web", 1, 39), 41, False),  # it had given up before
        (deed("stop domain/web", 30, 10), 29, False),
        (deed("stop domain/db", 1, 39), 20, False),
        (deed("sync domain/web", 1, 39), 20, False),
        (deed("reap domain/web", 20, 1), 20, False),
    ],
)
def test_where_a_step_tells_of_its_stop_that_is_not_told_twice(stop: Deed, off: float, told_once: bool) -> None:
    found = told(begun("shutdown"), ASKED, event(What.OFF, "domain/web", off, cause=Off.STOPPED), stop)
    without_step = [] if told_once else [("stop domain/web", 1, off, "done", True)]
    assert sorted(spans(found)) == sorted(
        [*without_step, (stop.step, stop.stamp.at - START, stop.end - START, "done", True)]
    )


def test_any_of_several_tries_tells_of_it() -> None:
    first, second = deed("stop domain/web", 1, 10, outcome="failed"), deed("stop domain/web", 15, 10)
    found = told(begun("shutdown"), ASKED, first, event(What.OFF, "domain/web", 25, cause=Off.STOPPED), second)
    assert spans(found) == [("stop domain/web", 1, 11, "failed", False), ("stop domain/web", 15, 25, "done", True)]


@pytest.mark.parametrize(
    "happened",
    [
        [event(What.OFF, "domain/web", 40, cause=Off.STOPPED)],  # asked before the host was to go down
        [event(What.ASKED, "domain/db", 1), event(What.OFF, "domain/web", 40, cause=Off.STOPPED)],
        [ASKED, event(What.BY_HAND, "domain/web", 2, cause="stop")],
        [ASKED],
    ],
)
def test_one_that_was_not_asked_or_is_not_off_took_no_time_that_is_known(happened: list[Entry]) -> None:
    assert spans(told(begun("shutdown"), *happened)) == []


# What its end waited for.


def test_the_way_goes_back_from_what_ended_last_to_the_latest_that_it_stood_on() -> None:
    found = told(
        begun("boot"),
        deed("create volume/vg0/db", 0, 5),
        deed("start domain/nas", 0, 2),
        deed("start domain/alone", 0, 7),
        deed("start domain/db", 5, 3, "start domain/nas", "create volume/vg0/db"),
        deed("start domain/web", 8, 2, "start domain/db", "start domain/nas"),
    )
    assert path(found) == [("create volume/vg0/db", 5), ("start domain/db", 8), ("start domain/web", 10)]


def test_it_leads_through_waiting_to_the_start_and_to_what_that_stood_on() -> None:
    found = told(
        begun("boot"),
        deed("start domain/db", 0, 2),
        event(What.READY, "domain/db", 30, 29.0),
        deed("start domain/web", 30, 2, "await domain/db"),
    )
    assert path(found) == [("start domain/db", 2), ("await domain/db", 30), ("start domain/web", 32)]


def test_a_shell_is_cleared_away_after_its_stop_and_after_what_the_step_itself_names() -> None:
    reaped = deed("reap domain/web", 20, 1, "stop domain/client")
    found = told(
        begun("shutdown"),
        deed("stop domain/client", 0, 5),
        deed("stop domain/web", 5, 15, "stop domain/client"),
        reaped,
    )
    assert path(found) == [("stop domain/client", 5), ("stop domain/web", 20), ("reap domain/web", 21)]
    directly = told(begun("shutdown"), deed("stop domain/client", 0, 5), reaped)
    assert path(directly) == [("stop domain/client", 5), ("reap domain/web", 21)]
    # no other step on a domU stands on its stop by itself
    assert path(told(begun("shutdown"), deed("stop domain/web", 0, 5), deed("sync domain/web", 6, 1))) == [
        ("sync domain/web", 7)
    ]


@pytest.mark.parametrize(
    ("again", "is_a_try_at_the_same"),
    [
        (deed("start domain/web", 10, 2), True),
        (deed("start domain/web", 5, 2), True),  # at once
        (deed("start domain/web", 4, 2), False),  # that was another: both were under way
        (deed("start domain/db", 10, 2), False),
    ],
)
def test_an_earlier_try_at_the_same_step_was_waited_for(again: Deed, is_a_try_at_the_same: bool) -> None:
    found = told(begun("boot"), deed("start domain/web", 0, 5, outcome="failed"), again)
    before = [("start domain/web", 5.0)] if is_a_try_at_the_same else []
    assert path(found) == [*before, (again.step, again.end - START)]


def test_where_nothing_took_time_nothing_was_waited_for() -> None:
    assert told(begun("boot"), ended("boot", 1)).path == ()
