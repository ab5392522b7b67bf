"""A history of the host, as the tests of what is told of it write it down. All times are seconds since START, so that
nothing is right only because the clock began with the goal."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.planner.build import WALL
from xenlocal.model.history import HOST, Deed, Entry, Event, Stamp, What

START = 1000.0  # of the dom0's monotonic clock


def stamp(at: float, boot: str = "b") -> Stamp:
    return Stamp(WALL + at, START + at, boot)


def deed(step: str, begin: float, seconds: float, *edges: str, outcome: str = "done", message: str = "") -> Deed:
    """`step`: as in a plan, `start domain/web`."""
    verb, _, target = step.rpartition(" ")
    return Deed(stamp(begin), "boot", verb, target, "why", outcome, message, seconds, (), edges)


def event(
    what: What, target: str, at: float, seconds: float | None = None, cause: str = "", message: str = ""
) -> Event:
    return Event(stamp(at), target, what, cause, message, seconds)


def begun(goal: str, at: float = 0.0) -> Event:
    return event(What.BEGUN, HOST, at, cause=goal)


def ended(goal: str, at: float, message: str = "") -> Event:
    return event(What.ENDED, HOST, at, cause=goal, message=message)


def numbered(*entries: Entry) -> list[Entry]:
    """As they were written, one after the other."""
    return [replace(entry, number=number) for number, entry in enumerate(entries, 1)]
