"""[[install]]: what it becomes, and every way to write it wrong, by the words an administrator reads."""

from __future__ import annotations

import pytest

from tests.unit.config.support import WEB, complaints, web
from xenlocal.model.diskwork import Install

DISK = "[[disk xvda]]\nvolume = vg0/web\nsize = 4G\n"
NIC = "[bridge br0]\n" + WEB + DISK + "[[nic eth0]]\nbridge = br0\n[[install]]\n"
HERE = WEB + DISK + "[[install]]\n"
HVM = "[domain web]\nmemory = 1G\ntype = hvm\n" + DISK + "[[install]]\n"


def test_a_suite_and_nothing_else() -> None:
    assert web(DISK + "[[install]]\nsuite = bookworm").install == Install(suite="bookworm")
    assert web(DISK).install is None


def test_everything() -> None:
    text = "suite = trixie\nmirror = http://deb.example/debian\npackages = openssh-server, vim\nhostname = w.example\n"
    text += "address = 192.0.2.21/24\ngateway = 192.0.2.1\ndns = 192.0.2.1, 2001:db8::1\nssh_key = /root/keys\n"
    text += "root_password = /root/hash\nhooks = /etc/xenlocal/hooks\n"
    assert complaints(NIC + text) == []
    made = web(DISK + "[[nic eth0]]\nbridge = br0\n[[install]]\n" + text + "[bridge br0]").install
    assert made == Install(
        suite="trixie",
        mirror="http://deb.example/debian",
        packages=("openssh-server", "vim"),
        hostname="w.example",
        address="192.0.2.21/24",
        gateway="192.0.2.1",
        dns=("192.0.2.1", "2001:db8::1"),
        ssh_key="/root/keys",
        root_password="/root/hash",
        hooks="/etc/xenlocal/hooks",
    )
    assert dict(made.files) == {
        "ssh_key": "/root/keys",
        "root_password": "/root/hash",
        "hooks": "/etc/xenlocal/hooks",
    }


def test_what_it_reads_of_the_dom0() -> None:
    made = web(DISK + "[[install]]\nimage = /srv/a.tar.xz\nroot_password = locked\naddress = dhcp\ndns = none").install
    assert made == Install(image="/srv/a.tar.xz") and made.files == (("image", "/srv/a.tar.xz"),)
    made = web(DISK + "[[install]]\nsuite = sid\nmirror = /etc/apt/lab.sources").install
    assert made is not None and made.files == (("mirror", "/etc/apt/lab.sources"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "7: domain web / install: suite is missing; write one such as suite = bookworm, or image = FILE"),
        ("suite =", "8: domain web / install: suite has no value; write one, or remove the line"),
        (
            "suite = bookworm\nimage = /a.img",
            "9: domain web / install: suite and image are two ways to install; write only one of them",
        ),
        (
            "suite = Bookworm!",
            "8: domain web / install: suite 'Bookworm!' is no release of Debian; write one such as bookworm",
        ),
        (
            "suite = bookworm/updates",
            "8: domain web / install: suite 'bookworm/updates' is no release of Debian; write one such as bookworm",
        ),
        (
            "image = /srv/a.qcow2",
            "8: domain web / install: image '/srv/a.qcow2' is neither a raw image (.img, .raw) nor a tar (.tar,"
            " .tar.xz); convert others first, as in `qemu-img convert -O raw IN OUT.img`",
        ),
        ("image = a.img", "8: domain web / install: path 'a.img' is not absolute; write it from / on"),
        (
            "suite = sid\nmirror = ftp.example",
            "9: domain web / install: mirror 'ftp.example' is neither a URL, as http://mirror.example/debian, nor the"
            " path of a file of apt sources",
        ),
        (
            "suite = sid\nmirror = http://a.example/debian main",
            "9: domain web / install: mirror 'http://a.example/debian main' is neither a URL, as"
            " http://mirror.example/debian, nor the path of a file of apt sources",
        ),
        (
            "suite = sid\nmirror = http://me:secret@ftp.example/debian",
            "9: domain web / install: mirror says how to log in there, which ps shows to everybody; write the path of a"
            " file of apt sources",
        ),
        (
            "suite = sid\nmirror = /a//b",
            "9: domain web / install: path '/a//b' is not in its shortest form; write /a/b",
        ),
        ("suite = sid\npackages = Vim", "9: domain web / install: 'Vim' is not the name of a package"),
        ("suite = sid\npackages = vim=9.0", "9: domain web / install: 'vim=9.0' is not the name of a package"),
        (
            "suite = sid\nhostname = a_b",
            "9: domain web / install: hostname 'a_b' is no host name; use small letters, digits, - and dots, at most"
            " 64",
        ),
        (
            f"suite = sid\nhostname = {'a' * 60}.{'b' * 4}",
            f"9: domain web / install: hostname '{'a' * 59}…' is no host name; use small letters, digits, - and dots,"
            " at most 64",
        ),
        (
            "suite = sid\naddress = 192.0.2.21",
            "9: domain web / install: address '192.0.2.21' is not an address with its prefix length; write one such as"
            " 10.9.0.1/24, or dhcp",
        ),
        (
            "suite = sid\naddress = 192.0.2.21/24",
            "9: domain web / install: address is that of the first nic, and there is none; write a [[nic eth0]], or"
            " remove it",
        ),
        (
            "suite = sid\ngateway = 192.0.2.1",
            "9: domain web / install: gateway goes with a fixed address; write one such as address = 192.0.2.21/24, or"
            " remove it",
        ),
        (
            "suite = sid\naddress = dhcp\ngateway = 192.0.2.1",
            "10: domain web / install: gateway goes with a fixed address; write one such as address = 192.0.2.21/24, or"
            " remove it",
        ),
        ("suite = sid\ndns = ns", "9: domain web / install: 'ns' is not an address; write one such as 192.0.2.1"),
        (
            "suite = sid\nroot_password = secret",
            "9: domain web / install: root_password, or rather its hash, stands in a file of its own; write the path of"
            " that, or locked",
        ),
        (
            "image = /a.tar\npackages = vim",
            "9: domain web / install: packages is not for an image, which has its packages; remove it",
        ),
        (
            "image = /a.tar\nssh_key = ssh-ed25519 AAAA",
            "9: domain web / install: ssh_key 'ssh-ed25519 AAAA' is not the path of a file of public keys; write one"
            " from / on",
        ),
        (
            "image = /a.tar\nssh_key = /a//k",
            "9: domain web / install: path '/a//k' is not in its shortest form; write /a/k",
        ),
    ],
)
def test_says_what_is_wrong_with_it(text: str, expected: str) -> None:
    assert complaints(HERE + text + "\n") == [f"web.conf:{expected}"]


def test_a_host_name_has_64_characters_at_most() -> None:
    name = f"{'a' * 60}.{'b' * 3}"
    made = web(DISK + f"[[install]]\nsuite = sid\nhostname = {name}").install
    assert made is not None and made.hostname == name


RAW_NEEDS_NONE = (
    "mirror = /m",
    "packages = vim",
    "hostname = w",
    "address = dhcp",
    "gateway = 192.0.2.1",
    "dns = 192.0.2.1",
    "ssh_key = /k",
    "root_password = /h",
    "hooks = /d",
)


@pytest.mark.parametrize("line", RAW_NEEDS_NONE)
def test_nothing_is_set_inside_of_a_raw_image(line: str) -> None:
    key = line.partition(" ")[0]
    told = complaints(NIC + f"image = /a.img\n{line}\n")
    wrong = f"{key} is not for a raw image, which is written as it is; remove it"
    assert f"web.conf:12: domain web / install: {wrong}" in told
    of_a_tar = [each for each in complaints(NIC + f"image = /a.tar\n{line}\n") if f"{key} is not for" in each]
    assert bool(of_a_tar) is (key in ("mirror", "packages"))


def test_a_wrong_address_does_not_excuse_and_does_not_add() -> None:
    """One mistake, one problem: it was not left out."""
    assert len(complaints(NIC + "suite = sid\naddress = x\ngateway = 192.0.2.1\n")) == 1


_FIRST = "the first disk of the domU is what is installed into, and"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WEB + "[[install]]\nsuite = sid\n", f"4: domain web / install: {_FIRST} there is none; write a [[disk xvda]]"),
        (
            WEB + "[[disk xvda]]\ndevice = /dev/sdb\n[[install]]\nsuite = sid\n",
            f"5: domain web / disk xvda: {_FIRST} xenlocal never writes to a device; write volume = VG/LV",
        ),
        (
            HVM.replace("volume = vg0/web\nsize = 4G", "cdrom = /a.iso") + "image = /a.img\n",
            f"5: domain web / disk xvda: {_FIRST} xenlocal never writes to a cdrom; write volume = VG/LV",
        ),
        (
            WEB + "[[disk xvda]]\nvolume = vg0/web\n[[install]]\nsuite = sid\n",
            f"4: domain web / disk xvda: {_FIRST} without a size it is not made; write one such as size = 20G",
        ),
        (
            WEB + DISK + "mode = r\n[[install]]\nsuite = sid\n",
            f"7: domain web / disk xvda: {_FIRST} with mode = r it cannot be written to; remove that",
        ),
        (
            WEB + DISK + "mode = w!\n[[install]]\nsuite = sid\n",
            f"7: domain web / disk xvda: {_FIRST} with mode = w! others could write to it meanwhile; write mode = w",
        ),
        (
            HVM + "suite = sid\n",
            "8: domain web / install: an hvm guest boots its disk, which a suite does not make bootable",
        ),
        (
            HVM + "image = /a.tar\n",
            "8: domain web / install: an hvm guest boots its disk, which a tar does not make bootable",
        ),
    ],
)
def test_says_what_is_wrong_with_its_disk_and_its_guest(text: str, expected: str) -> None:
    (told,) = complaints(text)
    assert told.startswith(f"web.conf:{expected}")


def test_a_disk_whose_size_is_wrong_is_not_told_of_twice() -> None:
    text = WEB + "[[disk xvda]]\nvolume = vg0/web\nsize = 4\n[[install]]\nsuite = sid\n"
    assert len(complaints(text)) == 1


def test_an_hvm_guest_has_a_raw_image() -> None:
    assert complaints(HVM + "image = /a.raw\n") == []


def test_an_hvm_guest_without_anything_to_install_is_told_of_that_alone() -> None:
    (told,) = complaints(HVM)
    assert "suite is missing" in told


def test_an_old_part_of_another_kind_is_not_for_every_domain() -> None:
    assert "[defaults] has no parts" in complaints("[defaults]\n[[install]]\nsuite = sid\n" + WEB)[0]


def test_a_file_system_that_is_to_grow() -> None:
    (disk,) = web(DISK + "resize_fs = yes").disks
    assert disk.resize_fs and not web(DISK).disks[0].resize_fs
    wrong = "resize_fs is for a disk of one domU, writable and with a size, which xenlocal can grow; remove it"
    for mode in ("r", "w!"):
        told = complaints(WEB + DISK + f"mode = {mode}\nresize_fs = yes\n")
        assert told == [f"web.conf:8: domain web / disk xvda: {wrong}"]
    cd = HVM.replace("volume = vg0/web\nsize = 4G", "cdrom = /a.iso\nsize = 4G\nresize_fs = yes").partition("[[inst")[0]
    assert f"web.conf:7: domain web / disk xvda: {wrong}" in complaints(cd)
    assert complaints(WEB + "[[disk xvda]]\nvolume = vg0/a\nresize_fs = no\n") == []
    assert len(complaints(WEB + "[[disk xvda]]\nvolume = vg0/a\nsize = 4\nresize_fs = yes\n")) == 1


@pytest.mark.parametrize(
    ("address", "gateway"),
    [("192.0.2.21/24", "10.0.0.1"), ("192.0.2.21/24", "2001:db8::1"), ("2001:db8::2/64", "192.0.2.1")],
)
def test_a_gateway_is_where_the_guest_reaches_it(address: str, gateway: str) -> None:
    lines = f"suite = sid\naddress = {address}\ngateway = {{}}\n"
    [said] = complaints(NIC + lines.format(gateway))
    assert f": gateway {gateway} is not in " in said
    assert said.endswith(", so nothing would reach it; write one of that network, or another length")
    for near in ("192.0.2.254" if "." in address else "2001:db8::ff", "fe80::1"):
        assert complaints(NIC + lines.format(near)) == []
