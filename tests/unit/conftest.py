"""What holds for every unit test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

# No test tells by the clock: on a busy machine the same example takes a hundred times as long.
settings.register_profile("xenlocal", settings.default, deadline=None)
settings.load_profile("xenlocal")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """`xenlocal run`, and what works without a daemon, set up the log of a process of their own."""
    log = logging.getLogger("xenlocal")
    level, handlers = log.level, list(log.handlers)
    yield
    log.setLevel(level)
    log.handlers[:] = handlers
