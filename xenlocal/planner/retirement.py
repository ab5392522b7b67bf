"""The LVs of absent domains go to the trash, once nothing of their domain is left and nobody uses them. What stays
all the same (files, LVs that are not ours) is named, with what to type."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from xenlocal.model.desired import Backing, BlockDevice, Desired, Domain, ImageFile, LogicalVolume, State
from xenlocal.model.host_actions import RetireVolume
from xenlocal.model.names import trash_name
from xenlocal.model.observed import LiveDomain, Observed, Table, Unavailable
from xenlocal.model.storage import KEPT_TAG, OUR_TAG, Volume
from xenlocal.planner.draft import Draft
from xenlocal.planner.holders import holders, identity, who
from xenlocal.planner.owners import hurdle_of_owner, hurdles_of_groups
from xenlocal.planner.volumes import live_disks


def plan_retirement(draft: Draft, desired: Desired, observed: Observed, wall: float) -> None:
    unchangeable = {} if isinstance(observed.storage, Unavailable) else hurdles_of_groups(observed.storage)
    for domain in desired.domains.values():
        if domain.state is not State.ABSENT:
            continue
        for backing in sorted({disk.backing for disk in domain.disks}, key=lambda backing: backing.path):
            if isinstance(backing, LogicalVolume):
                _plan_lv(draft, desired, domain, backing, observed, wall, unchangeable.get(backing.vg))
            elif isinstance(backing, ImageFile):
                _tell_file(draft, desired, domain, backing, observed)


def _tell_file(draft: Draft, desired: Desired, domain: Domain, image: ImageFile, observed: Observed) -> None:
    paths = draft.table(Table.PATHS, observed.paths)
    live = draft.table(Table.DOMAINS, observed.domains)
    if paths is None or live is None or image.path not in paths:
        return
    if _left(domain, live) or _is_used(image, desired, observed):
        return
    draft.notice(
        image.target,
        f"stays, though {domain.target} is absent ({domain.source}): files are never removed; to be rid of it and all"
        f" data in it type: rm {shlex.quote(image.path)}",
    )


def _left(domain: Domain, live: Mapping[int, LiveDomain]) -> list[LiveDomain]:
    return [other for other in live.values() if other.uuid == domain.uuid or other.name == domain.name]


def _is_used(backing: Backing, desired: Desired, observed: Observed) -> bool:
    """Whether a domain that is not to vanish has it too."""
    which = identity(backing, observed)
    return any(which.same_as(identity(disk.backing, observed)) for _, disk in live_disks(desired))


def _why_unknown(draft: Draft, desired: Desired, present: Volume, observed: Observed) -> str | None:
    """Why it cannot be told whether a domain that is not to vanish has it: a device goes by any path, through any
    link, and only a look at the path tells which one it is."""
    others = [disk.backing for _, disk in live_disks(desired) if not isinstance(disk.backing, LogicalVolume)]
    if not others:
        return None
    paths = draft.table(Table.PATHS, observed.paths)
    if paths is None:
        return "which devices the other domUs use could not be found out"
    gone = sorted({each.path for each in others if isinstance(each, BlockDevice) and each.path not in paths})
    if gone and not present.active:  # links to it go with its device
        return f"it is not active, so it may be what {gone[0]} is; type: lvchange -ay {present.vg}/{present.lv}"
    return None


def _plan_lv(
    draft: Draft,
    desired: Desired,
    domain: Domain,
    lv: LogicalVolume,
    observed: Observed,
    wall: float,
    unchangeable: str | None,
) -> None:
    storage = draft.table(Table.STORAGE, observed.storage)
    live = draft.table(Table.DOMAINS, observed.domains)
    if storage is None or live is None:
        return
    present = storage.volumes.get((lv.vg, lv.lv))
    if present is None or _is_used(lv, desired, observed):
        return
    unknown = _why_unknown(draft, desired, present, observed)
    if unknown is not None:
        draft.refuse(lv.target, f"not retired: {unknown}")
        return
    if not present.ours or KEPT_TAG in present.tags:
        why = f"it does not carry the tag {OUR_TAG}" if not present.ours else "it was restored from the trash by hand"
        change = f"--addtag {OUR_TAG}" if not present.ours else f"--deltag {KEPT_TAG}"
        draft.notice(
            lv.target,
            f"not retired with {domain.target} ({domain.source}): {why}; to have it go to the trash type:"
            f" lvchange {change} {lv.vg}/{lv.lv}",
        )
        return
    if draft.steps_of(lv.target):
        return  # another absent domU, which shared it, takes it along
    ends = draft.ends_of(domain.target)
    hurdle = hurdle_of_owner(present, storage) or unchangeable
    hurdle = hurdle or _hurdle(draft, domain, lv, present, _left(domain, live), observed)
    if hurdle is not None:
        draft.refuse(lv.target, f"not retired: {hurdle}")
        return
    draft.step(
        RetireVolume(lv.vg, lv.lv, trash_name(lv.lv, wall)),
        f"{domain.target} is absent ({domain.source}); kept {desired.host.trash_keep} in the trash",
        needs=ends,
    )


def _hurdle(
    draft: Draft,
    domain: Domain,
    lv: LogicalVolume,
    present: Volume,
    left: list[LiveDomain],
    observed: Observed,
) -> str | None:
    if left and not draft.ends_of(domain.target):
        return f"{domain.target} is still on the host"
    if not present.opened:
        return None
    store = draft.table(Table.XENSTORE, observed.xenstore)
    if store is None:
        return "who uses it could not be found out"
    using = holders(identity(lv, observed), store.vbds, None)
    own = max((other.domid for other in left), default=None)
    others = [vbd for vbd in using if vbd.domid != own]
    if others:
        return f"it is held by {who(others[0].domid, observed)} too"
    return None if using else "something on the dom0 has it open; `lsblk` or `dmsetup ls --tree` tells what"
