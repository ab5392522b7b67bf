"""`xenlocal history` through the whole command line on a simulated dom0."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.app.support import declare
from xenlocal.adapters.control import ControlServer
from xenlocal.cli import main
from xenlocal.drawing.timeline import timeline
from xenlocal.model.text import printable

WEB = "[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\n"


def shown(options: list[str], capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*options, *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_was_done_is_shown_with_reason_command_and_result(
    host: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    declare(host, WEB)
    assert main([*host, "history"]) == 0
    assert capsys.readouterr().out == "nothing is recorded\n"
    assert main([*host, "boot"]) == 0
    assert main([*host, "stop", "web"]) == 0
    assert main([*host, "history", "web"]) == 0
    text = capsys.readouterr().out
    assert "start: state = running in" in text and "$ xl create -q" in text and "$ xl shutdown -F 1" in text
    assert "off: it was shut down cleanly by xenlocal" in text and "\n\n" not in text
    rows = shown(host, capsys, "history")["entries"]
    assert [row["what"] for row in rows if row["target"] == "host/this"] == ["begun", "ended"]
    assert [row["what"] for row in shown(host, capsys, "history", "web", "-n", "1")["entries"]] == ["stop"]
    assert shown(host, capsys, "history", "--since", "1h")["entries"] == rows
    assert shown(host, capsys, "history", "volume/vg0/none")["entries"] == []


@pytest.mark.parametrize(
    "words", [["--since", "5"], ["vm/web"], [""], ["-n", "0"], ["-n", "x"], ["-n", "1", "--since", "1h"]]
)
def test_wrong_usage_is_told(host: list[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*host, "history", *words])
    assert caught.value.code == 2


def test_a_name_that_nobody_knows_is_not_one_without_a_past(
    host: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    declare(host, WEB)
    assert main([*host, "history", "nope"]) == 3 and main([*host, "history", "domain/nope"]) == 3
    assert (
        capsys.readouterr().err == "xenlocal: no domU named nope is or was declared; `xenlocal status` lists all\n" * 2
    )
    assert main([*host, "history", "web"]) == 0
    assert main([*host, "boot"]) == 0
    declare(host, WEB.replace("web", "db"))
    assert main([*host, "history", "web", "--since", "1s"]) == 0


def test_a_history_that_cannot_be_read_fails_aloud(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    state = Path(host[1].partition("=")[2])
    state.mkdir()
    (state / "history.db").write_bytes(b"nonsense" * 1000)
    assert main([*host, "history"]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_what_tools_said_reaches_the_terminal_as_text() -> None:
    assert printable("a\x1b[2Jb\nü", "\n") == "a\\x1b[2Jb\nü"


def test_why_and_blame_without_a_daemon(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, WEB)
    assert main([*host, "blame"]) == 3 and main([*host, "why", "nobody"]) == 3
    assert "no boot or shutdown" in capsys.readouterr().err
    assert main([*host, "boot"]) == 0
    told = shown(host, capsys, "blame")
    assert told["schema"] == 1 and [link["step"] for link in told["path"]] == ["start domain/web", "await domain/web"]
    assert main([*host, "blame", "boot"]) == 0
    text = capsys.readouterr().out
    assert "what the end waited for:" in text and "IDLE BEFORE" in text and "USUALLY" in text
    assert main([*host, "stop", "web"]) == 0
    assert main([*host, "why", "web"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("domain/web: off since ") and "stopped by hand until `xenlocal start web`" in text
    told = shown(host, capsys, "why", "web")
    assert (told["schema"], told["name"], told["state"]) == (1, "web", "off")


@pytest.mark.parametrize(
    ("code", "answer"), [(0, {"name": "web", "sentences": ["off: so"]}), (3, {}), (1, {"message": "no"})]
)
def test_why_asks_the_daemon(
    host: list[str], capsys: pytest.CaptureFixture[str], code: int, answer: dict[str, Any]
) -> None:
    asked = []

    def handle(
        verb: str, names: tuple[str, ...], progress: Callable[[str], None], ended: Callable[[int, dict[str, Any]], None]
    ) -> None:
        asked.append((verb, names))
        ended(code, answer)

    run = Path(host[2].partition("=")[2])
    run.mkdir()
    server = ControlServer(run / "control.sock", handle)
    try:
        assert main([*host, "why", "web"]) == code
    finally:
        server.close()
    assert asked == [("why", ("web",))]
    assert capsys.readouterr().out == ("domain/web: off: so\n" if code == 0 else "")


def test_plot_draws_what_blame_tells(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, WEB)
    assert main([*host, "plot", "boot"]) == 3
    out, err = capsys.readouterr()
    assert (out, err) == ("", "xenlocal: no boot of the guests is remembered\n")
    assert main([*host, "boot"]) == 0
    told = shown(host, capsys, "plot", "boot")
    assert told["schema"] == 1 and [row["target"] for row in told["rows"]] == ["domain/web"]
    assert told["begun"] == shown(host, capsys, "blame", "boot")["begun"]
    assert main([*host, "plot", "boot"]) == 0
    assert capsys.readouterr().out == timeline(told) + "\n"
    assert main([*host, "plot", "shutdown", "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1, "ok": False, "message": "no shutdown of the guests is remembered",
    }  # fmt: skip
