"""`xenlocal plot`: a boot or shutdown of the guests as an SVG timeline, one row an object, in the order of their begin.

Every text has its own place: the names left of the bars, what is said of a row right of its last bar, the times on
lines of their own. So they cannot meet, whatever the names and times are. The colours are those of Okabe and Ito, which
colour-blind people tell apart; what went wrong is said in words too.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from xenlocal.drawing.svg import Canvas, characters, plain, shortened, width
from xenlocal.model.clock import length, moment

_MARGIN = 20  # all measures in pixels
_SCALE = 1000  # the width of the whole time
_ROW, _BAR, _MARK = 20, 11, 3
_LINE = 17  # of text
_LINES = 5  # of the message at most
_GAP = 8
_TICK = 90  # between two ticks at least
_TITLE, _SMALL = 16, 11
_LEAST = 2  # of a bar that is too short to be seen
_NAME, _NOTE = 64, 72  # characters at most
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)  # seconds

_COLOURS = {
    "start": ("#0072b2", "start (xl create)"),
    "await": ("#56b4e9", "until it is ready"),
    "stop": ("#56b4e9", "asked, until it is off"),
    "other": ("#999999", "other steps"),
    "wrong": ("#e69f00", "failed or late"),
    "open": ("#cc79a7", "no end is recorded"),
    "forced": ("#d55e00", "had to be destroyed"),
    "critical": ("#000000", "what the end waited for"),
}
_INK, _SOFT, _ALARM = "#222222", "#555555", "#a33c00"
_GRID, _END, _BAND = "#dddddd", "#bbbbbb", "#f5f5f5"  # light: what is said of a row may stand on them


def timeline(data: Mapping[str, Any]) -> str:
    """`data`: as `xenlocal plot --json` prints it."""
    canvas, rows = Canvas(), data["rows"]
    whole = max([data["seconds"] or 0.0, 0.1, *(bar["end"] or bar["begin"] for row in rows for bar in row["bars"])])
    whole *= 1 if data["seconds"] is not None else 1.05  # room for bars without an end
    names = [_name(row["target"]) for row in rows]
    left = _MARGIN + max((width(name, 12) for name in names), default=0.0) + _GAP
    left = round(max(left, _MARGIN + width("0 s", _SMALL)))
    top = _head(canvas, data, left + _SCALE - _MARGIN)
    bottom = top + len(rows) * _ROW
    for number in range(1, len(rows), 2):
        canvas.box(_MARGIN - 4, top + number * _ROW, left + _SCALE - _MARGIN + 4, _ROW, fill=_BAND)
    _axis(canvas, left, top, bottom, whole)
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        _row(canvas, row, name, (left, top + number * _ROW), whole)
    if not rows:
        canvas.text(left, bottom + _LINE * 2, "nothing had to be done", fill=_INK)
    return canvas.document(_MARGIN)


def _head(canvas: Canvas, data: Mapping[str, Any], wide: float) -> float:
    """Title, message and legend; returns where the rows begin."""
    took = "it has not come to its end" if data["seconds"] is None else length(data["seconds"])
    y = float(_MARGIN + _TITLE)
    title = f"{data['goal']} of the guests, {moment(data['unix'])}: {took}"
    canvas.text(_MARGIN, y, plain(title), _TITLE, fill=_INK, font_weight="bold")
    for line in textwrap.wrap(plain(data["message"]), characters(wide, 12), max_lines=_LINES):
        y += _LINE
        canvas.text(_MARGIN, y, line, fill=_ALARM if any(_went_wrong(row) for row in data["rows"]) else _SOFT)
    y += _LINE * 1.5
    x = float(_MARGIN)
    bars = [(row, bar) for row in data["rows"] for bar in row["bars"]]
    kinds = {_kind(row, bar) for row, bar in bars} | {"critical" for _, bar in bars if bar["critical"]}
    for kind, (colour, text) in _COLOURS.items():
        if kind not in kinds:
            continue
        high = _MARK if kind == "critical" else _BAR
        canvas.box(x, y - high + 1, 24, high, fill=colour)
        canvas.text(x + 24 + _GAP, y, text, fill=_INK)
        x += 24 + _GAP + width(text, 12) + _GAP * 3
    return y + _LINE * 1.5 + _GAP


def _axis(canvas: Canvas, left: float, top: float, bottom: float, whole: float) -> None:
    """With its times above and below, since a hundred rows do not fit on a screen."""
    step = next((each for each in _STEPS if each * _SCALE >= _TICK * whole), whole)
    for number in range(int(whole / step + 1e-9) + 1):
        seconds = number * step
        x = left + round(seconds / whole * _SCALE)
        canvas.box(x, top - 4, 1, bottom - top + 8, fill=_GRID)
        text = f"{seconds:.3g} s" if seconds < 10 else length(seconds)
        for y in (top - _GAP, bottom + _GAP + _SMALL):
            canvas.text(x, y, text, _SMALL, "middle", fill=_SOFT)
    canvas.box(left + _SCALE, top - 4, 1, bottom - top + 8, fill=_END)


def _row(canvas: Canvas, row: Mapping[str, Any], name: str, place: tuple[float, float], whole: float) -> None:
    left, top = place
    end = left
    for bar in row["bars"]:
        begin = max(left + round(bar["begin"] / whole * _SCALE), end)  # a birth may be seen before `xl create` returns
        end = left + (_SCALE if bar["end"] is None else round(bar["end"] / whole * _SCALE))
        end = max(end, begin + _LEAST)
        colour = _COLOURS[_kind(row, bar)][0]
        canvas.box(begin, top + 3, end - begin, _BAR, _tip(row["target"], bar), fill=colour)
        if bar["critical"]:
            canvas.box(begin, top + 3 + _BAR, end - begin, _MARK, fill=_COLOURS["critical"][0])
    weight = "bold" if any(bar["critical"] for bar in row["bars"]) else "normal"
    canvas.text(left - _GAP, top + 13, name, 12, "end", fill=_INK, font_weight=weight)
    canvas.text(end + _GAP, top + 13, _note(row), 12, fill=_ALARM if _went_wrong(row) else _SOFT)


def _went_wrong(row: Mapping[str, Any]) -> bool:
    return bool(row["forced"]) or not all(bar["well"] for bar in row["bars"])


def _kind(row: Mapping[str, Any], bar: Mapping[str, Any]) -> str:
    """What colour it has."""
    if row["forced"] and bar["what"] == "stop":
        return "forced"
    if bar["end"] is None:
        return "open"
    if not bar["well"]:
        return "wrong"
    return str(bar["what"]) if bar["what"] in _COLOURS else "other"


def _name(target: str) -> str:
    return shortened(target.removeprefix("domain/"), _NAME)


def _note(row: Mapping[str, Any]) -> str:
    """How long it took, and the last that went wrong."""
    bars: Sequence[Mapping[str, Any]] = row["bars"]
    ends = [bar["end"] for bar in bars]
    took = [] if None in ends else [length(max(ends) - bars[0]["begin"])]
    wrong = [bar["result"] for bar in bars if not bar["well"]][-1:]
    if row["forced"]:
        wrong = ["destroyed"]
    return shortened(", ".join([*took, *wrong]), _NOTE)


def _tip(target: str, bar: Mapping[str, Any]) -> str:
    until = "" if bar["end"] is None else f" to {bar['end']:.1f} s"
    return f"{bar['what']} {target}: {bar['begin']:.1f} s{until}, {bar['result']}"
