"""The daemon rehearses a reboot of the host by itself, whenever something has changed; the findings are in `status`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.unit.engine.rig import Daemon, Machine, conf
from xenlocal.engine.foresight import Foresight
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Memory
from xenlocal.model.names import THIS_HOST, domain
from xenlocal.model.plan import Notice


class Rehearsals:
    """A Rehearser that takes some seconds, and finds whatever the test says."""

    def __init__(self, seconds: float = 3.0) -> None:
        self.began: list[float] = []
        self.found: Callable[[], Sequence[Notice]] = tuple
        self._seconds = seconds
        self.daemon: Daemon | None = None

    def rehearse(self) -> Sequence[Notice]:
        assert self.daemon is not None
        self.began.append(self.daemon.work.now() - self.daemon.began)
        self.daemon.work.sleep(self._seconds)
        return self.found()


def with_foresight(machine: Machine, rehearsals: Rehearsals) -> Daemon:
    daemon = Daemon(machine)
    rehearsals.daemon = daemon
    daemon.loop._foresight = Foresight(rehearsals, daemon.work)
    return daemon


def status(daemon: Daemon) -> dict[str, Any]:
    found = daemon.loop.status()
    assert found is not None
    return found


def test_once_for_each_change_and_never_for_a_cycle_without_one() -> None:
    rehearsals = Rehearsals()
    daemon = with_foresight(Machine(conf("web")), rehearsals)
    daemon.edit(2000, conf("web"), conf("db"))
    daemon.run(6000)  # nine times resync
    first, second = rehearsals.began
    assert first < 100 and 2000 < second < 2100


def test_a_kernel_that_goes_missing_is_noticed_at_the_next_cycle() -> None:
    machine, rehearsals = Machine(conf("web")), Rehearsals()
    daemon = with_foresight(machine, rehearsals)
    daemon.at(1000, machine.dom0.state.patterns.clear)
    daemon.at(1000, daemon.inbox.look_again)
    daemon.at(1000, lambda: setattr(rehearsals, "found", lambda: [Notice(domain("web"), "would not come back")]))
    seen: list[Any] = []
    daemon.at(1010, lambda: seen.append(status(daemon)["domains"][0]["notices"]))
    daemon.run(1020)
    assert len(rehearsals.began) == 2 and 1000 <= rehearsals.began[1] < 1005
    ((kept, foreseen),) = seen
    assert "it is started from the copy that is kept" in kept and foreseen == "would not come back"


def test_a_change_while_one_is_under_way_is_followed_by_another() -> None:
    rehearsals = Rehearsals(seconds=60)
    daemon = with_foresight(Machine(conf("web")), rehearsals)
    daemon.edit(40, conf("web"), conf("db"))
    daemon.run(500)
    assert len(rehearsals.began) == 2 and rehearsals.began[1] - rehearsals.began[0] > 59


def test_once_a_day_since_not_every_cause_is_seen_by_a_cycle() -> None:
    rehearsals = Rehearsals()
    with_foresight(Machine(conf("web")), rehearsals).run(3 * 86_400 + 5000)
    assert len(rehearsals.began) == 4


def test_not_while_the_files_are_not_valid() -> None:
    machine, rehearsals = Machine(conf("web")), Rehearsals()
    daemon = with_foresight(machine, rehearsals)
    daemon.edit(300, "[domain web\n")
    daemon.at(400, machine.dom0.state.patterns.clear)
    daemon.at(400, daemon.inbox.look_again)
    daemon.run(3000)
    assert len(rehearsals.began) == 1


def test_not_while_the_host_shuts_down() -> None:
    rehearsals = Rehearsals()
    daemon = with_foresight(Machine(conf("web")), rehearsals)
    daemon.ask(300, "shutdown")
    daemon.run(3000)
    assert len(rehearsals.began) == 1


def test_not_before_the_boot_goal_has_run() -> None:
    machine, rehearsals = Machine(conf("web")), Rehearsals()
    machine.disk.memory = Memory()
    daemon = with_foresight(machine, rehearsals)
    daemon.ask(300, "boot")
    daemon.run(900)
    assert len(rehearsals.began) == 1 and rehearsals.began[0] > 300


def test_what_cannot_be_rehearsed_is_said(caplog: Any) -> None:
    def fail() -> Sequence[Notice]:
        raise XenlocalError("cannot rehearse: storage unknown: lvm hangs")

    rehearsals = Rehearsals()
    rehearsals.found = fail
    daemon = with_foresight(Machine(conf("web")), rehearsals)
    daemon.run(1000)
    told = "what a reboot of this host would do is unknown: cannot rehearse: storage unknown: lvm hangs"
    assert status(daemon)["host"]["notices"] == [told]
    assert [record.getMessage() for record in caplog.records].count(f"{THIS_HOST}: {told}") == 1


def test_what_was_unknown_is_asked_again_after_the_next_cycle() -> None:
    rehearsals, failed = Rehearsals(), list[bool]()

    def fail_once() -> Sequence[Notice]:
        if not failed:
            failed.append(True)
            raise XenlocalError("`xenlocal rehearse` had no end after 120 s")
        return [Notice(domain("web"), "would not come back")]

    rehearsals.found = fail_once
    daemon = with_foresight(Machine(conf("web")), rehearsals)
    daemon.run(1300)  # twice resync
    found = status(daemon)
    assert len(rehearsals.began) == 2 and found["host"]["notices"] == []
    assert found["domains"][0]["notices"] == ["would not come back"]


def test_a_fault_of_ours_ends_neither_the_daemon_nor_the_next_rehearsal() -> None:
    rehearsals = Rehearsals()
    rehearsals.found = lambda: [][0]
    daemon = with_foresight(Machine(conf("web")), rehearsals)
    daemon.edit(500, conf("web"), conf("db"))
    daemon.at(500, lambda: setattr(rehearsals, "found", tuple))
    daemon.run(1000)
    assert len(rehearsals.began) == 2 and status(daemon)["host"]["notices"] == []
