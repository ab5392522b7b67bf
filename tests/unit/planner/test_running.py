"""Changes of a running domU: live where Xen can, else staged for its own next reboot and shown as pending."""

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    GIB,
    NOW,
    action,
    desired,
    dom,
    hardware,
    ids,
    live,
    memory,
    noticed,
    observed,
    plan,
    ready,
    uid,
)
from tests.unit.planner.world import apply_plan
from xenlocal.model.desired import Domain
from xenlocal.model.identity import Identity
from xenlocal.model.memory import Memory
from xenlocal.model.observed import NOT_ASKED, Table
from xenlocal.model.plan import Plan
from xenlocal.model.units import Size
from xenlocal.planner import xlcfg

RUNS = dom("web", maxmem=Size.mib(2048), maxvcpus=4, kernel="/boot/k")
SEEN = observed(live(3, "web"))


def remembered(runs: Domain = RUNS, **values: object) -> Memory:
    return memory(ready("web", 3, running=xlcfg.settings(runs), **values))


def edited(**values: object) -> Domain:
    return replace(RUNS, **values)  # type: ignore[arg-type]


def made(want: Domain, kept: Memory | None = None) -> Plan:
    return plan(desired(want), SEEN, kept or remembered())


@pytest.mark.parametrize(
    ("values", "key", "value"),
    [
        ({"memory": Size.mib(1536)}, "memory", "1536"),
        ({"vcpus": 3}, "vcpus", "3"),
        ({"cpus": "2-5"}, "cpus", "2-5"),
        ({"cpu_weight": 512}, "cpu_weight", "512"),
    ],
)
def test_what_xen_can_change_is_changed_live(values: dict[str, object], key: str, value: str) -> None:
    result = made(edited(**values))
    assert ids(result) == ("set domain/web",)
    step = action(result, "set domain/web")
    assert (step.key, step.value, step.domid) == (key, value, 3)
    seen, kept = apply_plan(result, SEEN, remembered(), desired(edited(**values)), NOW)
    assert plan(desired(edited(**values)), seen, kept).is_empty


def test_the_weight_is_set_through_the_scheduler_in_use() -> None:
    want = desired(edited(cpu_weight=512))
    assert plan(want, replace(SEEN, hardware=NOT_ASKED), remembered()).wanted == {Table.HARDWARE}
    seen = replace(SEEN, hardware=replace(hardware(), scheduler="credit"))
    assert action(plan(want, seen, remembered()), "set domain/web").scheduler == "credit"


@pytest.mark.parametrize(
    ("values", "pending"),
    [
        ({"kernel": "/boot/k2"}, "kernel"),
        ({"memory": Size.mib(4096), "maxmem": None}, "maxmem, memory"),
        ({"vcpus": 8, "maxvcpus": None}, "maxvcpus, vcpus"),
        ({"cmdline": "quiet"}, "cmdline"),
        ({"extra": (("timer_mode", '"x"'),)}, "timer_mode"),
    ],
)
def test_the_rest_is_staged_once_and_stays_pending(values: dict[str, object], pending: str) -> None:
    want = edited(**values)
    result = made(want)
    assert ids(result) == ("stage domain/web",)
    assert noticed(result, "domain/web") == f"pending until its next reboot: {pending}"
    seen, kept = apply_plan(result, SEEN, remembered(), desired(want), NOW)
    again = plan(desired(want), seen, kept)
    assert again.is_empty and "pending" in noticed(again, "domain/web")


def test_an_edit_taken_back_is_not_left_staged() -> None:
    staged = remembered(staged=xlcfg.settings(edited(kernel="/boot/k2")))
    result = made(RUNS, staged)
    assert ids(result) == ("stage domain/web",)
    assert not noticed(result, "domain/web")
    seen, kept = apply_plan(result, SEEN, staged, desired(RUNS), NOW)
    assert plan(desired(RUNS), seen, kept).is_empty


def test_after_its_reboot_nothing_is_pending() -> None:
    want = edited(kernel="/boot/k2")
    _, kept = apply_plan(made(want), SEEN, remembered(), desired(want), NOW)
    reborn = observed(live(4, "web"))
    _, kept = apply_plan(plan(desired(want), reborn, kept), reborn, kept, desired(want), NOW)
    result = plan(desired(want), reborn, kept)
    assert result.is_empty and not noticed(result, "domain/web")


def test_limits_that_only_follow_are_no_difference() -> None:
    small = dom("web", memory=GIB)
    wide = remembered(edited(kernel=None))
    assert made(small, wide).is_empty


def test_what_it_runs_with_is_said_to_be_unknown_where_we_did_not_start_it() -> None:
    result = plan(desired(RUNS), SEEN, memory(ready("web", 3)))
    assert not result.steps
    assert "was not started by xenlocal" in noticed(result, "domain/web")


def test_one_that_rebooted_while_it_was_not_clear_what_was_staged_gets_its_edits_at_its_next_reboot() -> None:
    unclear = memory(ready("web", 3, staged={}))
    result = plan(desired(RUNS), SEEN, unclear)
    assert ids(result) == ("stage domain/web",) and "not known" in result.steps[0].reason
    assert noticed(result, "domain/web").startswith("rebooted while an edit was being staged")
    _, kept = apply_plan(result, SEEN, unclear, desired(RUNS), NOW)
    again = plan(desired(RUNS), SEEN, kept)
    assert not again.steps and "rebooted while" in noticed(again, "domain/web")
    reborn = observed(live(4, "web"))
    _, kept = apply_plan(again, reborn, kept, desired(RUNS), NOW)
    assert not noticed(plan(desired(RUNS), reborn, kept), "domain/web")


def test_one_with_another_identity_than_is_locked_is_not_staged_even_then() -> None:
    locked = edited(hostid="locked")
    other = {uid("web"): Identity("web", uid("web"), ("00:16:3e:00:00:99",))}
    result = plan(desired(locked), replace(SEEN, identities=other), memory(ready("web", 3, staged={})))
    assert not result.steps
