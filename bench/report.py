"""Aims and what was measured, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True)
class Line:
    what: str
    aim: str
    measured: str
    met: bool | None = None
    """None: no aim, for comparison."""


def lines(figures: dict[str, Any]) -> list[Line]:
    """Every figure that has an aim, and those it is compared with."""
    return [
        *_sizes(figures["sizes"]),
        *_stop(figures["stop"]),
        *_daemon(figures["daemon"]),
        *_growth(figures["growth"]),
        *_schedule(figures["schedule"]),
    ]


_START: dict[str, tuple[str, str, int | None]] = {
    "processes": ("processes to start {} domUs", "", 5),
    "seconds": ("wall time until the last of {} is started", " s", 8),
    "until_end": ("wall time until the end of it; {} are ready then (ours alone)", " s", None),
    "cpu": ("CPU time to start {} domUs", " s", None),
}
"""Key, description, unit, and how many times less than xendomains is the aim at 100 domUs."""


def _sizes(sizes: list[dict[str, Any]]) -> Iterator[Line]:
    cycles = {len(each["cycle"]) for each in sizes}
    for each in sizes:
        cycle = each["cycle"]
        constant = len(cycles) == 1 and len(cycle) <= 3
        yield Line(
            f"commands of a cycle without a change, {each['domUs']} domUs",
            "at most 3, constant",
            str(len(cycle)),
            constant,
        )
    for each in sizes:
        text = f"{each['plan'] * 1000:.1f} ms (reading the files: {each['read'] * 1000:.0f} ms)"
        aim, met = ("100 ms", each["plan"] <= 0.1) if each["domUs"] == 1000 else ("-", None)
        yield Line(f"planner, {each['domUs']} domUs", aim, text, met)
    for each in sizes:
        ours, peer, floor = each["xenlocal"], each["xendomains"], each["floor"]
        count, judged = each["domUs"], each["domUs"] == 100
        for key, (what, unit, factor) in _START.items():
            ratio = peer[key] / ours[key]
            others = [f"xendomains {peer[key]}{unit}", f"floor {floor[key]}{unit}"]
            others += [f"floor through sh {each['sh'][key]}{unit}"] if key in each["sh"] else []
            others += [f"upstream's {each['upstream'][key]}{unit}"] if "upstream" in each else []
            text = f"{ours[key]}{unit}: {ratio:.1f} times less ({', '.join(others)})"
            aim = f"{factor} times less" if factor and judged else "-"
            yield Line(what.format(count), aim, text, ratio >= factor if factor and judged else None)


def _stop(stop: dict[str, Any]) -> Iterator[Line]:
    guests, patience = stop["guests"], stop["patience"]
    installed = guests * 301  # xendomains waits for one after the other, and a second more for each
    text = (
        f"{stop['xenlocal']:.1f} s (xendomains {stop['xendomains']:.1f} s, and leaves them; as installed {installed} s)"
    )
    what = f"stop of {guests} domUs that hang, {patience} s for each"
    yield Line(what, f"{patience} s and 2 s", text, stop["xenlocal"] <= patience + 2)


def _growth(growth: dict[str, Any]) -> Iterator[Line]:
    rss, threads, descriptors = growth["rss_bytes"] / MIB, growth["threads"], growth["descriptors"]
    text = f"{rss:.2f} MB, {descriptors} descriptors, {threads} threads ({growth['seconds']:.0f} s)"
    met = rss <= 1 and descriptors <= 0 and threads <= 0
    yield Line(f"growth of the daemon over {growth['edits']} edits", "at most 1 MB, no descriptor", text, met)


def _daemon(daemon: dict[str, Any]) -> Iterator[Line]:
    edit, idle = daemon["edit"], daemon["idle"]
    text = f"{edit['p50'] * 1000:.0f} ms, {edit['p99'] * 1000:.0f} ms (100 ms of each: is it complete?)"
    yield Line(f"from an edit to the first command, p50 and p99 of {edit['edits']}", "-", text)
    wakeups = f"{idle['wakeups']} in {idle['seconds']:.0f} s, {idle['expected']} of them for the watchdog"
    yield Line("wake-ups of the idle daemon", "watchdog, resync", wakeups, idle["wakeups"] <= 2 * idle["expected"] + 2)
    yield Line("CPU of the idle daemon", "-", f"{idle['cpu_seconds']:.2f} s in {idle['seconds']:.0f} s")
    rss = idle["rss_bytes"] / MIB
    yield Line(f"RSS of the daemon, {daemon['domUs']} domUs", "at most 30 MB", f"{rss:.1f} MB", rss <= 30)
    commands = daemon["command_line"]
    for verb, times in commands.items():
        text = f"{times['least'] * 1000:.0f} ms, {times['median'] * 1000:.0f} ms"
        aim, met = ("-", None) if verb == "python" else ("at most 120 ms", times["least"] <= 0.12)
        what = "python3 -c pass" if verb == "python" else f"xenlocal {verb}"
        yield Line(f"wall time of `{what}`, least and median of 20", aim, text, met)


def _schedule(ratios: dict[str, Any]) -> Iterator[Line]:
    text = f"{ratios['median']:.3f}, {ratios['p99']:.3f} (groups with a barrier: {ratios['barrier_median']:.2f})"
    met = ratios["median"] <= 1.03 and ratios["p99"] <= 1.1
    what = f"start of {ratios['graphs']} random hosts by the shortest possible, median and p99"
    yield Line(what, "1.03, 1.10", text, met)


def table(found: list[Line]) -> str:
    """For a terminal."""
    head = Line("", "AIM", "MEASURED")
    widths = [max(len(getattr(line, key)) for line in (head, *found)) for key in ("what", "aim", "measured")]
    verdicts = {None: "", True: "met", False: "MISSED"}
    rows = (
        f"{line.what:<{widths[0]}}  {line.aim:<{widths[1]}}  {line.measured:<{widths[2]}}  {verdicts[line.met]}"
        for line in (head, *found)
    )
    return "\n".join(row.rstrip() for row in rows)
