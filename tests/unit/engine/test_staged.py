"""What is staged for a guest's next reboot, where the command that does so has no clear end."""

from __future__ import annotations

import errno
import os

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from tests.unit.engine.test_killed import daemon_killed
from xenlocal.simulator.runner import Fault

PLAIN, QUIET = conf("db"), conf("db", "cmdline = quiet")


def test_an_edit_taken_back_while_it_is_staged_is_not_left_so() -> None:
    machine = Machine(PLAIN)
    Daemon(machine).run(60)
    daemon = Daemon(machine, fail("config-update", fault=Fault(status=None, effect=True), times=1))
    daemon.edit(1, QUIET)
    daemon.edit(3, PLAIN)
    daemon.run(400)
    assert not (machine.dom0.state.domains[0].staged or {}).get("cmdline")
    assert machine.record("db").staged == machine.record("db").running


def test_where_nothing_was_run_what_is_staged_stays_known() -> None:
    machine = Machine(PLAIN)
    Daemon(machine).run(60)
    put = machine.put

    def full(path: str, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    machine.put = full  # type: ignore[method-assign]
    daemon = Daemon(machine)
    daemon.edit(1, QUIET)
    daemon.at(10, lambda: machine.dom0.schedule(0, "end", machine.domid("db"), "reboot"))
    daemon.run(30)
    assert machine.record("db").staged is None and machine.record("db").running
    machine.put = put  # type: ignore[method-assign]
    Daemon(machine).run(60)
    assert (machine.dom0.state.domains[0].staged or {}).get("cmdline") == "quiet"


def test_what_a_killed_daemon_has_staged_is_not_known() -> None:
    machine = Machine(PLAIN)
    Daemon(machine).run(60)
    daemon = Daemon(machine, fail("config-update", fault=Fault(status=0, effect=True, delay=20)))
    daemon.edit(1, QUIET)
    daemon.at(5, daemon_killed)
    assert daemon.run_until_killed(60) and machine.record("db").staged == {}
    machine.write(PLAIN)
    Daemon(machine).run(60)
    assert machine.record("db").staged == machine.record("db").running
