"""What is drawn of a boot or shutdown: a row an object, a bar a step, and who was waited for when it broke off."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import WALL
from tests.unit.planner.past import START, begun, deed, ended, event, numbered
from xenlocal.model.history import Deed, Entry, Event, What
from xenlocal.model.memory import Off
from xenlocal.planner.course import last_begun
from xenlocal.planner.plot import Bar, Plot, Row, plot


def drawn(*entries: Entry) -> Plot:
    listed = numbered(*entries)
    opening = last_begun(listed, None)
    assert opening is not None
    return plot(listed, opening)


def rows(found: Plot) -> dict[str, list[str]]:
    return {row.target: [bar.what for bar in row.bars] for row in found.rows}


def test_a_boot_as_a_whole() -> None:
    found = drawn(
        event(What.READY, "domain/before", -1, 20.0),
        begun("boot"),
        deed("create volume/vg0/db", 0, 3),
        deed("start domain/free", 1, 2),
        deed("start domain/db", 3, 2, "create volume/vg0/db"),
        event(What.READY, "domain/free", 12, 10.0),
        event(What.LATE, "domain/db", 35, 30.0),
        ended("boot", 36, "db is not ready"),
        deed("start domain/later", 40, 2),
    )
    volume = Bar("create", 0, 3, "done", True, True)
    db = (Bar("start", 3, 5, "done", True, True), Bar("await", 5, 35, "not ready in time", False, True))
    free = (Bar("start", 1, 3, "done", True, False), Bar("await", 2, 12, "ready", True, False))
    assert found == Plot(
        "boot",
        WALL,
        36,
        "db is not ready",
        (
            Row("volume/vg0/db", False, (volume,)),
            Row("domain/free", False, free),
            Row("domain/db", False, db),
        ),
    )


def test_a_verb_of_several_words_is_one_and_its_row_is_that_of_its_object() -> None:
    """As `log in to` at boot, and the button of a guest that does not stop."""
    assert rows(drawn(begun("boot"), deed("log in to iscsi/bay1", 0, 2))) == {"iscsi/bay1": ["log in to"]}
    button = deed("press the power button of domain/win", 100, 1)
    assert rows(drawn(begun("shutdown"), button, deed("stop domain/win", 0, 120))) == {
        "domain/win": ["stop", "press the power button of"]
    }


def test_a_row_tells_its_bars_and_the_whole_its_rows_in_the_order_of_their_begin() -> None:
    found = drawn(
        begun("shutdown"),
        deed("stop domain/b", 5, 2),
        deed("sync domain/z", 4, 1),
        deed("stop domain/a", 5, 4),
        deed("stop domain/z", 1, 20),
        deed("stop domain/c", 2, 30),
    )
    assert rows(found) == {
        "domain/z": ["stop", "sync"],
        "domain/c": ["stop"],
        "domain/a": ["stop"],
        "domain/b": ["stop"],
    }
    assert list(rows(found)) == ["domain/z", "domain/c", "domain/a", "domain/b"]


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        (deed("create bridge/br0", 5, 0.01), False),
        (deed("create bridge/br0", 5, 0.04), False),
        (deed("create bridge/br0", 5, 0.06), True),
        (deed("create bridge/br0", 5, 0.01, outcome="failed"), True),
        (deed("set domain/web", 5, 0.01), True),
    ],
)
def test_what_took_no_time_on_something_else_than_a_domu_is_not_worth_a_row(step: Deed, shown: bool) -> None:
    found = drawn(begun("boot"), step, deed("start domain/other", 6, 2))
    assert (step.target in rows(found)) is shown


def test_a_twentieth_of_a_second_is_worth_a_row() -> None:
    exactly = deed("create bridge/br0", -START, 0.05)
    found = drawn(begun("boot", -START), exactly, deed("start domain/other", 6, 2))
    assert list(rows(found)) == ["bridge/br0", "domain/other"]


def test_what_the_end_waited_for_has_a_row_however_short_it_was() -> None:
    found = drawn(
        begun("boot"), deed("create bridge/br0", 0, 0.01), deed("start domain/web", 1, 2, "create bridge/br0")
    )
    assert list(rows(found)) == ["bridge/br0", "domain/web"]


def test_one_step_that_took_time_brings_the_short_ones_on_the_same_object_along() -> None:
    found = drawn(
        begun("boot"),
        deed("create volume/vg0/x", 0, 0.01),
        deed("grow volume/vg0/x", 1, 1),
        deed("start domain/other", 6, 2),
    )
    assert rows(found)["volume/vg0/x"] == ["create", "grow"]


def test_what_began_before_the_goal_is_drawn_from_its_begin_on() -> None:
    """A guest that was born before; and a step that had ended before, but was only written down after the begin."""
    found = drawn(
        begun("boot"), event(What.READY, "domain/web", 5, 20.0), deed("start domain/db", -2, 1.5), ended("boot", 6)
    )
    assert found.rows == (
        Row("domain/db", False, (Bar("start", 0, 0, "done", True, False),)),
        Row("domain/web", False, (Bar("await", 0, 5, "ready", True, True),)),
    )


def test_who_had_to_be_destroyed_is_marked_in_its_own_row_alone() -> None:
    found = drawn(
        begun("shutdown"),
        deed("stop domain/web", 0, 30, outcome="late"),
        event(What.OFF, "domain/web", 30, cause=Off.DESTROYED),
        deed("stop domain/db", 0, 5),
        event(What.OFF, "domain/db", 5, cause=Off.STOPPED),
        ended("shutdown", 31, "had to be destroyed: web"),
    )
    assert {row.target: row.forced for row in found.rows} == {"domain/db": False, "domain/web": True}


# A host that went down in the middle of it.

OPEN_STOP = Bar("stop", 1, None, "no end of it is recorded", False, False)
OPEN_AWAIT = Bar("await", 1, None, "no end of it is recorded", False, False)


@pytest.mark.parametrize(
    ("goal", "happened", "bar"),
    [
        ("shutdown", [event(What.ASKED, "domain/web", 1)], OPEN_STOP),
        ("boot", [event(What.BORN, "domain/web", 1)], OPEN_AWAIT),
        ("boot", [event(What.BORN, "domain/web", 1), event(What.BY_HAND, "domain/web", 2)], OPEN_AWAIT),
        ("boot", [event(What.BORN, "domain/web", 1), event(What.OFF, "domain/db", 2)], OPEN_AWAIT),
        ("boot", [event(What.BORN, "domain/web", 1), deed("create volume/vg0/x", 1, 0.5)], OPEN_AWAIT),
    ],
)
def test_who_was_waited_for_when_it_broke_off_has_a_bar_without_an_end(
    goal: str, happened: list[Entry], bar: Bar
) -> None:
    found = drawn(begun(goal), *happened)
    (row,) = [each for each in found.rows if each.target == "domain/web"]
    assert row == Row("domain/web", False, (bar,))
    assert found.seconds is None and found.message == ""


@pytest.mark.parametrize(
    ("goal", "opening", "closing"),
    [
        ("boot", What.BORN, event(What.READY, "domain/web", 2, 1.0)),
        ("boot", What.BORN, event(What.LATE, "domain/web", 2, 1.0)),
        ("boot", What.BORN, event(What.OFF, "domain/web", 2, 1.0, Off.CRASH)),
        ("shutdown", What.ASKED, event(What.OFF, "domain/web", 2, 1.0, Off.STOPPED)),
    ],
)
def test_who_was_waited_for_no_more_has_none(goal: str, opening: What, closing: Event) -> None:
    found = drawn(begun(goal), event(opening, "domain/web", 1), closing)
    assert all(bar.end is not None for row in found.rows for bar in row.bars) and found.seconds is None


@pytest.mark.parametrize(("goal", "other"), [("boot", What.ASKED), ("shutdown", What.BORN)])
def test_a_boot_waits_for_no_end_and_a_shutdown_for_no_birth(goal: str, other: What) -> None:
    assert drawn(begun(goal), event(other, "domain/web", 1)).rows == ()


@pytest.mark.parametrize("what", [What.READY, What.LATE])
def test_an_asked_guest_that_becomes_ready_all_the_same_is_still_waited_for(what: What) -> None:
    """A try of its probe that was under way when it was asked."""
    found = drawn(begun("shutdown"), event(What.ASKED, "domain/web", 1), event(what, "domain/web", 2, 30.0))
    assert found.rows == (Row("domain/web", False, (OPEN_STOP,)),)


def test_one_that_has_ended_waits_for_nobody() -> None:
    assert drawn(begun("boot"), event(What.BORN, "domain/web", 1), ended("boot", 2)).rows == ()
