"""Whether a domU that boots a kernel of the dom0 has the modules of that kernel: they are on its own disk. Which disk
that is, how it can be looked at while others may write to it, and what follows. Pure; see `planner.doctor`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from xenlocal.model.desired import Disk, Domain, LogicalVolume, State
from xenlocal.model.inspection import Code, Finding, GuestModules, Severity
from xenlocal.model.names import look_name
from xenlocal.model.observed import Observed, Table
from xenlocal.model.storage import OUR_TAG, Volume
from xenlocal.model.units import Size
from xenlocal.planner.holders import holders, identity, with_devices
from xenlocal.planner.owners import hurdle_of_owner, hurdles_of_groups
from xenlocal.planner.patient import Patient, known
from xenlocal.planner.thin import hurdle_of_thin

SNAPSHOT_ROOM = Size.mib(256)  # for what the guest overwrites meanwhile; one that is full is only useless
TABLES = (Table.DOMAINS, Table.STORAGE, Table.PATHS, Table.XENSTORE)  # that tell who has a disk
_ROOT = re.compile(r"(?:^|\s)root=(\S+)")


@dataclass(frozen=True)
class Look:
    """At the file system in `path` as it is; or, where `origin` is given, an LV that a guest has, in a snapshot of it,
    which takes `room` of its group (None: it is thin)."""

    path: str
    origin: LogicalVolume | None = None
    room: Size | None = None


@dataclass(frozen=True)
class Root:
    """The disk of the root file system. `sure`: the kernel's command line says so; else it is the first disk."""

    disk: Disk
    sure: bool


def modular(domain: Domain) -> bool:
    """Whether it boots a kernel of the dom0 whose modules can be missed: one without a disk has them in its ramdisk."""
    return domain.kernel is not None and domain.state is not State.ABSENT and bool(_disks(domain))


def root_disk(domain: Domain) -> Root | str:
    """... or why it is not known."""
    named = [word for word in _ROOT.findall(domain.cmdline) if word.startswith("/dev/")]
    if not named:
        return Root(_disks(domain)[0], sure=False)
    vdev = named[-1].removeprefix("/dev/")
    for disk in _disks(domain):
        if disk.vdev == vdev:
            return Root(disk, sure=True)
        if re.fullmatch(rf"{re.escape(disk.vdev)}p?\d+", vdev):
            return f"its root file system is {vdev}, and partitions are not looked into"
    return f"its root file system is {named[-1]}, which is none of its disks"


def _disks(domain: Domain) -> list[Disk]:
    return [disk for disk in domain.disks if not disk.cdrom]


def how_to_look(domain: Domain, disk: Disk, observed: Observed) -> Look | str:
    """... or why that cannot be. What nobody has is read as it is. Where a guest may write, the LV is read in a
    snapshot: a live file system changes under the reader, and what is read of it stays in the cache of the dom0.
    Raises Unknown where one of TABLES is."""
    for table in TABLES:
        known(getattr(observed, table))
    backing = disk.backing
    vbds = with_devices(known(observed.xenstore).vbds, observed)
    in_use = bool(holders(identity(backing, observed), vbds, None)) or domain.uuid in observed.by_uuid()
    if isinstance(backing, LogicalVolume):
        volume = known(observed.storage).volumes.get((backing.vg, backing.lv))
        if volume is None or not volume.active:
            return f"{backing.target} {'does not exist yet' if volume is None else 'is not active'}"
        return _snapshot(backing, volume, observed) if in_use or volume.opened else Look(backing.path)
    if backing.path not in known(observed.paths):
        return f"{backing.target} does not exist yet"
    if in_use:
        return f"{backing.target} is in use, and only of a logical volume can there be a snapshot; stop it first"
    return Look(backing.path)


def _snapshot(origin: LogicalVolume, volume: Volume, observed: Observed) -> Look | str:
    storage = known(observed.storage)
    path = f"/dev/{origin.vg}/{look_name(origin.lv)}"
    why = hurdle_of_owner(volume, storage) or hurdles_of_groups(storage).get(origin.vg)
    if why is not None:
        return f"{origin.target} is in use, and no snapshot is made of it: {why}"
    if not volume.ours:
        give = f"lvchange --addtag {OUR_TAG} {origin.vg}/{origin.lv}"
        return (
            f"{origin.target} is in use, and no snapshot is made of what is not marked as xenlocal's own; type: {give}"
        )
    if volume.pool:
        full = hurdle_of_thin(volume, storage)
        return f"{origin.target} is in use, and no snapshot can be made of it: {full}" if full else Look(path, origin)
    free = storage.groups[origin.vg].free
    if free.bytes < SNAPSHOT_ROOM.bytes:
        return (
            f"{origin.target} is in use, and {origin.vg} has {free} free, where a snapshot of it needs {SNAPSHOT_ROOM};"
            " stop it first"
        )
    return Look(path, origin, SNAPSHOT_ROOM)


def modules(patient: Patient) -> Iterator[Finding]:
    for name, found in known(patient.facts.modules).items():
        domain = patient.desired.domains[name]
        kernel, root = f"kernel {domain.kernel}", root_disk(domain)
        if found.release is None:
            text = f"whether {domain.target} has the modules of its {kernel} is not known: that file names no release"
            yield Finding(Code.MODULES, Severity.INFO, text)
        elif found.unknown or isinstance(root, str):
            text = f"whether {domain.target} has the modules of its {kernel}, {found.release}, is not known: "
            yield Finding(Code.MODULES, Severity.INFO, f"{text}{found.unknown or root}")
        elif found.release not in found.there:
            yield _missing(domain, root, found.release, found)


def _missing(domain: Domain, root: Root, release: str, found: GuestModules) -> Finding:
    where = f"/lib/modules of its disk {root.disk.vdev}, {root.disk.backing.target},"
    if not root.sure and not found.there:
        text = f"whether {domain.target} has the modules of its kernel {domain.kernel} is not known: {where} has none"
        return Finding(
            Code.MODULES, Severity.INFO, text, "say in cmdline which disk has its root file system: root=/dev/NAME"
        )
    has = ", ".join(found.there) or "nothing"
    text = (
        f"{domain.target} has no modules at its next start: its kernel {domain.kernel} is {release}, and {where} has"
        f" {has} ({domain.source})"
    )
    keep = f", or name the kernel of {found.there[-1]} in the file" if found.there else ""
    update = f"or, while it is off, with `xenlocal kernel {domain.name} --update`"
    what = f"install them in the guest, as by `apt install linux-image-{release}`, {update}{keep}"
    return Finding(Code.MODULES, Severity.WARNING, text, what)
