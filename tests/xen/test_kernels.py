"""The copy that is kept of a guest's kernel: what is removed from the dom0 takes no start and no reboot away."""

from __future__ import annotations

import json

import pytest
from lab import domain, reload, row, wait_all_ready, wait_notice, write

from rig.guest import KERNEL, RAMDISK, domids
from rig.machine import Machine
from rig.wait import wait_for

pytestmark = [pytest.mark.long]
COPIES = "/var/lib/xenlocal/kernels"


def copies(m: Machine) -> list[str]:
    return m.out(f"ls -A {COPIES}").split()


def kernel_of(m: Machine, name: str) -> str:
    """As the monitor of the running domU has it."""
    (config,) = json.loads(m.out(f"xl list -l {name}"))
    build = config["config"]["b_info"]
    return str(build.get("kernel") or build["type.pv"]["kernel"])


@pytest.mark.limit(1500)
def test_a_kernel_that_is_removed(installed: Machine) -> None:
    m = installed
    m.make_vg()
    m.run(f"mkdir /srv/boot && cp {KERNEL} /srv/boot/vmlinux-1 && cp {RAMDISK} /srv/boot/initrd-1")
    web = domain("web", keys="kernel = /srv/boot/vmlinux-1\nramdisk = /srv/boot/initrd-1\n")
    write(m, web=web)
    assert reload(m).rc == 0
    wait_all_ready(m, "web")
    (copy,) = copies(m)
    assert kernel_of(m, "web") == f"{COPIES}/{copy}/kernel"
    assert m.out("pgrep -f 'xl create.*web'") and m.out(f"stat -c %a {COPIES}/{copy}/ramdisk").strip() == "600"

    m.run(f"grep -q {COPIES}/ /var/lib/xen/userdata-*")  # by which a purge knows that it has to leave the copies
    m.run("rm /srv/boot/vmlinux-1")
    born = domids(m)["web"]
    m.run("xl reboot web")
    wait_for(lambda: domids(m).get("web", born) > born, 240, "web to be back from its own reboot", 2)
    wait_for(lambda: row(m, "web")["domid"] == domids(m)["web"], 120, "the daemon to know of its new life", 2)
    wait_all_ready(m, "web")
    missing = wait_notice(m, "web", "kernel /srv/boot/vmlinux-1 does not exist")
    assert "it is started from the copy that is kept" in missing
    result = m.run("xenlocal check", 180, check=False)
    assert result.rc == 5 and "warning: boot-files: domain/web starts from the copy" in result.out
    born = domids(m)["web"]
    m.run("xenlocal restart web", 480)
    assert domids(m)["web"] > born and copies(m) == [copy]

    # another kernel, for which there is no room; then there is
    m.run(f"cp {KERNEL} /srv/boot/vmlinux-2")
    write(m, web=web.replace("vmlinux-1", "vmlinux-2"))
    m.run(f"mount -t tmpfs -o size=1M,mode=700 none {COPIES}")
    m.run("xenlocal restart web", 480)
    assert kernel_of(m, "web") == "/srv/boot/vmlinux-2"
    assert "No space left on device" in wait_notice(m, "web", "its kernel must not be removed from the dom0")
    assert copies(m) == []
    m.run(f"umount {COPIES}")
    m.run("xenlocal restart web", 480)
    wait_for(lambda: kernel_of(m, "web").startswith(COPIES), 60, "a copy to be in use", 2)
    m.run("xenlocal apply", 300, check=False)
    assert len(copies(m)) == 1 and copies(m) != [copy], "the copy that nobody uses is gone"
    assert row(m, "web")["notices"] == []
