"""What a rehearsal tells beside what then really happens, on the same simulated host."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, listens
from tests.unit.rehearsal.support import Course, lose_copies, really, rehearsed, scene_of, told, with_a_past
from xenlocal.simulator.iscsi import IscsiTarget, Lun


def chain() -> Machine:
    machine = Machine(listens("nas", 2049), conf("auth", "needs = nas"), conf("db", "needs = auth"), conf("free"))
    machine.behave("nas", listen={"192.0.2.50:2049": 17.0}, boot_seconds=6.0, stop_seconds=12.0)
    machine.behave("auth", boot_seconds=8.0, stop_seconds=3.0)
    machine.behave("db", boot_seconds=5.0, stop_seconds=25.0)
    return machine


def diamond_with_a_guest_that_hangs() -> Machine:
    machine = Machine(
        conf("base"),
        conf("left", "after = base", "stop_timeout = 40s"),
        conf("right", "needs = base"),
        conf("top", "needs = left, right"),
    )
    machine.behave("base", boot_seconds=9.0, stop_seconds=4.0)
    machine.behave("left", boot_seconds=7.0, stop_seconds=None)
    machine.behave("right", boot_seconds=4.0, stop_seconds=8.0)
    machine.behave("top", boot_seconds=6.0, stop_seconds=2.0)
    return machine


def one_with_refusals() -> Machine:
    machine = Machine(
        conf("nas", "[[disk xvda]]", "volume = vg0/nas", "size = 1G"),
        conf("gone", "ramdisk = /boot/initrd-old"),
        conf("web", "needs = gone"),
        conf("mail", "after = gone"),
        conf("saved"),
        conf("by-hand", "state = manual"),
        "[bridge br0]\nexternal = yes",
        conf("lic", "hostid = locked", "[[nic eth0]]", "bridge = br0"),
    )
    machine.dom0.state.patterns = ["/boot/vmlinuz", "/boot/initrd-old"]
    return machine


def prepared(machine: Machine) -> Machine:
    """On the day before its reboot."""
    with_a_past(machine)
    if "/boot/initrd-old" in machine.dom0.state.patterns:
        machine.dom0.state.patterns = ["/boot/vmlinuz"]
        lose_copies(machine)
        machine.dom0.state.texts["/var/lib/xen/save/saved"] = "memory"
        machine.disk.files["a.conf"] += "mac = 00:16:3e:00:00:99\n"  # not the one that its first start has locked
    return machine


@pytest.mark.parametrize("make", [chain, diamond_with_a_guest_that_hangs, one_with_refusals])
def test_it_tells_what_then_happens(make: Callable[[], Machine]) -> None:
    machine = prepared(make())
    foreseen = rehearsed(machine)
    down, up = really(machine, "shutdown"), really(machine, "boot")
    for course, phase in ((down, "shutdown"), (up, "boot")):
        alike(told(foreseen, phase), course)
    assert {fate.name for fate in foreseen.fates if fate.well} == set(machine.running)


def alike(foreseen: Course, happened: Course) -> None:
    assert foreseen.order == happened.order
    assert foreseen.seconds == pytest.approx(happened.seconds, rel=0.05)


def test_a_daemon_knows_the_durations_from_its_start_on_as_the_rehearsal_does() -> None:
    """Else one that was restarted would stop its guests in another order than was rehearsed."""
    machine = prepared(chain())
    assert Daemon(machine).run(5).loop.learned == scene_of(machine).learned != {}


def test_an_iscsi_target_that_works_is_logged_in_to_after_the_reboot_and_a_lost_one_is_not() -> None:
    luns = [f"/dev/disk/by-path/ip-192.0.2.1{n}:3260-iscsi-iqn.2012-10.example:bay{n}-lun-1" for n in (1, 2)]
    machine = Machine(
        *(f"[iscsi bay{n}]\nportal = 192.0.2.1{n}\ntarget = iqn.2012-10.example:bay{n}" for n in (1, 2)),
        *(conf(f"on{n}", "[[disk xvda]]", f"device = {lun}") for n, lun in enumerate(luns, 1)),
    )
    for n in (1, 2):
        lun = {"1": Lun(f"/dev/sd{n}", f"8:{n}")}
        machine.dom0.state.targets.append(IscsiTarget(f"iqn.2012-10.example:bay{n}", f"192.0.2.1{n}", luns=lun))
    Daemon(machine).run(60)
    assert set(machine.running) == {"on1", "on2"}
    machine.dom0.state.sessions[1].state = "FREE"  # given up by open-iscsi: LVM answers again
    fates = {fate.name: fate for fate in rehearsed(machine).fates}
    assert "is reached by iscsi/bay2, which is not logged in" in str(fates["on2"])
    assert "iscsi" not in str(fates["on1"])
