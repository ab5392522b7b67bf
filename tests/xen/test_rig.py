"""The rig itself, and the facts about Xen that the product is built on, on a real Xen."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.guest import Guest, bridge_ports, create, domids, states, wait_ready
from rig.image import Image
from rig.journal import guest_journal, times
from rig.machine import Machine
from rig.snapshot import resumed
from rig.wait import wait_for

CLOCKS_APART = 5
"""Seconds a domU's clock was seen behind the dom0's on an overloaded machine (3 s; below 0.1 s on a quiet one)."""

pytestmark = pytest.mark.every_suite


@pytest.fixture
def host(dom0: Machine) -> Machine:
    """A dom0 with a VG of six LVs (a to f) and a bridge."""
    dom0.make_vg()
    for name in "abcdef":
        dom0.run(f"lvcreate -q -y -Wy -n {name} -L 32M vg0")
    dom0.run("ip link add br0 type bridge && ip link set br0 up && ip addr add 192.0.2.1/24 dev br0")
    return dom0


def vif(number: int) -> str:
    return f"mac=00:16:3e:00:00:{number:02x},bridge=br0"


def whats(m: Machine, device: str) -> list[str]:
    return [event.what for event in guest_journal(m, device)]


@pytest.mark.limit(4200)  # it starts machines itself, so that the wait for other runs' QEMUs counts here
def test_scenarios_do_not_see_each_other(dom0_image: Image, tmp_path: Path) -> None:
    for number in range(2):
        work = tmp_path / str(number)
        work.mkdir()
        machine = resumed(dom0_image, work)
        try:
            assert machine.run("ls /root/mark; vgs vg0", check=False).rc != 0
            machine.make_vg()
            machine.put("/root/mark", b"\0\xff")
            assert machine.get("/root/mark") == b"\0\xff"
        finally:
            machine.close()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_guest_with_two_disks_and_a_nic(host: Machine, kind: str) -> None:
    guest = Guest(
        "one", "pvh" if kind == "pvh" else "pv", disks=("/dev/vg0/a", "/dev/vg0/b"), vifs=(vif(1),),
        options={"ip": "192.0.2.21/24", "listen": "5432"},
    )  # fmt: skip
    domid = create(host, guest)
    host.wait_until("timeout 2 bash -c '< /dev/tcp/192.0.2.21/5432'", 120)
    assert domids(host) == {"one": domid}
    assert bridge_ports(host, "br0") == {f"vif{domid}.0"}
    wait_ready(host, guest)
    size = 32 << 20
    wait_for(lambda: f"disk xvdb={size}" in whats(host, "/dev/vg0/a"), 60, "the guest to see its second disk", 0.5)

    before = float(host.out("date +%s.%N"))
    host.run("lvextend -q -L 64M vg0/a && lvextend -q -L 64M vg0/b")
    wait_for(lambda: f"size xvdb={2 * size}" in whats(host, "/dev/vg0/a"), 60, "the guest to see both grown", 0.5)
    journal = guest_journal(host, "/dev/vg0/a")
    assert f"size xvda={2 * size}" in whats(host, "/dev/vg0/a")
    assert times(journal, "size")[0] > times(journal, "ready")[0]
    assert times(journal, "size")[0] > before - CLOCKS_APART, "clocks of dom0 and domU compare"

    host.run("xl shutdown -w one", 120)
    assert whats(host, "/dev/vg0/a")[-2:] == ["asked poweroff", "stopped"]
    host.wait_until("! xl domid one", 60)


@pytest.mark.long
def test_guests_that_stop_cleanly_slowly_and_never(host: Machine) -> None:
    how = {"a": "clean", "b": "slow:8", "c": "hang"}
    guests = [
        Guest(stop.partition(":")[0], disks=(f"/dev/vg0/{lv}",), options={"stop": stop}) for lv, stop in how.items()
    ]
    for guest in guests:
        create(host, guest)
    for guest in guests:
        wait_ready(host, guest)
    for domid in domids(host).values():
        host.run(f"xl shutdown {domid}")
    host.wait_until("! xl domid clean && ! xl domid slow", 120)
    slow = guest_journal(host, "/dev/vg0/b")
    assert 8 <= times(slow, "stopped")[0] - times(slow, "asked")[0] < 20
    assert whats(host, "/dev/vg0/c")[-1] == "asked poweroff"
    assert set(domids(host)) == {"hang"}
    host.run("xl destroy hang")
    assert domids(host) == {}


@pytest.mark.long
def test_guests_that_end_by_themselves(host: Machine) -> None:
    preserve: dict[str, str | int] = {"on_poweroff": "preserve", "on_crash": "preserve"}
    for lv, then in zip("abc", ("poweroff:2", "crash:2", "reboot:2"), strict=True):
        create(host, Guest(then[:-2], disks=(f"/dev/vg0/{lv}",), options={"then": then}, keys=preserve))
    first = domids(host)
    wait_for(
        lambda: len(times(guest_journal(host, "/dev/vg0/c"), "ready")) == 2,
        180,
        "the guest's second life",
        0.5,
    )
    wait_for(lambda: states(host)["poweroff"] == "s", 60, "the state of a guest that powered itself off", 0.5)
    wait_for(lambda: states(host)["crash"] == "sc", 60, "the state of a crashed guest", 0.5)
    assert domids(host)["reboot"] != first["reboot"]
    assert whats(host, "/dev/vg0/a")[-1] == "own poweroff"
    assert whats(host, "/dev/vg0/b")[-1] == "own crash"
    assert times(guest_journal(host, "/dev/vg0/c"), "own") and "started life=2" in whats(host, "/dev/vg0/c")


@pytest.mark.long
def test_disk_that_is_a_file(host: Machine) -> None:
    host.run("truncate -s 32M /srv/disk.img")
    guest = Guest("filed", disks=("/srv/disk.img",))
    create(host, guest)
    wait_ready(host, guest)
    host.run("xl shutdown -w filed", 120)
    assert whats(host, "/srv/disk.img")[-1] == "stopped"


@pytest.mark.long
def test_reboot_of_the_dom0_and_power_off(host: Machine) -> None:
    host.run("systemctl mask xendomains.service")  # it would save the domU and bring it back
    create(host, Guest("one", disks=("/dev/vg0/a",)))
    former = host.link.boot
    host.reboot()
    assert host.link.boot != former
    assert domids(host) == {}
    assert host.out("lvs --noheadings -o lv_name vg0").split() == list("abcdef")
    assert "reboot.target" in host.out("journalctl -b -1 --no-pager -o json --output-fields=UNIT,MESSAGE | tail -n 50")
    host.poweroff()
    assert host.qemu is None
