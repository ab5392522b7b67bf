"""The daemon on the stubbed host: how fast an edit arrives, and what it costs while nothing happens."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import measure
from bench.measure import Usage, usage
from bench.stubs import StubHost
from xenlocal.adapters import control

_QUIET = 0.5
"""Seconds without a command after which the daemon is taken to have finished."""
_LIMIT = 300.0
_WATCHDOG = 180.0
"""Seconds, as WatchdogSec= in xenlocal.service."""
_CHANGING = ("xl sched-credit2",)


class Stuck(Exception):
    """The daemon did not do what was waited for."""


@dataclass(frozen=True)
class Idle:
    """`wakeups`: of all threads, in `seconds`; `expected`: those of the watchdog and of resync."""

    seconds: float
    wakeups: int
    expected: int
    cpu_seconds: float
    rss_bytes: int
    threads: int


@dataclass(frozen=True)
class Growth:
    """How much more a daemon has of each after so many edits."""

    edits: int
    seconds: float
    rss_bytes: int
    threads: int
    descriptors: int


def _environment_of_the_unit() -> dict[str, str]:
    """What systemd/xenlocal.service sets for the daemon."""
    unit = Path(__file__).parents[1] / "systemd" / "xenlocal.service"
    lines = [line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith("Environment=")]
    return dict(line.split("=", 1) for line in lines)


class Daemon:
    """A running one. Every call of a tool arrives as a line on a FIFO, so its time is known."""

    def __init__(self, host: StubHost, command: list[str], environment: Mapping[str, str]) -> None:
        self._host = host
        self._pending: list[str] = []
        self._watchdogs = 0
        host.log.unlink()
        os.mkfifo(host.log, 0o600)
        self._calls = os.open(host.log, os.O_RDWR | os.O_NONBLOCK)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = host.directory / "notify"
        self._notify.bind(str(address))
        told = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": str(int(_WATCHDOG * 1e6)), **_environment_of_the_unit()}
        with open(host.directory / "daemon.log", "wb") as log:
            self.process = subprocess.Popen(
                [*command, "run"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**environment, **told}
            )
        self._wait_ready()

    def close(self) -> None:
        """End it, by TERM as systemd does."""
        self.process.terminate()
        try:
            self.process.wait(_LIMIT)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._calls)
            self._notify.close()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _LIMIT
        self._notify.settimeout(_LIMIT)
        while self._notify.recv(65536) != b"READY=1":
            if time.monotonic() > deadline:
                raise Stuck("the daemon is not ready")
        self._notify.setblocking(False)
        self.settle()

    def settle(self) -> None:
        """Until no tool is called any more, and no child is left but the event source: a rehearsal is over too."""
        deadline = time.monotonic() + _LIMIT
        while self._next_call(_QUIET) is not None or measure.children(self.process.pid) > 1:
            if time.monotonic() > deadline:
                raise Stuck("the daemon does not come to rest")

    def edit_to_command(self, name: str, text: str) -> float:
        """Seconds from the rename that completes an edit to the first command that changes the host."""
        ready = self._host.prepare_file(name, text)
        began = time.monotonic()
        ready.rename(self._host.etc / f"{name}.conf")
        while time.monotonic() < began + _LIMIT:
            called = self._next_call(1.0)
            if called is not None and called.startswith(_CHANGING):
                seconds = time.monotonic() - began
                self.settle()
                return seconds
        raise Stuck(f"an edit of {name} had no effect")

    def grow(self, texts: tuple[str, str], name: str, edits: int, warm_up: int) -> Growth:
        """Alternate between two texts of a file. Each edit is asked for as `apply` (which spares the time to see
        whether the file is complete), done on the host, and looked at once more before the next."""
        for edit in range(warm_up):
            self._apply(name, texts[edit % 2])
        self.settle()
        before, began = self._usage(), time.monotonic()
        for edit in range(edits):
            self._apply(name, texts[edit % 2])
        seconds = time.monotonic() - began
        self.settle()
        after = self._usage()
        return Growth(
            edits,
            seconds,
            after.rss_bytes - before.rss_bytes,
            after.threads - before.threads,
            after.descriptors - before.descriptors,
        )

    def _apply(self, name: str, text: str) -> None:
        self._host.write_file(name, text)
        answer = control.ask(self._host.directory / "run" / "control.sock", "apply", (), lambda _text: None)
        calls = []
        while (called := self._next_call(0)) is not None:
            calls.append(called)
        if answer is None or answer[0] != 0 or not any(called.startswith(_CHANGING) for called in calls):
            raise Stuck(f"an edit of {name} was not applied: {answer}; commands: {calls}")

    def idle(self, seconds: float) -> Idle:
        """Nothing happens for `seconds`, but for what comes by itself."""
        watchdogs, before, began = self._watchdogs, self._usage(), time.monotonic()
        while time.monotonic() < began + seconds:
            self._next_call(began + seconds - time.monotonic())
        after, passed = self._usage(), time.monotonic() - began
        return Idle(
            passed,
            after.switches - before.switches,
            self._watchdogs - watchdogs,
            after.cpu_seconds - before.cpu_seconds,
            after.rss_bytes,
            after.threads,
        )

    def _usage(self) -> Usage:
        return usage(self.process.pid)

    def _read_notifications(self) -> None:
        """As systemd does it, at once: the daemon waits when nobody reads."""
        while True:
            try:
                self._watchdogs += self._notify.recv(65536) == b"WATCHDOG=1"
            except BlockingIOError:
                return

    def _next_call(self, within: float) -> str | None:
        """The next call of a tool, None if there is none so long. Lines are short: one write, one read."""
        if self.process.poll() is not None:
            raise Stuck(f"the daemon ended: {(self._host.directory / 'daemon.log').read_text()[-2000:]}")
        deadline = time.monotonic() + within
        while not self._pending:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._calls, self._notify], [], [], max(0, left))
            self._read_notifications()
            if self._calls in ready:
                self._pending = os.read(self._calls, 65536).decode().splitlines()
            elif left <= 0:
                return None
        return self._pending.pop(0)


@contextmanager
def running(host: StubHost, command: list[str], environment: Mapping[str, str]) -> Iterator[Daemon]:
    """A daemon on this host, ended afterwards."""
    daemon = Daemon(host, command, environment)
    try:
        yield daemon
    finally:
        daemon.close()
