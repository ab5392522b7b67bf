"""What there is, what is promised, and the largest that still fits: each figure counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    EXTENT,
    GIB,
    HERE,
    desired,
    device,
    dom,
    hardware,
    image,
    live,
    lv,
    observed,
    storage,
    volume,
)
from xenlocal.model.desired import Desired, Disk, LogicalVolume, State
from xenlocal.model.inspection import GroupCapacity, GroupFacts, MemoryCapacity
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.storage import Fill, Storage, VolumeGroup
from xenlocal.model.units import Size
from xenlocal.planner.capacity import capacity
from xenlocal.planner.hurdles import Budget, memory_needed

MIB = 1 << 20
GROUPS = {"vg0": GroupFacts(Size(200 * GIB.bytes), {})}


def memory(want: Desired, seen: Observed) -> MemoryCapacity:
    found = capacity(want, seen, GROUPS).memory
    assert isinstance(found, MemoryCapacity)
    return found


def group(want: Desired, seen: Observed) -> GroupCapacity:
    found = capacity(want, seen, GROUPS).groups
    assert not isinstance(found, Unavailable)
    (only,) = found
    return only


HOST = desired(
    dom("run", vcpus=2), dom("off"), dom("hand", state=State.MANUAL), dom("never", state=State.STOPPED),
    dom("gone", state=State.ABSENT),
)  # fmt: skip


def test_memory() -> None:
    seen = observed(live(1, "run"), live(2, "hand"), live(3, "foreign"), hardware=hardware(Size.mib(5000)))
    found = memory(HOST, seen)
    assert found.total == Size.mib(128 * 1024) and found.free == Size.mib(5000)
    assert found.used == Size.mib(128 * 1024 - 5000)
    assert found.promised == Size.mib(1024 + 8 + 2 + 1024 + 8 + 1) and found.promised_manual == Size.mib(1033)
    # the two that no boot starts give their memory back, and the one that is off takes its own
    assert found.free_after_boot == Size.mib(5000 + 3 * 1024 - 1034 - 1033)
    assert found.missing == Size(0) and not found.autoballoon
    assert found.largest == Size.mib(5000 - 256 - 9)  # now, which is less than after the boot


def test_the_largest_is_what_a_start_would_take_to_the_last_mib() -> None:
    seen = observed(hardware=hardware(Size.mib(8000)))
    found = memory(HOST, seen)
    assert found.largest == Size.mib(8000 - 2067 - 256 - 9)
    budget = replace(Budget.of(HOST), taken=found.promised.bytes)
    assert budget.take(memory_needed(dom("new", memory=Size(found.largest.bytes + MIB))), found.free) is not None
    assert budget.take(memory_needed(dom("new", memory=found.largest)), found.free) is None


def test_memory_that_does_not_suffice() -> None:
    found = memory(HOST, observed(hardware=hardware(Size.mib(2200))))
    assert found.missing == Size.mib(2067 + 256 - 2200) and found.largest == Size(0)
    assert found.free_after_boot == Size.mib(2200 - 2067)
    found = memory(HOST, observed(hardware=hardware(Size.mib(1000))))
    assert found.free_after_boot == Size(0) and found.missing == Size.mib(2067 + 256 - 1000)


def test_a_dom0_that_gives_way() -> None:
    found = memory(HOST, observed(hardware=hardware(Size.mib(10), autoballoon=True)))
    assert found.autoballoon and found.free == Size.mib(10)
    assert found.free_after_boot == Size.mib(128 * 1024 - 512 - 2067)
    assert found.largest == Size.mib(128 * 1024 - 512 - 2067 - 256 - 9)


def test_a_volume_group() -> None:
    want = desired(
        dom("run", lv("a", GIB), lv("b", Size(2 * GIB.bytes), "xvdb")),  # is there; is to grow
        dom("hand", lv("c", Size(GIB.bytes + 1)), state=State.MANUAL),  # is to be made, in whole extents
        dom("never", lv("d", GIB), state=State.STOPPED),  # has its volume, too
        dom("gone", lv("e", GIB), state=State.ABSENT),
        dom("as-it-is", lv("f", None)),
        dom("reader", lv("shared", GIB, readonly=True)),
        dom("other", lv("shared", GIB, readonly=True), state=State.MANUAL),  # one volume for two
    )
    seen = observed(
        storage=storage(
            volume("a"), volume("b"), volume("f", Size(3 * GIB.bytes)), volume("x"), free=Size(50 * GIB.bytes)
        )
    )
    found = group(want, seen)
    assert (found.name, found.total, found.free) == ("vg0", Size(200 * GIB.bytes), Size(50 * GIB.bytes))
    assert found.used == Size(150 * GIB.bytes)
    assert found.promised == Size((1 + 2 + 3 + 1) * GIB.bytes)
    assert found.promised_manual == Size((1 + 1) * GIB.bytes + 4 * MIB)
    made = GIB.bytes + GIB.bytes + 4 * MIB + GIB.bytes + GIB.bytes  # b grows; c, d and shared are made
    assert found.free_after_boot == found.largest == Size(50 * GIB.bytes - made)


def test_a_thin_pool_has_a_line_of_its_own_and_its_volumes_take_nothing_of_the_group() -> None:
    thin = [
        replace(lv(name, size, f"xvd{name}"), pool="thin0") for name, size in (("c", GIB), ("d", Size(3 * GIB.bytes)))
    ]
    want = desired(
        dom("run", *thin, lv("plain", GIB, "xvdz")),  # c is there; d is to be made
        dom("hand", lv("e", Size(2 * GIB.bytes)), state=State.MANUAL),  # is there, and is to grow
        dom("other", replace(lv("f", GIB), pool="thin1"), state=State.STOPPED),  # of a pool that is not there
    )
    pool = volume("thin0", Size(20 * GIB.bytes), fill=Fill(25.0, 10.0))
    inside = (volume("c", pool="thin0"), volume("e", pool="thin0"), volume("x", Size(5 * GIB.bytes), pool="thin0"))
    seen = observed(storage=storage(pool, *inside, free=Size(50 * GIB.bytes)))
    found = capacity(want, seen, GROUPS).groups
    assert not isinstance(found, Unavailable) and [each.name for each in found] == ["vg0", "vg0/thin0"]
    of_group, of_pool = found
    assert of_group.free_after_boot == Size(49 * GIB.bytes) and of_group.promised == GIB
    assert (of_pool.total, of_pool.used, of_pool.free) == tuple(Size(each * GIB.bytes) for each in (20, 5, 15))
    assert (of_pool.promised, of_pool.promised_manual) == (Size(4 * GIB.bytes), Size(2 * GIB.bytes))
    assert of_pool.free_after_boot == of_pool.largest == Size((20 - 1 - 1 - 5 - 3 - 1) * GIB.bytes)
    unknown = replace(pool, fill=Fill(None, None))
    found = capacity(want, observed(storage=storage(unknown, *inside)), GROUPS).groups
    assert not isinstance(found, Unavailable) and found[1].used == Size(0)


def test_a_thin_pool_that_is_promised_more_than_it_has_has_nothing_left() -> None:
    pool, inside = volume("thin0", GIB, fill=Fill(25.0, 10.0)), volume("c", Size(5 * GIB.bytes), pool="thin0")
    found = capacity(desired(), observed(storage=storage(pool, inside)), GROUPS).groups
    assert not isinstance(found, Unavailable) and found[1].free_after_boot == found[1].largest == Size(0)


def test_a_volume_group_that_does_not_suffice() -> None:
    found = group(desired(dom("run", lv("a", Size(60 * GIB.bytes)))), observed(storage=storage(free=GIB)))
    assert found.free_after_boot == found.largest == Size(0)


def test_the_largest_disk_is_of_whole_extents() -> None:
    found = group(desired(), observed(storage=storage(free=Size(GIB.bytes + 5))))
    assert found.free_after_boot == Size(GIB.bytes + 5) and found.largest == GIB


def test_each_group_is_counted_by_itself_and_told_in_the_order_of_names() -> None:
    names = [f"vg{number}" for number in range(8)]
    groups = {name: VolumeGroup(name, Size(50 * GIB.bytes), EXTENT) for name in reversed(names)}
    here, there = (
        Disk("xvda", LogicalVolume("vg1", "a"), HERE, GIB),
        Disk("xvdb", LogicalVolume("vg2", "a"), HERE, None),
    )
    want = desired(dom("web", here, there, device("/dev/sdb", "xvdc"), image("/srv/a", GIB, "xvdd")))
    seen = observed(storage=Storage(groups, {("vg2", "a"): volume("a", Size(3 * GIB.bytes), vg="vg2")}))
    found = capacity(want, seen, {name: GroupFacts(Size(60 * GIB.bytes), {}) for name in names}).groups
    assert not isinstance(found, Unavailable) and [each.name for each in found] == names
    assert [each.promised.bytes // GIB.bytes for each in found] == [0, 1, 3, 0, 0, 0, 0, 0]
    assert [each.free_after_boot.bytes // GIB.bytes for each in found] == [50, 49, 50, 50, 50, 50, 50, 50]
    unseen = capacity(want, seen, {}).groups
    assert isinstance(unseen, Unavailable) and unseen.why.startswith("volume group vg0 came")


def test_a_volume_of_no_declared_size_takes_nothing_before_it_is_there() -> None:
    found = group(desired(dom("web", lv("a", None))), observed(storage=storage(free=GIB)))
    assert found.free_after_boot == GIB and found.promised == Size(0)


@pytest.mark.parametrize("table", ["domains", "hardware", "storage"])
def test_what_is_not_known_is_said(table: str) -> None:
    found = capacity(HOST, replace(observed(), **{table: Unavailable("no answer")}), GROUPS)
    unknown = found.groups if table == "storage" else found.memory
    assert unknown == Unavailable("no answer")
    assert isinstance(found.memory if table == "storage" else found.groups, MemoryCapacity | tuple)


def test_groups_whose_size_is_not_known() -> None:
    assert capacity(HOST, observed(), Unavailable("no answer")).groups == Unavailable("no answer")
    assert isinstance(capacity(HOST, observed(), {}).groups, Unavailable)
