"""Circles in after and needs: which are told, and where."""

import pytest

from tests.unit.config.support import complaints, domain
from xenlocal.config import cycles

TAIL = "(each waits for the next); remove one of them"


@pytest.mark.parametrize(("key", "line"), [("needs", 5), ("after", 4)])
def test_a_circle_is_told_at_the_key_that_closes_it(key: str, line: int) -> None:
    waits = {"after": "d", "needs": "d", key: "c"}
    text = (
        domain("b", f"after = {waits['after']}", f"needs = {waits['needs']}") + domain("c", "after = b") + domain("d")
    )
    assert complaints(text) == [f"web.conf:{line}: domain b: after and needs go in a circle: b -> c -> b {TAIL}"]


def test_one_that_names_itself_is_no_circle_of_its_own() -> None:
    assert complaints(domain("a", "after = a")) == ["web.conf:4: domain a: after names the domU itself; remove 'a'"]
    assert complaints(domain("a", "after = a, b") + domain("b", "after = a, gone")) == [
        f"web.conf:4: domain a: after and needs go in a circle: a -> b -> a {TAIL}",
        "web.conf:4: domain a: after names the domU itself; remove 'a'",
        "web.conf:8: domain b: unknown domain 'gone' in after; declare [domain gone]",
    ]


def test_a_long_circle_hides_no_other() -> None:
    """It is one, however many edges it has."""
    names = [f"n{number:02}" for number in range(cycles.MAX_REPORTED + 10)]
    graph: dict[str, tuple[str, ...]] = {
        name: (after,) for name, after in zip(names, [*names[1:], names[0]], strict=True)
    }
    graph[names[-1]] += (names[-2],)
    assert cycles.find(graph) == [tuple(names), tuple(names[-2:])]


def test_of_a_thicket_the_same_circles_are_told_each_time() -> None:
    names = [f"n{number:02}" for number in range(60)]
    graph = {name: tuple(other for other in names if other != name) for name in reversed(names)}
    assert cycles.find(graph) == [(names[0], other) for other in names[1:21]], "twenty are enough"


def test_circles_that_do_not_hang_together_are_each_told_in_full() -> None:
    graph = {"a": ("b",), "b": ("a", "c"), "c": ("d",), "d": ("c", "e"), "e": ()}
    assert sorted(cycles.find(graph)) == [("a", "b"), ("c", "d")]
