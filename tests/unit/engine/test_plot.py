"""What is drawn of boots and shutdowns that really ran on the simulated host."""

from __future__ import annotations

from typing import Any

from tests.unit.engine.rig import Daemon, Machine, conf, fail, listens
from tests.unit.engine.test_blame import CHAIN, booted
from xenlocal.engine import explain
from xenlocal.model.memory import Memory


def plot(machine: Machine, goal: str) -> dict[str, Any]:
    told = explain.plot(goal, machine.history)
    assert told is not None
    return told


def bars(told: dict[str, Any]) -> dict[str, list[str]]:
    return {row["target"]: [bar["what"] for bar in row["bars"]] for row in told["rows"]}


def test_a_boot_has_a_row_for_each_and_the_path_of_blame() -> None:
    machine = booted(*CHAIN)
    told = plot(machine, "boot")
    assert bars(told) == {f"domain/{name}": ["start", "await"] for name in ("free", "nas", "db", "web")}
    critical = {f"{bar['what']} {row['target']}" for row in told["rows"] for bar in row["bars"] if bar["critical"]}
    blame = explain.blame("boot", machine.history)
    assert blame is not None and critical == {link["step"] for link in blame["path"]}
    assert (told["goal"], told["seconds"], told["unix"]) == ("boot", blame["seconds"], blame["unix"])
    waited = told["rows"][2]["bars"][1]
    assert waited["well"] and waited["result"] == "ready" and 29 <= waited["end"] - waited["begin"] < 32
    begins = [row["bars"][0]["begin"] for row in told["rows"]]
    assert begins == sorted(begins) and all(0 <= each < told["seconds"] for each in begins)


def test_what_else_took_time_has_a_row_and_what_took_none_has_not() -> None:
    machine = booted(
        conf("free"), conf("web", "[[disk xvda]]", "volume = vg0/web", "size = 1G"), "[bridge lab0]\nports = none"
    )
    assert bars(plot(machine, "boot"))["volume/vg0/web"] == ["create"]
    assert "bridge/lab0" not in bars(plot(machine, "boot"))  # a fiftieth of a second
    assert "lab0" in [link.name for link in machine.dom0.state.links]


def test_what_failed_is_told() -> None:
    machine = Machine(conf("web"))
    machine.disk.memory = Memory()
    daemon = Daemon(machine, faults=fail("xl create"))
    daemon.ask(0, "boot")
    daemon.run(30)
    first = plot(machine, "boot")["rows"][0]["bars"][0]
    assert first["what"] == "start" and not first["well"] and first["result"].startswith("failed: ")


def test_a_shutdown_tells_the_forced() -> None:
    machine = booted(conf("web"), listens("db", 5432, "stop_timeout = 15s"))
    machine.behave("db", stop_seconds=None)
    Daemon(machine).serve("shutdown")
    told = plot(machine, "shutdown")
    assert {row["target"]: row["forced"] for row in told["rows"]} == {"domain/db": True, "domain/web": False}
    assert told["message"] == "had to be destroyed: db"
    assert 15 <= told["rows"][0]["bars"][0]["end"] < 17


def test_who_was_waited_for_when_the_host_went_down_has_an_open_bar() -> None:
    machine = booted(conf("web"), conf("slow", "needs = web"))
    machine.behave("slow", stop_seconds=600.0)
    daemon = Daemon(machine)
    daemon.ask(0, "shutdown")
    daemon.run(20)
    told = plot(machine, "shutdown")
    assert told["seconds"] is None and bars(told) == {"domain/slow": ["stop"]}
    assert told["rows"][0]["bars"][0]["end"] is None and not told["rows"][0]["bars"][0]["well"]


def test_who_was_born_when_the_host_went_down_has_an_open_bar() -> None:
    machine = Machine(listens("db", 5432), conf("web"))
    machine.disk.memory = Memory()
    daemon = Daemon(machine)
    daemon.ask(0, "boot")
    daemon.run(20)
    told = plot(machine, "boot")
    assert told["seconds"] is None and bars(told) == {"domain/db": ["start", "await"], "domain/web": ["start", "await"]}
    assert [row["bars"][1]["end"] is None for row in told["rows"]] == [True, False]


def test_nothing_is_drawn_of_what_never_was() -> None:
    assert explain.plot("boot", Machine().history) is None
    assert explain.plot("shutdown", booted(*CHAIN).history) is None
