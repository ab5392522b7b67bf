"""Somebody asks `why` at the moment `NOW` of a host, and the plan of that moment is the one that the planner makes of
it. Moments of the history are given in seconds before it."""

from __future__ import annotations

from typing import Any

from tests.unit.planner.build import NOW, UP, WALL, plan
from xenlocal.model.desired import Desired
from xenlocal.model.history import Deed, Entry, Event, Stamp, What
from xenlocal.model.memory import Memory, Off
from xenlocal.model.observed import Observed
from xenlocal.planner.why import Answer, View, why


def asked(want: Desired, seen: Observed, kept: Memory = UP, *past: Entry, name: str = "web") -> Answer | None:
    return why(name, View(want, seen, kept, plan(want, seen, kept), NOW, WALL), past)


def told(want: Desired, seen: Observed, kept: Memory = UP, *past: Entry, name: str = "web") -> tuple[str, ...]:
    answer = asked(want, seen, kept, *past, name=name)
    assert answer is not None, f"nobody knows {name}"
    return answer.sentences


def first(want: Desired, seen: Observed, kept: Memory = UP, *past: Entry, name: str = "web") -> str:
    return told(want, seen, kept, *past, name=name)[0]


def ago(seconds: float) -> Stamp:
    return Stamp(WALL - seconds, NOW - seconds)


def event(what: What, before: float, name: str = "web", **values: Any) -> Event:
    return Event(ago(before), f"domain/{name}", what, **values)


def ended(cause: Off | str, before: float, name: str = "web", **values: Any) -> Event:
    return event(What.OFF, before, name, cause=cause, **values)


def deed(step: str, seconds: float, outcome: str, message: str = "") -> Deed:
    verb, _, target = step.partition(" ")
    return Deed(ago(seconds), "converge", verb, target, "because", outcome, message)
