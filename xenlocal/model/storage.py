"""LVM as it is seen: groups, volumes, thin pools, and the tags that say whose they are. A table of `model.observed`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xenlocal.model.units import Size

OUR_TAG = "xenlocal"
OWNER_TAG = "xenlocal.host="  # and the name of the dom0
KEPT_TAG = "xenlocal-kept"  # restored by hand from the trash: not retired again while it carries this
LOOK_TAG = "xenlocal-look"  # a snapshot that `check` looks at for a moment; not "ours", or it would be retired


@dataclass(frozen=True)
class VolumeGroup:
    """`locks`: what of lvmlockd keeps its hosts apart, sanlock or dlm; "" where nothing does."""

    name: str
    free: Size
    extent: Size
    locks: str = ""


@dataclass(frozen=True)
class Fill:
    """How full a thin pool is, in percent; None: not known, since none of its volumes is active. `health`: what LVM
    says is wrong with it."""

    data: float | None
    metadata: float | None
    health: str = ""


@dataclass(frozen=True)
class Volume:
    """A logical volume. `device` is its (major, minor) when it is active."""

    vg: str
    lv: str
    size: Size
    active: bool
    opened: bool
    tags: frozenset[str] = frozenset()
    device: tuple[int, int] | None = None
    pool: str = ""  # the thin pool it is in
    fill: Fill | None = None  # of one that is itself a thin pool

    @property
    def ours(self) -> bool:
        return OUR_TAG in self.tags

    @property
    def owners(self) -> frozenset[str]:
        """The dom0s that it names as its own; none where nobody has said so."""
        return frozenset(tag.removeprefix(OWNER_TAG) for tag in self.tags if tag.startswith(OWNER_TAG))


@dataclass(frozen=True)
class Storage:
    """`host`: the name of this dom0."""

    groups: Mapping[str, VolumeGroup]
    volumes: Mapping[tuple[str, str], Volume]
    host: str = ""

    def strangers(self, volume: Volume) -> tuple[str, ...]:
        """The other dom0s that the volume belongs to."""
        return () if self.host in volume.owners else tuple(sorted(volume.owners))
