"""Guests that boot a kernel of the dom0: `check` sees whether they have its modules, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from lab import domain, reload, wait_all_ready, wait_off, write

from rig.guest import KERNEL, RAMDISK, cmdline
from rig.machine import Machine

pytestmark = [pytest.mark.long]
OTHER = "5.10.0-0-amd64"


def guest(kernel: str, name: str, **more: str) -> str:
    """Its root file system is said to be on xvdb; the rig's guests live in their ramdisk."""
    keys = f"kernel = {kernel}\nramdisk = {RAMDISK}\ncmdline = {cmdline()} root=/dev/xvdb\n"
    part = f"  [[disk xvdb]]\n  volume = vg0/{name}-root\n  size = 32M\n"
    return domain(name, keys=keys, parts=part + "".join(f"  {key} = {value}\n" for key, value in more.items()))


def make_root(m: Machine, name: str, release: str, how: str = "--size 32M") -> None:
    m.run(f"lvcreate --yes --addtag xenlocal --addtag xenlocal.host=dom0 {how} --name {name}-root vg0")
    m.run(f"rm -rf /root/disk && mkdir -p /root/disk/usr/lib/modules/{release} && ln -s usr/lib /root/disk/lib")
    m.run(f"mke2fs -q -F -t ext4 -d /root/disk /dev/vg0/{name}-root")


def said(m: Machine) -> Mapping[str, str]:
    """What `check` says of modules: name of the domU -> the finding of it."""
    result = m.run("xenlocal check --json", 180, check=False)
    data = json.loads(result.out)
    assert data["ok"], result
    found = [each for each in data["findings"] if each["code"] == "modules" and each["severity"] != "ok"]
    assert all(each["severity"] == "warning" for each in found), found
    return {each["text"].split()[0]: each["text"] for each in found}


def volumes(m: Machine) -> set[str]:
    return set(m.out("lvs --noheadings -o lv_name vg0").split())


@pytest.mark.every_suite
@pytest.mark.limit(1800)
def test_modules_on_the_disks_of_guests(installed: Machine) -> None:
    m = installed
    m.make_vg()
    release = m.out("uname -r").strip()
    m.run("lvcreate --yes --type thin-pool --size 128M --name thin0 vg0")
    make_root(m, "web", OTHER)
    make_root(m, "thin", OTHER, "--virtualsize 32M --thinpool thin0")
    # what runs was started from another kernel: to unpack a bzImage takes `xl create` minutes under emulation
    write(m, web=guest(KERNEL, "web"), thin=guest(KERNEL, "thin", pool="thin0"))
    assert reload(m).rc == 0
    wait_all_ready(m, "web", "thin")
    kernel = f"/boot/vmlinuz-{release}"
    write(m, web=guest(kernel, "web"), thin=guest(kernel, "thin", pool="thin0"))
    before = {
        f"domain/{name}": (
            f"domain/{name} has no modules at its next start: its kernel /boot/vmlinuz-{release} is {release}, and"
            f" /lib/modules of its disk xvdb, volume/vg0/{name}-root, has {OTHER} (/etc/xenlocal/{name}.conf:1)"
        )
        for name in ("web", "thin")
    }
    there = volumes(m)
    assert said(m) == before and volumes(m) == there, "of guests that run"
    look = "lvcreate --yes --snapshot --permission r --addtag xenlocal-look"
    m.run(f"{look} --size 4M --name xenlocal-look.web-root vg0/web-root")
    m.run(f"{look} --setactivationskip n --name xenlocal-look.thin-root vg0/thin-root")
    tags = m.out("lvs --noheadings -o lv_tags vg0/xenlocal-look.web-root vg0/xenlocal-look.thin-root").split()
    assert tags == ["xenlocal-look"] * 2, "a snapshot has no tags of its origin, or the daemon would retire it"
    m.run("xenlocal apply", 300, check=False)
    assert volumes(m) > there, "to the daemon it is foreign"
    assert said(m) == before and volumes(m) == there, "what a killed check has left behind is gone"

    m.run("xenlocal stop web", 300)
    wait_off(m, "web")
    m.run(f"mount /dev/vg0/web-root /mnt && mkdir /mnt/lib/modules/{release} && umount /mnt")
    assert said(m).keys() == {"domain/thin"}, "it has them now, and it is off"
    m.run(f"mount /dev/vg0/web-root /mnt && rmdir /mnt/lib/modules/{release} && umount /mnt")
    assert said(m) == before, "of one that is off"
    assert m.run("dmesg | grep -i 'ext4.*error'", check=False).rc == 1
