"""The verbs that look at the files alone and need neither a host nor a daemon. Part of the composition root."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from xenlocal import config
from xenlocal.adapters.conffiles import ConfigFiles, read_files
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.errors import ConfigError, XenlocalError
from xenlocal.parts import Parts


class Offline:
    def __init__(self, parts: Parts) -> None:
        self._places, self._records = parts.places, parts.records

    def check(self, files: Sequence[str]) -> tuple[Problem, ...]:
        """Every problem of these files, or of the configuration directory. Needs no host.

        A file of that directory is read together with its others, since it may name what they declare.
        """
        directory = ConfigFiles(self._places.config_dir)
        outside = [path for path in files if not directory.holds(os.path.abspath(path))]
        sources: list[Callable[[], Sequence[ConfigFile]]] = [partial(read_files, outside)] if outside else []
        sources += [directory.read] if len(outside) < len(files) or not files else []
        texts: list[ConfigFile] = []
        unreadable: list[Problem] = []
        for source in sources:
            try:
                texts += source()
            except ConfigError as error:
                texts += error.readable
                unreadable += error.problems
        try:
            if unreadable:
                raise ConfigError(unreadable, texts)
            config.read(texts, self._any_host_id())
        except ConfigError as error:
            return config.every_problem(error, self._any_host_id())
        return ()

    def graph(self) -> dict[str, Any]:
        """What each domU waits for, as the files say. Needs no host. Raises ConfigError when they are not valid."""
        desired = config.read(ConfigFiles(self._places.config_dir).read(), self._any_host_id())
        rows = [
            {
                "name": name,
                "state": str(domain.state),
                "needs": [*domain.needs, *map(str, domain.needs_things)],
                "after": [*domain.after, *map(str, domain.after_things)],
            }
            for name, domain in desired.domains.items()
        ]
        return {"schema": 1, "domains": rows}

    def laid_out(self, dot: str) -> str:
        """What graphviz makes of a graph: SVG. Raises ToolMissing where it is not installed."""
        from xenlocal.adapters.command import Commands  # here: no other verb of these runs anything

        return Commands().run(("dot", "-Tsvg"), input=dot)

    def _any_host_id(self) -> str:
        """Nothing that `check` says depends on the UUIDs, and it is to run for anybody on any machine."""
        try:
            return self._records.host_id()
        except XenlocalError:
            return "0" * 32
