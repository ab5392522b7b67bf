"""The identities that `hostid = locked` has recorded: a file of our own in STATE, which a boot does not touch.

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
from xenlocal.model.identity import Identity

_SCHEMA = 1
FILE = "identities.json"


class Identities:
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
        self._changing = threading.Lock()  # two starts may record theirs at once

    def all(self) -> Mapping[str, Identity]:
        """By UUID. Raises XenlocalError where they cannot be had."""
        text = self._read(self.path)
        if text is None:
            return {}
        try:
            found = [_decode(each) for each in json.loads(text)["identities"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise XenlocalError(
                f"cannot understand {self.path} ({error!r}); put back a copy of it, or look at what it says, remove it"
                " and start the domUs: they are recorded anew"
            ) from error
        return {each.uuid: each for each in found}

    def lock(self, identity: Identity) -> None:
        """Raises XenlocalError."""
        with self._changing:
            self._save({**self.all(), identity.uuid: identity})

    def forget(self, uuid: str) -> None:
        """Raises XenlocalError."""
        with self._changing:
            self._save({key: each for key, each in self.all().items() if key != uuid})

    def _save(self, identities: Mapping[str, Identity]) -> None:
        try:
            self._write(self.path, encode(identities))
        except OSError as error:
            raise XenlocalError(f"cannot write {self.path}: {error.strerror}") from error


def encode(identities: Mapping[str, Identity]) -> str:
    """The text of the file."""
    listed = [
        {"name": each.name, "uuid": each.uuid, "macs": list(each.macs), "disks": list(each.disks)}
        for _, each in sorted(identities.items())
    ]
    return json.dumps({"schema": _SCHEMA, "identities": listed}, indent=1) + "\n"


def _decode(content: Any) -> Identity:
    lists = (content["macs"], content["disks"])
    words = (content["name"], content["uuid"], *lists[0], *lists[1])
    if not all(isinstance(each, list) for each in lists) or not all(isinstance(word, str) for word in words):
        raise ValueError("not lists of words")
    return Identity(content["name"], content["uuid"], tuple(lists[0]), tuple(lists[1]))
