"""How little the command line takes along at its start: a verb that only asks the daemon needs no tool of the host."""

from __future__ import annotations

import subprocess
import sys


def test_start_brings_neither_watch_nor_tools_nor_history() -> None:
    code = "import sys, xenlocal.cli; print(sorted({'pyinotify', 'sh', 'sqlite3', 'daemon'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
