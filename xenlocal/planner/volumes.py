"""LVs and image files: create, grow, activate, retire. Never shrink, remove, or name what is not ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from xenlocal.model.actions import (
    ActivateVolume,
    CreateVolume,
    GrowVolume,
    ResizeFile,
    UntagVolume,
)
from xenlocal.model.desired import Desired, Disk, Domain, ImageFile, LogicalVolume, State
from xenlocal.model.names import parse_trash_name
from xenlocal.model.observed import KEPT_TAG, OUR_TAG, Observed, PathKind, Storage, Table, Volume
from xenlocal.model.units import Size
from xenlocal.planner.draft import Draft

_Kind = TypeVar("_Kind", LogicalVolume, ImageFile)


@dataclass(frozen=True)
class _Want:
    """What all disks on one LV or file ask of it together: one backing may serve several read-only disks."""

    size: Size | None
    where: str


def plan_volumes(draft: Draft, desired: Desired, observed: Observed) -> None:
    volumes = _wants(desired, LogicalVolume)
    if volumes:
        storage = draft.table(Table.STORAGE, observed.storage)
        if storage is not None:
            _plan_lvs(draft, volumes, storage)
    _plan_files(draft, _wants(desired, ImageFile), observed)


def live_disks(desired: Desired) -> Iterator[tuple[Domain, Disk]]:
    """Every disk of every domain that is not to vanish."""
    for domain in desired.domains.values():
        if domain.state is not State.ABSENT:
            for disk in domain.disks:
                yield domain, disk


def _wants(desired: Desired, kind: type[_Kind]) -> Mapping[_Kind, _Want]:
    wants: dict[_Kind, _Want] = {}
    for _, disk in live_disks(desired):
        if isinstance(disk.backing, kind):
            before = wants.get(disk.backing)
            sizes = [size for size in (before.size if before else None, disk.size) if size is not None]
            where = before.where if before else str(disk.source)
            wants[disk.backing] = _Want(max(sizes, default=None), where)
    return dict(sorted(wants.items(), key=lambda item: str(item[0].target)))


def _plan_lvs(draft: Draft, wants: Mapping[LogicalVolume, _Want], storage: Storage) -> None:
    free = {name: group.free.bytes for name, group in storage.groups.items()}
    for lv, want in wants.items():
        group = storage.groups.get(lv.vg)
        if group is None:
            draft.refuse(
                lv.target,
                f"volume group {lv.vg} does not exist or is not visible; `vgs` lists those that are",
            )
            continue
        present = storage.volumes.get((lv.vg, lv.lv))
        size = want.size and want.size.rounded_up(group.extent)
        if present is None:
            if kept := _kept_in_trash(lv, storage):
                draft.refuse(lv.target, kept)
            elif size is None:
                draft.refuse(lv.target, "does not exist, and without size = ... it is not created")
            elif hurdle := _why_no_room(lv, size, free):
                draft.refuse(lv.target, hurdle)
            else:
                free[lv.vg] -= size.bytes
                draft.step(CreateVolume(lv.vg, lv.lv, size), f"declared in {want.where}, does not exist")
            continue
        if size is not None and size > present.size:
            more = Size(size.bytes - present.size.bytes)
            hurdle = _not_ours(present, "grown") or _why_no_room(lv, more, free)
            if hurdle:
                draft.refuse(lv.target, hurdle)
            else:
                free[lv.vg] -= more.bytes
                draft.step(GrowVolume(lv.vg, lv.lv, size), f"is {present.size}, declared {want.size} in {want.where}")
        elif size is not None and size < present.size:
            draft.refuse(
                lv.target,
                f"is {present.size}, {want.where} says {want.size}: a volume is never shrunk; write size ="
                f" {present.size}",
            )
        if not present.active:
            hurdle = _not_ours(present, "activated")
            if hurdle:
                draft.refuse(lv.target, f"is not active; {hurdle}, or type: lvchange -ay {lv.vg}/{lv.lv}")
            else:
                draft.step(ActivateVolume(lv.vg, lv.lv), "is not active", after=draft.steps_of(lv.target))
        if present.ours and KEPT_TAG in present.tags:
            draft.step(UntagVolume(lv.vg, lv.lv, (KEPT_TAG,)), "is in use again after its restore from the trash")


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


def _why_no_room(lv: LogicalVolume, size: Size, free: Mapping[str, int]) -> str | None:
    if size.bytes > free[lv.vg]:
        return f"needs {size} more, and {lv.vg} has {Size(free[lv.vg])} free"
    return None


def _not_ours(volume: Volume, done: str) -> str | None:
    if volume.ours:
        return None
    name = f"{volume.vg}/{volume.lv}"
    return (
        f"is used as it is, but not {done}: it does not carry the tag {OUR_TAG}; "
        f"to hand it over type: lvchange --addtag {OUR_TAG} {name}"
    )


def _plan_files(draft: Draft, wants: Mapping[ImageFile, _Want], observed: Observed) -> None:
    for image, want in wants.items():
        paths = draft.table(Table.PATHS, observed.paths)
        if paths is None:
            return
        facts = paths.get(image.path)
        if facts is None:
            if want.size is None:
                draft.refuse(image.target, "does not exist, and without size = ... it is not created")
            else:
                draft.step(ResizeFile(image.path, want.size), f"declared in {want.where}, does not exist")
        elif facts.kind is not PathKind.FILE:
            draft.refuse(
                image.target,
                "is not a regular file; for a block device write device = ... instead of file = ...",
            )
        elif want.size is not None and want.size > facts.size:
            draft.step(
                ResizeFile(image.path, want.size, verb="grow"),
                f"is {facts.size}, declared {want.size} in {want.where}",
            )
        elif want.size is not None and want.size < facts.size:
            draft.refuse(
                image.target,
                f"is {facts.size}, {want.where} says {want.size}: a file is never shrunk; write size = {facts.size}",
            )
