"""Where the time of a boot or shutdown of the guests went: the critical path, and each domU's own part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xenlocal.model.history import HOST, Deed, Entry, Event, What
from xenlocal.model.memory import Off
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


@dataclass(frozen=True)
class _Span:
    step: str
    begin: float
    end: float
    edges: tuple[str, ...]
    result: str


def last_begun(entries: Sequence[Entry], goal: str | None) -> Event | None:
    """Where the last boot or shutdown began (`goal` None: whichever it was). A new daemon that went on with it began
    no other one."""
    begun = [
        entry
        for entry in entries
        if isinstance(entry, Event)
        and entry.target == HOST
        and entry.what is What.BEGUN
        and goal in (None, entry.cause)
    ]
    return begun[-1] if begun else None


def blame(entries: Sequence[Entry], begun: Event) -> Blame:
    """`entries`: all from `begun` on, and as many before it as are to tell what is usual."""
    part = [each for each in entries if each.number >= begun.number and each.stamp.boot == begun.stamp.boot]
    ended = next((each for each in part if _ends(each, begun)), None)
    if ended is not None:
        part = [each for each in part if each.number <= ended.number]
    usual = learned(each for each in entries if each.number < begun.number)
    spans = _spans(part, begun.cause)
    return Blame(
        begun.cause,
        begun.stamp.wall,
        None if ended is None else ended.stamp.at - begun.stamp.at,
        "" if ended is None else ended.message,
        _path(spans, begun.stamp.at),
        _parts(spans, begun, usual),
        tuple(
            sorted(
                each.target.removeprefix("domain/")
                for each in part
                if isinstance(each, Event) and each.what is What.OFF and each.cause == Off.DESTROYED
            )
        ),
    )


def _ends(entry: Entry, begun: Event) -> bool:
    return isinstance(entry, Event) and entry.what is What.ENDED and entry.cause == begun.cause


def _spans(part: Sequence[Entry], goal: str) -> tuple[_Span, ...]:
    """What took time, in the order of its end. Waiting for readiness begins with the birth."""
    spans = []
    for entry in part:
        if isinstance(entry, Deed):
            wrong = f": {entry.message}" if entry.message and entry.outcome != "done" else ""
            spans.append(_Span(entry.step, entry.stamp.at, entry.end, entry.edges, f"{entry.outcome}{wrong}"))
        elif goal == "boot" and entry.what in (What.READY, What.LATE) and entry.seconds is not None:
            result = "ready" if entry.what is What.READY else "not ready in time"
            edges, end = (f"start {entry.target}",), entry.stamp.at
            spans.append(_Span(f"await {entry.target}", end - entry.seconds, end, edges, result))
    return tuple(sorted(spans, key=lambda span: (span.end, span.step)))


def _path(spans: Sequence[_Span], begun: float) -> tuple[Link, ...]:
    """Back from what ended last: each step's time counts from the end of the latest of those it stood on."""
    links: list[Link] = []
    number = len(spans) - 1
    while number >= 0:
        span = spans[number]
        before = [other for other in range(number) if _stood_on(span, spans[other])]
        former = spans[before[-1]].end if before else begun
        begin = max(span.begin, former)
        links.append(Link(span.step, begin - begun, span.end - begin, begin - former))
        number = before[-1] if before else -1
    return tuple(reversed(links))


def _stood_on(span: _Span, other: _Span) -> bool:
    """The latter may also be an attempt at the same that failed."""
    return other.step in span.edges or (other.step == span.step and other.end <= span.begin)


def _parts(spans: Sequence[_Span], begun: Event, usual: Mapping[str, Learned]) -> tuple[Part, ...]:
    verbs = ("start", "await") if begun.cause == "boot" else ("stop", "reap")
    found: dict[str, list[_Span]] = {}
    for span in spans:
        verb, _, target = span.step.partition(" ")
        if verb in verbs and target.startswith("domain/"):
            found.setdefault(target.removeprefix("domain/"), []).append(span)
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
