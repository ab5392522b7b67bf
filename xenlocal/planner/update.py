"""`xenlocal kernel NAME --update`: whether a kernel can be put on trial, and what that comes to. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from xenlocal.model.actions import BeginTrial
from xenlocal.model.desired import BlockDevice, Disk, Domain, LogicalVolume
from xenlocal.model.memory import Off, Record
from xenlocal.model.names import is_whole_copy
from xenlocal.model.observed import Kept, Observed, PathKind
from xenlocal.model.probes import DefaultProbe
from xenlocal.model.storage import OUR_TAG, Storage
from xenlocal.model.trial import Trial
from xenlocal.planner.checkup_modules import modular, root_disk
from xenlocal.planner.holders import holders, identity, who, with_devices
from xenlocal.planner.kernels import boot_paths, copy_name, is_copy_of
from xenlocal.planner.owners import hurdle_of_owner, hurdles_of_groups
from xenlocal.planner.patient import known
from xenlocal.planner.preparing import at_work_on
from xenlocal.planner.thin import hurdle_of_thin


@dataclass(frozen=True)
class Kernel:
    """The file of the dom0 that a domU boots. `release`: None where it names none; `modules`: whether the dom0 has all
    of that release."""

    release: str | None
    modules: bool


def list_of_modules(release: str) -> str:
    """What depmod makes of a directory of modules: without it modprobe finds none of them."""
    return f"/lib/modules/{release}/modules.dep"


def propose(domain: Domain, record: Record | None, observed: Observed, kernel: Kernel) -> BeginTrial | str:
    """... or why not, with what to do about it. Raises Unknown where a table that this needs is."""
    if not modular(domain):
        return f"it boots no kernel of the dom0 whose modules are on a disk of the guest ({domain.source})"
    if isinstance(domain.probe, DefaultProbe):
        return f"nothing would tell whether it is ready, so no kernel can be tried; write a [[ready]] ({domain.source})"
    if hurdle := _not_off(domain, record, observed):
        return hurdle
    root = root_disk(domain)
    if isinstance(root, str):
        return f"{root} ({domain.source})"
    if not root.sure:
        return f"which disk has its root file system is not said; write root=/dev/NAME in cmdline ({domain.source})"
    if hurdle := _not_writable(root.disk, observed):
        return f"its root disk, {root.disk.backing.target}, {hurdle} ({root.disk.source})"
    files, facts = boot_paths(domain), known(observed.paths)
    for path in files:
        if path not in facts or facts[path].kind is not PathKind.FILE:
            return f"{path} {'does not exist' if path not in facts else 'is not a regular file'} ({domain.source})"
    if kernel.release is None:
        return f"kernel {domain.kernel} names no release ({domain.source})"
    if not kernel.modules:
        return (
            f"the dom0 has no {list_of_modules(kernel.release)}; type: apt install linux-image-{kernel.release},"
            f" or where that is done: depmod {kernel.release}"
        )
    copy = copy_name(files, facts)
    trial = Trial(domain.name, domain.uuid, kernel.release, copy, _before(domain, copy, observed))
    return BeginTrial(trial, root.disk.backing, files)


def _not_off(domain: Domain, record: Record | None, observed: Observed) -> str:
    """Also while only its shell is there, or the look before this one has not told the memory of its end."""
    stop = f"type: xenlocal stop {domain.name}"
    if any(live.uuid == domain.uuid for live in known(observed.domains).values()):
        return f"it is not off; {stop}"
    if record is not None and (record.domid is not None or record.off is Off.REBOOTING):
        return f"it is not known to be off; {stop}"
    if not known(observed.monitors).isdisjoint({domain.name, *((record.monitor,) if record is not None else ())}):
        return f"an xl process is at work on it; {stop}"
    return ""


def _not_writable(disk: Disk, observed: Observed) -> str:
    """Whether its modules can be put there, and nobody else uses it."""
    backing = disk.backing
    if not disk.is_own:
        return "is not for it alone to write to, with its mode"
    if isinstance(backing, BlockDevice):
        return "is a given device, and only what xenlocal makes is written to"
    if known(observed.at_work) and at_work_on(backing, observed):
        return "is being worked on"
    vbds = with_devices(known(observed.xenstore).vbds, observed)
    for vbd in holders(identity(backing, observed), vbds, None):
        return f"is held by {who(vbd.domid, observed)}"
    if isinstance(backing, LogicalVolume):
        return _volume(backing, known(observed.storage))
    facts = known(observed.paths).get(backing.path)
    return "" if facts is not None and facts.kind is PathKind.FILE else "is not a regular file that exists"


def _volume(lv: LogicalVolume, storage: Storage) -> str:
    volume = storage.volumes.get((lv.vg, lv.lv))
    if volume is None or not volume.active:
        return "does not exist yet" if volume is None else "is not active here"
    if not volume.ours:
        return f"does not carry the tag {OUR_TAG}; type: lvchange --addtag {OUR_TAG} {lv.vg}/{lv.lv}"
    if hurdle := hurdle_of_owner(volume, storage) or hurdles_of_groups(storage).get(lv.vg):
        return hurdle
    if hurdle := hurdle_of_thin(volume, storage):
        return hurdle
    return "is open on the dom0 itself, perhaps mounted; `lsblk` tells where" if volume.opened else ""


def _before(domain: Domain, copy: str, observed: Observed) -> str | None:
    """The kernel to go back to: what a trial before this one went back to, that of its latest start since the host came
    up, or else the newest copy of the same files from before they were replaced."""
    kept: Kept = known(observed.kernels)
    tried = known(observed.trials).get(domain.uuid)
    older = sorted(each for each in kept.copies if is_copy_of(each, boot_paths(domain)) and is_whole_copy(each))
    candidates = (None if tried is None else tried.before, kept.started.get(domain.uuid), *reversed(older))
    return next((each for each in candidates if each in kept.copies and each != copy), None)
