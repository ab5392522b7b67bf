"""Plain data of the simulated host; `coding` writes it as JSON. No behaviour: see `host`, `guests` and the tools.

Times are seconds of the host's own clock, `Host.now`, which starts at 0 and never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xenlocal.simulator.iscsi import IscsiSession, IscsiTarget
from xenlocal.simulator.surroundings import Surroundings

GIB = 1 << 30


_FILES = (
    "/boot/vmlinu[xz]*",
    "/boot/initrd*",
    "/lib/modules/*/modules.dep",
    "/usr/bin/mmdebstrap",
    "/usr/libexec/xen-qemu-system-i386",
    "/usr/share/seabios/bios-256k.bin",
)


@dataclass
class Later:
    """Something the guest does by itself, `after` seconds from its birth, in its first `times` lives."""

    after: float
    what: str  # poweroff | crash | reboot
    times: int = 1


@dataclass
class Behaviour:
    """How a guest behaves. Kept by domain name, so it holds for every birth under that name."""

    create_seconds: float | None = None  # of its `xl create`; None: as the host's durations say
    install_seconds: float | None = None  # of work on its disks before a start; None: as the host's durations say
    install_fails: int = 0  # so many times
    boot_seconds: float = 3.0  # from birth until it can be asked to stop (control/feature-poweroff = "1")
    stop_seconds: float | None = 1.0  # from hearing the request until it is off; None: it never stops
    deaf: bool = False  # never even acknowledges a request
    loses: int = 0  # so many requests have no effect although they are acknowledged: it is still booting
    write_seconds: float = 0.0  # from hearing the request it writes to its disks for so long
    mounted: list[str] = field(default_factory=list)  # disks that it does not let go of
    busy: bool = False  # it writes to its disks all the time
    no_pv: bool = False  # a guest without PV drivers: no feature; `xl shutdown` needs -F, ACPI is obeyed
    listen: dict[str, float] = field(default_factory=dict)  # "host:port" -> seconds after birth
    answer: dict[str, float] = field(default_factory=dict)  # host that answers a ping -> seconds after birth
    write: dict[str, float] = field(default_factory=dict)  # xenstore key set to 1, as data/x -> seconds after birth
    say: dict[str, float] = field(default_factory=dict)  # line on its console -> seconds after birth
    later: list[Later] = field(default_factory=list)
    hangs_with: str = ""  # part of the path of a kernel with which it does not come up


@dataclass
class Disk:
    vdev: str
    path: str
    writable: bool = True
    devid: int = 51712
    device: str = ""  # "major:minor" in decimal
    loop: int | None = None  # number of the loop device of an image file
    capacity: int = 0  # ... and its size as the guest sees it
    by_qemu: bool = False  # backendtype=qdisk


@dataclass
class Nic:
    devid: int
    mac: str
    bridge: str


@dataclass
class Domain:
    """A domU that `xl list` shows."""

    domid: int
    name: str
    uuid: str
    type: str = "pv"
    state: str = "running"  # running | paused | shutdown | crashed | dying
    memory_kib: int = 0
    maxmem_kib: int = 0
    vcpus: int = 1
    maxvcpus: int = 1
    weight: int = 256
    pinned: str = "all"
    config: dict[str, Any] = field(default_factory=dict)  # as read from its xl.cfg
    staged: dict[str, Any] | None = None  # by `xl config-update`
    disks: list[Disk] = field(default_factory=list)
    nics: list[Nic] = field(default_factory=list)
    born: float = 0.0
    ended: float | None = None
    reason: str = ""  # poweroff | reboot | crash, once it has ended
    released: bool = True  # False while `xl create` still makes its devices
    torn: bool = False  # its devices are being taken away
    boot_seconds: float = 3.0  # its behaviour's at birth
    requested: str = ""  # control/shutdown
    lost: int = 0  # requests that it has lost
    heard: float | None = None  # when it heard one that it did not lose
    monitor: bool = True  # its xl monitor is alive
    elsewhere: bool = False  # ... and was given an xl.cfg that is none of xenlocal's
    scope: str = ""  # the systemd scope of the monitor
    extra: dict[str, str] = field(default_factory=dict)  # further xenstore keys it wrote, such as data/x


@dataclass
class Fill:
    """Of a thin pool, in percent."""

    data: float = 0.0
    metadata: float = 10.0
    health: str = ""


@dataclass
class Volume:
    vg: str
    lv: str
    size: int
    minor: int
    active: bool = True
    tags: list[str] = field(default_factory=list)
    uuid: str = ""
    opened: bool = False  # by the dom0 itself, such as one that is mounted
    left_out: bool = False  # by activation/volume_list of lvm.conf(5)
    pool: str = ""  # the thin pool it is in
    origin: str = ""  # of a snapshot
    fill: Fill | None = None  # of a thin pool
    elsewhere: bool = False  # another host of its group has it active


@dataclass
class Group:
    name: str
    size: int
    extent: int = 4 << 20
    disk: str = ""  # its physical volume; "": some disk of the host
    locks: str = ""  # sanlock or dlm: it is shared by hosts
    started: bool = True  # its locks are (`vgchange --lockstart`)


@dataclass
class Link:
    name: str
    index: int
    kind: str = ""  # bridge | vif | dummy | ...; "" for hardware
    mtu: int = 1500
    up: bool = False
    master: str | None = None
    alias: str = ""
    mac: str = "52:54:00:00:00:01"
    addresses: list[str] = field(default_factory=list)
    stp: bool = False
    vlan_filtering: bool = False
    lower: str = ""  # the interface that a VLAN stands on
    leased: list[str] = field(default_factory=list)  # those of its addresses that DHCP gave


@dataclass
class Route:
    """A default route. `gateway` may be IPv6; empty: on the link itself."""

    link: str
    gateway: str = ""


@dataclass
class Path:
    """A file or device that is not an LV."""

    kind: str = "file"  # file | block | other
    size: int = 0
    real: str = ""  # with symlinks resolved; "" = the path itself
    device: str = ""  # "major:minor" of a block device
    allocated: int = 0  # bytes that fallocate has reserved
    changed: int = 0  # st_mtime_ns


@dataclass
class Program:
    """A program of the administrator's on the dom0: its exit status, and how long it takes."""

    status: int = 0
    seconds: float = 0.01


@dataclass
class Timer:
    """A transient unit of `systemd-run --on-active=`: `command` runs when it is due."""

    unit: str
    due: float
    command: list[str] = field(default_factory=list)


@dataclass
class Happening:
    """Something that will happen by itself. `domid` -1: not bound to the life of one domain."""

    at: float
    seq: int
    what: str  # say | release | heard | end | torn | gone | reborn | disk done
    domid: int = -1
    detail: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    scope: str = ""


@dataclass
class Durations:
    """Seconds that each command takes."""

    xl_list: float = 0.05
    xl_create: float = 2.0
    xl_create_paused: float = 1.5  # ... at its end, in which the domU exists, paused
    xl_change: float = 0.05  # shutdown, mem-set, vcpu-set, config-update, ...
    xl_destroy: float = 0.3
    xenstore: float = 0.02
    lvm_list: float = 0.1
    lvm_change: float = 0.3
    ip: float = 0.01
    install: float = 180.0  # a first installation, or the growth of a file system
    other: float = 0.01
    probe: float = 0.0  # a TCP connection accepted or refused
    teardown: float = 0.3  # how long a monitor takes to destroy a domU that has ended
    reboot_pause: float = 2.0  # the monitor's sleep between destroying and creating anew
    dying: float = 0.0  # how long a destroyed domain lingers as dying, its disks held
    acknowledge: float = 0.1  # from a request until the guest heard it


@dataclass
class Host:
    """The whole simulated dom0."""

    now: float = 0.0
    epoch: float = 1_700_000_000.0  # Unix time at now = 0
    name: str = "dom0"
    time_scale: float = 1.0  # live only: real seconds for one simulated second
    live_since: list[float] | None = None  # live only: [monotonic seconds, now] when the present run began
    seq: int = 0  # of happenings
    lifecycle: int = 0  # grows by one with every birth, shutdown and death: what xenstore would announce
    memory_mib: int = 16384
    dom0_memory_mib: int = 2048
    xen_overhead_mib: int = 128
    domain_overhead_mib: int = 1
    dom0_vcpus: int = 4
    cpus: int = 4
    scheduler: str = "credit2"
    virt_caps: str = "pv hvm hap gnttab-v1 gnttab-v2"
    xen_commandline: str = "placeholder dom0_mem=2048M,max:2048M"
    xl_conf: str = ""
    console_log: bool = True  # xenconsoled runs with --log=guest
    xen_major: int = 4
    xen_minor: int = 17
    next_domid: int = 1
    next_minor: int = 0
    next_link: int = 1
    domains: list[Domain] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)  # addresses that do not answer a ping
    paths: dict[str, Path] = field(default_factory=dict)
    full: bool = False  # no room for copies of kernels
    patterns: list[str] = field(default_factory=lambda: [*_FILES])  # regular files
    holds: dict[str, str] = field(default_factory=dict)  # what `blkid` finds on a disk, by its path; nothing: empty
    texts: dict[str, str] = field(default_factory=dict)  # readable files: xl's logs, configs of tests
    targets: list[IscsiTarget] = field(default_factory=list)
    sessions: list[IscsiSession] = field(default_factory=list)
    programs: dict[str, Program] = field(default_factory=dict)  # by absolute path
    timers: list[Timer] = field(default_factory=list)
    agenda: list[Happening] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    durations: Durations = field(default_factory=Durations)
    surroundings: Surroundings = field(default_factory=Surroundings)

    def domain(self, name_or_id: str) -> Domain | None:
        """The domain that xl would take `name_or_id` for: digits are a domid."""
        if name_or_id.isdigit():
            return next((dom for dom in self.domains if dom.domid == int(name_or_id)), None)
        return next((dom for dom in self.domains if dom.name == name_or_id and dom.state != "dying"), None)

    def volume(self, vg: str, lv: str) -> Volume | None:
        return next((vol for vol in self.volumes if (vol.vg, vol.lv) == (vg, lv)), None)

    def group(self, name: str) -> Group | None:
        return next((group for group in self.groups if group.name == name), None)

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)

    def behaviour(self, name: str) -> Behaviour:
        """The behaviour of a name, made on first use."""
        return self.behaviours.setdefault(name, Behaviour())

    def free_mib(self) -> int:
        """Memory that Xen could give to a new domain."""
        used = sum(-(-dom.memory_kib // 1024) + self.domain_overhead_mib for dom in self.domains)
        return self.memory_mib - self.dom0_memory_mib - self.xen_overhead_mib - used


def small_host() -> Host:
    """16 GB, one VG of 500 GB, one NIC with the default route, no domU, no bridge."""
    host = Host(groups=[Group("vg0", 500 * GIB)])
    host.links.append(
        Link("lo", 1, kind="loopback", mtu=65536, up=True, mac="00:00:00:00:00:00", addresses=["127.0.0.1/8"])
    )
    host.links.append(Link("eno1", 2, up=True, mac="52:54:00:12:34:56", addresses=["192.0.2.10/24"]))
    host.next_link, host.routes = 3, [Route("eno1", "192.0.2.1")]
    return host
