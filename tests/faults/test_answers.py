"""What tools answer: the readers on every byte prefix of it, recorded and simulated alike; and the simulator's answers
beside those of the real host, in the same states: no other keys, no other columns, the same facts for the readers.

What the adapters never run (`xl vcpu-list`, `bridge`, ...) is recorded, and not simulated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.simulator.support import config, host
from xenlocal.adapters import iproute, lvm, xenstore, xl
from xenlocal.adapters.lvm import REPORT
from xenlocal.model.errors import XenlocalError
from xenlocal.model.observed import Link
from xenlocal.simulator.host import SimulatedDom0

RECORDS = Path(__file__).parents[1] / "records"
UNIT = Path(__file__).parents[1] / "unit" / "adapters"
REPORTS = ("fullreport-bookworm.json", "thin-and-shared-bookworm.json")
SUITES = ("bookworm", "trixie")
STATES = ("empty", "volumes", "running", "paused", "poweredoff", "crashed")
LVS = "vg_name,lv_name,lv_uuid,lv_size,lv_attr,lv_tags,lv_device_open,lv_path,pool_lv,origin"
VGS = "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_attr"
JSON = {
    "xl-list-l.json": ("xl", "list", "-l"),
    "lvs.json": ("lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", LVS),
    "vgs.json": ("vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", VGS),
    "ip-link.json": ("ip", "-j", "-d", "link"),
    "ip-addr.json": ("ip", "-j", "-d", "addr"),
    "ip-route.json": ("ip", "-j", "route", "show", "default"),
}


def recorded(suite: str, state: str, name: str) -> str:
    return (RECORDS / suite / state / name).read_text("utf-8", "backslashreplace")


def simulated(state: str) -> SimulatedDom0:
    """The state of that name, as tests/xen/record.py makes it."""
    kept = state in ("poweredoff", "crashed")
    names = () if state in ("empty", "volumes") else ("one",) if kept else ("one", "two", "three")
    dom0 = host("one", "two", "three") if state != "empty" else host()
    if state == "empty":
        dom0.state.groups, dom0.state.routes, dom0.state.links = [], [], dom0.state.links[:2]
    else:
        dom0.execute(["lvchange", "--addtag", "xenlocal", "vg0/one-root"])
        if state == "volumes":
            dom0.execute(["lvchange", "--activate", "n", "vg0/three-root"])
    for number, name in enumerate(names):
        kind = "pvh" if name == "three" else "pv"
        uuid = f"{number:08x}-2222-3333-4444-555555555555"
        text = config(name, uuid=uuid, type=kind, cmdline="quiet")
        dom0.state.texts[f"/etc/xen/{name}.cfg"] = text if kept else re.sub("on_(poweroff|crash) .*\n", "", text)
        assert not dom0.execute(["xl", "create", "-q", f"/etc/xen/{name}.cfg"]).status
        dom0.advance(dom0.now + 20)
    for domid in range(1, len(names) + 1):
        if state == "paused" and domid == 2:
            dom0.execute(["xl", "pause", str(domid)])
        elif kept:
            dom0.schedule(0, "end", domid, "poweroff" if state == "poweredoff" else "crash")
    dom0.advance(dom0.now + 20)
    return dom0


def paths(value: Any, at: str = "") -> Iterator[str]:
    """Where in a JSON value there is something, with all elements of a list taken for one."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from paths(each, f"{at}/{key}")
    elif isinstance(value, list):
        for each in value:
            yield from paths(each, f"{at}[]")
    yield at


def said(dom0: SimulatedDom0, *argv: str) -> str:
    answer = dom0.execute(argv)
    assert answer.status == 0, answer
    return answer.stdout


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", JSON)
def test_the_simulator_makes_up_no_key(name: str, state: str) -> None:
    real = {path for suite in SUITES for path in paths(json.loads(recorded(suite, state, name)))}
    made_up = set(paths(json.loads(said(simulated(state), *JSON[name])))) - real
    assert not made_up


@pytest.mark.parametrize("state", STATES[1:])
def test_the_report_of_lvm_that_is_asked_for_has_the_keys_of_a_recorded_one(state: str) -> None:
    real = {path for file in REPORTS for path in paths(json.loads((UNIT / file).read_text()))}
    assert set(paths(json.loads(said(simulated(state), *REPORT)))) == real


def facts(link: Link) -> tuple[object, ...]:
    return link.kind, link.up, link.stp is None, link.vlan_filtering is None


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("state", STATES)
def test_the_readers_see_the_same_in_both(suite: str, state: str) -> None:
    dom0 = simulated(state)
    header, *rows = said(dom0, "xl", "list", "-v").splitlines()
    assert header == recorded(suite, state, "xl-list-v.txt").splitlines()[0]
    assert said(dom0, "xl", "list").splitlines()[0] == recorded(suite, state, "xl-list.txt").splitlines()[0]
    real = xl.parse_list(recorded(suite, state, "xl-list-v.txt"))
    found = xl.parse_list("\n".join((header, *rows, "")))
    assert {each.state for each in found.domains.values()} == {each.state for each in real.domains.values()}
    columns = {len(row) for row in recorded(suite, state, "xl-list-v.txt").splitlines()[1:]}
    assert {len(row) for row in rows} <= columns
    assert set(xl.parse_info(said(dom0, "xl", "info"))) == set(xl.parse_info(recorded(suite, state, "xl-info.txt")))
    links = iproute.parse_links(recorded(suite, state, "ip-addr.json")).values()
    simulated_links = iproute.parse_links(said(dom0, "ip", "-j", "-d", "addr", "show")).values()
    assert {facts(each) for each in simulated_links if each.kind == "vif"} <= {facts(each) for each in links}
    store = xenstore.parse(recorded(suite, state, "xenstore-ls-f.txt"))
    vbds = xenstore.parse(said(dom0, "xenstore-ls", "-f", "/local/domain/0")).vbds
    assert bool(store.vbds) == bool(vbds) and {each.writable for each in vbds} == {each.writable for each in store.vbds}


@pytest.mark.parametrize("state", STATES)
def test_the_simulator_makes_up_no_node_of_xenstore(state: str) -> None:
    def shapes(text: str) -> set[str]:
        return {re.sub(r"\d+|[0-9a-f]{8}-[-0-9a-f]+", "N", line.split(" = ")[0]) for line in text.splitlines()}

    own = shapes(said(simulated(state), "xenstore-ls", "-f", "/local/domain"))
    real = set.union(*(shapes(recorded(suite, state, "xenstore-ls-f.txt")) for suite in SUITES))
    assert not own - real


@pytest.mark.parametrize(("state", "how"), [("rebooting", "reboot"), ("dying", "destroy")])
def test_rows_on_the_way_out_are_rows_that_were_recorded(state: str, how: str) -> None:
    """Row by row through a reboot, and through a destroy: each state letter that is shown was seen on a real host."""
    dom0 = simulated("running")
    if how == "reboot":
        dom0.schedule(0, "end", 1, how)
    letters = set()
    for _ in range(200):
        dom0.advance(dom0.now + 0.05)
        letters |= {line.split()[-2] for line in said(dom0, "xl", "list").splitlines()[2:]}
    text = "".join(recorded(suite, state, "xl-list-in-a-row.txt") for suite in SUITES)
    real = {line.split()[-2] for line in text.splitlines() if len(line.split()) > 4}
    assert letters <= real | {"-b----"}, letters


# Every byte prefix


def rows_of_list(text: str) -> set[object]:
    return {(each.domid, each.uuid, each.state) for each in xl.parse_list(text).domains.values()}


def needed_of_info(text: str) -> set[object]:
    return {(key, value) for key, value in xl.parse_info(text).items() if key in xl._NEEDED}


def rows_of_storage(text: str) -> set[object]:
    found = lvm.parse(text)
    return {*found.groups, *found.volumes}


def rows_of_links(text: str) -> set[object]:
    return {*iproute.parse_links(text)}


def rows_of_xenstore(text: str) -> set[object]:
    return {*xenstore.parse(text).vbds}


def texts(name: str, *argv: str) -> list[str]:
    real = [recorded(suite, state, name) for suite in SUITES for state in STATES if argv[0] != "lvm"]
    return [*dict.fromkeys((*real, *(said(simulated(state), *argv) for state in STATES)))]


READERS: dict[str, tuple[Callable[[str], set[object]], str, tuple[str, ...], bool]] = {
    # reader, record, command, and whether a text may end after any whole line without being noticed
    "xl list": (rows_of_list, "xl-list-v.txt", ("xl", "list", "-v"), True),
    "xl info": (needed_of_info, "xl-info.txt", ("xl", "info"), False),
    "lvm": (rows_of_storage, "", REPORT, False),
    "ip": (rows_of_links, "ip-addr.json", ("ip", "-j", "-d", "addr", "show"), False),
    "xenstore-ls": (rows_of_xenstore, "xenstore-ls-f.txt", ("xenstore-ls", "-f", "/local/domain/0"), True),
}


def own_part(text: str) -> str:
    """What `xenstore-ls -f /local/domain/0` prints of a record of the whole: each line is cut at each byte."""
    lines = [line for line in text.splitlines() if line.startswith("/local/domain/0")]
    return "".join(f"{line}\n" for line in lines) if lines and text.startswith("/") else text


@pytest.mark.parametrize("tool", READERS)
def test_no_prefix_is_taken_for_a_smaller_whole(tool: str) -> None:
    read, name, argv, whole_lines = READERS[tool]
    count = 0
    every = texts(name, *argv)
    if tool == "lvm":
        every += [path.read_text() for path in sorted(UNIT.glob("fullreport-*.json"))]
    for text in map(own_part, every) if tool == "xenstore-ls" else every:
        whole = read(text)
        for length in range(len(text)):
            if whole_lines and text[:length].endswith("\n"):
                continue  # no end mark: that the tool exited with 0 stands for it
            count += 1
            try:
                found = read(text[:length])
            except XenlocalError:
                continue
            assert found == whole, f"{tool} cut off after {length} characters: {text[:length][-200:]!r}"
    assert count > 1000


@pytest.mark.parametrize("tool", ["xl list", "xenstore-ls"])
def test_a_text_cut_between_two_lines_has_no_row_that_is_not_in_the_whole(tool: str) -> None:
    """Nobody can notice that. It must not be taken for something else, though."""
    read, name, argv, _ = READERS[tool]
    for text in texts(name, *argv)[:4]:
        lines = text.splitlines(keepends=True)
        for number in range(2, len(lines)):
            try:
                rows = read("".join(lines[:number]))
            except XenlocalError:
                continue
            assert tool == "xenstore-ls" or rows <= read(text)
