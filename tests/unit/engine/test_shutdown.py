"""The host goes down: everybody is asked, in reverse order, and the job ends in time and says how."""

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from tests.unit.engine.test_killed import daemon_killed
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Hand
from xenlocal.simulator import guests, xlcfg
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Domain


def up(*texts: str, boot: bool = True) -> Machine:
    machine = Machine(*texts)
    daemon = Daemon(machine)
    if boot:
        daemon.ask(0, "boot")
    daemon.run(60)
    machine.dom0.trace.clear()
    return machine


CHAIN = (conf("nas"), conf("db", "after = nas"), conf("web", "needs = db"), conf("free"))


def test_everybody_is_asked_in_reverse_order_and_side_by_side() -> None:
    machine = up(*CHAIN)
    daemon = Daemon(machine)
    job = daemon.ask(1, "shutdown")
    daemon.run(100)
    heard, gone = machine.moments("heard"), machine.moments("gone")
    assert heard["db"] >= gone["web"] and heard["nas"] >= gone["db"]
    assert heard["free"] - daemon.began < 3
    assert (job.code, job.result["message"], machine.running) == (0, "every guest stopped cleanly", {})
    assert not [text for text in machine.changes() if text.startswith("xl create")]


def test_hung_ones_are_destroyed_at_their_own_time_named_and_told_by_the_exit_code() -> None:
    machine = up(conf("hung", "stop_timeout = 20s"), conf("slow"), conf("nas"))
    machine.behave("hung", stop_seconds=None)
    machine.behave("slow", stop_seconds=40.0)
    daemon = Daemon(machine)
    job = daemon.ask(1, "shutdown")
    daemon.run(200)
    gone = machine.moments("gone")
    assert 20 <= gone["hung"] - daemon.began < 25 and 40 <= gone["slow"] - daemon.began < 45
    assert (job.code, job.result["message"]) == (5, "had to be destroyed: hung")


def test_the_whole_ends_inside_the_deadline() -> None:
    host = "[host]\nshutdown_deadline = 2m"
    texts = [conf("a"), conf("b", "after = a"), conf("c", "after = b")]
    machine = up(host, *texts)
    for name in "abc":
        machine.behave(name, stop_seconds=None)
    daemon = Daemon(machine)
    job = daemon.ask(0, "shutdown")
    daemon.run(200)
    assert not machine.running and job.finished
    assert max(machine.moments("gone").values()) - daemon.began < 120
    times = [machine.moments("heard")[name] for name in "cba"]
    assert times == sorted(times)


def test_the_deadline_runs_from_the_request_also_where_a_look_hangs_just_then() -> None:
    machine = up(*CHAIN)
    daemon = Daemon(machine, fail("xl list", fault=Fault(status=None), times=1))
    job = daemon.ask(1, "shutdown")
    daemon.run(100)
    assert job.finished and job.begun == daemon.began + 1
    assert machine.disk.memory.shutting_down == job.begun < min(machine.moments("heard").values()) - 20


def test_a_foreign_guest_is_asked_never_destroyed_and_named() -> None:
    machine = up(conf("web"))
    machine.dom0.state.domains.append(Domain(77, "foreign", "99999999-0000-0000-0000-000000000000"))
    daemon = Daemon(machine)
    machine.behave("foreign", stop_seconds=None)
    job = daemon.ask(1, "shutdown")
    daemon.run(3000)
    asked = [text for text in machine.changes() if text.startswith("xl shutdown") and text.split()[-1] == "77"]
    assert machine.running == {"foreign": "running"}
    assert max(trace.at for trace in machine.dom0.trace if trace.text in asked) - daemon.began < 310
    assert job.code == 5 and "still running: foreign" in job.result["message"]
    Daemon(machine).run(1000)  # another process knows that it was asked
    assert machine.changes().count(asked[0]) == len(asked)
    again = Daemon(machine)
    again.ask(1, "shutdown")
    again.run(1000)
    assert machine.changes().count(asked[0]) == 2 * len(asked), "a request of its own, with a time of its own"


def test_a_foreign_guest_that_cannot_be_asked_does_not_hold_up_the_host_till_the_deadline() -> None:
    machine = up(conf("web"))
    machine.dom0.state.domains.append(Domain(77, "foreign", "99999999-0000-0000-0000-000000000000"))
    daemon = Daemon(machine, fail("xl shutdown -F 77", "xenstore-write"))
    job = daemon.ask(1, "shutdown")
    daemon.run(400)
    assert job.code == 5 and "still running: foreign" in job.result["message"]


def test_a_guest_that_reboots_meanwhile_is_shut_down_as_its_new_self() -> None:
    machine = up(conf("web"))
    machine.dom0.schedule(0.5, "end", machine.domid("web"), "reboot")
    daemon = Daemon(machine)
    job = daemon.ask(1, "shutdown")
    daemon.run(100)
    assert job.code == 0 and not machine.running
    assert job.finished and machine.order("gone")[-1] == "web"


def test_domains_unknown_for_a_while_only_delays_it() -> None:
    machine = up(conf("web"))
    daemon = Daemon(machine, fail("xl list", times=5))
    job = daemon.ask(0, "shutdown")
    daemon.run(60)
    assert job.code == 0 and not machine.running


def test_domains_unknown_to_the_end_is_said() -> None:
    machine = up("[host]\nshutdown_deadline = 1m", conf("web"))
    daemon = Daemon(machine, fail("xl list"))
    job = daemon.ask(0, "shutdown")
    daemon.run(100)
    assert job.code == 5 and "unknown" in job.result["message"]


def test_the_daemon_does_not_fight_it_and_a_request_by_hand_is_refused() -> None:
    machine = up(conf("web"))
    daemon = Daemon(machine)
    daemon.ask(0, "shutdown")
    start = daemon.ask(20, "start", "web")
    daemon.run(1000)
    assert start.code == 1 and "shutting down" in start.result["message"]
    assert not machine.running


def test_a_boot_after_a_shutdown_that_did_not_happen_starts_everything_again() -> None:
    machine = up(*CHAIN)
    daemon = Daemon(machine)
    daemon.ask(0, "shutdown")
    boot = daemon.ask(60, "boot")
    daemon.run(150)
    assert boot.code == 0 and set(machine.running) == {"nas", "db", "web", "free"}


def test_an_edit_meanwhile_does_not_disturb_the_shutdown() -> None:
    machine = up(*CHAIN)
    machine.behave("web", stop_seconds=20.0)
    daemon = Daemon(machine)
    job = daemon.ask(0, "shutdown")
    daemon.edit(5, "[domain")
    daemon.edit(6, conf("new"))
    daemon.run(100)
    assert job.code == 0 and not machine.running
    assert len({text for text in machine.changes() if text.startswith("xl shutdown")}) == 4


def test_without_a_daemon_the_command_line_does_the_same() -> None:
    machine = up(*CHAIN)
    assert Daemon(machine).serve("shutdown").code == 0 and not machine.running
    assert Daemon(machine).serve("boot").code == 0 and len(machine.running) == 4


@pytest.mark.parametrize("state", ["manual", "stopped"])
def test_what_was_started_by_hand_is_forgotten_by_the_next_boot(state: str) -> None:
    machine = up(conf("web", f"state = {state}"))
    assert Daemon(machine).serve("start", "web").code == 0
    assert machine.record("web").hand is Hand.START
    Daemon(machine).serve("shutdown")
    Daemon(machine).serve("boot")
    assert machine.record("web").hand is None and not machine.running


def test_a_destroy_that_hangs_does_not_hold_up_the_others() -> None:
    machine = up(conf("hung", "stop_timeout = 10s"), conf("a"), conf("b", "after = a"))
    machine.behave("hung", stop_seconds=None)
    domid = machine.domid("hung")
    daemon = Daemon(machine, fail(f"xl destroy {domid}", fault=Fault(delay=60.0, status=0, effect=True)))
    job = daemon.ask(0, "shutdown")
    daemon.run(300)
    assert machine.moments("gone")["a"] - daemon.began < 10
    assert job.code == 5 and not machine.running


def leave_create_behind(machine: Machine, name: str, seconds: float) -> None:
    """An `xl create` that outlived its daemon: its domU is born so many seconds from now."""
    path = f"/run/xenlocal/domains/{name}.cfg"
    config = xlcfg.parse(machine.dom0.state.texts[path], path)
    machine.dom0.schedule(seconds, "reborn", detail=name, config=config)


def test_a_domu_that_is_just_being_born_is_shut_down_too() -> None:
    machine = up(conf("web"), conf("other"))
    assert Daemon(machine).serve("stop", "web").code == 0
    leave_create_behind(machine, "web", 10)
    job = Daemon(machine).serve("shutdown")
    assert machine.order("gone")[-1] == "web" and not machine.running
    assert (job.code, job.result["message"]) == (0, "every guest stopped cleanly")


def test_one_born_while_another_hangs_does_not_wait_for_that_one() -> None:
    machine = up(conf("web"), conf("hung", "stop_timeout = 200s"))
    machine.behave("hung", stop_seconds=None)
    assert Daemon(machine).serve("stop", "web").code == 0
    machine.dom0.trace.clear()
    leave_create_behind(machine, "web", 10)
    daemon = Daemon(machine)
    job = daemon.ask(1, "shutdown")
    daemon.run(300)
    assert machine.moments("heard")["web"] - daemon.began < 30
    assert machine.moments("gone")["web"] - daemon.began < 30
    assert 200 <= machine.moments("gone")["hung"] - daemon.began < 205
    assert (job.code, job.result["message"]) == (5, "had to be destroyed: hung")
    assert len({text for text in machine.changes() if text.startswith("xl shutdown")}) == 2


def test_one_that_comes_back_while_a_command_hangs_is_shut_down_before_those_that_it_comes_after() -> None:
    """The look at its birth had shown it paused, and none followed before that command was left."""
    machine = Machine(conf("nas"), conf("db", "after = nas"), conf("web", "after = nas"))
    Daemon(machine).run(60)
    domid = machine.domid("web")
    guests.end(machine.dom0, next(each for each in machine.dom0.state.domains if each.name == "db"), "reboot")
    daemon = Daemon(machine, fail(f"xl destroy {domid}", fault=Fault(status=None, effect=True), times=1))
    job = daemon.ask(1, "shutdown")
    daemon.run(200)
    ends = {trace.text.split()[0]: trace.at for trace in machine.dom0.trace if trace.what == "ended"}
    assert ends["db"] < machine.moments("heard")["nas"] and (job.code, machine.running) == (0, {})


def test_an_xl_create_that_hangs_does_not_hold_up_the_host_till_the_deadline() -> None:
    machine = up(conf("web"))
    assert Daemon(machine).serve("stop", "web").code == 0
    leave_create_behind(machine, "web", 5000)
    daemon = Daemon(machine)
    job = daemon.ask(1, "shutdown")
    daemon.run(200)
    assert job.finished and job.code == 0


def test_what_the_deadline_did_not_leave_time_for_is_named() -> None:
    machine = up("[host]\nshutdown_deadline = 1m", conf("web"))
    assert Daemon(machine).serve("stop", "web").code == 0
    leave_create_behind(machine, "web", 5000)
    daemon = Daemon(machine)
    job = daemon.ask(1, "shutdown")
    daemon.run(100)
    assert job.code == 5 and "domain/web: " in job.result["message"]


def test_whether_an_xl_create_is_at_work_being_unknown_only_delays_it() -> None:
    machine = up(conf("web"))
    assert Daemon(machine).serve("stop", "web").code == 0
    daemon = Daemon(machine)

    def unknown() -> frozenset[str]:
        if daemon.work.now() < daemon.began + 30:
            raise XenlocalError("no /proc")
        return frozenset()

    daemon.tools.reader.monitors = unknown  # type: ignore[method-assign]
    assert daemon.serve("shutdown").code == 0
    assert machine.dom0.now >= daemon.began + 30


def test_it_is_tried_until_a_last_look_just_fits_into_the_deadline() -> None:
    machine = up("[host]\nshutdown_deadline = 1m", conf("web"))
    daemon = Daemon(machine, fail("xl list"))
    job = daemon.ask(0, "shutdown")
    ended: list[bool] = []
    daemon.at(56, lambda: ended.append(job.finished))
    daemon.at(60, lambda: ended.append(job.finished))
    daemon.run(100)
    assert ended == [False, True]


def test_a_shutdown_after_one_that_came_to_its_end_has_a_deadline_of_its_own() -> None:
    machine = up(conf("web"))
    daemon = Daemon(machine)
    daemon.ask(0, "shutdown")
    daemon.run(2000)
    machine.dom0.state.domains.append(Domain(77, "late", "99999999-0000-0000-0000-000000000000"))
    machine.behave("late", stop_seconds=60.0)
    daemon = Daemon(machine)
    job = daemon.ask(1, "shutdown")
    daemon.run(200)
    assert (job.code, job.result["message"]) == (0, "every guest stopped cleanly")


@pytest.mark.parametrize(
    ("unreadable", "told"),
    [("nothing", "destroyed, and not known by whom: hung"), ("xl-hung.log", "gone, and nothing tells how: hung")],
)
def test_who_was_destroyed_is_told_though_the_daemon_that_did_so_could_not_note_it(unreadable: str, told: str) -> None:
    """Its disk was full, and it was killed."""
    machine = Machine(conf("hung", "stop_timeout = 20s"), conf("slow"))
    machine.behave("hung", stop_seconds=None)
    machine.behave("slow", stop_seconds=50.0)
    Daemon(machine).run(60)
    machine.disk.full = True
    daemon = Daemon(machine)
    daemon.ask(1, "shutdown")
    daemon.at(35, daemon_killed)
    assert daemon.run_until_killed(60) and machine.running == {"slow": "running"}
    machine.disk.full = False
    again = Daemon(machine, fail(unreadable))
    job = again.ask(0, "shutdown")
    again.run(100)
    assert (job.code, job.result["message"]) == (5, told)


def test_a_start_that_hangs_does_not_keep_the_host_from_going_down() -> None:
    """It gets up to ten minutes at other times; what it makes after all is shut down as well."""
    machine = Machine(conf("nas"))
    Daemon(machine).run(60)
    daemon = Daemon(machine, fail("xl create", fault=Fault(status=0, effect=True, delay=100)))
    daemon.edit(1, conf("nas"), conf("web"))
    job = daemon.ask(5, "shutdown")
    daemon.run(400)
    heard = machine.moments("heard")
    assert heard["nas"] - daemon.began < 20 < 100 < heard["web"] - daemon.began
    assert (job.code, machine.running) == (0, {})
