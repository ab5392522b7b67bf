"""The loop: wakeups, reloads, jobs, retries; and that nothing happens when nothing is to be done."""

from itertools import pairwise
from typing import Any

import pytest

from tests.unit.engine.rig import Daemon, Machine, Notes, conf, fail, listens
from xenlocal.engine.inbox import Request
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.errors import ConfigError, ConfigUnsettled, XenlocalError
from xenlocal.model.memory import Hand, Off
from xenlocal.simulator.state import Domain, Path, Volume


def test_nothing_happens_when_nothing_is_to_be_done() -> None:
    machine = Machine(conf("web"))
    Daemon(machine).run(60)
    machine.dom0.trace.clear()
    daemon = Daemon(machine).run(3600)
    looks = [trace for trace in machine.dom0.trace if trace.what == "command"]
    assert not machine.changes()
    assert len(looks) <= 3 * 7  # resync = 10m, and the first look
    assert daemon.work.waits < 100


def test_starts_and_long_waits_cost_few_wakeups() -> None:
    machine = Machine(*(conf(f"d{number}") for number in range(10)))
    daemon = Daemon(machine).run(300)
    assert len(machine.running) == 10 and daemon.work.waits < 400


def test_a_bad_configuration_keeps_the_last_good_one_and_reload_says_so() -> None:
    machine = Machine(conf("web"))
    daemon = Daemon(machine)
    answers: list[tuple[int, dict[str, Any]]] = []
    daemon.at(20, lambda: answers.append(daemon.loop.reload()))
    daemon.edit(30, "[domain web\nmemory = 512M")
    daemon.at(31, lambda: answers.append(daemon.loop.reload()))
    daemon.run(60)
    assert [code for code, _ in answers] == [0, 4]
    problem = answers[1][1]["problems"][0]
    assert problem["file"] == "a.conf" and problem["line"] == 1
    assert machine.running == {"web": "running"}
    assert "NOT VALID" in daemon.notes.said[-1]


def test_the_last_good_configuration_boots_after_a_typo() -> None:
    machine = Machine(conf("web"))
    Daemon(machine).run(20)
    machine.write("[domain web\n")
    machine.dom0.state.domains.clear()
    machine.disk.memory = machine.disk.memory.__class__()
    daemon = Daemon(machine)
    boot = daemon.ask(0, "boot")
    daemon.run(30)
    assert machine.running == {"web": "running"} and boot.finished
    assert daemon.loop.problems


def test_a_section_or_file_that_vanishes_stops_nothing() -> None:
    machine = Machine(conf("web"), conf("db"))
    daemon = Daemon(machine)
    daemon.edit(20, conf("db"))
    daemon.run(60)
    assert set(machine.running) == {"web", "db"}
    assert machine.record("web").declared == ""
    rows = daemon.loop.status()
    assert rows is not None
    assert {row["name"]: row["desired"] for row in rows["domains"]} == {"db": "running", "web": "orphaned"}


def test_an_edit_is_picked_up_soon_and_several_writes_make_one_cycle() -> None:
    machine = Machine(conf("web"))
    daemon = Daemon(machine)
    for number in range(5):
        daemon.edit(30 + number / 100, conf("web"), conf("db"))
    daemon.run(40)
    assert machine.moments("born")["db"] - daemon.began < 33


def test_a_failing_table_is_retried_with_growing_pauses() -> None:
    machine = Machine(conf("web"))
    Daemon(machine, fail("xl list")).run(1000)
    tries = [trace.at for trace in machine.dom0.trace if trace.text.startswith("xl list")]
    gaps = [round(later - earlier) for earlier, later in pairwise(tries)]
    assert gaps[:5] == [5, 10, 20, 40, 80] and len(tries) < 12
    assert not machine.running


def test_it_goes_on_as_soon_as_the_table_can_be_had() -> None:
    machine = Machine(conf("web"))
    Daemon(machine, fail("xl list", times=3)).run(60)
    assert machine.running == {"web": "running"}


def test_jobs_settle_with_what_came_of_them() -> None:
    machine = Machine(conf("web"), conf("db", "state = stopped"), conf("bad", "state = manual"))
    daemon = Daemon(machine, fail("domains/bad.cfg"))
    unknown = daemon.ask(20, "start", "nobody")
    start = daemon.ask(21, "start", "db", "bad")
    stop = daemon.ask(40, "stop", "web")
    nonsense = daemon.ask(60, "frobnicate")
    apply = daemon.ask(61, "apply")
    daemon.run(90)
    assert (unknown.code, start.code, stop.code, nonsense.code) == (3, 5, 0, 2)
    assert "declared are: bad, db, web" in unknown.result["message"]
    assert "domain/bad" in start.result["message"] and "injected fault" in start.result["message"]
    assert apply.finished and machine.running == {"db": "running"}


def test_a_job_under_way_ends_with_the_daemon() -> None:
    machine = Machine(conf("web"))
    Daemon(machine).run(20)
    machine.behave("web", stop_seconds=None)
    daemon = Daemon(machine)
    stop = daemon.ask(1, "stop", "web")
    daemon.run(10)
    assert stop.code == 1 and "daemon was stopped" in stop.result["message"]
    assert machine.record("web").hand is Hand.STOP and daemon.notes.stopped


def test_a_stop_by_hand_of_a_rebooting_guest_ends_when_it_is_off_for_good() -> None:
    machine = Machine(conf("web"))
    Daemon(machine).run(20)
    machine.dom0.schedule(0.5, "end", machine.domid("web"), "reboot")
    daemon = Daemon(machine)
    stop = daemon.ask(1.5, "stop", "web")
    ended: list[float] = []
    stop.ended = lambda: ended.append(machine.dom0.now)
    daemon.run(100)
    assert stop.code == 0 and not machine.running
    assert ended and ended[0] >= [trace.at for trace in machine.dom0.trace if trace.what == "gone"][-1]
    assert len({text for text in machine.changes() if text.startswith("xl shutdown")}) == 1


def test_the_watchdog_is_fed_through_long_waits() -> None:
    machine = Machine(conf("web", "stop_timeout = 10m"))
    Daemon(machine).run(20)
    machine.behave("web", stop_seconds=None)
    notes = Notes(interval=30.0)
    daemon = Daemon(machine, notes=notes)
    daemon.ask(1, "stop", "web")
    daemon.run(400)
    assert max(later - earlier for earlier, later in pairwise(notes.beats)) <= 31


def test_a_full_disk_stops_nothing_and_is_made_up_for() -> None:
    machine = Machine(conf("web"))
    machine.disk.full = True
    daemon = Daemon(machine)
    daemon.at(30, lambda: setattr(machine.disk, "full", False))
    daemon.ask(40, "apply")
    daemon.run(60)
    assert machine.running == {"web": "running"} and machine.record("web").ready


def test_what_an_administrator_does_with_xl_is_seen_and_not_fought() -> None:
    machine = Machine(conf("web"))
    daemon = Daemon(machine)
    daemon.at(20, lambda: machine.dom0.execute(["xl", "destroy", str(machine.domid("web"))]))
    daemon.run(1000)
    assert not machine.running
    rows = daemon.loop.status()
    assert rows is not None and "destroyed by somebody with xl" in rows["domains"][0]["notices"][0]


def test_one_renamed_while_it_runs_and_destroyed_by_hand_is_recognised_as_such() -> None:
    uuid = "uuid = 6f1c9d3e-0f4b-4c8e-9a55-0d1f2e3a4b5c"
    machine = Machine(conf("web", uuid))
    daemon = Daemon(machine)
    daemon.edit(20, conf("www", uuid))
    daemon.at(40, lambda: machine.dom0.execute(["xl", "destroy", str(machine.domid("web"))]))
    daemon.run(200)
    assert machine.record("www").off is Off.VANISHED and not machine.running


def test_one_renamed_while_it_runs_is_not_started_beside_its_own_reboot() -> None:
    uuid = "uuid = 6f1c9d3e-0f4b-4c8e-9a55-0d1f2e3a4b5c"
    machine = Machine(conf("web", uuid))
    daemon = Daemon(machine)
    daemon.edit(20, conf("www", uuid))
    daemon.at(40, lambda: machine.dom0.schedule(0.0, "end", machine.domid("web"), "reboot"))
    daemon.run(200)
    assert list(machine.running.values()) == ["running"]
    assert (machine.record("www").domid, machine.record("www").ready) == (2, True)


def test_the_first_word_of_a_request_is_its_last_when_the_files_are_broken_from_the_start() -> None:
    machine = Machine("[domain")
    daemon = Daemon(machine)
    request = Request("apply")
    daemon.at(1, lambda: daemon.inbox.ask(request))
    daemon.run(30)
    assert request.finished and not machine.running


def test_an_lv_that_lvm_leaves_out_is_named_with_who_waits_for_it_and_heals() -> None:
    machine = Machine(conf("web", "[[disk xvda]]", "volume = vg0/root"), conf("db", "needs = web"))
    volume = Volume("vg0", "root", 1 << 30, 7, active=False, left_out=True, tags=["xenlocal"])
    machine.dom0.state.volumes.append(volume)
    daemon = Daemon(machine)
    daemon.run(60)
    status = daemon.loop.status()
    assert status is not None and machine.running == {}
    notes = {row["name"]: " ".join(row["notices"]) for row in status["domains"]}
    assert "volume_list" in notes["web"] and "volume/vg0/root" in notes["web"]
    assert "volume/vg0/root" in notes["db"]
    volume.left_out = False
    daemon = Daemon(machine)
    daemon.run(60)
    assert set(machine.running) == {"web", "db"}


def test_an_image_file_that_stays_with_an_absent_domu_is_in_the_status() -> None:
    machine = Machine(conf("web", "state = absent", "[[disk xvda]]", "file = /srv/web.img"))
    machine.dom0.state.paths["/srv/web.img"] = Path("file", 1 << 30)
    daemon = Daemon(machine).run(30)
    shown = daemon.loop.status()
    assert shown is not None
    (row,) = shown["volumes"]
    assert row["name"] == "file//srv/web.img" and "rm /srv/web.img" in row["notices"][0]


def test_a_running_guest_sees_its_grown_image_file() -> None:
    web = conf("web", "[[disk xvda]]", "file = /srv/web.img", "size = {}")
    machine = Machine(web.format("1G"))
    daemon = Daemon(machine)
    daemon.edit(20, web.format("2G"))
    daemon.run(40)
    (disk,) = machine.dom0.state.domains[0].disks
    assert disk.capacity == 2 << 30
    Daemon(machine).run(30)
    assert len([text for text in machine.changes() if text.startswith("losetup --set-capacity")]) == 1


def test_a_request_that_is_refused_changes_nothing_where_there_is_no_daemon() -> None:
    machine = Machine(conf("web"))
    Daemon(machine).serve("boot")
    machine.write(conf("web"), conf("new"))
    assert Daemon(machine).serve("start", "nope").code == 3
    assert set(machine.running) == {"web"}


def test_a_file_that_cannot_be_read_hides_no_problem_of_another_and_nothing_is_accepted() -> None:
    machine = Machine(conf("web"))
    unreadable, good = Problem("b.conf", 0, "", "", "is a symbolic link"), machine.disk.read
    daemon = Daemon(machine).run(10)
    before = daemon.configuration.desired

    def read() -> tuple[ConfigFile, ...]:
        raise ConfigError([unreadable], good())

    daemon.configuration._source.read = read  # type: ignore[method-assign]
    machine.write(conf("web", "memroy = 1G"), conf("new"))
    assert [problem.file for problem in daemon.configuration.load()] == ["a.conf", "b.conf"]
    machine.write(conf("web"), conf("new"))
    assert daemon.configuration.load() == (unreadable,)
    assert daemon.configuration.desired is before


def test_what_xen_can_change_while_the_guest_runs_is_changed_once_and_remembered() -> None:
    machine = Machine(conf("web", "maxmem = 1G"))
    daemon = Daemon(machine)
    daemon.edit(20, conf("web", "maxmem = 1G").replace("512M", "768M"))
    daemon.run(40)
    assert [text for text in machine.changes() if "mem-set" in text] == ["xl mem-set 1 768m"]
    assert machine.record("web").running["memory"] == "768"
    Daemon(machine).run(30)
    assert len([text for text in machine.changes() if "mem-set" in text]) == 1


def test_what_a_full_disk_could_not_keep_is_kept_as_soon_as_it_can(caplog: pytest.LogCaptureFixture) -> None:
    """Also where the files have become invalid by then: a boot would fall back to the one before."""
    machine = Machine(conf("web"), conf("db"))
    Daemon(machine).run(30)
    daemon = Daemon(machine)
    daemon.at(1, lambda: setattr(machine.disk, "full", True))
    daemon.edit(2, conf("web"))
    daemon.edit(10, conf("web"), "[domain")
    daemon.edit(20, conf("web"), "[domain")
    daemon.at(30, lambda: setattr(machine.disk, "full", False))
    daemon.edit(31, conf("web"), "[domain db")
    daemon.run(60)
    assert [file.text for file in machine.disk.good or ()] == [conf("web")]
    assert caplog.text.count("would fall back to an older configuration") == 1


def test_a_last_good_configuration_that_this_version_refuses_is_said_and_nothing_is_in_force(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine("[domain web\n")
    machine.disk.good = (ConfigFile("a.conf", conf("web", "colour = blue")),)
    daemon = Daemon(machine)
    boot = daemon.ask(0, "boot")
    daemon.run(30)
    assert "the last good configuration is not valid for this version: " in caplog.text and "colour" in caplog.text
    assert machine.running == {} and boot.code != 0
    assert daemon.loop.status()["host"]["summary"].endswith("nothing is done until they are")  # type: ignore[index]


def test_files_that_are_valid_again_are_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(conf("web"))
    daemon = Daemon(machine)
    daemon.edit(10, "[domain web")
    daemon.edit(20, conf("web"))
    caplog.set_level("INFO", "xenlocal")
    daemon.run(30)
    said = [each.message for each in caplog.records if "valid" in each.message]
    assert said == [
        "the configuration is not valid; the configuration before stays in force",
        "the configuration is valid again",
    ]


def test_one_that_is_to_be_absent_is_not_started_by_hand() -> None:
    machine = Machine(conf("web", "state = absent"), conf("db"))
    daemon = Daemon(machine)
    start, restart = daemon.ask(10, "start", "web"), daemon.ask(20, "restart", "db", "web")
    daemon.run(30)
    message = "cannot start web: state = absent; change the file first"
    assert [(each.code, each.result["message"]) for each in (start, restart)] == [(1, message)] * 2
    assert machine.order("born") == ["db"]


def test_a_word_by_hand_counts_for_a_domu_that_no_look_has_shown_yet() -> None:
    """While xl does not answer nothing is learned; the word is kept, and holds when it does."""
    machine = Machine(conf("web"))
    daemon = Daemon(machine, fail("xl list", times=3))
    daemon.ask(1, "stop", "web")
    daemon.run(60)
    assert machine.record("web").hand is Hand.STOP and not machine.order("born")


def test_a_start_by_hand_on_a_host_that_nobody_has_looked_at() -> None:
    machine = Machine(conf("web", "state = manual"))
    assert Daemon(machine).serve("start", "web").code == 0
    assert machine.running == {"web": "running"} and machine.record("web").hand is Hand.START


def test_a_request_for_a_domu_whose_section_goes_away_meanwhile_says_so() -> None:
    machine = Machine(conf("web", "stop_timeout = 1m"), conf("db"))
    Daemon(machine).run(20)
    machine.behave("web", stop_seconds=20.0)
    daemon = Daemon(machine)
    stop = daemon.ask(1, "stop", "web")
    daemon.edit(5, conf("db"))
    daemon.run(60)
    assert stop.code != 0 and stop.result["message"] == "domain/web is not declared any more"


def test_a_parser_that_fails_makes_its_table_unknown_and_asks_for_a_report(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(conf("web"))
    Daemon(machine).run(20)
    daemon = Daemon(machine)

    def parse() -> None:
        raise KeyError("dom")

    daemon.tools.reader.domains = parse  # type: ignore[method-assign, assignment]
    daemon.edit(5, conf("web", "state = stopped"))
    daemon.run(60)
    status = daemon.loop.status()
    assert status is not None and status["host"]["summary"] == "cannot see the domUs: internal error: KeyError('dom')"
    assert "please report this" in caplog.text and not machine.order("heard")


def test_status_of_what_is_not_known() -> None:
    """Unknown is shown as unknown, neither as missing nor as 0."""
    disks = ("[[disk xvda]]", "volume = vg0/web", "size = 1G", "[[disk xvdb]]", "file = /srv/web.img")
    text = conf("web", *disks, "[[nic eth0]]", "bridge = br1")
    machine = Machine(text, "[bridge br1]", "external = yes")
    daemon = Daemon(machine, fail("lvm", "ip -"))
    assert daemon.loop.status() is None

    def unknown(_paths: object) -> dict[str, Any]:
        raise XenlocalError("stat failed")

    daemon.tools.reader.paths = unknown  # type: ignore[method-assign, assignment]
    daemon.run(30)
    status = daemon.loop.status()
    assert status is not None
    seen = {row["name"]: row["observed"] for row in status["volumes"]}
    assert seen == {"volume/vg0/web": None, "file//srv/web.img": None}
    assert status["bridges"][0] | {"notices": []} == {"name": "br1", "observed": "unknown", "ports": [], "notices": []}
    assert status["host"]["state"] == "up" and not machine.running


def test_status_while_the_first_guests_come_up() -> None:
    """That may take minutes, and somebody who has just switched the host on asks."""
    machine = Machine(listens("db", 5432), conf("web", "needs = db"), conf("bad", "[[disk xvda]]", "volume = vg0/none"))
    machine.behave("db", listen={"192.0.2.50:5432": 120.0})
    daemon, seen = Daemon(machine), list[Any]()
    daemon.at(60, lambda: seen.append(daemon.loop.status()))
    daemon.run(70)
    (status,) = seen
    assert status["host"]["pending_steps"] == ["start domain/db", "start domain/web"]
    assert "without size = ... it is not created" in str(status["domains"])


def test_status_while_the_host_shuts_down_and_of_domus_that_are_not_ours() -> None:
    machine = Machine(conf("web", "stop_timeout = 1m"))
    Daemon(machine).run(20)
    machine.behave("web", stop_seconds=20.0)
    machine.dom0.state.domains.append(Domain(77, "", "99999999-0000-0000-0000-000000000000"))
    daemon = Daemon(machine)
    shown: list[Any] = []
    daemon.ask(1, "shutdown")
    daemon.at(10, lambda: shown.append(daemon.loop.status()))
    daemon.run(12)
    (status,) = shown
    assert status["host"]["state"] == "shutting down"
    foreign = next(row for row in status["domains"] if row["desired"] == "foreign")
    assert foreign["name"] == "domid-77" and foreign["since"] is None and foreign["notices"] == []


def test_why_one_is_not_ready_is_in_its_row_while_it_is_waited_for() -> None:
    web = conf("web", "[[ready]]", "tcp = 192.0.2.50:80")
    machine = Machine(web)
    daemon = Daemon(machine)
    shown: list[dict[str, Any] | None] = []
    daemon.edit(20, web, conf("db"))  # interrupts the waiting, and ends the first cycle
    daemon.at(40, lambda: shown.append(daemon.loop.status()))
    daemon.run(50)
    (status,) = shown
    assert status is not None
    assert status["domains"][-1]["notices"] == ["is not ready: tcp 192.0.2.50:80 refuses"]


@pytest.mark.parametrize("waits", [False, True], ids=["at-rest", "while-something-waits"])
def test_what_somebody_writes_for_long_is_taken_soon_after_its_end_though_no_event_tells_of_it(waits: bool) -> None:
    """The daemon is called once, while the file is open. With nothing open, nothing is looked at."""
    machine = Machine(conf("web"), listens("slow", 80, "start_timeout = 30m") if waits else "")
    Daemon(machine).run(20)
    daemon, closed, read = Daemon(machine), 100.0, machine.disk.read

    def writing() -> tuple[ConfigFile, ...]:
        if 1 <= daemon.work.now() - daemon.began < closed:
            raise ConfigUnsettled([Problem("a.conf", 0, "", "", "is open for writing")])
        return read()

    machine.disk.read = writing  # type: ignore[method-assign]
    daemon.edit(1, conf("web"), listens("slow", 80, "start_timeout = 30m") if waits else "", conf("new"))
    daemon.at(closed + 1, machine.dom0.trace.clear)
    daemon.run(closed + 500)
    assert closed < machine.moments("born")["new"] - daemon.began < closed + 10 and "web" in machine.running
    if not waits:
        assert sum(trace.text == "xl list -v" for trace in machine.dom0.trace) < 12
