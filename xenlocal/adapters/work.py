"""Real time and real threads: the Work port. The only module that reads the wall clock."""

from __future__ import annotations

import contextlib
import math
import os
import select
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_LONGEST_POLL_MS = 86_400_000


class ThreadWork:
    """`wake` writes to an eventfd, so it may be called by any thread and by a signal handler, also one that
    interrupts `wait` itself: a condition variable would lose that wake-up. Nothing polls.

    To be made after `process.daemonize`, which closes descriptors; `wait` belongs to one thread.
    """

    def __init__(self, workers: int = 64) -> None:
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="xenlocal-work")
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._event, select.POLLIN)

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def submit(self, task: Callable[[], None]) -> Future[None]:
        future = self._pool.submit(task)  # threads are started when they are needed
        future.add_done_callback(lambda done: self.wake())
        return future

    def wait(self, until: float | None) -> None:
        while True:
            milliseconds = None
            if until is not None:
                milliseconds = min(max(0, math.ceil((until - time.monotonic()) * 1000)), _LONGEST_POLL_MS)
            if self._poll.poll(milliseconds):
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._event)
                return
            if until is not None and time.monotonic() >= until:
                return

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: a wake-up is pending
            if self._event >= 0:
                os.eventfd_write(self._event, 1)

    def close(self) -> None:
        """Wait for the tasks that run, start no other. Afterwards `wake` does nothing."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        event, self._event = self._event, -1
        if event >= 0:
            os.close(event)
