"""Guests that boot from the menu on their own disk: by pygrub, which reads it on the dom0, and by GRUB in the guest."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from lab import reload, wait_all_ready, write

from rig.guest import RAMDISK, cmdline, domids
from rig.machine import Machine

pytestmark = [pytest.mark.long, pytest.mark.every_suite]
GRUB = {"pv": "/usr/lib/grub-xen/grub-x86_64-xen.bin", "pvh": "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"}
OPTIONS = cmdline(journal="xvdb")


def menu(kernel: str) -> str:
    return f"set timeout=0\nmenuentry 'Debian' {{\n linux /boot/{kernel} {OPTIONS}\n initrd /boot/initrd\n}}\n"


def make_disk(m: Machine, path: str, text: str) -> None:
    """A file system with a kernel, an initrd and a menu."""
    m.put("/root/disk/boot/grub/grub.cfg", text)
    m.run(f"cp /boot/vmlinuz-$(uname -r) /root/disk/boot/vmlinuz && cp {RAMDISK} /root/disk/boot/initrd")
    m.run(f"rm -f {path} && truncate -s 48M {path} && mke2fs -q -F -t ext4 -d /root/disk {path}")


def guest(name: str, boot: str, kind: str = "pv") -> str:
    own, journal = f"[[disk xvda]]\nfile = /srv/{name}.img\n", f"[[disk xvdb]]\nvolume = vg0/{name}\nsize = 16M\n"
    return f"[domain {name}]\ntype = {kind}\nmemory = 160M\n{boot}\n{own}{journal}"


def menus(m: Machine, code: int) -> Mapping[str, str]:
    """What `check` says of boot menus: name of the domU -> the first finding of it."""
    result = m.run("xenlocal check --json", 120, check=False)
    data = json.loads(result.out)
    assert result.rc == code and data["ok"], result
    said = [each for each in data["findings"] if each["code"] == "boot-menu" and each["severity"] != "ok"]
    return {each["text"].split()[0]: each["text"] for each in said}


@pytest.mark.limit(1200)
def test_pygrub(installed: Machine) -> None:
    m = installed
    m.make_vg()
    make_disk(m, "/srv/web.img", menu("vmlinuz-that-is-gone"))
    write(m, web=guest("web", "bootloader = pygrub"))
    found = menus(m, 5)["domain/web"]
    assert "cannot boot from its disk xvda, file//srv/web.img" in found
    assert "pygrub says: The requested kernel file does not exist" in found

    make_disk(m, "/srv/web.img", "menuentry {{{\n")
    assert "RuntimeError: Unable to find partition containing kernel" in menus(m, 5)["domain/web"]

    make_disk(m, "/srv/web.img", menu("vmlinuz"))
    assert f"boots from its disk xvda, file//srv/web.img with: {OPTIONS}" in menus(m, 0)["domain/web"]
    assert reload(m).rc == 0
    wait_all_ready(m, "web")
    assert "web" in domids(m) and f"with: {OPTIONS}" in menus(m, 0)["domain/web"], "of one that runs, too"


@pytest.mark.limit(1500)
def test_grub_in_the_guest(installed: Machine) -> None:
    m = installed
    m.make_vg()
    for kind in GRUB:
        make_disk(m, f"/srv/{kind}.img", menu("vmlinuz"))
    write(m, **{kind: guest(kind, f"pvgrub = {GRUB[kind]}", kind) for kind in GRUB})
    assert menus(m, 0) == {}
    assert reload(m).rc == 0
    wait_all_ready(m, *GRUB)
    assert domids(m).keys() == {*GRUB}
