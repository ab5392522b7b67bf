"""Each check of the doctor: what it says, how bad it is, what to type; and that unknown is never fine."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tests.unit.planner import build
from tests.unit.planner.build import GIB, dom, hardware, live, observed
from tests.unit.planner.patients import (
    ACCEPT_ALL,
    IQN,
    LUN,
    NEUTRALISED,
    NOT_THERE,
    UNITS,
    UP,
    disk,
    facts,
    only,
    patient,
    said,
    xen,
)
from xenlocal.model.conffiles import Problem
from xenlocal.model.desired import BlockDevice, Disk, State
from xenlocal.model.inspection import (
    BootMenu,
    Clock,
    Code,
    Facts,
    GroupFacts,
    Grub,
    IscsiRecord,
    LvmSettings,
    Pinned,
    Processes,
    Severity,
    Unit,
    Versions,
)
from xenlocal.model.observed import PathFacts, PathKind, Table, Unavailable
from xenlocal.model.units import Size
from xenlocal.planner.checkup_host import DAEMON, GUESTS, XENDOMAINS
from xenlocal.planner.checkup_storage import ISCSI_UNIT
from xenlocal.planner.doctor import CHECKS, diagnose


def test_a_host_that_is_well_is_told_so_of_each_code() -> None:
    findings = diagnose(patient(dom("web", cpus="1-2"), dom("db", cpus="3")))
    assert [(each.code, each.severity, each.next) for each in findings] == [(code, Severity.OK, "") for code in Code]
    assert list(CHECKS) == list(Code)


@pytest.mark.parametrize("fact", [field.name for field in fields(Facts)])
def test_a_fact_that_could_not_be_had_is_unknown_and_never_fine(fact: str) -> None:
    case = patient(
        dom("web", Disk("xvda", BlockDevice(LUN), build.HERE), bootloader="pygrub", usb=("1d6b:0002",)),
        dom("db", kernel="/k"),
    )
    paths = {"/k": PathFacts(PathKind.FILE, GIB, "/k")}
    case = replace(case, observed=observed(paths=paths))
    iscsi = {**UNITS, ISCSI_UNIT: UP}
    records = (IscsiRecord(IQN, "192.0.2.10,3260,1", "automatic"),)
    well = replace(case, facts=facts(units=iscsi, iscsi=records, menus={LUN: BootMenu("ro")}))
    assert {each.severity for each in diagnose(well) if each.code is not Code.BOOT_MENU} == {Severity.OK}
    ill = replace(well, facts=replace(well.facts, **{fact: Unavailable("its tool is broken")}))
    changed = [one for one, other in zip(diagnose(ill), diagnose(well), strict=True) if one != other]
    if fact in ("grub", "console_option"):  # they only make advice more exact
        assert not changed
        return
    assert changed and {each.severity for each in changed} == {Severity.UNKNOWN}
    assert all("could not be found out: its tool is broken" in each.text and each.next for each in changed)


@pytest.mark.parametrize("table", [Table.DOMAINS, Table.STORAGE, Table.PATHS, Table.XENSTORE, Table.HARDWARE])
def test_a_table_that_could_not_be_had_is_unknown(table: Table) -> None:
    seen = replace(observed(), **{str(table): Unavailable("no answer")})
    unknown = {each.code for each in diagnose(patient(seen=seen)) if each.severity is Severity.UNKNOWN}
    assert unknown == {
        Table.DOMAINS: {Code.MEMORY, Code.GUEST_CLOCK, Code.LVM_FILTER},
        Table.HARDWARE: {Code.MEMORY, Code.AUTOBALLOON},
        Table.STORAGE: {Code.LVM_FILTER, Code.THIN_POOL},
    }.get(table, {Code.LVM_FILTER})


def test_files_that_are_not_valid() -> None:
    problem = Problem("web.conf", 7, "domain web", "memory", "has no unit")
    case = replace(patient(), problems=(problem,), instead="the LAST GOOD configuration is in force")
    found = only(case, Code.CONFIG, Severity.WARNING)
    assert "web.conf:7: domain web: has no unit" in found.text and "LAST GOOD" in found.text


@pytest.mark.parametrize(
    ("gib", "severity", "size"),
    [
        (4, Severity.WARNING, "1G"),
        (8, Severity.WARNING, "2G"),
        (31, Severity.WARNING, "2G"),
        (32, Severity.WARNING, "4G"),
        (64, Severity.WARNING, "4G"),
        (119, Severity.WARNING, "4G"),
        (120, Severity.CRITICAL, "8G"),  # 128 GB
        (1024, Severity.CRITICAL, "8G"),
    ],
)
def test_xen_without_dom0_mem(gib: int, severity: Severity, size: str) -> None:
    found = only(patient(xen=xen("placeholder", gib), seen=observed()), Code.DOM0_MEM, severity)
    assert found.next.startswith(f'GRUB_CMDLINE_XEN_DEFAULT="quiet dom0_mem={size},max:{size}" in /etc/default/grub')


def test_both_options_are_in_one_line_that_keeps_what_is_there() -> None:
    found = diagnose(
        patient(xen=xen("x", 256, 64), grub=Grub("com1=115200 dom0_mem=2G loglvl=all", "dom0_mem=2G loglvl=all"))
    )
    lines = {each.next for each in found if each.severity is Severity.CRITICAL}
    assert {each.code for each in found if each.severity is Severity.CRITICAL} == {Code.DOM0_MEM, Code.DOM0_VCPUS}
    assert lines == {
        'GRUB_CMDLINE_XEN_DEFAULT="loglvl=all dom0_mem=8G,max:8G dom0_max_vcpus=8" in /etc/default/grub, `update-grub`,'
        " and a reboot"
    }


def test_a_dom0_with_a_vcpu_on_every_cpu() -> None:
    found = only(patient(xen=xen(cpus=5)), Code.DOM0_VCPUS, Severity.WARNING)
    assert 'quiet dom0_max_vcpus=4"' in found.next
    assert "dom0_max_vcpus=4" in said(patient(xen=xen(cpus=31)), Code.DOM0_VCPUS)[0].next
    assert "dom0_max_vcpus=8" in said(patient(xen=xen(cpus=32)), Code.DOM0_VCPUS)[0].next
    assert not said(patient(xen=xen("dom0_mem=1G,max:1G dom0_max_vcpus=2", cpus=64)), Code.DOM0_VCPUS)


def test_dom0_mem_without_max() -> None:
    found = only(patient(xen=xen("dom0_mem=4G")), Code.DOM0_MEM, Severity.WARNING)
    assert 'quiet dom0_mem=4G,max:4G"' in found.next
    assert not said(patient(xen=xen("dom0_mem=max:4G")), Code.DOM0_MEM)


def test_what_is_written_already_waits_for_a_reboot_only() -> None:
    written = Grub("dom0_mem=2G,max:2G", "")
    found = only(patient(xen=xen("", 8), grub=written), Code.DOM0_MEM, Severity.WARNING)
    assert found.next == "/etc/default/grub has it already: `update-grub`, and a reboot"


def test_a_host_without_grub_and_one_whose_grub_is_not_known() -> None:
    assert (
        "where this host boots it from" in only(patient(xen=xen(""), grub=None), Code.DOM0_MEM, Severity.WARNING).next
    )
    unread = only(patient(xen=xen(""), grub=Unavailable("no right")), Code.DOM0_MEM, Severity.WARNING)
    assert "is to stay (no right)" in unread.next


def test_autoballoon() -> None:
    seen = observed(hardware=hardware(autoballoon=True))
    found = only(patient(seen=seen), Code.AUTOBALLOON, Severity.WARNING)
    assert found.next == 'autoballoon="off" in /etc/xen/xl.conf'
    (found,) = said(patient(seen=seen, xen=xen("")), Code.AUTOBALLOON)
    assert "dom0_mem=2G,max:2G" in found.next


def test_a_dom0_that_swaps() -> None:
    assert not said(patient(swapped=Size.mib(63)), Code.DOM0_SWAP)
    assert "64M" in only(patient(swapped=Size.mib(64)), Code.DOM0_SWAP, Severity.WARNING).text


def test_more_than_the_memory_there_is() -> None:
    case = patient(dom("a"), dom("b"), dom("c", state=State.MANUAL), seen=observed(hardware=hardware(Size.mib(2400))))
    assert not said(case, Code.MEMORY)
    case = patient(dom("a"), dom("b"), seen=observed(hardware=hardware(Size.mib(2048))))
    assert "need 2066M of memory together, and 1792M are there" in only(case, Code.MEMORY, Severity.CRITICAL).text


def test_domains_that_are_pinned_to_the_same_cpus() -> None:
    pinned = (Pinned("Domain-0", 2, frozenset({0, 1})), Pinned("web", 2, frozenset({1, 2, 3})))
    case = patient(
        dom("web", cpus="9"), dom("db", cpus="all,^0,^1"), dom("off", cpus="0", state=State.STOPPED), pinned=pinned
    )
    found = only(case, Code.PINNING, Severity.WARNING)
    assert "CPU 1 by Domain-0, web; CPU 2-3 by db, web" in found.text


def test_one_that_may_use_every_cpu_is_not_pinned() -> None:
    assert not said(patient(dom("web", cpus="all"), dom("nas", cpus="0-3"), dom("db", cpus="3")), Code.PINNING)


def test_a_cpu_that_this_host_has_not() -> None:
    found = only(patient(dom("web", cpus="2-5")), Code.PINNING, Severity.WARNING)
    assert "domain/web is to run on CPU 4-5, and this host has 0-3" in found.text


def test_numa() -> None:
    two = xen(cpus=4, nodes=2)
    assert not said(patient(dom("web", cpus="0-1"), xen=two), Code.NUMA)
    assert "2 NUMA nodes" in only(patient(dom("web", cpus="1-2"), xen=two), Code.NUMA, Severity.WARNING).text
    case = patient(dom("big", memory=Size.mib(9 << 10)), xen=two)
    assert "domain/big needs more memory than a NUMA node has (8G)" in only(case, Code.NUMA, Severity.INFO).text


@pytest.mark.parametrize(
    ("running", "installed", "severity", "text"),
    [
        ("4.17.7", {"xen-utils-4.20": "4.20.1"}, Severity.CRITICAL, "its tools are not installed: xl ends with 127"),
        (
            "4.17.7",
            {"xen-utils-4.17": "4.17.7", "xen-hypervisor-4.20-amd64": "4.20.1"},
            Severity.CRITICAL,
            "is installed without xen-utils-4.20",
        ),
        (
            "4.17.7",
            {"xen-utils-4.17": "4.17.7", "xen-hypervisor-4.20-amd64": "4.20.1", "xen-utils-4.20": "4.20.1"},
            Severity.INFO,
            "Xen 4.20 is installed beside the running 4.17",
        ),
        (
            "4.17.5",
            {"xen-utils-4.17": "4.17.7", "xen-hypervisor-4.17-amd64": "4.17.7+13-1"},
            Severity.WARNING,
            "4.17.7 is installed: it was upgraded since the boot",
        ),
        ("unstable", {}, Severity.UNKNOWN, "cannot understand"),
    ],
)
def test_versions(running: str, installed: dict[str, str], severity: Severity, text: str) -> None:
    assert text in only(patient(versions=Versions(running, installed)), Code.VERSIONS, severity).text


def test_a_version_between_two_releases() -> None:
    installed = {"xen-utils-4.20": "4.20.4+65-1", "xen-hypervisor-4.20-amd64": "4.20.4+65-1"}
    assert not said(patient(versions=Versions("4.20.5-pre", installed)), Code.VERSIONS)
    assert said(patient(versions=Versions("4.20.3-pre", installed)), Code.VERSIONS)


def test_a_saved_state() -> None:
    case = patient(dom("web"), saved=("old", "web"))
    mine, other = said(case, Code.SAVE_IMAGE)
    assert (mine.severity, other.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert "rm /var/lib/xen/save/web" in other.next and "domain/web" in other.text


def test_what_is_left_for_xendomains() -> None:
    found = only(patient(auto=("a.cfg", "b")), Code.AUTO_LINK, Severity.WARNING)
    assert "rm /etc/xen/auto/a.cfg /etc/xen/auto/b" in found.next


@pytest.mark.parametrize(
    ("unit", "what"),
    [
        (replace(NEUTRALISED, drop_ins=()), "reinstall"),
        (replace(NEUTRALISED, stops=True, stale=True), "daemon-reload"),
        (replace(NEUTRALISED, drop_ins=(), enabled=False, active=True), "reinstall"),
        (NOT_THERE, ""),
        (replace(NEUTRALISED, drop_ins=(), enabled=False), ""),
    ],
)
def test_xendomains(unit: Unit, what: str) -> None:
    case = patient(units={**UNITS, XENDOMAINS: unit})
    assert not said(case, Code.XENDOMAINS) if not what else what in only(case, Code.XENDOMAINS, Severity.CRITICAL).next


@pytest.mark.parametrize(
    ("unit", "text", "what"),
    [
        (NOT_THERE, "not installed", "reinstall"),
        (replace(NOT_THERE, masked=True), "masked", "unmask"),
        (replace(UP, enabled=False), "not enabled", "systemctl enable"),
        (replace(UP, active=False), "not active", "systemctl start"),
        (replace(UP, stale=True), "have changed", "daemon-reload"),
    ],
)
def test_our_own_units(unit: Unit, text: str, what: str) -> None:
    found = only(patient(units={**UNITS, DAEMON: unit}), Code.UNITS, Severity.WARNING)
    assert text in found.text and what in found.next
    (found,) = said(patient(units={**UNITS, GUESTS: unit}), Code.UNITS)
    assert (found.severity is Severity.CRITICAL) == (not unit.stale)


def test_others_that_manage_guests() -> None:
    units = {**UNITS, "libvirtd.service": UP, "ganeti.service": replace(UP, active=False)}
    found = only(patient(units=units), Code.TOOLSTACK, Severity.WARNING)
    assert found.next == "`systemctl disable --now libvirtd.service ganeti.service`"
    case = patient(processes=Processes("guest", ("xen-create-image",)))
    assert "xen-create-image" in only(case, Code.TOOLSTACK, Severity.INFO).text


def test_needrestart() -> None:
    assert "force-confmiss" in only(patient(needrestart=False), Code.NEEDRESTART, Severity.WARNING).next
    assert not said(patient(needrestart=None), Code.NEEDRESTART)


@pytest.mark.parametrize(
    ("service", "enabled", "what"), [(False, False, "apt"), (True, False, "set-ntp"), (True, True, "timesync-status")]
)
def test_the_clock(service: bool, enabled: bool, what: str) -> None:
    assert what in only(patient(clock=Clock(False, service, enabled)), Code.CLOCK, Severity.WARNING).next


def test_the_clocks_of_guests_are_said_to_be_unknown() -> None:
    seen = observed(live(1, "web"), live(2, "db"), live(3, "old", "shutdown"))
    found = only(patient(seen=seen), Code.GUEST_CLOCK, Severity.INFO)
    assert found.text.startswith("unknown from here") and "the 2 guests" in found.text


@pytest.mark.parametrize(
    ("logging", "option", "text"),
    [
        ("", "", "XENCONSOLED_ARGS=--log=guest in /etc/default/xen"),
        ("hv", "--log=guest", "says so already"),
        (None, "--log=guest", "systemctl status xen"),
    ],
)
def test_consoles_that_are_not_logged(logging: str | None, option: str, text: str) -> None:
    case = patient(processes=Processes(logging), console_option=option)
    assert text in only(case, Code.CONSOLE_LOG, Severity.WARNING).next


LUN_FACTS = PathFacts(PathKind.BLOCK, Size(0), "/dev/sdb", (8, 16))
GIVEN = dom("web", Disk("xvda", BlockDevice("/dev/disk/by-id/x.y"), build.HERE))
IN_A_FILE = dom("nas", build.image("/srv/nas.img"))  # the device that stands for it is known once it is attached
ON_A_VOLUME = dom("db", build.lv("db"))


@pytest.mark.parametrize(
    ("name", "facts_of_it", "who", "pattern"),
    [
        ("/dev/sdb", disk("/dev/sdb", 16), "domain/web", r"r!^/dev/disk/by-id/x\.y(-part|p)?[0-9]*$!"),
        ("/dev/sdb1", disk("/dev/sdb1", 17), "domain/web", r"r!^/dev/disk/by-id/x\.y(-part|p)?[0-9]*$!"),
        ("/dev/vg0/db", PathFacts(PathKind.BLOCK, Size(0), "/dev/dm-4", (253, 4)), "domain/db", "r!^/dev/vg0/db$!"),
        ("/dev/loop3", PathFacts(PathKind.BLOCK, Size(0), "/dev/loop3", (7, 3)), "domain/nas", "r!^/dev/loop!"),
        ("/dev/loop4", PathFacts(PathKind.BLOCK, Size(0), "/dev/loop4", (7, 4)), "domain/domid 9", "r!^/dev/loop!"),
    ],
)
def test_a_volume_group_of_a_guest_is_seen(name: str, facts_of_it: PathFacts, who: str, pattern: str) -> None:
    seen = observed(
        live(5, "nas"),
        paths={"/dev/disk/by-id/x.y": LUN_FACTS},
        storage=build.storage(build.volume("db", device=(253, 4))),
        vbds=(build.vbd(5, "/srv/nas.img", (7, 3)), build.vbd(9, "/srv/gone", (7, 4)), build.vbd(5, "/srv/x")),
    )
    groups = {
        "inner": GroupFacts(GIB, {name: facts_of_it}),
        "vg0": GroupFacts(GIB, {"/dev/sda3": disk("/dev/sda3", 3)}),
    }
    (found,) = said(patient(GIVEN, IN_A_FILE, ON_A_VOLUME, seen=seen, groups=groups), Code.LVM_FILTER)
    assert found.severity is Severity.CRITICAL and f"group inner on {name}, on a disk of {who}" in found.text
    assert found.next.startswith(f'`vgchange -an inner`; global_filter = [ "{pattern}" ] in /etc/lvm/lvm.conf')


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            replace(ACCEPT_ALL, global_filter=("a|^/dev/sda|", "r|.*|")),
            "global_filter = [ a|^/dev/sda|, r|.*| ] may hide",
        ),
        (replace(ACCEPT_ALL, filter=("r|.*|",)), "filter = [ r|.*| ] may hide it"),
        (replace(ACCEPT_ALL, devicesfile=True), "use_devicesfile = 1 may hide it"),
    ],
)
def test_a_filter_that_may_hide_a_group_of_the_files(settings: LvmSettings, text: str) -> None:
    assert not said(patient(ON_A_VOLUME, lvm=settings), Code.LVM_FILTER)
    found = only(patient(ON_A_VOLUME, lvm=settings, groups={}), Code.LVM_FILTER, Severity.WARNING)
    assert text in found.text and "volume group vg0" in found.text
    assert not said(patient(ON_A_VOLUME, groups={}), Code.LVM_FILTER)


def test_lvm_that_looks_into_the_volumes() -> None:
    case = patient(lvm=replace(ACCEPT_ALL, scan_lvs=True))
    assert "scan_lvs = 0" in only(case, Code.LVM_FILTER, Severity.WARNING).next


ON_ISCSI = dom("web", Disk("xvda", BlockDevice(LUN), build.HERE))


@pytest.mark.parametrize(
    ("unit", "records", "severity", "what"),
    [
        (UP, (), Severity.WARNING, "`iscsiadm -m discovery -t sendtargets -p 192.0.2.10:3260`"),
        (UP, (IscsiRecord(IQN, "p", "manual"),), Severity.WARNING, "-o update -n node.startup -v automatic"),
        (NOT_THERE, (IscsiRecord(IQN, "p", "automatic"),), Severity.CRITICAL, "apt install open-iscsi"),
        (replace(UP, enabled=False), (IscsiRecord(IQN, "p", "automatic"),), Severity.CRITICAL, "systemctl enable"),
    ],
)
def test_iscsi(unit: Unit, records: tuple[IscsiRecord, ...], severity: Severity, what: str) -> None:
    case = patient(ON_ISCSI, units={**UNITS, ISCSI_UNIT: unit}, iscsi=records)
    assert what in only(case, Code.ISCSI, severity).next


def test_a_usb_device_that_is_not_plugged_in() -> None:
    there, by_port, gone = (
        dom(name, usb=(device,)) for name, device in (("a", "0529:0001"), ("b", "1-2"), ("c", "0529:0002"))
    )
    plugged = frozenset({"0529:0001", "1-2"})
    assert not said(patient(there, by_port, replace(gone, state=State.ABSENT), usb=plugged), Code.USB)
    found = only(patient(there, gone, usb=plugged), Code.USB, Severity.WARNING)
    assert found.text == "domain/c has no usb 0529:0002: it is not plugged in (a.conf:1)" and "lsusb" in found.next
    assert only(patient(gone, usb=Unavailable("no")), Code.USB, Severity.UNKNOWN)
    assert not said(patient(dom("d"), usb=Unavailable("no")), Code.USB)
