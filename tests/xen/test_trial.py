"""`xenlocal kernel NAME --update` on a real Xen: modules are put into the disk of a guest that is off, a kernel that
cannot be started goes back by itself, and one that comes up stays."""

from __future__ import annotations

import json

import pytest
from lab import (
    NETWORK,
    domain,
    packed_kernel,
    reload,
    row,
    some_modules,
    wait_all_ready,
    wait_notice,
    wait_off,
    write,
)

from rig.guest import KERNEL, RAMDISK, cmdline
from rig.machine import Machine
from rig.wait import wait_for

pytestmark = [pytest.mark.long, pytest.mark.limit(1800)]
TRIALS = "/var/lib/xenlocal/trials.json"


def web(kernel: str) -> str:
    """Its root file system is said to be on xvdb; the rig's guests live in their ramdisk."""
    line = f"{cmdline(ip='192.0.2.21/24', listen='5432:1')} root=/dev/xvdb"
    parts = "  [[disk xvdb]]\n  volume = vg0/web-root\n  size = 32M\n  [[ready]]\n  tcp = 192.0.2.21:5432\n"
    keys = f"kernel = /srv/boot/9.9-{kernel}\nramdisk = {RAMDISK}\ncmdline = {line}\n"
    return domain("web", keys=keys, nics=("lab0",), parts=parts)


def kernel_of(m: Machine) -> str:
    (config,) = json.loads(m.out("xl list -l web"))
    build = config["config"]["b_info"]
    return str(build.get("kernel") or build["type.pv"]["kernel"])


def off_with(m: Machine, kernel: str) -> None:
    m.run("xenlocal stop web", 300)
    wait_off(m, "web")
    write(m, web=web(kernel))
    assert reload(m).rc == 0


def test_a_kernel_is_tried_with_its_modules_and_one_that_fails_goes_back(installed: Machine) -> None:
    m = installed
    m.make_vg()
    m.put("/srv/empty", "no kernel\n")
    for release, source in (("9.9-one", KERNEL), ("9.9-two", KERNEL), ("9.9-bad", "/srv/empty")):
        packed_kernel(m, source, release)
        some_modules(m, release)
    m.run("lvcreate --yes --addtag xenlocal --addtag xenlocal.host=dom0 --size 32M --name web-root vg0")
    m.run("mkdir -p /root/disk/usr/lib && ln -s usr/lib /root/disk/lib")
    m.run("mke2fs -q -t ext4 -d /root/disk /dev/vg0/web-root")
    write(m, net=NETWORK, web=web("one"))
    assert reload(m).rc == 0
    wait_all_ready(m, "web")
    first = kernel_of(m)
    refused = m.run("xenlocal kernel web --update", 120, check=False)
    assert refused.rc == 1 and "it is not off; type: xenlocal stop web" in refused.err

    off_with(m, "bad")
    failed = m.run("xenlocal kernel web --update", 600, check=False)
    assert failed.rc == 1 and "with 9.9-bad it could not be started" in failed.err, failed
    wait_all_ready(m, "web")
    assert kernel_of(m) == first and "9.9-bad has failed its trial" in wait_notice(m, "web", "has failed its trial")
    assert json.loads(m.out(f"cat {TRIALS}"))["trials"][0]["release"] == "9.9-bad"

    off_with(m, "two")
    m.run("xenlocal kernel web --update", 600)
    assert kernel_of(m) != first and row(m, "web")["notices"] == []
    assert json.loads(m.out(f"cat {TRIALS}"))["trials"] == []
    wait_for(lambda: first.split("/")[-2] not in m.out("ls /var/lib/xenlocal/kernels"), 120, "the old copy to go", 5)
    m.run("xenlocal stop web", 300)
    wait_off(m, "web")
    m.run("mount -o ro /dev/vg0/web-root /mnt")
    found = m.out("cd /mnt/usr/lib/modules && find . -name '*.ko' | sort").split()
    assert found == ["./9.9-bad/kernel/some.ko", "./9.9-two/kernel/some.ko"]
    m.run("umount /mnt")
    assert "is done" in m.out("tail -n 1 /var/log/xenlocal/modules-web.log")
    assert "xenlocal-modules" not in m.out("lvs --noheadings -o lv_tags vg0/web-root")
