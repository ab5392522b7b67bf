"""A file of our own in STATE that records one thing for each domU, by UUID: a boot of the host does not touch it.

A file that cannot be read or understood is not an empty one: whoever asks is told why, and decides.
"""

from __future__ import annotations

import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from xenlocal.adapters.files import write_private
from xenlocal.adapters.own import read_text
from xenlocal.model.errors import XenlocalError

_SCHEMA = 1


class _OfOne(Protocol):
    @property
    def uuid(self) -> str: ...


_Entry = TypeVar("_Entry", bound=_OfOne)


class ByUuid(ABC, Generic[_Entry]):
    """`read` and `write` put a file of our own in place and take it; for tests and rehearsals. A subclass names the
    file, `NAME`.json, and how an entry is written; `ADVICE`: what to do with a file that nobody understands."""

    NAME: str
    ADVICE: str

    def __init__(
        self,
        state_dir: str,
        *,
        read: Callable[[str], str | None] = read_text,
        write: Callable[[str, str], None] = write_private,
    ) -> None:
        self.path = os.path.join(os.path.abspath(state_dir), f"{self.NAME}.json")
        self._read, self._write = read, write
        self._changing = threading.Lock()  # two may be recorded at once

    @staticmethod
    @abstractmethod
    def decode(content: Any) -> _Entry:
        """Raises ValueError, KeyError or TypeError for what is no entry."""

    @staticmethod
    @abstractmethod
    def encode(entry: _Entry) -> dict[str, Any]:
        """As JSON has it."""

    def all(self) -> Mapping[str, _Entry]:
        """By UUID. Raises XenlocalError where they cannot be had."""
        text = self._read(self.path)
        if text is None:
            return {}
        try:
            content = json.loads(text)
            if content["schema"] != _SCHEMA:
                raise ValueError(f"schema {content['schema']!r}, and this xenlocal knows {_SCHEMA}")
            found = [self.decode(each) for each in content[self.NAME]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise XenlocalError(f"cannot understand {self.path} ({error!r}); {self.ADVICE}") from error
        return {each.uuid: each for each in found}

    def put(self, entry: _Entry) -> None:
        """Raises XenlocalError."""
        with self._changing:
            self._save({**self.all(), entry.uuid: entry})

    def forget(self, uuid: str) -> None:
        """Raises XenlocalError."""
        with self._changing:
            self._save({key: each for key, each in self.all().items() if key != uuid})

    def text(self, entries: Mapping[str, _Entry]) -> str:
        """What the file holds then."""
        listed = [self.encode(each) for _, each in sorted(entries.items())]
        return json.dumps({"schema": _SCHEMA, self.NAME: listed}, indent=1) + "\n"

    def _save(self, entries: Mapping[str, _Entry]) -> None:
        try:
            self._write(self.path, self.text(entries))
        except OSError as error:
            raise XenlocalError(f"cannot write {self.path}: {error.strerror}") from error
