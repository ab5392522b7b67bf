"""A domU that was ready and is not any more: shown, waited for again, and restarted where the files say so."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from tests.unit.engine.rig import Daemon, Faults, Machine, conf, fail, listens
from xenlocal.model.history import What
from xenlocal.model.memory import Off
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Program

HOST = "[host]\nresync = 1m"
PORT = "192.0.2.50:80"


def machine_of(*texts: str) -> Machine:
    machine = Machine(HOST, *texts)
    machine.behave("db", listen={PORT: 1.0})
    return machine


def deaf(machine: Machine) -> None:
    machine.dom0.state.behaviour("db").listen.clear()


def hears(machine: Machine) -> None:
    machine.dom0.state.behaviour("db").listen[PORT] = 0.0


def row(daemon: Daemon, name: str = "db") -> dict[str, Any]:
    data = daemon.loop.status()
    assert data is not None
    return next(dict(row) for row in data["domains"] if row["name"] == name)


def probes(machine: Machine) -> list[float]:
    return [trace.at for trace in machine.dom0.trace if trace.what == "probe"]


def births(machine: Machine, name: str = "db") -> int:
    return machine.order("born").count(name)


def test_it_is_shown_and_those_that_run_go_on() -> None:
    machine = machine_of(listens("db", 80), conf("web", "needs = db"))
    daemon = Daemon(machine)
    shown: list[dict[str, Any]] = []
    daemon.at(100, lambda: deaf(machine))
    daemon.at(200, lambda: shown.append(row(daemon)))
    daemon.at(210, lambda: hears(machine))
    daemon.at(240, lambda: shown.append(row(daemon)))
    daemon.run(250)
    assert shown[0]["ready"] is False and shown[1]["ready"] is True
    (said,) = shown[0]["notices"]
    assert said.startswith("was ready until 2023-11-14T22:") and said.endswith(f"; tcp {PORT} refuses")
    assert not any("ready" in note for note in shown[1]["notices"])
    assert machine.running == {"db": "running", "web": "running"} and births(machine) == births(machine, "web") == 1


def test_those_that_do_not_run_wait_and_go_on_as_soon_as_it_is_ready_again() -> None:
    machine = machine_of(listens("db", 80), conf("web", "needs = db", "state = manual"), conf("log", "after = db"))
    daemon = Daemon(machine)
    daemon.at(100, lambda: deaf(machine))
    start = daemon.ask(200, "start", "web")
    daemon.at(300, lambda: hears(machine))
    daemon.run(340)
    assert start.code == 1
    assert start.result["message"] == (
        f"domain/web: needs domain/db, which was ready, and is not any more: tcp {PORT} refuses"
    )
    assert 1300 <= machine.moments("born")["web"] < 1325


def test_a_host_on_which_all_is_well_is_not_woken_more_often() -> None:
    counts = []
    for text in (listens("db", 80), conf("db")):
        machine = machine_of(text)
        daemon = Daemon(machine)
        daemon.run(1800)
        looks = [trace for trace in machine.dom0.trace if trace.text.startswith("xl list") and trace.at > 1100]
        counts.append(len(looks))
        if "tcp" in text:
            assert 25 <= len([at for at in probes(machine) if at > 1100]) <= 30
    assert counts[0] == counts[1]


def test_without_a_probe_of_its_own_and_by_its_console_it_is_not_asked_again() -> None:
    machine = Machine(HOST, conf("db"), conf("web", "[[ready]]", "console = login:"))
    machine.behave("web", say={"login:": 1.0})
    daemon = Daemon(machine).run(600)
    commands = [trace.text for trace in machine.dom0.trace if trace.what == "command" and trace.at > 1060]
    assert set(commands) == {"xl list -v"} and daemon.machine.record("web").ready


def test_two_lost_packets_are_no_outage() -> None:
    machine = Machine(HOST, conf("db", "[[ready]]", "ping = 192.0.2.50"))
    machine.behave("db", answer={"192.0.2.50": 0.0})
    daemon = Daemon(machine)
    daemon.at(100, lambda: setattr(daemon.runner, "faults", fail("ping", fault=Fault(status=1), times=2)))
    lost: list[float | None] = []
    daemon.at(130, lambda: lost.append(machine.record("db").lost))
    daemon.run(200)
    assert machine.record("db").ready and lost == [None] and daemon.notes.said
    assert not any("not any more" in said for said in daemon.notes.said)


def test_xenstore_is_asked_again_too() -> None:
    machine = Machine(HOST, conf("db", "[[ready]]", "xenstore = data/up"))
    machine.behave("db", write={"data/up": 0.0})
    daemon = Daemon(machine)
    daemon.at(100, lambda: machine.dom0.state.behaviour("db").write.clear())
    daemon.run(180)
    assert not machine.record("db").ready
    assert machine.record("db").unready == "xenstore data/up is not written yet"


def test_it_is_restarted_where_the_files_say_so_after_it_had_time_to_recover() -> None:
    machine = machine_of(listens("db", 80, "on_unready = restart"), conf("web", "needs = db"))
    daemon = Daemon(machine)
    daemon.at(100, lambda: deaf(machine))
    heard = machine.dom0.watch(lambda: None)
    daemon.at(250, lambda: hears(machine))
    daemon.run(400)
    heard()
    assert births(machine) == 2 and births(machine, "web") == 1
    asked = [trace.at for trace in machine.dom0.trace if trace.text.startswith("xl shutdown")]
    assert len(asked) == 1 and asked[0] >= 1160
    assert machine.record("db").ready and "web" in machine.running


@pytest.mark.parametrize("lines", [("on_unready = restart",), ()])
def test_one_that_recovers_in_time_is_left_alone_and_counts_as_no_crash(lines: tuple[str, ...]) -> None:
    machine = machine_of(listens("db", 80, *lines))
    daemon = Daemon(machine)
    daemon.at(100, lambda: deaf(machine))
    lost: list[int] = []
    daemon.at(135, lambda: lost.append(len(machine.record("db").crashes)))
    daemon.at(140, lambda: hears(machine))
    daemon.run(400)
    assert lost == [len(lines)] and machine.record("db").crashes == () and births(machine) == 1


def test_it_is_restarted_later_each_time_and_not_for_ever() -> None:
    machine = machine_of(listens("db", 80, "on_unready = restart", "start_timeout = 20s"))
    daemon = Daemon(machine)

    def flap() -> None:
        behaviour = machine.dom0.state.behaviour("db")
        domain = machine.dom0.state.domain("db")
        young = domain is not None and machine.dom0.now < domain.born + 15
        behaviour.listen = {PORT: 1.0} if young else {}

    for second in range(3500):
        daemon.at(second, flap)
    daemon.run(3500)
    assert births(machine) == 5 and "db" in machine.running
    born = [trace.at for trace in machine.dom0.trace if trace.what == "born"]
    gaps = [later - earlier for earlier, later in pairwise(born)]
    assert gaps == sorted(gaps) and gaps[-1] > 120
    assert any("is left running" in note for note in row(daemon)["notices"])


def test_one_that_is_started_by_hand_only_is_not_restarted_unless_it_was() -> None:
    machine = machine_of(listens("db", 80, "on_unready = restart", "state = manual"))
    daemon = Daemon(machine)
    daemon.ask(5, "start", "db")
    daemon.at(100, lambda: deaf(machine))
    daemon.run(300)
    assert births(machine) == 2


TOOL = "/usr/local/sbin/db-ready"
COMMAND, PING, STORE = f"command = {TOOL}", "ping = 192.0.2.50", "xenstore = data/up"


def trusted(machine: Machine) -> None:
    machine.dom0.state.programs[TOOL] = Program(status=0)


def ready_by(probe: str) -> tuple[Machine, Daemon]:
    machine = Machine(HOST, conf("db", "on_unready = restart", "[[ready]]", probe))
    machine.behave("db", answer={"192.0.2.50": 0.0}, write={"data/up": 0.0})
    trusted(machine)
    return machine, Daemon(machine)


@pytest.mark.parametrize(
    ("probe", "faults", "said"),
    [
        (COMMAND, None, f"command {TOOL} is not run: {TOOL} does not exist"),
        (PING, fail("ping", fault=Fault(missing=True)), "cannot find the program ping"),
        (PING, fail("ping", fault=Fault(status=2)), "cannot run 'ping"),
        (STORE, fail("xenstore-read"), "xenstore cannot be read: "),
        (STORE, fail("xenstore-read", fault=Fault(status=None)), "xenstore cannot be read: "),
        (STORE, fail("xenstore-read", fault=Fault(missing=True)), "xenstore cannot be read: "),
    ],
)
def test_one_that_could_not_be_asked_stays_ready_and_is_not_restarted(
    probe: str, faults: Faults | None, said: str
) -> None:
    machine, daemon = ready_by(probe)
    shown: list[dict[str, Any]] = []

    def strike() -> None:
        daemon.runner.faults = faults
        machine.dom0.state.programs.clear()

    def mend() -> None:
        daemon.runner.faults = None
        trusted(machine)

    daemon.at(100, strike)
    daemon.at(590, lambda: shown.append(row(daemon)))
    daemon.at(600, mend)
    daemon.at(790, lambda: shown.append(row(daemon)))
    daemon.run(800)
    assert births(machine) == 1 and machine.record("db").crashes == ()
    assert [each["ready"] for each in shown] == [True, True]
    (notice,) = shown[0]["notices"]
    assert notice.startswith(f"was ready; whether it still is could not be tried: {said}")
    assert shown[1]["notices"] == []


def test_a_try_that_fails_in_us_is_no_answer_either(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, daemon = ready_by(PING)

    def broken(*_: object) -> str:
        raise RuntimeError("can't start new thread")

    daemon.at(100, lambda: monkeypatch.setattr(daemon.tools.prober, "why_not", broken))
    daemon.run(400)
    assert births(machine) == 1 and machine.record("db").ready
    assert "can't start new thread" in machine.record("db").unready


def test_one_that_was_lost_and_cannot_be_asked_since_is_not_restarted_before_it_answers() -> None:
    machine, daemon = ready_by(COMMAND)
    daemon.at(100, lambda: machine.dom0.state.programs.update({TOOL: Program(status=1)}))
    daemon.at(150, lambda: machine.dom0.state.programs.clear())
    lives: list[int] = []
    daemon.at(600, lambda: lives.append(births(machine)))
    daemon.at(601, lambda: machine.dom0.state.programs.update({TOOL: Program(status=1)}))
    lost: list[float | None] = []
    daemon.at(140, lambda: lost.append(machine.record("db").lost))
    daemon.run(800)
    assert lost != [None] and lives == [1] and births(machine) == 2


def test_another_probe_has_proved_nothing_that_could_be_lost() -> None:
    """A port with a mistake in it, or half of one, is no reason to restart a guest that does its job."""
    machine = machine_of(listens("db", 80, "on_unready = restart"))
    daemon = Daemon(machine)
    shown: list[dict[str, Any]] = []
    daemon.edit(100, HOST, listens("db", 8, "on_unready = restart"))
    daemon.at(900, lambda: shown.append(row(daemon)))
    daemon.edit(1000, HOST, listens("db", 80, "on_unready = restart"))
    daemon.at(1200, lambda: shown.append(row(daemon)))
    daemon.run(1210)
    assert births(machine) == 1
    assert shown[0]["ready"] is False and shown[1]["ready"] is True
    assert any("was not ready after 5m" in note for note in shown[0]["notices"])


def test_one_that_ends_while_it_is_asked_again_has_not_lost_its_readiness() -> None:
    """That it is off is another matter, with a cause of its own."""
    machine = Machine(HOST, conf("db", "on_crash = stay-off", "[[ready]]", "ping = 192.0.2.50"))
    machine.behave("db", answer={"192.0.2.50": 0.0})
    lost: list[float] = []

    def ends_at_the_first_lost_ping(argv: Sequence[str], _n: int) -> Fault | None:
        if argv[0] != "ping" or machine.dom0.now < 1100:
            return None
        if not lost:
            machine.dom0.schedule(0.1, "end", machine.domid("db"), "crash")
        lost.append(machine.dom0.now)
        return Fault(status=1)

    Daemon(machine, ends_at_the_first_lost_ping).run(300)
    assert len(lost) == 1 and machine.record("db").off is Off.CRASH
    assert not [event for event in machine.history.events("/db") if event.what is What.UNREADY]
