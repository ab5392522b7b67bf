"""`xenlocal log` on a simulated host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.app.support import declare
from xenlocal import cli
from xenlocal.simulator.__main__ import main as poke


def xenlocal(tmp_path: Path, *words: str) -> int:
    state, run = str(tmp_path / "state"), str(tmp_path / "run")
    return cli.main(["--simulate", str(tmp_path / "host"), "--state-dir", state, "--run-dir", run, *words])


def test_the_console_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dom0 = str(tmp_path / "host")
    assert poke([dom0, "add-foreign", "web"]) == 0
    capsys.readouterr()
    assert xenlocal(tmp_path, "log", "web") == 3
    assert "XENCONSOLED_ARGS=--log=guest" in capsys.readouterr().err
    assert poke([dom0, "say", "web", "web login: "]) == 0
    assert xenlocal(tmp_path, "log", "web") == 0
    assert capsys.readouterr().out == "web login: \n"
    assert xenlocal(tmp_path, "log", "web", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "text": "web login: \n"}


def test_a_path_is_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert xenlocal(tmp_path, "log", "../../etc/shadow") == 1
    assert "is not the name of a domU" in capsys.readouterr().err


def test_who_only_looks_notes_no_end(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, "[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\n")
    assert cli.main([*host, "boot"]) == 0
    for words in (["say", "web", "Kernel panic"], ["crash", "web"]):
        assert poke([host[-1].partition("=")[2], *words]) == 0
    for verb in (["status"], ["why", "web"], ["plan"], ["status"]):
        assert cli.main([*host, *verb]) == 0
    assert cli.main([*host, "apply"]) == 0
    capsys.readouterr()
    assert cli.main([*host, "log", "web"]) == 0
    assert capsys.readouterr().out == "Kernel panic\n[xenlocal: domid 1 has ended (crash)]\n"
