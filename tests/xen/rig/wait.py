"""The rig's only way to wait: for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Overdue(AssertionError):
    """The condition did not become true in its time."""


def wait_for(condition: Callable[[], T | None], timeout: float, what: str, every: float = 0.05) -> T:
    """Call `condition` until it gives something true, at most `timeout` seconds; return that.

    :raises Overdue: with `what` was awaited and for how long.
    """
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise Overdue(f"waited {timeout:g} s for: {what}")
        time.sleep(every)
    return answer
