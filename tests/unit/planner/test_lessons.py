"""What the history teaches of how long things take, and what it does not."""

from __future__ import annotations

import pytest

from xenlocal.model.history import Deed, Entry, Event, Stamp, What
from xenlocal.planner.learned import Learned, learned

AT = Stamp(0.0, 0.0)


def deed(verb: str, seconds: float = 1.0, outcome: str = "done", target: str = "domain/web") -> Deed:
    return Deed(AT, "converge", verb, target, "why", outcome, seconds=seconds)


def event(what: What, seconds: float | None, target: str = "domain/web") -> Event:
    return Event(AT, target, what, seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "median"),
    [([9], 9), ([9, 1], 9), ([1, 9], 9), ([9, 1, 5], 5), ([1, 2, 3, 900, 4, 5, 6], 4), ([7, 1, 6, 2, 5, 3, 4, 8], 4)],
)
def test_one_odd_day_changes_little(seconds: list[float], median: float) -> None:
    """The latest seven count, in whatever order they came."""
    assert learned([deed("start", each) for each in seconds]) == {"web": Learned(start=median)}


@pytest.mark.parametrize(
    "entry",
    [
        deed("start", outcome="failed"),
        deed("stop", outcome="failed"),
        deed("await"),
        deed("set"),
        deed("stage"),
        deed("start", target="bridge/web"),
        deed("stop", target="iscsi/web"),
        deed("stop", target="iscsi/web", outcome="late"),
        event(What.READY, None),  # again: no time from its birth
        event(What.LATE, 300.0),
        event(What.OFF, 9.0),
        event(What.READY, 9.0, target="host/here"),
    ],
)
def test_nothing_else_teaches_how_long_a_domu_takes(entry: Entry) -> None:
    assert learned([entry]) == {}


@pytest.mark.parametrize(
    ("entries", "hung"),
    [
        ([deed("stop", outcome="late")], True),
        ([deed("stop", outcome="late"), deed("start")], True),
        ([deed("stop", outcome="late"), deed("stop", outcome="failed")], True),
        ([deed("stop", outcome="late"), deed("stop")], False),
        ([deed("stop"), deed("stop", outcome="late")], True),
        ([deed("await", outcome="late"), deed("start")], False),
    ],
)
def test_whether_it_hangs_is_told_by_its_latest_stop(entries: list[Entry], hung: bool) -> None:
    assert learned(entries)["web"].hung is hung


def test_domus_come_by_name_and_each_has_its_own() -> None:
    found = learned([deed("start", 3, target="domain/web"), deed("stop", 4, target="domain/db")])
    assert list(found.items()) == [("db", Learned(stop=4)), ("web", Learned(start=3))]
