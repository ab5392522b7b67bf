"""Several disks on one volume or file, and several volumes in one group or pool: what they ask for together, and what
becomes of a volume that somebody still holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    EXTENT,
    GIB,
    HERE,
    action,
    desired,
    device,
    dom,
    file_facts,
    ids,
    image,
    live,
    lv,
    noticed,
    observed,
    plan,
    refused,
    storage,
    vbd,
    volume,
)
from xenlocal.model.desired import Disk, State
from xenlocal.model.host_actions import CreateVolume, ResizeFile
from xenlocal.model.inspection import GroupFacts
from xenlocal.model.names import trash_name
from xenlocal.model.observed import Unavailable, XenStore
from xenlocal.model.plan import Plan
from xenlocal.model.storage import KEPT_TAG, OUR_TAG, Fill, Storage, Volume, VolumeGroup
from xenlocal.model.units import Size
from xenlocal.planner.capacity import capacity
from xenlocal.planner.owners import hurdles_of_groups

ROOT = "volume/vg0/root"


def pool(name: str = "thin0", data: float = 10.0, **values: object) -> Volume:
    return volume(name, Size(10 * GIB.bytes), tags=frozenset(), fill=Fill(data, 10.0), **values)


def off(*disks: Disk, **tables: object) -> Plan:
    """Each of a domU of its own."""
    return plan(
        desired(*(dom(f"d{number}", disk, state=State.STOPPED) for number, disk in enumerate(disks))),
        observed(**tables),
    )


@pytest.mark.parametrize("pools", [("thin0", None), (None, "thin0"), ("thin0", "thin0")])
def test_a_volume_is_made_in_the_pool_that_any_of_its_disks_names(pools: tuple[str | None, ...]) -> None:
    made = off(*(replace(lv("root", readonly=True), pool=each) for each in pools), storage=storage(pool()))
    assert action(made, f"create {ROOT}") == CreateVolume("vg0", "root", GIB, "here", "thin0")


def test_a_thin_volume_takes_nothing_of_what_the_next_one_needs() -> None:
    thin = replace(lv("a", Size(50 * GIB.bytes)), pool="thin0")
    made = off(thin, lv("b", GIB), storage=storage(pool(), free=GIB))
    assert ids(made) == ("create volume/vg0/a", "create volume/vg0/b")
    made = off(lv("a", GIB), lv("b", GIB), storage=storage(pool(), free=GIB))
    assert refused(made, "volume/vg0/b") == "needs 1G more, and vg0 has 0B free"


def test_pools_that_are_nearly_full_are_told_of_one_by_one() -> None:
    inside = [volume(f"v{number}", pool=f"thin{number}") for number in range(3)]
    pools = [pool(f"thin{number}", 90.0) for number in range(3)]
    made = off(*(lv(each.lv, None) for each in inside), storage=storage(*inside, *pools))
    assert [str(each.target) for each in made.notices] == [f"volume/vg0/thin{number}" for number in range(3)]


# Files.


@pytest.mark.parametrize(
    ("allocate", "full"),
    [((False,), False), ((True,), True), ((False, True), True), ((True, False), True), ((False, False), False)],
)
@pytest.mark.parametrize(
    ("there", "verb"), [(None, "create"), (Size(0), "create"), (Size(1), "grow"), (Size.mib(512), "grow")]
)
def test_a_file_gets_its_whole_size_on_the_disk_where_any_of_its_disks_says_so(
    allocate: tuple[bool, ...], full: bool, there: Size | None, verb: str
) -> None:
    path = "/srv/a.img"
    paths = {} if there is None else {path: file_facts(path, there)}
    made = off(*(replace(image(path, GIB, readonly=True), full=each) for each in allocate), paths=paths)
    assert [each.action for each in made.steps] == [ResizeFile(path, GIB, verb, full)]


# Volumes that are to be retired.

ABSENT = dom("old", lv("root"), state=State.ABSENT)


@pytest.mark.parametrize(
    ("tags", "why", "change"),
    [
        ((), f"it does not carry the tag {OUR_TAG}", f"--addtag {OUR_TAG}"),
        ((KEPT_TAG,), f"it does not carry the tag {OUR_TAG}", f"--addtag {OUR_TAG}"),
        ((OUR_TAG, KEPT_TAG), "it was restored from the trash by hand", f"--deltag {KEPT_TAG}"),
    ],
)
def test_what_is_not_retired_and_what_to_type_to_have_it(tags: tuple[str, ...], why: str, change: str) -> None:
    made = plan(desired(ABSENT), observed(storage=storage(volume("root", tags=frozenset(tags)))))
    assert not made.steps and noticed(made, ROOT) == (
        f"not retired with domain/old ({HERE}): {why}; to have it go to the trash type: lvchange {change} vg0/root"
    )


@pytest.mark.parametrize(
    ("store", "why"),
    [
        (XenStore(()), "something on the dom0 has it open; `lsblk` or `dmsetup ls --tree` tells what"),
        (XenStore((vbd(7, "/dev/vg0/root"),)), "it is held by domain/foreign (domid 7) too"),
        (Unavailable("hangs"), "who uses it could not be found out"),
    ],
)
def test_one_whose_domu_has_gone_and_that_somebody_holds_is_kept(store: XenStore | Unavailable, why: str) -> None:
    seen = observed(live(7, "foreign"), storage=storage(volume("root", opened=True)), xenstore=store)
    made = plan(desired(ABSENT), seen)
    assert not made.steps and refused(made, ROOT) == f"not retired: {why}"


def test_one_that_nobody_holds_goes_and_xenstore_is_not_even_asked() -> None:
    made = plan(desired(ABSENT), replace(observed(storage=storage(volume("root"))), xenstore=Unavailable("hangs")))
    assert ids(made) == (f"retire {ROOT}",) and action(made, ids(made)[0]).trash == trash_name("root", 1_700_000_000.0)


def test_of_several_devices_that_it_may_be_the_first_by_name_is_told() -> None:
    paths = [f"/dev/disk/by-id/x{number}" for number in range(7, -1, -1)]
    users = [dom(f"d{number}", device(path), state=State.STOPPED) for number, path in enumerate(paths)]
    made = plan(desired(ABSENT, *users), observed(storage=storage(volume("root", active=False))))
    assert refused(made, ROOT) == (
        "not retired: it is not active, so it may be what /dev/disk/by-id/x0 is; type: lvchange -ay vg0/root"
    )


# Groups and pools in one order, each by itself.


def test_a_group_is_followed_by_its_own_pools_in_the_order_of_names() -> None:
    groups = {name: VolumeGroup(name, GIB, EXTENT) for name in ("vg1", "vg0")}
    there = [pool(f"thin{number}", vg=vg) for vg in ("vg1", "vg0") for number in range(7, -1, -1)]
    seen = observed(storage=Storage(groups, {(each.vg, each.lv): each for each in there}))
    found = capacity(desired(), seen, {name: GroupFacts(GIB, {}) for name in groups}).groups
    assert not isinstance(found, Unavailable)
    of = [[vg, *(f"{vg}/thin{number}" for number in range(8))] for vg in ("vg0", "vg1")]
    assert [each.name for each in found] == [*of[0], *of[1]]


def test_the_dom0s_that_use_a_group_are_told_in_the_order_of_names() -> None:
    names = [f"dom0{number}" for number in range(8)]
    there = (volume(f"v{name}", tags=frozenset({f"xenlocal.host={name}"})) for name in reversed(names))
    told = hurdles_of_groups(storage(*there))["vg0"]
    assert f"is also in use by the dom0s {', '.join(names)}, as tags" in told
