"""Volumes in thin pools: made in the pool that is declared, and no guest on a pool that is full."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    GIB,
    action,
    desired,
    dom,
    ids,
    learned_plan,
    live,
    lv,
    memory,
    noticed,
    observed,
    plan,
    ready,
    refused,
    storage,
    vbd,
    volume,
)
from xenlocal.model.desired import Disk, State
from xenlocal.model.names import trash_name
from xenlocal.model.plan import Plan
from xenlocal.model.storage import Fill, Volume
from xenlocal.model.units import Size

ROOT, POOL = "volume/vg0/root", "volume/vg0/thin0"


def thin(name: str = "root", size: Size | None = GIB, vdev: str = "xvda", pool: str = "thin0") -> Disk:
    return replace(lv(name, size, vdev), pool=pool)


def pool(data: float | None = 10.0, metadata: float | None = 10.0, health: str = "") -> Volume:
    return volume("thin0", Size(10 * GIB.bytes), tags=frozenset(), fill=Fill(data, metadata, health))


def with_pool(disk: Disk, *present: Volume, state: State = State.STOPPED, free: Size = GIB) -> Plan:
    return plan(desired(dom("web", disk, state=state)), observed(storage=storage(*present, free=free)))


def test_a_thin_volume_is_made_in_its_pool_and_takes_no_room_of_the_group() -> None:
    made = with_pool(thin(size=Size(50 * GIB.bytes)), pool(), free=Size(0))
    create = action(made, f"create {ROOT}")
    assert (create.pool, create.size) == ("thin0", Size(50 * GIB.bytes)) and not made.refusals
    both = plan(
        desired(dom("web", thin(), lv("data", GIB, "xvdb"), state=State.STOPPED)),
        observed(storage=storage(pool(), free=GIB)),
    )
    assert ids(both) == ("create volume/vg0/data", f"create {ROOT}"), "what a thin one takes, another may have"


def test_a_thin_volume_is_grown_whatever_the_group_has_left() -> None:
    present = volume("root", pool="thin0")
    for declared in (thin(size=Size(50 * GIB.bytes)), lv("root", Size(50 * GIB.bytes))):
        made = with_pool(declared, pool(), present, free=Size(0))
        assert ids(made) == (f"grow {ROOT}",) and not made.refusals


@pytest.mark.parametrize(
    ("present", "said"),
    [
        (
            [],
            "there is no thin pool vg0/thin0, and xenlocal makes none; type, with the size it is to have:"
            " lvcreate --type thin-pool --size 100G --name thin0 vg0",
        ),
        ([volume("thin0")], "vg0/thin0 is no thin pool; `lvs -o lv_name,lv_layout vg0` shows those that are"),
        ([pool(97.0)], "its thin pool vg0/thin0 is full; for more room type: lvextend --size +10G vg0/thin0"),
        (
            [pool(50.0, 97.0)],
            "its thin pool vg0/thin0 is full; for more room type: lvextend --poolmetadatasize +256M vg0/thin0",
        ),
        (
            [pool(90.0, health="out_of_data")],
            "its thin pool vg0/thin0 is full; for more room type: lvextend --size +10G vg0/thin0",
        ),
        (
            [pool(50.0, health="metadata_read_only")],
            "its thin pool vg0/thin0 is damaged: LVM says metadata_read_only; `lvs -a vg0` shows more",
        ),
    ],
)
def test_what_the_pool_lacks(present: list[Volume], said: str) -> None:
    made = with_pool(thin(), *present, state=State.RUNNING)
    assert not made.steps and refused(made, ROOT) == said and refused(made, "domain/web") == f"disk xvda: {ROOT} {said}"
    there = volume("root", pool="thin0")
    inactive = replace(there, active=False)
    made = with_pool(thin(), *present, inactive, state=State.RUNNING)
    assert ids(made) == (f"activate {ROOT}",) and refused(made, "domain/web") == f"disk xvda: {ROOT} {said}"
    made = with_pool(thin(), *present, there, state=State.RUNNING)
    assert not made.steps and refused(made, "domain/web") == f"disk xvda: {ROOT} {said}"
    made = with_pool(thin(size=Size.mib(2048)), *present, there)
    assert not made.steps and refused(made, ROOT) == said, "nor is it grown"


def test_a_guest_that_runs_on_a_full_pool_goes_on() -> None:
    seen = observed(
        live(3, "web"),
        storage=storage(pool(100.0), volume("root", pool="thin0", opened=True)),
        vbds=(vbd(3, "/dev/vg0/root"),),
    )
    made = learned_plan(desired(dom("web", thin())), seen, memory(ready("web", 3)))
    assert not any("stop" in step for step in ids(made)) and not refused(made, "domain/web")
    assert "more than 80 % full" in noticed(made, POOL)


@pytest.mark.parametrize(
    ("fill", "what", "option"),
    [
        ((79.9, 79.9), "", ""),
        ((None, None), "", ""),
        ((80.0, 10.0), "data", "--size +10G"),
        ((10.0, 80.0), "metadata", "--poolmetadatasize +256M"),
    ],
)
def test_a_pool_that_is_nearly_full_is_told_once(
    fill: tuple[float | None, float | None], what: str, option: str
) -> None:
    disks = (thin("a"), thin("b", vdev="xvdb"))
    present = (pool(*fill), volume("a", pool="thin0"), volume("b", pool="thin0"))
    made = plan(desired(dom("web", *disks, state=State.STOPPED)), observed(storage=storage(*present)))
    said = (
        f"its {what} is more than 80 % full, and once it is full its guests cannot write; for more room type:"
        f" lvextend {option} vg0/thin0"
    )
    assert noticed(made, POOL) == (said if what else "")


def test_a_pool_that_vanished_tells_nothing_of_how_full_it_is() -> None:
    made = with_pool(lv("root"), volume("root", pool="thin0"))
    assert not made.notices and not made.refusals


@pytest.mark.parametrize(
    ("present", "said"),
    [
        (
            "",
            "is in no thin pool, a.conf:1 says pool = thin0: a volume is never moved, and is used as it is;"
            " write no pool",
        ),
        (
            "thin1",
            "is in the thin pool thin1, a.conf:1 says pool = thin0: a volume is never moved, and is used as it is;"
            " write pool = thin1",
        ),
    ],
)
def test_a_volume_that_is_elsewhere_is_used_as_it_is(present: str, said: str) -> None:
    others = replace(pool(), lv="thin1")
    made = with_pool(thin(), pool(), others, volume("root", pool=present), state=State.RUNNING)
    assert refused(made, ROOT) == said and "start domain/web" in ids(made)
    silent = with_pool(lv("root"), others, volume("root", pool=present), state=State.RUNNING)
    assert not silent.refusals, "only what is declared is compared"


def test_a_pool_is_no_disk() -> None:
    made = with_pool(lv("thin0"), pool(), state=State.RUNNING)
    assert "itself a thin pool; write the name of a volume, and pool = thin0 beside it" in refused(made, "domain/web")


def test_a_thin_volume_is_retired_as_any_other() -> None:
    present = (pool(100.0), volume("root", pool="thin0"))
    made = plan(desired(dom("web", thin(), state=State.ABSENT)), observed(storage=storage(*present)))
    assert ids(made) == (f"retire {ROOT}",)
    trash = volume(trash_name("root", 1), pool="thin0")
    assert "lies in the trash" in refused(with_pool(thin(), pool(), trash), ROOT)


def test_one_of_two_that_name_the_pool_says_it_for_both() -> None:
    iso = lv("iso", GIB, readonly=True)
    made = plan(desired(dom("a", iso), dom("b", replace(iso, pool="thin0"))), observed(storage=storage(pool())))
    assert action(made, "create volume/vg0/iso").pool == "thin0"
