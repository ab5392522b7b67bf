"""Guests that lie, flood and die in a loop: the host looks now and then, and does nothing because of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.adapters.scripted import ScriptedRunner
from tests.unit.engine.rig import Daemon, Machine, conf
from xenlocal.adapters.command import Commands
from xenlocal.adapters.console import RING, Consoles, log_path
from xenlocal.adapters.files import Files
from xenlocal.adapters.probe import HostProber
from xenlocal.adapters.xenstore import XenstoreReader
from xenlocal.engine.ports import Guest
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.memory import Off
from xenlocal.model.probes import ConsoleProbe
from xenlocal.planner.memory import CRASH_CAP
from xenlocal.simulator.runner import SimRunner
from xenlocal.simulator.state import Later

PROBE = ("[[ready]]", "xenstore = data/xenlocal/ready")


def looks(machine: Machine) -> int:
    return sum(trace.what == "command" and trace.text.startswith("xl list") for trace in machine.dom0.trace)


@pytest.mark.parametrize(("slow", "most"), [(0.0, 210), (0.5, 15)])
def test_a_flood_of_events_makes_few_looks(slow: float, most: int) -> None:
    """20 seconds, a hundred events in each. A slow look makes them rarer: the host has other work to do."""
    machine = Machine(conf("web"))
    daemon = Daemon(machine)
    daemon.run(30)
    machine.dom0.trace.clear()
    daemon = Daemon(machine)
    if slow:
        real = daemon.tools.reader.domains

        def domains() -> object:
            daemon.work.sleep(slow)
            return real()

        daemon.tools.reader.domains = domains  # type: ignore[method-assign,assignment]
    daemon.work.turns += [(daemon.began + 1 + number / 100, daemon.inbox.host_event) for number in range(2000)]
    daemon.run(22)
    assert 10 <= looks(machine) <= most
    assert machine.changes() == []


@pytest.mark.parametrize("what", ["poweroff", "crash"])
def test_one_that_dies_in_a_loop_is_given_up(what: str) -> None:
    machine = Machine(conf("web", "on_poweroff = restart", "on_crash = restart"))
    machine.behave("web", later=[Later(1.0, what, 10**6)])
    Daemon(machine).run(3000)
    births = machine.order("born")
    assert 2 <= len(births) <= CRASH_CAP
    assert machine.record("web").off is not None and len(machine.record("web").crashes) <= CRASH_CAP
    assert looks(machine) < 300


def test_one_that_reboots_itself_in_a_loop_is_left_to_xl() -> None:
    machine = Machine(conf("web"))
    machine.behave("web", later=[Later(4.0, "reboot", 10**6)])
    Daemon(machine).run(1000)
    assert [text for text in machine.changes() if text.startswith("xl ")] == []
    assert len(machine.record("web").crashes) == 0
    assert machine.record("web").off in (None, Off.REBOOTING)


def test_one_that_claims_to_hear_and_to_be_ready_gets_its_time_and_no_more() -> None:
    machine = Machine(conf("web", *PROBE))
    machine.behave("web", deaf=True, write={"data/xenlocal/ready": 0.0})
    daemon = Daemon(machine)
    stop = daemon.ask(60, "stop", "web")
    daemon.run(60 + 300 + 60)
    assert stop.finished and "web" not in machine.running
    assert machine.moments("gone")["web"] - machine.moments("born")["web"] >= 300


def test_what_a_guest_writes_into_its_xenstore_directory_makes_no_answer_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As many nodes as xenstored allows it. Only what a probe names is read of them."""
    real, answers = SimRunner.run, []

    def run(self: SimRunner, argv: Sequence[str], *rest: Any, **more: Any) -> str:
        said = real(self, argv, *rest, **more)
        if argv[0].startswith("xenstore"):
            answers.append(len(said))
        return said

    def printed(nodes: int) -> list[int]:
        answers.clear()
        web, db = (conf(name, "[[disk xvda]]", f"volume = vg0/{name}", "size = 1G", *PROBE) for name in ("web", "db"))
        machine = Machine(web)
        machine.behave("web", write={"data/xenlocal/ready": 0.0, **{f"data/{n}": 0.0 for n in range(nodes)}})
        daemon = Daemon(machine)
        daemon.edit(100, web, db)  # before a start all devices are looked at
        daemon.run(1000)
        return list(answers)

    monkeypatch.setattr(SimRunner, "run", run)
    quiet = printed(0)
    assert max(quiet) > 1000 and printed(1000) == quiet


NODE = (3, "data/xenlocal/ready")
READ = ("xenstore-read", "/local/domain/3/data/xenlocal/ready")


@pytest.mark.parametrize(
    "value", ["", "x" * 4096, '"\\n\\r\\x1b[2J\\200\\377"', '1"', "couldn't read path /local", "%s", "\u202e"]
)
def test_what_a_guest_wrote_is_one_value(value: str) -> None:
    """As the tool prints it: escaped (adapters/xenstore.py)."""
    assert XenstoreReader(ScriptedRunner((READ, f"{value}\n"))).nodes([NODE]) == {NODE: value}


@pytest.mark.parametrize("printed", ["1\n1\n", "", "1", "\n\n"])
def test_an_answer_of_another_shape_is_no_answer(printed: str) -> None:
    with pytest.raises(CommandFailed):
        XenstoreReader(ScriptedRunner((READ, printed))).nodes([NODE])


def test_a_guest_cannot_make_the_answer_to_another_path_look_missing() -> None:
    """Its value is what the tool says of a path that is not there."""
    nodes = [NODE, (4, "data/xenlocal/ready")]
    paths = [f"/local/domain/{domid}/{path}" for domid, path in nodes]
    said = f"couldn't read path {paths[1]}"
    runner = ScriptedRunner((("xenstore-read", *paths), f"{said}\n1\n"))
    assert XenstoreReader(runner).nodes(nodes) == {nodes[0]: said, nodes[1]: "1"}


class Log(Files):
    """The log of a console at another place."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_on(self, path: str, place: str, limit: int) -> tuple[str, str] | None:
        return super().read_on(str(self.path) if path == log_path("web") else path, place, limit)


FLOODS: dict[str, bytes] = {
    "one line without end": b"x" * (1 << 18),
    "empty lines": b"\n" * (1 << 18),
    "escapes": b"\x1b[31m" * (1 << 18),
    "titles without end": b"\x1b]0;" * (1 << 18),
    "escapes cut short": b"\x1b" * (1 << 20),
    "carriage returns": b"\r" * (1 << 18),
    "no UTF-8": b"\xff\xfe\x80" * (1 << 18),
    "NUL": b"\0" * (1 << 18),
    "marks": "\u202e\u2028".encode() * (1 << 18),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flooded_console_is_a_bounded_ring_of_harmless_text(tmp_path: Path, kind: str) -> None:
    (tmp_path / "log").write_bytes(FLOODS[kind])
    consoles = Consoles(Log(tmp_path / "log"), str(tmp_path / "console"))
    for _ in range(3):
        consoles.keep("web", "ended")
        with open(tmp_path / "log", "ab") as log:
            log.write(FLOODS[kind])
    kept = (tmp_path / "console/web.log").read_text()
    assert len(kept) <= RING and kept.endswith("[ended]\n")
    shown, _ = consoles.read("web")
    assert len(shown) <= RING
    assert all(line.replace("\t", "").isprintable() for line in shown.split("\n"))


@pytest.mark.parametrize("kind", ["one line without end", "escapes", "NUL"])
@pytest.mark.parametrize("pattern", ["login:", "(x+x+)+y"])
def test_a_flooded_console_does_not_hold_its_probe(tmp_path: Path, kind: str, pattern: str) -> None:
    """The real grep, which gives up by itself or at its time limit. Either way it is not ready."""
    (tmp_path / "log").write_bytes(FLOODS[kind])
    prober = HostProber(Commands(), Log(tmp_path / "log"))
    try:
        why = prober.why_not(ConsoleProbe(pattern), Guest("web", 3, ""))
    except XenlocalError as error:
        why = str(error)
    assert why and why.isprintable()
