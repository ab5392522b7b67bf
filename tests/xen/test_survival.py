"""Scenario 4: whatever happens to the daemon or the package, no guest notices."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import NETWORK, domain, reload, wait_all_ready, whats, write

from rig.guest import domids
from rig.machine import Machine
from rig.package import install, remove, with_version
from rig.wait import wait_for

pytestmark = [pytest.mark.every_suite, pytest.mark.limit(1500)]
NAMES = ("one", "two", "three", "four")
KILLS = 10
KILL = "systemctl kill --kill-whom=main --signal=KILL xenlocal.service"


def monitors(m: Machine) -> set[str]:
    """The `xl create` processes that watch over the domUs, as `pid name`."""
    return set(m.out("ps -C xl -o pid=,args= | awk '/ create / {print $1, $NF}'").splitlines())


def confined(m: Machine, pid: str) -> dict[str, str]:
    """What a process took over from the unit that it was started from."""
    spaces = m.out(f"cd /proc/{pid}/ns && readlink mnt uts ipc net").split()
    lines = m.out(f"grep -E '^(NoNewPrivs|Seccomp):' /proc/{pid}/status").splitlines()
    return {"namespaces": " ".join(spaces), **dict(line.split(":\t") for line in lines)}


def four(m: Machine) -> None:
    files = {
        name: domain(name, keys=f"after = {before}" if before else "")
        for name, before in zip(NAMES, ("", *NAMES), strict=False)
    }
    write(m, net=NETWORK, **files)


def test_daemon_killed_while_it_starts_four(installed: Machine) -> None:
    """Ten kills, spread over the start: each time the next daemon goes on, and no guest is started twice."""
    m = installed
    m.make_vg()
    four(m)
    assert reload(m).rc == 0
    for number in range(KILLS):
        # the moments differ: each kill comes some way into what the daemon before it was doing
        m.wait_until(
            f"systemctl is-active -q xenlocal && [ $(journalctl -u xenlocal -b -o cat | wc -l) -ge {2 * number} ]", 120
        )
        m.run(KILL)
        m.wait_until("systemctl is-active -q xenlocal", 120)
    wait_all_ready(m, *NAMES, timeout=600)
    for name in NAMES:
        assert [what for what in whats(m, name) if what.startswith("started")] == ["started life=1"], name
    assert len(monitors(m)) == len(NAMES)


def test_restart_upgrade_removal(installed: Machine, deb: Path, tmp_path: Path) -> None:
    m = installed
    m.make_vg()
    four(m)
    assert reload(m).rc == 0
    wait_all_ready(m, *NAMES)
    before, watching = domids(m), monitors(m)
    host = confined(m, "1")
    for monitor in watching:  # the seccomp filter is the unit's; nothing else of the host is hidden from a guest's life
        assert confined(m, monitor.split()[0]) == {**host, "Seccomp": "2"}

    def untouched(what: str) -> None:
        assert domids(m) == before, what
        assert monitors(m) == watching, what

    m.run("systemctl restart xenlocal", 120)
    untouched("restart of the daemon")
    install(m, with_version(deb, "99.0.0", tmp_path))
    untouched("upgrade")
    install(m, deb)
    untouched("reinstall")
    assert reload(m).rc == 0
    wait_all_ready(m, *NAMES)
    remove(m)
    untouched("removal")
    install(m, deb)
    m.wait_until("systemctl is-active -q xenlocal", 120)
    wait_all_ready(m, *NAMES)
    untouched("install after removal")
    remove(m, purge=True)
    untouched("purge")

    # the monitors still do their work: a guest that reboots itself comes back
    m.run(f"xl reboot {before['one']}", 60)
    wait_for(lambda: "started life=2" in whats(m, "one"), 120, "one to be back from its own reboot", 1)
    assert domids(m)["one"] != before["one"]
