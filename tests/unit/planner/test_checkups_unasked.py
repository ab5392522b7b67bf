"""What the doctor does not say: what matters to no guest is not called unknown, and nothing is said twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner import build
from tests.unit.planner.build import GIB, dom, live, lv, observed, storage, volume
from tests.unit.planner.patients import ACCEPT_ALL, UNITS, UP, disk, patient, said, xen
from xenlocal.model.desired import Domain, GuestType
from xenlocal.model.inspection import Code, GroupFacts, IscsiRecord, Pinned, Severity
from xenlocal.model.observed import Unavailable
from xenlocal.model.storage import Fill, Volume
from xenlocal.model.units import Size
from xenlocal.planner.checkup_guests import LIMIT
from xenlocal.planner.checkup_storage import ISCSI_UNIT

HANGS = Unavailable("hangs")
BLIND = replace(observed(), hardware=HANGS, xenstore=HANGS)
ON_PYGRUB = dom("web", lv("web"), bootloader="pygrub")


@pytest.mark.parametrize(
    ("code", "domain", "needs"),
    [
        (Code.GUEST_TYPE, dom("web"), False),
        (Code.GUEST_TYPE, dom("web", type=GuestType.PVH), True),
        (Code.PCI, dom("web"), False),
        (Code.PCI, dom("web", pci=("0000:03:00.0",)), True),
        (Code.IOMMU, dom("web"), False),
        (Code.IOMMU, dom("web", pci=("0000:03:00.0",)), True),
        (Code.KERNEL_MEMORY, ON_PYGRUB, False),
        (Code.KERNEL_MEMORY, dom("web", kernel="/k", type=GuestType.PVH), False),
        (Code.KERNEL_MEMORY, dom("web", kernel="/k"), True),
        (Code.USB, dom("web"), False),
        (Code.USB, dom("web", type=GuestType.HVM, usb=("0529:0001",)), True),
    ],
)
def test_what_no_guest_of_this_host_needs_is_not_called_unknown(code: Code, domain: Domain, needs: bool) -> None:
    found = said(patient(domain, seen=BLIND, kernels=HANGS, usb=HANGS), code)
    assert [each.severity for each in found] == ([Severity.UNKNOWN] if needs else [])


@pytest.mark.parametrize(
    ("switch", "is_off"),
    [("0", True), ("n", True), ("no", True), ("off", True), ("1", False), ("y", False), ("on", False), ("", False)],
)
def test_the_limit_of_a_kernel_can_be_switched_off(switch: str, is_off: bool) -> None:
    big = dom("big", kernel="/k", memory=Size(513 << 30), cmdline=f"quiet xen_512gb_limit={switch} ro")
    assert bool(said(patient(big, kernels={"/k": LIMIT}), Code.KERNEL_MEMORY)) is not is_off


# LVM.


@pytest.mark.parametrize("real", ["/dev/sdb", "/dev/sdbc", "/dev/7"])
def test_a_disk_that_is_no_part_of_a_guests_is_not_told_of(real: str) -> None:
    given = dom("web", build.device("/dev/disk/by-id/x"))
    seen = observed(paths={"/dev/disk/by-id/x": disk("/dev/sdz", 16)})
    groups = {"inner": GroupFacts(GIB, {real: disk(real, 99)})}
    assert not said(patient(given, seen=seen, groups=groups), Code.LVM_FILTER)


def test_a_group_on_a_volume_of_a_guest_is_told_with_the_volumes_own_path() -> None:
    seen = observed(storage=storage(volume("web", device=(253, 3))))
    inner = replace(disk("/dev/dm-3", 3), device=(253, 3))
    groups = {"inner": GroupFacts(GIB, {"/dev/vg0/web": inner}), "vg0": GroupFacts(GIB, {})}
    (found,) = said(patient(dom("web", lv("web")), seen=seen, groups=groups), Code.LVM_FILTER)
    assert "sees volume group inner on /dev/vg0/web, on a disk of domain/web: " in found.text
    assert 'global_filter = [ "r!^/dev/vg0/web$!" ]' in found.next
    odd = replace(inner, device=None)
    idle = observed(storage=storage(volume("web", active=False)))
    groups = {"inner": GroupFacts(GIB, {"/dev/odd": odd}), "vg0": GroupFacts(GIB, {})}
    assert not said(patient(dom("web", lv("web")), seen=idle, groups=groups), Code.LVM_FILTER)


def pool(name: str, data: float) -> Volume:
    return volume(name, GIB, fill=Fill(data, 10.0))


def test_of_a_pool_that_is_full_it_is_not_said_that_it_may_become_so() -> None:
    big = volume("a", Size(5 * GIB.bytes), pool="thin0")
    (found,) = said(patient(dom("a", lv("a")), seen=observed(storage=storage(big, pool("thin0", 99)))), Code.THIN_POOL)
    assert found.severity is Severity.CRITICAL
    (found,) = said(patient(dom("a", lv("a")), seen=observed(storage=storage(big))), Code.THIN_POOL)
    assert found.text == "there is no thin pool vg0/thin0, and xenlocal makes none"
    assert found.next == "type, with the size it is to have: lvcreate --type thin-pool --size 100G --name thin0 vg0"


def test_pools_are_told_in_the_order_of_names() -> None:
    numbers = range(8)
    there = [volume(f"v{number}", pool=f"thin{number}") for number in numbers]
    disks = [lv(each.lv, vdev=f"xvd{letter}") for each, letter in zip(there, "hgfedcba", strict=True)]
    seen = observed(storage=storage(*there, *(pool(f"thin{number}", 99) for number in numbers)))
    found = said(patient(dom("web", *disks), seen=seen), Code.THIN_POOL)
    assert [each.text for each in found] == [f"its thin pool vg0/thin{number} is full" for number in numbers]


# iSCSI, and CPUs.


@pytest.mark.parametrize(("startup", "told"), [("automatic", 1), ("manual", 0), ("onboot", 0)])
def test_only_a_target_that_is_logged_in_to_twice_is_told_of(startup: str, told: int) -> None:
    bay = build.bay()
    record = IscsiRecord(bay.node.iqn, "192.0.2.10,3260,1", startup)
    found = said(patient(bay, units={**UNITS, ISCSI_UNIT: UP}, iscsi=(record,), lvm=ACCEPT_ALL), Code.ISCSI)
    assert len(found) == told


def test_cpus_that_are_shared_are_told_in_their_order() -> None:
    pinned = [Pinned(name, 1, frozenset(cpus)) for name, cpus in (("a", {2, 10}), ("b", {2}), ("c", {10}))]
    case = patient(pinned=tuple(pinned), xen=xen(cpus=12))
    (found,) = said(case, Code.PINNING)
    assert found.text == "domains that are pinned share CPUs: CPU 2 by a, b; CPU 10 by a, c"
    assert not said(patient(seen=observed(live(1, "a"))), Code.PINNING)
