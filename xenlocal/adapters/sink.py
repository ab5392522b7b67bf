"""Where the log and the progress go: to a stream that may be slow, full, blocked or gone, and never keeps us waiting.

A journal that hangs, a serial console that was stopped, a pipe that nobody reads: guests are looked after all the same.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

_LINES = 1000  # that wait to be taken
_PATIENCE = 2.0  # seconds for the last lines


class Sink:
    """A thread of its own calls `put`; it sleeps while there is nothing to do. Lines that do not fit are counted."""

    def __init__(self, put: Callable[[str], None], lines: int = _LINES) -> None:
        self._put = put
        self._queue: queue.Queue[str | threading.Event] = queue.Queue(lines)
        self._lock = threading.Lock()
        self._lost = 0
        threading.Thread(target=self._write_all, name="xenlocal-log", daemon=True).start()

    def write(self, line: str) -> None:
        """Without its end. From any thread; never waits, never raises."""
        with self._lock:
            try:
                if self._lost:
                    self._queue.put_nowait(f"({self._lost} lines are missing here: nobody took them)")
                    self._lost = 0
                self._queue.put_nowait(line)
            except queue.Full:
                self._lost += 1

    def flush(self, patience: float = _PATIENCE) -> None:
        """Until what came before has been taken, or `patience` seconds are over."""
        reached = threading.Event()
        with suppress(queue.Full):
            self._queue.put_nowait(reached)
            reached.wait(patience)

    def _write_all(self) -> None:
        while True:
            line = self._queue.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            with suppress(OSError, ValueError):  # gone, or its disk is full
                self._put(line)


def to_stream(stream: TextIO) -> Callable[[str], None]:
    """Puts lines there, past Python's own buffer: at the end of the process its lock would be waited for."""

    def put(line: str) -> None:
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):  # no file, as in tests
            stream.write(f"{line}\n")
            return
        data = f"{line}\n".encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(descriptor, data) :]

    return put
