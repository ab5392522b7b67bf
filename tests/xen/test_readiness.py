"""Readiness on a real Xen: who waits for whom, what each probe sees, and what is remembered of it afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab import NETWORK, domain, reload, row, wait_all_ready, wait_notice, wait_off, when, write

from rig.guest import domids
from rig.machine import Machine
from rig.wait import wait_for

pytestmark = [pytest.mark.every_suite, pytest.mark.limit(900)]

LATE = 15
"""Seconds after its start until the guest in the middle listens."""
SLACK = 5
"""Seconds between a guest's listening and our start of the next one: 1 on hardware, where a look takes no seconds."""


def ready(probe: str) -> str:
    return f"  [[ready]]\n  {probe}\n"


def started(m: Machine, name: str) -> float:
    """When we began to start it, by the journal of the dom0."""
    said = m.out("journalctl -u xenlocal -o short-unix --no-pager").splitlines()
    return next(float(line.split()[0]) for line in said if f": start domain/{name}: " in line)


def why(m: Machine, name: str) -> list[str]:
    found: dict[str, Any] = json.loads(m.out(f"xenlocal why {name} --json", 60))
    return list(found["sentences"])


def test_a_chain_goes_on_when_the_one_in_the_middle_listens(installed: Machine) -> None:
    m = installed
    m.make_vg()
    listens = {"ip": "192.0.2.21/24", "listen": f"5432:{LATE}"}
    probe = ready("tcp = 192.0.2.21:5432")
    write(
        m,
        net=NETWORK,
        first=domain("first"),
        middle=domain("middle", keys="after = first", nics=("lab0",), options=listens, parts=probe),
        last=domain("last", keys="needs = middle"),
        free=domain("free"),
    )
    assert reload(m).rc == 0
    wait_all_ready(m, "first", "middle", "last", "free")
    open_at = when(m, "middle", "ready")
    assert open_at - 1 <= started(m, "last") < open_at + SLACK
    assert started(m, "free") < open_at
    assert why(m, "last")[0].startswith("running since")

    entries = json.loads(m.out("xenlocal history --json", 60))["entries"]
    assert {"start", "born", "ready"} <= {each["what"] for each in entries if each["target"] == "domain/middle"}
    m.run("xenlocal stop last", 120)
    assert "by hand" in why(m, "last")[0]


def test_one_that_never_becomes_ready_holds_back_only_those_that_need_it(installed: Machine) -> None:
    m = installed
    m.make_vg()
    keys = "start_timeout = 20s"
    write(
        m,
        net=NETWORK,
        dead=domain(
            "dead", keys=keys, nics=("lab0",), options={"ip": "192.0.2.21/24"}, parts=ready("tcp = 192.0.2.21:1")
        ),
        soft=domain("soft", keys="after = dead"),
        hard=domain("hard", keys="needs = dead"),
    )
    assert reload(m).rc == 0
    wait_all_ready(m, "soft")
    wait_notice(m, "hard", "needs domain/dead")
    assert "hard" not in domids(m)
    assert "domain/dead" in why(m, "hard")[0]
    # it becomes ready after all, since less is asked of it; who needs it starts by itself
    write(m, dead=domain("dead", keys=keys, nics=("lab0",), options={"ip": "192.0.2.21/24"}))
    assert reload(m).rc == 0
    wait_all_ready(m, "hard")


def test_every_other_probe_and_the_console_that_survives_a_crash(installed: Machine) -> None:
    m = installed
    m.make_vg()
    # what an administrator who wants console logs writes into /etc/default/xen, without a boot
    m.run("mkdir -p /var/log/xen/console && pkill -x xenconsoled")
    m.wait_until("! pgrep -x xenconsoled", 20)
    m.run("$(ls /usr/lib/xen-*/bin/xenconsoled /usr/sbin/xenconsoled 2>/dev/null | head -n 1) --log=guest")
    write(
        m,
        net=NETWORK,
        pinged=domain("pinged", nics=("lab0",), options={"ip": "192.0.2.22/24"}, parts=ready("ping = 192.0.2.22")),
        keyed=domain("keyed", keys="start_timeout = 30s", parts=ready("xenstore = data/xenlocal/ready")),
        asked=domain("asked", keys="start_timeout = 30s", parts=ready("command = /usr/bin/test -e /run/asked")),
        told=domain(
            "told", keys="on_crash = stay-off", options={"then": "crash:30"}, parts=ready("console = ^guest ready")
        ),
    )
    assert reload(m).rc == 0
    m.run("xenlocal apply", 300, check=False)  # ends when the two that wait for a word are late
    assert not row(m, "keyed")["ready"] and not row(m, "asked")["ready"]
    m.run(f"xenstore-write /local/domain/{domids(m)['keyed']}/data/xenlocal/ready 1 && touch /run/asked")
    wait_all_ready(m, "pinged", "keyed", "asked")
    wait_off(m, "told")
    wait_for(lambda: "guest crashed" in " ".join(row(m, "told")["notices"]), 60, "the crash to be told", 5)
    assert "ready" in m.out("xenlocal history told", 60), "it was, when it had said so"
    shown = m.out("xenlocal log told", 60)
    assert "guest ready" in shown and "Kernel panic" in shown
