"""Where the time went, of boots and shutdowns that really ran on the simulated host."""

from __future__ import annotations

from typing import Any

from tests.unit.engine.rig import Daemon, Machine, conf, listens
from xenlocal.engine import explain
from xenlocal.model.memory import Memory

CHAIN = (conf("nas"), listens("db", 5432, "after = nas"), conf("web", "needs = db"), conf("free"))


def booted(*texts: str) -> Machine:
    machine = Machine(*texts)
    machine.disk.memory = Memory()
    machine.behave("db", listen={"192.0.2.50:5432": 30.0})
    daemon = Daemon(machine)
    daemon.ask(0, "boot")
    daemon.run(100)
    return machine


def blame(machine: Machine, goal: str | None = None) -> dict[str, Any]:
    told = explain.blame(goal, machine.history)
    assert told is not None
    return told


def test_a_boot_waited_for_the_slow_one_in_the_middle() -> None:
    told = blame(booted(*CHAIN))
    steps = [f"{verb} domain/{name}" for name in ("nas", "db", "web") for verb in ("start", "await")]
    assert [link["step"] for link in told["path"]] == steps
    assert told["goal"] == "boot" and told["forced"] == []
    assert abs(sum(link["seconds"] + link["waited"] for link in told["path"]) - told["seconds"]) < 1
    assert max(told["path"], key=lambda link: float(link["seconds"]))["step"] == "await domain/db"
    assert told["domains"][0]["name"] == "db" and {part["result"] for part in told["domains"]} == {"ready"}
    assert told["domains"][0]["usual"] is None


def test_a_shutdown_that_two_daemons_did_is_one_and_names_the_forced() -> None:
    machine = booted(*CHAIN, "[host]\nshutdown_deadline = 5m")
    machine.behave("web", stop_seconds=20.0)
    machine.write(conf("nas"), listens("db", 5432, "after = nas", "stop_timeout = 15s"), CHAIN[2], CHAIN[3])
    machine.behave("db", stop_seconds=None)
    first = Daemon(machine)
    first.ask(1, "shutdown")
    first.run(25)
    Daemon(machine).serve("shutdown")
    told = blame(machine)
    assert [link["step"] for link in told["path"]] == [f"stop domain/{name}" for name in ("web", "db", "nas")]
    assert told["goal"] == "shutdown" and told["forced"] == ["db"] and "destroyed: db" in told["message"]
    parts = {part["name"]: part for part in told["domains"]}
    assert list(parts)[:2] == ["web", "db"] and set(parts) == {"web", "db", "free", "nas"}
    assert 20 <= parts["web"]["seconds"] < 22
    assert 15 <= parts["db"]["seconds"] < 17 and parts["db"]["result"].startswith("late")
    assert blame(machine, "boot")["goal"] == "boot"


def test_a_guest_that_ended_while_no_daemon_was_there_took_its_time_too() -> None:
    machine = booted(conf("web"), conf("slow", "needs = web"))
    machine.behave("slow", stop_seconds=30.0)
    first = Daemon(machine)
    first.ask(0, "shutdown")
    first.run(10)
    machine.dom0.advance(machine.dom0.state.now + 50)
    Daemon(machine).serve("shutdown")
    told = blame(machine)
    assert [link["step"] for link in told["path"]] == ["stop domain/slow", "reap domain/slow", "stop domain/web"]
    assert told["domains"][0]["name"] == "slow" and 50 <= told["domains"][0]["seconds"] < 62
    assert abs(sum(link["seconds"] + link["waited"] for link in told["path"]) - told["seconds"]) < 1


def test_what_is_usual_comes_from_the_times_before() -> None:
    machine = booted(*CHAIN)
    Daemon(machine).serve("shutdown")
    Daemon(machine).serve("boot")
    usual = {part["name"]: part["usual"] for part in blame(machine)["domains"]}
    assert 30 <= usual["db"] < 34 and 3 <= usual["free"] < 7


def test_nothing_is_told_of_what_never_was() -> None:
    assert explain.blame(None, Machine().history) is None
