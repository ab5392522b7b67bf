"""Random hosts, random days, random faults, several at once. `make soak` goes on where this ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.faults.random_days import played, random_day
from tests.faults.seeds import RANDOM_SEEDS

DAYS, BATCH = 2000, 100  # a minute and a half of CPU


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, DAYS, BATCH))
def test_random_days(first: int) -> None:
    for seed in range(first, first + BATCH):
        day = played(seed)
        assert not day.broken, f"python -m tests.faults.soak --replay {seed}: {day.struck}"


@pytest.mark.parametrize("seed", RANDOM_SEEDS)
def test_what_once_failed(seed: int) -> None:
    day = played(seed)
    assert not day.broken, day.struck


def test_days_differ() -> None:
    """The dice are not stuck: most days have blows, and every kind of thing happens."""
    days = [random_day(seed) for seed in range(300)]
    assert len({scenario.files["a.conf"] for scenario, _ in days}) > 250
    assert sum(bool(blows) for _, blows in days) > 200
    assert sum(happening.words[:1] == ("kernel",) for scenario, _ in days for happening in scenario.day) > 15
    kinds = {happening.what for scenario, _ in days for happening in scenario.day}
    assert kinds == {"ask", "write", "drop", "end", "xl", "host", "restart"}
