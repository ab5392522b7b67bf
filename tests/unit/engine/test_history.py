"""What the engine leaves in the history: each action once, each birth and end with its cause."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.unit.engine.rig import Daemon, Machine, Paper, conf, fail, listens
from xenlocal.engine import explain
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Deed, Entry, Event, Query, Stamp, What
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Volume


def story(machine: Machine, name: str) -> list[str]:
    return [f"{event.what} {event.cause}".strip() for event in machine.history.events(f"/{name}")]


def _words(deed: Deed) -> list[str]:
    return [line.split()[1] for line in deed.commands]


def test_a_day_of_a_domu() -> None:
    machine = Machine(conf("web", "[[disk xvda]]", "volume = vg0/web", "size = 1G"))
    daemon = Daemon(machine)
    daemon.at(20, lambda: machine.dom0.schedule(0, "end", machine.domid("web"), "crash"))
    daemon.ask(60, "stop", "web")
    daemon.run(90)
    life = ["born", "ready"]
    assert story(machine, "web") == [*life, "off crash", *life, "by hand stop", "asked", "off stopped"]
    deeds = machine.history.deeds()
    assert [deed.step for deed in deeds] == [
        "create volume/vg0/web", "start domain/web", "reap domain/web", "start domain/web", "stop domain/web"
    ]  # fmt: skip
    assert {deed.outcome for deed in deeds} == {"done"} and all(deed.seconds > 0 for deed in deeds)
    assert deeds[0].commands[0].startswith("lvcreate") and "xl create" in deeds[1].commands[-1]
    assert "crashed once" in deeds[3].reason and "after it was asked" in deeds[4].message
    assert deeds[1].edges == ("create volume/vg0/web",)


def test_durations_are_those_of_the_guest() -> None:
    machine = Machine(listens("web", 80))
    machine.behave("web", listen={"192.0.2.50:80": 20.0}, stop_seconds=7.0)
    daemon = Daemon(machine)
    daemon.ask(60, "stop", "web")
    daemon.edit(63, listens("web", 80), conf("db"))  # which interrupts the waiting
    daemon.run(90)
    seconds = {event.what: event.seconds for event in machine.history.events("/web")}
    assert 19 <= (seconds[What.READY] or 0) <= 22 and 7 <= (seconds[What.OFF] or 0) <= 9
    stop = next(deed for deed in machine.history.deeds() if deed.verb == "stop")
    assert 7 <= stop.seconds <= 10


def test_one_not_ready_in_time_is_told_once_however_often_it_is_tried() -> None:
    machine = Machine(listens("web", 80, "start_timeout = 10s"))
    Daemon(machine).run(300)
    assert story(machine, "web") == ["born", "late"]
    assert [deed.step for deed in machine.history.deeds()] == ["start domain/web"]


def test_failed_and_forced_actions_say_so() -> None:
    machine = Machine(conf("web", "stop_timeout = 10s"), conf("db", "needs = web"))
    machine.behave("web", stop_seconds=None)
    daemon = Daemon(machine, fail("xl create", times=1))
    daemon.ask(50, "stop", "web")
    daemon.run(90)
    first, *_, stop = machine.history.deeds()
    assert first.outcome == "failed" and "injected fault" in first.message
    assert stop.outcome == "late" and _words(stop) == ["shutdown", "sysrq", "destroy"]
    assert story(machine, "web")[-1] == "off destroyed"


def test_a_stop_that_goes_on_after_a_restart_of_the_daemon_is_one_action_since_its_request() -> None:
    machine = Machine(conf("web", "stop_timeout = 60s"))
    machine.behave("web", stop_seconds=25.0)
    first = Daemon(machine)
    first.ask(30, "stop", "web")
    first.run(35)
    second = Daemon(machine)
    second.run(60)
    (stop,) = [deed for deed in machine.history.deeds() if deed.verb == "stop"]
    asked = [trace.at for trace in machine.dom0.trace if trace.text.startswith("xl shutdown")]
    assert abs(stop.stamp.at - asked[0]) < 1 and stop.stamp.at < second.began
    # what the second one ran comes after it: asked once more, since it was still there, and its shell cleared away
    assert _words(stop) == ["shutdown"] * len(asked) + ["destroy"]


def test_boot_and_shutdown_are_remembered_as_a_whole_across_a_new_daemon() -> None:
    machine = Machine(conf("web"))
    machine.disk.memory = machine.disk.memory.__class__()
    Daemon(machine).serve("boot")
    Daemon(machine).serve("boot")
    machine.behave("web", stop_seconds=20.0)
    first = Daemon(machine)
    first.ask(1, "shutdown")
    first.run(5)
    Daemon(machine).serve("shutdown")
    wholes = [f"{event.what} {event.cause}" for event in machine.history.events("host/this")]
    assert wholes == ["begun boot", "ended boot", "ended boot", "begun shutdown", "ended shutdown"]


def test_entries_are_shown_in_the_order_of_their_beginning_and_boots_stay_apart() -> None:
    def entry(number: int, wall: float, boot: str, what: str) -> Entry:
        stamp = Stamp(wall, wall, boot)
        if what == "start":
            return Deed(stamp, "boot", what, "domain/web", "", "done", number=number)
        return Event(stamp, "domain/web", What(what), number=number)

    rows = explain.history(
        [
            entry(1, 9000, "first", "born"),  # its clock was wrong
            entry(2, 105, "next", "born"),
            entry(3, 103, "next", "start"),
            entry(4, 105, "next", "ready"),
        ]
    )["entries"]
    assert [row["number"] for row in rows] == [1, 3, 2, 4]


def test_nothing_is_recorded_while_nothing_happens() -> None:
    machine = Machine(conf("web"), conf("db", "state = stopped"))
    Daemon(machine).run(60)
    count = len(machine.history.entries)
    Daemon(machine).run(3600)
    assert len(machine.history.entries) == count


def test_volumes_restored_and_purged_by_hand_are_recorded() -> None:
    machine = Machine(conf("web", "state = stopped", "[[disk xvda]]", "volume = vg0/web", "size = 1G"))
    daemon = Daemon(machine)
    daemon.edit(10, conf("web", "state = absent", "[[disk xvda]]", "volume = vg0/web", "size = 1G"))
    daemon.run(30)
    trash = next(volume.lv for volume in machine.dom0.state.volumes)
    assert Daemon(machine).serve("trash purge", f"vg0/{trash}").code == 0
    last = machine.history.deeds()[-1]
    assert (last.step, last.goal, last.outcome) == (f"purge volume/vg0/{trash}", "by hand", "done")


def in_trash() -> tuple[Machine, str]:
    """A host on which an LV was retired, and its name in the trash."""
    disk = ("[[disk xvda]]", "volume = vg0/web", "size = 1G")
    machine = Machine(conf("web", "state = stopped", *disk))
    daemon = Daemon(machine)
    daemon.edit(10, conf("web", "state = absent", *disk))
    daemon.run(30)
    (volume,) = machine.dom0.state.volumes
    return machine, volume.lv


def test_a_restore_that_fails_half_way_is_recorded_as_failed_and_told() -> None:
    machine, trash = in_trash()
    request = Daemon(machine, fail("lvrename", fault=Fault(stderr="no locks"))).serve("trash restore", f"vg0/{trash}")
    assert request.code == 1 and "no locks" in request.result["message"]
    last = machine.history.deeds()[-1]
    assert (last.step, last.goal, last.outcome) == ("restore volume/vg0/web", "by hand", "failed")
    assert "no locks" in last.message and [volume.lv for volume in machine.dom0.state.volumes] == [trash]


def test_nothing_is_restored_over_a_volume_that_took_its_name() -> None:
    machine, trash = in_trash()
    machine.dom0.state.volumes.append(Volume("vg0", "web", 1 << 30, 9, tags=["xenlocal"]))
    request = Daemon(machine).serve("trash restore", f"vg0/{trash}")
    assert (request.code, request.result["message"]) == (1, f"cannot restore vg0/{trash}: volume/vg0/web exists")
    assert not [text for text in machine.changes() if text.startswith("lvrename vg0 xenlocal-trash")]


@pytest.mark.parametrize("verb", ["restore", "purge"])
def test_the_trash_of_another_dom0_is_left_alone(verb: str) -> None:
    machine, trash = in_trash()
    (volume,) = machine.dom0.state.volumes
    volume.tags = ["xenlocal", "xenlocal.host=there"]
    request = Daemon(machine).serve(f"trash {verb}", f"vg0/{trash}")
    assert request.code == 1 and request.result["message"].startswith(f"cannot {verb} vg0/{trash}: belongs to the dom0")
    volume.tags = ["xenlocal"]
    machine.dom0.state.volumes.append(Volume("vg0", "x", 1 << 30, 9, tags=["xenlocal.host=there"]))
    request = Daemon(machine).serve(f"trash {verb}", f"vg0/{trash}")
    assert request.code == 1 and "also in use by the dom0 there" in request.result["message"]
    assert machine.dom0.state.volumes[0].lv == trash
    machine.dom0.state.groups[0].locks = "sanlock"
    assert Daemon(machine).serve(f"trash {verb}", f"vg0/{trash}").code == 0


def test_storage_that_cannot_be_seen_purges_nothing() -> None:
    machine, trash = in_trash()
    request = Daemon(machine, fail("lvm fullreport", fault=Fault(stderr="hangs"))).serve("trash purge", f"vg0/{trash}")
    assert request.code == 1 and "hangs" in request.result["message"]
    assert [volume.lv for volume in machine.dom0.state.volumes] == [trash]


def test_lessons_that_cannot_be_read_are_said_and_nothing_waits_for_them(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(conf("web"))

    class Unreadable(Paper):
        def read(self, query: Query) -> tuple[Entry, ...]:
            raise XenlocalError("cannot read history.db: disk I/O error")

    machine.history = Unreadable()
    Daemon(machine).serve("boot")
    assert machine.running == {"web": "running"}
    assert "cannot read how long the domUs took before: cannot read history.db" in caplog.text


def test_a_history_that_fails_harms_nobody() -> None:
    machine = Machine(conf("web"))

    class Broken(Paper):
        def record(self, entries: Sequence[Entry]) -> None:
            raise OSError("no")

    machine.history = Broken()
    daemon = Daemon(machine)
    daemon.ask(30, "stop", "web")
    daemon.run(60)
    assert not machine.running and machine.order("gone") == ["web"]


def test_an_orphan_that_ends_is_told_too() -> None:
    machine = Machine(conf("web"))
    daemon = Daemon(machine)
    daemon.edit(20, conf("db"))
    daemon.at(40, lambda: machine.dom0.execute(["xl", "destroy", str(machine.domid("web"))]))
    daemon.run(60)
    last: Event = machine.history.events("/web")[-1]
    assert (last.what, last.cause) == (What.OFF, "")
