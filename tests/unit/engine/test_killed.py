"""kill -9 at any command: a new daemon with what is on the disk finishes, and starts or asks nobody twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.unit.engine.rig import Daemon, Killed, Machine, conf
from xenlocal.model.memory import Memory
from xenlocal.simulator.runner import Fault

TEXTS = (
    conf("nas", "[[disk xvda]]", "volume = vg0/nas", "size = 1G"),
    conf("db", "after = nas"),
    conf("web", "needs = db"),
    conf("free"),
)
SAVES = 40


def kill_at_save(daemon: Daemon, number: int, after: bool) -> None:
    disk, left = daemon.machine.disk, [number]
    save = disk.save_memory

    def saving(memory: Memory) -> None:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Killed
        save(memory)
        if left[0] == 0:
            raise Killed

    daemon.keeper._records = type("Store", (), {"save_memory": staticmethod(saving)})()


def kill_at_command(daemon: Daemon, number: int) -> None:
    def faults(_argv: Sequence[str], count: int) -> Fault | None:
        if count == number:
            daemon.at(0, daemon_killed)
            daemon.work.wake()
        return None

    daemon.runner.faults = faults


def daemon_killed() -> None:
    raise Killed


def finish(machine: Machine) -> Daemon:
    return Daemon(machine).run(200)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, SAVES, 2))
def test_killed_around_a_write_while_starting(number: int, after: bool) -> None:
    machine = Machine(*TEXTS)
    daemon = Daemon(machine)
    kill_at_save(daemon, number, after)
    daemon.run_until_killed(60)
    survivors = {name: machine.domid(name) for name in machine.running}
    finish(machine)
    assert machine.running == dict.fromkeys(["nas", "db", "web", "free"], "running")
    assert all(machine.domid(name) == domid for name, domid in survivors.items() if domid)
    assert sorted(machine.order("born")) == ["db", "free", "nas", "web"]
    born = machine.moments("born")
    assert born["nas"] < born["db"] < born["web"]
    machine.dom0.trace.clear()
    Daemon(machine).run(30)
    assert not machine.changes()


@pytest.mark.parametrize("number", range(0, 40, 2))
def test_killed_at_a_command_while_starting(number: int) -> None:
    machine = Machine(*TEXTS)
    daemon = Daemon(machine)
    kill_at_command(daemon, number)
    daemon.run_until_killed(60)
    machine.dom0.advance(machine.dom0.now + 10)  # what xl had begun comes to its end
    finish(machine)
    assert set(machine.running) == {"nas", "db", "web", "free"}
    created = [text for text in machine.changes() if "lvcreate" in text]
    assert len(created) <= 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 16))
def test_killed_around_a_write_while_shutting_down(number: int, after: bool) -> None:
    machine = Machine(*TEXTS)
    Daemon(machine).run(60)
    machine.dom0.trace.clear()
    for name in machine.running:
        machine.behave(name, stop_seconds=8.0)
    daemon = Daemon(machine)
    daemon.ask(0, "shutdown")
    kill_at_save(daemon, number, after)
    daemon.run_until_killed(60)
    again = Daemon(machine)
    job = again.ask(0, "shutdown")
    again.run(100)
    assert not machine.running and job.code == 0
    heard, gone = machine.moments("heard"), machine.moments("gone")
    assert heard["db"] >= gone["web"] and heard["nas"] >= gone["db"]
    asked = [text.split()[-1] for text in machine.changes() if text.startswith("xl shutdown")]
    assert len(asked) <= len(set(asked)) + 1  # the one whose request was just being written down


@pytest.mark.parametrize("number", range(2, 16))
def test_killed_at_a_command_while_shutting_down(number: int) -> None:
    machine = Machine(*TEXTS)
    Daemon(machine).run(60)
    machine.dom0.trace.clear()
    for name in machine.running:
        machine.behave(name, stop_seconds=8.0)
    daemon = Daemon(machine)
    daemon.ask(0, "shutdown")
    kill_at_command(daemon, number)
    daemon.run_until_killed(60)
    again = Daemon(machine)
    job = again.ask(0, "shutdown")
    again.run(100)
    assert not machine.running and job.code == 0
    heard, gone = machine.moments("heard"), machine.moments("gone")
    assert heard["db"] >= gone["web"] and heard["nas"] >= gone["db"]


def test_killed_again_and_again_it_still_gets_there() -> None:
    machine = Machine(*TEXTS)
    for number in range(3, 23):
        daemon = Daemon(machine)
        kill_at_command(daemon, number)
        daemon.run_until_killed(60)
        machine.dom0.advance(machine.dom0.now + 3)
    finish(machine)
    assert machine.running == dict.fromkeys(["nas", "db", "web", "free"], "running")
    assert sorted(machine.order("born")) == ["db", "free", "nas", "web"]
