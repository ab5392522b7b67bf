"""A simulated dom0 in a FILE: commands chain, a live one notices what others do, and the command line pokes at it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.simulator.support import config
from xenlocal.simulator import guests
from xenlocal.simulator.__main__ import main
from xenlocal.simulator.coding import to_json
from xenlocal.simulator.filebacked import FileBackedDom0
from xenlocal.simulator.runner import SimRunner
from xenlocal.simulator.work import VirtualWork


class Clock:
    """Real seconds, as the test says."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds


def until(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen")


def test_a_missing_file_becomes_a_small_host_and_commands_chain(tmp_path: Path) -> None:
    path = str(tmp_path / "host.json")
    for line in (["ip", "link", "add", "name", "br0", "type", "bridge"], ["ip", "link", "set", "dev", "br0", "up"]):
        dom0 = FileBackedDom0(path)
        SimRunner(dom0, VirtualWork(dom0)).run(line)
        dom0.close()
    again = FileBackedDom0(path)
    link = again.state.link("br0")
    assert link is not None and link.up and again.now == pytest.approx(0.02)
    assert again.state.groups[0].name == "vg0" and not again.live
    assert (tmp_path / "host.json").read_text() == to_json(again.state)


def test_xl_create_reads_the_real_file_that_the_adapter_wrote(tmp_path: Path) -> None:
    dom0 = FileBackedDom0(str(tmp_path / "host.json"))
    written = tmp_path / "web.cfg"
    written.write_text(config("web", disk=[], vif=[]))
    SimRunner(dom0, VirtualWork(dom0)).run(["xl", "create", "-q", str(written)])
    assert FileBackedDom0(str(tmp_path / "host.json")).state.domains[0].name == "web"


def test_nonsense_in_the_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    dom0 = FileBackedDom0(str(path))
    path.write_text('{"cpus": "many"}')
    with pytest.raises(ValueError, match=r"host\.cpus"):
        dom0.execute(["xl", "list"])
    with pytest.raises(ValueError, match=r"host\.cpus"):
        FileBackedDom0(str(path))
    assert path.read_text() == '{"cpus": "many"}'


def test_live_time_follows_the_clock_at_its_scale_and_announces_what_others_do(tmp_path: Path) -> None:
    path, clock = str(tmp_path / "host.json"), Clock()
    live = FileBackedDom0(path, live=True, clock=clock)
    try:
        assert live.live and live.state.time_scale == 0.2
        clock.seconds += 2
        assert live.now == pytest.approx(10)
        woken = threading.Event()
        live.watch(woken.set)
        woken.clear()
        other = FileBackedDom0(path, clock=clock)
        assert other.live
        other.execute(["ip", "link", "add", "name", "br0", "type", "bridge"])
        with other.hold():
            guests.create(other, {"name": "x", "memory": 256, "kernel": "/boot/vmlinuz"})
        other.close()
        until(woken.is_set)
        assert [domain.name for domain in live.state.domains] == ["x"]
        woken.clear()
        with live.hold() as state:
            state.behaviours["x"].stop_seconds = 4.0
        clock.seconds += 10
        live.execute(["xl", "shutdown", "1"])
        clock.seconds += 2
        until(woken.is_set)
        assert live.state.domains == []
        threading.Timer(0.1, clock.pass_by, [10]).start()
        other = FileBackedDom0(path, clock=clock)
        before = other.now
        other.advance(before + 5)
        assert before + 5 <= other.now <= before + 60
        other.close()
    finally:
        live.close()
    after = FileBackedDom0(path, clock=clock)
    clock.seconds += 100
    assert not after.live and after.now < 200


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "host.json")

    def run(*words: str) -> str:
        code = main([path, *words])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    run("bridge", "br0")
    run("listen", "x", "192.0.2.9:22", "4")
    run("guest", "x", "--boot", "1", "--stop", "2")
    assert run("add-foreign", "x", "--bridge", "br0", "--memory", "256") == "1\n"
    run("wait", "5")
    assert "domain 1 x running 256M can be stopped" in run("show")
    assert "x      " in run("run", "xl", "list")
    run("reboot", "x")
    run("wait", "9")
    assert json.loads(run("show", "--json"))["domains"][0]["domid"] == 2
    run("data", "x", "data/up", "yes")
    assert run("run", "xenstore-read", "/local/domain/2/data/up") == "yes\n"
    run("say", "x", "x login: ")
    assert "guest-x.log" in run("show", "--json")
    run("answer", "x", "192.0.2.9", "0")
    run("program", "/usr/local/bin/true", "0", "--seconds", "2")
    for probe in ("/usr/local/bin/true", "ping -c 1 192.0.2.9"):
        run("run", "--", *probe.split())
    run("hang", "x")
    run("run", "--", "xl", "shutdown", "-F", "2")
    run("wait", "60")
    run("destroy", "x")
    for verb in ("crash", "poweroff"):
        run("add-foreign", "x")
        run(verb, "x")
        run("wait", "1")
    run("guest", "x", "--loses", "1", "--writes", "60", "--deaf", "yes")
    behaviour = json.loads(run("show", "--json"))["behaviours"]["x"]
    assert (behaviour["loses"], behaviour["write_seconds"], behaviour["deaf"]) == (1, 60, True)
    run("volume", "vg0/foreign", "64")
    run("add-path", "/srv/x")
    run("remove-path", "/srv/x")
    assert "volume vg0/foreign 64M" in run("show") and "domain" not in run("show").split("\n", 1)[1]


@pytest.mark.parametrize(
    "words",
    [["crash", "x"], ["bridge", "eno1"], ["volume", "vg9/x", "1"], ["remove-path", "/x"], ["data", "x", "data/a", "1"]],
)
def test_mistakes_of_who_types_are_named(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "host.json"), *words]) == 1
    assert capsys.readouterr().err.startswith(f"cannot {words[0]}: ")


def test_a_command_that_fails_ends_the_command_line_with_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "host.json"), "run", "lvremove", "--yes", "vg0/x"])
    assert caught.value.code == 5
