"""Edits of a running domU: what each is done for, on what it hangs, and what is handed over for its next reboot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import (
    action,
    desired,
    dom,
    hardware,
    ids,
    live,
    lv,
    memory,
    noticed,
    observed,
    plan,
    ready,
    refused,
    storage,
    uid,
    volume,
)
from xenlocal.model.actions import SetLive
from xenlocal.model.desired import Domain
from xenlocal.model.observed import NOT_ASKED, Observed, Table, Unavailable, Vbd
from xenlocal.model.plan import Plan
from xenlocal.model.units import Size
from xenlocal.planner import xlcfg

RUNS = dom("web", maxmem=Size.mib(2048), maxvcpus=4, kernel="/boot/k")
SEEN = observed(live(3, "web"))


def made(want: Domain, seen: Observed = SEEN, runs: Domain = RUNS, **values: Any) -> Plan:
    values.setdefault("running", xlcfg.settings(runs))
    return plan(desired(want), seen, memory(ready("web", 3, **values)))


@pytest.mark.parametrize(
    ("edit", "key", "rendered", "before", "scheduler"),
    [
        ({"memory": Size.mib(1536)}, "memory", "1536", "1024", "credit2"),
        ({"vcpus": 3}, "vcpus", "3", "1", "credit2"),
        ({"cpus": "2-5"}, "cpus", '"2-5"', "not set", "credit"),
        ({"cpu_weight": 512}, "cpu_weight", "512", "not set", "credit"),
    ],
)
def test_each_live_change_says_what_was_and_what_is_declared(
    edit: dict[str, Any], key: str, rendered: str, before: str, scheduler: str
) -> None:
    seen = replace(SEEN, hardware=replace(hardware(), scheduler="credit"))
    result = made(replace(RUNS, **edit), seen)
    assert action(result, "set domain/web") == SetLive("web", uid("web"), 3, key, rendered, scheduler)
    assert result.steps[0].reason == f"{key} is {before}, declared {rendered}"


@pytest.mark.parametrize(
    ("edit", "waits"),
    [({"memory": Size.mib(1536)}, False), ({"vcpus": 3}, False), ({"cpus": "2-5"}, True), ({"cpu_weight": 512}, True)],
)
def test_only_what_hangs_on_the_scheduler_waits_for_what_is_known_of_the_hardware(
    edit: dict[str, Any], waits: bool
) -> None:
    blind = made(replace(RUNS, **edit), replace(SEEN, hardware=NOT_ASKED))
    assert ids(blind) == (() if waits else ("set domain/web",))
    assert (Table.HARDWARE in blind.wanted) is waits


@pytest.mark.parametrize(
    ("want", "staged", "pending", "reason"),
    [
        ({}, None, "", None),
        ({"kernel": "/boot/k2"}, None, "kernel", "cannot be changed while it runs: kernel"),
        (
            {"kernel": "/boot/k2", "cmdline": "quiet"},
            None,
            "cmdline, kernel",
            "cannot be changed while it runs: cmdline, kernel",
        ),
        ({}, {"kernel": "/boot/k2"}, "", "an edit was taken back"),
        ({"kernel": "/boot/k2"}, {"kernel": "/boot/k2"}, "kernel", None),
        ({"kernel": "/boot/k3"}, {"kernel": "/boot/k2"}, "kernel", "cannot be changed while it runs: kernel"),
    ],
)
def test_what_is_handed_over_for_its_next_reboot_says_why(
    want: dict[str, Any], staged: dict[str, Any] | None, pending: str, reason: str | None
) -> None:
    values: dict[str, Any] = {} if staged is None else {"staged": xlcfg.settings(replace(RUNS, **staged))}
    result = made(replace(RUNS, **want), **values)
    assert [step.reason for step in result.steps] == ([] if reason is None else [reason])
    assert noticed(result, "domain/web") == (pending and f"pending until its next reboot: {pending}")


# A disk that another one still shares is not handed over; what has nothing to do with it is.

BOTH = dom("web", replace(lv("both"), shared=True))
ALONE = dom("web", lv("both"))
HELD = observed(
    live(3, "web"),
    live(9, "other"),
    storage=storage(volume("both", opened=True, device=(253, 1))),
    vbds=tuple(Vbd(domid, "xvda", "/dev/vg0/both", None, True, by_qemu=True) for domid in (3, 9)),
)
UNKNOWN: dict[str, Any] = {"running": {}, "staged": {}}  # it rebooted while an edit was being staged
REFUSED = "not handed over for its next reboot: "


@pytest.mark.parametrize("values", [{}, UNKNOWN])
def test_a_disk_that_another_one_shares_is_not_handed_over(values: dict[str, Any]) -> None:
    result = made(ALONE, HELD, BOTH, **values)
    assert ids(result) == ()
    assert refused(result, "domain/web") == f"{REFUSED}disk xvda: volume/vg0/both is held by domain/other (domid 9)"


@pytest.mark.parametrize("values", [{}, UNKNOWN])
def test_while_it_is_unknown_who_holds_it_nothing_of_it_is_handed_over(values: dict[str, Any]) -> None:
    result = made(ALONE, replace(HELD, xenstore=Unavailable("hangs")), BOTH, **values)
    assert ids(result) == ()
    assert f"{REFUSED}the host's xenstore could not be found out" in refused(result, "domain/web")


def test_a_domu_without_disks_does_not_hang_on_who_holds_which() -> None:
    result = made(RUNS, replace(SEEN, xenstore=Unavailable("hangs")), **UNKNOWN)
    assert ids(result) == ("stage domain/web",) and result.steps[0].reason == "what it runs with is not known"


def test_an_edit_of_something_else_does_not_hang_on_its_disks() -> None:
    quiet = replace(ALONE, cmdline="quiet", kernel="/boot/k")
    result = made(quiet, replace(HELD, xenstore=Unavailable("hangs")), replace(quiet, cmdline="debug"))
    assert ids(result) == ("stage domain/web",) and not refused(result, "domain/web")
