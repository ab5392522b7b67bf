"""Where the time of a boot or shutdown went: what each domU's own part was, and what is usual for it."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import WALL
from tests.unit.planner.past import begun, deed, ended, event, numbered
from xenlocal.model.history import Entry, What
from xenlocal.model.memory import Off
from xenlocal.planner.blame import Blame, Link, Part, blame
from xenlocal.planner.course import last_begun


def blamed(*entries: Entry) -> Blame:
    listed = numbered(*entries)
    opening = last_begun(listed, None)
    assert opening is not None
    return blame(listed, opening)


def usual(goal: str, *before: Entry) -> float | None:
    """Of web, whose start or stop is in it."""
    (part,) = blamed(*before, begun(goal), deed(f"{'start' if goal == 'boot' else 'stop'} domain/web", 0, 2)).parts
    return part.usual


def test_a_shutdown_as_a_whole() -> None:
    found = blamed(
        deed("stop domain/web", -900, 40),
        begun("shutdown"),
        deed("stop domain/web", 0, 30, outcome="late", message="not off in 30s"),
        event(What.OFF, "domain/web", 30, 30.0, Off.DESTROYED),
        deed("stop domain/nas", 32, 5, "stop domain/web"),
        ended("shutdown", 40, "had to be destroyed: web"),
    )
    assert found == Blame(
        "shutdown",
        WALL,
        40,
        "had to be destroyed: web",
        (Link("stop domain/web", 0, 30, 0), Link("stop domain/nas", 32, 5, 2)),
        (Part("web", 0, 30, "late: not off in 30s", 40), Part("nas", 32, 5, "done", None)),
        ("web",),
    )


def test_one_without_an_end_has_neither_length_nor_word() -> None:
    found = blamed(begun("boot"), deed("start domain/web", 0, 2))
    assert found.seconds is None and found.message == ""


def test_a_step_that_began_before_the_goal_counts_from_there() -> None:
    """As waiting for a guest that was born before the boot goal began."""
    found = blamed(begun("boot"), event(What.READY, "domain/web", 5, 20.0))
    assert found.path == (Link("await domain/web", 0, 5, 0),)
    assert found.parts == (Part("web", 0, 5, "ready", None),)


def test_a_domus_part_is_what_it_is_waited_for_and_nothing_else_that_is_done_to_it() -> None:
    steps = [
        deed("create volume/vg0/web", 0, 3),
        deed("start domain/web", 3, 2),
        deed("attach domain/web", 60, 1),
        deed("set domain/db", 60, 1),
    ]
    assert blamed(begun("boot"), *steps).parts == (Part("web", 3, 2, "done", None),)
    stops = [deed("stop domain/web", 1, 9), deed("reap domain/web", 10, 1), deed("sync domain/web", 30, 1)]
    assert blamed(begun("shutdown"), *stops).parts == (Part("web", 1, 10, "done", None),)


def test_equally_slow_ones_are_told_by_name() -> None:
    found = blamed(
        begun("boot"), deed("start domain/b", 1, 2), deed("start domain/a", 3, 2), deed("start domain/c", 0, 3)
    )
    assert [part.name for part in found.parts] == ["c", "a", "b"]


STARTED, READY = deed("start domain/web", -99, 3), event(What.READY, "domain/web", -80, 16.0)
STOPPED = deed("stop domain/web", -50, 7)


@pytest.mark.parametrize(
    ("goal", "before", "seconds"),
    [
        ("boot", [STARTED, READY], 19),
        ("boot", [STARTED, READY, STOPPED], 19),
        ("boot", [STARTED, STOPPED], None),
        ("boot", [READY, STOPPED], None),
        ("boot", [], None),
        ("shutdown", [STARTED, READY, STOPPED], 7),
        ("shutdown", [STARTED, READY], None),
        ("shutdown", [], None),
    ],
)
def test_usual_is_what_was_learned_of_the_whole_way(goal: str, before: list[Entry], seconds: float | None) -> None:
    assert usual(goal, *before) == seconds


def test_what_is_usual_is_learned_of_the_times_before_and_not_of_this_one() -> None:
    (part,) = blamed(STOPPED, begun("shutdown"), deed("stop domain/web", 0, 90)).parts
    assert (part.seconds, part.usual) == (90, 7)
