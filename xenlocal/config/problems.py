"""Collecting what is wrong: every problem of every file, once, in the order of the files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from xenlocal.model.conffiles import Problem, Source
from xenlocal.model.text import printable

_LONGEST_QUOTE = 60
_LONGEST_MESSAGE = 500
# What follows `vncpasswd = `, `passwd: ` and the like: messages quote lines, and everybody may read the journal's. But
# `root_password is ...` and `... has ...` are our own words.
_SECRET = re.compile(r"""(?i)(passw\w*(?:\s*[=:]\s*|\s+(?!(?:is|has)\s)))(?:"[^"]*"?|'[^']*'|[^\s'",;]+)""")


@dataclass(frozen=True)
class Place:
    """Where a problem stands: a section of a file. `label` is how messages name it: `domain web / disk xvda`."""

    file: str
    line: int
    label: str = ""

    @property
    def source(self) -> Source:
        return Source(self.file, self.line)

    def at(self, line: int) -> Place:
        return Place(self.file, line, self.label)


class Problems:
    """A set of problems that grows while the files are read."""

    def __init__(self) -> None:
        self._found: set[Problem] = set()

    def add(self, place: Place, message: str, key: str = "") -> None:
        """Note a problem. Texts of the administrator's may be pages long, so what is shown is clipped."""
        label = printable(clip(place.label, 2 * _LONGEST_QUOTE))
        text = printable(clip(_SECRET.sub(r"\1…", message), _LONGEST_MESSAGE))
        self._found.add(Problem(place.file, place.line, label, printable(clip(key)), text))

    def sorted(self) -> list[Problem]:
        return sorted(self._found)


def clip(text: str, length: int = _LONGEST_QUOTE) -> str:
    """`text`, shortened for a message."""
    return text if len(text) <= length else text[: length - 1] + "…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    found = difflib.get_close_matches(word[:64].lower(), known)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`; did you mean 'memory'?`, or `; OTHERWISE` where nothing is near, or nothing."""
    meant = nearest(word, known)
    if meant:
        return f"; did you mean '{meant}'?"
    return f"; {otherwise}" if otherwise else ""
