"""A domU is installed before its first start, in a unit that outlives the daemon and holds nobody up."""

from __future__ import annotations

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from xenlocal.engine import preparing
from xenlocal.engine.reconcile import survey
from xenlocal.model.actions import WatchDisk
from xenlocal.model.desired import ImageFile, LogicalVolume
from xenlocal.model.diskwork import Preparation
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Memory
from xenlocal.model.plan import Goal
from xenlocal.simulator.state import Path, Volume

DISK = "/dev/vg0/web"
LV = "[[disk xvda]]\nvolume = vg0/web\nsize = 4G"
FILE = "[[disk xvda]]\nfile = /srv/web.img\nsize = 4G"
SUITE = "[[install]]\nsuite = bookworm"


def web(disk: str = LV, install: str = SUITE) -> str:
    return conf("web", disk, install)


def begun(machine: Machine) -> list[float]:
    return [
        each.at for each in machine.dom0.trace if each.text.startswith("systemd-run") and "/install web" in each.text
    ]


def tags(machine: Machine) -> list[str]:
    return next(each.tags for each in machine.dom0.state.volumes if each.lv == "web")


def test_others_start_meanwhile_and_who_needs_it_waits() -> None:
    machine = Machine(web(), conf("db", "needs = web"), conf("free"))
    Daemon(machine).run(300)
    born = machine.moments("born")
    assert born["free"] < 1005 and 1180 < born["web"] < 1190 < born["db"] + 10
    assert born["db"] > born["web"] and len(begun(machine)) == 1
    assert Preparation.INSTALL.mark not in tags(machine) and machine.dom0.state.holds == {DISK: "ext4"}
    assert machine.record("web").preparing == ""
    assert machine.history.events("web"), "its birth is told of as of any other"


def test_an_image_file_and_an_edit_in_the_middle() -> None:
    machine = Machine(web(FILE, "[[install]]\nimage = /srv/debian.tar"))
    machine.dom0.state.paths["/srv/debian.tar"] = Path("file", 1 << 30)
    daemon = Daemon(machine)
    daemon.edit(60, web(FILE, "[[install]]\nimage = /srv/debian.tar"), conf("free"))
    daemon.run(300)
    assert 1060 <= machine.moments("born")["free"] < 1070, "the wait gives way"
    assert 1180 < machine.moments("born")["web"] < 1190 and len(begun(machine)) == 1
    assert Preparation.INSTALL.mark_of_file("/srv/web.img") not in machine.dom0.state.paths


def test_one_that_fails_says_why_and_is_tried_again() -> None:
    machine = Machine(web())
    machine.behave("web", install_fails=1)
    daemon = Daemon(machine)
    apply = daemon.ask(0, "apply")
    daemon.run(500)
    assert "its installation failed: E: it failed" in apply.result["message"]
    assert Preparation.INSTALL.log_of("web") in apply.result["message"]
    first, second = begun(machine)
    assert 190 < second - first < 210, "after a pause"
    assert machine.running == {"web": "running"}


def test_one_that_hangs_is_ended_by_systemd_and_says_that_it_left_no_word() -> None:
    machine = Machine(web())
    machine.behave("web", install_seconds=10_000.0)
    Daemon(machine).run(7300)
    assert "works on" in machine.record("web").failure and "web" not in machine.running
    machine.dom0.state.texts[Preparation.INSTALL.log_of("web")] = "\n"
    machine.behave("web", install_seconds=1.0)
    reader = Daemon(machine).tools.reader
    watch = WatchDisk("web", "", LogicalVolume("vg0", "web"))
    assert reader.words_of_work(watch) == "it has left no word; see journalctl -u xenlocal-install-web"


def test_a_daemon_that_comes_back_finds_it_at_work() -> None:
    machine = Machine(web())
    Daemon(machine).run(50)
    assert Preparation.INSTALL.mark in tags(machine) and "web" not in machine.running
    daemon = Daemon(machine)
    told = list[str]()
    daemon.at(10, lambda: told.extend(_notices(daemon)))
    daemon.run(200)
    how = f"`tail -f {Preparation.INSTALL.log_of('web')}` shows how far that is"
    assert told == [f"is installed before it starts, which takes minutes; {how}"]
    assert len(begun(machine)) == 1 and machine.running == {"web": "running"}


def _notices(daemon: Daemon) -> list[str]:
    tools, configuration = daemon.tools, daemon.configuration
    return [each.text for each in survey(configuration.in_force, Goal.CONVERGE, tools)[1].notices]


def test_status_tells_of_it_while_it_goes_on() -> None:
    machine = Machine(web())
    daemon = Daemon(machine)
    told = list[str]()
    daemon.at(60, lambda: told.append(str(daemon.loop.status())))
    daemon.run(100)
    assert f"`tail -f {Preparation.INSTALL.log_of('web')}` shows how far that is" in told[0]


def test_a_host_that_goes_down_in_the_middle_begins_anew_after_its_boot() -> None:
    machine = Machine(web())
    daemon = Daemon(machine)
    shutdown = daemon.ask(50, "shutdown")
    daemon.run(60)
    assert shutdown.code == 0 and "web" not in machine.running and len(begun(machine)) == 1
    machine.dom0.state.agenda.clear()  # systemd has ended its unit
    machine.dom0.state.volumes[0].opened = False
    machine.disk.memory = Memory()
    daemon = Daemon(machine)
    daemon.ask(0, "boot")
    daemon.run(250)
    assert len(begun(machine)) == 2 and machine.running == {"web": "running"}


def test_what_somebody_has_filled_is_refused_aloud() -> None:
    machine = Machine(web())
    machine.dom0.state.volumes.append(Volume("vg0", "web", 4 << 30, 0, tags=["xenlocal", Preparation.INSTALL.mark]))
    machine.dom0.state.holds[DISK] = "xfs"
    Daemon(machine).run(30)
    assert "is not empty: TYPE=xfs; to use it as it is type: lvchange --deltag xenlocal-install vg0/web" in (
        machine.record("web").failure
    )
    assert machine.dom0.state.holds == {DISK: "xfs"} and not machine.running
    machine.dom0.execute(["lvchange", "--deltag", Preparation.INSTALL.mark, "vg0/web"])
    Daemon(machine).run(60)
    assert machine.running == {"web": "running"} and machine.dom0.state.holds == {DISK: "xfs"}


def test_a_unit_that_cannot_be_begun_counts_as_a_failed_start() -> None:
    machine = Machine(web())
    Daemon(machine, fail("xenlocal-install-web", times=1)).run(300)
    assert len(begun(machine)) == 2 and machine.running == {"web": "running"}, "the first did not come to anything"


def test_a_look_that_fails_in_the_middle_says_nothing() -> None:
    """Not even that it is over: the volume may still be at its work."""
    machine = Machine(web())
    daemon = Daemon(machine)
    reader, asked = daemon.tools.reader, list[float]()
    real = reader.disks_at_work

    def fails_once() -> frozenset[str]:
        asked.append(machine.dom0.now)
        if len(asked) == 3:
            raise XenlocalError("cannot look at /proc: Too many open files")
        return real()

    reader.disks_at_work = fails_once  # type: ignore[method-assign]
    daemon.run(250)
    assert len(asked) > 50 and len(begun(machine)) == 1 and machine.running == {"web": "running"}


def test_a_disk_that_is_not_to_be_seen_is_not_done() -> None:
    """LVM says nothing of it, once: so it does not say that there is no mark. Or somebody has removed the file."""
    machine = Machine(web())
    daemon = Daemon(machine)
    daemon.run(30)
    reader, watch = daemon.tools.reader, WatchDisk("web", "", LogicalVolume("vg0", "web"))
    machine.dom0.state.agenda.clear()
    assert (
        preparing.why_not(reader, watch) == "works on /dev/vg0/web; the whole is in /var/log/xenlocal/install-web.log"
    )
    (volume,) = machine.dom0.state.volumes
    machine.dom0.state.volumes = []
    assert preparing.why_not(reader, watch) == "volume/vg0/web is not there any more"
    volume.tags.remove(Preparation.INSTALL.mark)
    machine.dom0.state.volumes = [volume]
    assert preparing.why_not(reader, watch) == ""
    of_file = WatchDisk("web", "", ImageFile("/srv/web.img"))
    assert preparing.why_not(reader, of_file) == "file//srv/web.img is not there any more"
    machine.dom0.state.paths["/srv/web.img"] = Path("file", 1)
    assert preparing.why_not(reader, of_file) == ""


def test_by_hand() -> None:
    """One that is not started by itself is installed when it is started by hand, and only then."""
    machine = Machine(conf("web", "state = manual", LV, SUITE))
    Daemon(machine).run(30)
    assert not begun(machine) and Preparation.INSTALL.mark in tags(machine)
    daemon = Daemon(machine)
    start = daemon.ask(1, "start", "web")
    daemon.run(300)
    assert start.code == 0 and machine.running == {"web": "running"} and len(begun(machine)) == 1


GROWS = "[[disk xvda]]\nvolume = vg0/web\nsize = {}\nresize_fs = yes"


def test_a_file_system_grows_before_the_next_start() -> None:
    machine = Machine(conf("web", GROWS.format("1G")))
    Daemon(machine).run(30)
    daemon = Daemon(machine)
    daemon.edit(5, conf("web", GROWS.format("2G")))
    told = list[str]()
    daemon.at(20, lambda: told.append(str(daemon.loop.status())))
    restart = daemon.ask(30, "restart", "web")
    daemon.run(300)
    assert "type `resize2fs /dev/xvda` inside the guest" in told[0]
    assert restart.code == 0 and machine.running == {"web": "running"} and Preparation.RESIZE.mark not in tags(machine)
    (work,) = [each.text for each in machine.dom0.trace if "/usr/libexec/xenlocal/resize web /dev/vg0/web" in each.text]
    assert "xenlocal-resize-web" in work


def test_a_file_system_that_cannot_grow_says_why_and_how_to_start_it_as_it_is() -> None:
    machine = Machine(conf("web", GROWS.format("1G"), "[[ready]]", "xenstore = data/x"))
    machine.behave("web", install_fails=100, write={"data/x": 1.0})
    Daemon(machine).run(30)
    daemon = Daemon(machine)
    daemon.edit(5, conf("web", GROWS.format("2G"), "[[ready]]", "xenstore = data/x"))
    restart = daemon.ask(30, "restart", "web")
    daemon.run(300)
    assert restart.code == 1 and "to grow its file system failed: E: it failed" in restart.result["message"]
    assert "/var/log/xenlocal/resize-web.log" in restart.result["message"] and not machine.running


def test_one_that_fails_while_its_wait_gives_way_says_why_all_the_same() -> None:
    for late in range(41):
        machine = Machine(web())
        machine.behave("web", install_fails=1)
        daemon = Daemon(machine)
        daemon.edit(178 + late / 10, web(), conf("free"))
        daemon.run(260)
        first, second = begun(machine)
        assert second - first > 190, f"begun anew without a pause at {late}"
        assert "its installation failed: E: it failed" in machine.record("web").failure
