"""Counting: processes by the numbers that a PID namespace has given away, wake-ups and memory from /proc."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")
_PROBE = 'mine=$1; shift; "$@"; sh -c "echo \\$\\$" >"$mine"'
_TIMEOUT = 600


def count_processes(argv: Sequence[str], environment: dict[str, str], scratch: Path) -> int:
    """How many processes and threads `argv` is and starts. In a namespace of its own numbers are given away one after
    the other, so the next one tells; what else runs on this machine is not in it."""
    number = scratch / "next-pid"
    command = [*_NAMESPACE, "sh", "-c", _PROBE, "sh", str(number), *argv]
    run(command, environment)
    return int(number.read_text()) - 2  # not the shell around it, not the one that says its own number


def run(argv: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds until it ended. Raises CalledProcessError."""
    began = time.monotonic()
    subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=_TIMEOUT, env=environment
    )
    return time.monotonic() - began


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall, and of all CPUs together."""

    seconds: float
    cpu: float


def spend(argv: Sequence[str], environment: dict[str, str]) -> Spent:
    """What one command and all it waits for cost. Nothing else may be started meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = run(argv, environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


@dataclass(frozen=True)
class Usage:
    """Of one process. `switches`: how often any thread of it came to run, voluntarily given up or not."""

    switches: int
    cpu_seconds: float
    rss_bytes: int
    threads: int
    descriptors: int


def usage(pid: int) -> Usage:
    switches = 0
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    for task in tasks:
        switches += _sum(task / "status", ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(after_name[11]) + int(after_name[12])  # utime, stime: fields 14 and 15 of proc(5)
    resident = _sum(Path(f"/proc/{pid}/status"), ("VmRSS",)) * 1024
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Usage(switches, ticks / os.sysconf("SC_CLK_TCK"), resident, len(tasks), descriptors)


def children(pid: int) -> int:
    """How many processes this one has started that have not ended."""
    parents = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            parents.append(stat.read_text().rpartition(")")[2].split()[1])
    return parents.count(str(pid))


def _sum(status: Path, keys: tuple[str, ...]) -> int:
    found = 0
    for line in status.read_text().splitlines():
        key, _, value = line.partition(":")
        if key in keys:
            found += int(value.split()[0])
    return found


def load() -> float:
    """How many processes want the CPUs, over the last minute."""
    return os.getloadavg()[0]
