"""Hosts for the doctor: all is well with them except for what a test says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.planner.build import desired, observed
from xenlocal.model.inspection import (
    Clock,
    Code,
    Facts,
    Finding,
    GroupFacts,
    Grub,
    LvmSettings,
    Pinned,
    Processes,
    Severity,
    Unit,
    Versions,
    Xen,
)
from xenlocal.model.observed import Observed, PathFacts, PathKind
from xenlocal.model.units import Size
from xenlocal.planner.checkup_host import DAEMON, DROP_IN, FOREIGN, GUESTS, XENDOMAINS
from xenlocal.planner.checkup_storage import ISCSI_UNIT
from xenlocal.planner.doctor import diagnose
from xenlocal.planner.patient import Patient

NOT_THERE = Unit(known=False, enabled=False, active=False, masked=False, stops=False, stale=False)
UP = Unit(known=True, enabled=True, active=True, masked=False, stops=False, stale=False)
NEUTRALISED = Unit(True, True, False, False, stops=False, stale=False, drop_ins=(f"/usr/lib/systemd/system{DROP_IN}",))
UNITS = {**dict.fromkeys(FOREIGN, NOT_THERE), DAEMON: UP, GUESTS: UP, XENDOMAINS: NEUTRALISED, ISCSI_UNIT: NOT_THERE}
ACCEPT_ALL = LvmSettings(("a|.*|",), ("a|.*|",), scan_lvs=False, devicesfile=False)
IQN = "iqn.2012-10.example:bay1"
LUN = f"/dev/disk/by-path/ip-192.0.2.10:3260-iscsi-{IQN}-lun-3"


def xen(commandline: str = "dom0_mem=4G,max:4G", gib: int = 16, cpus: int = 4, nodes: int = 1) -> Xen:
    size = Size(gib << 30)
    own = {node: Size(size.bytes // nodes) for node in range(nodes)}
    return Xen(commandline, size, own, {cpu: cpu * nodes // cpus for cpu in range(cpus)})


def facts(**known: Any) -> Facts:
    """Of a host on which all is well."""
    well = Facts(
        xen=xen(),
        pinned=(Pinned("Domain-0", 4, None),),
        swapped=Size(0),
        versions=Versions("4.17.7", {"xen-utils-4.17": "4.17.7+13-1", "xen-hypervisor-4.17-amd64": "4.17.7+13-1"}),
        units=UNITS,
        clock=Clock(synchronised=True, service=True, enabled=True),
        lvm=ACCEPT_ALL,
        groups={"vg0": GroupFacts(Size(500 << 30), {"/dev/sda3": disk("/dev/sda3", 3)})},
        grub=Grub("quiet", "quiet"),
        processes=Processes("guest"),
        console_option="--log=guest",
        saved=(),
        auto=(),
        iscsi=(),
        needrestart=True,
        usb=frozenset({"1d6b:0002"}),
        menus={},
        kernels={},
        modules={},
    )
    return replace(well, **known)


def disk(real: str, minor: int) -> PathFacts:
    return PathFacts(PathKind.BLOCK, Size(0), real, (8, minor))


def patient(*domains: Any, seen: Observed | None = None, **known: Any) -> Patient:
    return Patient(desired(*domains), observed() if seen is None else seen, facts(**known))


def said(case: Patient, code: Code) -> list[Finding]:
    return [finding for finding in diagnose(case) if finding.code is code and finding.severity is not Severity.OK]


def only(case: Patient, code: Code, severity: Severity) -> Finding:
    """The one finding of this code; nothing else is said of this host."""
    found = [finding for finding in diagnose(case) if finding.severity is not Severity.OK]
    assert [(each.code, each.severity) for each in found] == [(code, severity)]
    return found[0]
