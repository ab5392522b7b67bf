"""Every way in which a scenario can be struck once, in the order of its commands."""

from __future__ import annotations

import random

from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Blow, Play, Scenario
from tests.faults.strikes import COMMAND_STRIKES, DISK_STRIKES, STRIKES

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def single_blows(plain: Play) -> list[Blow]:
    """Each strike at each command that it fits, and each fault of the disk from each write on, of a day that was played
    without any."""
    blows = [
        Blow(number, name)
        for number, argv in enumerate(plain.argvs)
        for name in COMMAND_STRIKES
        if STRIKES[name].fits(argv)
    ]
    return blows + [Blow(number, name) for number in range(plain.writes) for name in DISK_STRIKES]


def sample(scenario: Scenario, plain: Play, most: int) -> list[Blow]:
    """At most so many, of different kinds; the same in every run."""
    chosen = random.Random(scenario.name)
    by_kind: dict[str, list[Blow]] = {}
    for blow in single_blows(plain):
        by_kind.setdefault(blow.strike, []).append(blow)
    kinds = sorted(by_kind)
    chosen.shuffle(kinds)
    return [chosen.choice(by_kind[kind]) for kind in kinds[:most]]
