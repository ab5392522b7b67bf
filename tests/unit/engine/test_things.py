"""A disk that comes late: it delays the domUs on it and nobody else, and is noticed soon."""

from __future__ import annotations

from tests.unit.engine.rig import Daemon, Machine, conf
from xenlocal.simulator.state import Path

DISK = "/dev/disk/by-path/ip-192.0.2.10:3260-iscsi-iqn.2012-10.example:bay1-lun-3"


def comes(machine: Machine) -> None:
    machine.dom0.state.paths[DISK] = Path("block", device="8:16")


def test_a_late_iscsi_disk_delays_only_the_domus_on_it() -> None:
    machine = Machine(conf("db", f"needs = device{DISK}"), conf("log", f"after = device{DISK}"), conf("free"))
    daemon = Daemon(machine)
    boot = daemon.ask(0, "boot")
    daemon.at(1000, lambda: comes(machine))
    daemon.run(1060)
    born = machine.moments("born")
    assert born["free"] < 1010 and 1300 <= born["log"] < 1330 and 2000 <= born["db"] < 2015
    assert boot.code == 5 and f"domain/db: needs device/{DISK}, which does not exist yet" in boot.result["message"]


def test_a_declared_disk_that_comes_late_is_noticed_soon() -> None:
    machine = Machine(conf("db", "[[disk xvda]]", f"device = {DISK}"), conf("free"))
    daemon = Daemon(machine)
    daemon.at(1000, lambda: comes(machine))
    daemon.run(1060)
    born = machine.moments("born")
    assert born["free"] < 1010 and 2000 <= born["db"] < 2015


def test_a_bridge_made_by_somebody_else_and_a_volume_of_a_group_that_comes_late() -> None:
    text = "[bridge lab]\nexternal = yes"
    machine = Machine(text, conf("db", "needs = bridge/lab, volume/vg0/data"))
    daemon = Daemon(machine)
    daemon.at(100, lambda: machine.dom0.execute(["ip", "link", "add", "name", "lab", "type", "bridge"]))
    daemon.at(200, lambda: machine.dom0.execute(["lvcreate", "--size", "64m", "--name", "data", "vg0"]))
    daemon.at(300, lambda: machine.dom0.execute(["ip", "link", "set", "dev", "lab", "up"]))
    daemon.run(330)
    assert 1300 <= machine.moments("born")["db"] < 1315
