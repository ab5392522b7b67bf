"""Who holds a disk: every name and device number it can go by, and the backends that use one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from xenlocal.model.desired import Backing, BlockDevice, Desired, Disk, Domain, LogicalVolume
from xenlocal.model.observed import Observed, PathFacts, Unavailable, Vbd


@dataclass(frozen=True)
class Identity:
    names: frozenset[str]
    devices: frozenset[tuple[int, int]]

    def is_of(self, vbd: Vbd) -> bool:
        return vbd.params in self.names or vbd.device in self.devices

    def same_as(self, other: Identity) -> bool:
        return bool(self.names & other.names or self.devices & other.devices)


def identity(backing: Backing, observed: Observed) -> Identity:
    """As far as the tables at hand tell."""
    paths: Mapping[str, PathFacts] = {} if isinstance(observed.paths, Unavailable) else observed.paths
    volumes = {} if isinstance(observed.storage, Unavailable) else observed.storage.volumes
    names, devices = {backing.path}, set[tuple[int, int] | None]()
    facts = paths.get(backing.path)
    if facts is not None:
        names.add(facts.real)
        devices.add(facts.device)
    if isinstance(backing, LogicalVolume):
        names.add(f"/dev/mapper/{backing.vg.replace('-', '--')}-{backing.lv.replace('-', '--')}")
        present = volumes.get((backing.vg, backing.lv))
        devices.add(present.device if present is not None else None)
    known = frozenset(device for device in devices if device is not None)
    if isinstance(backing, BlockDevice):  # an LV knows its name, a file is none: no need to look through them all
        names |= {f"/dev/{each.vg}/{each.lv}" for each in volumes.values() if each.device in known}
    return Identity(frozenset(names), known)


def holders(which: Identity, vbds: Iterable[Vbd], own: int | None) -> tuple[Vbd, ...]:
    """Backends of other domains than `own` that use the disk, dying domains' included."""
    return tuple(vbd for vbd in vbds if vbd.domid != own and which.is_of(vbd))


def with_devices(vbds: Iterable[Vbd], observed: Observed) -> tuple[Vbd, ...]:
    """Of a disk that qemu serves, xenstore has a path and no device number: the path may be one of many names."""
    paths: Mapping[str, PathFacts] = {} if isinstance(observed.paths, Unavailable) else observed.paths
    return tuple(
        replace(vbd, device=paths[vbd.params].device) if vbd.device is None and vbd.params in paths else vbd
        for vbd in vbds
    )


def who(domid: int, observed: Observed) -> str:
    live = None if isinstance(observed.domains, Unavailable) else observed.domains.get(domid)
    return f"domain/{live.name} (domid {domid})" if live is not None and live.name else f"domid {domid}"


@dataclass
class Claims:
    """Disks of the domUs that this plan starts, and of those about to come back from their own reboot: no
    backend holds them yet, and they are no longer to be had."""

    desired: Desired
    taken: list[tuple[Domain, Disk, Identity]] = field(default_factory=list)

    def take(self, domain: Domain, observed: Observed) -> None:
        self.taken += [(domain, disk, identity(disk.backing, observed)) for disk in domain.disks]

    def take_disk(self, domain: Domain, disk: Disk, observed: Observed) -> None:
        self.taken.append((domain, disk, identity(disk.backing, observed)))

    def of_others(self, domain: Domain) -> Claims:
        return Claims(self.desired, [each for each in self.taken if each[0].uuid != domain.uuid])

    def against(self, disk: Disk, which: Identity) -> str | None:
        for other, theirs, claimed in self.taken:
            if which.same_as(claimed) and not disk.goes_with(theirs):
                return f"is also disk {theirs.vdev} of {other.target}, which has it first"
        return None

    def bars(self, disk: Disk, which: Identity, vbd: Vbd, observed: Observed) -> bool:
        """Whether the backend of another domain, which uses this disk, keeps it from being used as `disk` says."""
        if disk.readonly:
            return vbd.writable
        return not (disk.shared and vbd.by_qemu and self._is_shared(which, vbd, observed))

    def _is_shared(self, which: Identity, vbd: Vbd, observed: Observed) -> bool:
        """Its domU is one of ours, and the files say of it too that it shares the disk."""
        live = None if isinstance(observed.domains, Unavailable) else observed.domains.get(vbd.domid)
        return any(
            disk.shared and which.same_as(identity(disk.backing, observed))
            for domain in self.desired.domains.values()
            if live is not None and domain.uuid == live.uuid
            for disk in domain.disks
        )
