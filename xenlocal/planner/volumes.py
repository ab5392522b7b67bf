"""LVs and image files: create, grow, activate, retire. Never shrink, remove, or name what is not ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from xenlocal.model.desired import Backing, Desired, Disk, Domain, ImageFile, LogicalVolume, State
from xenlocal.model.diskwork import Preparation
from xenlocal.model.host_actions import (
    ActivateVolume,
    CreateVolume,
    DeactivateVolume,
    GrowVolume,
    ResizeFile,
    UntagVolume,
)
from xenlocal.model.memory import Memory
from xenlocal.model.names import parse_trash_name, volume
from xenlocal.model.observed import Observed, PathKind, Table, Unavailable, Vbd
from xenlocal.model.storage import KEPT_TAG, OUR_TAG, Storage, Volume, VolumeGroup
from xenlocal.model.units import Size
from xenlocal.planner.draft import Draft, unknown
from xenlocal.planner.holders import identity, who
from xenlocal.planner.idle import Idle, idle_volumes
from xenlocal.planner.owners import hurdle_of_owner, hurdles_of_groups
from xenlocal.planner.preparing import at_work_on
from xenlocal.planner.thin import hurdle_of_pool, tell_of_pool

_Kind = TypeVar("_Kind", LogicalVolume, ImageFile)


@dataclass(frozen=True)
class _Want:
    """What all disks on one LV or file ask of it together: one backing may serve several disks."""

    size: Size | None
    where: str
    pool: str | None
    full: bool
    install: bool  # where it is made, it is to be installed into
    resize: bool  # where it grows, its file system is to grow too
    drive: bool  # it is an image in a drive


def plan_volumes(draft: Draft, desired: Desired, observed: Observed, memory: Memory) -> None:
    volumes = _wants(desired, LogicalVolume)
    if volumes:
        storage = draft.table(Table.STORAGE, observed.storage)
        if storage is not None:
            lvs = _Lvs(draft, observed, storage, idle_volumes(desired, observed, memory))
            for lv, want in volumes.items():
                lvs.plan(lv, want)
            lvs.tell_of_pools()
    _plan_files(draft, _wants(desired, ImageFile), observed)


def live_disks(desired: Desired) -> Iterator[tuple[Domain, Disk]]:
    """Every disk of every domain that is not to vanish."""
    for domain in desired.domains.values():
        if domain.state is not State.ABSENT:
            for disk in domain.disks:
                yield domain, disk


def _wants(desired: Desired, kind: type[_Kind]) -> Mapping[_Kind, _Want]:
    wants: dict[_Kind, _Want] = {}
    for domain, disk in live_disks(desired):
        if isinstance(disk.backing, kind):
            before = wants.get(disk.backing) or _Want(None, str(disk.source), None, *[False] * 4)
            size = max((size for size in (before.size, disk.size) if size is not None), default=None)
            pool, full = before.pool or disk.pool, before.full or disk.full
            install = before.install or (domain.install is not None and disk is domain.disks[0])
            resize = before.resize or disk.resize_fs
            drive = before.drive or disk.cdrom
            wants[disk.backing] = _Want(size, before.where, pool, full, install, resize, drive)
    return dict(sorted(wants.items(), key=lambda item: str(item[0].target)))


class _Lvs:
    """The LVs of one plan: what each takes of the room of its group, the next has not."""

    def __init__(self, draft: Draft, observed: Observed, storage: Storage, idle: Idle) -> None:
        self._draft, self._observed, self._storage, self._idle = draft, observed, storage, idle
        self._free = {name: group.free.bytes for name, group in storage.groups.items()}
        self._unchangeable = hurdles_of_groups(storage)
        self._pools: set[tuple[str, str]] = set()

    def plan(self, lv: LogicalVolume, want: _Want) -> None:
        group, present = self._storage.groups.get(lv.vg), self._storage.volumes.get((lv.vg, lv.lv))
        if group is None:
            why: str | None = _hidden(lv.vg)
        elif present is None:
            why = self._create(lv, want, group)
        elif (alien := hurdle_of_owner(present, self._storage)) is not None:
            why = alien
        else:
            self._resize(present, want, group)
            self._activate(lv, present, group)
            if present.ours and KEPT_TAG in present.tags and lv.vg not in self._unchangeable:
                reason = "is in use again after its restore from the trash"
                self._draft.step(UntagVolume(lv.vg, lv.lv, (KEPT_TAG,)), reason)
            return
        if why is not None:
            self._draft.refuse(lv.target, why)

    def tell_of_pools(self) -> None:
        for vg, name in self._pools:
            tell_of_pool(self._draft, vg, name, self._storage)

    def _create(self, lv: LogicalVolume, want: _Want, group: VolumeGroup) -> str | None:
        """Plan it, or say why not."""
        if kept := _kept_in_trash(lv, self._storage):
            return kept
        if want.size is None:
            return "does not exist, and without size = ... it is not created"
        size = want.size.rounded_up(group.extent)
        why = self._unchangeable.get(lv.vg) or self._why_no_room(lv.vg, want.pool, size)
        why = why or _taken_away(self._draft, lv, self._observed)
        if why is not None:
            return why
        self._take(lv.vg, want.pool, size)
        reason = f"declared in {want.where}, does not exist"
        create = CreateVolume(lv.vg, lv.lv, size, self._storage.host, want.pool, want.install)
        self._draft.step(create, reason)
        return None

    def _resize(self, present: Volume, want: _Want, group: VolumeGroup) -> None:
        target = volume(present.vg, present.lv)
        if want.pool is not None and want.pool != present.pool:
            is_in = f"is in the thin pool {present.pool}" if present.pool else "is in no thin pool"
            said = f"pool = {present.pool}" if present.pool else "no pool"
            self._draft.refuse(
                target,
                f"{is_in}, {want.where} says pool = {want.pool}: a volume is never moved, and is used as it is; write"
                f" {said}",
            )
        if present.pool:
            self._pools.add((present.vg, present.pool))
        if want.size is None:
            return
        size = want.size.rounded_up(group.extent)
        if size > present.size:
            more = Size(size.bytes - present.size.bytes)
            hurdle = _not_ours(present, "grown") or self._unchangeable.get(present.vg)
            hurdle = hurdle or self._why_no_room(present.vg, present.pool, more)
            hurdle = hurdle or _growing(self._draft, LogicalVolume(present.vg, present.lv), want, self._observed)
            if hurdle:
                self._draft.refuse(target, hurdle)
                return
            self._take(present.vg, present.pool, more)
            reason = f"is {present.size}, declared {want.size} in {want.where}"
            self._draft.step(GrowVolume(present.vg, present.lv, size, want.resize), reason)
        elif size < present.size:
            self._draft.refuse(
                target,
                f"is {present.size}, {want.where} says {want.size}: a volume is never shrunk; write size ="
                f" {present.size}",
            )

    def _activate(self, lv: LogicalVolume, present: Volume, group: VolumeGroup) -> None:
        """Where lvmlockd keeps hosts apart, an active volume is this host's alone: then it is let go of when no guest
        here needs it."""
        before = self._draft.steps_of(lv.target)
        if group.locks and lv in self._idle.volumes:
            if present.active and present.ours and not present.opened and self._idle.known:
                reason = f"no guest here needs it, and while it is active no other host of {lv.vg} can have it"
                self._draft.step(DeactivateVolume(lv.vg, lv.lv), reason, after=before)
        elif not present.active:
            hurdle = _not_ours(present, "activated")
            if hurdle:
                self._draft.refuse(lv.target, f"is not active; {hurdle}, or type: lvchange -ay {lv.vg}/{lv.lv}")
            else:
                self._draft.step(ActivateVolume(lv.vg, lv.lv), "is not active", after=before)

    def _why_no_room(self, vg: str, pool: str | None, size: Size) -> str | None:
        """A thin volume takes room of its pool, and only as it is written."""
        if pool:
            return hurdle_of_pool(vg, pool, self._storage)
        if size.bytes > self._free[vg]:
            return f"needs {size} more, and {vg} has {Size(self._free[vg])} free"
        return None

    def _take(self, vg: str, pool: str | None, size: Size) -> None:
        if not pool:
            self._free[vg] -= size.bytes


def _hidden(vg: str) -> str:
    return (
        f"volume group {vg} does not exist or is not visible; `vgs` lists those that are. LVM hides one that has the"
        f" system ID of another host, which `vgs --foreign -o vg_name,vg_systemid` shows, and one that is shared under"
        " lvmlockd, unless lvm.conf says use_lvmlockd = 1"
    )


def _kept_in_trash(lv: LogicalVolume, storage: Storage) -> str | None:
    for vg, name in sorted(storage.volumes):
        trash = parse_trash_name(name)
        if vg == lv.vg and trash and trash[1] == lv.lv:
            return (
                "does not exist, and its former content lies in the trash: `xenlocal trash restore"
                f" {vg}/{name}` brings it back; `xenlocal trash purge {vg}/{name}` makes room for an"
                " empty one"
            )
    return None


def _not_ours(volume: Volume, done: str) -> str | None:
    if volume.ours:
        return None
    name = f"{volume.vg}/{volume.lv}"
    return (
        f"is used as it is, but not {done}: it does not carry the tag {OUR_TAG}; "
        f"to hand it over type: lvchange --addtag {OUR_TAG} {name}"
    )


def _growing(draft: Draft, backing: Backing, want: _Want, observed: Observed) -> str | None:
    """Why it does not grow now: what grows its file system has its size already, and takes the mark away at its end."""
    if not want.resize:
        return None
    if draft.table(Table.AT_WORK, observed.at_work) is None:
        return "whether its file system is just growing could not be found out"
    if Preparation.RESIZE not in at_work_on(backing, observed):
        return None
    return "its file system is just growing; it grows once more when that has ended"


def _taken_away(draft: Draft, backing: Backing, observed: Observed) -> str | None:
    """Why none is made in its place: a guest runs on what had that name, and would find an empty one at its own
    reboot."""
    store = draft.table(Table.XENSTORE, observed.xenstore)
    if store is None:
        return f"does not exist, and whether a domU runs on what had that name: {unknown(Table.XENSTORE)}"
    which = identity(backing, observed)
    for vbd in store.vbds:
        if not which.is_of(vbd):
            continue
        return (
            f"does not exist, and {who(vbd.domid, observed)} runs on what had that name, so none is made in its place;"
            f" give it its name back ({_now_called(backing, vbd, observed)}), or shut that domU down first"
        )
    return None


def _now_called(backing: Backing, vbd: Vbd, observed: Observed) -> str:
    if not isinstance(backing, LogicalVolume):
        return "`losetup --list` shows what it is called now"
    assert not isinstance(observed.storage, Unavailable), "else no volume would be made"
    for each in observed.storage.volumes.values():
        if each.device is not None and (each.vg, each.device) == (backing.vg, vbd.device):
            return f"type: lvrename {each.vg} {each.lv} {backing.lv}"
    return "`lvs -o +lv_kernel_major,lv_kernel_minor` shows what it is called now"


def _plan_files(draft: Draft, wants: Mapping[ImageFile, _Want], observed: Observed) -> None:
    for image, want in wants.items():
        paths = draft.table(Table.PATHS, observed.paths)
        if paths is None:
            return
        facts = paths.get(image.path)
        if facts is None:
            if want.size is None:
                what = "; put the image there" if want.drive else ", and without size = ... it is not created"
                draft.refuse(image.target, f"does not exist{what}")
            elif why := _taken_away(draft, image, observed):
                draft.refuse(image.target, why)
            else:
                draft.step(_resize(image, want.size, want, "create"), f"declared in {want.where}, does not exist")
        elif facts.kind is not PathKind.FILE:
            what = "" if want.drive else "; for a block device write device = ... instead of file = ..."
            draft.refuse(image.target, f"is not a regular file{what}")
        elif want.size is not None and want.size > facts.size:
            # empty: it has been made, and has not got its size, as where the disk was full; no guest starts on that
            verb = "grow" if facts.size.bytes else "create"
            if why := _growing(draft, image, want, observed):
                draft.refuse(image.target, why)
                continue
            reason = f"is {facts.size}, declared {want.size} in {want.where}"
            draft.step(_resize(image, want.size, want, verb), reason)
        elif want.size is not None and want.size < facts.size:
            draft.refuse(
                image.target,
                f"is {facts.size}, {want.where} says {want.size}: a file is never shrunk; write size = {facts.size}",
            )


def _resize(image: ImageFile, size: Size, want: _Want, verb: str) -> ResizeFile:
    work, wanted = (Preparation.INSTALL, want.install) if verb == "create" else (Preparation.RESIZE, want.resize)
    return ResizeFile(image.path, size, verb, want.full, work if wanted else None)
