"""`after` and `needs` as an order (DESIGN rule 5): the same for the same input, and none that keeps anybody waiting."""

from __future__ import annotations

import pytest

from xenlocal.planner.order import (
    critical_first,
    nearest,
    start_order,
    successors,
    tied,
    with_predecessors,
    without_circles,
)


def test_each_comes_after_its_predecessors_and_else_by_its_name() -> None:
    before = {"web": ("db", "nas"), "nas": (), "db": ("nas",), "a": ("web",), "b": ()}
    assert start_order(before) == ("b", "nas", "db", "web", "a")
    assert start_order(dict(reversed(before.items()))) == ("b", "nas", "db", "web", "a")


def test_a_name_that_no_section_declares_any_more_is_not_waited_for() -> None:
    assert start_order({"web": ("gone", "db"), "db": ("gone",)}) == ("db", "web")


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ({"a": ("b",), "b": ("a",)}, {"a": ("b",), "b": ()}),
        ({"a": ("a",)}, {"a": ()}),
        ({"a": ("b",), "b": ("c",), "c": ("a", "d"), "d": ()}, {"a": ("b",), "b": ("c",), "c": ("d",), "d": ()}),
        ({"c": ("a",), "b": ("c", "a"), "a": ()}, {"c": ("a",), "b": ("c", "a"), "a": ()}),
    ],
)
def test_only_the_edges_that_close_a_circle_go(
    before: dict[str, tuple[str, ...]], kept: dict[str, tuple[str, ...]]
) -> None:
    assert without_circles(before) == kept
    assert without_circles(dict(reversed(before.items()))) == kept
    assert set(start_order(without_circles(before))) == set(before)


def test_one_that_is_not_here_leaves_its_place_to_its_own() -> None:
    before = {"web": ("db", "log"), "db": ("nas", "auth"), "nas": (), "auth": ("nas",), "log": ("log2",)}
    assert nearest(("db", "log"), {"db", "log"}, before) == ("db", "log")
    assert nearest(("db", "log"), {"nas", "auth", "log"}, before) == ("log", "nas", "auth")
    assert nearest(("db",), {"web"}, before) == ()
    assert nearest(("x",), {"nas"}, before) == ()
    assert nearest(("a",), {"c"}, {"a": ("b",), "b": ("a", "c")}) == ("c",)  # a circle ends


def test_who_must_be_gone_before() -> None:
    before = {"web": ("db",), "db": ("nas",), "app": ("db",), "nas": ()}
    assert successors(before) == {"web": (), "db": ("app", "web"), "app": (), "nas": ("db",)}


def test_what_critical_ones_stand_on_is_critical_and_comes_first_in_its_own_order() -> None:
    before = {"web": ("db", "gone"), "db": ("nas",), "nas": (), "x": ("nas",)}
    assert with_predecessors(["web"], before) == {"web", "db", "nas"}
    assert with_predecessors([], before) == frozenset()
    assert critical_first(("a", "nas", "b", "db"), frozenset({"db", "nas"})) == ("nas", "db", "a", "b")


def test_two_ways_to_one_that_all_stand_on_are_no_circle() -> None:
    before = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("d",)}
    assert without_circles(before) == before


def test_what_has_nothing_to_do_with_each_other_is_in_parts_of_its_own_each_in_the_order_given() -> None:
    order = ("nas", "alone", "web", "db", "auth")
    before = {"web": ("db",), "db": ("nas",), "nas": (), "alone": (), "auth": ("nas",)}
    assert tied(order, before) == (("nas", "web", "db", "auth"), ("alone",))
    assert tied((), {}) == ()


def test_where_many_ways_lead_to_the_same_none_is_walked_twice() -> None:
    """Each of a layer stands on both below it: there are 2 ** 40 ways down, and nobody waits until they are counted."""
    before: dict[str, tuple[str, ...]] = {"a0": (), "b0": ()}
    before |= {f"{side}{layer}": (f"a{layer - 1}", f"b{layer - 1}") for layer in range(1, 41) for side in "ab"}
    assert with_predecessors(["a40"], before) == {*before} - {"b40"}
    assert without_circles(before) == before
    assert len(start_order(before)) == 82
    assert nearest(["a40"], {"a0", "b0"}, before) == ("a0", "b0")
