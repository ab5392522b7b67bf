"""A disk that is full or read-only for real, under STATE and under RUN, and a real daemon that has to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hostile.daemon import WEB, Home, running, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems: needs root")
DB = WEB.replace("web", "db")


@contextmanager
def disk(place: Path, *options: str) -> Iterator[Path]:
    """A file system of its own, of 512 KiB."""
    place.mkdir(mode=0o700)
    words = ["mount", "-t", "tmpfs", "-o", ",".join(("size=512k", "mode=700", *options)), "none", str(place)]
    made = subprocess.run(words, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    try:
        with open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError as error:
        assert error.strerror == "No space left on device"
    return filler


def states(home: Home) -> dict[str, str]:
    said = json.loads(home.call("status", "--json").stdout)
    return {each["name"]: each["observed"] for each in said["domains"]}


@contextmanager
def full_beside_a_new_file(home: Home, place: Path) -> Iterator[tuple[Path, Path]]:
    """A daemon that runs web has its disk filled, and then db is declared: what fills it, and the log."""
    log = home.path / "log"
    with disk(place), log.open("wb") as stderr, running(home, stderr) as daemon:
        assert home.call("apply").returncode == 0
        filler = fill(place)
        (home.config / "db.conf").write_text(DB)
        yield filler, log
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
    assert "Traceback" not in log.read_text()


def test_a_full_disk_under_the_state_keeps_no_guest_off(tmp_path: Path) -> None:
    home = Home(tmp_path, web=WEB)
    with full_beside_a_new_file(home, home.state) as (filler, log):
        assert home.call("apply").returncode == 0
        assert states(home) == {"db": "running", "web": "running"}
        until(lambda: b"cannot write" in log.read_bytes(), "a word about the disk")
        filler.unlink()
        assert home.call("restart", "web").returncode == 0
        assert "db" in (home.state / "last-good.json").read_text()
        until(lambda: "stop" in home.call("history", "web").stdout, "the history to go on")


def test_a_full_disk_under_run_starts_nobody_and_harms_nobody(tmp_path: Path) -> None:
    home = Home(tmp_path, web=WEB)
    with full_beside_a_new_file(home, home.run) as (filler, _):
        said = home.call("apply")
        assert said.returncode == 5 and "No space left on device" in said.stderr + said.stdout
        assert states(home) == {"db": "off", "web": "running"}
        filler.unlink()
        assert home.call("start", "db").returncode == 0
        assert states(home) == {"db": "running", "web": "running"}


def test_a_state_that_is_read_only_keeps_no_guest_off(tmp_path: Path) -> None:
    home = Home(tmp_path, web=WEB)
    log = tmp_path / "log"
    with disk(home.state, "ro"), log.open("wb") as stderr, running(home, stderr):
        assert home.call("apply").returncode == 0
        assert states(home) == {"web": "running"}
    said = log.read_text()
    assert "Read-only file system" in said and "Traceback" not in said


def test_where_run_is_read_only_the_daemon_says_so_and_ends(tmp_path: Path) -> None:
    home = Home(tmp_path, web=WEB)
    with disk(home.run, "ro"):
        said = home.call("run")
    assert said.returncode == 1 and "Read-only file system" in said.stderr and "Traceback" not in said.stderr
