"""`make soak`: every scenario with every strike at every command, then random days until the time is over.

Prints where it is, what it counted, and of each failure the one command that plays it again.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.faults.random_days import random_day
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Blow, Play, Scenario
from tests.faults.sweep import BY_NAME, single_blows

_AGAIN = "python -m tests.faults.soak"
_BATCH = 50  # random days that a process takes at once


def play(scenario: Scenario, blows: list[Blow]) -> tuple[list[str], list[str]]:
    """What is broken, and what was struck. That it cannot be played to its end is broken too."""
    try:
        played = Play(scenario, blows).play()
    except Exception as error:
        return [f"it ended with {error!r}"], []
    return played.broken, played.struck


def _sweep(name: str) -> tuple[str, int, list[str]]:
    scenario, failures = BY_NAME[name], []
    blows: list[list[Blow]] = [[], *([blow] for blow in single_blows(Play(scenario).play()))]
    for each in blows:
        broken, struck = play(scenario, each)
        if broken:
            words = " ".join(map(str, each))
            failures.append(f"{_AGAIN} --replay {name} {words}\n    {struck}\n    {broken[0]}")
    return name, len(blows), failures


def _days(first: int) -> tuple[str, int, list[str]]:
    failures = []
    for seed in range(first, first + _BATCH):
        scenario, blows = random_day(seed)
        broken, struck = play(scenario, blows)
        if broken:
            failures.append(f"{_AGAIN} --replay {seed}\n    {struck}\n    {broken[0]}")
    return f"seeds {first} to {first + _BATCH - 1}", _BATCH, failures


def replay(words: list[str]) -> int:
    """A seed, or a scenario and its blows; with the trace."""
    if words[0].isdigit():
        scenario, blows = random_day(int(words[0]))
    else:
        scenario, blows = BY_NAME[words[0]], [Blow.parse(word) for word in words[1:]]
    played = Play(scenario, blows).play()
    for entry in played.trace:
        print(f"{entry.at:10.2f} {entry.what:8} {entry.text} {'' if entry.status is None else entry.status}")
    for line in (*played.struck, *played.broken):
        print(line)
    return 1 if played.broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog=_AGAIN, description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long random days go on after the sweep")
    parser.add_argument("--seeds", type=int, default=10**6, help="at most so many random days")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--no-sweep", action="store_true", help="only random days")
    parser.add_argument("--replay", nargs="+", metavar="WHAT", help="a seed, or a scenario and its blows")
    options = parser.parse_args()
    if options.replay:
        return replay(options.replay)
    logging.disable(logging.CRITICAL)
    counts, began = Counter[str](), time.monotonic()
    with multiprocessing.Pool(options.jobs) as pool:
        if not options.no_sweep:
            names = [scenario.name for scenario in SCENARIOS]
            _report(pool.imap_unordered(_sweep, names), counts, began)
        until = time.monotonic() + options.seconds
        firsts = range(options.first, options.first + options.seeds, _BATCH)
        for batch in _batches(firsts, options.jobs):
            if time.monotonic() >= until:
                print(f"the time is over: days from seed {batch[0]} on were not played", flush=True)
                break
            _report(pool.imap_unordered(_days, batch), counts, began)
    seconds = time.monotonic() - began
    print(f"{counts['played']} days in {seconds:.0f} s, {counts['played'] / seconds:.0f} a second", end="; ")
    print(f"{counts['failed']} failed")
    return 1 if counts["failed"] else 0


def _batches(numbers: range, size: int) -> Iterator[range]:
    for at in range(0, len(numbers), size):
        yield numbers[at : at + size]


def _report(done: Iterator[tuple[str, int, list[str]]], counts: Counter[str], began: float) -> None:
    for what, number, failures in done:
        counts["played"] += number
        counts["failed"] += len(failures)
        print(f"{time.monotonic() - began:7.0f} s  {what}: {number}, {len(failures)} failed", flush=True)
        for failure in failures:
            print(failure, flush=True)


if __name__ == "__main__":
    sys.exit(main())
