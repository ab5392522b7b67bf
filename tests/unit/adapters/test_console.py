"""The ring that is kept of a guest's console."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from xenlocal.adapters import console
from xenlocal.adapters.console import RING, Consoles, plain
from xenlocal.adapters.files import Files


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(console, "log_path", lambda name: str(tmp_path / f"guest-{name}.log"))
    return tmp_path / "guest-web.log"


def consoles(log: Path) -> Consoles:
    return Consoles(Files(), str(log.parent / "state"))


def write(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_it_holds_what_every_life_has_said_once(log: Path) -> None:
    ring = consoles(log)
    assert ring.read("web") == ("", "") and ring.mark("web") == ""
    ring.keep("web", "nothing yet")
    assert not (log.parent / "state").exists()
    write(log, "one\r\n")
    ring.keep("web", "ended")
    assert ring.read("web")[0] == "one\n[ended]\n"
    write(log, "two")
    assert ring.read("web")[0] == "one\n[ended]\ntwo"
    ring.keep("web", "ended again")
    text, place = ring.read("web")
    assert text == "one\n[ended]\ntwo\n[ended again]\n" and place == ring.mark("web")
    write(log, "three")
    assert ring.read_on("web", place)[0] == "three"


def test_it_outlives_the_log_and_goes_on_with_the_next(log: Path) -> None:
    ring = consoles(log)
    write(log, "panic")
    ring.keep("web", "crash")
    log.unlink()
    assert ring.read("web") == ("panic\n[crash]\n", "")
    write(log, "new")
    ring.keep("web", "end")
    assert ring.read("web")[0] == "panic\n[crash]\nnew\n[end]\n"


def test_it_is_bounded_and_private(log: Path) -> None:
    ring = consoles(log)
    write(log, "x\n" * RING)
    ring.keep("web", "end")
    kept = log.parent / "state/web.log"
    assert kept.stat().st_size == RING and kept.read_text().endswith("x\n[end]\n")
    assert kept.stat().st_mode & 0o777 == 0o600
    write(log, "y\n" * RING)
    assert len(ring.read("web")[0]) == RING


def test_what_cannot_be_kept_is_said_and_stops_nothing(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkdir(log)
    with caplog.at_level(logging.WARNING, "xenlocal"):
        consoles(log).keep("web", "end")
    assert "cannot keep the console of domain/web" in caplog.text and consoles(log).mark("web") == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[0;32m  OK  \x1b[0m x", "  OK   x"),
        ("\x1b]0;title\x07a\x1b]8;;b\x1b\\c", "ac"),
        ("a\r\nb\n\nc", "a\nb\n\nc"),
        ("a\r\r\n10%\r20%\r", "a\n10%\n20%\n"),
        ("\x1b", ""),
        ("\x9b31m\x07\x00é\t", "?31m??é\t"),
        ("l" * 5000 + "\nx", "l" * 4096 + "\nx"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown
