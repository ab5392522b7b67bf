"""What wakes the loop. A wakeup only says *look again*; it carries no facts (requests of people excepted)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

OK, FAILED, USAGE, NOT_FOUND, INVALID, PARTLY = 0, 1, 2, 3, 4, 5  # how a request ends: the exit code of its verb


@dataclass(eq=False)
class Request:
    """One thing an administrator asked for, and how it goes. Made by the control socket or command line."""

    verb: str
    names: tuple[str, ...] = ()
    progress: Callable[[str], None] = lambda _text: None
    ended: Callable[[], None] = lambda: None
    result: dict[str, Any] = field(default_factory=dict)
    code: int = 0
    finished: bool = False
    begun: float = 0.0  # when it was asked for, monotonic seconds: the loop may be busy with a look then

    def finish(self, code: int, **result: Any) -> None:
        self.code, self.result, self.finished = code, result, True
        self.ended()


class Inbox:
    """For any thread, and for signal handlers, hence the reentrant lock. `wake` ends the loop's wait."""

    def __init__(self, wake: Callable[[], None], clock: Callable[[], float]) -> None:
        self._wake, self._clock = wake, clock
        self._lock = threading.RLock()
        self._requests: deque[Request] = deque()
        self._look_again = False
        self._host_event = False
        self._stop = False

    def ask(self, request: Request) -> None:
        request.begun = self._clock()
        with self._lock:
            self._requests.append(request)
        self._wake()

    def look_again(self) -> None:
        """The files may have changed, or somebody wants a fresh look: worth interrupting a wait for."""
        with self._lock:
            self._look_again = True
        self._wake()

    def host_event(self) -> None:
        """A domain was born or has died."""
        with self._lock:
            self._host_event = True
        self._wake()

    def stop(self) -> None:
        with self._lock:
            self._stop = True
        self._wake()

    @property
    def stopping(self) -> bool:
        return self._stop

    @property
    def has_requests(self) -> bool:
        return bool(self._requests)

    @property
    def goes_down(self) -> bool:
        """Whether somebody asks for the shutdown of the host."""
        with self._lock:
            return any(request.verb == "shutdown" for request in self._requests)

    @property
    def urgent(self) -> bool:
        """Whether something is here that a running plan should give way to."""
        return self._look_again or self._stop or bool(self._requests)

    @property
    def anything(self) -> bool:
        return self.urgent or self._host_event

    def take_host_event(self) -> bool:
        with self._lock:
            happened, self._host_event = self._host_event, False
        return happened

    def take(self) -> list[Request]:
        """All requests; clears the wakeups, which the cycle about to begin answers."""
        with self._lock:
            requests = list(self._requests)
            self._requests.clear()
            self._look_again = self._host_event = False
        return requests
