"""PURE: the texts of all files -> Desired, or every problem of them. The whole package is reached through here.

The way of a text: lines (limits) -> sections (ConfigObj) -> settings (schema) -> build (objects) -> crosschecks
and cycles (between objects).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from xenlocal.config import build, crosschecks, cycles, iscsi, schema
from xenlocal.config.crosschecks import Drafts
from xenlocal.config.problems import Place, Problems, clip, nearest
from xenlocal.config.sections import Section, scan
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.desired import Desired, Host
from xenlocal.model.errors import ConfigError


def read(files: Sequence[ConfigFile], host_id: str) -> Desired:
    """What the files say together. `host_id` names this host for ever: UUIDs are derived from it.

    Raises ConfigError with every problem of all files, sorted by file and line, and nothing else, whatever the texts
    are. No file at all is a valid wish for nothing.
    """
    problems = Problems()
    desired = _read(files, host_id, problems, complete=True)
    found = problems.sorted()
    if found:
        raise ConfigError(found)
    return desired


def every_problem(error: ConfigError, host_id: str) -> tuple[Problem, ...]:
    """The error's own and those of the files it could read, in the same order as of `read`. What the unreadable ones
    declare nobody knows, so that a name that is nowhere else is no problem."""
    problems = Problems()
    _read(error.readable, host_id, problems, complete=False)
    return tuple(sorted({*error.problems, *problems.sorted()}))


def _read(files: Sequence[ConfigFile], host_id: str, problems: Problems, complete: bool) -> Desired:
    declared = _Declared(problems, complete)
    for file in sorted(files, key=lambda each: each.name):
        result = scan(file, problems)
        declared.complete = declared.complete and result.complete
        for section in result.sections:
            declared.add(section)
    return declared.build(host_id)


class _Declared:
    """The sections of all files by kind and name."""

    def __init__(self, problems: Problems, complete: bool) -> None:
        self.problems, self.complete = problems, complete
        # what stands for [defaults] where none is: it may be in a file that could not be read
        self.silent = Section("", Place("", 0), damaged=not complete)
        self.sections: dict[tuple[str, str], Section] = {}
        self.repeated: list[tuple[str, str, Section]] = []
        self.perhaps: set[str] = set()

    def add(self, section: Section) -> None:
        kind, _, name = section.title.partition(" ")
        message = _header_problem(section.title, kind, name)
        if message:
            self.problems.add(section.place, message)
            self.perhaps |= set(section.title.split())
        elif (kind, name) in self.sections:
            self.repeated.append((kind, name, section))
            place = self.sections[kind, name].place.source
            self.problems.add(section.place, f"already declared at {place}")
        else:
            self.sections[kind, name] = section

    def build(self, host_id: str) -> Desired:
        problems = self.problems
        host = build.build_host(self.sections["host", ""], problems) if ("host", "") in self.sections else Host()
        defaults = build.build_defaults(self.sections.get(("defaults", ""), self.silent), problems)
        builders: dict[str, Callable[[Section, str], Any]] = {
            "host": lambda section, name: build.build_host(section, problems),
            "defaults": lambda section, name: build.build_defaults(section, problems),
            "bridge": lambda section, name: build.build_bridge(section, name, problems),
            "iscsi": lambda section, name: build.build_iscsi(section, name, problems),
            "domain": lambda section, name: build.build_domain(section, name, defaults, host_id, problems),
        }
        for kind, name, section in self.repeated:
            builders[kind](section, name)  # only for its problems
        bridges = self._built("bridge", builders["bridge"])
        targets = self._built("iscsi", builders["iscsi"])
        domains = self._built("domain", builders["domain"])
        drafts = Drafts(bridges, targets, domains, defaults, frozenset(self.perhaps), self.complete)
        crosschecks.check(drafts, problems)
        cycles.check(drafts, problems)
        declared = MappingProxyType({name: each for name, (each, _) in targets.items()})
        return Desired(
            host,
            MappingProxyType({name: bridge for name, (bridge, _) in bridges.items()}),
            MappingProxyType({name: iscsi.tied(draft.domain, declared) for name, draft in domains.items()}),
            declared,
        )

    def _built(self, wanted: str, builder: Callable[[Section, str], Any]) -> Mapping[str, Any]:
        names = sorted(name for kind, name in self.sections if kind == wanted)
        return {name: builder(self.sections[wanted, name], name) for name in names}


_EXAMPLES = {"bridge": "br0", "iscsi": "bay1", "domain": "web"}


def _header_problem(title: str, kind: str, name: str) -> str | None:
    if kind in schema.PARTS:
        return f"[{clip(title)}] is a part of a domain; write [[{clip(title)}]] below a [domain NAME]"
    if kind not in schema.SECTIONS:
        meant = nearest(kind, schema.SECTIONS)
        if meant:
            return f"unknown section [{clip(title)}]; did you mean [{clip(f'{meant} {name}'.strip())}]?"
        return (
            f"unknown section [{clip(title)}]; write [host], [defaults], [bridge NAME], [iscsi NAME] or [domain NAME]"
        )
    if schema.SECTIONS[kind] and not name:
        return f"[{kind}] has no name; write one such as [{kind} {_EXAMPLES[kind]}]"
    if not schema.SECTIONS[kind] and name:
        return f"[{kind}] takes no name; write [{kind}]"
    return None
