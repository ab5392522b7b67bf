"""What valid files mean."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.support import WEB, complaints, desired, domain, web
from xenlocal.config import read
from xenlocal.model.conffiles import ConfigFile, Source
from xenlocal.model.desired import (
    BlockDevice,
    Desired,
    Firmware,
    GuestType,
    ImageFile,
    LogicalVolume,
    OnCrash,
    OnPoweroff,
    OnUnready,
    Patience,
    State,
    Vnc,
)
from xenlocal.model.names import Kind, Target, device
from xenlocal.model.probes import CommandProbe, ConsoleProbe, DefaultProbe, PingProbe, TcpProbe, XenstoreProbe
from xenlocal.model.units import Duration, Size

DESIGN = (Path(__file__).parent / "design.conf").read_text(encoding="utf-8")
OTHERS = domain("nas") + domain("auth")


def test_the_example_of_the_design() -> None:
    read_back = desired(DESIGN, OTHERS)
    assert read_back.host.shutdown_deadline == Duration(25 * 60)
    assert read_back.bridges["br0"].ports == ("eno1",)
    db = read_back.domains["db"]
    assert (db.description, db.type, db.state) == ("PostgreSQL of the lab", GuestType.PV, State.RUNNING)
    assert (db.memory, db.kernel, db.ramdisk) == (
        Size.mib(8192),
        "/boot/vmlinuz-6.1.0-xen",
        "/boot/initrd.img-6.1.0-xen",
    )
    assert db.cmdline == "root=/dev/xvda ro console=hvc0"
    assert (db.after, db.needs) == (("nas",), ("auth",))
    assert [(disk.vdev, disk.backing, disk.size) for disk in db.disks] == [
        ("xvda", LogicalVolume("vg0", "db-root"), Size.mib(20 * 1024)),
        ("xvdb", BlockDevice("/dev/disk/by-path/ip-192.0.2.10:3260-iscsi-iqn.2012-10.example:bay1-lun-3"), None),
        ("xvdc", ImageFile("/srv/xen/nfs-small.img"), Size.mib(200 * 1024)),
    ]
    assert [(nic.name, nic.bridge, nic.mac) for nic in db.nics] == [("eth0", "br0", "00:16:3e:5a:01:02")]
    assert db.probe == TcpProbe("192.0.2.21", 5432)
    assert db.extra == (("timer_mode", '"no_delay_for_missed_ticks"'),)
    assert db.unsupported == ()
    assert db.source == Source("web.conf", 13)
    assert db.disks[0].source == Source("web.conf", 29)


def test_no_files_are_a_wish_for_nothing() -> None:
    assert read([], "host") == Desired()
    assert desired("", "\n# nothing\n") == Desired()


def test_names_are_sorted_and_files_in_any_order() -> None:
    files = [ConfigFile("b", domain("z") + domain("b")), ConfigFile("a", domain("c") + "[bridge b9]\n[bridge b1]\n")]
    result = read(files, "host")
    assert list(result.domains) == ["b", "c", "z"]
    assert list(result.bridges) == ["b1", "b9"]
    assert read(files[::-1], "host") == result


def test_parts_stay_in_the_order_of_the_file() -> None:
    parts = "".join(f"[[disk xvd{letter}]]\nvolume = vg0/{letter}\n" for letter in "cab")
    parts += "".join(f"[[nic eth{n}]]\nbridge = br0\n" for n in (2, 0, 1))
    result = desired("[bridge br0]\n" + WEB + parts).domains["web"]
    assert [disk.vdev for disk in result.disks] == ["xvdc", "xvda", "xvdb"]
    assert [nic.name for nic in result.nics] == ["eth2", "eth0", "eth1"]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("description = Mail, web & DNS  # note", "description", "Mail, web & DNS"),
        ('description = "#1, the first"', "description", "#1, the first"),
        ('description = """two\n  lines"""', "description", "two lines"),
        ("description = Bob's", "description", "Bob's"),
        ("description =", "description", ""),
        ("type = pvh", "type", GuestType.PVH),
        ("state = absent", "state", State.ABSENT),
        ("maxmem = 5G", "maxmem", Size.mib(5120)),
        ("vcpus = 4", "vcpus", 4),
        ("maxvcpus = 8", "maxvcpus", 8),
        ("cpus = 2-5, 7", "cpus", "2-5,7"),
        ("cpus = 0-7,^3", "cpus", "0-7,^3"),
        ("cpus = all", "cpus", "all"),
        ("cpu_weight = 512", "cpu_weight", 512),
        ("ramdisk = /boot/initrd.img", "ramdisk", "/boot/initrd.img"),
        ("cmdline = root=/dev/xvda ro console=hvc0,115200", "cmdline", "root=/dev/xvda ro console=hvc0,115200"),
        ("cmdline =", "cmdline", ""),
        ("after = b, a, b", "after", ("b", "a")),
        ('after = a, "b",', "after", ("a", "b")),
        ("after = domain/a", "after", ("a",)),
        ("after = none", "after", ()),
        ("after = a, volume/vg0/x, b", "after", ("a", "b")),
        ("after = a, volume/vg0/x", "after_things", (Target(Kind.VOLUME, "vg0/x"),)),
        ("needs = device//dev/disk/by-id/x", "needs_things", (Target(Kind.DEVICE, "/dev/disk/by-id/x"),)),
        ("needs = device/dev/sdb", "needs_things", (device("/dev/sdb"),)),
        ("needs = a", "needs", ("a",)),
        ("start_timeout = 90s", "start_timeout", Duration(90)),
        ("stop_timeout = 1h", "stop_timeout", Duration(3600)),
        ("hung_timeout = 15s", "hung_timeout", Duration(15)),
        ("hung_timeout = 5m", "hung_timeout", Duration(300)),
        ("stop_max = 5m", "stop_max", Duration(300)),
        ("stop_max = 1h", "stop_max", Duration(3600)),
        ("", "patience", Patience(300, 300, 900)),
        ("hung_timeout = 15s\nstop_max = 10m", "patience", Patience(300, 15, 600)),
        ("on_poweroff = restart", "on_poweroff", OnPoweroff.RESTART),
        ("on_crash = preserve", "on_crash", OnCrash.PRESERVE),
        ("on_unready = restart", "on_unready", OnUnready.RESTART),
        ("critical = yes", "critical", True),
        ("critical = no", "critical", False),
        ("[[ready]]\ntcp = [2001:DB8::21]:5432", "probe", TcpProbe("2001:db8::21", 5432)),
        ("[[ready]]\ntcp = db.example.org:5432", "probe", TcpProbe("db.example.org", 5432)),
        ("[[ready]]\nconsole = login: $", "probe", ConsoleProbe("login: $")),
        ("[[ready]]\nping = 192.0.2.1", "probe", PingProbe("192.0.2.1")),
        ("[[ready]]\nxenstore = data/xenlocal/ready", "probe", XenstoreProbe("data/xenlocal/ready")),
        ("[[ready]]\ncommand = /usr/bin/test -e '/a b'", "probe", CommandProbe(("/usr/bin/test", "-e", "/a b"))),
        ("", "probe", DefaultProbe()),
    ],
)
def test_keys_of_a_domain(line: str, field: str, value: Any) -> None:
    result = desired(WEB + line + "\n", domain("a") + domain("b")).domains["web"]
    assert getattr(result, field) == value
    assert type(getattr(result, field)) is type(value)
    assert result.unsupported == ()


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("ports = none", "ports", ()),
        ("ports = eno1.20, eno2", "ports", ("eno1.20", "eno2")),
        ("stp = no", "stp", False),
        ("vlan_filtering = yes", "vlan_filtering", True),
        ("external = yes", "external", True),
        ("mtu = 9000", "mtu", 9000),
        ("address = 10.9.0.1/255.255.255.0", "address", "10.9.0.1/24"),
        ("address = 10.9.0.0/31", "address", "10.9.0.0/31"),
        ("address = 2001:DB8::1/64", "address", "2001:db8::1/64"),
    ],
)
def test_keys_of_a_bridge(line: str, field: str, value: Any) -> None:
    assert getattr(desired(f"[bridge br0]\n{line}\n").bridges["br0"], field) == value


def test_a_bridge_that_declares_nothing_compares_nothing() -> None:
    bridge = desired("[bridge br0]\n").bridges["br0"]
    unset = (bridge.ports, bridge.address, bridge.mtu, bridge.stp, bridge.vlan_filtering)
    assert unset == (None,) * 5


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("shutdown_deadline = 29m", "shutdown_deadline", Duration(29 * 60)),
        ("start_parallel = auto", "start_parallel", None),
        ("start_parallel = 8", "start_parallel", 8),
        ("dom0_reserve = 1G", "dom0_reserve", Size.mib(1024)),
        ("trash_keep = 1d", "trash_keep", Duration(86400)),
        ("resync = 10s", "resync", Duration(10)),
    ],
)
def test_keys_of_the_host(line: str, field: str, value: Any) -> None:
    assert getattr(desired(f"[host]\n{line}\n").host, field) == value


def test_a_disk_can_be_read_only() -> None:
    disks = web("[[disk xvda]]\nvolume = vg0/a\nmode = r\n[[disk xvdb]]\nfile = /srv/b.img\nmode = w").disks
    assert [disk.readonly for disk in disks] == [True, False]


@pytest.mark.parametrize("vdev", ["xvda", "xvda1", "xvdaa", "sda", "sdp15", "hda", "hdd3"])
def test_disk_names(vdev: str) -> None:
    assert web(f"[[disk {vdev}]]\nvolume = vg0/a").disks[0].vdev == vdev


@pytest.mark.parametrize("name", ["a", "1a", "web.example-1_x+y", "x" * 63])
def test_domain_names(name: str) -> None:
    assert name in desired(domain(name)).domains


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("owner = alice", "owner"),
        ("group = lab", "group"),
    ],
)
def test_what_is_valid_and_not_yet_supported(line: str, phrase: str) -> None:
    assert web(line).unsupported == (phrase,)


def test_devices_of_the_host() -> None:
    assert web("pci = 0000:03:00.0, 04:00.1, 04:00.1").pci == ("0000:03:00.0", "0000:04:00.1")
    text = "[domain a]\nmemory = 1G\ntype = hvm\nusb = 0529:0001, 1D6B:000a, 1-2.3\n[[disk hda]]\nvolume = vg0/a\n"
    assert desired(text).domains["a"].usb == ("0529:0001", "1d6b:000a", "1-2.3")


@pytest.mark.parametrize(
    ("line", "bootloader", "pvgrub"),
    [("bootloader = pygrub", "pygrub", None), ("pvgrub = /usr/lib/grub.bin", None, "/usr/lib/grub.bin")],
)
def test_other_ways_to_boot_need_no_kernel(line: str, bootloader: str | None, pvgrub: str | None) -> None:
    result = desired(f"[domain a]\nmemory = 1G\n{line}\n[[disk xvda]]\nvolume = vg0/a\n").domains["a"]
    assert (result.kernel, result.bootloader, result.pvgrub) == (None, bootloader, pvgrub)


def test_an_hvm_guest_boots_its_disk_or_its_cdrom() -> None:
    text = "[domain a]\nmemory = 1G\ntype = hvm\nfirmware = uefi\nvnc = 127.0.0.1:7\n[[disk hdc]]\ncdrom = /srv/a.iso\n"
    result = desired(text).domains["a"]
    assert (result.kernel, result.type, result.firmware) == (None, GuestType.HVM, Firmware.UEFI)
    assert (result.vnc, result.unsupported) == (Vnc("127.0.0.1", 7), ())
    (disk,) = result.disks
    assert (disk.backing, disk.readonly, disk.cdrom) == (ImageFile("/srv/a.iso"), True, True)


def test_a_default_for_hvm_guests_is_nothing_to_others() -> None:
    text = "[domain a]\nkernel = /k\n[domain b]\ntype = hvm\n"
    read_back = desired(text, "[defaults]\nmemory = 1G\nfirmware = uefi\n").domains
    assert read_back["b"].firmware == Firmware.UEFI and not read_back["a"].unsupported


DEFAULTS = "[defaults]\nmemory = 1G\nkernel = /k\nramdisk = /r\ncmdline = ro\nvcpus = 2\n"


def test_defaults_speak_for_silent_domains() -> None:
    read_back = desired("[domain a]\n[domain b]\nvcpus = 4\ncmdline = rw\n", DEFAULTS).domains
    a, b = read_back["a"], read_back["b"]
    assert (a.memory, a.kernel, a.ramdisk, a.cmdline, a.vcpus) == (Size.mib(1024), "/k", "/r", "ro", 2)
    assert (b.kernel, b.cmdline, b.vcpus) == ("/k", "rw", 4)
    assert (a.source, a.disks) == (Source("web.conf", 1), ())


def test_defaults_of_one_way_to_boot_do_not_mix_with_another() -> None:
    text = "[domain a]\nbootloader = pygrub\n[[disk xvda]]\nvolume = vg0/a\n[domain b]\ntype = hvm\n"
    text += "[domain c]\nkernel = /k2\n"
    read_back = desired(text, DEFAULTS).domains
    assert (read_back["a"].kernel, read_back["a"].ramdisk, read_back["a"].cmdline) == (None, None, "")
    assert (read_back["b"].kernel, read_back["b"].ramdisk) == (None, None)
    assert (read_back["c"].kernel, read_back["c"].ramdisk, read_back["c"].cmdline) == ("/k2", "/r", "ro")
    pygrub = desired("[defaults]\nbootloader = pygrub\nmemory = 1G\n[domain a]\nkernel = /k\n").domains["a"]
    assert (pygrub.kernel, pygrub.unsupported) == ("/k", ())


@pytest.mark.parametrize(
    ("line", "rendered"),
    [
        ("k = 5", "5"),
        ("k = 0x1F", "0x1F"),
        ('k = "5"', '"5"'),
        ('k = """5"""', '"5"'),
        ("k = default", '"default"'),
        ("k = a, b", '["a", "b"]'),
        ("k = a,", '["a"]'),
        ('k = "host,tm=0"', '"host,tm=0"'),
        ("k = file:/var/log/x y", '"file:/var/log/x y"'),
        ('k = "yes"', '"yes"'),
    ],
)
def test_what_is_passed_on_to_xl(line: str, rendered: str) -> None:
    assert web("[[xl]]\n" + line).extra == (("k", rendered),)


def test_what_is_passed_on_is_sorted() -> None:
    assert [key for key, _ in web("[[xl]]\nz = 1\na = 2\n").extra] == ["a", "z"]


def test_every_field_is_hashable_and_frozen() -> None:
    result = desired(DESIGN, OTHERS).domains["db"]
    assert hash(result)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.name = "x"  # type: ignore[misc]


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_no_default_takes_domus_away(state: str) -> None:
    """A file cut off above `state = running` would stop that domU."""
    assert complaints(f"[defaults]\nstate = {state}\n" + WEB) == [
        f"web.conf:2: defaults: state = {state} is not for every domU that is silent; write it into each [domain NAME]"
        " it is for"
    ]
    assert complaints("[defaults]\nstate = manual\n" + WEB) == []
