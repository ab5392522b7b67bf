"""`make demo`: what xenlocal does, stage by stage, on a simulated dom0. Ends with 0 only if all of it was true.

The daemon, the command line and the commands they run are the real ones; only the host behind them is simulated
(`xenlocal.simulator`), in a temporary directory. After each stage the simulated host itself is asked.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from demo.lab import AFTER, FILES, GIB, GUESTS, LICENCE_MAC, MISTAKE, NEW
from demo.stage import LIMIT, Stage, Untrue


def main() -> int:
    began = time.monotonic()
    with Stage() as stage:
        try:
            _prepare(stage)
            _boot(stage)
            _edit(stage)
            _mistake(stage)
            _shrink(stage)
            _crash(stage)
            _poweroff(stage)
            _shutdown(stage)
        except (Untrue, subprocess.TimeoutExpired) as problem:
            print(f"\nthe demo failed: {problem}\n\nthe daemon said:\n{stage.log()}", file=sys.stderr)
            return 1
        stage.terminal.heading(f"That was all, in {time.monotonic() - began:.0f} s. Next: make playground, make test")
    return 0


def _prepare(stage: Stage) -> None:
    stage.terminal.plain(
        "A Xen host that follows plain files. The daemon and the command line are real, the dom0 is simulated;\n"
        f"all of it lives in {stage.directory}, which takes the place of /etc/xenlocal, /run and /var/lib."
    )
    for words in GUESTS:
        stage.simulator(*words, show=False)
    for name, text in FILES.items():
        stage.put(name, text)


def _boot(stage: Stage) -> None:
    stage.terminal.heading("1. The host boots: five domUs start in the order in which they need each other")
    stage.shell("grep -H -E '^(needs|after)|tcp|mac' *.conf")
    stage.xenlocal("check")
    stage.start_daemon()
    stage.xenlocal("boot")
    stage.xenlocal("status")
    born = {each["name"]: each["born"] for each in stage.host()["domains"]}
    stage.prove(len(born) == 5 and all(row["ready"] for row in stage.status()["domains"]), "all five are ready")
    ready = 3  # seconds: no guest can be ready sooner after its birth
    later = all(born[name] > born[before] + ready for name in born for before in AFTER.get(name, ()))
    stage.prove(later, "none was born before those it waits for had been ready; licence waited for nobody")
    stage.prove(born["licence"] < born["auth"], "what waits for nobody starts at once", quiet=True)
    macs = [nic["mac"] for each in stage.host()["domains"] if each["name"] == "licence" for nic in each["nics"]]
    stage.prove(macs == [LICENCE_MAC], f"the licence server has its MAC address {LICENCE_MAC}")


def _edit(stage: Stage) -> None:
    stage.terminal.heading("2. Files are edited: a volume grows and a domU is added, and nothing is restarted")
    before = stage.domids()
    stage.shell("sed -i 's/size = 10G/size = 20G/' web.conf")
    stage.terminal.typed("$EDITOR build.conf")
    stage.terminal.output(NEW)
    stage.put("build", NEW)
    stage.wait("saving was enough: build is ready", lambda: bool(stage.row("build")["ready"]))
    stage.xenlocal("status", "web")
    stage.prove(stage.size("web-root") == 20 * GIB, "web's volume has 20G")
    now = stage.domids()
    stage.prove({name: now.get(name) for name in before} == before, "the other domUs still are who they were")


def _mistake(stage: Stage) -> None:
    stage.terminal.heading(
        "3. A file with mistakes: every one is named, nothing changes, the last good files stay in force"
    )
    before = stage.domids()
    stage.terminal.typed("$EDITOR wiki.conf")
    stage.terminal.output(MISTAKE)
    stage.put("wiki", MISTAKE)
    said = stage.xenlocal("reload", expect=4)
    stage.prove("wiki.conf:2" in said and "wiki.conf:6" in said, "both are named by file and line")
    stage.prove(
        stage.domids() == before and len(stage.status()["problems"]) == 2,
        "nothing has changed; status says why",
    )
    stage.shell("rm wiki.conf")
    stage.xenlocal("reload")
    stage.prove(not stage.status()["problems"], "the files are valid again", quiet=True)


def _shrink(stage: Stage) -> None:
    stage.terminal.heading("4. A valid file, but not a safe one: no volume is ever shrunk, and the refusal is said")
    before = stage.domids()
    stage.shell("sed -i 's/size = 40G/size = 4G/' db.conf")
    said = stage.xenlocal("apply", expect=5)
    stage.prove("shrunk" in said and "vg0/db-root" in said, "refused by name")
    stage.prove(stage.size("db-root") == 40 * GIB and stage.domids() == before, "the volume still has its 40G")
    stage.shell("sed -i 's/size = 4G/size = 40G/' db.conf")
    stage.xenlocal("apply")


def _crash(stage: Stage) -> None:
    stage.terminal.heading("5. A guest crashes: it is started again, and those that need it are left alone")
    before = stage.domids()
    stage.simulator("crash", "db")
    stage.wait(
        "db runs again, in a new life",
        lambda: bool(stage.row("db")["ready"]) and stage.domids().get("db", 0) not in (0, before["db"]),
    )
    stage.xenlocal("status", "db")
    others = {name: domid for name, domid in stage.domids().items() if name != "db"}
    stage.prove(others == {name: before[name] for name in before if name != "db"}, "no other domU noticed")


def _poweroff(stage: Stage) -> None:
    stage.terminal.heading("6. A guest powers itself off: its wish is respected, and explained")
    stage.simulator("poweroff", "licence")
    stage.wait(
        "licence is off",
        lambda: stage.row("licence")["observed"] == "off" and bool(stage.row("licence")["notices"]),
    )
    stage.xenlocal("apply")
    said = stage.xenlocal("status", "licence")
    stage.prove("licence" not in stage.domids(), "it stays off, also when everything is looked at anew")
    stage.prove("powered itself off" in said, "status says why")
    stage.xenlocal("start", "licence")
    stage.prove("licence" in stage.domids(), "until somebody says otherwise")


def _shutdown(stage: Stage) -> None:
    stage.terminal.heading(
        "7. The host shuts down: every guest is asked, in the reverse order, none before its dependants are off"
    )
    orderly, seen, shutdown = True, [stage.domids()], stage.begin("shutdown")
    deadline = time.monotonic() + LIMIT
    while seen[-1] and time.monotonic() < deadline:
        domains = {each["name"]: each for each in stage.host()["domains"]}
        orderly &= _in_order(domains)
        seen.append({name: each["domid"] for name, each in domains.items()})
    said, _ = shutdown.communicate(timeout=LIMIT)
    stage.terminal.output(said)
    stage.prove(shutdown.returncode == 0, "every guest stopped by itself, nobody was destroyed")
    stage.prove(
        orderly and any(0 < len(left) < len(seen[0]) for left in seen),
        "watched from outside: none was asked while one that needs it was still there",
    )
    stage.prove(not stage.domids() and stage.daemon_runs(), "no guest is left, and the daemon starts none again")
    stage.prove(stage.stop_daemon() == 0, "the daemon ends")


def _in_order(domains: dict[str, dict[str, Any]]) -> bool:
    """At any moment: what a domU that is still there waited for at the start is there too, and was not asked yet."""
    untouched = {name for name, each in domains.items() if not each["requested"] and each["state"] == "running"}
    return all(AFTER[name] <= untouched for name in domains if name in AFTER)


if __name__ == "__main__":
    sys.exit(main())
