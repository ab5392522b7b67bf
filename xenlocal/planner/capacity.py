"""How much this host has, how much of it the files promise, and the largest domU that still fits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xenlocal.model.desired import Desired, LogicalVolume, State
from xenlocal.model.inspection import Capacity, GroupCapacity, GroupFacts, MemoryCapacity
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.storage import Fill, Storage, Volume, VolumeGroup
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
    found: list[GroupCapacity] = []
    for name, group in sorted(storage.groups.items()):
        found.append(_group(desired, storage, group, groups[name].size))
        for (vg, _), volume in sorted(storage.volumes.items()):
            if vg == name and volume.fill is not None:
                found.append(_pool(desired, storage, group, volume, volume.fill))
    return tuple(found)


@dataclass(frozen=True)
class _Place:
    """A volume group without its thin pools, or one of these. `wants`, by state: LV -> bytes that the files say;
    `there`: LV -> bytes that it has."""

    wants: Mapping[State, Mapping[str, int]]
    there: Mapping[str, int]

    @classmethod
    def of(cls, desired: Desired, storage: Storage, group: VolumeGroup, pool: str) -> _Place:
        wants = {state: _wants(desired, storage, group, pool, state) for state in State}
        inside = {lv: each for (vg, lv), each in storage.volumes.items() if vg == group.name and each.pool == pool}
        return cls(wants, {lv: each.size.bytes for lv, each in inside.items()})

    def declared(self, state: State) -> Size:
        return Size(sum(max(size, self.there.get(lv, 0)) for lv, size in self.wants[state].items()))

    @property
    def missing(self) -> int:
        """Bytes until every volume is as the files say; stopped domUs have theirs, too."""
        every: dict[str, int] = {}
        for sizes in self.wants.values():
            for lv, size in sizes.items():
                every[lv] = max(size, every.get(lv, 0))
        return sum(max(size - self.there.get(lv, 0), 0) for lv, size in every.items())


def _group(desired: Desired, storage: Storage, group: VolumeGroup, total: Size) -> GroupCapacity:
    place = _Place.of(desired, storage, group, "")
    after = group.free.bytes - place.missing
    return _told(place, group.name, group, total, group.free, after)


def _pool(desired: Desired, storage: Storage, group: VolumeGroup, pool: Volume, fill: Fill) -> GroupCapacity:
    """A thin pool takes its room of the group, and its volumes take theirs of the pool only as they are written: they
    may be promised more than there is."""
    place = _Place.of(desired, storage, group, pool.lv)
    free = Size(pool.size.bytes - int(pool.size.bytes * (fill.data or 0.0) / 100))
    after = pool.size.bytes - sum(place.there.values()) - place.missing
    return _told(place, f"{pool.vg}/{pool.lv}", group, pool.size, free, after)


def _told(place: _Place, name: str, group: VolumeGroup, total: Size, free: Size, after: int) -> GroupCapacity:
    return GroupCapacity(
        name=name,
        total=total,
        used=Size(total.bytes - free.bytes),
        promised=place.declared(State.RUNNING),
        promised_manual=place.declared(State.MANUAL),
        free=free,
        free_after_boot=Size(max(after, 0)),
        largest=Size(max(after, 0) // group.extent.bytes * group.extent.bytes),
    )


def _wants(desired: Desired, storage: Storage, group: VolumeGroup, pool: str, state: State) -> dict[str, int]:
    """LV -> bytes, in whole extents; 0 where its size is not declared: it is as large as it is. Those in the thin pool,
    or with "" those that are in none."""
    sizes: dict[str, int] = {}
    for domain, disk in live_disks(desired):
        backing = disk.backing
        if domain.state is state and isinstance(backing, LogicalVolume) and backing.vg == group.name:
            present = storage.volumes.get((backing.vg, backing.lv))
            if (present.pool if present is not None else disk.pool or "") != pool:
                continue
            size = disk.size.rounded_up(group.extent).bytes if disk.size is not None else 0
            sizes[backing.lv] = max(size, sizes.get(backing.lv, 0))
    return sizes
