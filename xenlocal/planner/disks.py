"""What keeps a disk from a guest: it is not there, belongs to another dom0, or is held by somebody."""

from __future__ import annotations

from xenlocal.model.desired import Backing, Disk, Domain, ImageFile, LogicalVolume
from xenlocal.model.observed import LiveDomain, Observed, PathFacts, PathKind, Table, Unavailable, Vbd
from xenlocal.planner.draft import Draft, unknown
from xenlocal.planner.holders import Claims, holders, identity, who, with_devices
from xenlocal.planner.owners import hurdle_of_owner
from xenlocal.planner.preparing import at_work_on, hurdle_to_have
from xenlocal.planner.thin import hurdle_of_thin
from xenlocal.planner.things import hurdle_of_session


def hurdle_of_disk(
    draft: Draft, disk: Disk, live: LiveDomain | None, observed: Observed, vbds: tuple[Vbd, ...], claims: Claims
) -> str | None:
    """`live`: whose hold of it does not count, since it is stopped first."""
    reason = hurdle_of_session(draft, disk, observed) or _backing(draft, disk, observed)
    reason = reason or _held(disk, live, observed, with_devices(vbds, observed), claims)
    return None if reason is None else f"{disk.backing.target} {reason}"


def hurdle_of_own_reboot(
    draft: Draft, domain: Domain, live: LiveDomain, observed: Observed, claims: Claims
) -> str | None:
    """Why it must not come back from its own reboot with the disks that the files say: one that it does not have now
    could not be had at a start either, so that it would not come back at all, or from a disk that nothing is on yet; or
    another one still shares one that it has. The script of Xen's block devices sees no disk that qemu serves."""
    store = draft.table(Table.XENSTORE, observed.xenstore)
    if store is None:
        return unknown(Table.XENSTORE)
    vbds = with_devices(store.vbds, observed)
    for disk in domain.disks:
        which, why = identity(disk.backing, observed), None
        if not any(which.is_of(vbd) for vbd in vbds if vbd.domid == live.domid):
            why = hurdle_to_have(draft, domain, disk, observed)
            why = why or hurdle_of_disk(draft, disk, live, observed, store.vbds, claims.of_others(domain))
        for vbd in holders(which, (vbd for vbd in vbds if vbd.by_qemu), live.domid):
            if claims.bars(disk, which, vbd, observed):
                why = f"{disk.backing.target} is held by {who(vbd.domid, observed)}"
        if why is not None:
            return f"disk {disk.vdev}: {why}"
    return None


def _backing(draft: Draft, disk: Disk, observed: Observed) -> str | None:
    """Whether the disk's backing is there, or a step of this plan makes it."""
    backing = disk.backing
    if isinstance(backing, LogicalVolume):
        return _volume(draft, backing, observed)
    if draft.steps_of(backing.target):
        return None
    paths = draft.table(Table.PATHS, observed.paths)
    facts = paths.get(backing.path) if paths is not None else None
    if facts is None:
        return draft.refusal(backing.target) or "does not exist yet; waiting for it"
    wanted = PathKind.FILE if isinstance(backing, ImageFile) else PathKind.BLOCK
    if facts.kind is not wanted:
        return f"is not a {'regular file' if wanted is PathKind.FILE else 'block device'}"
    return _owner_of_device(facts, observed)


def _volume(draft: Draft, lv: LogicalVolume, observed: Observed) -> str | None:
    storage = draft.table(Table.STORAGE, observed.storage)
    if storage is None:
        return unknown(Table.STORAGE)
    present = storage.volumes.get((lv.vg, lv.lv))
    if present is not None and (why := hurdle_of_owner(present, storage) or hurdle_of_thin(present, storage)):
        return why
    if (present is not None and present.active) or draft.steps_of(lv.target):
        return None
    return draft.refusal(lv.target) or ("does not exist" if present is None else "is not active")


def _owner_of_device(facts: PathFacts, observed: Observed) -> str | None:
    """A given device may be an LV. LVM is not asked for its sake: it may be an iSCSI disk that has none."""
    if facts.device is None or isinstance(observed.storage, Unavailable):
        return None
    volumes = (each for each in observed.storage.volumes.values() if each.device == facts.device)
    return next((why for each in volumes if (why := hurdle_of_owner(each, observed.storage))), None)


def _held(
    disk: Disk,
    live: LiveDomain | None,
    observed: Observed,
    vbds: tuple[Vbd, ...],
    claims: Claims,
) -> str | None:
    """DESIGN rule 1: no volume is writable in two live domains, dying ones included."""
    which = identity(disk.backing, observed)
    others = holders(which, vbds, live.domid if live is not None else None)
    for vbd in others:
        if claims.bars(disk, which, vbd, observed):
            said = "" if not disk.shared else ", which does not share it: it was started without mode = w!"
            return f"is held by {who(vbd.domid, observed)}{said}"
    if not any(which.is_of(vbd) for vbd in vbds) and _is_open(disk.backing, observed):
        return "is open on the dom0 itself, perhaps mounted; `lsblk` tells where"
    return claims.against(disk, which)


def _is_open(backing: Backing, observed: Observed) -> bool:
    if not isinstance(backing, LogicalVolume) or isinstance(observed.storage, Unavailable):
        return False
    present = observed.storage.volumes.get((backing.vg, backing.lv))
    # work of ours is a hurdle of its own, or waited for
    return present is not None and present.opened and not at_work_on(backing, observed)
