"""The files of the configuration themselves: their text, where in it something stands, and what is wrong there.

`config` makes `model.desired` of the text, or every `Problem`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Where something was written, for messages: `file:line`."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class ConfigFile:
    """The text of one file, read safely by `adapters.conffiles`. `name` is its path as messages show it."""

    name: str
    text: str


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a file. `message` says what, and best what to write instead."""

    file: str
    line: int
    section: str
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (where, self.section, self.message) if part)
