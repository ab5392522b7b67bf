"""What the files say: the result of reading a valid configuration.

A key the administrator left out is None here wherever the host's own value then stays in force
(compare only what was declared); keys with a default of ours hold that default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from xenlocal.model.conffiles import Source
from xenlocal.model.diskwork import Install
from xenlocal.model.identity import Identity
from xenlocal.model.iscsi import Chap, Node
from xenlocal.model.names import Kind, Target
from xenlocal.model.probes import NO_PROBE, Probe
from xenlocal.model.units import Duration, Size


class GuestType(StrEnum):
    PV = "pv"
    PVH = "pvh"
    HVM = "hvm"


class Firmware(StrEnum):
    BIOS = "bios"
    UEFI = "uefi"


class State(StrEnum):
    RUNNING = "running"
    MANUAL = "manual"
    STOPPED = "stopped"
    ABSENT = "absent"


class OnPoweroff(StrEnum):
    STAY_OFF = "stay-off"
    RESTART = "restart"


class OnCrash(StrEnum):
    RESTART = "restart"
    STAY_OFF = "stay-off"
    PRESERVE = "preserve"


class OnUnready(StrEnum):
    REPORT = "report"
    RESTART = "restart"


@dataclass(frozen=True)
class Host:
    """`[host]`, with its defaults."""

    shutdown_deadline: Duration = Duration(25 * 60)
    start_parallel: int | None = None  # None: auto
    dom0_reserve: Size = Size.mib(256)
    trash_keep: Duration = Duration(14 * 86400)
    resync: Duration = Duration(600)


@dataclass(frozen=True)
class Bridge:
    """`[bridge NAME]`."""

    name: str
    source: Source
    ports: tuple[str, ...] | None = None  # (): declared `none`, an internal network; None: not declared
    external: bool = False
    address: str | None = None  # CIDR, as `10.9.0.1/24`
    mtu: int | None = None
    stp: bool | None = None
    vlan_filtering: bool | None = None

    @property
    def target(self) -> Target:
        return Target(Kind.BRIDGE, self.name)


@dataclass(frozen=True)
class Iscsi:
    """`[iscsi NAME]`."""

    name: str
    source: Source
    node: Node
    chap: Chap | None = None

    @property
    def target(self) -> Target:
        return Target(Kind.ISCSI, self.name)


@dataclass(frozen=True)
class LogicalVolume:
    vg: str
    lv: str

    @property
    def path(self) -> str:
        return f"/dev/{self.vg}/{self.lv}"

    @property
    def target(self) -> Target:
        return Target(Kind.VOLUME, f"{self.vg}/{self.lv}")


@dataclass(frozen=True)
class BlockDevice:
    path: str

    @property
    def target(self) -> Target:
        return Target(Kind.DEVICE, self.path)


@dataclass(frozen=True)
class ImageFile:
    path: str

    @property
    def target(self) -> Target:
        return Target(Kind.FILE, self.path)


Backing = LogicalVolume | BlockDevice | ImageFile


@dataclass(frozen=True)
class Disk:
    """`[[disk VDEV]]`: `vdev` is the name the guest sees, such as xvda."""

    vdev: str
    backing: Backing
    source: Source
    size: Size | None = None
    readonly: bool = False
    cdrom: bool = False  # a drive with an ISO image in it
    shared: bool = False  # `mode = w!`: other domUs that say the same may write to it at the same time
    pool: str | None = None  # the thin pool, in the group of its LV, that the LV is made in
    full: bool = False  # `allocate = full`: a file has its whole size on the disk from the first
    resize_fs: bool = False  # the file system on it is to grow with it

    def goes_with(self, other: Disk) -> bool:
        """Whether two domUs may have the same backing at once, one by this disk and one by the other."""
        return (self.readonly and other.readonly) or (self.shared and other.shared)

    session: Target | None = None  # the [iscsi] section that it is reached by

    @property
    def is_own(self) -> bool:
        """Whether it is for this domU alone to write to."""
        return not (self.readonly or self.cdrom or self.shared)


@dataclass(frozen=True)
class Vnc:
    """Where the screen of a guest is served: TCP port 5900 + `display` of an address of the dom0."""

    address: str
    display: int


@dataclass(frozen=True)
class Nic:
    """`[[nic NAME]]`; `mac` is always set: declared, or derived from the UUID and the nic's name."""

    name: str
    bridge: str
    mac: str
    source: Source


STOP_MAX_FACTOR = 3  # times stop_timeout, where stop_max is not declared


@dataclass(frozen=True)
class Patience:
    """Seconds that a guest has from being asked to stop until it is destroyed."""

    stop: float = 300.0
    hung: float = 300.0  # it neither hears the request nor writes to its disks
    most: float = 900.0  # it has heard the request and goes on writing

    @classmethod
    def of(cls, stop: float, hung: float | None, most: float | None) -> Patience:
        """From what is declared; None where it is not."""
        return cls(stop, stop if hung is None else hung, STOP_MAX_FACTOR * stop if most is None else most)

    def scaled(self, share: float) -> Patience:
        """Where the deadline leaves each guest only a share of its own time. What a guest may grow to is limited by
        what the deadline leaves in the end, not by this."""
        return Patience(self.stop * share, self.hung * share, self.most)


@dataclass(frozen=True)
class Domain:
    """`[domain NAME]` with its parts, `[defaults]` already merged in."""

    name: str
    uuid: str  # lower case, with dashes; declared, or derived from the host and the name
    source: Source
    memory: Size
    type: GuestType = GuestType.PV
    state: State = State.RUNNING
    description: str = ""
    was: str | None = None  # the name from which its UUID is derived
    maxmem: Size | None = None
    vcpus: int = 1
    maxvcpus: int | None = None
    cpus: str | None = None  # xl's pinning syntax: `2-5,7`
    cpu_weight: int | None = None
    kernel: str | None = None
    ramdisk: str | None = None
    cmdline: str = ""
    bootloader: str | None = None  # pygrub
    pvgrub: str | None = None  # a GRUB for Xen guests, given to Xen as the kernel
    firmware: Firmware = Firmware.BIOS  # of an hvm guest
    vnc: Vnc | None = None  # ... and its screen, for viewers on the dom0
    pci: tuple[str, ...] = ()  # addresses of devices of the host that are the guest's own, as 0000:03:00.0
    usb: tuple[str, ...] = ()  # the same, by what they are, as 0529:0001, or where, as 1-2.3
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    after_things: tuple[Target, ...] = ()  # bridges, volumes and devices: awaited for start_timeout at most
    needs_things: tuple[Target, ...] = ()  # ... without which it is not started
    start_timeout: Duration = Duration(300)
    stop_timeout: Duration = Duration(300)
    hung_timeout: Duration | None = None  # None: as long as stop_timeout
    stop_max: Duration | None = None  # None: three times stop_timeout
    on_poweroff: OnPoweroff = OnPoweroff.STAY_OFF
    on_crash: OnCrash = OnCrash.RESTART
    on_unready: OnUnready = OnUnready.REPORT
    critical: bool = False
    hostid: str | None = None  # `locked`
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    unplugged: tuple[Disk | Nic, ...] = ()  # `attached = no`
    probe: Probe = NO_PROBE
    install: Install | None = None  # what its first disk is to hold when that is new
    extra: tuple[tuple[str, str], ...] = ()  # [[xl]]: key and rendered value, sorted
    unsupported: tuple[str, ...] = ()  # valid, but this version cannot do it yet: `owner`, ...

    @property
    def target(self) -> Target:
        return Target(Kind.DOMAIN, self.name)

    @property
    def patience(self) -> Patience:
        """How long it may take to stop."""
        hung, most = (None if time is None else time.seconds for time in (self.hung_timeout, self.stop_max))
        return Patience.of(self.stop_timeout.seconds, hung, most)

    @property
    def is_locked(self) -> bool:
        return self.hostid == "locked"

    @property
    def identity(self) -> Identity:
        """Who it is to its licences."""
        disks = tuple(str(disk.backing.target) for disk in self.disks)
        return Identity(self.name, self.uuid, tuple(nic.mac for nic in self.nics), disks)

    @property
    def predecessors(self) -> tuple[str, ...]:
        """Every domU that is ready before this one starts, and stops after it."""
        return tuple(sorted({*self.after, *self.needs}))


def _empty_bridges() -> Mapping[str, Bridge]:
    return MappingProxyType({})


def _no_iscsi() -> Mapping[str, Iscsi]:
    return MappingProxyType({})


def _empty_domains() -> Mapping[str, Domain]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Desired:
    """One whole valid configuration. Mappings are in sorted order of their names."""

    host: Host = Host()
    bridges: Mapping[str, Bridge] = field(default_factory=_empty_bridges)
    domains: Mapping[str, Domain] = field(default_factory=_empty_domains)
    iscsi: Mapping[str, Iscsi] = field(default_factory=_no_iscsi)
