"""What can strike one external command, or the disk under our own files: each kind has a name, by which it is replayed.

`lies`: the answer is whole in form and wrong in fact, so nobody can notice it by looking at it. Then only those rules
are asked for that rest on more than one answer.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xenlocal.simulator.runner import Fault

Argv = Sequence[str]
Rewrite = Callable[[str], str]


@dataclass(frozen=True)
class Strike:
    """One kind of fault. `fault` None: it is the daemon itself that is killed, or the disk (`errno`)."""

    name: str
    fault: Callable[[Argv], Fault] | None = None
    fits: Callable[[Argv], bool] = lambda _argv: True
    lies: Callable[[Argv], bool] = lambda _argv: False
    bad: bool = False  # what comes is no answer, though the tool exits with 0
    lasting: bool = False  # strikes every command of that tool from then on
    kill: str = ""  # before | after
    errno: int = 0


def tool(argv: Argv) -> str:
    """What is run, without what only wraps it: `xl list`, `lvm fullreport`, `ip link`; `ip show` is what only looks."""
    words = list(argv[argv.index("--") + 1 :]) if "--" in argv else list(argv)
    names = [word for word in words if not word.startswith("-")]
    if names[0] == "ip" and "-j" in words:
        return "ip show"
    return " ".join(names[:2]) if names[0] in ("xl", "lvm", "ip") else names[0]


_JSON = ("lvm fullreport", "ip show")
_ANSWERS = (*_JSON, "xl list", "xl info", "xenstore-ls", "xenstore-read", "tail")
_LINES = ("xl list", "xl info", "xenstore-ls", "xenstore-read", "tail")  # no end mark: cut between two lines they lie


def answers(argv: Argv) -> bool:
    """It is run for what it prints."""
    return tool(argv) in _ANSWERS


def _of(*tools: str) -> Callable[[Argv], bool]:
    return lambda argv: tool(argv) in tools


def _always(**values: Any) -> Callable[[Argv], Fault]:
    fault = Fault(**values)
    return lambda _argv: fault


def _says(rewrite: Callable[[Argv], Rewrite]) -> Callable[[Argv], Fault]:
    return lambda argv: Fault(status=0, rewrite=rewrite(argv))


def _simply(rewrite: Rewrite) -> Callable[[Argv], Fault]:
    return _says(lambda _argv: rewrite)


def _every_row(change: Callable[[dict[str, Any]], None]) -> Rewrite:
    """Change every object of a JSON text that has no others in it: the rows."""

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, dict):
            for each in list(value.values()):
                walk(each)
            change(value)

    def rewrite(text: str) -> str:
        value = json.loads(text)
        walk(value)
        return json.dumps(value)

    return rewrite


def _lose(row: dict[str, Any]) -> None:
    for key in ("lv_tags", "lv_active", "vg_free", "flags", "mtu"):
        row.pop(key, None)


def _keys_missing(argv: Argv) -> Rewrite:
    if tool(argv) in _JSON:
        return _every_row(_lose)
    return lambda text: re.sub(r"(?m)^(free_memory.*\n|(.*) \S+ +- *$)", r"\2", text)


def _keys_extra(argv: Argv) -> Rewrite:
    if tool(argv) in _JSON:
        return _every_row(lambda row: row.update(of_tomorrow=[1, {"x": None}]))
    if tool(argv) == "xl info":
        return lambda text: f"{text}of_tomorrow            : 1\n"
    return lambda text: re.sub(r"(?m)^(.*\S) *$", r"\1 tomorrow", text)


_NOTHING = {
    "lvm fullreport": '  {"report": []}\n',
    "ip show": "[]\n",
    "xenstore-ls": '/local/domain/0 = ""\n',
    "xenstore-read": "",
    "tail": "",
    "xl info": "\n",
}


def _empty_list(argv: Argv) -> Rewrite:
    if tool(argv) == "xl list":
        return lambda text: "".join(text.splitlines(keepends=True)[:2])
    return lambda _text: _NOTHING[tool(argv)]


def _twice(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines, *lines[2:]])


def _half_a_line_more(text: str) -> str:
    """Cut off within the last line."""
    return text[: max(0, len(text.rstrip()) - 3)]


def _whole_lines(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[: max(1, len(lines) * 2 // 3)])


def _no_names(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:2], *(f"{'(null)':<40}{line[40:]}" for line in lines[2:])])


_HUGE = "x" * 79 + "\n"


def _lines_lie(argv: Argv) -> bool:
    return tool(argv) in _LINES


_said = _of("xenstore-read", "tail")  # has no form of its own


STRIKES: dict[str, Strike] = {
    strike.name: strike
    for strike in (
        Strike("exit-1", _always()),
        Strike("exit-5", _always(status=5, stderr="  Volume group vg0: metadata locked")),
        Strike("signal", _always(status=-9, stderr="")),
        Strike("missing", _always(missing=True)),
        Strike("no-fork", _always(status=126, stderr="[Errno 11] Resource temporarily unavailable")),
        Strike("hangs", _always(status=None)),
        Strike("hangs-done", _always(status=None, effect=True)),
        Strike("late", _always(status=0, effect=True, delay=18.0)),
        Strike("late-exit-1", _always(status=1, delay=18.0)),
        Strike("done-exit-1", _always(status=1, effect=True)),
        Strike("late-done-exit-1", _always(status=1, effect=True, delay=18.0)),
        Strike("broken-from-now", _always(), lasting=True),
        Strike("hangs-from-now", _always(status=None), lasting=True),
        Strike("missing-from-now", _always(missing=True), lasting=True),
        Strike("cut-1", _simply(lambda text: text[:1]), answers, bad=True),
        Strike("cut-half", _simply(lambda text: text[: len(text) // 2]), answers, lies=_lines_lie),
        Strike("cut-end", _simply(_half_a_line_more), answers, bad=True),
        Strike("cut-lines", _simply(_whole_lines), answers, lies=_lines_lie),
        Strike("silent", _simply(lambda _text: ""), answers, bad=True),
        Strike("keys-missing", _says(_keys_missing), answers, lies=_of("xenstore-ls", "xenstore-read", "tail")),
        Strike("keys-extra", _says(_keys_extra), answers, lies=_of("xenstore-read", "tail")),
        Strike("empty-list", _says(_empty_list), answers, lies=lambda argv: tool(argv) != "ip show"),
        Strike("twice", _simply(_twice), _of("xl list", "xenstore-ls")),
        Strike("no-names", _simply(_no_names), _of("xl list"), lies=_lines_lie),
        Strike(
            "not-utf-8", _simply(lambda text: text.replace("a", "\\xff")), answers, lies=_of("xenstore-read", "tail")
        ),
        Strike("huge", _simply(lambda text: text + _HUGE * (1 << 17)), answers, lies=_said),
        Strike("killed-before", kill="before"),
        Strike("killed-after", kill="after"),
        Strike("enospc", errno=errno.ENOSPC),
        Strike("eio", errno=errno.EIO),
        Strike("erofs", errno=errno.EROFS),
    )
}
COMMAND_STRIKES = tuple(name for name, strike in STRIKES.items() if not strike.errno)
DISK_STRIKES = tuple(name for name, strike in STRIKES.items() if strike.errno)
