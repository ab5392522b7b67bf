"""`was = OLD`: another name in the files, and the same domU on the host."""

from tests.unit.engine.rig import Daemon, Machine, conf
from tests.unit.engine.test_identity import notices

DISK = ("[[disk xvda]]", "volume = vg0/old-root", "size = 1G")
NIC = ("[[nic eth0]]", "bridge = br0")
BR0 = "[bridge br0]\nexternal = yes"


def renamed() -> Machine:
    machine = Machine(BR0, conf("old", *DISK, *NIC))
    Daemon(machine).run(30)
    machine.write(BR0, conf("new", "was = old", *DISK, *NIC))
    return machine


def test_one_that_runs_is_left_alone_and_has_its_name_from_its_next_start_on() -> None:
    machine = renamed()
    (before,) = machine.dom0.state.domains
    machine.dom0.trace.clear()
    daemon = Daemon(machine).run(30)
    assert machine.running == {"old": "running"} and machine.domid("old") == before.domid
    assert all(text.startswith("xl config-update") for text in machine.changes())
    status = daemon.loop.status()
    assert status is not None
    assert [(row["name"], row["observed"]) for row in status["domains"]] == [("new", "running")]
    assert "pending until its next reboot: name" in notices(daemon, "new")

    Daemon(machine).serve("restart", "new")
    (after,) = machine.dom0.state.domains
    assert (after.name, after.uuid, after.nics[0].mac) == ("new", before.uuid, before.nics[0].mac)
    assert [disk.path for disk in after.disks] == ["/dev/vg0/old-root"]
    machine.dom0.trace.clear()
    Daemon(machine).run(30)
    assert machine.changes() == []


def test_it_is_stopped_and_shut_down_by_its_new_name() -> None:
    machine = renamed()
    assert Daemon(machine).serve("stop", "new").code == 0 and machine.running == {}
    Daemon(machine).serve("start", "new")
    assert machine.running == {"new": "running"}


def test_a_locked_identity_goes_along() -> None:
    machine = Machine(BR0, conf("old", "hostid = locked", *DISK, *NIC))
    Daemon(machine).run(30)
    machine.write(BR0, conf("new", "was = old", "hostid = locked", *DISK, *NIC))
    assert Daemon(machine).serve("restart", "new").code == 0
    assert machine.running == {"new": "running"}
    deeds = [deed.verb for deed in machine.history.deeds() if deed.target == "domain/new"]
    assert sorted(deeds) == ["lock", "start", "stop"] and deeds.index("lock") < deeds.index("start")
