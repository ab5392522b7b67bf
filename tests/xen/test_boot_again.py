"""A dom0 that hangs while it boots is booted once more, and only such a one. Without QEMU: what it shows is made up."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rig import machine
from rig.image import Image
from rig.machine import Machine
from rig.wait import Overdue, wait_for

SOFT = "[  61.2] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [swapper/1:0]\n"
RCU = "[  61.2] rcu: INFO: rcu_sched self-detected stall on CPU\n"
OTHERS = "[  61.2] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n"
PANIC = "[  1.2] Kernel panic - not syncing: VFS: Unable to mount root fs\n"


class Process:
    def poll(self) -> None:
        return None


class Shown:
    """A QEMU that prints this; its agent comes where it `boots`, and says that the boot ended in this state."""

    def __init__(self, work: Path, peer: socket.socket, console: str, state: str) -> None:
        self.process, self.killed, self._state = Process(), False, state
        with open(work / "console.log", "a") as log:
            log.write(console)
        if state:
            threading.Thread(target=self._answer, args=(peer.dup(),), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rwb") as lines:
            lines.write(json.dumps({"id": 0, "boot": "b"}).encode() + b"\n")
            lines.flush()
            request = json.loads(lines.readline())
            lines.write(json.dumps({"id": request["id"], "rc": 0, "out": self._state, "err": ""}).encode() + b"\n")

    def kill(self) -> None:
        self.killed = True


def boot(monkeypatch: pytest.MonkeyPatch, work: Path, *shows: tuple[str, str]) -> list[Shown]:
    """Boot a machine that shows this in turn: console, and the state that the boot ends in ("": no agent comes)."""
    made: list[Shown] = []

    def start(_image: object, _hardware: object, _disks: object, work: Path, peer: socket.socket, _in: str) -> Shown:
        made.append(Shown(work, peer, *shows[len(made)]))
        return made[-1]

    def wait(condition: Callable[[], bool], timeout: float, what: str) -> bool:
        """No time is spent on an agent that does not come."""
        return wait_for(condition, timeout if shows[len(made) - 1][1] else 0, what)

    monkeypatch.setattr(machine, "Qemu", start)
    monkeypatch.setattr(machine, "wait_for", wait)
    monkeypatch.setattr(machine, "overlay", lambda *_: None)
    host = Machine(Image("bookworm", "key", work, "6.1"), work)
    try:
        host.boot(timeout=60)
    finally:
        assert [each.killed for each in made] == [True] * (len(made) - 1) + [False], "none is left beside the next"
        host.close()
    return made


@pytest.mark.parametrize("said", [SOFT, RCU, OTHERS])
def test_one_that_hangs_is_booted_once_more_and_that_is_said(
    said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="booted once more: no agent within 60 s, and '(BUG: soft lockup|rcu_).*'$"):
        made = boot(monkeypatch, tmp_path, (f"Xen 4.17\n{said}more\n", ""), ("Xen 4.17\n", "running"))
    assert len(made) == 2


def test_it_is_not_booted_a_third_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="once more"), pytest.raises(Overdue, match="agent of a new boot"):
        boot(monkeypatch, tmp_path, (SOFT, ""), (SOFT, ""))


@pytest.mark.filterwarnings("error:booted once more")
@pytest.mark.parametrize(
    ("console", "state", "failure"),
    [("", "", "agent of a new boot"), (PANIC, "", "agent of a new boot"), (SOFT, "maintenance", "in state")],
)
def test_any_other_failure_stays_one(
    console: str, state: str, failure: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(Overdue, match=failure):
        boot(monkeypatch, tmp_path, (console, state))


@pytest.mark.filterwarnings("error:booted once more")
def test_what_an_earlier_boot_said_is_no_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "console.log").write_text(SOFT)
    with pytest.raises(Overdue, match="agent of a new boot"):
        boot(monkeypatch, tmp_path, ("", ""))
    boot(monkeypatch, tmp_path, (SOFT, "running"))
