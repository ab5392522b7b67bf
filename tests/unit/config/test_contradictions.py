"""Which keys of one domain go together, and that of what is wrong only the cause is told."""

import pytest

from tests.unit.config.support import WEB, complaints

HVM = "[domain win]\ntype = hvm\nmemory = 1G\n"
PV = WEB + "type = pv\n"
PYGRUB = "[domain web]\nmemory = 1G\nbootloader = pygrub\n"
CDROM = "[[disk hdc]]\ncdrom = /srv/a.iso\n"


@pytest.mark.parametrize(
    "text",
    [
        WEB + "maxmem = 4G\n",
        WEB + "maxvcpus = 1\n",
        WEB + "vcpus = 2\nmaxvcpus = 2\n",
        HVM + "pci = 03:00.0\nmaxmem = 1G\n",
        PV + "pci = 03:00.0\nmaxmem = 8G\n",
        HVM + "pci = 03:00.0\n",
        HVM + "maxmem = 2G\n",
        HVM + "firmware = uefi\nvnc = 127.0.0.1:1\nusb = 0529:0001\n",
        "[defaults]\ntype = hvm\nmemory = 1G\n[domain win]\nvnc = 127.0.0.1:1\nusb = 0529:0001\n" + CDROM,
        "[defaults]\nfirmware = uefi\n" + PV,
        HVM + CDROM,
        HVM + "[[ready]]\ntcp = 192.0.2.1:80\n",
        PV + "[[ready]]\nconsole = login\n",
        PYGRUB + "[[disk xvda]]\nvolume = vg0/web\n",
        "[domain web]\nmemory = 1G\npvgrub = /usr/lib/grub.bin\n",
    ],
)
def test_what_goes_together(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize("guest", ["", "type = pv\n", "type = pvh\n"])
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("firmware = uefi\n", "firmware is for hvm guests only; write type = hvm, or remove it"),
        ("vnc = 127.0.0.1:1\n", "vnc is for hvm guests only; write type = hvm, or remove it"),
        (
            "usb = 0529:0001\n",
            "the device model gives USB devices to its guest, and only an hvm guest has one; write type = hvm, or"
            " remove usb",
        ),
        (CDROM, "a cdrom is a drive of an hvm guest; write file = PATH with mode = r, or type = hvm"),
    ],
)
def test_what_is_for_hvm_guests_alone(guest: str, lines: str, said: str) -> None:
    """Also where the other type is written down, and not only by default."""
    [found] = complaints(WEB + guest + lines)
    assert found.endswith(f": {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WEB + "stop_timeout = soon\nhung_timeout = 6m\nstop_max = 1m\n", "4: domain web: 'soon' is not a duration"),
        (WEB + "stop_timeot = 9m\nhung_timeout = 6m\n", "4: domain web: unknown key 'stop_timeot'"),
        ("[domain web]\nmemory = x\nkernel = /k\nmaxmem = 2G\n", "2: domain web: 'x' is not a size"),
        ("[domain win]\nmemory = x\ntype = hvm\npci = 03:00.0\nmaxmem = 2G\n", "2: domain win: 'x' is not a size"),
        ("[domain web]\nmemory = 1G\nkernel = k\n", "3: domain web: path 'k' is not absolute"),
        ("[domain web]\nmemory = 1G\nkernal = /k\nramdisk = /r\n", "3: domain web: unknown key 'kernal'"),
        ("[domain web]\nmemory = 1G\nbootloader = grub\n", "3: domain web: unknown bootloader 'grub'"),
        ("[domain web]\nmemory = 1G\npvgrub = g\n", "3: domain web: path 'g' is not absolute"),
        ("[domain win]\nmemory = 1G\ntype = hvmm\n", "3: domain win: unknown type 'hvmm'"),
        (
            "[domain win]\nmemory = 1G\ntype = hvmm\nfirmware = uefi\nvnc = 127.0.0.1:1\nusb = 1-2\n" + CDROM,
            "3: domain win: unknown type 'hvmm'",
        ),
        (
            "[domain win]\nmemory = 1G\ntype: hvm\nfirmware = uefi\nvnc = 127.0.0.1:1\nusb = 1-2\n" + CDROM,
            "3: domain win: cannot read 'type: hvm'",
        ),
    ],
)
def test_what_follows_from_a_slip_is_not_told_beside_it(text: str, said: str) -> None:
    [found] = complaints(text)
    assert found.startswith(f"web.conf:{said};")


@pytest.mark.parametrize(
    ("default", "lines", "said"),
    [
        ("maxmem = 2G", "", "maxmem 2G is less than memory 4G; write maxmem = 4G or more"),
        ("maxvcpus = 2", "vcpus = 4\n", "maxvcpus 2 is less than vcpus 4; write maxvcpus = 4 or more"),
        ("hung_timeout = 6m", "", "hung_timeout 6m is more than stop_timeout 5m; write hung_timeout = 5m or less"),
        (
            "stop_max = 6m",
            "stop_timeout = 9m\n",
            "stop_max 6m is less than stop_timeout 9m; write stop_max = 9m or more",
        ),
    ],
)
def test_an_inherited_limit_is_told_where_the_domain_is_that_it_does_not_suit(
    default: str, lines: str, said: str
) -> None:
    assert complaints(f"[defaults]\n{default}\n{WEB}{lines}") == [f"web.conf:3: domain web: {said}"]


@pytest.mark.parametrize("text", [PYGRUB, PYGRUB + "[[nic eth0]]\nbridge = br0\n[bridge br0]\n"])
def test_pygrub_has_a_disk_to_read(text: str) -> None:
    """Else `xl create` ends with "cannot run bootloader with no boot disk"."""
    assert complaints(text) == [
        "web.conf:3: domain web: pygrub reads the kernel from the first disk, and there is none; write a [[disk xvda]]"
    ]
    assert complaints("[defaults]\nbootloader = pygrub\n[domain web]\nmemory = 1G\n")
    [slip] = complaints(PYGRUB + "[[dsk xvda]]\nvolume = vg0/web\n")
    assert "unknown part" in slip
    assert complaints("[defaults]\nbootloader = pygrub\n" + HVM) == [], "it inherits no way to boot"


def disk(name: str, *lines: str) -> str:
    return "\n".join((f"[[disk {name}]]", f"volume = vg0/{name}", *lines, ""))


@pytest.mark.parametrize(
    ("first", "second", "better"),
    [
        (disk("xvdc"), CDROM, "name it hda"),
        (disk("xvda") + disk("hdb"), disk("xvdb", "attached = yes"), "name it xvdc"),
        (disk("xvda") + disk("xvdb") + disk("hdd") + disk("hdc"), disk("xvdc"), "name it xvde"),
        (disk("xvda1"), disk("xvda2"), "name it xvdb"),
        (disk("sda"), disk("sda1"), "name it xvda"),
    ],
)
def test_two_disks_of_an_hvm_guest_are_not_one_drive(first: str, second: str, better: str) -> None:
    """The device model ends with "drive with bus=1, unit=0 (index=2) exists"."""
    [found] = complaints(HVM + first + second)
    assert "the device model has one drive for it and for domain win / disk " in found and found.endswith(f"; {better}")
    line = (HVM + first).count("\n") + 1
    assert found.startswith(f"web.conf:{line}: domain win / {second.split(']')[0].strip('[')}: ")
    assert complaints(WEB + (first + second).replace(CDROM, disk("hdc"))) == [], "the matter of the guest"


def test_what_looks_like_one_drive_and_is_none() -> None:
    drives = disk("xvda") + disk("sda") + disk("sdb") + disk("xvde") + disk("xvdaa") + disk("xvdb", "attached = no")
    assert complaints(HVM + drives + disk("hdb") + CDROM) == []
    assert complaints(HVM + disk("hdc") + CDROM.replace("hdc", "sdc")), "an image is in an IDE drive by any name"


def test_an_hvm_guest_has_no_emulated_disk_that_is_only_read() -> None:
    """libxl: "qemu-xen doesn't support read-only IDE disk drivers"."""
    assert complaints(HVM + disk("xvdb", "mode = r")) == [
        "web.conf:6: domain win / disk xvdb: the device model can serve this only writable; write mode = w, or name it"
        " xvde or later, where only PV drivers see it"
    ]
    assert complaints(HVM + disk("xvde", "mode = r") + disk("sda", "mode = r") + CDROM) == []
    assert complaints(WEB + disk("xvdb", "mode = r")) == []
