"""Nothing here may wait for what will never come: a test that does is cut off."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

SOMEBODY = 12345  # a user who is not root
_LIMIT = 120  # seconds


class Waited(BaseException):
    """It waits, and nothing but the end of the test's own time ends that."""


@pytest.fixture(autouse=True)
def _never_waits() -> Iterator[None]:
    def ring(signum: int, frame: FrameType | None) -> None:
        raise Waited

    former = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that any user can reach, which pytest's own are not."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def as_somebody(task: Callable[[], int]) -> int:
    """What `task` returns (0 to 255) in a process of another user."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            os.setgroups([])
            os.setgid(SOMEBODY)
            os.setuid(SOMEBODY)
            code = task()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
