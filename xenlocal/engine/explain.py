"""What `xenlocal history`, `why` and `blame` show, as data (JSON schema 1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xenlocal.model.clock import iso
from xenlocal.model.history import Deed, Entry
from xenlocal.planner.words import told

SCHEMA = 1


def history(entries: Iterable[Entry]) -> dict[str, Any]:
    """In the order of their beginning, as far as the clock was right; what belongs to one boot stays together."""
    boots: dict[str, int] = {}
    listed = list(entries)
    for entry in listed:
        boots.setdefault(entry.stamp.boot, len(boots))
    listed.sort(key=lambda entry: (boots[entry.stamp.boot], entry.stamp.wall, entry.number))
    return {"schema": SCHEMA, "entries": [_row(entry) for entry in listed]}


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
