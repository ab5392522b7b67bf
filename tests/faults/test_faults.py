"""Scenarios under faults: each as it is, and a sample of every way in which it can be struck (`make soak`: all)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.faults.scenarios import SCENARIOS
from tests.faults.seeds import SEEDS
from tests.faults.stage import Blow, Play, Scenario
from tests.faults.strikes import STRIKES
from tests.faults.sweep import BY_NAME, sample
from tests.faults.truth import understood

PER_SCENARIO = 8


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of faults are said in the log, and pytest would keep them all."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_there_are_enough_and_each_begins_with_what_it_means_to() -> None:
    assert len(SCENARIOS) >= 50 and len(BY_NAME) == len(SCENARIOS)
    broken = {each.name for each in SCENARIOS if understood(tuple(sorted(each.files.items()))) is None}
    assert broken == {"boot-with-broken-files"}
    texts = [
        (each.name, {**each.files, happening.words[0]: happening.words[1]})
        for each in SCENARIOS
        for happening in each.day
        if happening.what == "write"
    ]
    broken = {name for name, files in texts if understood(tuple(sorted(files.items()))) is None}
    assert broken == {"file-broken-then-mended", "file-truncated"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_as_it_is_and_struck(scenario: Scenario) -> None:
    plain = Play(scenario).play()
    assert not plain.broken and not plain.struck
    for blow in sample(scenario, plain, PER_SCENARIO):
        struck = Play(scenario, [blow]).play()
        assert not struck.broken and struck.struck, f"{scenario.name} {blow} {struck.struck}"


def test_the_sample_has_every_kind() -> None:
    """Each kind strikes somewhere: none that fits nothing, and none that the sample passes over."""
    chosen: set[str] = set()
    for scenario in SCENARIOS:
        chosen |= {blow.strike for blow in sample(scenario, Play(scenario).play(), PER_SCENARIO)}
    assert chosen == set(STRIKES)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_once_failed(seed: str) -> None:
    name, *blows = seed.split()
    struck = Play(BY_NAME[name], [Blow.parse(blow) for blow in blows]).play()
    assert not struck.broken and struck.struck
