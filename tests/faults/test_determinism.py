"""The same number is the same day, command by command: in one process, and whatever order hashes have."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.random_days import played
from tests.faults.stage import Blow, Play
from tests.faults.sweep import BY_NAME

ROOT = Path(__file__).parents[2]
SEEDS = (3, 17, 29)


def digest() -> str:
    """Of the traces of some days, in full."""
    lines = [repr(entry) for seed in SEEDS for entry in played(seed).trace]
    assert len(lines) > 100
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize(
    "name", ["boot-diamond", "edit-absent-hung", "shutdown-hung", "daemon-restarts-while-stopping"]
)
def test_two_runs_are_one_trace(name: str) -> None:
    blows = [Blow(4, "hangs-done"), Blow(9, "killed-after")]
    first, second = (Play(BY_NAME[name], blows).play() for _ in range(2))
    assert first.trace == second.trace and first.struck == second.struck and len(first.trace) > 20


def test_the_order_of_hashes_changes_nothing() -> None:
    digests = set()
    for number in ("0", "1", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", "from tests.faults.test_determinism import digest; print(digest())"],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": number}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.add(done.stdout)
    assert digests == {f"{digest()}\n"}
