"""The course of a boot or shutdown of the guests, out of the history: what took time, and what its end waited for.

`blame` and `plot` show it, each in its way. Times are seconds of the dom0's monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xenlocal.model.history import Deed, Entry, Event, What
from xenlocal.model.memory import Off
from xenlocal.planner.words import ENDS


@dataclass(frozen=True)
class Span:
    """A step that took time. `well`: it ended as it should."""

    verb: str  # of one word, or of more: `log in to`
    target: str
    begin: float
    end: float
    edges: tuple[str, ...]  # the steps it stood on
    result: str
    well: bool

    @property
    def step(self) -> str:
        """As in a plan: `start domain/web`."""
        return f"{self.verb} {self.target}"


@dataclass(frozen=True)
class Course:
    """`ended` None: it has not ended, or the host went down in the middle of it."""

    begun: Event
    ended: Event | None
    entries: tuple[Entry, ...]  # from its begin to its end
    spans: tuple[Span, ...]  # in the order of their end
    path: tuple[Span, ...]  # what its end waited for, one after the other
    forced: tuple[str, ...]  # names of the domUs that had to be destroyed


def last_begun(entries: Sequence[Entry], goal: str | None) -> Event | None:
    """Where the last boot or shutdown began (`goal` None: whichever it was). A new daemon that went on with it began
    no other one."""
    begun = [
        entry
        for entry in entries
        if isinstance(entry, Event) and entry.what is What.BEGUN and goal in (None, entry.cause)
    ]
    return begun[-1] if begun else None


def course(entries: Sequence[Entry], begun: Event) -> Course:
    """`entries`: all from `begun` on; what was before does not matter."""
    part = [each for each in entries if each.number >= begun.number and each.stamp.boot == begun.stamp.boot]
    ended = next((each for each in part if isinstance(each, Event) and _ends(each, begun)), None)
    if ended is not None:
        part = [each for each in part if each.number <= ended.number]
    spans = _spans(part, begun.cause)
    forced = (
        each.target.removeprefix("domain/") for each in part if isinstance(each, Event) and each.cause == Off.DESTROYED
    )
    return Course(begun, ended, tuple(part), spans, _path(spans), tuple(sorted(forced)))


def _ends(event: Event, begun: Event) -> bool:
    return event.what is What.ENDED and event.cause == begun.cause


def _spans(part: Sequence[Entry], goal: str) -> tuple[Span, ...]:
    """What took time, in the order of its end. Waiting for readiness begins with the birth."""
    spans = list(_stops_without_us(part)) if goal == "shutdown" else []
    for entry in part:
        if isinstance(entry, Deed):
            well = entry.outcome == "done"
            wrong = f": {entry.message}" if entry.message and not well else ""
            edges = (*entry.edges, f"stop {entry.target}") if entry.verb == "reap" else entry.edges
            result = f"{entry.outcome}{wrong}"
            spans.append(Span(entry.verb, entry.target, entry.stamp.at, entry.end, edges, result, well))
        elif goal == "boot" and entry.what in (What.READY, What.LATE) and entry.seconds is not None:
            well = entry.what is What.READY
            edges, end = (f"start {entry.target}",), entry.stamp.at
            result = "ready" if well else "not ready in time"
            spans.append(Span("await", entry.target, end - entry.seconds, end, edges, result, well))
    return tuple(sorted(spans, key=lambda span: (span.end, span.step)))


def _stops_without_us(part: Sequence[Entry]) -> Iterator[Span]:
    """Of guests that were asked by a daemon that did not live to see their end: no step of another one tells of it."""
    asked: dict[str, float] = {}
    stops = [entry for entry in part if isinstance(entry, Deed) and entry.verb == "stop"]
    for entry in part:
        if isinstance(entry, Deed):
            continue
        at, target = entry.stamp.at, entry.target
        if entry.what is What.ASKED:
            asked[target] = at
        elif entry.what is What.OFF and target in asked:
            if not any(stop.target == target and stop.stamp.at <= at <= stop.end for stop in stops):
                well = entry.cause == Off.STOPPED
                result = "done" if well else ENDS.get(entry.cause, entry.cause)
                yield Span("stop", target, asked[target], at, (), result, well)


def _path(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Back from what ended last, each time to the latest of those it stood on."""
    path: list[Span] = []
    for span in reversed(spans):
        if not path or _stood_on(path[-1], span):
            path.append(span)
    return tuple(reversed(path))


def _stood_on(span: Span, other: Span) -> bool:
    """The latter may also be an attempt at the same that failed."""
    return other.step in span.edges or (other.step == span.step and other.end <= span.begin)
