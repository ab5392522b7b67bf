"""The timelines of `xenlocal plot`, rendered: legible whatever there is to draw."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.drawing.render import SVG, assert_legible, parsed
from tests.unit.engine.rig import Daemon, Machine, conf
from xenlocal.drawing.timeline import timeline
from xenlocal.engine import explain
from xenlocal.model.memory import Memory

HOSTILE = (
    '</title></svg><script>alert(1)</script> & "quoted" \x1b[2J\x00\ud800 \u202edetsrever \u4e2d\u6587 \ufdfd e\u0301'
)


def bar(what: str, begin: float, end: float | None, result: str = "done", critical: bool = False) -> dict[str, Any]:
    well = result in ("done", "ready")
    return {"what": what, "begin": begin, "end": end, "result": result, "well": well, "critical": critical}


def row(target: str, *bars: dict[str, Any], forced: bool = False) -> dict[str, Any]:
    return {"target": target, "forced": forced, "bars": list(bars)}


def data(*rows: dict[str, Any], goal: str = "boot", seconds: float | None = 60.0, message: str = "") -> dict[str, Any]:
    return {"goal": goal, "unix": 1_700_000_000.0, "seconds": seconds, "message": message, "rows": list(rows)}


def booted(count: int, name: str = "{:03}") -> Machine:
    """A host whose guests have waited for each other, every tenth with a new volume."""
    texts = []
    machine = Machine()
    for number in range(count):
        lines = [f"after = {name.format(number // 3)}"] if number else []
        disk = ["[[disk xvda]]", f"volume = vg0/root{number}", "size = 16M"] if number % 10 == 9 else []
        texts.append(conf(name.format(number), *lines, *disk).replace("512M", "16M"))
        machine.behave(name.format(number), boot_seconds=2.0 + number % 7 * 3, stop_seconds=1.0 + number % 4)
    machine.write(*texts)
    machine.disk.memory = Memory()
    Daemon(machine).serve("boot")
    return machine


def drawn(machine: Machine, goal: str) -> tuple[dict[str, Any], str]:
    told = explain.plot(goal, machine.history)
    assert told is not None
    return told, timeline(told)


@pytest.mark.parametrize("count", [1, 12, 100])
def test_a_boot_is_legible(count: int) -> None:
    told, svg = drawn(booted(count, "vm{:03}"), "boot")
    assert len([each for each in told["rows"] if each["target"].startswith("domain/")]) == count
    assert_legible(svg)


def test_names_of_the_greatest_length_are_legible_and_whole() -> None:
    name = "w" * 60 + "{:03}"
    _, svg = drawn(booted(30, name), "boot")
    assert_legible(svg)
    assert {name.format(number) for number in range(30)} < {each.text for each in parsed(svg).iter(f"{SVG}text")}


def test_a_shutdown_names_the_forced_one() -> None:
    machine = booted(12, "vm{:03}")
    machine.behave("vm011", stop_seconds=None)
    machine.write(machine.disk.files["a.conf"].replace("memory", "stop_timeout = 40s\nmemory"))
    Daemon(machine).serve("shutdown")
    told, svg = drawn(machine, "shutdown")
    assert [each["target"] for each in told["rows"] if each["forced"]] == ["domain/vm011"]
    assert_legible(svg)
    words = [each.text for each in parsed(svg).iter(f"{SVG}text")]
    assert {"40 s, destroyed", "had to be destroyed: vm011", "asked, until it is off"} < set(words)
    colours = [each.attrib["fill"] for each in parsed(svg).iter(f"{SVG}rect")]
    assert colours.count("#d55e00") == 2  # its bar, and that of the legend


@pytest.mark.parametrize(
    "told",
    [
        data(),
        data(row("domain/a", bar("start", 0, 0), bar("await", 0, 0, "ready")), seconds=0.0),
        data(row("domain/a", bar("start", 0, 0.001, critical=True), bar("await", 0, 86_000, "ready", True)),
             row("domain/b", *(bar("start", 9 + n / 100, 9.001 + n / 100, "failed: no") for n in range(20))),
             row("domain/c", bar("start", 85_999.9, 86_000)), seconds=86_000.0),
        data(row("domain/a", bar("start", 0, 5), bar("await", 2, 4, "ready"), bar("check", 59.99, 60))),
        data(row("domain/a", bar("stop", 3, None, "no end of it is recorded")),
             row("domain/b", bar("stop", 0, 3, critical=True)), goal="shutdown", seconds=None),
        data(row(f"file//srv/{'x' * 300}/disk.img", bar("create", 0, 60, f"failed: {'no space ' * 40}", True)),
             row(f"domain/{'w' * 63}", bar("stop", 0, 60, f"late: {HOSTILE}"), forced=True),
             row(f"volume/{HOSTILE}", bar("grow", 30, 31, HOSTILE)), message=f"{HOSTILE * 20}{'y' * 500}"),
    ],
    ids=["nothing", "no time", "very long and very short", "at once", "the host went down", "long and hostile text"],
)  # fmt: skip
def test_the_extreme_is_legible(told: dict[str, Any]) -> None:
    assert_legible(timeline(told))


_seconds = st.floats(0, 100_000) | st.floats(0, 1)
_results = st.sampled_from(["done", "ready", "failed: no such file", "late: " + "z" * 99]) | st.text(max_size=90)
_whats = st.sampled_from(["start", "await", "stop", "create", "reap"])


@st.composite
def _bars(draw: st.DrawFn) -> list[dict[str, Any]]:
    times = sorted(draw(st.lists(_seconds, min_size=2, max_size=6)))
    pairs = zip(times[::2], times[1::2], strict=False)
    return [bar(draw(_whats), begin, end, draw(_results), draw(st.booleans())) for begin, end in pairs]


_names = st.builds(
    "{}/{}".format, st.sampled_from(["domain", "file"]), st.text("abcWM._", max_size=63) | st.text(max_size=200)
).filter(lambda target: target.removeprefix("domain/").strip())
_rows = st.lists(
    st.builds(lambda target, bars, forced: row(target, *bars, forced=forced), _names, _bars(), st.booleans())
)


# to shrink takes minutes; how fast the machine is does not matter
@settings(max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(_rows, st.none() | _seconds, st.text(max_size=300))
def test_anything_is_legible(rows: list[dict[str, Any]], seconds: float | None, message: str) -> None:
    ends = [each["end"] for one in rows for each in one["bars"]]
    whole = None if seconds is None else max([seconds, *ends])
    assert_legible(timeline(data(*rows, seconds=whole, message=message)))
