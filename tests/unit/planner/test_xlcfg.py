"""Nothing that reaches an xl.cfg can end a string, a statement or a field of it (DESIGN section 4, FACTS)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import HERE, dom, image, lv
from xenlocal.model.desired import GuestType, Nic, Vnc
from xenlocal.planner import xlcfg

NIC = Nic("eth0", "br0", "00:16:3e:00:00:01", HERE)


@pytest.mark.parametrize("bad", ['"', "\\", "\n", "\r", "\0"])
@pytest.mark.parametrize("key", ["name", "cpus", "kernel", "ramdisk", "cmdline"])
def test_no_string_ends_early(key: str, bad: str) -> None:
    values: dict[str, Any] = {key: f"a{bad}b"}
    with pytest.raises(ValueError, match="into an xl.cfg$"):
        xlcfg.render(replace(dom("web"), **values))


@pytest.mark.parametrize("bad", [",", "=", " ", "'", "\t", ";", '"', "\\", "\n"])
def test_no_field_of_a_disk_or_vif_ends_early(bad: str) -> None:
    for domain in (
        dom("web", lv("root", vdev=f"xv{bad}da")),
        replace(dom("web"), nics=(replace(NIC, mac=f"00{bad}"),)),
        replace(dom("web"), nics=(replace(NIC, bridge=f"br{bad}0"),)),
    ):
        with pytest.raises(ValueError, match="disk or vif$"):
            xlcfg.render(domain)


@pytest.mark.parametrize("path", ["srv/x.img", "", "/srv/a,b", "/srv/a b", "/srv/a;b", "/srv/a'b", '/srv/a"b', "/a\tb"])
def test_a_path_is_absolute_and_one_field(path: str) -> None:
    with pytest.raises(ValueError, match="cannot write the path"):
        xlcfg.render(dom("web", image(path)))


def test_a_path_may_hold_what_names_of_devices_hold() -> None:
    """Everything behind target= is the path."""
    assert "target=/dev/disk/by-path/a=b:c-lun-3" in xlcfg.render(dom("web", image("/dev/disk/by-path/a=b:c-lun-3")))


def hvm(**values: Any) -> dict[str, str]:
    return dict(xlcfg.settings(replace(dom("win"), type=GuestType.HVM, kernel=None, **values)))


def test_an_hvm_guest_has_a_serial_console_and_no_screen_unless_it_is_told_where() -> None:
    found = hvm(nics=(NIC,))
    assert (found["type"], found["firmware"], found["serial"], found["vnc"]) == ('"hvm"', '"bios"', '"pty"', "0")
    assert not {"kernel", "vnclisten", "vncdisplay", "usbdevice"} & found.keys()
    assert found["vif"] == '[ "mac=00:16:3e:00:00:01, bridge=br0, model=e1000" ]'


def test_usb_devices_are_taken_by_the_device_model() -> None:
    assert hvm(usb=("0529:0001", "1-2.3"))["device_model_args_hvm"] == (
        '[ "-device", "qemu-xhci,id=usb-of-host",'
        ' "-device", "usb-host,bus=usb-of-host.0,vendorid=0x0529,productid=0x0001",'
        ' "-device", "usb-host,bus=usb-of-host.0,hostbus=1,hostport=2.3" ]'
    )
    assert "device_model_args_hvm" not in hvm()


def test_a_screen_is_where_it_is_declared_and_nowhere_else() -> None:
    domain = replace(dom("win"), type=GuestType.HVM, vnc=Vnc("127.0.0.1", 3))
    found = xlcfg.settings(domain)
    assert (found["vnc"], found["vnclisten"], found["vncdisplay"], found["vncunused"]) == ("1", '"127.0.0.1"', "3", "0")


def test_a_cdrom_is_a_drive_that_is_only_read() -> None:
    disk = replace(image("/srv/a.iso", vdev="hdc", readonly=True), cdrom=True)
    assert hvm(disks=(disk,))["disk"] == '[ "format=raw, vdev=hdc, devtype=cdrom, access=ro, target=/srv/a.iso" ]'


def test_other_ways_to_boot() -> None:
    assert xlcfg.settings(replace(dom("a"), bootloader="pygrub"))["bootloader"] == '"pygrub"'
    assert xlcfg.settings(replace(dom("a"), kernel=None, pvgrub="/usr/lib/grub.bin"))["kernel"] == '"/usr/lib/grub.bin"'


def test_the_whole_text() -> None:
    domain = replace(
        dom("web", lv("root"), image("/srv/web.img", vdev="xvdb", readonly=True), vcpus=2, cpu_weight=512),
        nics=(NIC,),
        kernel="/boot/vmlinuz",
        ramdisk="/boot/initrd.img",
        cmdline="root=/dev/xvda ro",
        cpus="2-5",
        extra=(("timer_mode", '"utc"'),),
    )
    assert xlcfg.render(domain).splitlines()[1:] == [
        'name = "web"',
        f'uuid = "{domain.uuid}"',
        'type = "pv"',
        "memory = 1024",
        "maxmem = 1024",
        "vcpus = 2",
        "maxvcpus = 2",
        'on_poweroff = "preserve"',
        'on_reboot = "restart"',
        'on_crash = "preserve"',
        'disk = [ "format=raw, vdev=xvda, access=rw, target=/dev/vg0/root",'
        ' "format=raw, vdev=xvdb, access=ro, target=/srv/web.img" ]',
        'vif = [ "mac=00:16:3e:00:00:01, bridge=br0" ]',
        'cpus = "2-5"',
        "cpu_weight = 512",
        'kernel = "/boot/vmlinuz"',
        'ramdisk = "/boot/initrd.img"',
        'cmdline = "root=/dev/xvda ro"',
        'timer_mode = "utc"',
    ]


def test_devices_of_the_host() -> None:
    assert xlcfg.settings(dom("a", pci=("0000:03:00.0", "0000:04:00.1")))["pci"] == '[ "0000:03:00.0", "0000:04:00.1" ]'
    assert "pci" not in xlcfg.settings(dom("a"))
