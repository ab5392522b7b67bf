"""The measurements, each on a fresh stubbed host."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import measure, peers, stubs
from bench.daemon import running
from bench.peers import Way
from bench.stubs import StubHost

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SIZES = (10, 100, 200, 1000)
EDITS = 50
_ROUNDS = 3
_MEMORY = Path("/dev/shm")
"""As /run: files there are in memory."""

_HUNG = 10
_PATIENCE = 3
"""Seconds that a hung guest is waited for (300 as installed, by both)."""
_UPSTREAM_AT_MOST = 100
"""domUs: what upstream's script does for each grows with their number."""
_WARM_UP = 500
"""Edits after which a daemon has seen everything once."""
_CALLS = 20

Figures = dict[str, Any]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True)
class Started:
    """`last`: seconds until the last domU was created. `whole`: what the command cost until its end; that of xenlocal
    goes on until every domU is ready, and looks once more."""

    last: float
    whole: measure.Spent


class Bench:
    """A place for one host after the other. A context manager."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        parent = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self._scratch = tempfile.TemporaryDirectory(prefix="xenlocal-bench-", dir=parent)
        self._directory = Path(self._scratch.name) / "host"

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()

    def _host(self, count: int) -> StubHost:
        return stubs.make(self._directory, count)

    @property
    def _xenlocal(self) -> list[str]:
        return [sys.executable, "-m", "bench.subject", str(self._directory)]

    def size(self, count: int) -> Figures:
        """Start `count` domUs three ways; then look at a host on which nothing is to be done."""
        self._say(f"{count} domUs: starting them with xenlocal, both xendomains, and the least that could do it")
        found: Figures = {"domUs": count, "load": round(measure.load(), 1)}
        rounds = _ROUNDS if count <= 100 else 1
        ways: dict[str, Way] = {
            "xendomains": lambda host: peers.xendomains(host, BUILD),
            "floor": peers.floor,
            "sh": lambda host: ([*self._xenlocal, "floor"], _environment()),
            "xenlocal": lambda host: ([*self._xenlocal, "boot"], _environment()),
        }
        if count <= _UPSTREAM_AT_MOST:
            ways["upstream"] = lambda host: peers.upstream(host, BUILD)
        seconds: dict[str, list[Started]] = {name: [] for name in ways}
        for _ in range(rounds):  # in turn, so that a busy moment of the machine meets all of them
            for name, way in ways.items():
                seconds[name].append(self._start(way, count))
        for name, spent in seconds.items():
            found[name] = {
                "seconds": round(min(each.last for each in spent), 2),
                "until_end": round(min(each.whole.seconds for each in spent), 2),
                "cpu": round(min(each.whole.cpu for each in spent), 2),
            }
        for name in ways.keys() - {"xenlocal", "sh"}:
            found[name]["processes"] = self._count(ways[name], count)
        found["xenlocal"]["processes"], found["xenlocal"]["commands"] = self._count_xenlocal(count)
        self._say(f"{count} domUs: a cycle in which nothing is to be done, and the planner alone")
        found["cycle"] = self._cycle()
        found |= self._planning()
        return found

    def _start(self, way: Way, count: int) -> Started:
        host = self._host(count)
        command = way(host)
        began = time.time()
        spent = measure.spend(*command)
        self._all_run(host, count)
        return Started((host.directory / "list").stat().st_mtime - began, spent)

    def _all_run(self, host: StubHost, count: int) -> None:
        runs = len((host.directory / "list").read_text().splitlines()) - 2  # header, Domain-0
        assert runs == count, f"{runs} of {count} domUs were started"

    def _count(self, way: Way, count: int) -> int:
        host = self._host(count)
        found = measure.count_processes(*way(host), self._directory)
        self._all_run(host, count)
        return found

    def _count_xenlocal(self, count: int) -> tuple[int, int]:
        """Processes (without the threads, which the namespace would count too) and calls of tools. Each command is
        one process: systemd-run turns into xl. The host stays as it is, for the cycle."""
        host = self._host(count)
        forks = host.directory / "forks"
        measure.run([*self._xenlocal, "boot"], {**_environment(), "FORKS": str(forks)})
        self._all_run(host, count)
        calls = [call for call in host.calls() if not call.startswith("systemd-run")]
        processes = 1 + int(forks.read_text())
        assert processes == 1 + len(calls), f"{processes} processes, {len(calls)} calls of tools"
        return processes, len(calls)

    def _cycle(self) -> list[str]:
        """The commands of a whole cycle. `xenstore-watch` runs once, whatever the number of cycles."""
        host = StubHost(self._directory, ())
        measure.run([*self._xenlocal, "apply"], _environment())
        return sorted(" ".join(call.split()[:2]) for call in host.calls() if not call.startswith("xenstore-watch"))

    def _planning(self) -> Figures:
        command = [sys.executable, "-m", "bench.planning", str(self._directory)]
        said = subprocess.run(
            command,
            env=_environment(),
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        times: Figures = json.loads(said.stdout)
        return times

    def stop(self) -> Figures:
        """Stop guests that hang: nothing they are asked has an effect."""
        self._say(f"stopping {_HUNG} domUs that hang, {_PATIENCE} s each, with xenlocal and xendomains")
        host = self._host(_HUNG)
        for name in host.names:
            host.write_file(name, host.domain(name, stop_timeout=_PATIENCE))
        command, environment = peers.xendomains(host, BUILD, "stop", _PATIENCE)
        measure.run([*self._xenlocal, "boot"], _environment())
        theirs = measure.run(command, environment)
        self._all_run(host, _HUNG)
        began = time.monotonic()
        ours = subprocess.run([*self._xenlocal, "shutdown"], env=_environment(), timeout=300, capture_output=True)
        seconds = time.monotonic() - began
        assert ours.returncode == 5, ours.stderr.decode()  # that it had to destroy them
        self._all_run(host, 0)
        return {"guests": _HUNG, "patience": _PATIENCE, "xenlocal": seconds, "xendomains": theirs}

    def growth(self, edits: int) -> Figures:
        """What a daemon has more of after many edits."""
        self._say(f"{edits} edits, one after the other: does the daemon grow?")
        host = self._host(2)
        measure.run([*self._xenlocal, "boot"], _environment())
        name = host.names[0]
        with running(host, self._xenlocal, _environment()) as daemon:
            return vars(daemon.grow((host.domain(name, 300), host.domain(name, 400)), name, edits, _WARM_UP))

    def _command_line(self) -> Figures:
        """Wall times of the command line beside a running daemon, and of Python alone."""
        places = [f"--{kind}-dir={self._directory / kind}" for kind in ("state", "run")]
        places.append(f"--config-dir={self._directory / 'etc'}")
        run = "from xenlocal.cli import program; program()"  # as /usr/bin/xenlocal, which setuptools writes
        commands = {verb: ["-c", run, verb, *places] for verb in ("--help", "status", "check")}
        found = {}
        for name, arguments in {"python": ["-c", "pass"], **commands}.items():
            command = [sys.executable, *arguments]
            measure.run(command, _environment())  # compiles
            times = [measure.run(command, _environment()) for _ in range(_CALLS)]
            found[name] = {"least": min(times), "median": statistics.median(times)}
        return found

    def daemon(self, count: int, idle_seconds: float) -> Figures:
        """Latency of edits, then rest, of one daemon with `count` running domUs."""
        host = self._host(count)
        measure.run([*self._xenlocal, "boot"], _environment())
        with running(host, self._xenlocal, _environment()) as daemon:
            self._say(f"{EDITS} edits of a daemon with {count} domUs")
            name = host.names[0]
            times = sorted(daemon.edit_to_command(name, host.domain(name, 300 + edit)) for edit in range(EDITS))
            self._say(f"{idle_seconds:.0f} s in which nothing happens")
            idle = daemon.idle(idle_seconds)
            self._say(f"the command line, {_CALLS} calls of each verb")
            commands = self._command_line()
        return {
            "domUs": count,
            "edit": {"p50": statistics.median(times), "p99": times[-1 - len(times) // 100], "edits": len(times)},
            "idle": {**vars(idle), "load": round(measure.load(), 1)},
            "command_line": commands,
        }
