"""Copies of kernels: which one a domU is started from, and when one is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.build import (
    GIB,
    HERE,
    desired,
    dom,
    file_facts,
    ids,
    learned_plan,
    live,
    memory,
    noticed,
    observed,
    plan,
    ready,
    refused,
)
from tests.unit.planner.patients import only, patient
from xenlocal.model.desired import State
from xenlocal.model.inspection import Code, Severity
from xenlocal.model.memory import Memory
from xenlocal.model.names import COPY
from xenlocal.model.observed import Kept, Observed, PathFacts, PathKind, Unavailable
from xenlocal.model.plan import Plan
from xenlocal.model.units import Size
from xenlocal.planner.kernels import boot_files, copy_name, newest

KERNEL, RAMDISK = "/boot/vmlinuz-6.1", "/boot/initrd.img-6.1"
PAIR = (KERNEL, RAMDISK)
PLACE = "/var/lib/xenlocal/kernels"
WEB = dom("web", kernel=KERNEL, ramdisk=RAMDISK)
THERE = {path: file_facts(path) for path in PAIR}


def named(changed: int, paths: tuple[str, ...] = PAIR) -> str:
    return copy_name(paths, {path: PathFacts(PathKind.FILE, GIB, path, changed=changed) for path in paths})


def kept(*copies: str, used: dict[str, frozenset[str]] | None = None, **without: str) -> Kept:
    return Kept(PLACE, frozenset(copies), used or {}, without)


def running(copies: Kept | Unavailable, remembered: Memory | None = None, **tables: Any) -> Plan:
    seen = observed(live(3, "web"), kernels=copies, **{"paths": THERE, **tables})
    return learned_plan(desired(WEB), seen, remembered or memory(ready("web", 3)))


def dropped(made: Plan) -> list[str]:
    return [step.removeprefix(f"drop file/{PLACE}/") for step in ids(made) if step.startswith("drop ")]


def test_what_a_domu_is_started_from() -> None:
    assert boot_files(WEB) == (("kernel", KERNEL), ("ramdisk", RAMDISK))
    assert boot_files(dom("web", pvgrub="/grub.bin")) == (("pvgrub", "/grub.bin"),) and boot_files(dom("x")) == ()


def test_the_name_of_a_copy_tells_which_files_it_is_of_and_sorts_by_their_age() -> None:
    old, new = named(1 << 40), named((1 << 40) + 1)
    assert old < new and old != named(1 << 40, (KERNEL,)) and named(5) == named(5)
    assert all(COPY.fullmatch(each) for each in (old, new, named(0, ("/srv/a kernel ü",)), f"{old}.new"))
    sizes = [{path: PathFacts(PathKind.FILE, Size(size), path) for path in PAIR} for size in (8, 9)]
    assert copy_name(PAIR, sizes[0]) != copy_name(PAIR, sizes[1])
    others = {old, new, named(1 << 50, (KERNEL,)), f"{named(1 << 60)}.new", "foreign"}
    assert newest(PAIR, frozenset(others)) == new and newest(("/k",), frozenset(others)) is None


def test_a_kernel_that_has_gone_is_started_from_its_copy() -> None:
    seen = observed(paths={RAMDISK: file_facts(RAMDISK)}, kernels=kept(named(7)))
    made = plan(desired(WEB), seen)
    assert "start domain/web" in ids(made)
    text = (
        f"kernel {KERNEL} does not exist ({HERE}); it is started from the copy that is kept, until another one is named"
    )
    assert noticed(made, "domain/web") == text
    assert text in noticed(running(kept(named(7)), paths={}), "domain/web"), "said while it runs, too"
    finding = only(patient(WEB, seen=seen), Code.BOOT_FILES, Severity.WARNING)
    assert finding.text.startswith("domain/web starts from the copy that is kept of its kernel: ") and finding.next


@pytest.mark.parametrize("copies", [kept(), kept(named(7, (KERNEL,))), kept(f"{named(7)}.new")])
def test_no_copy_of_other_files_is_taken_for_it(copies: Kept) -> None:
    made = plan(desired(WEB), observed(paths={}, kernels=copies))
    assert refused(made, "domain/web") == f"kernel {KERNEL} does not exist ({HERE})" and not noticed(made, "domain/web")


def test_whether_there_is_a_copy_is_not_known() -> None:
    unknown = Unavailable("it hangs")
    made = plan(desired(WEB), observed(paths={}, kernels=unknown))
    assert refused(made, "domain/web") == "the host's kernels could not be found out"
    assert "start domain/web" in ids(plan(desired(WEB), observed(paths=THERE, kernels=unknown))), (
        "nobody has to know it"
    )
    assert dropped(running(unknown)) == []


def test_copies_that_nobody_uses_are_dropped() -> None:
    """Those that a running domU may need, and the newest of what is declared, stay."""
    old, used, new, other = named(1), named(2), named(3), named(9, ("/boot/vmlinuz-5",))
    copies = kept(old, used, new, other, f"{new}.new", "lost+found", used={"web": frozenset({used})})
    assert dropped(running(copies)) == sorted([old, other, f"{new}.new"])
    assert ids(running(kept(used, new, used={"web": frozenset({used})}))) == ()


@pytest.mark.parametrize(
    "seen",
    [
        observed(live(3, "web"), kernels=kept(named(1), named(2)), paths=THERE),
        observed(
            live(3, "other-name", uuid=WEB.uuid),
            kernels=kept(named(1), named(2), used={"web": frozenset()}),
            paths=THERE,
        ),
        observed(domains=Unavailable("it hangs"), kernels=kept(named(1), named(2)), paths=THERE),
    ],
)
def test_none_is_dropped_where_one_of_ours_could_use_it(seen: Observed) -> None:
    assert dropped(plan(desired(WEB), seen, memory(ready("web", 3)))) == []


def test_none_is_dropped_beside_a_start() -> None:
    seen = observed(kernels=kept(named(1), named(2)), paths=THERE)
    made = plan(desired(WEB), seen)
    assert "start domain/web" in ids(made) and dropped(made) == []
    staged = running(
        kept(named(1), named(2), used={"web": frozenset()}), memory(ready("web", 3, running={"memory": "1"}))
    )
    assert "stage domain/web" in ids(staged) and dropped(staged) == []


def test_one_that_is_to_go_keeps_no_copy() -> None:
    gone = dom("web", kernel=KERNEL, ramdisk=RAMDISK, state=State.ABSENT)
    made = plan(desired(gone), observed(kernels=kept(named(1))))
    assert dropped(made) == [named(1)] and noticed(made, "domain/web") == ""


def test_one_that_runs_without_a_copy() -> None:
    copies = kept(used={"web": frozenset()}, web="cannot copy: No space left on device")
    assert noticed(running(copies), "domain/web").startswith(
        "its kernel must not be removed from the dom0, or its own reboot fails: there is no copy of it (cannot copy:"
        " No space left on device); once that is mended, `xenlocal restart web`"
    )
    off = plan(
        desired(dom("web", kernel=KERNEL, ramdisk=RAMDISK, state=State.STOPPED)), observed(kernels=copies, paths=THERE)
    )
    assert noticed(off, "domain/web") == ""


def test_a_kernel_that_was_replaced_since_its_start_is_told() -> None:
    def told(*used: str, **tables: Any) -> str:
        return noticed(running(kept(*used, used={"web": frozenset(used)}), **tables), "domain/web")

    now, other = copy_name(PAIR, THERE), named(1, ("/boot/vmlinuz-5",))
    assert "was replaced on the dom0 since its start" in told(named(9)) and "`xenlocal restart web`" in told(named(9))
    for used in ((now,), (now, named(9)), (other,), ()):
        assert "replaced" not in told(*used), used
    assert "replaced" not in told(named(9), paths={}) + told(named(9), paths=Unavailable("it hangs"))
    off = observed(kernels=kept(named(9), used={"web": frozenset({named(9)})}), paths=THERE)
    assert "replaced" not in noticed(plan(desired(WEB), off), "domain/web")
    bare = desired(dom("web", bootloader="pygrub"))
    assert "replaced" not in noticed(
        plan(bare, observed(live(3, "web"), kernels=kept(used={"web": frozenset({now})}))), "domain/web"
    )
