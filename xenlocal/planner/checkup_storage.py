"""The doctor's checks of LVM and iSCSI. Pure; see `planner.doctor`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xenlocal.model.desired import BlockDevice, LogicalVolume
from xenlocal.model.inspection import Code, Finding, IscsiRecord, LvmSettings, Severity
from xenlocal.model.iscsi import Node
from xenlocal.model.observed import PathFacts
from xenlocal.model.units import Size
from xenlocal.planner.patient import Patient, known
from xenlocal.planner.thin import hurdle_of_pool
from xenlocal.planner.volumes import live_disks

_LOOP = 7  # major number of loop devices
ISCSI_UNIT = "open-iscsi.service"


@dataclass(frozen=True)
class _GuestDisk:
    """`pattern`: what hides it from the LVM of this host, in a filter."""

    who: str
    pattern: str


def lvm_filter(patient: Patient) -> Iterator[Finding]:
    """LVM takes every volume group it sees for the host's own, also one that a guest has made on its disk."""
    settings, groups = known(patient.facts.lvm), known(patient.facts.groups)
    numbers, roots = _guest_disks(patient)
    for vg, facts in sorted(groups.items()):
        for name, disk in sorted(facts.disks.items()):
            found = numbers.get(disk.device) if disk.device is not None else None
            found = found or next((roots[root] for root in roots if _is_part(disk, root)), None)
            if found is not None:
                text = (
                    f"the LVM of this host sees volume group {vg} on {name}, on a disk of {found.who}: activated or"
                    " changed here, it would be damaged"
                )
                yield Finding(Code.LVM_FILTER, Severity.CRITICAL, text, _reject(settings, vg, found.pattern))
    declared = {disk.backing.vg for _, disk in live_disks(patient.desired) if isinstance(disk.backing, LogicalVolume)}
    if settings.hiding:
        for vg in sorted(declared - groups.keys()):
            text = f"volume group {vg} of the files is not visible, and {settings.hiding} may hide it"
            what = '`pvs -a --config \'devices { filter = [ "a|.*|" ] global_filter = [ "a|.*|" ] }\'` shows it then'
            yield Finding(Code.LVM_FILTER, Severity.WARNING, text, what)
    if settings.scan_lvs and not settings.devicesfile:
        text = "scan_lvs = 1: the LVM of this host looks into the guests' volumes for volume groups of theirs"
        yield Finding(Code.LVM_FILTER, Severity.WARNING, text, "scan_lvs = 0 in /etc/lvm/lvm.conf, section devices")


def _guest_disks(patient: Patient) -> tuple[Mapping[tuple[int, int] | None, _GuestDisk], Mapping[str, _GuestDisk]]:
    """Disks of guests, declared or attached now, by device number (None: no device); and those that may hold
    partitions, by path."""
    observed = patient.observed
    paths, storage, live = known(observed.paths), known(observed.storage), known(observed.domains)
    numbers: dict[tuple[int, int] | None, _GuestDisk] = {}
    roots: dict[str, _GuestDisk] = {}
    for vbd in known(observed.xenstore).vbds:
        if vbd.device is not None:
            name = live[vbd.domid].name if vbd.domid in live else f"domid {vbd.domid}"
            # an image file stands behind a loop device, whose number is another one next time
            pattern = "r!^/dev/loop!" if vbd.device[0] == _LOOP else pattern_of(vbd.params)
            numbers[vbd.device] = _GuestDisk(f"domain/{name}", pattern)
    for domain, disk in live_disks(patient.desired):
        backing = disk.backing
        found = _GuestDisk(str(domain.target), pattern_of(backing.path, isinstance(backing, BlockDevice)))
        if isinstance(backing, BlockDevice) and backing.path in paths:
            facts = paths[backing.path]
            roots[facts.real] = found
            numbers[facts.device] = found
        elif isinstance(backing, LogicalVolume):
            present = storage.volumes.get((backing.vg, backing.lv))
            if present is not None:
                numbers[present.device] = found
    return numbers, roots


def _is_part(disk: PathFacts, root: str) -> bool:
    """As the kernel names partitions: sdb1, but nvme0n1p1."""
    number = disk.real.removeprefix(f"{root}p" if root[-1].isdigit() else root)
    return number.isdecimal()


def pattern_of(path: str, partitions: bool = False) -> str:
    """As lvm.conf(5) takes it. The character after the r encloses it, so it is one that no name of a device holds."""
    escaped = re.sub(r"([.+*?()\[\]|^$])", r"\\\1", path)
    return f"r!^{escaped}{'(-part|p)?[0-9]*' if partitions else ''}$!"


def _reject(settings: LvmSettings, vg: str, pattern: str) -> str:
    """What matches nothing is accepted anyway; and a pattern that accepts all would accept the disk by another of its
    names, which outweighs that this one is rejected (seen on LVM 2.03.16)."""
    kept = [each for each in settings.global_filter if not re.fullmatch(r"a(.)\.\*\1", each)]
    patterns = ", ".join(f'"{each}"' for each in (pattern, *kept))
    return (
        f"`vgchange -an {vg}`; global_filter = [ {patterns} ] in /etc/lvm/lvm.conf, section devices;"
        " then `update-initramfs -u`, and `vgs` no longer shows it"
    )


def thin_pools(patient: Patient) -> Iterator[Finding]:
    """Of those that hold volumes of the files."""
    settings, storage = known(patient.facts.lvm), known(patient.observed.storage)
    used = {disk.backing for _, disk in live_disks(patient.desired) if isinstance(disk.backing, LogicalVolume)}
    present = [storage.volumes[lv.vg, lv.lv] for lv in used if (lv.vg, lv.lv) in storage.volumes]
    for vg, name in sorted({(each.vg, each.pool) for each in present if each.pool}):
        if (hurdle := hurdle_of_pool(vg, name, storage)) is not None:
            text, _, what = hurdle.partition("; ")
            yield Finding(Code.THIN_POOL, Severity.CRITICAL, text, what)
            continue
        pool = storage.volumes[vg, name]
        promised = sum(each.size.bytes for each in storage.volumes.values() if (each.vg, each.pool) == (vg, name))
        if promised > pool.size.bytes and not settings.extends_pools:
            text = (
                f"thin pool {vg}/{name} has {pool.size}, its volumes {Size(promised)} together, and nothing extends it:"
                " once it is full, its guests cannot write"
            )
            what = f"thin_pool_autoextend_threshold = 80 in /etc/lvm/lvm.conf, section activation; and room in {vg}"
            yield Finding(Code.THIN_POOL, Severity.WARNING, text, what)


def iscsi(patient: Patient) -> Iterator[Finding]:
    """Of what an [iscsi NAME] declares, and of other disks named by the path of their target."""
    declared = {each.node for each in patient.desired.iscsi.values()}
    nodes = {Node.of_disk(disk.backing.path) for _, disk in live_disks(patient.desired)}
    others = {node.iqn: node for node in nodes if node is not None and node not in declared}
    if not declared and not others:
        return
    unit = known(patient.facts.units)[ISCSI_UNIT]
    if not unit.known or (others and not unit.enabled):
        text = f"{ISCSI_UNIT} is {'not enabled' if unit.known else 'not installed'}: no iSCSI disk comes back at boot"
        what = "`systemctl enable open-iscsi`" if unit.known else "`apt install open-iscsi`"
        yield Finding(Code.ISCSI, Severity.CRITICAL, text, what)
    records = known(patient.facts.iscsi)
    for record in records:
        if record.node in declared and record.startup == "automatic":
            text = (
                f"open-iscsi logs in to {record.node} at boot, and so does xenlocal: where that does not answer,"
                " open-iscsi tries for minutes before any domU starts, xenlocal lets only those on its disks wait"
            )
            yield Finding(Code.ISCSI, Severity.WARNING, text, _set_startup(record, "manual"))
    for target, node in sorted(others.items()):
        found = [record for record in records if record.target == target]
        if not found:
            text = f"open-iscsi knows no target {target}: its disks do not come back at boot"
            what = (
                f"declare an [iscsi NAME] with portal = {node.portal} and target = {target}; or `iscsiadm -m discovery"
                f" -t sendtargets -p {node.portal}`, `iscsiadm -m node -T {target} --login`"
            )
            yield Finding(Code.ISCSI, Severity.WARNING, text, what)
        for record in found:
            if record.startup != "automatic":
                text = f"node.startup of {target} at {record.portal} is {record.startup}: nobody logs in at boot"
                yield Finding(Code.ISCSI, Severity.WARNING, text, _set_startup(record, "automatic"))


def _set_startup(record: IscsiRecord, startup: str) -> str:
    return f"`iscsiadm -m node -T {record.target} -o update -n node.startup -v {startup}`"
