"""How much this host has, how much of it the files promise, and the largest domU that still fits. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from xenlocal.model.desired import Desired, LogicalVolume, State
from xenlocal.model.inspection import Capacity, GroupCapacity, GroupFacts, MemoryCapacity
from xenlocal.model.observed import Observed, Storage, Unavailable, VolumeGroup
from xenlocal.model.units import Size
from xenlocal.planner.hurdles import xen_share
from xenlocal.planner.room import for_domains, promised
from xenlocal.planner.volumes import live_disks


def capacity(desired: Desired, observed: Observed, groups: Mapping[str, GroupFacts] | Unavailable) -> Capacity:
    return Capacity(_memory(desired, observed), _groups(desired, observed.storage, groups))


def _memory(desired: Desired, observed: Observed) -> MemoryCapacity | Unavailable:
    hardware, domains = observed.hardware, observed.domains
    if isinstance(hardware, Unavailable):
        return hardware
    if isinstance(domains, Unavailable):
        return domains
    reserve = desired.host.dom0_reserve
    there = for_domains(hardware, domains.values(), Size(0))
    need = promised(desired, State.RUNNING)
    after = there.bytes - need.bytes
    # under autoballoon the dom0 gives way, so what is free now says nothing
    free = min(hardware.free.bytes, after) if not hardware.autoballoon else after
    largest = max(free - reserve.bytes - xen_share(1).bytes, 0)
    return MemoryCapacity(
        total=hardware.total,
        used=Size(hardware.total.bytes - hardware.free.bytes),
        promised=need,
        promised_manual=promised(desired, State.MANUAL),
        free=hardware.free,
        free_after_boot=Size(max(after, 0)),
        missing=Size(max(need.bytes - for_domains(hardware, domains.values(), reserve).bytes, 0)),
        largest=Size(largest >> 20 << 20),
        autoballoon=hardware.autoballoon,
    )


def _groups(
    desired: Desired, storage: Storage | Unavailable, groups: Mapping[str, GroupFacts] | Unavailable
) -> tuple[GroupCapacity, ...] | Unavailable:
    if isinstance(storage, Unavailable):
        return storage
    if isinstance(groups, Unavailable):
        return groups
    unseen = sorted(storage.groups.keys() - groups.keys())
    if unseen:
        return Unavailable(f"volume group {unseen[0]} came while it was looked at; try again")
    return tuple(_group(desired, storage, group, groups[name].size) for name, group in sorted(storage.groups.items()))


def _group(desired: Desired, storage: Storage, group: VolumeGroup, total: Size) -> GroupCapacity:
    wants = {state: _wants(desired, group, state) for state in State}
    # stopped ones have their volumes, too
    every: dict[str, int] = {}
    for sizes in wants.values():
        for lv, size in sizes.items():
            every[lv] = max(size, every.get(lv, 0))
    there = {lv: volume.size.bytes for (vg, lv), volume in storage.volumes.items() if vg == group.name}
    after = group.free.bytes - sum(max(size - there.get(lv, 0), 0) for lv, size in every.items())

    def declared(state: State) -> Size:
        return Size(sum(max(size, there.get(lv, 0)) for lv, size in wants[state].items()))

    return GroupCapacity(
        name=group.name,
        total=total,
        used=Size(total.bytes - group.free.bytes),
        promised=declared(State.RUNNING),
        promised_manual=declared(State.MANUAL),
        free=group.free,
        free_after_boot=Size(max(after, 0)),
        largest=Size(max(after, 0) // group.extent.bytes * group.extent.bytes),
    )


def _wants(desired: Desired, group: VolumeGroup, state: State) -> dict[str, int]:
    """LV -> bytes, in whole extents; 0 where its size is not declared: it is as large as it is."""
    sizes: dict[str, int] = {}
    for domain, disk in live_disks(desired):
        backing = disk.backing
        if domain.state is state and isinstance(backing, LogicalVolume) and backing.vg == group.name:
            size = disk.size.rounded_up(group.extent).bytes if disk.size is not None else 0
            sizes[backing.lv] = max(size, sizes.get(backing.lv, 0))
    return sizes
