"""Two daemons, a daemon that was killed, and clocks that jump by years."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.hostile.daemon import WEB, Home, running
from tests.unit.engine.rig import Daemon, Machine, conf
from xenlocal.adapters.history import SqliteHistory
from xenlocal.adapters.work import ThreadWork
from xenlocal.model.clock import iso, moment, since
from xenlocal.model.history import Event, Query, Stamp, What
from xenlocal.model.names import parse_trash_name, trash_name

YEAR = 365 * 86_400.0


def test_the_second_daemon_names_the_first_and_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path, web=WEB)
    with running(home) as first:
        second = home.call("run")
        assert second.returncode == 75
        assert f"process {first.pid}" in second.stderr and "Traceback" not in second.stderr
        assert home.answers(), "the socket is still the first one's"
        first.send_signal(signal.SIGKILL)
        first.wait(60)
        with running(home) as third:
            assert (home.run / "lock").read_text() == f"{third.pid}\n"


def test_a_socket_that_is_none_keeps_the_daemon_from_starting(tmp_path: Path) -> None:
    home = Home(tmp_path, web=WEB)
    home.run.mkdir(mode=0o700)
    (home.run / "control.sock").write_text("mine")
    said = home.call("run")
    assert said.returncode == 1
    assert f"type: rm -r {home.run}/control.sock" in said.stderr and "Traceback" not in said.stderr
    assert (home.run / "control.sock").read_text() == "mine"


@pytest.mark.parametrize("jump", [-60 * YEAR, -YEAR, YEAR, 400 * YEAR, 9000 * YEAR])
def test_a_clock_that_jumps_changes_no_decision(jump: float) -> None:
    """Everything that waits goes by the monotonic clock."""

    def day(by: float) -> list[str]:
        machine = Machine(conf("web"), conf("db", "after = web"))
        daemon = Daemon(machine)
        clock = daemon.work.wall
        daemon.work.wall = lambda: clock() + (by if daemon.work.now() > 1010 else 0)  # type: ignore[method-assign]
        stop = daemon.ask(40, "stop", "web")
        daemon.run(200)
        assert stop.code == 0
        status = daemon.loop.status()
        assert status is not None and len(status["domains"]) == 2
        return machine.changes()

    assert day(jump) == day(0)


@pytest.mark.parametrize("unix", [-1e18, -1.0, 0.0, 1e9, 1e12, 1e18, float("inf"), float("-inf"), float("nan")])
def test_any_time_can_be_shown(unix: float) -> None:
    assert iso(unix) and moment(unix) and since(unix, 1e9) and since(1e9, unix)


def test_the_history_is_in_the_order_in_which_things_happened(tmp_path: Path) -> None:
    walls = [1e9, 1e9 + 50 * YEAR, 1e9 - 30 * YEAR, 1e9 + 1]
    history = SqliteHistory(str(tmp_path / "history.db"))
    for number, wall in enumerate(walls):
        history.record((Event(Stamp(wall, float(number), "boot"), "domain/web", What.BORN),))
    history.close()
    assert [entry.stamp.wall for entry in history.read(Query())] == walls
    assert [entry.stamp.wall for entry in history.read(Query(since=1e9))] == [walls[0], walls[1], walls[3]]
    assert [entry.stamp.wall for entry in history.read(Query(limit=2))] == walls[2:]


@pytest.mark.parametrize("wall", [0.0, 1.0, 1e9, 4e9, 253_402_300_799.0])
def test_what_was_retired_at_an_odd_time_is_found_again(wall: float) -> None:
    assert parse_trash_name(trash_name("web-root", wall)) == (int(wall), "web-root")


def test_a_real_wait_does_not_look_at_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    work = ThreadWork()
    began = work.now()
    work.wait(began + 0.05)
    assert work.now() >= began + 0.05
    work.close()
