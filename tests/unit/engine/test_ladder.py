"""The stop ladder on the simulated host: guests that hang, lose the request, or go on writing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from xenlocal.model.memory import Reply
from xenlocal.simulator.runner import Fault

DISK = "[[disk xvda]]\nvolume = vg0/{}\nsize = 1G"


def guest(name: str, *keys: str) -> str:
    return conf(name, *keys, DISK.format(name))


def up(*texts: str) -> Machine:
    machine = Machine(*texts)
    Daemon(machine).serve("boot")
    machine.dom0.advance(machine.dom0.now + 30)
    machine.dom0.trace.clear()
    return machine


def stopping(machine: Machine, seconds: float = 400) -> tuple[Daemon, dict[str, float]]:
    """Stop "web" by hand; when each thing first happened, in seconds since the first request."""
    daemon = Daemon(machine)
    daemon.ask(1, "stop", "web")
    daemon.run(seconds)
    first = next(trace.at for trace in machine.dom0.trace if trace.text.startswith("xl shutdown"))
    return daemon, {what: moment["web"] - first for what in WHATS if "web" in (moment := machine.moments(what))}


WHATS = ("heard", "sync", "button", "ended", "gone")


def test_a_guest_that_hangs_is_synced_and_gone_at_its_hung_timeout() -> None:
    machine = up(guest("web", "hung_timeout = 15s", "stop_timeout = 2m"))
    machine.behave("web", deaf=True)
    _, when = stopping(machine)
    assert 7 <= when["sync"] < 15 <= when["gone"] < 19


@pytest.mark.parametrize("values", [{"deaf": True, "busy": True}, {"stop_seconds": None}])
def test_one_that_writes_or_has_heard_does_not_hang(values: dict[str, object]) -> None:
    machine = up(guest("web", "hung_timeout = 15s", "stop_timeout = 1m"))
    machine.behave("web", **values)
    _, when = stopping(machine)
    assert 60 <= when["gone"] < 64


def test_without_a_disk_whose_writes_are_seen_nobody_hangs() -> None:
    machine = up(conf("web", "hung_timeout = 15s", "stop_timeout = 1m"))
    machine.behave("web", deaf=True)
    _, when = stopping(machine)
    assert 60 <= when["gone"] < 64


def test_a_lost_request_is_made_again() -> None:
    machine = up(guest("web", "stop_timeout = 1m"))
    machine.behave("web", loses=2, stop_seconds=5.0)
    _, when = stopping(machine)
    assert 25 <= when["ended"] < 27 and not machine.disk.memory.forced


def test_one_that_goes_on_writing_has_the_time_it_needs() -> None:
    machine = up(guest("web", "stop_timeout = 20s", "stop_max = 2m"))
    machine.behave("web", stop_seconds=65.0, write_seconds=60.0)
    _, when = stopping(machine)
    assert 65 <= when["ended"] < 66 and not machine.disk.memory.forced


def test_one_that_never_ends_writing_has_stop_max_and_no_more() -> None:
    machine = up(guest("web", "stop_timeout = 20s"))
    machine.behave("web", stop_seconds=None, write_seconds=1000.0)
    _, when = stopping(machine)
    assert 60 <= when["gone"] < 64


def test_one_that_pauses_writing_after_its_time_is_gone_ten_seconds_later() -> None:
    machine = up(guest("web", "stop_timeout = 20s", "stop_max = 2m"))
    machine.behave("web", stop_seconds=None, write_seconds=40.0)
    _, when = stopping(machine)
    assert 50 <= when["gone"] < 58


@pytest.mark.parametrize("moment", [3, 14, 25, 38, 49, 58])
def test_a_restart_of_the_daemon_changes_no_decision(moment: float) -> None:
    machine = up(guest("web", "stop_timeout = 20s", "stop_max = 2m"))
    machine.behave("web", stop_seconds=60.0, write_seconds=60.0)
    daemon = Daemon(machine)
    daemon.ask(1, "stop", "web")
    daemon.run(moment)
    Daemon(machine).run(100)
    assert machine.order("ended") == ["web"] and not [text for text in machine.changes() if "sysrq 2" in text]


def test_looks_get_rarer_and_cost_the_same_for_any_number_of_guests() -> None:
    names = [f"g{number}" for number in range(6)]
    machine = up(*(guest(name, "stop_timeout = 5m") for name in names))
    for name in names:
        machine.behave(name, stop_seconds=280.0)
    daemon = Daemon(machine)
    daemon.ask(1, "shutdown")
    daemon.run(290)
    commands = [trace.text for trace in machine.dom0.trace if trace.what == "command"]
    lists = sum(text.startswith("xl list") for text in commands)
    assert lists < 100
    assert sum(text.startswith("xenstore-read") for text in commands) <= lists
    assert not machine.running


def test_signs_that_cannot_be_had_end_no_guest_early() -> None:
    machine = up(guest("web", "hung_timeout = 15s", "stop_timeout = 1m"))
    machine.behave("web", deaf=True)
    daemon = Daemon(machine, fail("xenstore-read"))
    daemon.ask(1, "stop", "web")
    daemon.run(200)
    assert 60 <= machine.moments("gone")["web"] - daemon.began < 75


def test_an_hvm_guest_has_its_power_button_pressed() -> None:
    machine = up(guest("web", "hung_timeout = 15s", "stop_timeout = 2m"))
    machine.disk.memory = machine.disk.memory.change(machine.record("web").uuid, hvm=True)
    machine.write(
        guest("web", "type = hvm", "hung_timeout = 15s", "stop_timeout = 2m").replace("kernel = /boot/vmlinuz", "")
    )
    machine.behave("web", deaf=True)
    _, when = stopping(machine)
    assert 7 <= when["button"] < 15 and "sync" not in when


def test_a_request_that_hangs_holds_up_neither_the_end_nor_the_destroying() -> None:
    machine = up(guest("web", "stop_timeout = 20s"))
    machine.behave("web", deaf=True)
    daemon = Daemon(machine, fail("xl shutdown", fault=Fault(status=None, effect=True)))
    daemon.ask(1, "stop", "web")
    daemon.run(100)
    assert machine.moments("gone")["web"] - daemon.began < 60


@pytest.mark.parametrize("hangs", ["xl shutdown", "xl sysrq"])
def test_a_guest_is_synced_before_it_is_destroyed_however_slow_the_looks_are(hangs: str) -> None:
    machine = up(guest("web", "hung_timeout = 5s", "stop_timeout = 2m"))
    machine.behave("web", deaf=True)
    asked = []

    def faults(argv: Sequence[str], _n: int) -> Fault | None:
        text = " ".join(argv)
        if text.startswith("xl shutdown"):
            asked.append(text)
        if text.startswith("xl list"):
            return Fault(status=0, effect=True, delay=2.5)
        if text.startswith(hangs) and (hangs == "xl sysrq" or len(asked) > 1):
            return Fault(status=None, effect=True)
        return None

    daemon = Daemon(machine, faults)
    daemon.ask(1, "stop", "web")
    daemon.run(60)
    trace = [each.text for each in machine.dom0.trace if each.what == "command"]
    sync = next(number for number, text in enumerate(trace) if text.startswith("xl sysrq"))
    destroy = next(number for number, text in enumerate(trace) if text.startswith("xl destroy"))
    assert sync < destroy
    assert 5 <= machine.moments("gone")["web"] - daemon.began < 20


def test_what_the_guest_shows_is_remembered() -> None:
    machine = up(guest("web", "stop_timeout = 2m"))
    machine.behave("web", stop_seconds=None, write_seconds=20.0)
    daemon = Daemon(machine)
    daemon.ask(1, "stop", "web")
    daemon.run(15)
    reply = machine.record("web").reply
    assert isinstance(reply, Reply) and reply.heard and reply.sectors and reply.wrote == reply.seen
