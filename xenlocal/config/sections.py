"""From lines to sections with their keys, each with the line it stands on. Alone imports configobj.

ConfigObj does not tell where a key stands, and after a duplicate or broken section header it adds what follows to
the section before. So the headers are found here, and ConfigObj gets the lines of one section at a time: one
broken section leaves the others readable, and every problem has its line. Keys are handed to it without
leading blanks, because its key expression needs cubic time on those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from configobj import ConfigObj, ConfigObjError, DuplicateError

from xenlocal.config import lines as limits
from xenlocal.config.problems import Place, Problems, clip
from xenlocal.model.conffiles import ConfigFile

_KEY = re.compile(r"""([^\s=\["'#][^\s=]*)\s*=\s*(.*)""")
_ALMOST_KEY = re.compile(r"([A-Za-z_]+)(?:\s*:\s*|\s+)(\S.*)")
_TRIPLE = ('"""', "'''")


@dataclass(frozen=True)
class Entry:
    """`key = value`. `quoted` tells `"5"` from `5`, and `"a, b"` from a list."""

    text: str
    quoted: bool
    line: int


@dataclass
class Section:
    """`[title]` or, as a part of one, `[[title]]`."""

    title: str
    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)
    parts: list[Section] = field(default_factory=list)
    damaged: bool = False  # some line of it cannot be read, so that a key may seem to be missing


@dataclass(frozen=True)
class Scan:
    """`complete` False: there is text of which nobody knows what it declares."""

    sections: tuple[Section, ...]
    complete: bool


class _Body:
    """The lines of one section, until its end is reached. `section` is None where its header is unreadable."""

    def __init__(self, section: Section | None) -> None:
        self.section = section
        self.lines: list[str] = []
        self.numbers: list[int] = []  # for each line, where the key it belongs to stands
        self.keys: dict[int, tuple[str, bool]] = {}  # line -> key, is it triple-quoted

    def finish(self, file: str, problems: Problems) -> None:
        if self.section is None:
            return
        section, wrong = self.section, set()
        try:
            config = ConfigObj(self.lines, interpolation=False, list_values=False)
        except ConfigObjError as error:
            config = error.config
            for each in error.errors:
                line = self.numbers[each.line_number - 1]
                wrong.add(line)
                if not isinstance(each, DuplicateError):
                    section.damaged = True
                    message = (
                        f"cannot read the value of '{clip(self.keys[line][0])}'; quotes go around all of it, or nowhere"
                    )
                    problems.add(section.place.at(line), message, self.keys[line][0])
        first: dict[str, int] = {}
        for line, (key, triple) in self.keys.items():
            if key in first:
                message = f"'{clip(key)}' is already set at {file}:{first[key]}"
                problems.add(section.place.at(line), message, key)
            elif line not in wrong:
                first[key] = line
                section.entries[key] = _entry(config[key], triple, line)


def scan(file: ConfigFile, problems: Problems) -> Scan:
    """All sections of a file, with every problem of its syntax noted. Never raises."""
    split = limits.split(file, problems)
    if split is None:
        return Scan((), complete=False)
    return _Scanner(file.name, split[0], split[1], problems).run()


class _Scanner:
    def __init__(self, file: str, lines: list[str], refused: frozenset[int], problems: Problems) -> None:
        self.file, self.lines, self.refused, self.problems = file, lines, refused, problems
        self.sections: list[Section] = []
        self.complete = True
        self.top: Section | None = None
        self.body = _Body(None)
        self.before_first = True

    def run(self) -> Scan:
        index = 0
        while index < len(self.lines):
            number, text = index + 1, self.lines[index].strip()
            index += 1
            if not text or text.startswith("#"):
                continue
            if text.startswith("["):
                self._open(number, text)
            elif number in self.refused:
                if self.body.section:
                    self.body.section.damaged = True
            else:
                index = self._key(index, number, text)
        self.body.finish(self.file, self.problems)
        return Scan(tuple(self.sections), self.complete)

    def _open(self, number: int, text: str) -> None:
        self.body.finish(self.file, self.problems)
        self.body, self.before_first = _Body(None), False
        place = Place(self.file, number, self.top.title if self.top else "")
        header = None if number in self.refused else self._header(number, text)
        if header is None:
            if not text.startswith("[["):
                self.top, self.complete = None, False
            return
        depth, title = header
        if depth == 1:
            self.top = Section(title, Place(self.file, number, title))
            self.sections.append(self.top)
            self.body = _Body(self.top)
        elif depth > 2:
            self.problems.add(place, f"section '{clip(title)}' is nested too deeply; write [[{clip(title)}]]")
        elif self.top is not None:
            part = Section(title, Place(self.file, number, f"{self.top.title} / {title}"))
            self.top.parts.append(part)
            self.body = _Body(part)
        elif self.complete:
            self.problems.add(place, f"[[{clip(title)}]] stands in no [domain NAME]; put it below one")

    def _header(self, number: int, text: str) -> tuple[int, str] | None:
        inner = text.partition("#")[0].rstrip()
        title = inner.lstrip("[ \t")
        opened = inner[: len(inner) - len(title)].count("[")
        stripped = title.rstrip("] \t")
        closed = title[len(stripped) :].count("]")
        title = " ".join(unquote(stripped)[0].split())
        if opened == closed and title and not set(title) & set("[]\"'"):
            return opened, title
        label = self.top.title if self.top and text.startswith("[[") else ""
        bare = " ".join("".join(char for char in title if char not in "[]\"'").split())
        wanted = f"write {'[' * opened}{clip(bare)}{']' * opened}" if bare else "write [kind name]"
        self.problems.add(Place(self.file, number, label), f"cannot read the section header '{clip(text)}'; {wanted}")
        return None

    def _key(self, index: int, number: int, text: str) -> int:
        """Take the key on line `number`, and the further lines of its value; the index of the line after it."""
        section = self.body.section
        place = section.place.at(number) if section else Place(self.file, number)
        match = _KEY.fullmatch(text)
        if self.before_first:
            self.problems.add(
                place, f"'{clip(text)}' stands in no section; put it below [host], [domain NAME] or another"
            )
            self.before_first = False  # said once: every further line has the same cause
        if match is None:
            if section:
                section.damaged = True
                self.problems.add(place, _unreadable(text))
            return index
        key, value = match.groups()
        end = index
        triple = value[:3] in _TRIPLE
        if triple:
            found = self._end_of_value(index, value)
            if found is None:
                if section:
                    section.damaged = True
                    message = f"the value of '{clip(key)}' opens {value[:3]}, which is not closed as it should"
                    self.problems.add(place, message, key)
                return index
            end = found
            raw = self.lines[index - 1]
            value += raw[len(raw.rstrip()) :]
        self.body.keys[number] = (key, triple)
        self.body.lines += [f"{key} = {value}", *self.lines[index:end]]
        self.body.numbers += [number] * (1 + end - index)
        return end

    def _end_of_value(self, index: int, value: str) -> int | None:
        """The index of the line after a triple-quoted value that opens with `value` on the line before `index`;
        None where ConfigObj would not find its end either."""
        quotes, rest = value[:3], value[3:]
        if quotes in rest:
            return index if _closes(rest, quotes) else None
        for at in range(index, len(self.lines)):
            if quotes in self.lines[at]:
                return at + 1 if _closes(self.lines[at], quotes) else None
        return None


def _closes(line: str, quotes: str) -> bool:
    """Whether nothing but a comment follows some closing quotes: the rule of ConfigObj."""
    return re.search(rf"{quotes}\s*(#.*)?$", line) is not None


def _unreadable(text: str) -> str:
    almost = _ALMOST_KEY.fullmatch(text)
    if almost and "=" not in text:
        return f"cannot read '{clip(text)}'; write {almost[1]} = {clip(almost[2])}"
    if text[0] in "\"'":
        return f"cannot read '{clip(text)}'; a key is written without quotes"
    if text[0] == ";":
        return f"cannot read '{clip(text)}'; a comment begins with #"
    return f"cannot read '{clip(text)}'; write key = value"


def _entry(value: str, triple: bool, line: int) -> Entry:
    if triple:
        return Entry(value, True, line)
    text, quoted = unquote(value)
    return Entry(text, quoted, line)


def unquote(text: str) -> tuple[str, bool]:
    """The text inside one pair of quotes, and whether there was one."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" and text[0] not in text[1:-1]:
        return text[1:-1], True
    return text, False
