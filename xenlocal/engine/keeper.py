"""The memory and who may change it: the one thread that runs cycles. Every change is on disk before the next
step, so that a killed daemon gives no guest more time, less time or a second start."""

from __future__ import annotations

import logging
from collections.abc import Callable

from xenlocal.engine.ports import MemoryStore
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Memory

log = logging.getLogger("xenlocal")


class Keeper:
    """`changed(before, after)` is called after every change: the history takes its events from it."""

    def __init__(
        self, records: MemoryStore, changed: Callable[[Memory, Memory], None] = lambda _before, _after: None
    ) -> None:
        self._records, self._changed = records, changed
        self._unsaved = ""  # why the memory on disk is older than this one
        self.memory = records.load_memory()

    def update(self, change: Callable[[Memory], Memory]) -> None:
        before, changed = self.memory, change(self.memory)
        differs = changed != before
        if differs or self._unsaved:
            self.memory = changed
            self._save()
        if differs:
            self._changed(before, changed)

    def _save(self) -> None:
        """A full disk must not keep guests from being started or asked to stop: go on from memory."""
        try:
            self._records.save_memory(self.memory)
            self._unsaved = ""
        except XenlocalError as error:
            if str(error) != self._unsaved:
                log.error("%s; a restart of the daemon would forget what it did since", error)
            self._unsaved = str(error)
