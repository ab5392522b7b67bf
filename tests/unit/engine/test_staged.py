"""What is staged for a guest's next reboot, where the command that does so has no clear end."""

from __future__ import annotations

import errno
import os

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from tests.unit.engine.test_identity import notices
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


ROOT, OTHER = "[[disk xvda]]\nvolume = vg0/web\nsize = 1G", "[[disk xvda]]\nvolume = vg0/other\nsize = 1G"
DATA = "[[disk xvdb]]\nvolume = vg0/data\nsize = 1G"


def reboots_after_an_edit(before: tuple[str, ...], after: tuple[str, ...], name: str) -> tuple[Machine, str]:
    """And what was said of it before that."""
    machine, told = Machine(*before), list[str]()
    Daemon(machine).run(60)
    daemon = Daemon(machine)
    daemon.edit(5, *after)
    daemon.at(35, lambda: told.append(notices(daemon, name)))
    daemon.at(40, lambda: machine.dom0.schedule(0, "end", machine.domid(name), "reboot"))
    daemon.run(200)
    return machine, told[0]


def disks(machine: Machine, name: str) -> list[str]:
    return [disk.path for each in machine.dom0.state.domains if each.name == name for disk in each.disks]


def test_no_guest_comes_back_from_its_own_reboot_on_a_disk_that_is_to_be_installed_into() -> None:
    new = conf("web", ROOT.replace("vg0/web", "vg0/new"), "[[install]]\nsuite = bookworm")
    machine, told = reboots_after_an_edit((conf("web", ROOT),), (new,), "web")
    assert disks(machine, "web") == ["/dev/vg0/web"]
    assert "not handed over for its next reboot: disk xvda: volume/vg0/new is still to be installed into" in told


def test_a_guest_comes_back_from_its_own_reboot_without_a_disk_that_it_cannot_have_yet() -> None:
    before = (conf("web", ROOT, DATA), conf("db", OTHER))
    machine, told = reboots_after_an_edit(before, (conf("web", ROOT), conf("db", OTHER, DATA)), "db")
    assert machine.running == {"web": "running", "db": "running"} and disks(machine, "db") == ["/dev/vg0/other"]
    assert "not handed over for its next reboot: disk xvdb: volume/vg0/data is held by domain/web" in told


def test_a_guest_comes_back_from_its_own_reboot_though_somebody_has_mistyped_a_disk() -> None:
    machine, told = reboots_after_an_edit(
        (conf("web", ROOT),), (conf("web", ROOT.replace("size = 1G", "").replace("web", "wbe")),), "web"
    )
    assert machine.running == {"web": "running"} and disks(machine, "web") == ["/dev/vg0/web"]
    assert "not handed over for its next reboot: disk xvda: volume/vg0/wbe does not exist, and without size" in told
