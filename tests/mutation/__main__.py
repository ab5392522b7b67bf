"""`make mutants`: how many small faults in the planner, the configuration checks and the guards the tests notice.

    python -m tests.mutation [--survivors] [FRAGMENT...]

FRAGMENT: only mutants whose id (as in survivors.txt) holds one of them. `--survivors`: only those that survived the
last time. Exit 1 where a mutant survives that `survivors.txt` does not list with a reason, where that lists one that
does not survive (any more), or where fewer than 95 % are killed. A run that was ended goes on where it was, as long as
neither xenlocal nor a test has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.mutation import run
from tests.mutation.run import ROOT, Verdict

LEAST = 95.0  # per cent
SURVIVORS = Path(__file__).with_name("survivors.txt")
BUILD = ROOT / "build" / "mutation"
GUARDS = tuple(f"xenlocal/adapters/{name}.py" for name in ("argv", "bridging", "checked", "conffiles", "trust"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--survivors", action="store_true")
    parser.add_argument("fragments", nargs="*")
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    state = _state()
    done_file = BUILD / f"done-{state}.jsonl"
    done, last = _verdicts(done_file), _last()
    former = {each.id for each in last.values() if not each.killed}

    def chosen(mutant: str) -> bool:
        wanted = any(fragment in mutant for fragment in options.fragments) if options.fragments else True
        return wanted and mutant not in done and (mutant in former or not options.survivors)

    hints = {each.id: each.by for each in last.values() if each.by}
    with done_file.open("a", encoding="utf-8") as record_file:

        def record(verdict: Verdict) -> None:
            print(json.dumps(vars(verdict)), file=record_file, flush=True)
            if not verdict.killed:
                print(f"survived: {verdict.id}", flush=True)

        run.run(_paths(), chosen, hints, BUILD / f"reach-{state}.json", record)
    done = _verdicts(done_file)
    _remember({**last, **done})
    return _report(done, time.monotonic() - begun, whole=not options.fragments and not options.survivors)


def _paths() -> list[str]:
    found = [*ROOT.glob("xenlocal/planner/*.py"), *ROOT.glob("xenlocal/config/*.py")]
    return sorted([*(str(path.relative_to(ROOT)) for path in found), *GUARDS])


def _state() -> str:
    """Of everything a verdict depends on."""
    found = hashlib.sha256(sys.version.encode())
    for path in sorted(
        [*ROOT.glob("xenlocal/**/*.py"), *ROOT.glob("tests/unit/**/*.py"), *ROOT.glob("tests/mutation/*.py")]
    ):
        found.update(str(path).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def _verdicts(path: Path) -> dict[str, Verdict]:
    if not path.exists():
        return {}
    lines = path.read_text("utf-8").splitlines()
    return {each.id: each for each in (Verdict(**json.loads(line)) for line in lines)}


def _last() -> dict[str, Verdict]:
    """What killed each one in earlier runs is tried first; that it did is proved anew."""
    return _verdicts(BUILD / "last.jsonl")


def _remember(verdicts: Mapping[str, Verdict]) -> None:
    text = "".join(json.dumps(vars(each)) + "\n" for each in verdicts.values())
    (BUILD / "last.jsonl").write_text(text, "utf-8")


def listed(text: str) -> dict[str, str]:
    """Id -> reason: a line that begins a word is an id, the indented ones below it are its reason."""
    found: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith(" "):
            found[last] = f"{found[last]} {line.strip()}".strip()
        else:
            last = line
            found[last] = ""
    return found


def _report(done: Mapping[str, Verdict], seconds: float, whole: bool) -> int:
    survivors = sorted(each.id for each in done.values() if not each.killed)
    late = sum(each.killed and not each.by for each in done.values())
    reasons = listed(SURVIVORS.read_text("utf-8"))
    wrong = [f"survives and is not in {SURVIVORS.name}: {each}" for each in survivors if each not in reasons]
    if whole:
        wrong += [f"is in {SURVIVORS.name} and does not survive: {each}" for each in sorted(reasons.keys() - survivors)]
    wrong += [f"has no reason in {SURVIVORS.name}: {each}" for each, reason in reasons.items() if not reason]
    killed = len(done) - len(survivors)
    score = 100 * killed / max(len(done), 1)
    if whole and score < LEAST:
        wrong.append(f"fewer than {LEAST:.0f} % are killed")
    for line in wrong:
        print(line)
    print(
        f"{len(done)} mutants: {killed} killed ({late} of them by taking too long), {len(survivors)} survived; "
        f"score {score:.1f} %; {seconds:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
