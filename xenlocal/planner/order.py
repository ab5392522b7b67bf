"""`after` and `needs` as an order: predecessors first at start, last at stop. The configuration has no cycles
(config checks it); names that no section declares any more are simply not there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from graphlib import TopologicalSorter


def start_order(predecessors: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Names so that each comes after its predecessors; among equals by name: same input, same order."""
    sorter = TopologicalSorter(
        {name: [other for other in before if other in predecessors] for name, before in predecessors.items()}
    )
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return tuple(order)


def without_circles(predecessors: Mapping[str, Iterable[str]]) -> Mapping[str, tuple[str, ...]]:
    """The same, without the edges that close a circle. The files have none, but what is remembered of
    vanished sections may: an order that is none any more must keep nobody from being asked to stop.
    """
    kept: dict[str, tuple[str, ...]] = dict.fromkeys(predecessors, ())
    for name, before in sorted(predecessors.items()):
        for other in before:
            if not _reaches(kept, other, name):
                kept[name] += (other,)
    return kept


def _reaches(predecessors: Mapping[str, tuple[str, ...]], start: str, goal: str) -> bool:
    seen, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += predecessors[name]
    return goal in seen


def nearest(names: Iterable[str], here: Collection[str], predecessors: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Of these predecessors those that are `here`. One that is not leaves its place to its own: those who come after
    it come after them all the same."""
    found: dict[str, None] = {}
    waiting, seen = [*names], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in here:
            found[name] = None
        elif name not in seen:
            waiting += predecessors.get(name, ())
        seen.add(name)
    return tuple(found)


def successors(predecessors: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Who names whom: the domUs that must be gone before one is asked to stop."""
    result: dict[str, list[str]] = {name: [] for name in predecessors}
    for name, before in predecessors.items():
        for other in before:
            result[other].append(name)
    return {name: tuple(sorted(names)) for name, names in result.items()}


def tied(order: tuple[str, ...], predecessors: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """The names in parts that have nothing to do with each other, each part in the given order."""
    neighbours = {name: {*predecessors[name]} for name in order}
    for name in order:
        for other in predecessors[name]:
            neighbours[other].add(name)
    place = {name: number for number, name in enumerate(order)}
    parts, seen = [], set[str]()
    for first in order:
        part, waiting = set[str](), [] if first in seen else [first]
        while waiting:
            name = waiting.pop()
            if name not in part:
                part.add(name)
                waiting += neighbours[name]
        seen |= part
        if part:
            parts.append(tuple(sorted(part, key=place.__getitem__)))
    return tuple(parts)


def with_predecessors(names: Iterable[str], predecessors: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """These and all they stand on."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += [other for other in predecessors.get(name, ()) if other in predecessors]
    return frozenset(wanted)


def critical_first(order: Iterable[str], wanted: frozenset[str]) -> tuple[str, ...]:
    """The order with `wanted` in front, both parts in their own order."""
    names = tuple(order)
    return tuple(name for name in names if name in wanted) + tuple(name for name in names if name not in wanted)
