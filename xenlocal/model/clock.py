"""Moments and lengths of time as people read them, in the host's own time zone."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

_LAST = 253_370_764_800.0  # 9999-01-01: clocks go wrong, and anybody can give an LV a name with a time in it


def _at(unix: float, zone: tzinfo | None = None) -> datetime:
    return datetime.fromtimestamp(min(max(0.0, unix), _LAST), zone)


def iso(unix: float) -> str:
    """`2026-06-01T08:00:00+00:00`, for programs."""
    return _at(unix, UTC).isoformat(timespec="seconds")


def moment(unix: float) -> str:
    """`2026-06-01 10:00:05`."""
    return _at(unix).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def since(unix: float, now: float) -> str:
    """`03:12` of the day that it is now, `2026-06-01 03:12` of another."""
    then, today = _at(unix).astimezone(), _at(now).astimezone()
    return then.strftime("%H:%M" if then.date() == today.date() else "%Y-%m-%d %H:%M")


def length(seconds: float) -> str:
    """`0.3 s`, `42 s`, `3 min 5 s`, `2 h 10 min`, `3 days 4 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, smaller, part in (("days", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"
