"""Circles in after and needs. A graph of domUs with a circle has no order in which to start them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import pairwise

from xenlocal.config.crosschecks import Drafts
from xenlocal.config.problems import Problems, clip

MAX_REPORTED = 20  # of circles that hang together; breaking one breaks many


def check(drafts: Drafts, problems: Problems) -> None:
    graph = {
        name: tuple(other for other in draft.domain.predecessors if other in drafts.domains and other != name)
        for name, draft in drafts.domains.items()
    }
    for cycle in find(graph):
        first, second = cycle[0], cycle[1]
        draft = drafts.domains[first]
        key = "needs" if second in draft.domain.needs else "after"
        circle = " -> ".join(clip(name) for name in (*cycle, first))
        message = f"after and needs go in a circle: {circle} (each waits for the next); remove one of them"
        problems.add(draft.settings.at(key), message, key)


def find(graph: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Circles that together cover every edge that lies on one, each once, from its smallest name on."""
    found: list[tuple[str, ...]] = []
    for members in _knots(graph):
        covered: set[tuple[str, str]] = set()
        count = 0
        for node in sorted(members):
            for other in graph[node]:
                if other not in members or (node, other) in covered or count == MAX_REPORTED:
                    continue
                cycle = [node, *_shortest(graph, other, node, members)]
                covered |= set(pairwise([*cycle, node]))
                start = cycle.index(min(cycle))
                found.append((*cycle[start:], *cycle[:start]))
                count += 1
    return found


def _shortest(graph: Mapping[str, tuple[str, ...]], start: str, goal: str, members: set[str]) -> list[str]:
    """The way from `start` to `goal`, without `goal`. Inside a knot there is one."""
    before: dict[str, str] = {start: ""}
    queue = deque([start])
    while goal not in before:
        node = queue.popleft()
        for other in graph[node]:
            if other in members and other not in before:
                before[other] = node
                queue.append(other)
    way, node = [], before[goal]
    while node:
        way.append(node)
        node = before[node]
    return way[::-1]


def _knots(graph: Mapping[str, tuple[str, ...]]) -> list[set[str]]:
    """Sets of nodes that all reach each other (Kosaraju's way, without recursion: a chain of
    thousands of domUs is a valid configuration)."""
    reverse: dict[str, list[str]] = {node: [] for node in graph}
    for node, others in graph.items():
        for other in others:
            reverse[other].append(node)
    order: list[str] = []
    seen: set[str] = set()
    for root in graph:
        stack = [] if root in seen else [(root, iter(graph[root]))]
        seen.add(root)
        while stack:
            node, others_left = stack[-1]
            following = next((other for other in others_left if other not in seen), None)
            if following is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(graph[following])))
    knots: list[set[str]] = []
    taken: set[str] = set()
    for root in reversed(order):
        knot, todo = {root}, [root]
        while todo:
            for other in reverse[todo.pop()]:
                if other not in taken and other not in knot:
                    knot.add(other)
                    todo.append(other)
        taken |= knot
        knots.append(knot)
    return knots
