"""`python3 -m bench.planning DIRECTORY`: CPU seconds of reading the files and of planning (JSON)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.subject import StubbedParts
from xenlocal import config
from xenlocal.adapters.conffiles import ConfigFiles
from xenlocal.adapters.records import FileRecords
from xenlocal.engine.observe import Asking, look
from xenlocal.model.observed import Observed, Table
from xenlocal.model.plan import Goal
from xenlocal.planner import make_plan

_TIMES = 7


def _best(call: Callable[[], object]) -> float:
    """CPU seconds: what else runs on the machine is not in it. The best of some, since noise only adds."""
    found = []
    for _ in range(_TIMES):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return min(found)


def main(directory: Path) -> int:
    files = ConfigFiles(str(directory / "etc")).read()
    began = time.process_time()
    config.read(files, "0" * 32)
    read = time.process_time() - began  # the first time: the reader remembers what it has read
    records = FileRecords(str(directory / "run"), str(directory / "state"))
    desired, memory = config.read(files, records.host_id()), records.load_memory()
    host = StubbedParts(directory).host()
    observed = look(host.reader, host.work, desired, Observed(), Asking(frozenset(Table)))
    now, wall = host.work.now(), host.work.wall()
    plan = make_plan(desired, observed, Goal.CONVERGE, now, wall, memory)
    assert plan.is_empty and not plan.unavailable and not plan.refusals, plan
    answer = {
        "read": read,
        "plan": _best(lambda: make_plan(desired, observed, Goal.CONVERGE, now, wall, memory)),
    }
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
