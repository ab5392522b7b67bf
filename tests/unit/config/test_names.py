"""Names and paths: the longest that are possible, and those that something else means."""

import pytest

from tests.unit.config.support import WEB, complaints, desired, domain, web
from xenlocal.config import names
from xenlocal.model.desired import LogicalVolume

DISK = WEB + "[[disk xvda]]\n"
TOO_LONG = "is too long for the device mapper once it is retired; shorten it"


def test_what_is_a_name_is_given_back_as_it_is() -> None:
    assert (names.domain("web"), names.interface("br0"), names.nic("eth0"), names.vdev("xvda")) == (
        "web", "br0", "eth0", "xvda",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("volume", "vg", "lv"),
    [
        (f"v/{'x' * 90}", "v", "x" * 90),
        (f"{'v' * 39}/{'x' * 60}", "v" * 39, "x" * 60),
        ("a--/x.y_z+1", "a--", "x.y_z+1"),
        (f"{'v' * 9}{'-' * 15}/{'x' * 60}", "v" * 9 + "-" * 15, "x" * 60),
    ],
)
def test_the_longest_volumes(volume: str, vg: str, lv: str) -> None:
    """LVM's device mapper has 127 characters for both, in which each `-` counts twice, also once it is in the trash."""
    assert web(f"[[disk xvda]]\nvolume = {volume}").disks[0].backing == LogicalVolume(vg, lv)


def test_the_longest_names() -> None:
    path = "/" + "x" * 1022
    read = desired(
        f"[bridge {'b' * 15}]\nports = {'p' * 15}\n",
        domain("x" * 63, f"ramdisk = {path}", f"[[nic {'n' * 31}]]", f"bridge = {'b' * 15}"),
    )
    assert read.bridges["b" * 15].ports == ("p" * 15,)
    assert (read.domains["x" * 63].ramdisk, read.domains["x" * 63].nics[0].name) == (path, "n" * 31)


@pytest.mark.parametrize(
    ("backing", "said"),
    [
        (f"volume = {'v' * 40}/{'x' * 60}", f"'{'v' * 40}/{'x' * 18}…' {TOO_LONG}"),
        (f"volume = {'v' * 10}{'-' * 15}/{'x' * 60}", f"'{'v' * 10}{'-' * 15}/{'x' * 33}…' {TOO_LONG}"),
        ("volume = /dev/vg0/web/1", "volume '/dev/vg0/web/1' is not VG/LV; write vg0/web-root"),
        ("volume = /dev/vg0/web", "volume '/dev/vg0/web' is not VG/LV; write vg0/web"),
        ("volume = /dev/mapper/vg--0-web--1", "volume '/dev/mapper/vg--0-web--1' is not VG/LV; write vg-0/web-1"),
        ("volume = /dev/mapper/vg0", "volume '/dev/mapper/vg0' is not VG/LV; write vg0/web-root"),
        ("cdrom = /dev/sr0", "cdrom '/dev/sr0' is no file; copy the disc into one: `dd if=/dev/sr0 of=FILE.iso`"),
        ("volume = vg0", "volume 'vg0' is not VG/LV; write one such as vg0/web-root"),
        (
            "volume = vg0/.",
            "'.' is not a name for a volume; use letters, digits and . _ + -, but not - first",
        ),
        (
            "volume = ../x",
            "'..' is not a name for a volume group; use letters, digits and . _ + -, but not - first",
        ),
        (
            "volume = vg0/x@1",
            "'x@1' is not a name for a volume; use letters, digits and . _ + -, but not - first",
        ),
        ("file = /srv/./a.img", "path '/srv/./a.img' is not in its shortest form; write /srv/a.img"),
        (f"file = /{'x' * 1023}", f"path '/{'x' * 58}…' is 1024 characters long; at most 1023 are possible"),
        ("file = /proc/a", "file '/proc/a' is no place for an image file; write device = for a device"),
        ("file = /sys/a", "file '/sys/a' is no place for an image file; write device = for a device"),
        ("file = /run/a", "file '/run/a' is no place for an image file; write device = for a device"),
    ],
)
def test_what_no_disk_can_be(backing: str, said: str) -> None:
    assert complaints(f"{DISK}{backing}\n") == [f"web.conf:5: domain web / disk xvda: {said}"]


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (".", "'.' is not an interface name; use letters, digits and . _ -, such as eno1"),
        ("..", "'..' is not an interface name; use letters, digits and . _ -, such as eno1"),
        ("eno1@x", "'eno1@x' is not an interface name; use letters, digits and . _ -, such as eno1"),
        ("p" * 16, f"'{'p' * 16}' is 16 characters long; an interface name has at most 15"),
        *(
            (name, f"'{name}' is reserved by the kernel or by xenlocal; take another name")
            for name in ("all", "default")
        ),
    ],
)
def test_what_no_port_can_be(port: str, said: str) -> None:
    assert complaints(f"[bridge br0]\nports = {port}\n") == [f"web.conf:2: bridge br0: {said}"]


@pytest.mark.parametrize("name", ["dom0", "Dom0", "domain-0", "NONE"])
def test_what_no_domain_can_be_called(name: str) -> None:
    assert complaints(domain(name)) == [
        f"web.conf:1: domain {name}: a domU cannot be called '{name}'; give it another name"
    ]


@pytest.mark.parametrize("name", ["eth0:1", "n" * 32, "_eth0"])
def test_what_no_nic_can_be_called(name: str) -> None:
    assert complaints(f"[bridge br0]\n{WEB}[[nic {name}]]\nbridge = br0\n") == [
        f"web.conf:5: domain web / nic {name}: '{name}' is not a name for a nic; write one such as eth0"
    ]


@pytest.mark.parametrize("vdev", ["xvda0", "xvda100", "xvdaaa", "sdq", "hde"])
def test_disks_that_xen_cannot_number(vdev: str) -> None:
    assert complaints(f"{WEB}[[disk {vdev}]]\nvolume = vg0/a\n") == [
        f"web.conf:4: domain web / disk {vdev}: disk '{vdev}' is beyond what Xen can number; write xvda and so on"
    ]
