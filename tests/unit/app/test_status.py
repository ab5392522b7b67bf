"""`status` while the daemon is there but has no answer: an error that says so, not a table of nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xenlocal import cli
from xenlocal.adapters.control import ControlServer


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    def handle(
        verb: str, names: tuple[str, ...], progress: Callable[[str], None], ended: Callable[[int, dict[str, Any]], None]
    ) -> None:
        ended(1, {"message": "the first look at the host is not over yet"})

    server = ControlServer(tmp_path / "control.sock", handle)
    yield tmp_path
    server.close()


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], []])
def test_daemon_knows_nothing_yet(run_dir: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--run-dir", str(run_dir), *words]) == 1
    said = capsys.readouterr()
    assert "first look" in said.err
    assert ("first look" in said.out) == ("--json" in words)
