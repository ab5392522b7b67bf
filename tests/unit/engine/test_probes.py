"""Readiness by every kind of probe, from the files to the dependant's start."""

from __future__ import annotations

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, fail, listens
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Later, Program

TOOL = "/usr/local/sbin/db-ready"


def probed(name: str, probe: str, *lines: str) -> str:
    return conf(name, *lines, "[[ready]]", probe)


def held_for(machine: Machine) -> float:
    born = machine.moments("born")
    return born["web"] - born["db"]


@pytest.mark.parametrize(
    ("probe", "behaviour"),
    [
        ("ping = 192.0.2.50", {"answer": {"192.0.2.50": 20.0}}),
        ("console = login: *$", {"say": {"booting": 1.0, "\x1b[1mdb login: ": 20.0}}),
        ("xenstore = data/xenlocal/ready", {"write": {"data/xenlocal/ready": 20.0}}),
    ],
)
def test_a_dependant_waits_for_the_probe(probe: str, behaviour: dict[str, dict[str, float]]) -> None:
    machine = Machine(probed("db", probe), conf("web", "needs = db"))
    machine.behave("db", **behaviour)
    Daemon(machine).run(60)
    assert 20 <= held_for(machine) < 25
    assert machine.record("db").ready and machine.record("db").unready == ""


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_a_node_that_says_no_is_no_readiness(value: str) -> None:
    machine = Machine(probed("db", "xenstore = data/up"), conf("web", "needs = db"))
    daemon = Daemon(machine)
    daemon.at(5, lambda: machine.dom0.state.domain("db").extra.update({"data/up": value}))  # type: ignore[union-attr]
    daemon.at(30, lambda: machine.dom0.state.domain("db").extra.update({"data/up": "yes"}))  # type: ignore[union-attr]
    daemon.at(29, lambda: said.append(machine.record("db").unready))
    said: list[str] = []
    daemon.run(60)
    assert said == [f"xenstore data/up is '{value}'"] and 25 < held_for(machine) < 35


def test_what_a_guest_wrote_proves_nothing_while_nobody_can_see_whether_it_runs() -> None:
    machine = Machine(probed("db", "xenstore = data/up"), conf("web", "needs = db"))
    machine.behave("db", write={"data/up": 10.0})
    daemon = Daemon(machine)
    said: list[str] = []
    daemon.at(5, lambda: setattr(daemon.runner, "faults", fail("xl list")))
    daemon.at(35, lambda: said.append(machine.record("db").unready))
    daemon.at(40, lambda: setattr(daemon.runner, "faults", None))
    daemon.run(80)
    assert "could not be tried: whether it still runs cannot be seen: " in said[0]
    assert held_for(machine) > 35


def test_guests_that_wait_share_one_xenstore_read_and_one_that_has_not_written_hides_nobody() -> None:
    machine = Machine(*(probed(f"d{number}", "xenstore = data/up") for number in range(4)))
    for number in (1, 3):
        machine.behave(f"d{number}", write={"data/up": 4.0})
    Daemon(machine).run(40)
    assert [machine.record(f"d{number}").ready for number in range(4)] == [False, True, False, True]
    reads = [trace for trace in machine.dom0.trace if trace.text.startswith("xenstore-read")]
    assert len(reads) < 40 * 3


def test_a_command_is_tried_less_and_less_often() -> None:
    machine = Machine(probed("db", f"command = {TOOL} --quick"), conf("web", "needs = db"))
    machine.dom0.state.programs[TOOL] = Program(status=1)
    daemon = Daemon(machine)
    daemon.at(40, lambda: machine.dom0.state.programs.update({TOOL: Program(status=0)}))
    daemon.run(80)
    tries = [trace.at for trace in machine.dom0.trace if trace.text == f"{TOOL} --quick"]
    assert 5 < len(tries) < 20 and tries[1] - tries[0] < 1.5 and tries[-1] - tries[-2] > 4.5
    assert 35 < held_for(machine) < 45


def test_a_command_that_is_missing_is_named_before_its_time_is_over() -> None:
    machine = Machine(probed("db", f"command = {TOOL}"))
    daemon = Daemon(machine)
    said: list[str] = []
    daemon.at(20, lambda: said.append(machine.record("db").unready))
    daemon.run(30)
    assert said == [f"could not be tried: command {TOOL} is not run: {TOOL} does not exist"]


def test_many_commands_that_hang_hold_nobody_else_up() -> None:
    hanging = [probed(f"h{number:02}", f"command = {TOOL}") for number in range(24)]
    machine = Machine("[host]\nstart_parallel = 64", *hanging, listens("db", 80), conf("web", "needs = db"))
    machine.dom0.state.memory_mib = 1 << 16
    machine.dom0.state.programs[TOOL] = Program(seconds=1000)
    machine.behave("db", listen={"192.0.2.50:80": 30.0})
    daemon = Daemon(machine)
    daemon.run(60)
    assert 30 <= held_for(machine) < 34
    tries = [trace for trace in machine.dom0.trace if trace.text == TOOL]
    assert all(trace.status is None for trace in tries)
    assert max(sum(0 <= other.at - trace.at < 9.9 for other in tries) for trace in tries) == 16
    assert machine.record("h00").unready == f"command {TOOL} has no end after 10 s"


def test_a_late_domu_says_why_in_its_result_and_is_tried_again_by_each_kind_of_probe() -> None:
    machine = Machine(
        probed("db", "xenstore = data/up", "start_timeout = 10s"), conf("web", "needs = db"), conf("log", "after = db")
    )
    machine.behave("db", write={"data/up": 60.0})
    daemon = Daemon(machine)
    boot = daemon.ask(0, "boot")
    daemon.run(120)
    assert boot.code == 5 and "xenstore data/up is not written yet" in boot.result["message"]
    born = machine.moments("born")
    assert 10 <= born["log"] - born["db"] < 15 and 60 <= held_for(machine) < 80


def test_a_guest_that_reboots_by_itself_is_not_ready_again_until_its_probe_says_so() -> None:
    machine = Machine(probed("db", "xenstore = data/up"))
    machine.behave("db", write={"data/up": 5.0}, later=[Later(10.0, "reboot")])
    daemon = Daemon(machine)
    seen: dict[float, bool] = {}
    for second in (9, 17, 30):
        daemon.at(second, lambda second=second: seen.update({second: machine.record("db").ready}))  # type: ignore[misc]
    daemon.run(40)
    assert machine.order("born").count("db") == 2
    assert seen == {9: True, 17: False, 30: True}
    assert not any("await failed" in said for said in daemon.notes.said)


def test_one_that_is_on_its_way_out_is_not_ready_however_long_it_has_run() -> None:
    machine = Machine(conf("db"), conf("web", "needs = db"))
    machine.behave("db", boot_seconds=60.0)
    machine.dom0.state.durations.dying = 6.0
    daemon = Daemon(machine)
    daemon.at(9, lambda: machine.dom0.execute(["xl", "destroy", "db"]))
    daemon.run(60)
    assert machine.running == {} and machine.order("born") == ["db"]
    assert not machine.record("db").ready and machine.record("db").unready == ""


def test_an_answer_to_the_life_before_the_reboot_proves_nothing_after_it() -> None:
    """The command begins in the first life and succeeds in the second, and no look came between the two."""
    machine = Machine(probed("db", f"command = {TOOL}"))
    machine.dom0.state.programs[TOOL] = Program(seconds=9.0)
    machine.behave("db", later=[Later(4.0, "reboot")])
    durations = machine.dom0.state.durations
    durations.xl_list, durations.reboot_pause, durations.teardown = 3.0, 0.1, 0.1
    durations.xl_create = durations.xl_create_paused = 0.2
    daemon = Daemon(machine)
    daemon.run(60)
    assert machine.order("born").count("db") == 2
    first, second = [trace.at for trace in machine.dom0.trace if trace.text == TOOL]
    assert machine.record("db").ready and first > machine.record("db").born  # type: ignore[operator]


def test_xenstore_that_cannot_be_read_is_said_and_ends_nothing() -> None:
    machine = Machine(probed("db", "xenstore = data/up", "start_timeout = 20s"))
    machine.behave("db", write={"data/up": 1.0})
    daemon = Daemon(machine, fail("xenstore-read", fault=Fault(status=2, stderr="no xenstored"), times=5))
    daemon.run(40)
    assert machine.record("db").ready


def test_a_line_of_an_earlier_life_proves_nothing() -> None:
    machine = Machine(probed("db", "console = login:"))
    machine.behave("db", say={"db login:": 9.0}, later=[Later(10.0, "reboot")])
    daemon = Daemon(machine)
    seen: dict[float, bool] = {}
    for second in (12, 23, 35):
        daemon.at(second, lambda second=second: seen.update({second: machine.record("db").ready}))  # type: ignore[misc]
    daemon.run(40)
    assert seen == {12: True, 23: False, 35: True}


def test_what_was_said_since_a_birth_that_no_look_saw_counts() -> None:
    """Old and new domid in one look: where the log stood at the birth is not known, and its end is too late."""
    machine = Machine(probed("db", "console = login:"))
    machine.behave("db", say={"db login:": 0.5}, later=[Later(20.0, "reboot")])
    durations = machine.dom0.state.durations
    durations.xl_list, durations.reboot_pause, durations.teardown = 3.0, 0.1, 0.1
    durations.xl_create = durations.xl_create_paused = 0.2
    Daemon(machine).run(120)
    assert machine.order("born").count("db") == 2
    assert any("without an end that was seen" in event.message for event in machine.history.events("db"))
    assert machine.record("db").ready


def test_a_console_that_is_not_logged_says_what_to_type() -> None:
    machine = Machine(probed("db", "console = login:"))
    machine.dom0.state.console_log = False
    Daemon(machine).run(20)
    assert "XENCONSOLED_ARGS=--log=guest" in machine.record("db").unready


def test_the_console_of_a_crash_is_kept_whatever_becomes_of_the_log() -> None:
    machine = Machine(conf("db", "on_crash = stay-off"))
    machine.behave("db", say={"Kernel panic": 7.0}, later=[Later(8.0, "crash")])
    Daemon(machine).run(20)
    texts = machine.dom0.state.texts
    ring = texts["/var/lib/xenlocal/console/db.log"]
    assert ring == "Kernel panic\n[xenlocal: domid 1 has ended (crash)]\n"
    del texts["/var/log/xen/console/guest-db.log"]
    machine.behave("db", say={"second life": 2.0}, later=[Later(4.0, "crash")])
    daemon = Daemon(machine)
    daemon.ask(1, "start", "db")
    daemon.run(30)
    ended = "\n[xenlocal: domid 2 has ended (crash)]\n"
    assert texts["/var/lib/xenlocal/console/db.log"] == f"{ring}second life{ended}"
