"""Scenario 1: the package comes to a host that is in use, and leaves everything on it as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.guest import Guest, bridge_ports, create, domids, wait_ready
from rig.machine import Machine
from rig.package import install


@pytest.mark.every_suite
def test_install_beside_foreign_things(dom0: Machine, deb: Path) -> None:
    dom0.make_vg()
    dom0.run("lvcreate -q -y -Wy -n theirs -L 32M vg0 && lvcreate -q -y -Wy -n data -L 16M vg0")
    dom0.run("dd if=/dev/urandom of=/dev/vg0/data bs=1M count=16 oflag=direct status=none")
    dom0.run("ip link add br9 type bridge && ip link set br9 up")
    theirs = Guest("theirs", disks=("/dev/vg0/theirs",), vifs=("mac=00:16:3e:00:00:09,bridge=br9",))
    create(dom0, theirs)
    wait_ready(dom0, theirs)

    def seen() -> tuple[object, ...]:
        return (
            domids(dom0),
            dom0.out("xl list -v | awk '$2 != 0 {print $1, $2, $7}'"),
            dom0.out("sha256sum < /dev/vg0/data"),
            dom0.out("lvs --noheadings -o lv_name,lv_size,lv_tags,lv_uuid vg0"),
            bridge_ports(dom0, "br9"),
            dom0.out("ip -o link show br9"),
            dom0.out("pgrep -f 'xl create'"),
        )

    before = seen()
    install(dom0, deb)
    dom0.wait_until("systemctl is-active -q xenlocal && systemctl is-active -q xenlocal-guests", 120)
    assert seen() == before

    # xendomains is neutralised: neither a stop nor a start of it reaches a guest
    shown = dom0.out("systemctl show xendomains.service -p ExecStop -p ExecReload")
    assert "ExecStop={" not in shown and "ExecReload={" not in shown
    dom0.run("systemctl stop xendomains.service; systemctl start xendomains.service", 120, check=False)
    assert seen() == before
    assert dom0.run("xenlocal check").rc == 0
    listed = dom0.out("xenlocal status", 120)
    assert "theirs" in listed and "foreign" in listed
