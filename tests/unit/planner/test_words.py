"""Times and events as people read them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.unit.planner.build import WALL
from xenlocal.model.clock import iso, length, moment, since
from xenlocal.model.history import Event, Stamp, What
from xenlocal.model.memory import Off
from xenlocal.planner.words import ENDS, told


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


def test_moments_are_those_of_the_wall_clock_of_the_host() -> None:
    assert moment(WALL) == "2023-11-14 23:13:20" and iso(WALL) == "2023-11-14T22:13:20+00:00"
    assert moment(WALL - 100 * 86400) == "2023-08-07 00:13:20"  # summer time
    assert since(WALL, WALL + 60) == "23:13"
    assert since(WALL, WALL + 3600) == "2023-11-14 23:13"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (42, "42 s"), (59.7, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min"),
     (273_600, "3 days 4 h")],
)  # fmt: skip
def test_lengths_have_two_units_at_most(seconds: float, text: str) -> None:
    assert length(seconds) == text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            Event(Stamp(0, 0), "domain/web", What.LATE, seconds=300.0),
            "not ready 5 min after its birth; no longer waited for",
        ),
        (
            Event(Stamp(0, 0), "domain/web", What.LATE, message="tcp x:1 refuses", seconds=300.0),
            "not ready 5 min after its birth; no longer waited for: tcp x:1 refuses",
        ),
        (Event(Stamp(0, 0), "domain/web", What.READY, seconds=20.0), "ready 20 s after its birth"),
        (Event(Stamp(0, 0), "domain/web", What.READY, message="again"), "ready again"),
        (
            Event(Stamp(0, 0), "domain/web", What.UNREADY, message="tcp x:1 refuses"),
            "not ready any more: tcp x:1 refuses",
        ),
        (Event(Stamp(0, 0), "domain/web", What.READY), "ready"),
        (Event(Stamp(0, 0), "domain/web", What.UNREADY), "not ready any more"),
        (Event(Stamp(0, 0), "domain/web", What.BORN, domid=3), "born as domid 3"),
        (
            Event(Stamp(0, 0), "domain/web", What.BORN, domid=4, message="anew, without an end that was seen"),
            "born as domid 4 anew, without an end that was seen",
        ),
        (Event(Stamp(0, 0), "domain/web", What.ASKED), "asked to shut down"),
        (Event(Stamp(0, 0), "domain/web", What.OFF, "crash"), "off: the guest crashed"),
        (
            Event(Stamp(0, 0), "domain/web", What.OFF, "crash", "after its birth", 11_100.0),
            "off: the guest crashed, 3 h 5 min after its birth",
        ),
        (Event(Stamp(0, 0), "domain/web", What.OFF, "rebooting"), "off: the guest reboots by itself"),
        (Event(Stamp(0, 0), "domain/web", What.OFF, ""), "off: it ended, and nothing is remembered of how"),
        (Event(Stamp(0, 0), "domain/web", What.OFF, "of a later version"), "off: of a later version"),
        (Event(Stamp(0, 0), "domain/web", What.BY_HAND, "start"), "`xenlocal start` by hand"),
        (Event(Stamp(0, 0), "domain/web", What.BY_HAND, "stop"), "`xenlocal stop` by hand"),
        (Event(Stamp(0, 0), "domain/web", What.BY_HAND, "restart"), "`xenlocal restart` by hand"),
        (Event(Stamp(0, 0), "domain/web", What.BY_HAND, "destroy"), "`xenlocal destroy` by hand"),
        (Event(Stamp(0, 0), "domain/web", What.BY_HAND, "of a later version"), "of a later version by hand"),
        (Event(Stamp(0, 0), "host/this", What.BEGUN, "boot"), "boot of the guests begun"),
        (Event(Stamp(0, 0), "host/this", What.BEGUN, "shutdown"), "shutdown of the guests begun"),
        (Event(Stamp(0, 0), "host/this", What.ENDED, "shutdown"), "shutdown of the guests ended"),
        (Event(Stamp(0, 0), "host/this", What.ENDED, "boot", "x failed"), "boot of the guests ended: x failed"),
    ],
)
def test_events_in_words(event: Event, text: str) -> None:
    assert told(event) == text


def test_every_cause_has_words() -> None:
    assert {*Off} < set(ENDS)
