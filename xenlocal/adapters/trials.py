"""Kernels on trial: a file of our own in STATE, which a boot does not touch, since that must not take one that failed.

A file that cannot be read or understood is not an empty one: whoever asks is told why, and decides.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from xenlocal.adapters.files import write_private
from xenlocal.adapters.own import read_text
from xenlocal.model.errors import XenlocalError
from xenlocal.model.names import COPY, RELEASE, is_whole_copy
from xenlocal.model.trial import Trial

_SCHEMA = 1
FILE = "trials.json"


class Trials:
    """`read` and `write` put a file of our own in place and take it; for tests and rehearsals."""

    def __init__(
        self,
        state_dir: str,
        *,
        read: Callable[[str], str | None] = read_text,
        write: Callable[[str, str], None] = write_private,
    ) -> None:
        self.path = os.path.join(os.path.abspath(state_dir), FILE)
        self._read, self._write = read, write
        self._changing = threading.Lock()  # two may end at once

    def all(self) -> Mapping[str, Trial]:
        """By UUID. Raises XenlocalError where they cannot be had."""
        text = self._read(self.path)
        if text is None:
            return {}
        try:
            content = json.loads(text)
            if content["schema"] != _SCHEMA:
                raise ValueError(f"schema {content['schema']!r}, and this xenlocal knows {_SCHEMA}")
            found = [_decode(each) for each in content["trials"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise XenlocalError(
                f"cannot understand {self.path} ({error!r}); look at what it says of kernels that have failed, then"
                " remove it: each domU boots the kernel that the files name"
            ) from error
        return {each.uuid: each for each in found}

    def put(self, trial: Trial) -> None:
        """Raises XenlocalError."""
        with self._changing:
            self._save({**self.all(), trial.uuid: trial})

    def forget(self, uuid: str) -> None:
        """Raises XenlocalError."""
        with self._changing:
            self._save({key: each for key, each in self.all().items() if key != uuid})

    def _save(self, trials: Mapping[str, Trial]) -> None:
        try:
            self._write(self.path, encode(trials))
        except OSError as error:
            raise XenlocalError(f"cannot write {self.path}: {error.strerror}") from error


_FIELDS = ("name", "uuid", "release", "copy", "before", "failed")


def encode(trials: Mapping[str, Trial]) -> str:
    """The text of the file."""
    listed = [{key: getattr(each, key) for key in _FIELDS} for _, each in sorted(trials.items())]
    return json.dumps({"schema": _SCHEMA, "trials": listed}, indent=1) + "\n"


def _decode(content: Any) -> Trial:
    words = {key: content[key] for key in _FIELDS}
    if not all(isinstance(word, str) or (word is None and key == "before") for key, word in words.items()):
        raise ValueError("not words")
    trial = Trial(**words)
    # they become part of paths and of an xl.cfg
    if not all(is_whole_copy(copy) and COPY.fullmatch(copy) for copy in trial.copies):
        raise ValueError("no names of copies")
    if not RELEASE.fullmatch(trial.release):
        raise ValueError("no release of a kernel")
    return trial
