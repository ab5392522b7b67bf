"""Scenario 7: something is missing or fails. Who depends on it waits with a named reason, the others run, and it heals
by itself when the cause goes."""

from __future__ import annotations

import pytest
from lab import NETWORK, domain, reload, row, wait_all_ready, wait_notice, write

from rig.guest import KERNEL, Guest, create, domids
from rig.machine import Machine

pytestmark = pytest.mark.limit(1200)


@pytest.fixture
def host(installed: Machine) -> Machine:
    """vg0 and vg1, a bridge, and one domU that has nothing to do with any trouble."""
    m = installed
    m.run("vgcreate -q vg0 /dev/vdb && vgcreate -q vg1 /dev/vdc")
    write(m, net=NETWORK, fine=domain("fine"))
    assert reload(m).rc == 0
    wait_all_ready(m, "fine")
    return m


def test_missing_things(host: Machine) -> None:
    m = host
    hog = Guest("hog", memory=900)
    create(m, hog)
    m.run("lvcreate -q -y -Wy -n vol -L 32M --addtag xenlocal vg1 && lvchange -q -an vg1/vol")
    m.run("sed -i 's/^activation {/activation {\\n volume_list = [ \"vg0\" ]/' /etc/lvm/lvm.conf")
    m.run("lvmconfig activation/volume_list")
    m.run("head -c 4096 /dev/urandom > /srv/guest/broken")
    disk = "  [[disk xvdb]]\n  volume = vg1/vol\n"
    write(
        m,
        inactive=domain("inactive", parts=disk),
        follower=domain("follower", keys="needs = inactive"),
        unbridged=domain("unbridged", nics=("out0",)) + "[bridge out0]\nexternal = yes\n",
        large=domain("large", memory="1000M"),
        broken=domain("broken", keys="kernel = /srv/guest/broken"),
        other=domain("other"),
    )
    assert reload(m).rc == 0
    wait_all_ready(m, "other")
    wait_notice(m, "inactive", "volume/vg1/vol")
    wait_notice(m, "follower", "volume/vg1/vol")
    wait_notice(m, "unbridged", "bridge/out0")
    wait_notice(m, "large", "of memory")
    wait_notice(m, "broken", "the last start failed")
    assert set(domids(m)) == {"fine", "other", "hog"}

    m.run("sed -i '/volume_list = \\[ \"vg0\" \\]/d' /etc/lvm/lvm.conf")
    m.run("ip link add out0 type bridge && ip link set out0 up")
    m.run("xl destroy hog", 60)
    m.run(f"cp {KERNEL} /srv/guest/broken")
    wait_all_ready(m, "inactive", "follower", "unbridged", "large", "broken", timeout=600)


def test_lvm_that_fails(host: Machine) -> None:
    m = host
    before = domids(m)
    m.run("mv $(readlink -f $(which lvm)) /root/lvm.away")
    m.put("/usr/sbin/lvm", "#!/bin/sh\necho 'no such luck' >&2\nexit 5\n", 0o755)
    write(m, new=domain("new"), bare=domain("bare", disks=(), nics=()))
    assert reload(m).rc == 0
    assert "could not be found out" in wait_notice(m, "new", "storage")
    wait_all_ready(m, "bare")
    assert {name: domids(m)[name] for name in before} == before
    assert row(m, "fine")["observed"] == "running"
    m.run("mv /root/lvm.away /usr/sbin/lvm")
    wait_all_ready(m, "new", timeout=600)
