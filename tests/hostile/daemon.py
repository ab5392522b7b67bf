"""A real daemon, in a process of its own, on a simulated host."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
_SECONDS = 60.0
WEB = "[domain web]\ntype = pv\nmemory = 128M\nkernel = /boot/vmlinuz\n"


class Home:
    """The places of one xenlocal, below one directory."""

    def __init__(self, path: Path, **files: str) -> None:
        self.path = path
        self.config, self.run, self.state = path / "conf", path / "run", path / "state"
        self.config.mkdir(mode=0o755)
        for name, text in {"xenlocal": "", **files}.items():
            (self.config / f"{name}.conf").write_text(text)

    def argv(self, *words: str) -> list[str]:
        places = {"config-dir": self.config, "run-dir": self.run, "state-dir": self.state}
        options = [f"--{name}={place}" for name, place in places.items()]
        return [sys.executable, "-m", "xenlocal", f"--simulate={self.path / 'host.json'}", *options, *words]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.argv(*words), cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS)

    def answers(self) -> bool:
        """Whether there is a daemon that has looked at the host."""
        said = self.call("status", "--json")
        return said.returncode == 0 and '"not running"' not in said.stdout


@contextmanager
def running(home: Home, stderr: int | IO[bytes] | None = None, shell: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """`shell`: redirections, as a shell writes them. Ends it, whatever the test left of it."""
    argv: Sequence[str] = home.argv("run")
    if shell:
        argv = ["/bin/sh", "-c", f'exec "$@" {shell}', "sh", *argv]
    daemon = subprocess.Popen(argv, cwd=ROOT, stderr=stderr)
    try:
        until(lambda: daemon.poll() is not None or (home.run / "control.sock").exists(), "the control socket")
        until(lambda: daemon.poll() is not None or home.answers(), "an answer")
        assert daemon.poll() is None
        yield daemon
    finally:
        if daemon.poll() is None:
            daemon.kill()
        daemon.wait(_SECONDS)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
