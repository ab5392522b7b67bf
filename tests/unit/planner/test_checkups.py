"""The doctor's checks at their borders: who is meant, from when on, in which order, and all that is to be typed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner import build
from tests.unit.planner.build import GIB, dom, live, lv, observed, storage, volume
from tests.unit.planner.patients import ACCEPT_ALL, IQN, LUN, NOT_THERE, UNITS, UP, disk, only, patient, said, xen
from xenlocal.model.desired import BlockDevice, Disk, LogicalVolume, State
from xenlocal.model.inspection import (
    Code,
    Finding,
    GroupFacts,
    Grub,
    IscsiRecord,
    Pinned,
    Processes,
    Severity,
    Unit,
    Versions,
)
from xenlocal.model.observed import PathFacts, PathKind, Unavailable
from xenlocal.model.storage import Fill, Volume
from xenlocal.model.units import Size
from xenlocal.planner.checkup_storage import ISCSI_UNIT
from xenlocal.planner.checkup_xen import LARGE

TWO_NODES = xen(cpus=4, nodes=2)


def test_a_host_is_large_from_128_gb_on() -> None:
    for total, severity in ((LARGE, Severity.CRITICAL), (Size(LARGE.bytes - 1), Severity.WARNING)):
        (found,) = said(patient(xen=replace(xen(""), total=total)), Code.DOM0_MEM)
        assert found.severity is severity


@pytest.mark.parametrize(
    ("commandline", "grub", "advice"),
    [
        ("dom0_mem=min:2G", Grub("", ""), 'GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=min:2G,max:2G dom0_max_vcpus=4" in'),
        ("dom0_max_vcpus=2", Grub("", ""), 'GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=2G,max:2G" in'),
        ("", None, "add dom0_mem=2G,max:2G dom0_max_vcpus=4 to Xen's command line"),
        ("", Unavailable("no right"), 'GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=2G,max:2G dom0_max_vcpus=4" in'),
        (
            "",  # one of the two is written already
            Grub("dom0_max_vcpus=4", "dom0_max_vcpus=4"),
            'GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=2G,max:2G dom0_max_vcpus=4" in',
        ),
    ],
)
def test_all_that_xen_lacks_and_nothing_that_it_has_is_advised(
    commandline: str, grub: Grub | None | Unavailable, advice: str
) -> None:
    (found,) = said(patient(xen=xen(commandline, 16, 8), grub=grub), Code.DOM0_MEM)
    assert found.next.startswith(advice)


def test_pinnings_are_told_in_the_order_of_names() -> None:
    names = [f"d{number}" for number in range(8)]
    pinned = tuple(Pinned(name, 1, frozenset({3, 9})) for name in reversed(names))
    *beyond, shared = said(patient(pinned=pinned), Code.PINNING)
    assert [each.text.partition(" is to run on CPU 9, and")[0] for each in beyond] == [f"domain/{n}" for n in names]
    assert shared.text == f"domains that are pinned share CPUs: CPU 3 by {', '.join(names)}"
    numa = said(
        patient(pinned=tuple(replace(each, cpus=frozenset({1, 2, 9})) for each in pinned), xen=TWO_NODES), Code.NUMA
    )
    assert [each.text.partition(" is pinned")[0] for each in numa] == names


def test_each_set_of_cpus_that_is_shared_is_told_once_and_those_that_are_off_share_none() -> None:
    pinned = (Pinned("z", 1, frozenset({1, 2})), Pinned("b", 1, frozenset({0, 1})), Pinned("a", 1, frozenset({0, 2})))
    found = only(patient(dom("c", cpus="0-2", state=State.STOPPED), pinned=pinned), Code.PINNING, Severity.WARNING)
    assert found.text == "domains that are pinned share CPUs: CPU 0 by a, b; CPU 1 by b, z; CPU 2 by a, z"
    found = only(patient(dom("c", cpus="3", state=State.MANUAL), dom("d", cpus="3")), Code.PINNING, Severity.WARNING)
    assert "CPU 3 by c, d" in found.text


def test_memory_beyond_a_node_is_told_of_those_that_may_run_and_where_there_are_nodes() -> None:
    big = dom("big", memory=Size.mib(9 << 10), state=State.MANUAL)
    assert said(patient(big, xen=TWO_NODES), Code.NUMA)
    assert not said(patient(replace(big, state=State.STOPPED), xen=TWO_NODES), Code.NUMA)
    assert not said(patient(replace(big, memory=Size.mib(17 << 10)), xen=xen(gib=16)), Code.NUMA)
    exactly = replace(big, memory=Size.mib((8 << 10) - 9))  # with Xen's own share
    assert not said(patient(exactly, xen=TWO_NODES), Code.NUMA)
    uneven = replace(TWO_NODES, nodes={0: Size.mib(10 << 10), 1: Size.mib(6 << 10)})
    assert not said(patient(big, xen=uneven), Code.NUMA)


def test_versions_beside_the_running_one_are_told_in_order() -> None:
    there = ("4.20", "4.19", "4.18", "4.22", "4.21", "4.24", "4.23")
    installed = {f"xen-hypervisor-{series}-amd64": f"{series}.0" for series in there}
    found = said(patient(versions=Versions("4.17.7", {"xen-utils-4.17": "4.17.7", **installed})), Code.VERSIONS)
    assert [each.next for each in found] == [f"`apt install xen-utils-{series}`" for series in sorted(there)]


@pytest.mark.parametrize(
    ("running", "installed", "same"),
    [
        ("4.20.5-pre", 4, True),
        ("4.20.5-pre", 5, True),
        ("4.20.5-rc1", 4, True),
        ("4.20.5", 4, False),
        ("4.20.5", 5, True),
    ],
)
def test_a_version_before_a_release_may_be_called_by_the_last_one(running: str, installed: int, same: bool) -> None:
    there = dict.fromkeys(("xen-utils-4.20", "xen-hypervisor-4.20-amd64"), f"4.20.{installed}+1-1")
    assert (not said(patient(versions=Versions(running, there)), Code.VERSIONS)) == same


MANAGERS = (
    "libvirtd.service libvirtd.socket virtxend.service virtxend.socket libvirt-guests.service ganeti.service"
    " ganeti-noded.service xapi.service xenopsd-xc.service"
)


@pytest.mark.parametrize("unit", MANAGERS.split())
def test_other_managers_of_guests_are_known_by_their_units(unit: str) -> None:
    found = only(patient(units={**UNITS, unit: UP}), Code.TOOLSTACK, Severity.WARNING)
    assert found.text.startswith(f"{unit} may start")


def test_links_and_managers_are_listed() -> None:
    assert (
        "/etc/xen/auto holds a.cfg, b, for" in only(patient(auto=("a.cfg", "b")), Code.AUTO_LINK, Severity.WARNING).text
    )
    units = {**UNITS, "libvirtd.service": replace(UP, enabled=False), "ganeti.service": replace(UP, active=False)}
    found = only(patient(units=units), Code.TOOLSTACK, Severity.WARNING)
    assert found.text.startswith("libvirtd.service, ganeti.service may start")
    working = only(
        patient(processes=Processes("guest", ("xen-create-image", "virt-install"))), Code.TOOLSTACK, Severity.INFO
    )
    assert working.text.startswith("xen-create-image, virt-install makes")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--log=all", "says so already"),
        ("--log=guest", "says so already"),
        ("--log=hv", "XENCONSOLED_ARGS=--log=guest"),
        (Unavailable("no right"), "XENCONSOLED_ARGS=--log=guest"),
    ],
)
def test_what_guests_write_is_logged_by_either_option(option: str | Unavailable, told: str) -> None:
    assert not said(patient(processes=Processes("all"), console_option=option), Code.CONSOLE_LOG)
    case = patient(processes=Processes(""), console_option=option)
    assert told in only(case, Code.CONSOLE_LOG, Severity.WARNING).next


GIVEN = dom("web", Disk("xvda", BlockDevice("/dev/disk/by-id/x"), build.HERE))


@pytest.mark.parametrize(
    ("root", "real", "part"),
    [
        ("/dev/sdb", "/dev/sdb12", True),
        ("/dev/sdb", "/dev/sdbc1", False),
        ("/dev/sdb", "/dev/sdb1x", False),
        ("/dev/nvme0n1", "/dev/nvme0n1p2", True),
        ("/dev/dm-1", "/dev/dm-10", False),  # another device
        ("/dev/dm-1", "/dev/dm-1p", False),
    ],
)
def test_what_is_a_partition_of_a_guests_disk(root: str, real: str, part: bool) -> None:
    seen = observed(paths={"/dev/disk/by-id/x": PathFacts(PathKind.BLOCK, Size(0), root, (8, 16))})
    groups = {"inner": GroupFacts(GIB, {real: disk(real, 99)}), "vg0": GroupFacts(GIB, {})}
    assert bool(said(patient(GIVEN, seen=seen, groups=groups), Code.LVM_FILTER)) == part


def test_groups_of_guests_are_told_in_the_order_of_names_and_by_what_is_attached() -> None:
    vbds = (build.vbd(5, "/dev/sdd", (8, 48)), build.vbd(5, "/dev/sde", (8, 64)))
    groups = {
        "vg2": GroupFacts(GIB, {"/dev/sde": disk("/dev/sde", 64), "/dev/sdd": disk("/dev/sdd", 48)}),
        "vg1": GroupFacts(GIB, {"/dev/sdd1": disk("/dev/sdd", 48)}),
        "vg0": GroupFacts(GIB, {}),
    }
    found = said(patient(seen=observed(live(5, "nas"), vbds=vbds), groups=groups), Code.LVM_FILTER)
    assert [each.text.split(",")[0].removeprefix("the LVM of this host sees volume group ") for each in found] == [
        "vg1 on /dev/sdd1",
        "vg2 on /dev/sdd",
        "vg2 on /dev/sde",
    ]
    assert 'global_filter = [ "r!^/dev/sdd$!" ] in' in found[0].next


def test_what_has_no_number_is_nobodys_disk() -> None:
    nothing = PathFacts(PathKind.OTHER, Size(0), "/dev/odd")
    seen = observed(
        paths={"/dev/disk/by-id/x": replace(nothing, real="/dev/other")}, storage=build.storage(build.volume("db"))
    )
    groups = {"vg1": GroupFacts(GIB, {"/dev/odd": nothing}), "vg0": GroupFacts(GIB, {})}
    assert not said(patient(GIVEN, dom("db", build.lv("db")), seen=seen, groups=groups), Code.LVM_FILTER)


def test_a_filter_keeps_what_it_says_but_for_what_would_accept_all() -> None:
    settings = replace(ACCEPT_ALL, global_filter=("a|.*|", "a!.*!", "a|^/dev/s.*|", "r|.*|", "a|.*|x"))
    seen = observed(live(5, "nas"), vbds=(build.vbd(5, "/dev/sdd", (8, 48)),))
    groups = {"vg1": GroupFacts(GIB, {"/dev/sdd": disk("/dev/sdd", 48)})}
    found, *_ = said(patient(seen=seen, groups=groups, lvm=settings), Code.LVM_FILTER)
    assert 'global_filter = [ "r!^/dev/sdd$!", "a|^/dev/s.*|", "r|.*|", "a|.*|x" ] in' in found.next


def test_groups_that_a_filter_may_hide_are_told_in_order_and_volumes_are_looked_into_only_without_a_list() -> None:
    disks = [Disk("xvda", LogicalVolume(f"vg{number}", "x"), build.HERE) for number in range(8, 0, -1)]
    hiding = replace(ACCEPT_ALL, devicesfile=True, scan_lvs=True)
    found = said(patient(*(dom(f"d{n}", each) for n, each in enumerate(disks)), lvm=hiding, groups={}), Code.LVM_FILTER)
    assert [each.text.split()[2] for each in found] == [f"vg{number}" for number in range(1, 9)]


@pytest.mark.parametrize(
    ("unit", "text", "what"),
    [
        (NOT_THERE, "is not installed", "`apt install open-iscsi`"),
        (replace(UP, enabled=False), "is not enabled", "`systemctl enable open-iscsi`"),
    ],
)
def test_iscsi_that_does_not_come_up(unit: Unit, text: str, what: str) -> None:
    case = patient(
        dom("web", Disk("xvda", BlockDevice(LUN), build.HERE)),
        units={**UNITS, ISCSI_UNIT: unit},
        iscsi=(IscsiRecord(IQN, "p", "automatic"),),
    )
    found = only(case, Code.ISCSI, Severity.CRITICAL)
    assert found.text == f"open-iscsi.service {text}: no iSCSI disk comes back at boot" and found.next == what


def test_each_target_has_records_of_its_own_and_is_told_in_order() -> None:
    targets = [f"{IQN}:{number}" for number in range(8, 0, -1)]
    disks = [Disk("xvda", BlockDevice(LUN.replace(IQN, target)), build.HERE) for target in targets]
    case = patient(
        *(dom(f"d{number}", each) for number, each in enumerate(disks)),
        units={**UNITS, ISCSI_UNIT: UP},
        iscsi=(IscsiRecord(targets[0], "p", "automatic"), IscsiRecord("iqn.2012-10.example:other", "p", "manual")),
    )
    found = said(case, Code.ISCSI)
    assert [each.text.split()[4].rstrip(":") for each in found] == sorted(targets[1:])


def pools(*present: Volume, extends: bool = False) -> list[Finding]:
    used = (lv("a"), lv("missing", vdev="xvdb"), lv("plain", vdev="xvdc"))
    seen = observed(storage=storage(volume("plain"), *present))
    settings = replace(ACCEPT_ALL, extends_pools=extends)
    return said(patient(dom("web", *used), seen=seen, lvm=settings), Code.THIN_POOL)


def a_pool(size: int, data: float, name: str = "thin0") -> Volume:
    return volume(name, Size(size * GIB.bytes), fill=Fill(data, 10.0))


def test_a_thin_pool_that_could_run_full_unseen() -> None:
    inside = (volume("a", Size(6 * GIB.bytes), pool="thin0"), volume("b", Size(5 * GIB.bytes), pool="thin0"))
    [found] = pools(a_pool(10, 50.0), *inside)
    assert (found.severity, found.text) == (
        Severity.WARNING,
        "thin pool vg0/thin0 has 10G, its volumes 11G together, and nothing extends it: once it is full, its guests"
        " cannot write",
    )
    assert found.next == "thin_pool_autoextend_threshold = 80 in /etc/lvm/lvm.conf, section activation; and room in vg0"
    assert not pools(a_pool(10, 50.0), *inside, extends=True) and not pools(a_pool(11, 50.0), *inside)
    assert not pools(a_pool(1, 50.0), volume("b", Size(5 * GIB.bytes), pool="thin0")), "nobody here uses that one"


def test_a_thin_pool_that_is_full_is_critical() -> None:
    [found] = pools(a_pool(10, 99.0), volume("a", pool="thin0"), extends=True)
    assert (found.severity, found.text) == (Severity.CRITICAL, "its thin pool vg0/thin0 is full")
    assert found.next == "for more room type: lvextend --size +10G vg0/thin0"


def test_a_declared_target_needs_no_record_and_only_one_who_logs_in() -> None:
    bay, units = build.bay(), {**UNITS, ISCSI_UNIT: replace(UP, enabled=False)}
    on_it = dom("web", build.lun())
    assert said(patient(on_it, bay, units=units, iscsi=()), Code.ISCSI) == []
    records = tuple(
        IscsiRecord(iqn, "192.0.2.10,3260,1", startup)
        for iqn, startup in (
            (bay.node.iqn, "automatic"),
            (bay.node.iqn, "manual"),
            ("iqn.2012-10.example:x", "automatic"),
        )
    )
    found = only(patient(bay, units=units, iscsi=records), Code.ISCSI, Severity.WARNING)
    assert f"open-iscsi logs in to {bay.node} at boot, and so does xenlocal" in found.text
    assert found.next == f"`iscsiadm -m node -T {bay.node.iqn} -o update -n node.startup -v manual`"
    missing = only(patient(bay, iscsi=()), Code.ISCSI, Severity.CRITICAL)
    assert "is not installed" in missing.text


def test_who_declares_nothing_is_told_how_to() -> None:
    case = patient(dom("web", Disk("xvda", BlockDevice(LUN), build.HERE)), units={**UNITS, ISCSI_UNIT: UP}, iscsi=())
    words = f"declare an [iscsi NAME] with portal = 192.0.2.10:3260 and target = {IQN}; or "
    assert only(case, Code.ISCSI, Severity.WARNING).next.startswith(words)
