"""`rehearse` through the whole command line, on a simulated dom0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.app.support import declare, state_of
from xenlocal.adapters.command import Commands
from xenlocal.adapters.rehearser import Rehearser
from xenlocal.cli import main
from xenlocal.parts import Parts, Places

TEXT = (
    "[domain db]\nmemory = 1G\nkernel = /boot/vmlinuz\n[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\nneeds = db\n"
)


@pytest.fixture
def host(host: list[str]) -> list[str]:
    """The global options of a host that has booted."""
    declare(host, TEXT)
    assert main([*host, "boot"]) == 0
    return host


def lose_the_kernel(host: list[str]) -> None:
    path = state_of(host)
    state = json.loads(path.read_text())
    kept = {name: each for name, each in state["paths"].items() if "/kernels/" not in name}
    path.write_text(json.dumps({**state, "patterns": [], "paths": kept}))


def test_a_host_that_would_come_back(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main([*host, "rehearse"]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 domUs would come back: db, web" in said
    down, up = said.partition("boot:")[0], said.partition("boot:")[2]
    assert down.index("domain/web  stop") < down.index("domain/db   stop")
    assert up.index("domain/db   start") < up.index("domain/web  start")
    assert "its end waits for: start domain/db (" in up and "await domain/web (" in up


def test_one_that_would_not(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lose_the_kernel(host)
    assert main([*host, "rehearse", "--reboot", "--json"]) == 5
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["ok"], told["what"]) == (1, False, "reboot")
    assert [phase["name"] for phase in told["phases"]] == ["shutdown", "boot"]
    assert [(row["name"], row["well"], row["meant"]) for row in told["domains"]] == [
        ("db", False, True),
        ("web", False, True),
    ]
    assert main([*host, "rehearse"]) == 5
    assert "would NOT come back: domain/web: kernel /boot/vmlinuz does not exist" in capsys.readouterr().out


def test_one_domu(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*host, "rehearse", "--stop", "web"]) == 0
    assert "1 of 1 domUs would be off: web" in capsys.readouterr().out
    assert main([*host, "stop", "web"]) == 0
    assert main([*host, "rehearse", "--start", "web"]) == 0
    assert "1 of 1 domUs would be on and ready: web" in capsys.readouterr().out
    assert main([*host, "status", "web"]) == 0 and "observed  off" in capsys.readouterr().out


def test_what_cannot_be_rehearsed(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*host, "rehearse", "--start", "nobody"]) == 3
    assert main([*host, "shutdown"]) == 0
    assert main([*host, "rehearse"]) == 1
    assert "cannot rehearse: the host is shutting down" in capsys.readouterr().err
    Path(host[0].partition("=")[2], "a.conf").write_text("[domain web\n")
    assert main([*host, "rehearse"]) == 4


def test_what_the_daemon_does_by_itself(host: list[str]) -> None:
    """In a process of its own, which acts on the same host."""
    lose_the_kernel(host)
    config, state, run, simulate = (option.partition("=")[2] for option in host)
    found = Rehearser(Commands(), Parts(Places(config, state, run, simulate)).myself).rehearse()
    would_not = [str(notice.target) for notice in found if "would not bring it back" in notice.text]
    assert would_not == ["domain/db", "domain/web"]
