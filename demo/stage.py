"""What the narrator works with: the terminal, the command line, the daemon, and looks that prove what was said."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 30.0
"""Seconds that any one thing of the demo may take."""


class Untrue(Exception):
    """Something did not happen as the demo says."""


@dataclass(frozen=True)
class Said:
    code: int
    text: str


class Terminal:
    """Colours only for a terminal, and not where NO_COLOR is set (no-color.org)."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def _line(self, code: str, text: str) -> None:
        print(f"\033[{code}m{text}\033[0m" if self._colours and text else text, flush=True)

    def heading(self, text: str) -> None:
        self._line("1", f"\n== {text}")

    def plain(self, text: str) -> None:
        self._line("0", text)

    def typed(self, text: str) -> None:
        self._line("36", f"$ {text}")

    def output(self, text: str) -> None:
        for line in text.rstrip("\n").splitlines():
            self._line("2", f"    {line}")

    def proved(self, text: str) -> None:
        self._line("32", f"  ok: {text}")

    def wrong(self, text: str) -> None:
        self._line("1;31", f"  NOT TRUE: {text}")


class Stage:
    """A directory with the files, the simulated dom0 and the daemon on it. A context manager."""

    def __init__(self) -> None:
        self.terminal = Terminal()
        self._temporary = tempfile.TemporaryDirectory(prefix="xenlocal-demo-")
        self.directory = Path(self._temporary.name)
        self.etc = self.directory / "etc"
        self.etc.mkdir()
        self.etc.chmod(0o755)
        self._daemon: subprocess.Popen[bytes] | None = None
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        places = {
            "--config-dir": "etc",
            "--state-dir": "state",
            "--run-dir": "run",
            "--simulate": "dom0.json",
        }
        options = [word for option, name in places.items() for word in (option, str(self.directory / name))]
        self._xenlocal = [sys.executable, "-m", "xenlocal", *options]
        self._simulator = [sys.executable, "-m", "xenlocal.simulator", str(self.directory / "dom0.json")]

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.kill()
            self._daemon.wait(LIMIT)
        self._temporary.cleanup()

    def put(self, name: str, text: str) -> None:
        """A file as an editor saves it: written beside, then renamed."""
        beside = self.etc / f".{name}.swp"
        beside.write_text(text)
        beside.chmod(0o644)
        beside.rename(self.etc / f"{name}.conf")

    # what is typed, and shown

    def xenlocal(self, *words: str, expect: int = 0) -> str:
        """Type `xenlocal ...`, show what it prints; its exit code must be `expect`."""
        self.terminal.typed(shlex.join(["xenlocal", *words]))
        said = self._run([*self._xenlocal, *words])
        self.terminal.output(said.text)
        if expect or said.code:
            self.terminal.output(f"(exit code {said.code})")
        self.prove(said.code == expect, f"exit code {expect}", quiet=said.code == expect)
        return said.text

    def shell(self, command: str) -> None:
        """Type a shell command; the current directory is the one with the files."""
        self.terminal.typed(command)
        said = self._run(["/bin/sh", "-c", command], cwd=self.etc)
        self.terminal.output(said.text)
        self.prove(said.code == 0, command, quiet=said.code == 0)

    def simulator(self, *words: str, show: bool = True) -> str:
        """Make something happen on the simulated dom0, or look at it."""
        if show:
            self.terminal.typed(shlex.join(["python3", "-m", "xenlocal.simulator", "dom0.json", *words]))
        said = self._run([*self._simulator, *words])
        self.prove(said.code == 0, f"simulator {' '.join(words)}: {said.text}", quiet=said.code == 0)
        return said.text

    def start_daemon(self) -> int:
        """The real daemon, in the background; returns when it answers."""
        self.terminal.typed("xenlocal run &")
        with open(self.directory / "daemon.log", "wb") as log:
            self._daemon = subprocess.Popen(
                [*self._xenlocal, "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        self.wait("the daemon answers", lambda: self.status()["host"].get("daemon") != "not running", quiet=True)
        return self._daemon.pid

    def daemon_runs(self) -> bool:
        return self._daemon is not None and self._daemon.poll() is None

    def stop_daemon(self) -> int:
        """Its exit code after SIGTERM."""
        assert self._daemon is not None
        self._daemon.terminate()
        return self._daemon.wait(LIMIT)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Type `xenlocal ...` and look elsewhere while it works."""
        self.terminal.typed(shlex.join(["xenlocal", *words]))
        return subprocess.Popen(
            [*self._xenlocal, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=self._environment,
        )  # fmt: skip

    # what is true

    def status(self) -> dict[str, Any]:
        """`xenlocal status --json`; with an empty host until the daemon is there."""
        said = self._run([*self._xenlocal, "status", "--json"])
        found: dict[str, Any] = (
            {"host": {"daemon": "not running"}, "domains": [], "problems": []} if said.code else json.loads(said.text)
        )
        return found

    def row(self, name: str) -> dict[str, Any]:
        """A domU's line of the status."""
        rows = [row for row in self.status()["domains"] if row["name"] == name]
        return dict(rows[0]) if rows else {"observed": "off", "ready": False, "domid": None, "notices": []}

    def host(self) -> dict[str, Any]:
        """The simulated dom0 itself: `show --json`. Nothing of xenlocal's own view of it."""
        found: dict[str, Any] = json.loads(self.simulator("show", "--json", show=False))
        return found

    def domids(self) -> dict[str, int]:
        return {each["name"]: each["domid"] for each in self.host()["domains"]}

    def size(self, lv: str) -> int:
        """Bytes of an LV on the simulated dom0; -1 where it does not exist."""
        return next((int(each["size"]) for each in self.host()["volumes"] if each["lv"] == lv), -1)

    def prove(self, true: bool, what: str, quiet: bool = False) -> None:
        """Say that it is true, if it is. Raises Untrue."""
        if not true:
            self.terminal.wrong(what)
            raise Untrue(what)
        if not quiet:
            self.terminal.proved(what)

    def wait(self, what: str, condition: Callable[[], bool], quiet: bool = False) -> None:
        """Until `condition` holds. Raises Untrue after LIMIT."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > deadline:
                self.prove(False, f"{what} (waited {LIMIT:.0f} s)")
            time.sleep(0.05)
        self.prove(True, what, quiet)

    def log(self) -> str:
        """The daemon's own words: for a report of what went wrong."""
        path = self.directory / "daemon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _run(self, argv: list[str], cwd: Path | None = None) -> Said:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=LIMIT, env=self._environment, cwd=cwd, check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout)
