"""The plan as it is handed out: its order never depends on the order in which its parts were found."""

from __future__ import annotations

from tests.unit.planner.build import action, desired, dom, ids, live, memory, observed, plan, ready, uid
from xenlocal.model.actions import AwaitReady, SetLive
from xenlocal.model.names import domain
from xenlocal.model.observed import Observed, Table, Unavailable
from xenlocal.model.plan import Goal
from xenlocal.model.probes import NO_PROBE
from xenlocal.model.units import Duration, Size
from xenlocal.planner import xlcfg
from xenlocal.planner.draft import Draft

A, B = domain("a"), domain("b")


def test_refusals_and_notices_come_in_the_order_of_their_objects_and_edges_in_their_own() -> None:
    draft = Draft(Observed())
    for target in (B, A):
        draft.refuse(target, "not safe")
        draft.notice(target, "is paused")
    draft.step(AwaitReady("a", uid("a"), NO_PROBE, Duration(1)), "", needs=("y", "x"), after=("w", "v"))
    made = draft.plan(Goal.CONVERGE, 1)
    assert [each.target for each in made.refusals] == [each.target for each in made.notices] == [A, B]
    assert (made.steps[0].needs, made.steps[0].after) == (("x", "y"), ("v", "w"))


def test_tables_that_could_not_be_had_are_told_by_name_and_not_asked_for_again() -> None:
    broken = observed(storage=Unavailable("lvs hangs"), hardware=Unavailable("xl hangs"), domains=Unavailable("gone"))
    made = plan(desired(dom("web")), broken)
    assert made.unavailable == (("domains", "gone"), ("hardware", "xl hangs"), ("storage", "lvs hangs"))
    assert not made.wanted
    assert plan(desired(dom("web")), Observed()).wanted == {Table.DOMAINS}


def test_steps_of_one_kind_on_one_object_are_numbered() -> None:
    runs = dom("web", maxmem=Size.mib(2048), maxvcpus=4)
    want = dom("web", maxmem=Size.mib(2048), maxvcpus=4, memory=Size.mib(2000), vcpus=2, cpu_weight=512)
    kept = memory(ready("web", 3, running=xlcfg.settings(runs)))
    made = plan(desired(want), observed(live(3, "web")), kept)
    assert ids(made) == ("set domain/web", "set domain/web 2", "set domain/web 3")
    keys = {each: action(made, each).key for each in ids(made)}
    assert set(keys.values()) == {"memory", "vcpus", "cpu_weight"}


def test_the_number_of_a_step_is_never_taken_whatever_others_are_called() -> None:
    draft = Draft(Observed())
    for name in ("web", "web2", "web", "web2", "web"):
        draft.step(SetLive(name, uid(name), 3, "vcpus", "1"), "")
    assert len(draft.plan(Goal.CONVERGE, 1).steps) == 5


def test_the_critical_ones_are_told_with_all_they_stand_on() -> None:
    made = plan(desired(dom("a"), dom("nas"), dom("z", critical=True, after=("nas",))), observed())
    assert made.critical == {"nas", "z"}
