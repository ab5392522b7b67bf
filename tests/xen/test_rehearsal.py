"""What `xenlocal rehearse` says of a reboot, against what then really happens, on three different hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lab import NETWORK, domain, reload, row, status, wait_all_ready, wait_notice, write
from test_dom0_reboot import keep_the_journal

from rig.guest import KERNEL, domids
from rig.machine import Machine
from rig.package import install

pytestmark = [pytest.mark.long, pytest.mark.limit(2400)]

OFF_BY = 0.25
"""Of the real time: as far as the rehearsed one may be from it."""
SAME_MOMENT = 1.0  # seconds


def ready(probe: str) -> str:
    return f"  [[ready]]\n  {probe}\n"


def told(m: Machine, command: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(m.run(f"xenlocal {command} --json", 300, check=False).out)
    return found


def real(m: Machine, goal: str) -> tuple[dict[str, float], float]:
    """When the start or stop of each domU began, and the seconds that the goal took."""
    blame = told(m, f"blame {goal}")
    began = {part["name"]: part["begin"] for part in blame["domains"]}
    assert blame["seconds"] is not None, blame
    return began, blame["seconds"]


def rehearsed(data: dict[str, Any], goal: str) -> tuple[dict[str, float], float]:
    phase = next(each for each in data["phases"] if each["name"] == goal)
    began: dict[str, float] = {}
    for part in phase["timeline"]:
        kind, _, name = part["target"].partition("/")
        if kind == "domain":
            began.setdefault(name, part["begin"])
    return began, phase["seconds"]


def out_of_order(one: dict[str, float], other: dict[str, float]) -> list[tuple[str, str]]:
    """Pairs of which the first began before the second in one course, and after it in the other. Those that begin in
    the same moment, since nothing orders them, do so within the seconds that each request takes under emulation."""
    return [
        (first, second)
        for first in one
        for second in one
        if one[first] + SAME_MOMENT < one[second] and other[second] + SAME_MOMENT < other[first]
    ]


def compare(m: Machine, figures: dict[str, str], host: str, lost: frozenset[str], /, **guests: str) -> None:
    """Reboot once, so that there is something to learn from; rehearse, reboot again, and compare."""
    wait_all_ready(m, *guests, timeout=900)
    m.reboot(900)
    wait_all_ready(m, *guests, timeout=900)
    for name in lost:
        m.run(f"rm /srv/guest/{name}")
        # one cycle later it is a notice
        m.run("xenlocal apply", 120, check=False)
        wait_notice(m, name, "a reboot of this host would not bring it back: kernel", 120)
    data = told(m, "rehearse")
    m.reboot(900)
    rest = [name for name in guests if name not in lost]
    wait_all_ready(m, *rest, timeout=900)

    coming = {fate["name"] for fate in data["domains"] if fate["well"]}
    assert coming == {*rest} == domids(m).keys()
    for fate in data["domains"]:
        if not fate["well"]:
            assert fate["reason"] in " ".join(row(m, fate["name"])["notices"])
    for goal in ("shutdown", "boot"):
        (order, took), (expected_order, expected) = real(m, goal), rehearsed(data, goal)
        figures[f"{host}: {goal}, rehearsed and real"] = f"{expected:.0f} s and {took:.0f} s"
        assert order.keys() == expected_order.keys() and not out_of_order(order, expected_order), goal
        assert abs(expected - took) <= OFF_BY * took, f"{goal}: rehearsed {expected:.1f} s, real {took:.1f} s"
    assert status(m)["host"]["state"] == "up"


def prepare(m: Machine, deb: Path, **guests: str) -> dict[str, str]:
    keep_the_journal(m)
    m.make_vg()
    install(m, deb)
    write(m, net=NETWORK, **guests)
    assert reload(m).rc == 0
    return guests


def test_a_chain(fresh_dom0: Machine, deb: Path, figures: dict[str, str]) -> None:
    """Each stops slower than the one below it."""
    m = fresh_dom0
    guests = prepare(
        m,
        deb,
        nas=domain("nas", options={"stop": "slow:3"}),
        db=domain("db", keys="needs = nas", options={"stop": "slow:6"}),
        web=domain("web", keys="after = db", options={"stop": "slow:9"}),
    )
    compare(m, figures, "chain", frozenset(), **guests)


def test_a_diamond(fresh_dom0: Machine, deb: Path, figures: dict[str, str]) -> None:
    """One in the middle listens late, the other one never stops."""
    m = fresh_dom0
    guests = prepare(
        m,
        deb,
        base=domain("base", options={"stop": "slow:4"}),
        left=domain(
            "left",
            keys="needs = base",
            nics=("lab0",),
            options={"ip": "192.0.2.21/24", "listen": "5432:20", "stop": "slow:2"},
            parts=ready("tcp = 192.0.2.21:5432"),
        ),
        right=domain("right", keys="needs = base\nstop_timeout = 20s", options={"stop": "hang"}),
        top=domain("top", keys="needs = left, right", options={"stop": "slow:5"}),
    )
    compare(m, figures, "diamond", frozenset(), **guests)


def test_one_without_its_kernel(fresh_dom0: Machine, deb: Path, figures: dict[str, str]) -> None:
    """Four that know nothing of each other, and two below them; the kernel of one goes missing meanwhile."""
    m = fresh_dom0
    m.run(f"cp {KERNEL} /srv/guest/lost")
    guests = prepare(
        m,
        deb,
        auth=domain("auth", keys="critical = yes", options={"stop": "slow:8"}),
        lost=domain("lost", keys="kernel = /srv/guest/lost"),
        files=domain("files", keys="after = auth", options={"stop": "slow:12"}),
        desk=domain("desk", keys="needs = auth, files", options={"stop": "slow:3"}),
        spare=domain("spare", keys="after = files", options={"stop": "slow:1"}),
    )
    compare(m, figures, "lost kernel", frozenset({"lost"}), **guests)
