"""What `doctor` and `capacity` ask of a host beyond `Observed`, and what they say. As there: a fact that could not be
had is `Unavailable`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from xenlocal.model.iscsi import Node, Portal
from xenlocal.model.observed import PathFacts, Unavailable
from xenlocal.model.units import Size


@dataclass(frozen=True)
class Xen:
    """`xl info -n`: the hypervisor that runs, and where its CPUs and its memory are."""

    commandline: str
    total: Size
    nodes: Mapping[int, Size]  # NUMA node -> its memory
    cpus: Mapping[int, int]  # CPU -> its node

    def option(self, name: str) -> str | None:
        """The value of the last `NAME=VALUE` on Xen's command line."""
        values = [word.partition("=")[2] for word in self.commandline.split() if word.startswith(f"{name}=")]
        return values[-1] if values else None


@dataclass(frozen=True)
class Pinned:
    """The CPUs that a live domain, dom0 too, may run on (hard affinity of all its vCPUs together). None: all."""

    name: str
    vcpus: int
    cpus: frozenset[int] | None


@dataclass(frozen=True)
class Unit:
    """`systemctl show`. A unit that systemd does not know is `known` = False."""

    known: bool
    enabled: bool  # it is started at boot; units made from init scripts are too
    active: bool
    masked: bool
    stops: bool  # it has an ExecStop=
    stale: bool  # its files have changed, and systemd has not read them yet
    drop_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clock:
    """`timedatectl show`."""

    synchronised: bool
    service: bool  # something that could synchronise it is installed
    enabled: bool  # ... and on


@dataclass(frozen=True)
class LvmSettings:
    """`lvmconfig`, defaults included."""

    global_filter: tuple[str, ...]
    filter: tuple[str, ...]
    scan_lvs: bool
    devicesfile: bool  # only the devices of /etc/lvm/devices are seen
    extends_pools: bool = False  # a thin pool that fills gets more room of its group by itself

    @property
    def hiding(self) -> str:
        """The setting that may hide a disk from the LVM of this host; "" where none does."""
        if self.devicesfile:
            return "use_devicesfile = 1"
        for name, patterns in (("global_filter", self.global_filter), ("filter", self.filter)):
            if any(pattern.startswith("r") for pattern in patterns):
                return f"{name} = [ {', '.join(patterns)} ]"
        return ""


@dataclass(frozen=True)
class GroupFacts:
    """A volume group: its size, and its disks as LVM names them, with what stat() says of each."""

    size: Size
    disks: Mapping[str, PathFacts]


@dataclass(frozen=True)
class Versions:
    """`running`: of the hypervisor, as 4.17.7 or 4.20.5-pre; `installed`: package -> version."""

    running: str
    installed: Mapping[str, str]


@dataclass(frozen=True)
class Grub:
    """Xen's options in /etc/default/grub and grub.d, and those of them that GRUB_CMDLINE_XEN_DEFAULT holds."""

    options: str
    default: str


@dataclass(frozen=True)
class Processes:
    """`logging`: what xenconsoled was told to log, None where it does not run. `toolstack`: other programs that make or
    remove guests and are at work now."""

    logging: str | None
    toolstack: tuple[str, ...] = ()


@dataclass(frozen=True)
class IscsiRecord:
    """How open-iscsi remembers a target: `portal` is ADDRESS,PORT[,GROUP], `startup` manual or automatic."""

    target: str
    portal: str
    startup: str

    @property
    def node(self) -> Node | None:
        words = self.portal.split(",")
        return Node(self.target, Portal(words[0], int(words[1]))) if words[1:] and words[1].isdecimal() else None


@dataclass(frozen=True)
class BootMenu:
    """What pygrub makes of the menu on a disk: the command line of what it would boot, or why it boots nothing."""

    cmdline: str
    error: str = ""


@dataclass(frozen=True)
class GuestModules:
    """A domU that boots a kernel of the dom0: its release, and those whose modules are on the guest's root disk, or why
    that is not known. No release: the file does not tell it."""

    release: str | None
    there: tuple[str, ...] = ()
    unknown: str = ""


@dataclass(frozen=True)
class Facts:
    """One examination of the host. Each is named as what gathers it: `adapters.inspection.Inspector`."""

    xen: Xen | Unavailable
    pinned: tuple[Pinned, ...] | Unavailable
    swapped: Size | Unavailable  # memory of the dom0 that lies in its swap
    versions: Versions | Unavailable
    units: Mapping[str, Unit] | Unavailable
    clock: Clock | Unavailable
    lvm: LvmSettings | Unavailable
    groups: Mapping[str, GroupFacts] | Unavailable
    grub: Grub | None | Unavailable  # None: this host has none
    processes: Processes | Unavailable
    console_option: str | Unavailable  # XENCONSOLED_ARGS of /etc/default/xen
    saved: tuple[str, ...] | Unavailable  # in /var/lib/xen/save
    auto: tuple[str, ...] | Unavailable  # in /etc/xen/auto
    iscsi: tuple[IscsiRecord, ...] | Unavailable
    needrestart: bool | None | Unavailable  # whether it leaves our units alone; None: it is not installed
    menus: Mapping[str, BootMenu] | Unavailable  # path of a disk -> its menu, of those that are there
    usb: frozenset[str] | Unavailable  # what is plugged in, each as VENDOR:PRODUCT and as BUS-PORT
    kernels: Mapping[str, Size | None] | Unavailable  # path -> memory a PV guest can use with it, where that is known
    modules: Mapping[str, GuestModules] | Unavailable  # by name of the domU, of those whose kernel has modules


class Severity(StrEnum):
    CRITICAL = "critical"  # guests, or their data, are in danger
    WARNING = "warning"
    UNKNOWN = "unknown"  # it could not be found out, which is not fine
    INFO = "info"
    OK = "ok"


class Code(StrEnum):
    """Every check of the doctor; each says at least one thing. docs/xenlocal.8.scd describes them."""

    CONFIG = "config"
    DOM0_MEM = "dom0-mem"
    DOM0_VCPUS = "dom0-vcpus"
    AUTOBALLOON = "autoballoon"
    DOM0_SWAP = "dom0-swap"
    MEMORY = "memory"
    PINNING = "pinning"
    NUMA = "numa"
    VERSIONS = "versions"
    SAVE_IMAGE = "save-image"
    AUTO_LINK = "auto-link"
    XENDOMAINS = "xendomains"
    UNITS = "units"
    TOOLSTACK = "toolstack"
    NEEDRESTART = "needrestart"
    LVM_FILTER = "lvm-filter"
    THIN_POOL = "thin-pool"
    ISCSI = "iscsi"
    CLOCK = "clock"
    GUEST_CLOCK = "guest-clock"
    CONSOLE_LOG = "console-log"
    BOOT_FILES = "boot-files"
    BOOT_MENU = "boot-menu"
    GUEST_TYPE = "guest-type"
    KERNEL_MEMORY = "kernel-memory"
    MODULES = "modules"
    PCI = "pci"
    IOMMU = "iommu"
    USB = "usb"


@dataclass(frozen=True)
class Finding:
    """`text`: one sentence; `next`: what to type or write, "" where nothing has to be done."""

    code: Code
    severity: Severity
    text: str
    next: str = ""


@dataclass(frozen=True)
class _Amounts:
    """In bytes. `promised`: to the domUs with state = running; `free_after_boot`: when all of those have what the files
    say; `largest`: what one more can have, now and after a full boot."""

    total: Size
    used: Size
    promised: Size
    promised_manual: Size
    free: Size
    free_after_boot: Size
    largest: Size


@dataclass(frozen=True)
class GroupCapacity(_Amounts):
    """A volume group. `promised`: what the domUs of the files have in it once their volumes are as declared;
    `free_after_boot`: when those are made that are missing, and those grown that are smaller; `largest`: a disk."""

    name: str


@dataclass(frozen=True)
class MemoryCapacity(_Amounts):
    """`free`, `free_after_boot`: as Xen has it, dom0_reserve among it; `largest`: memory of a domU of one vCPU."""

    missing: Size  # not all can run at once
    autoballoon: bool


@dataclass(frozen=True)
class Capacity:
    memory: MemoryCapacity | Unavailable
    groups: tuple[GroupCapacity, ...] | Unavailable
