"""The named scenarios, as data: a host, its files, what happens, and what it has to be in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.stage import Happening, Scenario
from tests.faults.truth import trials
from tests.unit.engine.rig import conf, listens
from xenlocal.model.diskwork import Preparation
from xenlocal.model.names import parse_trash_name, trash_name
from xenlocal.simulator.iscsi import IscsiTarget, Lun
from xenlocal.simulator.state import (
    Behaviour,
    Disk,
    Domain,
    Fill,
    Group,
    Host,
    Later,
    Link,
    Path,
    Program,
    Route,
    Volume,
)

GIB = 1 << 30


def ask(at: float, verb: str, *names: str) -> Happening:
    return Happening(at, "ask", (verb, *names))


def write(at: float, *texts: str, name: str = "a.conf") -> Happening:
    return Happening(at, "write", (name, "\n".join(texts)))


def drop(at: float, name: str = "a.conf") -> Happening:
    return Happening(at, "drop", (name,))


def end(at: float, name: str, how: str) -> Happening:
    return Happening(at, "end", (name, how))


def xl(at: float, *words: str) -> Happening:
    return Happening(at, "xl", words)


def host(at: float, change: Callable[[Host], object]) -> Happening:
    return Happening(at, "host", change=change)


def restart(at: float) -> Happening:
    return Happening(at, "restart")


def files(*texts: str, **more: str) -> dict[str, str]:
    return {"a.conf": "\n".join(texts), **{f"{name}.conf": text for name, text in more.items()}}


def lv(name: str, size: str = "1G", vdev: str = "xvda") -> str:
    return f"[[disk {vdev}]]\nvolume = vg0/{name}\nsize = {size}"


def nic(bridge: str = "br0") -> str:
    return f"[[nic eth0]]\nbridge = {bridge}"


def lic(*keys: str, mac: str = "") -> str:
    return conf("lic", QUICK, *keys, lv("lic"), nic(), *([f"mac = {mac}"] if mac else []))


def macs(host: Host) -> list[str]:
    return [nic.mac for domain in host.domains for nic in domain.nics]


def copies(host: Host) -> list[str]:
    """Of kernels: their directories."""
    place = "/var/lib/xenlocal/kernels/"
    return sorted({path.rpartition("/")[0] for path in host.paths if path.startswith(place)})


def kernels(host: Host) -> set[str]:
    """What the domUs that run were started from: the directories."""
    return {str(domain.config["kernel"]).rpartition("/")[0] for domain in host.domains}


def with_device(host: Host) -> None:
    """One that guests can have."""
    host.virt_caps += " pv_directio"
    host.paths |= {PCI: Path("other"), f"{PCI}/driver": Path("other", real="/sys/bus/pci/drivers/pciback")}


def vdevs(host: Host, name: str) -> list[str]:
    return [disk.vdev for domain in host.domains if domain.name == name for disk in domain.disks]


def running(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "running")


def off(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "off")


def volumes(host: Host) -> dict[str, int]:
    return {volume.lv: volume.size for volume in host.volumes}


def in_trash(host: Host) -> list[str]:
    return [found[1] for volume in host.volumes if (found := parse_trash_name(volume.lv))]


IQN = "iqn.2012-10.example:bay1"
BAY1 = f"[iscsi bay1]\nportal = 192.0.2.10\ntarget = {IQN}"
ON_BAY1 = conf("db", f"[[disk xvda]]\ndevice = /dev/disk/by-path/ip-192.0.2.10:3260-iscsi-{IQN}-lun-3")


def _bay1(host: Host, **values: Any) -> None:
    host.targets.append(IscsiTarget(IQN, "192.0.2.10", luns={"3": Lun("/dev/sdc", "8:32")}, **values))


def _foreign(host: Host, name: str = "alien", **values: Any) -> None:
    """A domU that somebody started with xl, with an LV of its own."""
    host.volumes.append(Volume("vg0", f"{name}-root", GIB, host.next_minor))
    disk = Disk("xvda", f"/dev/vg0/{name}-root", True, 51712, f"253:{host.next_minor}")
    host.next_minor += 1
    domain = Domain(host.next_domid, name, f"99999999-0000-0000-0000-{host.next_domid:012d}", memory_kib=256 << 10)
    domain.maxmem_kib, domain.disks, domain.elsewhere = 256 << 10, [disk], True
    domain.config = {"name": name, "uuid": domain.uuid, "on_poweroff": "destroy"}
    for key, value in values.items():
        setattr(domain, key, value)
    host.next_domid += 1
    host.domains.append(domain)


def _foreign_paused_and_dead(host: Host) -> None:
    _foreign(host, "still", state="paused")
    _foreign(host, "dead", state="shutdown", monitor=False)


def unwatched(host: Host, *names: str) -> None:
    """The xl monitors of these domUs, or of all, have been killed."""
    for domain in host.domains:
        domain.monitor = domain.monitor and bool(names) and domain.name not in names


def _marked(host: Host) -> list[str]:
    """Disks that still wait for work on them."""
    marks = [work.mark for work in Preparation]
    return [one.lv for one in host.volumes if {*marks} & {*one.tags}] + [
        path for path in host.paths if path.endswith(tuple(marks))
    ]


def _filled_by_hand(host: Host) -> None:
    """An LV that was made to be installed into, and on which somebody has made a file system."""
    host.volumes.append(Volume("vg0", "web", GIB, host.next_minor, tags=["xenlocal", Preparation.INSTALL.mark]))
    host.next_minor += 1
    host.holds["/dev/vg0/web"] = "xfs"


def _trunk(host: Host) -> None:
    """br0 is ours, and carries the default route over eno1."""
    eno1, br0 = host.link("eno1"), host.link("br0")
    assert eno1 is not None and br0 is not None
    eno1.master, br0.addresses, eno1.addresses = "br0", eno1.addresses, []
    host.routes = [Route("br0", "192.0.2.1")]
    host.links.append(Link("eno2", host.next_link, up=True, mac="52:54:00:12:34:57"))
    host.next_link += 1


def _spare_nic(host: Host) -> None:
    host.links.append(Link("eno2", host.next_link, up=True, mac="52:54:00:12:34:57"))
    host.next_link += 1


def _bridge(name: str, **wanted: object) -> Callable[[Host], bool]:
    def holds(host: Host) -> bool:
        link = host.link(name)
        return link is not None and all(getattr(link, key) == value for key, value in wanted.items())

    return holds


def _port(name: str, master: str | None) -> Callable[[Host], bool]:
    return lambda host: host.link(name) is not None and host.link(name).master == master  # type: ignore[union-attr]


def thin(size: str, *keys: str) -> str:
    return conf("db", *keys, lv("db", size), "pool = thin0")


def shared_vg(name: str, *keys: str) -> str:
    return conf(name, *keys, f"[[disk xvda]]\nvolume = vg1/{name}\nsize = 1G")


def _pool(host: Host) -> None:
    host.volumes.append(Volume("vg0", "thin0", 20 * GIB, host.next_minor, fill=Fill(20.0)))
    host.next_minor += 1


def _fill(host: Host, percent: float) -> None:
    pool = host.volume("vg0", "thin0")
    assert pool is not None and pool.fill is not None
    pool.fill.data = percent


def _shared_group(host: Host) -> None:
    host.groups.append(Group("vg1", 100 * GIB, locks="sanlock"))


def _shared_group_without_locks(host: Host) -> None:
    _shared_group(host)
    _start_locks(host, False)


def _start_locks(host: Host, started: bool) -> None:
    group = host.group("vg1")
    assert group is not None
    group.started = started


def _elsewhere(host: Host, elsewhere: bool) -> None:
    """Another host of the group has activated it: at a moment at which it was not active here."""
    volume = host.volume("vg1", "db")
    if volume is not None and (not volume.active or not elsewhere):
        volume.elsewhere = elsewhere


def _tag(host: Host, lv: str, owner: str) -> None:
    volume = host.volume("vg0", lv)
    assert volume is not None
    volume.tags = ["xenlocal", f"xenlocal.host={owner}"]


def _theirs(host: Host, lv: str) -> None:
    host.volumes.append(Volume("vg0", lv, GIB, host.next_minor))
    host.next_minor += 1
    _tag(host, lv, "other")


def _trashed(lv: str) -> Callable[[Host], object]:
    def change(host: Host) -> None:
        name = trash_name(lv, host.epoch + host.now - 86400)
        host.volumes.append(Volume("vg0", name, GIB, host.next_minor, tags=["xenlocal"]))
        host.next_minor += 1

    return change


TRASHED = trash_name("old", 1_700_000_000.0 + 1000.0 - 86400)
BR0 = "[bridge br0]\nexternal = yes"
CHAIN = (BR0, conf("nas", lv("nas")), conf("db", "after = nas", lv("db")), conf("web", "needs = db", nic()))
DIAMOND = (conf("nas"), conf("left", "needs = nas"), conf("right", "after = nas"), conf("top", "needs = left, right"))
SHORT = "[host]\nshutdown_deadline = 3m"
QUICK = "stop_timeout = 20s"
INSTALL = "[[install]]\nsuite = bookworm"
INSTALLS = {"web": {"install_seconds": 30.0}}
TRIED = conf("web", QUICK, "start_timeout = 20s\ncmdline = root=/dev/xvda", lv("web"), "[[ready]]\ntcp = 192.0.2.50:1")
TRYING = {"listen": {"192.0.2.50:1": 1.0}, "install_seconds": 15.0}
FILE = "[[disk xvda]]\nfile = /srv/db.img"
SHARED = lv("both", "1G", "xvdb") + "\nmode = w!"
OTHER_MAC = "00:16:3e:00:00:99"
CARD = "pci = 0000:03:00.0"
PCI = "/sys/bus/pci/devices/0000:03:00.0"
ETH1 = "[[nic eth1]]\nbridge = br0"
DRIVE = "[[disk hdc]]\ncdrom = /srv/some.iso"
NO_DRIVERS = {"no_pv": True}


def machine(name: str, *lines: str) -> str:
    """An hvm guest, which boots its disk."""
    return conf(name, "type = hvm", QUICK, *lines).replace("kernel = /boot/vmlinuz\n", "")


def _gets(**wanted: object) -> Callable[[Host], bool]:
    """The one domU's settings, as Xen has them."""
    return lambda host: all(getattr(domain, key) == value for domain in host.domains for key, value in wanted.items())


def _configs(domain: Domain) -> list[dict[str, Any]]:
    """What it runs with, and what it will after its next reboot."""
    return [domain.config, domain.staged or {}]


def _kernel(host: Host, changed: int) -> None:
    host.paths["/boot/vmlinuz"] = Path("file", 8 << 20, changed=changed)


TRIES = (ask(10, "stop", "web"), host(40, lambda host: _kernel(host, 2)), ask(50, "kernel", "web"))


def _before_there_were_copies(host: Host) -> None:
    """As a former version of xenlocal leaves it behind."""
    for copy in copies(host):
        del host.paths[f"{copy}/kernel"]
        host.texts = {path: text.replace(f"{copy}/kernel", "/boot/vmlinuz") for path, text in host.texts.items()}
    for domain in host.domains:
        domain.config["kernel"] = "/boot/vmlinuz"


def _room_for_copies(host: Host, room: bool) -> None:
    host.full = not room


SCENARIOS: tuple[Scenario, ...] = (
    # The boot of the host
    Scenario("boot-chain", files(*CHAIN), (ask(0, "boot"),), running("nas", "db", "web"), cold=True),
    Scenario("boot-diamond", files(*DIAMOND), (ask(0, "boot"),), running("nas", "left", "right", "top"), cold=True),
    Scenario(
        "boot-many-alone",
        files(BR0, *(conf(f"g{n}", lv(f"g{n}"), nic()) for n in range(6))),
        (ask(0, "boot"),),
        running(*(f"g{n}" for n in range(6))),
        cold=True,
    ),
    Scenario(
        "boot-with-bridge",
        files("[bridge br7]\nports = none\naddress = 10.9.0.1/24", conf("web", nic("br7"))),
        (ask(0, "boot"),),
        running("web"),
        cold=True,
        holds=_bridge("br7", up=True, alias="xenlocal"),
    ),
    Scenario(
        "before-the-boot-nothing-starts",
        files(conf("web", lv("web"))),
        (),
        off("web"),
        cold=True,
        holds=lambda host: "web" in volumes(host),
        seconds=60,
    ),
    Scenario("boot-by-apply", files(*CHAIN), (ask(2, "apply"),), running("nas", "db", "web"), cold=True),
    Scenario(
        "boot-with-broken-files",
        files("[domain"),
        (ask(0, "boot"), write(30, conf("web"))),
        running("web"),
        cold=True,
    ),
    Scenario(
        "boot-states",
        files(conf("on"), conf("hand", "state = manual"), conf("no", "state = stopped")),
        (ask(0, "boot"),),
        {**running("on"), **off("hand", "no")},
        cold=True,
    ),
    Scenario(
        "boot-slow-guest",
        files(conf("slow"), conf("next", "after = slow")),
        (ask(0, "boot"),),
        running("slow", "next"),
        cold=True,
        behave={"slow": {"boot_seconds": 45.0, "create_seconds": 20.0}},
    ),
    Scenario(
        "boot-under-autoballoon",
        files(*(conf(f"g{n}") for n in range(3))),
        (ask(0, "boot"),),
        running("g0", "g1", "g2"),
        cold=True,
        host=lambda host: setattr(host, "xen_commandline", "placeholder"),
    ),
    Scenario(
        "boot-memory-short",
        files(conf("a"), conf("big").replace("512M", "12G"), conf("c").replace("512M", "6G")),
        (ask(0, "boot"),),
        running("a") | {"big": "running|off", "c": "off|running"},  # where big fails, c takes the memory
        holds=lambda host: len(host.domains) == 2,
        cold=True,
    ),
    Scenario(
        "boot-critical-first",
        files(conf("a").replace("512M", "12G"), conf("z", "critical = yes").replace("512M", "6G")),
        (ask(0, "boot"),),
        {"z": "running|off", "a": "off|running"},  # where z fails, a takes the memory
        holds=lambda host: len(host.domains) == 1,
        cold=True,
    ),
    Scenario(
        "boot-over-saved-state",
        files(conf("saved"), conf("web", "needs = saved"), conf("free")),
        (ask(0, "boot"),),
        running("free") | off("saved", "web"),
        cold=True,
        host=lambda host: host.paths.update({"/var/lib/xen/save/saved": Path("file", GIB)}),
    ),
    Scenario(
        "boot-kernel-missing",
        files(conf("web").replace("/boot/vmlinuz", "/srv/none"), conf("free")),
        (ask(0, "boot"),),
        running("free") | off("web"),
        cold=True,
    ),
    Scenario(
        "boot-beside-a-foreign-namesake",
        files(conf("web"), conf("free")),
        (ask(0, "boot"),),
        {"web": "running", "free": "running"},
        cold=True,
        host=lambda host: _foreign(host, "web"),
        holds=lambda host: [domain.uuid[:8] for domain in host.domains if domain.name == "web"] == ["99999999"],
    ),
    Scenario(
        "boot-disk-held-by-a-foreign-domu",
        files(conf("web", "[[disk xvda]]\nvolume = vg0/alien-root")),
        (ask(0, "boot"),),
        off("web") | running("alien"),
        cold=True,
        host=_foreign,
    ),
    Scenario(
        "boot-inactive-volume",
        files(conf("web", lv("web"))),
        (ask(0, "boot"),),
        running("web"),
        cold=True,
        host=lambda host: host.volumes.append(Volume("vg0", "web", GIB, 7, active=False, tags=["xenlocal"])),
    ),
    Scenario(
        "boot-volume-group-full",
        files(conf("web", lv("web", "600G")), conf("free", lv("free"))),
        (ask(0, "boot"),),
        running("free") | off("web"),
        cold=True,
    ),
    Scenario(
        "boot-image-file",
        files(conf("nfs", "[[disk xvda]]\nfile = /srv/nfs.img\nsize = 2G")),
        (ask(0, "boot"),),
        running("nfs"),
        cold=True,
        holds=lambda host: host.paths["/srv/nfs.img"].size == 2 * GIB,
    ),
    # Probes, and those that stand on them
    Scenario(
        "ready-tcp",
        files(listens("db", 5432), conf("web", "needs = db")),
        (ask(0, "boot"),),
        running("db", "web"),
        cold=True,
        behave={"db": {"listen": {"192.0.2.50:5432": 12.0}}},
    ),
    Scenario(
        "ready-ping",
        files(conf("db", "[[ready]]\nping = 192.0.2.77"), conf("web", "needs = db")),
        (ask(0, "boot"),),
        running("db", "web"),
        cold=True,
        behave={"db": {"answer": {"192.0.2.77": 9.0}}},
    ),
    Scenario(
        "ready-console",
        files(conf("db", "[[ready]]\nconsole = login:"), conf("web", "needs = db")),
        (ask(0, "boot"),),
        running("db", "web"),
        cold=True,
        behave={"db": {"say": {"Debian login:": 8.0}}},
    ),
    Scenario(
        "ready-xenstore",
        files(conf("db", "[[ready]]\nxenstore = data/up"), conf("web", "needs = db")),
        (ask(0, "boot"),),
        running("db", "web"),
        cold=True,
        behave={"db": {"write": {"data/up": 11.0}}},
    ),
    Scenario(
        "ready-command",
        files(conf("db", "[[ready]]\ncommand = /usr/local/bin/up"), conf("web", "needs = db")),
        (ask(0, "boot"),),
        running("db", "web"),
        cold=True,
        host=lambda host: host.programs.update({"/usr/local/bin/up": Program()}),
    ),
    Scenario(
        "never-ready-needs",
        files(listens("db", 5432, "start_timeout = 20s"), conf("web", "needs = db")),
        (ask(0, "boot"),),
        running("db") | off("web"),
        cold=True,
    ),
    Scenario(
        "never-ready-after",
        files(listens("db", 5432, "start_timeout = 20s"), conf("web", "after = db")),
        (ask(0, "boot"),),
        running("db", "web"),
        cold=True,
    ),
    Scenario(
        "ready-late",
        files(listens("db", 5432, "start_timeout = 20s"), conf("web", "needs = db")),
        (ask(0, "boot"),),
        running("db", "web"),
        cold=True,
        behave={"db": {"listen": {"192.0.2.50:5432": 40.0}}},
    ),
    Scenario(
        "readiness-lost",
        files(listens("db", 5432, "on_unready = restart"), conf("web", "after = db")),
        (
            host(5, lambda host: host.behaviours.__setitem__("db", Behaviour())),
            host(70, lambda host: host.behaviours.__setitem__("db", Behaviour(listen={"192.0.2.50:5432": 3.0}))),
        ),
        running("db", "web"),
        behave={"db": {"listen": {"192.0.2.50:5432": 3.0}}},
        seconds=120,
    ),
    # Things that come late
    Scenario(
        "device-appears-late",
        files(conf("db", "[[disk xvda]]\ndevice = /dev/disk/by-path/lun-3"), conf("free")),
        (
            ask(0, "boot"),
            host(40, lambda host: host.paths.update({"/dev/disk/by-path/lun-3": Path("block", 0, "/dev/sdc", "8:32")})),
        ),
        running("db", "free"),
        cold=True,
    ),
    Scenario(
        "after-a-device",
        files(conf("db", "after = device//dev/sdq", "start_timeout = 30s")),
        (ask(0, "boot"),),
        running("db"),
        cold=True,
        seconds=120,
    ),
    Scenario(
        "needs-a-bridge",
        files("[bridge br9]\nexternal = yes", conf("web", "needs = bridge/br9", nic("br9"))),
        (ask(0, "boot"), host(30, lambda host: host.links.append(Link("br9", 90, "bridge", up=True)))),
        running("web"),
        cold=True,
    ),
    # iSCSI
    Scenario(
        "iscsi-target-comes-late",
        files(BAY1, ON_BAY1, conf("free"), conf("late", "after = iscsi/bay1", "start_timeout = 20s")),
        (ask(0, "boot"), host(40, lambda host: setattr(host.targets[0], "answers", True))),
        running("db", "free", "late"),
        cold=True,
        host=lambda host: _bay1(host, answers=False),
        holds=lambda host: len(host.sessions) == 1,
    ),
    Scenario(
        "iscsi-with-a-secret",
        files(f"{BAY1}\nchap_user = dom0\nchap_secret = /etc/bay1.secret", ON_BAY1),
        (ask(0, "boot"), host(30, lambda host: host.texts.update({"/etc/bay1.secret": "swordfish\n"}))),
        running("db"),
        cold=True,
        host=lambda host: _bay1(host, user="dom0", secret="swordfish"),
    ),
    Scenario(
        "iscsi-session-lost-and-back",
        files(BAY1, ON_BAY1, conf("free")),
        (
            host(5, lambda host: setattr(host.sessions[0], "state", "FAILED")),
            write(10, BAY1, ON_BAY1, conf("free"), conf("late", "needs = iscsi/bay1")),
            host(60, lambda host: setattr(host.sessions[0], "state", "LOGGED_IN")),
        ),
        running("db", "free", "late"),
        host=_bay1,
        holds=lambda host: len(host.sessions) == 1,
    ),
    Scenario(
        "iscsi-section-vanishes",
        files(BAY1, ON_BAY1),
        (write(5, ON_BAY1), restart(20), write(40, BAY1, ON_BAY1)),
        running("db"),
        host=_bay1,
        holds=lambda host: len(host.sessions) == 1 and [domain.domid for domain in host.domains] == [1],
    ),
    # Edits
    Scenario(
        "edit-new-domain", files(conf("nas")), (write(1, conf("nas"), conf("new", lv("new"))),), running("nas", "new")
    ),
    Scenario(
        "edit-grow",
        files(conf("db", lv("db"))),
        (write(1, conf("db", lv("db", "3G"))),),
        running("db"),
        holds=lambda host: volumes(host)["db"] == 3 * GIB,
    ),
    Scenario(
        "edit-grow-file",
        files(conf("db", "[[disk xvda]]\nfile = /srv/a.img\nsize = 1G")),
        (write(1, conf("db", "[[disk xvda]]\nfile = /srv/a.img\nsize = 3G")),),
        running("db"),
        holds=lambda host: host.domains[0].disks[0].capacity == 3 * GIB,
    ),
    Scenario(
        "edit-shrink-refused",
        files(conf("db", lv("db", "3G"))),
        (write(1, conf("db", lv("db"))),),
        running("db"),
        holds=lambda host: volumes(host)["db"] == 3 * GIB,
    ),
    Scenario(
        "edit-stopped",
        files(conf("nas"), conf("db", "after = nas")),
        (write(1, conf("nas", "state = stopped"), conf("db", "after = nas", "state = stopped")),),
        off("nas", "db"),
    ),
    Scenario(
        "edit-stopped-then-running",
        files(conf("db", QUICK)),
        (write(1, conf("db", QUICK, "state = stopped")), write(4, conf("db", QUICK))),
        running("db"),
        behave={"db": {"stop_seconds": 8.0}},
    ),
    Scenario(
        "edit-manual", files(conf("db")), (write(1, conf("db", "state = manual")), end(20, "db", "poweroff")), off("db")
    ),
    Scenario(
        "edit-absent",
        files(conf("db", lv("db")), conf("nas")),
        (write(1, conf("db", "state = absent", lv("db")), conf("nas")),),
        off("db") | running("nas"),
        holds=lambda host: in_trash(host) == ["db"] and "db" not in volumes(host),
    ),
    Scenario(
        "edit-absent-hung",
        files(conf("db", QUICK, lv("db"))),
        (write(1, conf("db", QUICK, "state = absent", lv("db"))),),
        off("db"),
        behave={"db": {"stop_seconds": None}},
        holds=lambda host: in_trash(host) == ["db"],
    ),
    Scenario(
        "edit-absent-and-back",
        files(conf("db", lv("db"))),
        (write(1, conf("db", "state = absent", lv("db"))), write(2.5, conf("db", lv("db")))),
        running("db"),
        behave={"db": {"stop_seconds": 30.0}},
    ),
    Scenario(
        "two-readers-of-one-volume",
        files(*(conf(name, "[[disk xvda]]\nvolume = vg0/both\nsize = 1G\nmode = r") for name in ("a", "b"))),
        (ask(0, "boot"),),
        running("a", "b"),
        cold=True,
    ),
    Scenario(
        "section-vanishes",
        files(conf("nas"), conf("db", lv("db"))),
        (write(1, conf("nas")),),
        running("nas", "db"),
        holds=lambda host: "db" in volumes(host),
    ),
    Scenario(
        "section-vanishes-then-dies",
        files(conf("nas"), conf("db")),
        (write(1, conf("nas")), end(20, "db", "crash")),
        running("nas") | {"db": "crashed"},
    ),
    Scenario(
        "file-truncated",
        files(conf("nas"), more=conf("db")),
        (write(1, conf("db")[:20], name="more.conf"),),
        running("nas", "db"),
    ),
    Scenario("file-vanishes", files(conf("nas"), more=conf("db")), (drop(1, "more.conf"),), running("nas", "db")),
    Scenario("all-files-vanish", files(conf("nas"), conf("db")), (drop(1),), running("nas", "db")),
    Scenario(
        "file-broken-then-mended",
        files(conf("nas")),
        (write(1, "[domain nas"), write(30, conf("nas"), conf("db"))),
        running("nas", "db"),
    ),
    Scenario(
        "renamed-domain",
        files(conf("old", "uuid = 11111111-2222-3333-4444-555555555555")),
        (write(1, conf("new", "uuid = 11111111-2222-3333-4444-555555555555")),),
        running("old") | off("new"),
    ),
    Scenario(
        "edit-memory-live",
        files(conf("db", "maxmem = 2G")),
        (write(1, conf("db", "maxmem = 2G").replace("512M", "1G")),),
        running("db"),
        holds=_gets(memory_kib=1 << 20),
    ),
    Scenario(
        "edit-vcpus-live",
        files(conf("db", "vcpus = 1", "maxvcpus = 4")),
        (write(1, conf("db", "vcpus = 3", "maxvcpus = 4")),),
        running("db"),
        holds=_gets(vcpus=3),
    ),
    Scenario(
        "edit-weight-and-pinning",
        files(conf("db", "cpus = 0-1")),
        (write(1, conf("db", "cpus = 2-3", "cpu_weight = 512")),),
        running("db"),
        holds=_gets(weight=512, pinned="2-3"),
    ),
    Scenario(
        "edit-staged-until-its-reboot",
        files(conf("db")),
        (write(1, conf("db", "cmdline = quiet")), end(30, "db", "reboot")),
        running("db"),
        holds=lambda host: "quiet" in [config.get("cmdline") for config in _configs(host.domains[0])],
    ),
    Scenario(
        "edit-staged-taken-back",
        files(conf("db")),
        (write(1, conf("db", "cmdline = quiet")), write(20, conf("db"))),
        running("db"),
        holds=lambda host: not (host.domains[0].staged or {}).get("cmdline"),
    ),
    # By hand
    Scenario("stop-by-hand", files(*CHAIN), (ask(1, "stop", "web"),), running("nas", "db") | off("web")),
    Scenario(
        "stop-by-hand-then-start",
        files(*CHAIN),
        (ask(1, "stop", "web"), ask(30, "start", "web")),
        running("nas", "db", "web"),
    ),
    Scenario(
        "stop-a-hung-guest",
        files(conf("db", QUICK)),
        (ask(1, "stop", "db"),),
        off("db"),
        behave={"db": {"stop_seconds": None}},
    ),
    Scenario(
        "stop-a-deaf-guest",
        files(conf("db", QUICK, "hung_timeout = 12s", lv("db"))),
        (ask(1, "stop", "db"),),
        off("db"),
        behave={"db": {"deaf": True}},
    ),
    Scenario(
        "stop-a-busy-guest",
        files(conf("db", QUICK, "stop_max = 2m", lv("db"))),
        (ask(1, "stop", "db"),),
        off("db"),
        behave={"db": {"stop_seconds": 50.0, "write_seconds": 50.0}},
        seconds=150,
    ),
    Scenario("restart-by-hand", files(*CHAIN), (ask(1, "restart", "db"),), running("nas", "db", "web")),
    Scenario("restart-of-two", files(*CHAIN), (ask(1, "restart", "nas", "db"),), running("nas", "db", "web")),
    Scenario("destroy-by-hand", files(conf("db")), (ask(1, "destroy", "db"),), off("db")),
    Scenario("start-a-manual-one", files(conf("db", "state = manual")), (ask(1, "start", "db"),), running("db")),
    Scenario(
        "stop-and-boot-again",
        files(conf("db")),
        (ask(1, "stop", "db"), ask(30, "shutdown"), ask(60, "boot")),
        running("db"),
    ),
    Scenario(
        "xl-destroy-by-somebody",
        files(conf("db")),
        (xl(1, "destroy", "db"),),
        {"db": "off|running"},  # where its monitor's log cannot be read, nothing tells that somebody meant it
    ),
    Scenario("xl-shutdown-by-somebody", files(conf("db")), (xl(1, "shutdown", "db"),), off("db")),
    # What guests do
    Scenario("guest-crashes", files(*CHAIN), (end(1, "db", "crash"),), running("nas", "db", "web")),
    Scenario("guest-crashes-stays-off", files(conf("db", "on_crash = stay-off")), (end(1, "db", "crash"),), off("db")),
    Scenario(
        "guest-crashes-is-kept", files(conf("db", "on_crash = preserve")), (end(1, "db", "crash"),), {"db": "crashed"}
    ),
    Scenario(
        "guest-powers-off",
        files(conf("db"), conf("web", "after = db")),
        (end(1, "db", "poweroff"),),
        off("db") | running("web"),
    ),
    Scenario(
        "guest-powers-off-restart",
        files(conf("db", "on_poweroff = restart")),
        (end(70, "db", "poweroff"),),
        running("db"),
        seconds=160,
    ),
    Scenario("guest-reboots", files(*CHAIN), (end(1, "db", "reboot"),), running("nas", "db", "web")),
    Scenario(
        "guest-reboots-again-and-again",
        files(conf("db")),
        tuple(end(at, "db", "reboot") for at in (1, 12, 23)),
        running("db"),
    ),
    Scenario(
        "guest-crashes-in-a-loop",
        files(conf("db")),
        (end(1, "db", "crash"),),
        off("db"),
        behave={"db": {"later": [Later(70.0, "crash", 9)]}},
        seconds=1200,
    ),
    Scenario(
        "guest-crashes-while-booting",
        files(conf("db"), conf("web", "needs = db")),
        (ask(0, "boot"),),
        running("db", "web"),
        cold=True,
        behave={"db": {"later": [Later(1.5, "crash", 1)]}},
        seconds=150,
    ),
    Scenario(
        "reboot-while-it-is-stopped",
        files(conf("db", QUICK)),
        (ask(1, "stop", "db"), end(1.4, "db", "reboot")),
        {"db": "off|running"},  # where its monitor's log cannot be read, somebody may have started it with xl
        behave={"db": {"stop_seconds": 6.0}},
    ),
    Scenario(
        "monitor-killed",
        files(conf("db"), conf("web")),
        (host(1, unwatched), ask(5, "restart", "db")),
        running("db", "web"),
    ),
    # Others on the host
    Scenario(
        "foreign-domu", files(*CHAIN), (ask(1, "restart", "web"),), running("nas", "db", "web", "alien"), host=_foreign
    ),
    Scenario(
        "foreign-domu-paused-and-dead",
        files(conf("db")),
        (ask(1, "restart", "db"),),
        running("db") | {"still": "paused", "dead": "shutdown"},
        host=_foreign_paused_and_dead,
    ),
    Scenario(
        "volume-not-ours",
        files(conf("db", "[[disk xvda]]\nvolume = vg0/given\nsize = 2G")),
        (write(1, conf("db", "state = absent", "[[disk xvda]]\nvolume = vg0/given\nsize = 2G")),),
        off("db"),
        host=lambda host: host.volumes.append(Volume("vg0", "given", GIB, 9)),
        holds=lambda host: volumes(host) == {"given": GIB},
    ),
    Scenario(
        "a-domain-lingers-dying",
        files(conf("db", lv("db")), conf("web")),
        (ask(1, "destroy", "db"), ask(8, "start", "db")),
        running("db", "web"),
        host=lambda host: setattr(host.durations, "dying", 25.0),
    ),
    # Bridges
    Scenario(
        "bridge-created",
        files(conf("web")),
        (write(1, "[bridge br5]\nports = eno2\nmtu = 9000\nstp = no", conf("web")),),
        running("web"),
        host=_spare_nic,
        holds=_bridge("br5", up=True, alias="xenlocal", mtu=9000),
    ),
    Scenario(
        "bridge-gets-a-port",
        files("[bridge br0]\nports = none", conf("web", nic())),
        (write(1, "[bridge br0]\nports = eno2\nvlan_filtering = yes", conf("web", nic())),),
        running("web"),
        host=_spare_nic,
        holds=_port("eno2", "br0"),
    ),
    Scenario(
        "bridge-loses-a-port",
        files("[bridge br0]\nports = eno2", conf("web", nic())),
        (write(1, "[bridge br0]\nports = none", conf("web", nic())),),
        running("web"),
        host=_spare_nic,
        holds=_port("eno2", None),
    ),
    Scenario(
        "bridge-of-the-default-route",
        files("[bridge br0]\nports = eno1", conf("web", nic())),
        (write(1, "[bridge br0]\nports = eno1, eno2\nmtu = 1400\nstp = yes", conf("web", nic())),),
        running("web"),
        host=_trunk,
        holds=lambda host: _bridge("br0", mtu=1400, stp=True)(host) and bool(host.routes) and not host.timers,
        seconds=150,
    ),
    Scenario(
        "bridge-change-cuts-the-host-off",
        files("[bridge br0]\nports = eno1", conf("web", nic())),
        (
            write(1, "[bridge br0]\nports = eno2", conf("web", nic())),
            write(60, "[bridge br0]\nports = eno1", conf("web", nic())),
        ),
        running("web"),
        host=_trunk,
        holds=_port("eno1", "br0"),
        seconds=150,
    ),
    Scenario(
        "bridge-foreign",
        files("[bridge br0]\nports = none\nmtu = 1400", conf("web", nic())),
        (ask(1, "apply"),),
        running("web"),
        host=lambda host: setattr(host.link("br0"), "alias", ""),
        holds=_bridge("br0", mtu=1500),
    ),
    Scenario(
        "bridge-external",
        files("[bridge br0]\nexternal = yes\nmtu = 1400", conf("web", nic())),
        (ask(1, "apply"),),
        running("web"),
        holds=_bridge("br0", mtu=1500),
    ),
    # The trash
    Scenario(
        "trash-purge",
        files(conf("db", lv("db"))),
        (ask(1, "trash purge", f"vg0/{TRASHED}"),),
        running("db"),
        host=_trashed("old"),
        holds=lambda host: list(volumes(host)) == ["db"],
    ),
    Scenario(
        "trash-restore",
        files(conf("db", lv("db"))),
        (ask(1, "trash restore", f"vg0/{TRASHED}"), write(20, conf("db", lv("db")), conf("old", lv("old")))),
        running("db", "old"),
        host=_trashed("old"),
        holds=lambda host: not in_trash(host),
    ),
    Scenario(
        "trash-in-the-way",
        files(conf("db", lv("db"))),
        (write(1, conf("db", lv("db")), conf("old", lv("old"))),),
        running("db") | off("old"),
        host=_trashed("old"),
        holds=lambda host: in_trash(host) == ["old"],
    ),
    Scenario(
        "saved-state-goes-away",
        files(conf("db")),
        (ask(0, "boot"), host(40, lambda host: host.paths.pop("/var/lib/xen/save/db"))),
        running("db"),
        cold=True,
        host=lambda host: host.paths.update({"/var/lib/xen/save/db": Path("file", GIB)}),
    ),
    # The host goes down
    Scenario("shutdown-chain", files(*CHAIN), (ask(1, "shutdown"),), off("nas", "db", "web")),
    Scenario(
        "shutdown-diamond",
        files(*DIAMOND),
        (ask(1, "shutdown"),),
        off("nas", "left", "right", "top"),
        behave={"left": {"stop_seconds": 12.0}, "right": {"stop_seconds": 5.0}},
    ),
    Scenario(
        "shutdown-with-foreign", files(*CHAIN), (ask(1, "shutdown"),), off("nas", "db", "web", "alien"), host=_foreign
    ),
    Scenario(
        "shutdown-hung",
        files(conf("db", QUICK), conf("web", "after = db", QUICK)),
        (ask(1, "shutdown"),),
        off("db", "web"),
        behave={"web": {"stop_seconds": None}},
    ),
    Scenario(
        "shutdown-deadline",
        files(SHORT, conf("db", "stop_timeout = 4m"), conf("web", "after = db", "stop_timeout = 4m")),
        (ask(1, "shutdown"),),
        off("db", "web"),
        behave={"web": {"stop_seconds": None}, "db": {"stop_seconds": None}},
        seconds=240,
    ),
    Scenario(
        "shutdown-all-hung",
        files(SHORT, *(conf(f"g{n}", QUICK) for n in range(4))),
        (ask(1, "shutdown"),),
        off("g0", "g1", "g2", "g3"),
        behave={f"g{n}": {"stop_seconds": None} for n in range(4)},
    ),
    Scenario(
        "shutdown-hung-beside-a-slow-one",
        files(
            SHORT,
            conf("nas", QUICK),
            conf("hung", QUICK, "after = nas", lv("hung")),
            conf("slow", "stop_timeout = 3m", "stop_max = 3m"),
        ),
        (ask(1, "shutdown"),),
        off("nas", "hung", "slow"),
        behave={"hung": {"deaf": True}, "slow": {"stop_seconds": 100.0}},
        seconds=200,
    ),
    Scenario(
        "shutdown-with-orphan",
        files(conf("nas"), conf("db", "after = nas")),
        (write(1, conf("nas")), ask(10, "shutdown")),
        off("nas", "db"),
        behave={"db": {"stop_seconds": 8.0}},
    ),
    Scenario(
        "shutdown-in-the-middle-of-a-boot",
        files(*CHAIN),
        (ask(0, "boot"), ask(6, "shutdown")),
        off("nas", "db", "web"),
        cold=True,
    ),
    Scenario(
        "shutdown-while-one-reboots",
        files(*CHAIN),
        (end(1, "db", "reboot"), ask(2, "shutdown")),
        off("nas", "db", "web"),
    ),
    Scenario(
        "shutdown-skip",
        files(conf("db"), conf("web", "after = db")),
        (ask(1, "shutdown"), ask(20, "skip", "web")),
        off("db", "web"),
        behave={"web": {"stop_seconds": None}},
    ),
    Scenario(
        "shutdown-and-edit",
        files(conf("db")),
        (ask(1, "shutdown"), write(2, conf("db"), conf("new"))),
        off("db", "new"),
    ),
    # The daemon
    Scenario(
        "daemon-restarts-while-starting",
        files(*CHAIN),
        (ask(0, "boot"), restart(4), restart(9)),
        running("nas", "db", "web"),
        cold=True,
    ),
    Scenario(
        "daemon-restarts-while-stopping",
        files(conf("nas", QUICK), conf("db", "after = nas", QUICK)),
        (
            write(1, conf("nas", QUICK, "state = stopped"), conf("db", "after = nas", QUICK, "state = stopped")),
            restart(6),
            restart(14),
        ),
        off("nas", "db"),
        behave={"db": {"stop_seconds": None}, "nas": {"stop_seconds": 15.0}},
    ),
    Scenario("daemon-restarts-at-rest", files(*CHAIN), (restart(2), restart(10)), running("nas", "db", "web")),
    Scenario(
        "daemon-restarts-while-the-host-goes-down",
        files(*CHAIN),
        (ask(1, "shutdown"), restart(3), restart(7)),
        off("nas", "db", "web"),
        behave={"db": {"stop_seconds": 9.0}},
    ),
    # Identities
    Scenario(
        "locked-identity-at-the-first-start",
        files(BR0, lic("hostid = locked")),
        (ask(0, "boot"),),
        running("lic"),
        cold=True,
    ),
    Scenario(
        "locked-mac-edited",
        files(BR0, lic("hostid = locked")),
        (write(5, BR0, lic(mac=OTHER_MAC)), ask(10, "restart", "lic"), end(60, "lic", "reboot")),
        running("lic"),
        holds=lambda host: OTHER_MAC not in macs(host),
    ),
    Scenario(
        "locked-mac-edited-and-unlocked",
        files(BR0, lic("hostid = locked")),
        (write(5, BR0, lic("hostid = locked", mac=OTHER_MAC)), ask(10, "unlock", "lic"), ask(20, "restart", "lic")),
        running("lic"),
        holds=lambda host: macs(host) == [OTHER_MAC],
    ),
    Scenario(
        "renamed-while-it-runs",
        files(conf("old", QUICK, lv("root"))),
        (write(5, conf("new", QUICK, "was = old", lv("root"))), end(15, "old", "reboot"), ask(40, "restart", "new")),
        # where its own reboot is taken for the restart, it goes on under its former name until the next one
        {"new": "running|off", "old": "off|running"},
        holds=lambda host: len(host.domains) == 1,
    ),
    # Guests that boot what is on their disk, and machines without PV drivers
    Scenario(
        "boot-from-their-own-disks",
        files(
            machine("win", "vnc = 127.0.0.1:1", "usb = 0529:0001", lv("win"), DRIVE),
            conf("menu", "bootloader = pygrub", lv("menu")).replace("kernel = /boot/vmlinuz\n", ""),
            conf("grub", "type = pvh", "after = menu", lv("grub")).replace(
                "kernel = /boot/vmlinuz", "pvgrub = /boot/vmlinuz"
            ),
        ),
        (ask(0, "boot"),),
        running("win", "menu", "grub"),
        behave={"win": NO_DRIVERS},
        host=lambda host: host.paths.update({"/srv/some.iso": Path("file", GIB)}),
        cold=True,
    ),
    Scenario(
        "stop-a-machine-without-drivers",
        files(machine("win", lv("win"), DRIVE)),
        (ask(1, "stop", "win"),),
        off("win"),
        behave={"win": NO_DRIVERS},
        host=lambda host: host.paths.update({"/srv/some.iso": Path("file", GIB)}),
    ),
    Scenario(
        "shutdown-machines-without-drivers",
        files(machine("win", lv("win")), machine("deaf", lv("deaf")), machine("slow", "after = win", lv("slow"))),
        (ask(1, "shutdown"),),
        off("win", "deaf", "slow"),
        behave={"win": NO_DRIVERS, "deaf": {**NO_DRIVERS, "stop_seconds": None}, "slow": {"boot_seconds": 30.0}},
    ),
    # Parts of a running guest
    Scenario(
        "disk-and-nic-added-and-a-reboot",
        files(BR0, conf("web", QUICK, lv("root"), nic())),
        (
            write(5, BR0, conf("web", QUICK, lv("root"), nic(), lv("data", "1G", "xvdb"), ETH1)),
            end(30, "web", "reboot"),
        ),
        running("web"),
        holds=lambda host: vdevs(host, "web") == ["xvda", "xvdb"] and len(macs(host)) == 2,
    ),
    Scenario(
        "disk-given-from-one-guest-to-another",
        files(conf("db", QUICK, lv("db")), conf("web", QUICK, lv("root"), lv("data", "1G", "xvdb"))),
        (
            write(
                5,
                conf("db", QUICK, lv("db"), lv("data", "1G", "xvdb")),
                conf("web", QUICK, lv("root"), lv("data", "1G", "xvdb"), "attached = no"),
            ),
        ),
        running("db", "web"),
        holds=lambda host: vdevs(host, "db") == ["xvda", "xvdb"] and vdevs(host, "web") == ["xvda"],
    ),
    Scenario(
        "nic-taken-from-a-guest",
        files(BR0, conf("web", QUICK, nic(), ETH1)),
        (write(5, BR0, conf("web", QUICK, nic(), f"{ETH1}\nattached = no")),),
        running("web"),
        holds=lambda host: len(macs(host)) == 1,
    ),
    Scenario(
        "parts-vanish-from-the-file",
        files(BR0, conf("web", QUICK, lv("root"), nic(), lv("data", "1G", "xvdb"), ETH1)),
        (write(5, BR0, conf("web", QUICK, lv("root"), nic())),),
        running("web"),
        holds=lambda host: vdevs(host, "web") == ["xvda", "xvdb"] and len(macs(host)) == 2,
    ),
    # Devices of the host
    Scenario(
        "boot-with-a-device-of-the-host",
        files(conf("web", CARD)),
        (ask(0, "boot"),),
        running("web"),
        host=with_device,
        cold=True,
    ),
    Scenario(
        "device-of-the-host-goes-to-another-guest",
        files(conf("db", QUICK, CARD), conf("web", QUICK, "state = stopped")),
        (write(5, conf("db", QUICK, "state = stopped"), conf("web", QUICK, CARD)),),
        running("web") | off("db"),
        host=with_device,
        holds=lambda host: [domain.config.get("pci") for domain in host.domains] == [["0000:03:00.0"]],
    ),
    # Thin pools, files that are not sparse, disks and groups that several use
    Scenario(
        "thin-volume-created-and-grown",
        files(conf("nas")),
        (write(1, thin("1G")), write(20, thin("3G"))),
        running("db"),
        host=_pool,
        holds=lambda host: (host.volume("vg0", "db").pool, volumes(host)["db"]) == ("thin0", 3 * GIB),  # type: ignore[union-attr]
    ),
    Scenario(
        "thin-pool-full-for-a-time",
        files(thin("1G", "state = stopped")),
        (host(1, lambda host: _fill(host, 100.0)), write(2, thin("1G")), host(40, lambda host: _fill(host, 30.0))),
        running("db"),
        host=_pool,
    ),
    Scenario(
        "thin-volume-retired",
        files(thin("1G")),
        (write(1, thin("1G", "state = absent")),),
        off("db"),
        host=_pool,
        holds=lambda host: in_trash(host) == ["db"],
    ),
    Scenario(
        "full-file-created-and-grown",
        files(conf("nas")),
        (
            write(1, conf("db", FILE, "size = 1G\nallocate = full")),
            write(20, conf("db", FILE, "size = 3G\nallocate = full")),
        ),
        running("db"),
        holds=lambda host: (host.paths["/srv/db.img"].size, host.paths["/srv/db.img"].allocated) == (3 * GIB, 3 * GIB),
    ),
    Scenario(
        "volume-that-another-host-has-for-a-time",
        files(shared_vg("db", "state = stopped"), conf("web")),
        (
            host(1, lambda host: _elsewhere(host, True)),
            write(2, shared_vg("db"), conf("web")),
            host(60, lambda host: _elsewhere(host, False)),
        ),
        running("db", "web"),
        host=_shared_group,
        holds=lambda host: host.volume("vg1", "db").active,  # type: ignore[union-attr]
    ),
    Scenario(
        "volume-of-a-shared-group-let-go",
        files(shared_vg("db", QUICK)),
        (write(1, shared_vg("db", QUICK, "state = stopped")),),
        off("db"),
        host=_shared_group,
        holds=lambda host: not host.volume("vg1", "db").active,  # type: ignore[union-attr]
    ),
    Scenario(
        "manual-one-on-a-shared-group-reboots",
        files(shared_vg("db", "state = manual")),
        (ask(1, "start", "db"), end(30, "db", "reboot")),
        running("db"),
        host=_shared_group,
    ),
    Scenario(
        "locks-of-a-shared-group-started-late",
        files(shared_vg("db")),
        (ask(0, "boot"), host(30, lambda host: _start_locks(host, True))),
        running("db"),
        host=_shared_group_without_locks,
        cold=True,
    ),
    Scenario(
        "volume-of-another-dom0-taken-over",
        files(conf("db", lv("theirs")), conf("web", lv("web"))),
        (host(30, lambda host: _tag(host, "theirs", "dom0")),),
        running("db", "web"),
        host=lambda host: _theirs(host, "theirs"),
    ),
    Scenario(
        "disk-shared-by-two",
        files(conf("a", QUICK, lv("a"), SHARED), conf("b", QUICK, lv("b"), SHARED)),
        (
            ask(1, "restart", "a"),
            end(30, "b", "reboot"),
            write(50, conf("a", QUICK, lv("a"), SHARED), conf("b", QUICK, "state = stopped", lv("b"), SHARED)),
        ),
        {"a": "running", "b": "off"},
        holds=lambda host: vdevs(host, "a") == ["xvda", "xvdb"],
    ),
    Scenario(
        "disk-shared-by-one-that-was-started-without",
        files(conf("a", QUICK, lv("a"), lv("both", "1G", "xvdb")), conf("b", QUICK, lv("b"))),
        (
            write(1, conf("a", QUICK, lv("a"), SHARED), conf("b", QUICK, lv("b"), SHARED)),
            ask(10, "restart", "b"),  # is refused
            ask(30, "restart", "a"),
            ask(60, "restart", "b"),
        ),
        running("a", "b"),
        holds=lambda host: vdevs(host, "b") == ["xvda", "xvdb"],
    ),
    Scenario(
        "kernel-that-apt-removes",
        files(conf("web", QUICK, lv("web"))),
        (host(10, lambda host: host.patterns.clear()), end(20, "web", "reboot"), ask(50, "restart", "web")),
        running("web"),
        holds=lambda host: kernels(host) == {copies(host)[0]} and len(copies(host)) == 1,
    ),
    Scenario(
        "kernel-replaced-in-place",
        files(conf("web", QUICK, lv("web")), conf("db", QUICK, lv("db"))),
        (host(10, lambda host: _kernel(host, 2)), ask(20, "restart", "web"), ask(50, "restart", "db")),
        running("web", "db"),
        host=lambda host: _kernel(host, 1),
        holds=lambda host: kernels(host) == {*copies(host)} and [int(each[-25:-9], 16) for each in copies(host)] == [2],
    ),
    Scenario(
        "kernel-edited-and-its-own-reboot",
        files(conf("web", QUICK, lv("web")), conf("db", QUICK, lv("db"))),
        (
            write(1, conf("web", QUICK, lv("web")).replace("vmlinuz", "vmlinuz-2"), conf("db", QUICK, lv("db"))),
            end(20, "web", "reboot"),
            host(40, lambda host: host.patterns.clear()),
            end(60, "web", "reboot"),
            end(70, "db", "reboot"),
        ),
        running("web", "db"),
        holds=lambda host: kernels(host) <= {*copies(host)},
    ),
    Scenario(
        "kernels-of-before-there-were-copies",
        files(conf("web", QUICK, lv("web")), conf("db", QUICK, lv("db"))),
        (host(1, _before_there_were_copies), end(10, "db", "reboot"), ask(20, "restart", "web")),
        running("web", "db"),
        holds=lambda host: copies(host)[0] in kernels(host),
    ),
    Scenario(
        "no-room-for-copies-of-kernels",
        files(conf("web", QUICK, lv("web")), conf("db", QUICK, lv("db"))),
        (ask(0, "boot"), host(30, lambda host: _room_for_copies(host, True)), ask(40, "restart", "web")),
        running("web", "db"),
        host=lambda host: _room_for_copies(host, False),
        holds=lambda host: kernels(host) <= {*copies(host), "/boot"},
        cold=True,
    ),
    # Kernels on trial
    Scenario(
        "kernel-on-trial",
        files(TRIED),
        TRIES,
        {"web": "running|off"},  # off: it was not, when its kernel was to be tried
        behave={"web": {**TRYING}},
        host=lambda host: _kernel(host, 1),
        holds=lambda host: not trials(host) or trials(host)[0]["failed"] or not host.domains,
        seconds=200,
    ),
    Scenario(
        "kernel-that-fails-its-trial",
        files(TRIED),
        TRIES,
        {"web": "running|off"},
        behave={"web": {**TRYING, "hangs_with": f".{2:016x}-"}},
        host=lambda host: _kernel(host, 1),
        holds=lambda host: not any(f".{2:016x}-" in each for each in kernels(host)),
        seconds=300,
    ),
    Scenario(
        "kernel-that-crashes-on-trial",
        files(TRIED),
        (
            *TRIES,
            host(45, lambda host: host.behaviour("web").later.append(Later(0.5, "crash"))),
            ask(150, "shutdown"),
            ask(180, "boot"),
        ),
        {"web": "running|off"},
        behave={"web": {**TRYING}},
        host=lambda host: _kernel(host, 1),
        seconds=300,
    ),
    Scenario(
        "kernel-that-reboots-again-and-again-on-trial",
        files(TRIED),
        (*TRIES, host(45, lambda host: host.behaviour("web").later.append(Later(1.0, "reboot", times=2)))),
        {"web": "running|off"},
        behave={"web": {**TRYING}},
        host=lambda host: _kernel(host, 1),
        # the third life is a good one, also with the kernel on trial, where no look has found one of the reboots
        holds=lambda host: not trials(host) or not any(f".{2:016x}-" in each for each in kernels(host)),
        seconds=300,
    ),
    # First installation
    Scenario(
        "first-installation",
        files(conf("web", QUICK, lv("web"), INSTALL), conf("db", QUICK, "needs = web"), conf("free", QUICK)),
        (ask(0, "boot"),),
        running("web", "db", "free"),
        behave=INSTALLS,
        holds=lambda host: host.holds == {"/dev/vg0/web": "ext4"} and not _marked(host),
        cold=True,
    ),
    Scenario(
        "first-installation-of-an-image-into-a-file",
        files(conf("web", QUICK, "[[disk xvda]]\nfile = /srv/web.img\nsize = 1G", "[[install]]\nimage = /srv/x.tar")),
        (ask(0, "boot"),),
        running("web"),
        behave=INSTALLS,
        host=lambda host: host.paths.update({"/srv/x.tar": Path("file", GIB)}),
        holds=lambda host: host.holds == {"/srv/web.img": "ext4"} and not _marked(host),
        cold=True,
    ),
    Scenario(
        "first-installation-that-fails-once",
        files(conf("web", QUICK, lv("web"), INSTALL), conf("free", QUICK)),
        (ask(0, "boot"),),
        running("web", "free"),
        behave={"web": {"install_seconds": 20.0, "install_fails": 1}},
        cold=True,
    ),
    Scenario(
        "daemon-restarts-during-a-first-installation",
        files(conf("web", QUICK, lv("web"), INSTALL), conf("free", QUICK)),
        (ask(0, "boot"), restart(10), restart(20)),
        running("web", "free"),
        behave=INSTALLS,
        cold=True,
    ),
    Scenario(
        "host-goes-down-during-a-first-installation",
        files(conf("web", QUICK, lv("web"), INSTALL), conf("free", QUICK)),
        (ask(0, "boot"), ask(15, "shutdown")),
        off("web", "free"),
        behave=INSTALLS,
        cold=True,
    ),
    Scenario(
        "first-installation-into-what-somebody-has-filled",
        files(conf("web", QUICK, lv("web"), INSTALL), conf("free", QUICK)),
        (ask(0, "boot"),),
        {**running("free"), **off("web")},
        host=_filled_by_hand,
        holds=lambda host: host.holds == {"/dev/vg0/web": "xfs"},
        cold=True,
    ),
    Scenario(
        "first-installation-that-no-file-asks-for-any-more",
        files(conf("web", QUICK, lv("web"), INSTALL), conf("free", QUICK)),
        (ask(0, "boot"), write(15, conf("web", QUICK, lv("web")), conf("free", QUICK)), ask(50, "apply")),
        {**running("free"), "web": "running|off"},
        behave=INSTALLS,
        # off: struck before it had ended, nothing begins it anew
        holds=lambda host: bool(_marked(host)) == all(domain.name != "web" for domain in host.domains),
        cold=True,
    ),
    Scenario(
        "file-system-grows-at-a-restart",
        files(conf("web", QUICK, lv("web"), "resize_fs = yes")),
        (write(5, conf("web", QUICK, lv("web", "2G"), "resize_fs = yes")), ask(15, "restart", "web")),
        running("web"),
        behave=INSTALLS,
        # one that was taken for gone when it was to be restarted has it before it at its next start
        holds=lambda host: volumes(host) == {"web": 2 * GIB} and bool(_marked(host)) == (host.domains[0].domid == 1),
    ),
)
