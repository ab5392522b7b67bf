"""What a rehearsed daemon has in place of a disk, of systemd, of the journal and of all the time in the world.

A part of `rehearsal`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from xenlocal.engine.configuration import Configuration
from xenlocal.engine.recorder import Recorder
from xenlocal.model.actions import Action
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.desired import Desired
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Entry, Query
from xenlocal.model.memory import Memory
from xenlocal.planner.learned import Learned
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.work import VirtualWork

log = logging.getLogger("xenlocal")
_THREADS = "rehearsal"
_MOST_WAITS = 1_000_000  # of one phase: some hours of a host of hundreds of domUs


def no_script(_action: Action) -> Sequence[str]:
    return ()


class Bounded(VirtualWork):
    """A mistake of ours must not keep the command line busy for ever."""

    def __init__(self, dom0: SimulatedDom0) -> None:
        super().__init__(dom0, _THREADS)
        self._waits = 0

    def wait(self, until: float | None) -> None:
        self._waits += 1
        if self._waits > _MOST_WAITS:
            raise XenlocalError("cannot rehearse: it does not come to an end; please report this")
        super().wait(until)


class InForce(Configuration):
    """What is declared, without files."""

    def __init__(self, desired: Desired) -> None:
        super().__init__(Papers(Memory()), Papers(Memory()), "")
        self.desired = desired

    def load(self, keep: bool = True) -> tuple[Problem, ...]:
        return ()


class Papers:
    """Our own files, and the configuration directory, on no disk."""

    path = ""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def load_memory(self) -> Memory:
        return self._memory

    def save_memory(self, memory: Memory) -> None:
        self._memory = memory

    def load_good(self) -> tuple[ConfigFile, ...] | None:
        return None

    def save_good(self, files: Sequence[ConfigFile]) -> None: ...

    def read(self) -> tuple[ConfigFile, ...]:
        return ()


class Notebook:
    """A History on no disk."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entries: Sequence[Entry]) -> None:
        self.entries += [replace(entry, number=len(self.entries) + n) for n, entry in enumerate(entries, 1)]

    def read(self, query: Query) -> tuple[Entry, ...]:
        return ()


class Taught(Recorder):
    """Knows what was learned on the real host."""

    lessons: Mapping[str, Learned] = {}

    def learned(self) -> Mapping[str, Learned]:
        return self.lessons


class Nobody:
    """A Notifier whom nobody hears."""

    def ready(self) -> None: ...
    def status(self, sentence: str) -> None: ...
    def reloading(self) -> None: ...
    def watchdog(self) -> None: ...
    def stopping(self) -> None: ...
    def watchdog_interval(self) -> float | None:
        return None


@contextmanager
def quiet() -> Iterator[None]:
    """What only seems to happen must not be in the journal: the threads of the rehearsal say nothing meanwhile."""
    thread = threading.current_thread()
    name, thread.name = thread.name, _THREADS

    def is_real(record: logging.LogRecord) -> bool:
        return record.threadName != _THREADS

    log.addFilter(is_real)
    try:
        yield
    finally:
        log.removeFilter(is_real)
        thread.name = name
