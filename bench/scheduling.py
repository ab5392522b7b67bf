"""How long the start of a random host takes under our schedule, against the bound that no schedule can beat, and
against order groups with a barrier (the way of xendomains' order, Proxmox and libvirt-guests). No clock: events.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, quantiles

from xenlocal.engine.schedule import Schedule
from xenlocal.model.actions import AwaitReady, StartDomain
from xenlocal.model.plan import Goal, Plan, Step
from xenlocal.model.probes import DefaultProbe
from xenlocal.model.units import Duration


@dataclass(frozen=True)
class Guests:
    """A random host: who waits for whom, and seconds of `xl create` and from birth to ready."""

    after: Mapping[int, tuple[int, ...]]
    create: Mapping[int, float]
    ready: Mapping[int, float]


@dataclass(frozen=True)
class Ratios:
    """Makespan divided by the lower bound."""

    median: float
    p99: float
    barrier_median: float


def random_guests(dice: random.Random) -> Guests:
    """20 to 200 domUs, each after up to three of those before it."""
    count = dice.randint(20, 200)
    after = {
        number: tuple(sorted(dice.sample(range(number), min(number, dice.choice((0, 0, 1, 1, 2, 3))))))
        for number in range(count)
    }
    create = {number: dice.uniform(1, 10) for number in range(count)}
    ready = {number: dice.uniform(2, 90) for number in range(count)}
    return Guests(after, create, ready)


def makespan(guests: Guests, slots: int) -> float:
    """Seconds until the last is ready, when `engine.schedule` decides."""
    steps: list[Step] = []
    seconds: dict[str, float] = {}
    for number, others in guests.after.items():
        name = str(number)
        start = Step(f"start {name}", StartDomain(name, name, ""), "", after=tuple(f"await {each}" for each in others))
        ready = Step(f"await {name}", AwaitReady(name, name, DefaultProbe(), Duration(300)), "", needs=(start.id,))
        steps += [start, ready]
        seconds |= {start.id: guests.create[number], ready.id: guests.ready[number]}
    schedule = Schedule(Plan(Goal.BOOT, tuple(steps), start_slots=slots), lambda step: seconds[step.id])
    running: list[tuple[float, str, Step]] = []
    now = 0.0
    while schedule.waiting or running:
        while (step := schedule.take()) is not None:
            heapq.heappush(running, (now + seconds[step.id], step.id, step))
        now, _, ended = heapq.heappop(running)
        schedule.end(ended)
    return now


def barrier(guests: Guests, slots: int) -> float:
    """The same in groups by depth, each begun when the whole group before it is ready."""
    depth: dict[int, int] = {}
    for number, others in guests.after.items():
        depth[number] = 1 + max((depth[each] for each in others), default=0)
    now = 0.0
    for level in sorted(set(depth.values())):
        free = [now] * slots
        ready = now
        for number in (each for each in depth if depth[each] == level):
            born = heapq.heappop(free) + guests.create[number]
            heapq.heappush(free, born)
            ready = max(ready, born + guests.ready[number])
        now = ready
    return now


def bound(guests: Guests, slots: int) -> float:
    """No schedule is shorter than its longest chain, nor than all creates on all slots and what follows the last."""
    behind: dict[int, float] = {}
    for number in sorted(guests.after, reverse=True):
        followers = [each for each, others in guests.after.items() if number in others]
        behind[number] = guests.ready[number] + max(
            (guests.create[each] + behind[each] for each in followers), default=0.0
        )
    chain = max(guests.create[each] + behind[each] for each in guests.after)
    # for any set of guests: their creates take this long, and after the last of them its tail is still to come
    by_tail = sorted(guests.after, key=lambda each: -behind[each])
    work, best = 0.0, chain
    for each in by_tail:
        work += guests.create[each]
        best = max(best, work / slots + behind[each])
    return best


def ratios(graphs: int, slots: tuple[int, ...] = (4, 8), seed: int = 1) -> Ratios:
    dice = random.Random(seed)
    ours, theirs = [], []
    for _ in range(graphs):
        guests = random_guests(dice)
        for count in slots:
            least = bound(guests, count)
            ours.append(makespan(guests, count) / least)
            theirs.append(barrier(guests, count) / least)
    return Ratios(median(ours), quantiles(ours, n=100)[98], median(theirs))
