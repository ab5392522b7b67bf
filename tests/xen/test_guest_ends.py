"""Scenario 5: a guest powers itself off, crashes, reboots, or is destroyed with xl: each handled as declared."""

from __future__ import annotations

import pytest
from lab import NETWORK, domain, reload, row, wait_all_ready, wait_notice, whats, write

from rig.guest import domids
from rig.machine import Machine
from rig.wait import wait_for


@pytest.mark.limit(900)
def test_each_end_of_a_guest(installed: Machine) -> None:
    m = installed
    m.make_vg()
    write(
        m,
        net=NETWORK,
        off=domain("off", options={"then": "poweroff:15"}),
        on=domain("on", keys="on_poweroff = restart", options={"then": "poweroff:20"}),
        crash=domain("crash", keys="on_crash = stay-off", options={"then": "crash:15"}),
        again=domain("again", options={"then": "reboot:15"}),
        gone=domain("gone"),
    )
    assert reload(m).rc == 0
    wait_all_ready(m, "gone", timeout=400)

    wait_notice(m, "off", "the guest powered itself off (on_poweroff = stay-off)")
    wait_notice(m, "crash", "the guest crashed (on_crash = stay-off)")
    for name in ("off", "crash"):
        assert row(m, name)["observed"] == "off"
        assert name not in domids(m), "its shell was reaped"
    wait_for(lambda: "started life=2" in whats(m, "on"), 240, "on to be started again", 2)
    wait_for(lambda: "started life=2" in whats(m, "again"), 240, "again to be back from its own reboot", 2)
    rebooted = m.out("grep -c 'Rebooting now' /var/log/xen/xl-again.log").strip()
    assert rebooted == "1", "its own monitor did that"

    m.run(f"xl destroy {domids(m)['gone']}", 120)
    wait_notice(m, "gone", "destroyed by somebody with xl")
    assert "gone" not in domids(m)
    m.run("xenlocal start gone", 300)
    wait_all_ready(m, "gone")

    # a crash is followed by a restart where that is declared: it crashes in every life, and is started again
    write(m, crash=domain("crash", keys="on_crash = restart", options={"then": "crash:15"}))
    assert reload(m).rc == 0
    wait_for(lambda: "started life=3" in whats(m, "crash"), 300, "crash to be started again and again", 2)
