"""Every check of one object, by the exact words an administrator reads: the table is messages.txt."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.config.support import WEB, complaints, problems

BEFORE = {
    "domain": WEB,
    "disk": WEB + "[[disk xvda]]\nvolume = vg0/web\n",
    "backing": WEB + "[[disk xvda]]\n",
    "nic": WEB + "[[nic eth0]]\n",
    "mac": "[bridge br0]\n" + WEB + "[[nic eth0]]\nbridge = br0\n",
    "ready": WEB + "[[ready]]\n",
    "xl": WEB + "[[xl]]\n",
    "bridge": "[bridge br0]\n",
    "iscsi": "[iscsi bay1]\ntarget = iqn.2012-10.example:bay1\n",
    "target": "[iscsi bay1]\nportal = 192.0.2.10\n",
    "portal": "[iscsi bay1]\nportal = 192.0.2.10\ntarget = iqn.2012-10.example:bay1\n",
    "host": "[host]\n",
    "defaults": "[defaults]\n",
    "top": "",
    "part": WEB,
}


def table() -> Iterator[tuple[str, str, list[str]]]:
    where, bad, expected = "", None, list[str]()
    text = (Path(__file__).parent / "messages.txt").read_text(encoding="utf-8")
    for line in [*text.splitlines(), "@ end"]:
        long = re.sub(r"\{(1,|\w)\*(\d+)\}", lambda match: match[1] * int(match[2]), line)
        if line.startswith(("|", "@")) and bad is not None:
            yield where, bad, expected
            bad, expected = None, []
        if line.startswith("@ "):
            where = line[2:]
        elif line.startswith("|"):
            bad = long[2:]
        elif line.startswith("  "):
            expected.append(long[2:])


@pytest.mark.parametrize(
    ("where", "bad", "expected"), [pytest.param(*row, id=f"{row[0]}-{row[1][:40]}") for row in table()]
)
def test_says_what_is_wrong(where: str, bad: str, expected: list[str]) -> None:
    assert expected
    assert complaints(BEFORE[where] + bad + "\n") == expected


@pytest.mark.parametrize(
    ("where", "bad", "expected"), [pytest.param(*row, id=f"{row[0]}-{row[1][:40]}") for row in table()]
)
def test_the_key_that_a_problem_is_of_is_one_that_it_speaks_of(where: str, bad: str, expected: list[str]) -> None:
    """`check --json` gives it to programs."""
    for problem in problems(BEFORE[where] + bad + "\n"):
        assert problem.key in f"{problem.message} {bad}"


def test_the_table_is_read() -> None:
    assert {where for where, _, _ in table()} == set(BEFORE)


HVM = "[domain web]\ntype = hvm\nmemory = 1G\n"
BARE = "[domain web]\nmemory = 4G\n"
DISK = WEB + "[[disk xvda]]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[domain web]\nkernel = /k\n", "1: domain web: memory is missing; write one such as memory = 4G"),
        (BARE, "1: domain web: kernel is missing; write one such as kernel = /boot/vmlinuz-6.1.0-xen"),
        (
            BARE + "type = hvm\nbootloader = pygrub\n",
            "4: domain web: bootloader is not for hvm guests, which boot their disk; remove it",
        ),
        (
            BARE + "type = hvm\npvgrub = /g\n",
            "4: domain web: pvgrub is not for hvm guests, which boot their disk; remove it",
        ),
        (
            BARE + "type = pvh\nbootloader = pygrub\nramdisk = /r\n[[disk xvda]]\nvolume = vg0/web\n",
            "5: domain web: ramdisk needs a kernel; write kernel = PATH, or remove it",
        ),
        (
            WEB + "vcpus = 4\nmaxvcpus = 2\n",
            "5: domain web: maxvcpus 2 is less than vcpus 4; write maxvcpus = 4 or more",
        ),
        (
            "[defaults]\nmaxmem = 2G\n" + WEB,
            "3: domain web: maxmem 2G is less than memory 4G; write maxmem = 4G or more",
        ),
        (
            "[defaults]\nhung_timeout = 2m\n" + WEB + "stop_timeout = 1m\n",
            "3: domain web: hung_timeout 2m is more than stop_timeout 1m; write hung_timeout = 1m or less",
        ),
        (
            WEB + "stop_timeout = soon\nhung_timeout = 6m\n",
            "4: domain web: 'soon' is not a duration; write a number and a unit, such as 30s, 5m or 1h",
        ),
        (
            DISK + "device = /dev/sdb\nsize = 2G\n",
            "6: domain web / disk xvda: size is not for a device, which is used as it is; remove it",
        ),
        (
            DISK + "file = /srv/a\ndevice = /dev/sdb\n",
            "5: domain web / disk xvda: a disk is either a volume, a device, a file or a cdrom; remove device or file",
        ),
        (WEB + "firmware = uefi\n", "4: domain web: firmware is for hvm guests only; write type = hvm, or remove it"),
        (WEB + "vnc = 127.0.0.1:1\n", "4: domain web: vnc is for hvm guests only; write type = hvm, or remove it"),
        (
            HVM + "vnc = [::1]:1\n",
            "4: domain web: vnc '[::1]:1' is not ADDRESS:DISPLAY; write one such as 127.0.0.1:1",
        ),
        (
            HVM + "vnc = 192.0.2.10:3\n",
            "4: domain web: anybody who reaches 192.0.2.10 could use the guest's keyboard, and the device model of"
            " Debian cannot ask for a password; write vnc = 127.0.0.1:3 and come through ssh -L",
        ),
        (
            HVM + "vnc = 127.0.0.1:1\n" + HVM.replace("web", "win") + "vnc = 127.0.0.1:1\n",
            "8: domain win: display 1 is already that of domain web (web.conf:4); write another, such as 2",
        ),
        (
            WEB + "type = pvh\npci = 0000:03:00.0\n",
            "5: domain web: Xen gives no PCI devices to pvh guests; write type = pv or hvm, or remove pci",
        ),
        (
            HVM + "pci = 0000:03:00.0\nmaxmem = 2G\n",
            "5: domain web: an hvm guest with pci devices has all its memory from the start; write maxmem = 1G",
        ),
        (
            "[defaults]\nmaxmem = 2G\n" + HVM + "pci = 0000:03:00.0\n",
            "3: domain web: an hvm guest with pci devices has all its memory from the start; write maxmem = 1G",
        ),
        (
            WEB + "pci = 0000:03:00.0\n" + WEB.replace("web", "win") + "pci = 04:00.0, 03:00.0\n",
            "8: domain win: pci 0000:03:00.0 is already given to domain web (web.conf:4); a device has one guest",
        ),
        (
            HVM + "usb = 0529:0001\n" + HVM.replace("web", "win") + "usb = 0529:0001\n",
            "8: domain win: usb 0529:0001 is already given to domain web (web.conf:4); a device has one guest",
        ),
        (
            WEB + "usb = 0529:0001\n",
            "4: domain web: the device model gives USB devices to its guest, and only an hvm guest has one; write"
            " type = hvm, or remove usb",
        ),
        (
            HVM + "usb = 0529:0001, 1-\n",
            "4: domain web: usb '1-' is not a USB device; write VENDOR:PRODUCT such as 0529:0001, as lsusb prints",
        ),
        (
            HVM + "[[ready]]\nconsole = login\n",
            "4: domain web / ready: the console of an hvm guest is not logged; write tcp, ping, xenstore or"
            " command instead",
        ),
        (
            HVM + "[[disk hdc]]\ncdrom = /srv/a.iso\nmode = w\n",
            "6: domain web / disk hdc: mode is not for a cdrom, which is only read; remove it",
        ),
        (
            HVM + "[[disk hdc]]\ncdrom = /srv/a.iso\nsize = 1G\n",
            "6: domain web / disk hdc: size is not for a cdrom, which is used as it is; remove it",
        ),
        (
            WEB + "[[disk xvdb]]\ncdrom = /srv/a.iso\n",
            "5: domain web / disk xvdb: a cdrom is a drive of an hvm guest; write file = PATH with mode = r, or"
            " type = hvm",
        ),
        (WEB + "[[ready]]\ntcp = h:1\nping = h\n", "6: domain web / ready: one probe only; remove tcp or ping"),
        (WEB + "[[xl]]\nk = 1\nk = 2\n", "6: domain web / xl: 'k' is already set at web.conf:5"),
        (
            WEB + "[[disk a\nmemroy = 1\n",
            "4: domain web: cannot read the section header '[[disk a'; write [[disk a]]",
        ),
    ],
)
def test_says_what_contradicts(text: str, expected: str) -> None:
    assert complaints(text) == [f"web.conf:{expected}"]
