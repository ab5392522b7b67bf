"""Pinning to CPUs that this host has not: Xen passes over them, and refuses what names no other."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import action, desired, dom, hardware, ids, live, memory, observed, plan, ready, refused
from xenlocal.model.observed import NOT_ASKED, Table
from xenlocal.planner import xlcfg
from xenlocal.planner.cpus import cpu_set, ranges


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("all", {0, 1, 2, 3}), ("all,^2", {0, 1, 3}), ("1-2", {1, 2}), ("0,3", {0, 3}), ("^1,0-1", {0, 1})],
)
def test_cpus_as_xl_reads_them(text: str, cpus: set[int]) -> None:
    assert cpu_set(text, frozenset(range(4))) == cpus


def test_cpus_are_told_as_they_are_written() -> None:
    assert ranges([7, 0, 1, 3, 2]) == "0-3,7"
    assert ranges({5}) == "5"


@pytest.mark.parametrize(("cpus", "starts"), [("3", True), ("3-9", True), ("all", True), ("4", False), ("4-9", False)])
@pytest.mark.parametrize("autoballoon", [False, True])
def test_what_is_pinned_to_no_cpu_of_the_host_is_not_started(cpus: str, starts: bool, autoballoon: bool) -> None:
    seen = observed(hardware=hardware(cpus=4, autoballoon=autoballoon))
    made = plan(desired(dom("web", cpus=cpus)), seen)
    assert ("start domain/web" in ids(made)) == starts
    assert refused(made, "domain/web") == (
        ""
        if starts
        else f"cpus = {cpus} leaves it none of this host's CPUs (4: 0-3); write cpus = 0-3, or some of these (a.conf:1)"
    )


def test_what_is_left_of_all_cpus_may_be_none_on_a_small_host() -> None:
    made = plan(desired(dom("web", cpus="all,^0")), observed(hardware=hardware(cpus=1)))
    assert "cpus = all,^0 leaves it none of this host's CPUs (1: 0); write cpus = 0" in refused(made, "domain/web")


def test_a_running_domu_stays_on_its_cpus_rather_than_go_to_none_and_its_other_edits_are_applied() -> None:
    runs, seen = dom("web", cpus="1", cpu_weight=256), observed(live(3, "web"), hardware=hardware(cpus=4))
    kept = memory(ready("web", 3, running=xlcfg.settings(runs)))
    made = plan(desired(dom("web", cpus="7", cpu_weight=512)), seen, kept)
    assert [action(made, step).key for step in ids(made)] == ["cpu_weight"]
    assert "cpus = 7 leaves it none" in refused(made, "domain/web")
    made = plan(desired(dom("web", cpus="2-7", cpu_weight=256)), seen, kept)
    assert [action(made, step).value for step in ids(made)] == ["2-7"] and not made.refusals


def test_which_cpus_the_host_has_is_asked_before_a_domu_moves_to_others() -> None:
    seen = observed(live(3, "web"), hardware=NOT_ASKED)
    kept = memory(ready("web", 3, running=xlcfg.settings(dom("web", cpus="1"))))
    made = plan(desired(dom("web", cpus="2")), seen, kept)
    assert not made.steps and made.wanted == {Table.HARDWARE}
