"""What the host says at one moment. A table that could not be had is `Unavailable(why)`: unknown is never empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from xenlocal.model.identity import Identity
from xenlocal.model.iscsi import IscsiFacts
from xenlocal.model.storage import Storage
from xenlocal.model.trial import Trial
from xenlocal.model.units import Size


@dataclass(frozen=True)
class Unavailable:
    """The table was asked for and could not be had, or (`NOT_ASKED`) was not needed so far."""

    why: str


NOT_ASKED = Unavailable("not asked")


class Table(StrEnum):
    """The tables of `Observed`. Each costs one command, whatever the number of domUs."""

    DOMAINS = "domains"  # xl list -v
    STORAGE = "storage"  # lvm fullreport
    NETWORK = "network"  # ip -j -d addr (+ /proc/net/route)
    PATHS = "paths"  # stat() of the declared paths; no command
    XENSTORE = "xenstore"  # xenstore-ls: needed only to start
    HARDWARE = "hardware"  # xl info: needed only to start
    MONITORS = "monitors"  # /proc: needed only to start; no command
    IDENTITIES = "identities"  # what `hostid = locked` has recorded; no command
    KERNELS = "kernels"  # copies of kernels, and the xl.cfg that name them; no command
    TRIALS = "trials"  # kernels on trial: needed only where a domU boots one of the dom0; no command
    AT_WORK = "at_work"  # /proc: needed only where a disk is about to be used; no command
    ISCSI = "iscsi"  # sessions in /sys and records of open-iscsi: needed only where a file declares one; no command


class LiveState(StrEnum):
    """The state letters of `xl list`."""

    RUNNING = "running"  # r, b or between: it has a CPU or wants one
    PAUSED = "paused"  # p alone: created and not yet released, or paused by hand
    SHUTDOWN = "shutdown"  # s: powered off, kept by on_poweroff=preserve
    CRASHED = "crashed"  # c: kept by on_crash=preserve
    DYING = "dying"  # d: being torn down, may still hold its disks


@dataclass(frozen=True)
class Signs:
    """What a guest that was asked to stop shows of itself. None: not known."""

    pending: bool | None = None  # the request stands in control/shutdown: it has not been acknowledged
    sectors: int | None = None  # written to its disks so far


@dataclass(frozen=True)
class LiveDomain:
    """A line of `xl list -v`, dom0 left out. `name` is empty for the `(null)` of a dying domain."""

    domid: int
    name: str
    uuid: str
    state: LiveState
    memory: Size
    vcpus: int

    @property
    def is_down(self) -> bool:
        """Its guest has ended, only the shell is kept: reap it, do not wait for it."""
        return self.state in (LiveState.SHUTDOWN, LiveState.CRASHED)


@dataclass(frozen=True)
class Outline:
    """What xenstore shows of the domains while xl cannot tell of them, and why that cannot."""

    domains: Mapping[int, LiveDomain]
    xl: Unavailable


OUR_ALIAS = "xenlocal"  # `ip link` alias of a bridge we made


@dataclass(frozen=True)
class Link:
    """A network interface of the dom0. `stp` and `vlan_filtering` are None where it is no bridge."""

    name: str
    kind: str  # "bridge", "vif", "dummy", ... or "" for hardware
    mtu: int
    up: bool
    master: str | None = None
    alias: str = ""
    addresses: tuple[str, ...] = ()  # CIDR
    stp: bool | None = None
    vlan_filtering: bool | None = None
    lower: str | None = None  # the interface a VLAN or the like stands on
    leased: tuple[str, ...] = ()  # those of its addresses that DHCP or a router gave, for a time


@dataclass(frozen=True)
class Network:
    links: Mapping[str, Link]
    default_links: frozenset[str]  # interfaces that carry a default route of the dom0
    gateways: tuple[str, ...] = ()

    def carries_default_route(self, name: str) -> bool:
        """Whether a default route goes through this interface, itself or by a VLAN on top of it."""
        seen: set[str] = set()
        names = list(self.default_links)
        while names:
            each = names.pop()
            link = self.links.get(each)
            if each not in seen and link is not None and link.lower is not None:
                names.append(link.lower)
            seen.add(each)
        return name in seen

    def ports(self, bridge: str) -> tuple[str, ...]:
        return tuple(sorted(link.name for link in self.links.values() if link.master == bridge))


class PathKind(StrEnum):
    FILE = "file"
    BLOCK = "block"
    OTHER = "other"


@dataclass(frozen=True)
class PathFacts:
    """What stat() says of a path, symlinks followed. A path that does not exist is not in the table."""

    kind: PathKind
    size: Size  # of a regular file; 0 else
    real: str  # the path with every symlink resolved
    device: tuple[int, int] | None = None  # of a block device
    changed: int = 0  # st_mtime_ns of a regular file


@dataclass(frozen=True)
class Built:
    """From what libxl builds a live domU anew when that reboots by itself."""

    boots: frozenset[str] = frozenset()  # paths of kernel and ramdisk
    copies: frozenset[str] = frozenset()  # every copy that is named, also of what no longer counts
    runs: frozenset[str] = frozenset()  # copies that its present life was made of


@dataclass(frozen=True)
class Kept:
    """Copies of the kernels that domUs are started from, by their names in a directory of ours, `place`."""

    place: str
    copies: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()  # by a generated xl.cfg, from which one may just be started
    without: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # by name: why it got no copy
    # by domid and UUID, of those of which that is known
    built: Mapping[tuple[int, str], Built] = field(default_factory=lambda: MappingProxyType({}))
    started: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({})
    )  # by UUID: from which, the last time

    @property
    def used(self) -> frozenset[str]:
        return self.named.union(*(each.copies for each in self.built.values()))


@dataclass(frozen=True)
class Vbd:
    """A block backend that exists, so its disk is held, whatever the domain's state."""

    domid: int
    vdev: str
    params: str  # path as given to xl, without a `phy:`/`aio:` prefix
    device: tuple[int, int] | None
    writable: bool
    connected: bool = True  # the guest's driver has taken it
    by_qemu: bool = False  # not by the kernel: so are disks that several domUs share


@dataclass(frozen=True)
class Vif:
    """A network backend that exists."""

    domid: int
    devid: int
    mac: str
    bridge: str
    connected: bool = True  # the guest's driver has taken it


@dataclass(frozen=True)
class PciUse:
    """A PCI device of the host that a domain has, as 0000:03:00.0."""

    domid: int
    address: str


@dataclass(frozen=True)
class XenStore:
    """What the dom0's part of xenstore says of the devices it serves. No guest can write there."""

    vbds: tuple[Vbd, ...]
    vifs: tuple[Vif, ...] = ()
    pci: tuple[PciUse, ...] = ()


@dataclass(frozen=True)
class Hardware:
    """`xl info`. Memory that Xen has, and that no domain holds."""

    total: Size
    free: Size
    cpus: int  # those of the host, numbered from 0 on
    dom0_vcpus: int
    scheduler: str
    autoballoon: bool  # dom0 gives memory away at `xl create`: Xen was booted without dom0_mem=
    capabilities: frozenset[str] = frozenset()  # virt_caps: pv, hvm, hap, ...


@dataclass(frozen=True)
class Observed:
    """One look at the host."""

    domains: Mapping[int, LiveDomain] | Unavailable = NOT_ASKED  # by domid
    storage: Storage | Unavailable = NOT_ASKED
    network: Network | Unavailable = NOT_ASKED
    paths: Mapping[str, PathFacts] | Unavailable = NOT_ASKED  # by the path as declared
    xenstore: XenStore | Unavailable = NOT_ASKED
    hardware: Hardware | Unavailable = NOT_ASKED
    monitors: frozenset[str] | Unavailable = NOT_ASKED  # domUs whose `xl create` process is alive
    identities: Mapping[str, Identity] | Unavailable = NOT_ASKED  # by UUID
    at_work: frozenset[str] | Unavailable = NOT_ASKED  # `Preparation.key_of` disks that are being prepared
    iscsi: IscsiFacts | Unavailable = NOT_ASKED
    kernels: Kept | Unavailable = NOT_ASKED
    trials: Mapping[str, Trial] | Unavailable = NOT_ASKED  # by UUID
    xl: Unavailable | None = None  # why `domains` is only an `Outline`; None where it is none

    def by_uuid(self) -> Mapping[str, LiveDomain]:
        """Live domains by UUID; {} when unknown, so ask `domains` first. During a guest's reboot two can
        share a UUID for a moment: the newer, of the higher domid, wins."""
        if isinstance(self.domains, Unavailable):
            return {}
        return {live.uuid: live for _, live in sorted(self.domains.items())}

    def trial_of(self, uuid: str) -> Trial | None:
        """None also where that is not known, so ask `trials` first."""
        return None if isinstance(self.trials, Unavailable) else self.trials.get(uuid)

    def why_unavailable(self) -> Mapping[str, str]:
        """Tables that were asked for in vain."""
        tables = {table: getattr(self, table) for table in Table}
        return {
            str(name): table.why
            for name, table in tables.items()
            if isinstance(table, Unavailable) and table is not NOT_ASKED
        }
