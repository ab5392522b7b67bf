"""What `xenlocal history`, `why`, `blame` and `plot` show, as data (JSON schema 1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from xenlocal.engine.ports import History
from xenlocal.model.clock import iso
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import HOST, Deed, Entry, Query
from xenlocal.planner.blame import blame as find_blame
from xenlocal.planner.course import last_begun
from xenlocal.planner.plot import plot as find_plot
from xenlocal.planner.why import View, concerned
from xenlocal.planner.why import why as find_why
from xenlocal.planner.words import told

SCHEMA = 1
_ENOUGH = 20_000  # entries: any boot, and what was usual before it


def history(entries: Iterable[Entry]) -> dict[str, Any]:
    """In the order of their beginning, as far as the clock was right; what belongs to one boot stays together."""
    boots: dict[str, int] = {}
    listed = list(entries)
    for entry in listed:
        boots.setdefault(entry.stamp.boot, len(boots))
    listed.sort(key=lambda entry: (boots[entry.stamp.boot], entry.stamp.wall, entry.number))
    return {"schema": SCHEMA, "entries": [_row(entry) for entry in listed]}


def why(name: str, view: View, history: History) -> dict[str, Any] | None:
    """The sentences for one domU; None where nobody knows the name."""
    unread: list[str] = []
    past: tuple[Entry, ...] = ()
    try:
        past = history.read(Query(concerned(name, view.desired)))
    except XenlocalError as error:
        unread = [f"what happened before is unknown: {error}"]
    answer = find_why(name, view, past)
    if answer is None:
        return None
    return {"schema": SCHEMA, "name": name, "state": answer.state, "sentences": [*answer.sentences, *unread]}


def blame(goal: str | None, history: History) -> dict[str, Any] | None:
    """The last boot or shutdown of the guests (`goal` None: whichever was last); None where none is remembered.
    Raises XenlocalError where the history cannot be read."""
    begun = last_begun(history.read(Query((HOST,))), goal)
    if begun is None:
        return None
    found = find_blame(history.read(Query(limit=_ENOUGH)), begun)
    return {
        "schema": SCHEMA,
        "goal": found.goal,
        "begun": iso(found.begun),
        "unix": round(found.begun, 3),
        "seconds": found.seconds,
        "message": found.message,
        "path": [asdict(link) for link in found.path],
        "domains": [asdict(part) for part in found.parts],
        "forced": list(found.forced),
    }


def plot(goal: str, history: History) -> dict[str, Any] | None:
    """The last boot or shutdown of the guests, as it is drawn; None where none is remembered.
    Raises XenlocalError where the history cannot be read."""
    begun = last_begun(history.read(Query((HOST,))), goal)
    if begun is None:
        return None
    found = find_plot(history.read(Query(first=begun.number, limit=_ENOUGH)), begun)
    return {"schema": SCHEMA, **asdict(found), "begun": iso(found.begun), "unix": round(found.begun, 3)}


def _row(entry: Entry) -> dict[str, Any]:
    stamp = entry.stamp
    row = {"number": entry.number, "time": iso(stamp.wall), "unix": round(stamp.wall, 3), "boot": stamp.boot}
    row |= {"kind": "action" if isinstance(entry, Deed) else "event", "target": entry.target}
    if isinstance(entry, Deed):
        return {
            **row,
            "what": entry.verb,
            "goal": entry.goal,
            "reason": entry.reason,
            "commands": list(entry.commands),
            "outcome": entry.outcome,
            "message": entry.message,
            "seconds": round(entry.seconds, 3),
        }
    return {
        **row,
        "what": str(entry.what),
        "cause": entry.cause,
        "message": entry.message,
        "seconds": None if entry.seconds is None else round(entry.seconds, 3),
        "domid": entry.domid,
        "text": told(entry),
    }
