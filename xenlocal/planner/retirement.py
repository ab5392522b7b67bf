"""The LVs of absent domains go to the trash, once nothing of their domain is left and nobody uses them."""

from __future__ import annotations

from xenlocal.model.actions import RetireVolume
from xenlocal.model.desired import Desired, Domain, LogicalVolume, State
from xenlocal.model.names import trash_name
from xenlocal.model.observed import KEPT_TAG, OUR_TAG, LiveDomain, Observed, Table, Volume, XenStore
from xenlocal.planner.draft import Draft
from xenlocal.planner.holders import holders, identity, who
from xenlocal.planner.volumes import live_disks


def plan_retirement(draft: Draft, desired: Desired, observed: Observed, wall: float) -> None:
    for domain in desired.domains.values():
        lvs = {disk.backing for disk in domain.disks if isinstance(disk.backing, LogicalVolume)}
        if domain.state is State.ABSENT and lvs:
            for lv in sorted(lvs, key=lambda lv: lv.path):
                _plan_one(draft, desired, domain, lv, observed, wall)


def _plan_one(
    draft: Draft, desired: Desired, domain: Domain, lv: LogicalVolume, observed: Observed, wall: float
) -> None:
    storage = draft.table(Table.STORAGE, observed.storage)
    live = draft.table(Table.DOMAINS, observed.domains)
    if storage is None or live is None:
        return
    present = storage.volumes.get((lv.vg, lv.lv))
    if present is None or KEPT_TAG in present.tags or draft.steps_of(lv.target):
        return
    if not present.ours:
        draft.notice(lv.target, f"not retired with {domain.target}: it does not carry the tag {OUR_TAG}")
        return
    which = identity(lv, observed)
    if any(which.same_as(identity(disk.backing, observed)) for _, disk in live_disks(desired)):
        return
    left = [other for other in live.values() if other.uuid == domain.uuid or other.name == domain.name]
    ends = draft.ends_of(domain.target)
    hurdle = _hurdle(draft, domain, lv, present, left, observed)
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
    store = draft.table(Table.XENSTORE, observed.xenstore) if left else XenStore(())
    if store is None:
        return "who uses it could not be found out"
    using = holders(identity(lv, observed), store.vbds, None)
    own = max((other.domid for other in left), default=None)
    others = [vbd for vbd in using if vbd.domid != own]
    if others:
        return f"it is held by {who(others[0].domid, observed)} too"
    return None if using else "something on the dom0 has it open; `lsblk` or `dmsetup ls --tree` tells what"
