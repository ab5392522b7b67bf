"""What `xenlocal plot` draws of a boot or shutdown of the guests: a row an object, a bar a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xenlocal.model.history import Entry, Event, What
from xenlocal.planner.course import Course, Span, course

_NOTABLE = 0.05  # seconds: a step on something else than a domU that took less is not worth a row
_OPEN = {"boot": (What.BORN, "await", (What.READY, What.LATE, What.OFF)), "shutdown": (What.ASKED, "stop", (What.OFF,))}


@dataclass(frozen=True)
class Bar:
    """Seconds since the goal began; `end` None: no end of it was recorded. `critical`: the end of all waited for it."""

    what: str  # the verb of the step
    begin: float
    end: float | None
    result: str
    well: bool
    critical: bool


@dataclass(frozen=True)
class Row:
    """`forced`: a domU that had to be destroyed."""

    target: str
    forced: bool
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Plot:
    """`seconds` None: it has not ended, or the host went down in the middle of it. Rows in the order of their begin."""

    goal: str
    begun: float  # Unix seconds
    seconds: float | None
    message: str
    rows: tuple[Row, ...]


def plot(entries: Sequence[Entry], begun: Event) -> Plot:
    """`entries`: all from `begun` on."""
    found = course(entries, begun)
    bars: dict[str, list[Bar]] = {}
    for span in found.spans:
        bars.setdefault(span.target, []).append(_bar(span, span.end, found))
    for span in _unfinished(found):
        bars.setdefault(span.target, []).append(_bar(span, None, found))
    rows = [
        Row(target, target.removeprefix("domain/") in found.forced, tuple(sorted(own, key=lambda bar: bar.begin)))
        for target, own in bars.items()
        if target.startswith("domain/") or any(_notable(bar) for bar in own)
    ]
    return Plot(
        begun.cause,
        begun.stamp.wall,
        None if found.ended is None else found.ended.stamp.at - begun.stamp.at,
        "" if found.ended is None else found.ended.message,
        tuple(sorted(rows, key=lambda row: (row.bars[0].begin, row.target))),
    )


def _bar(span: Span, end: float | None, course: Course) -> Bar:
    begun = course.begun.stamp.at
    return Bar(
        span.verb,
        max(span.begin - begun, 0.0),
        None if end is None else max(end - begun, 0.0),
        span.result,
        span.well,
        span in course.path,
    )


def _notable(bar: Bar) -> bool:
    return bar.critical or not bar.well or bar.end is None or bar.end - bar.begin >= _NOTABLE


def _unfinished(course: Course) -> Iterator[Span]:
    """Who was waited for when the last entry was written: that of a host that went down in the middle of it."""
    if course.ended is not None:
        return
    opening, verb, closing = _OPEN[course.begun.cause]
    waiting: dict[str, Event] = {}
    for entry in course.entries:
        if isinstance(entry, Event) and entry.what is opening:
            waiting[entry.target] = entry
        elif isinstance(entry, Event) and entry.what in closing:
            waiting.pop(entry.target, None)
    for target, event in waiting.items():
        yield Span(verb, target, event.stamp.at, event.stamp.at, (), "no end of it is recorded", False)
