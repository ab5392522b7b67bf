"""The host's deadline is met whatever hangs, and what can still be asked is asked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.engine.rig import Daemon, Faults, Killed, Machine, conf, fail
from xenlocal.engine.inbox import Request
from xenlocal.model.memory import Off
from xenlocal.simulator import guests
from xenlocal.simulator.runner import Fault

HOST = "[host]\nshutdown_deadline = 2m"
DISK = "[[disk xvda]]\nvolume = vg0/{}\nsize = 1G"
FOREIGN = "ffffffff-1111-1111-1111-aaaaaaaaaaaa"
HANGS = Fault(status=None)
SLOW = conf("slow", "stop_timeout = 2m")


def up(*texts: str) -> Machine:
    machine = Machine(HOST, *texts)
    Daemon(machine).serve("boot")
    machine.dom0.advance(machine.dom0.now + 30)
    machine.dom0.trace.clear()
    return machine


def shutdown(machine: Machine, faults: Faults | None = None) -> tuple[Request, float]:
    """Of a host; and after how many seconds the answer came."""
    daemon = Daemon(machine, faults)
    moments: list[float] = []
    request = Request("shutdown", ended=lambda: moments.append(daemon.work.now() - daemon.began))
    daemon.at(0, lambda: daemon.inbox.ask(request))
    daemon.run(1000)
    return request, moments[0]


def test_a_destroy_that_hangs() -> None:
    machine = up(conf("hung", "stop_timeout = 10s"), conf("web"))
    machine.behave("hung", stop_seconds=None)
    job, seconds = shutdown(machine, fail("xl destroy 1", fault=HANGS))
    assert seconds <= 120 and job.code == 5 and "still running: hung" in job.result["message"]
    assert machine.moments("gone")["web"]


def destroyed(machine: Machine, domid: int) -> list[tuple[float, int | None]]:
    """When each `xl destroy` of it ended, in seconds, and how."""
    return [(each.at, each.status) for each in machine.dom0.trace if each.text == f"xl destroy {domid}"]


@pytest.mark.parametrize(
    ("fault", "times", "moments"),
    [
        (HANGS, 1, (70, 80)),
        (Fault(), 1, (10, 20)),
        (Fault(), 3, (10, 20, 40, 80)),
        (Fault(), 4, (10, 20, 40, 80, 105)),  # the pause would last until 120
        (Fault(), 5, (10, 20, 40, 80, 105, 110)),
    ],
)
def test_a_destroy_in_vain_is_tried_again_though_others_take_their_time(
    fault: Fault, times: int, moments: tuple[float, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """There is no other plan before those have ended."""
    machine = up(conf("nas", "stop_timeout = 5s"), conf("hung", "stop_timeout = 10s", "after = nas"), SLOW)
    machine.behave("hung", stop_seconds=None)
    machine.behave("slow", stop_seconds=100.0)
    began, domid = machine.dom0.now, machine.domid("hung")
    job, _ = shutdown(machine, fail(f"xl destroy {domid}", fault=fault, times=times))
    assert (job.code, job.result["message"]) == (5, "had to be destroyed: hung") and not machine.running
    ended = [when - began for when, _ in destroyed(machine, domid)]
    assert all(at <= when < at + 3 for at, when in zip(moments, ended, strict=True)), ended
    assert f"tried once more in {10 if len(moments) < 5 else 25:.0f} s" in caplog.text
    assert machine.moments("heard")["nas"] > began + min(ended[-1], 90) - 1


def test_a_destroy_that_hung_before_the_host_went_down_is_left_and_tried_again() -> None:
    machine = up(conf("hung", "stop_timeout = 10s"), SLOW)
    machine.behave("hung", stop_seconds=None)
    began, domid = machine.dom0.now, machine.domid("hung")
    daemon = Daemon(machine, fail("xl destroy", fault=HANGS, times=1))
    daemon.ask(0, "stop", "hung")
    job = daemon.ask(20, "shutdown")
    daemon.run(200)
    assert (job.code, job.result["message"]) == (5, "had to be destroyed: hung") and not machine.running
    assert 30 <= destroyed(machine, domid)[0][0] - began < 36, "after 10 s"


def test_each_attempt_has_more_time_than_the_one_before() -> None:
    machine = up(conf("hung", "stop_timeout = 10s"))
    machine.write("[host]\nshutdown_deadline = 20m", conf("hung", "stop_timeout = 10s"))
    machine.behave("hung", stop_seconds=None)
    slow = fail("xl destroy", fault=Fault(delay=200.0, status=0, effect=True))
    began, domid = machine.dom0.now, machine.domid("hung")
    job, _ = shutdown(machine, slow)
    assert job.code == 5 and not machine.running
    ended = [round(when - began) for when, _ in destroyed(machine, domid)]
    assert [status for _, status in destroyed(machine, domid)] == [None, None, 0]
    assert 70 <= ended[0] < 73 and 130 <= ended[1] - ended[0] < 133 and 220 <= ended[2] - ended[1] < 224


def test_what_an_attempt_in_vain_has_left_as_a_shell_was_not_destroyed() -> None:
    machine = up(conf("hung", "stop_timeout = 10s"))
    machine.behave("hung", stop_seconds=14.0)
    job, _ = shutdown(machine, fail("xl destroy", times=2))
    assert (job.code, job.result["message"], machine.running) == (0, "every guest stopped cleanly", {})
    stop = next(deed for deed in machine.history.deeds() if deed.step == "stop domain/hung")
    assert stop.outcome == "done"


def test_a_shell_that_cannot_be_cleared_away_is_tried_again_too() -> None:
    machine = up(conf("web"), SLOW)
    machine.behave("slow", stop_seconds=100.0)
    began, domid = machine.dom0.now, machine.domid("web")
    job, _ = shutdown(machine, fail(f"xl destroy {domid}", fault=HANGS, times=1))
    assert (job.code, job.result["message"], machine.running) == (0, "every guest stopped cleanly", {})
    first, again = (when - began for when, _ in destroyed(machine, domid))
    assert 60 <= first < 65 and 10 <= again - first < 13


def test_one_that_reboots_with_no_monitor_is_cleared_away_and_was_not_destroyed() -> None:
    machine = up(conf("web", "stop_timeout = 10s"))
    machine.behave("web", stop_seconds=None)
    guest = machine.dom0.state.domains[0]
    guest.monitor = False
    machine.dom0.schedule(8, "end", guest.domid, "reboot")
    began = machine.dom0.now
    job, _ = shutdown(machine, fail("xl destroy", times=1))
    assert (job.code, job.result["message"], machine.running) == (0, "every guest stopped cleanly", {})
    first, again = (when - began for when, _ in destroyed(machine, guest.domid))
    assert 68 <= first < 72 and 10 <= again - first < 13


def test_whoever_has_its_domid_by_then_is_not_destroyed_for_it() -> None:
    machine = up(conf("hung", "stop_timeout = 10s"))
    machine.behave("hung", stop_seconds=None)
    hung = machine.dom0.state.domain("hung")
    assert hung is not None

    def faults(argv: Sequence[str], _n: int) -> Fault | None:
        if argv[:2] == ("xl", "destroy"):
            hung.uuid, hung.name = FOREIGN, "theirs"
            return Fault()
        return None

    shutdown(machine, faults)
    assert len(destroyed(machine, hung.domid)) == 1 and machine.running == {"theirs": "running"}


def test_one_behind_a_destroy_that_hangs_is_still_asked() -> None:
    machine = up(conf("nas"), conf("hung", "stop_timeout = 10s", "after = nas"))
    machine.behave("hung", stop_seconds=None)
    job, seconds = shutdown(machine, fail(f"xl destroy {machine.domid('hung')}", fault=HANGS))
    assert seconds <= 120 and machine.moments("ended")["nas"] and job.code == 5


def test_one_behind_a_destroy_that_fails_is_asked_while_it_still_has_time() -> None:
    """Rule 5: not before the one that follows it is off, as long as there is any other way."""
    machine = up(conf("nas", "stop_timeout = 40s"), conf("hung", "stop_timeout = 10s", "after = nas"))
    machine.behave("hung", stop_seconds=None)
    machine.behave("nas", stop_seconds=15.0)
    began = machine.dom0.now
    job, seconds = shutdown(machine, fail("xl destroy"))
    assert 80 <= machine.moments("heard")["nas"] - began <= 90
    assert machine.moments("ended")["nas"] and seconds <= 120
    assert job.code == 5 and job.result["message"] == "still running: hung"


@pytest.mark.parametrize("fault", [HANGS, Fault(missing=True), Fault(status=127)])
def test_where_xl_does_not_ask_xenstore_does(fault: Fault) -> None:
    machine = up(conf("nas"), conf("web", "after = nas"))
    job, seconds = shutdown(machine, fail("xl shutdown", fault=fault))
    assert (job.code, machine.running) == (0, {}) and seconds < 60
    assert not [trace for trace in machine.dom0.trace if trace.what == "litter"]


XL = ("xl list", "xl shutdown", "xl destroy", "xl sysrq", "xl info")
GONE = Fault(missing=True)


def test_without_xl_guests_are_seen_and_asked_through_xenstore() -> None:
    machine = up(conf("nas", DISK.format("nas")), conf("web", "after = nas", DISK.format("web")))
    theirs = guests.create(machine.dom0, {"name": "theirs", "memory": 64, "uuid": FOREIGN, "on_poweroff": "destroy"})
    guests.release(machine.dom0, theirs)
    machine.dom0.advance(machine.dom0.now + 30)
    daemon = Daemon(machine, fail(*XL, fault=GONE))
    job = daemon.ask(0, "shutdown")
    seen: list[Any] = []
    daemon.at(60, lambda: seen.append(daemon.loop.status()))
    daemon.run(100)
    assert machine.running == {"nas": "shutdown", "web": "shutdown"}, "the shells stay, and nobody is asked twice"
    assert machine.moments("heard")["nas"] >= machine.moments("ended")["web"] and "theirs" in machine.moments("gone")
    assert job.code == 5 and job.result["message"].startswith("who is left is only known from xenstore, since xl does")
    assert not [text for text in machine.changes() if "destroy" in text]
    (notice,) = seen[0]["host"]["notices"]
    assert (
        notice.startswith("xl does not tell which guests run (cannot find the program xl")
        and "asked through xenstore" in notice
    )


def test_without_xl_one_that_hangs_is_left_and_named_at_the_deadline() -> None:
    machine = up(conf("hung", "stop_timeout = 10s", DISK.format("hung")), conf("web", DISK.format("web")))
    machine.behave("hung", stop_seconds=None)
    job, seconds = shutdown(machine, fail(*XL, fault=GONE))
    assert machine.running == {"hung": "running", "web": "shutdown"} and 100 < seconds <= 120
    assert job.code == 5 and "still running: hung; who is left is only known from xenstore" in job.result["message"]


def test_without_xl_and_xenstore_nothing_is_known() -> None:
    machine = up(conf("web"))
    job, seconds = shutdown(machine, fail(*XL, "xenstore-", fault=GONE))
    assert machine.running == {"web": "running"} and seconds <= 120
    told = "which guests are left is unknown: cannot find the program xl; nor could xenstore be read: cannot find"
    assert job.code == 5 and told in job.result["message"]


@pytest.mark.parametrize("fault", [HANGS, Fault(status=-9), Fault(status=1)])
def test_an_xl_that_only_fails_for_a_while_is_asked_again(fault: Fault) -> None:
    machine = up(conf("web", DISK.format("web")))
    job, _ = shutdown(machine, fail("xl list", fault=fault, times=2))
    assert (job.code, job.result["message"], machine.running) == (0, "every guest stopped cleanly", {})
    assert not [trace for trace in machine.dom0.trace if "xenstore-list" in trace.text]


def test_without_xl_nothing_follows_but_at_the_shutdown_of_the_host() -> None:
    machine = up(conf("web"))
    daemon = Daemon(machine, fail(*XL, fault=GONE))
    stop = daemon.ask(1, "stop", "web")
    daemon.run(60)
    assert machine.running == {"web": "running"} and stop.code == 1
    assert not [trace for trace in machine.dom0.trace if "xenstore-list" in trace.text]


def test_xenstore_is_not_written_for_one_that_is_gone() -> None:
    machine = up(conf("web"))
    domid = machine.domid("web")

    def faults(argv: Sequence[str], _n: int) -> Fault | None:
        if argv[:2] == ("xl", "shutdown"):
            machine.dom0.execute(["xl", "destroy", str(domid)])
            return Fault()
        return None

    shutdown(machine, faults)
    assert not [text for text in machine.changes() if text.startswith("xenstore-write")]


@pytest.mark.parametrize("moment", [0.0, 0.2, 1.0, 5.0, 30.0, 80.0, 92.0])
def test_xenstored_dies_in_the_middle(moment: float, caplog: pytest.LogCaptureFixture) -> None:
    """All that speaks with it hangs from then on."""
    caplog.set_level(logging.WARNING, logger="xenlocal")
    texts = conf("nas", "stop_timeout = 10s"), conf("web", "stop_timeout = 90s", "after = nas")
    machine = up(*texts, conf("hung", "stop_timeout = 30s"))
    machine.behave("web", stop_seconds=None)
    machine.behave("hung", stop_seconds=None)
    began = machine.dom0.now

    def faults(argv: Sequence[str], _n: int) -> Fault | None:
        dead = machine.dom0.now >= began + moment
        return HANGS if dead and (argv[0].startswith("xenstore-") or argv[0] == "xl") else None

    job, seconds = shutdown(machine, faults)
    assert 90 <= seconds <= 120.5 and job.code == 5
    assert "unknown" in job.result["message"] or "still running" in job.result["message"]
    said = [record.getMessage() for record in caplog.records if "xenstored has usually died" in record.getMessage()]
    assert len(said) == 1


def test_growing_takes_no_time_from_those_behind() -> None:
    machine = up(
        conf("nas", "stop_timeout = 40s", DISK.format("nas")),
        conf("web", "after = nas", "stop_timeout = 20s", "stop_max = 20m", DISK.format("web")),
    )
    machine.behave("web", stop_seconds=None, busy=True)
    machine.behave("nas", stop_seconds=38.0)
    job, seconds = shutdown(machine)
    gone, heard = machine.moments("gone"), machine.moments("heard")
    assert seconds <= 120 and job.result["message"] == "had to be destroyed: web"
    assert 55 <= gone["web"] - heard["web"] < 70 and gone["nas"] - heard["nas"] >= 38


def test_a_shutdown_that_is_asked_for_after_the_deadline_is_tried_once_more() -> None:
    machine = up(conf("hung", "stop_timeout = 10s"))
    machine.behave("hung", stop_seconds=None)
    job, _ = shutdown(machine, fail("xl destroy", fault=HANGS))
    assert job.code == 5 and machine.running
    again, seconds = shutdown(machine)
    assert again.result["message"] == "had to be destroyed: hung" and seconds < 15 and not machine.running


def test_skip_gives_up_on_one_guest_at_once_and_disturbs_no_other() -> None:
    machine = up(conf("nas", "stop_timeout = 50s"), conf("hung", "stop_timeout = 50s", "after = nas"), conf("slow"))
    machine.behave("hung", stop_seconds=None)
    machine.behave("slow", stop_seconds=40.0)
    daemon = Daemon(machine)
    job, skip = daemon.ask(0, "shutdown"), Request("skip", ("hung",))
    ended: list[float] = []
    skip.ended = lambda: ended.append(daemon.work.now() - daemon.began)
    daemon.at(10, lambda: daemon.inbox.ask(skip))
    daemon.run(200)
    gone = machine.moments("gone")
    assert gone["hung"] - daemon.began < 11 and gone["nas"] - daemon.began < 15
    assert skip.code == 0 and ended[0] < 12
    assert 40 <= gone["slow"] - daemon.began < 45
    assert (job.code, job.result["message"]) == (5, "had to be destroyed: hung")


def test_skip_is_for_guests_of_ours_that_run_while_the_host_shuts_down() -> None:
    machine = up(conf("web"), conf("slow"))
    machine.behave("slow", stop_seconds=60.0)
    daemon = Daemon(machine)
    early = daemon.ask(1, "skip", "web")
    daemon.ask(5, "shutdown")
    missing = daemon.ask(10, "skip", "web", "none")
    daemon.run(100)
    assert early.code == 1 and "not shutting down" in early.result["message"]
    assert missing.code == 3 and "named web, none is running; left are: slow" in missing.result["message"]
    assert not [text for text in machine.changes() if "destroy" in text and "slow" in text]


def test_a_skip_that_fails_says_so() -> None:
    machine = up(conf("hung", "stop_timeout = 50s"))
    machine.behave("hung", stop_seconds=None)
    daemon = Daemon(machine, fail("xl destroy", times=1))
    job, skip = daemon.ask(0, "shutdown"), daemon.ask(10, "skip", "hung")
    daemon.run(100)
    assert skip.code == 1 and "injected fault" in skip.result["message"]
    assert (job.code, job.result["message"]) == (5, "had to be destroyed: hung")  # it was tried again


def test_a_word_that_comes_while_the_host_shuts_down_is_answered_at_once() -> None:
    machine = up(conf("hung", "stop_timeout = 50s"))
    machine.behave("hung", stop_seconds=None)
    daemon = Daemon(machine)
    job, start = daemon.ask(0, "shutdown"), Request("start", ("hung",))
    answered: list[float] = []
    start.ended = lambda: answered.append(daemon.work.now() - daemon.began)
    daemon.at(20, lambda: daemon.inbox.ask(start))
    daemon.run(100)
    assert start.code == 1 and answered[0] < 21
    assert 50 <= machine.moments("gone")["hung"] - daemon.began < 53 and job.code == 5


def test_a_daemon_killed_while_it_destroys_a_guest_does_not_hide_that() -> None:
    machine = up(conf("hung", "stop_timeout = 10s"))
    machine.behave("hung", stop_seconds=None)
    daemon = Daemon(machine)
    request = Request("shutdown")

    def killed() -> None:
        raise Killed

    def faults(argv: Sequence[str], _n: int) -> None:
        if "destroy" in argv:
            daemon.at(daemon.work.now() - daemon.began, killed)
            daemon.work.wake()

    daemon.runner.faults = faults
    daemon.at(0, lambda: daemon.inbox.ask(request))
    assert daemon.run_until_killed(1000)
    for domain in machine.dom0.state.domains:  # `xl destroy` goes on
        machine.dom0.execute(["xl", "destroy", str(domain.domid)])
    machine.dom0.advance(machine.dom0.now + 5)
    job, _ = shutdown(machine)
    assert machine.record("hung").off is Off.DESTROYED and not machine.running
    assert (job.code, job.result["message"]) == (5, "had to be destroyed: hung")


def test_a_shell_that_waits_for_one_that_cannot_be_destroyed_is_named_in_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = up(conf("nas"), conf("db", "after = nas", "stop_timeout = 10s"))
    machine.behave("db", stop_seconds=None)
    nas = machine.dom0.state.domain("nas")
    assert nas is not None
    guests.end(machine.dom0, nas, "poweroff")
    request, seconds = shutdown(machine, fail(f"xl destroy {machine.domid('db')}", fault=HANGS))
    assert request.code == 5 and seconds <= 120
    assert "domain/nas: reap failed: its turn did not come before shutdown_deadline was over" in caplog.text
