"""Volumes of thin pools and of groups that several hosts share, as the daemon shows and handles them."""

from __future__ import annotations

from typing import Any

from tests.unit.engine.rig import Daemon, Machine, conf
from xenlocal.simulator.state import Fill, Group, Volume

GIB = 1 << 30
DISK = "[[disk xvda]]\nvolume = vg1/{0}\nsize = 1G"


def shared(*texts: str, **values: Any) -> Machine:
    machine = Machine(*texts)
    machine.dom0.state.groups.append(Group("vg1", 100 * GIB, locks="sanlock", **values))
    return machine


def status(daemon: Daemon) -> dict[str, Any]:
    found = daemon.loop.status()
    assert found is not None
    return found


def told(shown: dict[str, Any], name: str) -> str:
    return next("; ".join(row["notices"]) for row in shown["domains"] if row["name"] == name)


def test_what_another_host_has_active_is_said_and_waited_for() -> None:
    machine = shared(conf("db", DISK.format("db")))
    volume = Volume("vg1", "db", GIB, 7, active=False, tags=["xenlocal"], elsewhere=True)
    machine.dom0.state.volumes.append(volume)
    daemon = Daemon(machine)
    daemon.run(60)
    assert machine.running == {}
    assert told(status(daemon), "db").startswith(
        "start blocked: waits for volume/vg1/db: another host has vg1/db active; once no guest there uses it, type"
        " there: lvchange -an vg1/db; "
    )
    volume.elsewhere = False
    Daemon(machine).run(120)
    assert machine.running == {"db": "running"}


def test_locks_that_are_not_started_are_said_with_what_to_type() -> None:
    machine = shared(conf("db", DISK.format("db")), started=False)
    daemon = Daemon(machine)
    daemon.run(60)
    assert machine.running == {}
    assert "the locks of vg1 are not started" in told(status(daemon), "db")
    assert told(status(daemon), "db").endswith("type: vgchange --lockstart vg1")


def test_a_stopped_one_lets_go_and_gets_it_back() -> None:
    machine = shared(conf("db", DISK.format("db")))
    daemon = Daemon(machine)
    daemon.edit(20, conf("db", "state = stopped", DISK.format("db")))
    daemon.edit(60, conf("db", DISK.format("db")))
    daemon.run(100)
    changes = [text.removeprefix("lvchange ") for text in machine.changes() if text.startswith("lvchange")]
    assert changes == ["--activate n vg1/db", "--activate ey vg1/db"] and machine.running == {"db": "running"}


def test_a_thin_pool_is_shown_with_those_that_stand_on_it() -> None:
    thin = "[[disk xvd{1}]]\nvolume = vg0/{0}\nsize = 1G\npool = thin0"
    machine = Machine(conf("a", thin.format("a", "a"), thin.format("a2", "b")), conf("b", thin.format("b", "a")))
    machine.dom0.state.volumes.append(Volume("vg0", "thin0", 20 * GIB, 9, fill=Fill(85.0)))
    daemon = Daemon(machine)
    daemon.run(60)
    rows = {row["name"]: row for row in status(daemon)["volumes"]}
    assert [*rows] == ["volume/vg0/a", "volume/vg0/a2", "volume/vg0/b", "volume/vg0/thin0"]
    pool = rows["volume/vg0/thin0"]
    assert (pool["desired"], pool["observed"], pool["domains"]) == (None, "20G", ["a", "b"])
    assert "data is more than 80 % full" in pool["notices"][0] and rows["volume/vg0/a"]["notices"] == []
    assert set(machine.running) == {"a", "b"}
    machine.dom0.state.volumes = [each for each in machine.dom0.state.volumes if each.lv != "thin0"]
    daemon = Daemon(machine)
    daemon.run(60)
    rows = {row["name"]: row for row in status(daemon)["volumes"]}
    assert rows["volume/vg0/thin0"]["observed"] is None


WEB = conf("web", "[[disk xvda]]\nvolume = vg0/web\nsize = 1G")


def test_a_volume_that_is_renamed_under_its_guest_is_not_made_anew() -> None:
    """The guest would find an empty one at its own reboot, and the name were taken."""
    machine = Machine(WEB)
    Daemon(machine).run(60)
    (volume,) = machine.dom0.state.volumes
    volume.lv = "web-old"
    daemon = Daemon(machine)
    daemon.run(60)
    assert machine.dom0.state.volumes == [volume] and machine.running == {"web": "running"}
    row = next(row for row in status(daemon)["volumes"] if row["name"] == "volume/vg0/web")
    assert row["notices"] == [
        "does not exist, and domain/web (domid 1) runs on what had that name, so none is made in its place; give it its"
        " name back (type: lvrename vg0 web-old web), or shut that domU down first"
    ]
    machine.dom0.execute(["lvrename", "vg0", "web-old", "web"])
    Daemon(machine).run(60)
    assert volume.lv == "web" and machine.dom0.state.volumes == [volume]


def test_nor_is_a_file() -> None:
    machine = Machine(conf("web", "[[disk xvda]]\nfile = /srv/web.img\nsize = 1G"))
    Daemon(machine).run(60)
    del machine.dom0.state.paths["/srv/web.img"]
    daemon = Daemon(machine)
    daemon.run(60)
    assert "/srv/web.img" not in machine.dom0.state.paths and machine.running == {"web": "running"}
    shown = str(status(daemon))
    assert "(`losetup --list` shows what it is called now), or shut that domU down first" in shown
    daemon = Daemon(machine)
    daemon.ask(1, "stop", "web")
    daemon.ask(60, "start", "web")
    daemon.run(120)
    assert "/srv/web.img" in machine.dom0.state.paths and machine.running == {"web": "running"}
