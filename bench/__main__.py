"""`make bench`: measure, print a table, write build/bench.json. 0 when it could be measured, whatever the figures."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from typing import Any

from bench import measure, peers, report, scheduling
from bench.trials import BUILD, SIZES, Bench


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--idle", type=float, default=300, metavar="SECONDS", help="how long the daemon rests")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N", help="numbers of domUs")
    parser.add_argument(
        "--edits", type=int, default=10_000, metavar="N", help="after which the daemon may not have grown"
    )
    arguments = parser.parse_args()
    with Bench(lambda text: print(f"== {text}", file=sys.stderr, flush=True)) as bench:
        load = measure.load()
        figures: dict[str, Any] = {
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
            "load": round(load, 1),
            "xendomains": peers.version(BUILD),
            "sizes": [bench.size(count) for count in arguments.sizes],
            "stop": bench.stop(),
            "daemon": bench.daemon(100, arguments.idle),
            "growth": bench.growth(arguments.edits),
            "schedule": {"graphs": 1000, **asdict(scheduling.ratios(1000))},
        }
    found = report.lines(figures)
    figures["aims"] = [asdict(line) for line in found]
    (BUILD / "bench.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(f"xendomains of xen-utils-common {figures['xendomains']}; {figures['cpus']} CPUs, load {figures['load']}")
    print(report.table(found))
    if load > 1:
        print("The machine was busy with other things: wall times say little, processes and CPU times stand.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
