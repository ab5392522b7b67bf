"""Where the time of a boot or shutdown of the guests went: the critical path, and each domU's own part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xenlocal.model.history import Entry, Event
from xenlocal.planner.course import Course, Span, course
from xenlocal.planner.learned import Learned, learned


@dataclass(frozen=True)
class Link:
    """A step of the critical path. Seconds: `begin` since the goal began; `waited` for none of the steps before it,
    but for a free start slot, a pause after a failure, or a look."""

    step: str
    begin: float
    seconds: float
    waited: float


@dataclass(frozen=True)
class Part:
    """One domU. `seconds`: from the start of `xl create` until it was ready, or from the asking until it was gone."""

    name: str
    begin: float
    seconds: float
    result: str
    usual: float | None


@dataclass(frozen=True)
class Blame:
    """`seconds` None: it has not ended, or the host went down in the middle of it."""

    goal: str
    begun: float  # Unix seconds
    seconds: float | None
    message: str
    path: tuple[Link, ...]
    parts: tuple[Part, ...]  # the slowest first
    forced: tuple[str, ...]


def blame(entries: Sequence[Entry], begun: Event) -> Blame:
    """`entries`: all from `begun` on, and as many before it as are to tell what is usual."""
    found = course(entries, begun)
    usual = learned(each for each in entries if each.number < begun.number)
    return Blame(
        begun.cause,
        begun.stamp.wall,
        None if found.ended is None else found.ended.stamp.at - begun.stamp.at,
        "" if found.ended is None else found.ended.message,
        tuple(_links(found)),
        _parts(found.spans, begun, usual),
        found.forced,
    )


def _links(course: Course) -> Iterator[Link]:
    """Each step's time counts from the end of the one before it."""
    begun = former = course.begun.stamp.at
    for span in course.path:
        begin = max(span.begin, former)
        yield Link(span.step, begin - begun, span.end - begin, begin - former)
        former = span.end


def _parts(spans: Sequence[Span], begun: Event, usual: Mapping[str, Learned]) -> tuple[Part, ...]:
    verbs = ("start", "await") if begun.cause == "boot" else ("stop", "reap")  # of steps on domUs alone
    found: dict[str, list[Span]] = {}
    for span in spans:
        if span.verb in verbs:
            found.setdefault(span.target.removeprefix("domain/"), []).append(span)
    parts = []
    for name, own in found.items():
        begin = max(min(span.begin for span in own), begun.stamp.at)
        seconds = own[-1].end - begin
        usually = _usual(usual.get(name, Learned()), begun.cause)
        parts.append(Part(name, begin - begun.stamp.at, seconds, own[-1].result, usually))
    return tuple(sorted(parts, key=lambda part: (-part.seconds, part.name)))


def _usual(known: Learned, goal: str) -> float | None:
    if goal != "boot":
        return known.stop
    return None if known.start is None or known.ready is None else known.start + known.ready
