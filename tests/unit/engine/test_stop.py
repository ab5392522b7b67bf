"""The stop ladder: asked once, given its own time, destroyed only then; and what a guest may do instead."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, fail, listens
from xenlocal.engine.inbox import Request
from xenlocal.engine.settling import settle
from xenlocal.engine.stopping import Stop
from xenlocal.engine.tasks import Outcome, Result
from xenlocal.model.actions import StopDomain
from xenlocal.model.history import What
from xenlocal.model.memory import Hand
from xenlocal.model.plan import Step
from xenlocal.model.units import Duration
from xenlocal.simulator import guests
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Later

OFF = "state = stopped"


def started(*texts: str) -> Machine:
    machine = Machine(*texts)
    Daemon(machine).run(40)
    machine.dom0.trace.clear()
    return machine


def asked(machine: Machine) -> list[str]:
    return [text for text in machine.changes() if text.startswith("xl shutdown")]


def destroyed(machine: Machine) -> list[str]:
    return [text for text in machine.changes() if text.startswith("xl destroy")]


def in_the_last_moment(monkeypatch: pytest.MonkeyPatch, machine: Machine, what: Callable[[], None]) -> list[float]:
    """What happens, once, between the decision to destroy a guest and the look just before that."""
    struck, look = list[float](), Stop._look_once_more

    def look_once_more(stop: Stop) -> None:
        if not struck:
            struck.append(machine.dom0.now)
            what()
        look(stop)

    monkeypatch.setattr(Stop, "_look_once_more", look_once_more)
    return struck


def test_a_clean_stop_asks_once_and_reaps_the_shell() -> None:
    machine = started(conf("web"))
    domid = machine.domid("web")
    daemon = Daemon(machine)
    stop = daemon.ask(1, "stop", "web")
    daemon.run(30)
    assert len(asked(machine)) == 1 and destroyed(machine) == [f"xl destroy {domid}"]
    assert machine.moments("ended")["web"] < machine.moments("gone")["web"]
    assert (stop.code, machine.running) == (0, {})


def test_a_guest_that_hangs_is_destroyed_after_its_own_time_and_not_before() -> None:
    machine = started(conf("web", "stop_timeout = 30s"))
    machine.behave("web", stop_seconds=None)
    daemon = Daemon(machine)
    daemon.ask(1, "stop", "web")
    daemon.run(60)
    first = next(trace.at for trace in machine.dom0.trace if trace.text.startswith("xl shutdown"))
    end = next(trace.at for trace in machine.dom0.trace if trace.text.startswith("xl destroy"))
    assert 30 <= end - first < 33 and not machine.running


def test_a_restart_of_the_daemon_asks_nobody_sooner_and_gives_no_more_time() -> None:
    machine = started(conf("web", "stop_timeout = 30s"))
    machine.behave("web", stop_seconds=None)
    first = Daemon(machine)
    first.ask(1, "stop", "web")
    first.run(8)
    begun = first.began
    Daemon(machine).run(2)
    assert len(asked(machine)) == 1
    Daemon(machine).run(60)
    end = next(trace.at for trace in machine.dom0.trace if trace.text.startswith("xl destroy"))
    assert 31 <= end - begun < 35 and len(asked(machine)) == 3


def test_an_edit_meanwhile_is_carried_out_at_once_and_the_stop_goes_on() -> None:
    machine = started(conf("web", "stop_timeout = 60s"), conf("db"))
    machine.behave("web", stop_seconds=40.0)
    daemon = Daemon(machine)
    daemon.edit(1, conf("web", "stop_timeout = 60s", OFF), conf("db"))
    daemon.edit(5, conf("web", "stop_timeout = 60s", OFF), conf("db"), conf("new"))
    daemon.run(80)
    assert machine.moments("born")["new"] - daemon.began < 10
    assert machine.moments("gone")["web"] - daemon.began < 45
    assert set(machine.running) == {"db", "new"}


def test_a_request_that_xl_could_not_pass_on_is_made_again() -> None:
    machine = started(conf("web", "stop_timeout = 60s"))
    daemon = Daemon(machine, fail("xl shutdown", times=2))
    stop = daemon.ask(1, "stop", "web")
    daemon.run(50)
    assert machine.moments("heard") and machine.moments("ended")
    assert (stop.code, machine.running) == (0, {})


def test_a_guest_nobody_could_ask_is_destroyed_in_the_end() -> None:
    machine = started(conf("web", "stop_timeout = 30s"))
    daemon = Daemon(machine, fail("xl shutdown"))
    stop = daemon.ask(1, "stop", "web")
    daemon.run(60)
    assert not machine.running and stop.finished


def test_a_guest_that_reboots_instead_of_stopping_is_asked_again_and_stays_off() -> None:
    machine = started(conf("web"))
    machine.behave("web", stop_seconds=20.0)
    daemon = Daemon(machine)
    daemon.ask(1, "stop", "web")
    daemon.at(5, lambda: machine.dom0.schedule(0, "end", machine.domid("web"), "reboot"))
    daemon.run(90)
    assert len(set(asked(machine))) == 2 and not machine.running


def test_one_that_ends_by_itself_as_a_shell_before_it_is_asked_is_only_reaped() -> None:
    machine = started(conf("web"))
    machine.dom0.schedule(0.001, "end", machine.domid("web"), "poweroff")
    daemon = Daemon(machine)
    daemon.edit(1, conf("web", OFF))
    daemon.run(20)
    assert not asked(machine) and len(destroyed(machine)) == 1 and not machine.running


@pytest.mark.parametrize("status", [1, None])
def test_a_destroy_that_fails_is_tried_again(status: int | None) -> None:
    machine = started(conf("web", "stop_timeout = 10s"))
    machine.behave("web", stop_seconds=None)
    daemon = Daemon(machine, fail("xl destroy", fault=Fault(status=status), times=1))
    daemon.ask(1, "stop", "web")
    daemon.run(900)
    assert not machine.running and len(asked(machine)) == 1


def test_stops_run_backwards_and_side_by_side() -> None:
    machine = started(conf("nas"), conf("a", "after = nas"), conf("b", "needs = nas"))
    for name in ("nas", "a", "b"):
        machine.behave(name, stop_seconds=10.0)
    daemon = Daemon(machine)
    daemon.edit(1, conf("nas", OFF), conf("a", "after = nas", OFF), conf("b", "needs = nas", OFF))
    daemon.run(60)
    heard, gone = machine.moments("heard"), machine.moments("gone")
    assert heard["nas"] >= max(gone["a"], gone["b"]) and abs(heard["a"] - heard["b"]) < 1
    assert not machine.running


def test_a_restart_by_hand_of_a_guest_that_hangs_ends_with_it_running() -> None:
    machine = started(conf("web", "stop_timeout = 10s"))
    machine.behave("web", stop_seconds=None)
    before = machine.domid("web")
    daemon = Daemon(machine)
    restart = daemon.ask(1, "restart", "web")
    daemon.run(60)
    assert machine.domid("web") > before
    assert restart.code == 0


def test_a_restart_by_hand_that_is_refused_says_so() -> None:
    machine = started(conf("web"))
    before = machine.domid("web")
    machine.write(conf("web").replace("/boot/vmlinuz", "/gone"))
    daemon = Daemon(machine)
    restart = daemon.ask(20, "restart", "web")
    daemon.run(60)
    assert machine.domid("web") == before and not asked(machine)
    assert restart.finished and restart.code == 1 and "/gone does not exist" in restart.result["message"]


@pytest.mark.parametrize("how", ["start", "edit"])
def test_a_request_that_was_withdrawn_long_ago_counts_no_more(how: str) -> None:
    machine = started(conf("web", "stop_timeout = 60s"))
    machine.behave("web", deaf=True)
    daemon = Daemon(machine)
    if how == "edit":
        daemon.edit(1, conf("web", "stop_timeout = 60s", OFF))
        daemon.edit(20, conf("web", "stop_timeout = 60s"))
    else:
        daemon.ask(1, "stop", "web")
        daemon.ask(20, "start", "web")
    daemon.run(900)
    assert not destroyed(machine)
    machine.behave("web", stop_seconds=30.0)
    again = Daemon(machine)
    job = again.ask(1, "shutdown")
    again.run(200)
    assert (job.code, machine.running) == (0, {})


def test_a_start_of_a_guest_that_is_going_down_is_done_when_it_is_up_again() -> None:
    machine = started(conf("web"))
    machine.behave("web", stop_seconds=20.0)
    before, said = machine.domid("web"), list[str]()
    daemon = Daemon(machine)
    stop, start = daemon.ask(1, "stop", "web"), daemon.ask(5, "start", "web")
    start.progress = said.append
    seen: list[bool] = []
    daemon.at(15, lambda: seen.append(start.finished))
    daemon.run(60)
    assert seen == [False] and stop.code == 1
    assert stop.result["message"] == "domain/web: is still running: `xenlocal start` came after this"
    assert (start.code, machine.domid("web")) == (0, before + 1)
    assert said[0] == "domain/web: was asked to stop; it is seen whether it does, and it is started then"


def test_a_start_of_a_guest_that_ignores_the_request_before_is_done_when_that_is_known() -> None:
    machine = started(conf("web", "stop_timeout = 60s"))
    machine.behave("web", deaf=True)
    before = machine.domid("web")
    daemon = Daemon(machine)
    daemon.ask(1, "stop", "web")
    start = daemon.ask(20, "start", "web")
    seen: list[object] = []
    daemon.at(55, lambda: seen.append((start.finished, daemon.loop.status()["domains"][0]["notices"])))  # type: ignore[index]
    daemon.run(65)
    assert seen == [(False, ["was asked to stop before it was wanted again; if it does stop, it is started"])]
    assert (start.finished, start.code, machine.domid("web")) == (True, 0, before)


def test_a_start_of_one_that_is_dying_says_so() -> None:
    machine = started(conf("web"))
    machine.dom0.state.domains[0].state = "dying"
    start = Daemon(machine).serve("start", "web")
    assert start.code == 1 and "its former self (domid 1) is still dying" in start.result["message"]


def test_destroy_by_hand_is_immediate_and_holds() -> None:
    machine = started(conf("web"))
    daemon = Daemon(machine)
    destroy = daemon.ask(1, "destroy", "web")
    daemon.run(60)
    assert destroy.code == 0 and not asked(machine) and not machine.running


def test_a_stale_look_is_not_taken_for_an_end() -> None:
    """The lookout last saw the host before these domUs were born."""
    machine = started(conf("nas"), conf("db", "after = nas"))
    for name in ("nas", "db"):
        machine.behave(name, stop_seconds=8.0)
    daemon = Daemon(machine)
    daemon.ask(1, "restart", "nas")
    daemon.at(20, lambda: machine.dom0.schedule(0, "end", machine.domid("nas"), "reboot"))
    daemon.at(20, lambda: machine.dom0.schedule(0, "end", machine.domid("db"), "reboot"))
    daemon.edit(40, conf("nas", OFF), conf("db", "after = nas", OFF), conf("x"))
    daemon.run(90)
    ends = [trace for trace in machine.dom0.trace if trace.what in ("heard", "gone")]
    last = {(trace.what, trace.text.split()[0]): trace.at for trace in ends}
    assert last["heard", "nas"] >= last["gone", "db"]


def test_a_stop_is_not_over_while_the_guest_that_came_back_is_still_to_be_stopped() -> None:
    machine = started(conf("web"))
    daemon = Daemon(machine)
    daemon.run(5)
    cycle = daemon.loop.snapshot
    assert cycle is not None
    memory, (uuid, record) = machine.disk.memory, next(iter(machine.disk.memory.records.items()))
    asked, former = Request("stop", ("web",)), (record.domid or 0) - 1

    def stop(domid: int) -> Step:
        return Step("stop domain/web", StopDomain("web", uuid, domid, Duration(60)), "stopped by hand")

    came_back = replace(
        cycle,
        plan=replace(cycle.plan, steps=(stop(former + 1),)),
        results=(Result(stop(former), Outcome.DONE),),
    )
    settle(asked, came_back, memory, 0.0)
    assert not asked.finished
    settle(asked, replace(came_back, results=(Result(stop(former + 1), Outcome.FAILED, "xl"),)), memory, 0.0)
    assert asked.finished and asked.code != 0


@pytest.mark.parametrize("how", ["down", "gone"])
def test_one_that_ends_in_the_last_moment_is_not_destroyed_and_not_called_forced(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over, the decision is made; the look just before the destroying shows that it has ended."""
    machine = started(conf("web", "stop_timeout = 10s", "needs = db"), conf("db"))
    machine.behave("web", stop_seconds=None)
    guest = machine.dom0.state.domain("web")
    assert guest is not None
    ends = partial(guests.end, reason="poweroff") if how == "down" else guests.destroy
    struck = in_the_last_moment(monkeypatch, machine, lambda: ends(machine.dom0, guest))
    shutdown = Daemon(machine).serve("shutdown")
    assert struck and not machine.running
    assert (shutdown.code, machine.disk.memory.forced) == (0, ())
    stop = next(deed for deed in machine.history.deeds() if deed.step == "stop domain/web")
    assert stop.outcome == "done"


def test_a_nudge_that_fails_is_said_and_puts_nothing_off(caplog: pytest.LogCaptureFixture) -> None:
    machine = started(conf("web", "stop_timeout = 30s"))
    machine.behave("web", stop_seconds=None)
    machine.write(conf("web", "stop_timeout = 30s", OFF))
    Daemon(machine, fail("xl sysrq", fault=Fault(stderr="no such thing"))).run(100)
    assert "no such thing" in caplog.text and len(destroyed(machine)) == 1
    assert 30 <= machine.moments("gone")["web"] - machine.moments("heard")["web"] < 40


def test_one_that_ends_while_it_is_waited_for_is_told_as_ended_and_not_as_late() -> None:
    machine = Machine(listens("web", 80, "on_poweroff = stay-off"))
    machine.behave("web", later=[Later(20.0, "poweroff")])
    daemon = Daemon(machine)
    start = daemon.ask(0.1, "start", "web")
    daemon.run(60)
    told = [event.what for event in machine.history.events("/web")]
    assert What.LATE not in told
    assert (start.code, start.result["message"]) == (1, "domain/web: ended before it was ready")


def test_one_that_reboots_while_it_is_to_be_restarted_is_not_started_beside_its_monitor() -> None:
    machine = Machine(conf("web"))
    Daemon(machine).run(60)
    machine.behave("web", stop_seconds=9.0)
    daemon = Daemon(machine)
    job = daemon.ask(1, "restart", "web")
    daemon.at(5, lambda: machine.dom0.schedule(0, "end", machine.domid("web"), "reboot"))
    daemon.run(100)
    assert job.code == 0 and machine.running == {"web": "running"}
    assert not [text for text in machine.changes() if text.startswith("xl create")][1:]
    assert not any("could not be created anew" in trace.text for trace in machine.dom0.trace)


@pytest.mark.parametrize("lingers", [0.0, 6.0])
@pytest.mark.parametrize("at", [10.5, 11.1, None])
def test_one_that_reboots_when_its_time_is_over_is_neither_destroyed_nor_started_beside_its_monitor(
    at: float | None, lingers: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: in the last moment."""
    machine = started(conf("web", "stop_timeout = 10s"))
    machine.behave("web", stop_seconds=None)
    machine.dom0.state.durations.dying = lingers
    daemon, guest = Daemon(machine), machine.dom0.state.domains[0]
    job = daemon.ask(1, "restart", "web")

    def reboots() -> None:
        guests.end(machine.dom0, guest, "reboot")
        daemon.work.sleep(1)  # gone, or dying, by then

    if at is None:
        struck = in_the_last_moment(monkeypatch, machine, reboots)
    else:
        daemon.at(at, lambda: guests.end(machine.dom0, guest, "reboot"))
    daemon.run(60)
    assert at is not None or struck
    assert job.code == 0 and machine.running == {"web": "running"} and not destroyed(machine)
    assert not [text for text in machine.changes() if text.startswith("xl create")]
    assert not any("could not be created anew" in trace.text for trace in machine.dom0.trace)


@pytest.mark.parametrize(("seconds", "over"), [(10, 68), (100, 101)])
def test_one_that_reboots_with_no_monitor_is_cleared_away_in_the_end_and_started(seconds: int, over: int) -> None:
    machine = started(conf("web", f"stop_timeout = {seconds}s"))
    machine.behave("web", stop_seconds=None)
    guest = machine.dom0.state.domains[0]
    guest.monitor = False
    daemon = Daemon(machine)
    job = daemon.ask(1, "restart", "web")
    daemon.at(8, lambda: guests.end(machine.dom0, guest, "reboot"))
    daemon.run(200)
    assert over <= machine.moments("gone")["web"] - daemon.began < over + 3 and len(destroyed(machine)) == 1
    assert job.code == 0 and machine.running == {"web": "running"}
    assert not [deed for deed in machine.history.deeds() if deed.outcome == "late"]


UNREADABLE = Fault(status=-9)
SILENT = Fault(status=1)  # as where there is no log


@pytest.mark.parametrize(("fault", "times"), [(UNREADABLE, 1), (UNREADABLE, 99), (SILENT, 1), (SILENT, 99)])
def test_one_that_reboots_untold_while_it_is_to_be_restarted_is_not_started_beside_its_monitor(
    fault: Fault, times: int
) -> None:
    machine = started(conf("web"))
    machine.behave("web", stop_seconds=9.0)
    daemon = Daemon(machine, fail("tail", fault=fault, times=times))
    daemon.ask(1, "restart", "web")
    daemon.at(5, lambda: machine.dom0.schedule(0, "end", machine.domid("web"), "reboot"))
    daemon.run(100)
    assert machine.running == {"web": "running"} and len(asked(machine)) == 1
    assert not [text for text in machine.changes() if text.startswith("xl create")]
    assert not any("could not be created anew" in trace.text for trace in machine.dom0.trace)


def test_a_word_to_stop_one_that_reboots_holds_though_its_log_could_not_be_read_at_once() -> None:
    """Unknown is not stopped: what comes back then would be taken for somebody else's start."""
    machine = started(conf("web"))
    machine.behave("web", stop_seconds=9.0)
    daemon = Daemon(machine, fail("tail", fault=UNREADABLE, times=1))
    daemon.ask(1, "stop", "web")
    daemon.at(5, lambda: machine.dom0.schedule(0, "end", machine.domid("web"), "reboot"))
    daemon.run(100)
    assert machine.running == {} and machine.record("web").hand is Hand.STOP and len(set(asked(machine))) == 2


def test_a_word_to_stop_that_comes_before_the_birth_of_our_own_start_was_seen() -> None:
    """Unknown is not off, and what is then born is no work of somebody else."""
    machine = Machine(conf("web", OFF))
    Daemon(machine).run(30)
    began, created = machine.dom0.now, list[str]()

    def no_list_for_a_minute(argv: Sequence[str], _number: int) -> Fault | None:
        created.extend(word for word in argv if word == "create")
        return Fault(missing=True) if created and argv[:2] == ("xl", "list") and machine.dom0.now < began + 60 else None

    daemon = Daemon(machine, no_list_for_a_minute)
    daemon.ask(1, "start", "web")
    job = daemon.ask(20, "stop", "web")
    daemon.run(400)
    assert job.code != 0 and "whether it runs is unknown" in job.result["message"]
    assert machine.running == {} and machine.record("web").hand is Hand.STOP
