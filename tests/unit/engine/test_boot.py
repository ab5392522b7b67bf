"""Starts: order, readiness, slots, what is blocked and what has failed."""

from dataclasses import replace
from itertools import pairwise

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, fail, listens
from xenlocal.engine.inbox import Request
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Later


def test_a_chain_starts_each_as_soon_as_what_it_stands_on_is_ready() -> None:
    machine = Machine(conf("nas"), conf("db", "after = nas"), conf("web", "needs = db"), conf("free"))
    daemon = Daemon(machine)
    boot = daemon.ask(0, "boot")
    daemon.run(60)
    born = machine.moments("born")
    assert machine.order("born") == ["free", "nas", "db", "web"] or machine.order("born")[-2:] == [
        "db",
        "web",
    ]
    assert born["db"] >= born["nas"] + 3 and born["web"] >= born["db"] + 3
    assert born["web"] < born["nas"] + 20
    assert (boot.finished, boot.code) == (True, 0)
    assert all(machine.record(name).ready for name in ("nas", "db", "web", "free"))


def test_no_more_creates_at_once_than_there_are_slots() -> None:
    machine = Machine("[host]\nstart_parallel = 2", *(conf(f"d{number}") for number in range(6)))
    Daemon(machine).run(30)
    times = sorted(machine.moments("born").values())
    assert len(times) == 6
    assert all(later - earlier >= 1.9 for earlier, later in zip(times, times[2:], strict=False))


def test_readiness_by_tcp_and_a_dependant_that_waits_for_it() -> None:
    machine = Machine(listens("db", 5432), conf("web", "needs = db"))
    machine.behave("db", listen={"192.0.2.50:5432": 12.0})
    Daemon(machine).run(60)
    born = machine.moments("born")
    assert 12 <= born["web"] - born["db"] < 16


def test_a_birth_is_seen_at_once_on_a_host_where_each_look_is_slow() -> None:
    """Looks keep a pause of ten times their length, but not the one that a start has just made necessary."""
    slow = fail("xl list", fault=Fault(status=0, effect=True, delay=1.0))
    machine = Machine(listens("db", 5432), conf("web", "needs = db"))
    machine.behave("db", listen={"192.0.2.50:5432": 0.0})
    daemon = Daemon(machine, slow)
    daemon.ask(0, "boot")
    daemon.run(60)
    born = machine.moments("born")
    assert born["web"] - born["db"] < 8


def test_one_that_is_late_lets_its_dependants_go_on_when_it_is_ready_after_all() -> None:
    machine = Machine(listens("db", 5432, "start_timeout = 10s"), conf("web", "needs = db"), conf("log", "after = db"))
    machine.behave("db", listen={"192.0.2.50:5432": 60.0})
    daemon = Daemon(machine)
    boot = daemon.ask(0, "boot")
    daemon.run(120)
    born = machine.moments("born")
    assert 10 <= born["log"] - born["db"] < 15
    assert 60 <= born["web"] - born["db"] < 80
    assert boot.finished and boot.code == 5 and "needs domain/db, which is not ready" in boot.result["message"]


def test_a_start_that_fails_holds_only_what_needs_it_and_backs_off() -> None:
    machine = Machine(conf("db"), conf("web", "needs = db"), conf("log", "after = db"), conf("free"))
    machine.write(conf("db"), conf("web", "needs = db"), conf("log", "after = db"), conf("free"))
    daemon = Daemon(machine, fail("domains/db.cfg"))
    boot = daemon.ask(0, "boot")
    daemon.run(200)
    assert set(machine.running) == {"log", "free"}
    tries = [text for text in daemon.machine.dom0.trace if text.what == "command" and "db.cfg" in text.text]
    assert [round(later.at - earlier.at) // 10 for earlier, later in pairwise(tries)] == [
        1,
        2,
        4,
        8,
    ]
    assert boot.code == 5 and "injected fault" in boot.result["message"]


SAID = "libxl: error: libxl_create.c:1921:domcreate_attach_devices: Domain 4:unable to add {} devices\n"
GAVE_UP = Fault(status=3, stderr=SAID.format("disk"))


@pytest.mark.parametrize("what", ["disk", "vif"])
def test_a_start_whose_hotplug_gave_up_is_tried_once_more_in_its_turn(what: str) -> None:
    machine = Machine(conf("db"), conf("web", "needs = db"), conf("log", "after = db"), conf("free"))
    daemon = Daemon(machine, fail("domains/db.cfg", fault=replace(GAVE_UP, stderr=SAID.format(what)), times=1))

    boot = daemon.serve("boot")
    assert boot.code == 0 and set(machine.running) == {"db", "web", "log", "free"}
    born = machine.moments("born")
    assert 10 < born["db"] - daemon.began < 15 and born["log"] > born["db"] and born["free"] - daemon.began < 5
    (start,) = [deed for deed in machine.history.deeds() if deed.step == "start domain/db"]
    assert sum("xl create" in line for line in start.commands) == 2


def test_one_that_gives_up_twice_has_failed_and_backs_off() -> None:
    machine = Machine(conf("db"), conf("log", "after = db"))
    daemon = Daemon(machine, fail("domains/db.cfg", fault=GAVE_UP, times=4))
    boot = daemon.ask(0, "boot")
    daemon.run(20)
    assert boot.code == 5 and "unable to add disk devices" in boot.result["message"]
    assert machine.record("db").failures == 1 and set(machine.running) == {"log"}


def test_a_shutdown_does_not_wait_for_the_second_try() -> None:
    machine = Machine(conf("db"))
    daemon = Daemon(machine, fail("domains/db.cfg", fault=GAVE_UP, times=1))
    daemon.ask(0, "boot")
    job = daemon.ask(5, "shutdown")
    daemon.run(7)
    assert job.code == 0 and job.finished and not machine.running


def test_it_heals_by_itself_when_the_fault_goes() -> None:
    machine = Machine(conf("db"), conf("web", "needs = db"))
    Daemon(machine, fail("domains/db.cfg", times=2)).run(120)
    assert set(machine.running) == {"db", "web"}


@pytest.mark.parametrize("what", ["crash", "poweroff", "reboot"])
def test_one_that_ends_while_others_start_is_dealt_with_at_once(what: str) -> None:
    machine = Machine(conf("db"), listens("slow", 80), conf("web", "needs = db", "after = slow"))
    machine.behave("db", later=[Later(5.0, what, 1)])
    machine.behave("slow", listen={"192.0.2.50:80": 100.0})
    Daemon(machine).run(200)
    ended = machine.moments("ended")["db"]
    again = [trace.at for trace in machine.dom0.trace if trace.what == "born" and trace.text.startswith("db")]
    if what == "poweroff":
        assert "db" not in machine.running and "web" not in machine.running
    else:
        assert len(again) == 2 and again[1] - ended < 10
        assert machine.running == {"db": "running", "slow": "running", "web": "running"}
    assert machine.order("born").count("slow") == 1


def test_a_crash_counts_once_though_its_shell_is_cleared_away_for_the_next_start() -> None:
    machine = Machine(conf("db"))
    machine.behave("db", later=[Later(5.0, "crash", 2)])
    Daemon(machine).run(200)
    assert machine.order("born").count("db") == 3 and len(machine.record("db").crashes) == 2


def test_a_domu_that_is_gone_before_anybody_saw_it_does_not_hold_up_the_daemon() -> None:
    machine = Machine(conf("db", "start_timeout = 20s"))
    daemon = Daemon(machine)

    def snatch(_argv: object, _n: int) -> None:
        machine.dom0.state.domains = [each for each in machine.dom0.state.domains if each.name != "db"]

    daemon.runner.faults = snatch
    daemon.run(100)
    assert machine.order("born").count("db") > 1


def test_readiness_is_told_to_systemd_after_the_first_look_not_after_the_last_start() -> None:
    machine = Machine(listens("db", 5432, "start_timeout = 10m"))
    daemon = Daemon(machine).run(60)
    assert daemon.notes.ready_at is not None and daemon.notes.ready_at - daemon.began < 5


def test_until_the_boot_goal_domus_are_left_alone() -> None:
    machine = Machine(conf("db"))
    machine.disk.memory = machine.disk.memory.__class__()
    Daemon(machine).run(30)
    assert not machine.running
    daemon = Daemon(machine)
    boot = daemon.ask(5, "boot")
    daemon.run(30)
    assert boot.code == 0 and machine.running == {"db": "running"}


def test_a_host_so_slow_that_no_look_ends_in_half_a_minute_still_sees_what_it_started() -> None:
    machine = Machine(conf("nas"), conf("db", "needs = nas"))
    machine.dom0.state.durations.xl_list = 4.0
    daemon = Daemon(machine)
    boot = daemon.ask(0, "boot")
    daemon.run(400)
    assert (boot.finished, boot.code, boot.result["message"]) == (True, 0, "")
    assert all(machine.record(name).ready and machine.record(name).failures == 0 for name in ("nas", "db"))


def test_whatever_waits_for_a_start_that_failed_names_that_one_and_why_once() -> None:
    machine = Machine(conf("c"), conf("b", "needs = c"), conf("a", "needs = b"))
    daemon = Daemon(machine, fail("c.cfg"))
    told: list[str] = []
    request = Request("boot", (), told.append)
    daemon.at(0, lambda: daemon.inbox.ask(request))
    daemon.run(5)
    (why,) = {text.partition(": ")[2] for text in told if text.startswith("domain/a: start blocked")}
    assert why.count("waits for") == 1 and "domain/c" in why and "injected fault" in why


def test_one_that_waits_for_two_that_failed_for_one_reason_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    disk = ("[[disk xvda]]", "volume = vg0/data", "size = 1G", "mode = r")
    machine = Machine(conf("a", *disk), conf("b", *disk), conf("c", "needs = a, b"))
    Daemon(machine, fail("lvcreate", fault=Fault(stderr="no extents"))).serve("boot")
    told = [each.message for each in caplog.records if each.message.startswith("domain/c: start blocked")]
    assert len(told) == 1 and told[0].startswith("domain/c: start blocked: waits for volume/vg0/data: ")
    assert "no extents" in told[0] and machine.running == {}
