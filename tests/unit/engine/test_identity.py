"""`hostid = locked` over the days of a host: recorded once, kept over boots, forgotten by one word."""

import json

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from xenlocal.simulator.runner import Fault

STORE = "/var/lib/xenlocal/identities.json"
OTHER = "00:16:3e:00:00:99"


def lic(*keys: str, name: str = "lic", mac: str = "") -> str:
    nic = ["[[nic eth0]]", "bridge = br0", *([f"mac = {mac}"] if mac else [])]
    return conf(name, *keys, "[[disk xvda]]", "volume = vg0/lic", "size = 1G", *nic)


LOCKED = ("[bridge br0]\nexternal = yes", lic("hostid = locked"))
MOVED = (LOCKED[0], lic(mac=OTHER))


@pytest.fixture
def machine() -> Machine:
    machine = Machine(*LOCKED)
    Daemon(machine).run(30)
    assert machine.running == {"lic": "running"}
    return machine


def locked(machine: Machine) -> list[dict[str, object]]:
    return list(json.loads(machine.dom0.state.texts[STORE])["identities"])


def notices(daemon: Daemon, name: str = "lic") -> str:
    status = daemon.loop.status()
    assert status is not None
    return "; ".join(text for row in status["domains"] if row["name"] == name for text in row["notices"])


def test_the_first_start_records_it_and_the_next_look_does_nothing(machine: Machine) -> None:
    (found,) = locked(machine)
    nic = machine.dom0.state.domains[0].nics[0]
    assert found["macs"] == [nic.mac] and found["uuid"] == machine.dom0.state.domains[0].uuid
    assert found["disks"] == ["volume/vg0/lic"]
    deeds = [(deed.verb, deed.outcome) for deed in machine.history.deeds() if deed.target == "domain/lic"]
    assert deeds == [("lock", "done"), ("start", "done")]
    machine.dom0.trace.clear()
    Daemon(machine).run(30)
    assert machine.changes() == []


def test_an_edit_is_refused_over_a_boot_until_the_word_is_said(machine: Machine) -> None:
    mac = machine.dom0.state.domains[0].nics[0].mac
    machine.write(*MOVED)
    daemon = Daemon(machine).run(30)
    assert machine.running == {"lic": "running"} and machine.domid("lic") == 1
    assert mac in notices(daemon) and OTHER in notices(daemon) and "xenlocal unlock lic" in notices(daemon)
    daemon = Daemon(machine)
    daemon.ask(0, "stop", "lic")
    started = daemon.ask(20, "start", "lic")
    daemon.run(60)
    assert started.code == 1 and "is locked" in str(started.result["message"])
    assert machine.running == {}

    unlocked = Daemon(machine).serve("unlock", "lic")
    assert unlocked.code == 0 and locked(machine) == []
    Daemon(machine).serve("start", "lic")
    assert machine.dom0.state.domains[0].nics[0].mac == OTHER
    assert [(deed.verb, deed.goal) for deed in machine.history.deeds() if deed.verb == "unlock"] == [
        ("unlock", "by hand")
    ]


def test_a_rename_is_refused_too(machine: Machine) -> None:
    Daemon(machine).serve("stop", "lic")
    machine.write(LOCKED[0], lic("hostid = locked", name="new"))
    daemon = Daemon(machine).run(30)
    assert machine.running == {} and "it has a disk or the UUID of domain/lic" in notices(daemon, "new")
    daemon = Daemon(machine)
    request = daemon.ask(1, "unlock", "lic")
    daemon.run(30)
    assert request.code == 0 and machine.running == {"new": "running"}
    assert [found["name"] for found in locked(machine)] == ["new"]


def test_unlock_says_who_is_locked_and_forgets_nobody_unless_all_are_known(machine: Machine) -> None:
    request = Daemon(machine).serve("unlock", "lic", "web")
    assert request.code == 3 and request.result["message"] == "no identity of web is locked; locked are: lic"
    assert len(locked(machine)) == 1


def test_a_record_that_cannot_be_read_keeps_it_off_aloud_and_is_never_written_over(machine: Machine) -> None:
    Daemon(machine).serve("stop", "lic")
    machine.dom0.state.texts[STORE] = "{"
    request = Daemon(machine).serve("start", "lic")
    assert request.code == 1 and f"cannot understand {STORE}" in str(request.result["message"])
    assert Daemon(machine).serve("unlock", "lic").code == 1
    assert machine.dom0.state.texts[STORE] == "{" and machine.running == {}


def test_what_cannot_be_recorded_is_not_started() -> None:
    machine = Machine(*LOCKED)
    daemon = Daemon(machine)

    def full(path: str, text: str) -> None:
        raise OSError(28, "No space left on device")

    daemon.tools.actuator._identities._write = full  # type: ignore[attr-defined]
    daemon.run(20)
    assert machine.running == {} and not machine.moments("born")
    assert any("cannot write" in deed.message for deed in machine.history.deeds() if deed.verb == "lock")


def test_a_start_that_fails_leaves_it_recorded() -> None:
    machine = Machine(*LOCKED)
    Daemon(machine, fail("xl create", fault=Fault(stderr="no"))).run(5)
    assert machine.running == {} and len(locked(machine)) == 1
