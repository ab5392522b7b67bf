"""What xenlocal can do to the dom0 itself: to its volumes, image files, bridges, iSCSI sessions and copies of kernels.

The part of `model.actions` that names no domU. All are in `Action` there.
"""

from __future__ import annotations

from dataclasses import dataclass

from xenlocal.model.diskwork import Preparation
from xenlocal.model.iscsi import Chap, Node
from xenlocal.model.names import Kind, Target
from xenlocal.model.units import Size


@dataclass(frozen=True)
class _OfVolume:
    vg: str
    lv: str

    @property
    def target(self) -> Target:
        return Target(Kind.VOLUME, f"{self.vg}/{self.lv}")


@dataclass(frozen=True)
class CreateVolume(_OfVolume):
    """A new LV, old signatures wiped, tagged ours and as of this dom0 (`host`), in a thin pool if one is named.
    `install`: marked as one to install into."""

    size: Size
    host: str
    pool: str | None = None
    install: bool = False
    verb = "create"


@dataclass(frozen=True)
class GrowVolume(_OfVolume):
    """`lvextend`; a running PV guest sees it at once (FACTS: blkback tells blkfront). `resize`: marked as one whose
    file system has to grow too."""

    size: Size
    resize: bool = False
    verb = "grow"


@dataclass(frozen=True)
class ActivateVolume(_OfVolume):
    """For this host alone, where lvmlockd keeps hosts apart."""

    verb = "activate"


@dataclass(frozen=True)
class DeactivateVolume(_OfVolume):
    """So that another host can have it."""

    verb = "deactivate"


@dataclass(frozen=True)
class RetireVolume(_OfVolume):
    """Rename to the trash. `trash` comes from `names.trash_name`, which says when and what it was."""

    trash: str
    verb = "retire"


@dataclass(frozen=True)
class RestoreVolume(_OfVolume):
    """Bring a volume back from the trash, marked as kept, so that the next cycle does not retire it again."""

    trash: str
    verb = "restore"


@dataclass(frozen=True)
class UntagVolume(_OfVolume):
    tags: tuple[str, ...]
    verb = "untag"


@dataclass(frozen=True)
class PurgeVolume(_OfVolume):
    """Remove an LV of the trash for good. Only `xenlocal trash purge` makes this; the planner never does."""

    verb = "purge"


@dataclass(frozen=True)
class ResizeFile:
    """Create an image file, or grow it; a running PV guest sees that at once. Never shrinks. `full`: not sparse.
    `work`: marked as one that waits for that."""

    path: str
    size: Size
    verb: str = "create"
    full: bool = False
    work: Preparation | None = None

    @property
    def target(self) -> Target:
        return Target(Kind.FILE, self.path)


@dataclass(frozen=True)
class ChangeBridge:
    """Bring one bridge to its declared state. Only what differs is set here.

    `way_back`: the bridge carries the dom0's default route; the previous values in `before` come back by
    themselves unless the gateway still answers afterwards.
    """

    name: str
    create: bool = False
    add_ports: tuple[str, ...] = ()
    remove_ports: tuple[str, ...] = ()
    add_address: str | None = None
    mtu: int | None = None
    stp: bool | None = None
    vlan_filtering: bool | None = None
    up: bool = False
    way_back: ChangeBridge | None = None
    gateway: str | None = None  # that must answer after a change with a way back
    remove_address: str | None = None  # only in a way back

    @property
    def verb(self) -> str:
        return "create" if self.create else "change"

    @property
    def target(self) -> Target:
        return Target(Kind.BRIDGE, self.name)


@dataclass(frozen=True)
class LogIn:
    """Have open-iscsi log in to an iSCSI target, so that its disks appear; `known` False: it has no record of that yet.
    There is no action that logs out: nobody can be sure that nobody uses the disks."""

    name: str
    node: Node
    chap: Chap | None = None
    known: bool = True
    verb = "log in to"

    @property
    def target(self) -> Target:
        return Target(Kind.ISCSI, self.name)


@dataclass(frozen=True)
class DropKernel:
    """Remove a copy of a kernel that no domU uses any more. It is ours: no disk, nor the kernel itself."""

    path: str
    verb = "drop"

    @property
    def target(self) -> Target:
        return Target(Kind.FILE, self.path)
