"""`mode = w!`, the one exception of DESIGN rule 1: both domUs say so, and both were started so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    NOW,
    block_facts,
    desired,
    device,
    dom,
    edges,
    ids,
    learned_plan,
    live,
    lv,
    memory,
    observed,
    plan,
    ready,
    rec,
    refused,
    storage,
    volume,
    with_tables,
)
from xenlocal.model.desired import Disk, GuestType, State
from xenlocal.model.memory import Off
from xenlocal.model.observed import Observed, Unavailable, Vbd, XenStore
from xenlocal.planner import xlcfg

QEMU = "/usr/libexec/xen-qemu-system-i386"
FACTS = {QEMU: block_facts(QEMU)}


def both(mode: str = "w!") -> Disk:
    return replace(lv("both"), shared=mode == "w!", readonly=mode == "r")


def held(by_qemu: bool = True, name: str = "a", writable: bool = True, path: str = "/dev/vg0/both") -> Observed:
    """A domU has it already."""
    one = Vbd(3, "xvda", path, None if by_qemu else (253, 1), writable, by_qemu=by_qemu)
    present = storage(volume("both", opened=True, device=(253, 1)))
    return observed(live(3, name), storage=present, vbds=(one,), paths=FACTS)


A, B = dom("a", both()), dom("b", both())


def test_a_second_guest_starts_where_both_say_so() -> None:
    made = learned_plan(desired(A, B), held(), memory(ready("a", 3)))
    assert "start domain/b" in ids(made) and not made.refusals


def test_two_start_at_once() -> None:
    made = plan(desired(A, B), observed(paths=FACTS))
    assert {"start domain/a", "start domain/b"} <= {*ids(made)} and not made.refusals
    assert "create volume/vg0/both" in edges(made, "start domain/b")[0]


def test_of_two_that_start_at_once_and_do_not_both_say_so_one_does_not() -> None:
    """The configuration refuses that; the planner does not rely on it."""
    for mode in ("w", "r"):
        made = plan(desired(A, dom("b", both(mode))), observed(paths=FACTS))
        assert "start domain/b" not in ids(made) and "which has it first" in refused(made, "domain/b")


STARTED_SO = "which does not share it: it was started without mode = w!"


@pytest.mark.parametrize(
    ("seen", "want"),
    [
        (held(by_qemu=False), desired(A, B)),  # the one that runs was started before its file said so
        (held(), desired(dom("a", both("w")), B)),  # its file says so no more
        (held(), desired(dom("a", lv("other")), B)),
        (held(), desired(B)),  # its section is gone
        (held(name="alien"), desired(A, B)),  # somebody else's
    ],
    ids=["started-before", "other-mode", "other-disk", "orphan", "foreign"],
)
def test_what_does_not_share_it_keeps_it(seen: Observed, want: object) -> None:
    made = learned_plan(want, seen, memory(ready("a", 3)))  # type: ignore[arg-type]
    assert "start domain/b" not in ids(made)
    assert "is held by domain/" in refused(made, "domain/b") and STARTED_SO in refused(made, "domain/b")


@pytest.mark.parametrize("mode", ["w", "r"])
def test_who_does_not_share_it_does_not_get_it(mode: str) -> None:
    made = learned_plan(desired(A, dom("b", both(mode))), held(), memory(ready("a", 3)))
    assert "start domain/b" not in ids(made)
    assert refused(made, "domain/b") == "disk xvda: volume/vg0/both is held by domain/a (domid 3)"


def test_a_reader_bars_who_would_write() -> None:
    made = learned_plan(desired(dom("a", both("r")), B), held(writable=False), memory(ready("a", 3)))
    assert STARTED_SO in refused(made, "domain/b")


def test_a_holder_of_whom_nothing_is_known_bars_it() -> None:
    seen = replace(held(), domains={})
    assert "is held by domid 3" in refused(plan(desired(A, B), seen), "domain/b")


def test_who_comes_back_from_its_own_reboot_shares_it_too() -> None:
    gone = memory(rec("a", off=Off.REBOOTING, off_since=NOW))
    assert "start domain/b" in ids(plan(desired(A, B), observed(paths=FACTS), gone))


def test_qemu_has_a_path_and_no_number_so_the_path_is_looked_up() -> None:
    """Another name of the same disk is no other disk."""
    given, path = "/dev/disk/by-id/x", "/dev/disk/by-path/y"
    paths = {given: block_facts(given, "/dev/sdb", (8, 16)), path: block_facts(path, "/dev/sdb", (8, 16))}
    want = desired(dom("a", replace(device(given), shared=True)), dom("b", device(path)))
    seen = with_tables(held(path=given), paths={**FACTS, **paths})
    made = learned_plan(want, seen, memory(ready("a", 3)))
    assert "is held by domain/a" in refused(made, "domain/b")


def test_the_package_that_serves_it_is_needed() -> None:
    made = plan(desired(A), observed())
    assert (
        refused(made, "domain/a")
        == f"{QEMU} is missing, which a disk with mode = w! needs; type: apt install qemu-system-xen"
    )
    assert "which an hvm guest needs" in refused(plan(desired(dom("h", type=GuestType.HVM)), observed()), "domain/h")


def test_its_specification_names_qemu() -> None:
    assert xlcfg.settings(A)["disk"] == (
        '[ "format=raw, vdev=xvda, backendtype=qdisk, access=rw, target=/dev/vg0/both" ]'
    )


def test_it_is_not_attached_to_a_guest_that_runs() -> None:
    more = replace(both(), vdev="xvdb")
    want = desired(dom("a", lv("root"), more))
    running = xlcfg.settings(dom("a", lv("root")))
    root = Vbd(3, "xvda", "/dev/vg0/root", (253, 2), True)
    seen = observed(
        live(3, "a"),
        storage=storage(volume("both"), volume("root", opened=True, device=(253, 2))),
        vbds=(root,),
        paths=FACTS,
    )
    made = learned_plan(want, seen, memory(ready("a", 3, running=running)))
    assert not any(step.startswith("attach") for step in ids(made))
    assert "qemu serves a disk with mode = w!, from the start of its guest on" in refused(made, "domain/a")


def test_it_is_not_retired_while_the_other_has_it() -> None:
    gone = dom("a", both(), state=State.ABSENT)
    assert not any("retire" in step for step in ids(plan(desired(gone, B), observed(storage=storage(volume("both"))))))
    one = Vbd(4, "xvda", "/dev/vg0/both", None, True, by_qemu=True)
    seen = observed(live(3, "a"), live(4, "b"), storage=storage(volume("both", opened=True)), vbds=(one,))
    made = learned_plan(desired(gone), seen)
    assert "held by domain/b" in refused(made, "volume/vg0/both")


def test_while_it_is_unknown_who_runs_nobody_shares() -> None:
    seen = replace(held(), domains=Unavailable("hangs"))
    assert not plan(desired(A, B), seen).steps


def test_what_another_one_still_shares_is_not_staged_for_its_own_reboot() -> None:
    """The script that keeps a second writer off sees no disk that qemu serves."""
    alone = dom("b", both("w"))
    mine = Vbd(4, "xvda", "/dev/vg0/both", None, True, by_qemu=True)
    before = held()
    seen = replace(
        before,
        domains={3: live(3, "a"), 4: live(4, "b")},
        xenstore=XenStore((*before.xenstore.vbds, mine)),  # type: ignore[union-attr]
    )
    running = ready("b", 4, running=xlcfg.settings(B))
    made = learned_plan(desired(dom("a", both("r")), alone), seen, memory(ready("a", 3), running))
    assert "stage domain/b" not in ids(made)
    assert refused(made, "domain/b") == (
        "not handed over for its next reboot: disk xvda: volume/vg0/both is held by domain/a (domid 3)"
    )
    still = dom("b", replace(both(), vdev="xvdb"))  # under another name, and shared by both as before
    assert "stage domain/b" in ids(learned_plan(desired(A, still), seen, memory(ready("a", 3), running)))
    gone = with_tables(seen, domains={4: live(4, "b")}, xenstore=XenStore((mine,)))
    assert "stage domain/b" in ids(learned_plan(desired(alone), gone, memory(running)))
    unknown = with_tables(seen, xenstore=Unavailable("hangs"))
    made = learned_plan(desired(alone), unknown, memory(running))
    assert "stage domain/b" not in ids(made) and "xenstore could not be found out" in refused(made, "domain/b")
