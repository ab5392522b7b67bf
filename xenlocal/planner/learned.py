"""How long things take on this host, learned from its history: medians, so that one odd day changes little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xenlocal.model.history import Deed, Entry, What

_KEPT = 7  # the latest so many of each kind count


@dataclass(frozen=True)
class Learned:
    """Seconds; None where it never succeeded."""

    start: float | None = None  # of `xl create`
    ready: float | None = None  # from birth to ready
    stop: float | None = None  # from the asking until it is gone
    hung: bool = False  # its time was over at the latest stop


USUAL_START, USUAL_READY, USUAL_STOP = 5.0, 20.0, 20.0  # seconds, where nothing was learned


def learned(entries: Iterable[Entry]) -> Mapping[str, Learned]:
    """By domU name. `entries`: oldest first."""
    found: dict[str, dict[str, list[float]]] = {}
    hung: set[str] = set()
    for entry in entries:
        if isinstance(entry, Deed) and entry.verb == "stop" and entry.target.startswith("domain/"):
            name = entry.target.removeprefix("domain/")
            if entry.outcome == "late":
                found.setdefault(name, {})
                hung.add(name)
            elif entry.outcome == "done":
                hung.discard(name)
        kind, seconds = _lesson(entry)
        if seconds is not None and entry.target.startswith("domain/"):
            name = entry.target.removeprefix("domain/")
            found.setdefault(name, {}).setdefault(kind, []).append(seconds)
    return {
        name: Learned(**{kind: _median(values[-_KEPT:]) for kind, values in kinds.items()}, hung=name in hung)
        for name, kinds in sorted(found.items())
    }


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]  # the statistics module would cost the daemon 2 MB for these seven


def _lesson(entry: Entry) -> tuple[str, float | None]:
    if isinstance(entry, Deed):
        return entry.verb, entry.seconds if entry.verb in ("start", "stop") and entry.outcome == "done" else None
    return "ready", entry.seconds if entry.what is What.READY else None
