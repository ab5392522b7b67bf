"""Copies of kernels: which one a domU is started from, and when one is dropped."""

from __future__ import annotations

from dataclasses import replace
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
from xenlocal.model.observed import NOT_ASKED, Built, Kept, Observed, PathFacts, PathKind, Table, Unavailable
from xenlocal.model.plan import Plan
from xenlocal.model.trial import Trial
from xenlocal.model.units import Size
from xenlocal.planner import xlcfg
from xenlocal.planner.kernels import boot_files, copy_name, newest

KERNEL, RAMDISK = "/boot/vmlinuz-6.1", "/boot/initrd.img-6.1"
PAIR = (KERNEL, RAMDISK)
PLACE = "/var/lib/xenlocal/kernels"
WEB = dom("web", kernel=KERNEL, ramdisk=RAMDISK)
THERE = {path: file_facts(path) for path in PAIR}


def named(changed: int, paths: tuple[str, ...] = PAIR) -> str:
    return copy_name(paths, {path: PathFacts(PathKind.FILE, GIB, path, changed=changed) for path in paths})


def kept(*copies: str, named: tuple[str, ...] = (), built: Built | None = None, **without: str) -> Kept:
    """`built`: what libxl keeps of domid 3; None: that is not known."""
    return Kept(PLACE, frozenset(copies), frozenset(named), without, {} if built is None else {(3, WEB.uuid): built})


def of(*copies: str) -> Built:
    """Of a domU that was started from these copies."""
    return Built(
        frozenset(f"{PLACE}/{copy}/{key}" for copy in copies for key in ("kernel", "ramdisk")), frozenset(copies)
    )


def running(copies: Kept | Unavailable, remembered: Memory | None = None, **tables: Any) -> Plan:
    seen = observed(live(3, "web"), kernels=copies, **{"paths": THERE, **tables})
    return learned_plan(desired(WEB), seen, remembered or memory(ready("web", 3, running=xlcfg.settings(WEB))))


def dropped(made: Plan) -> list[str]:
    return [step.removeprefix(f"drop file/{PLACE}/") for step in ids(made) if step.startswith("drop ")]


def test_what_a_domu_is_started_from() -> None:
    assert boot_files(WEB) == (("kernel", KERNEL), ("ramdisk", RAMDISK))
    assert boot_files(dom("web", pvgrub="/grub.bin")) == (("pvgrub", "/grub.bin"),) and boot_files(dom("x")) == ()


def test_the_name_of_a_copy_tells_which_files_it_is_of_and_sorts_by_their_age() -> None:
    old, new = named(1 << 40), named((1 << 40) + 1)
    assert old < new and old != named(1 << 40, (KERNEL,)) and named(5) == named(5)
    assert named(0, ("/srv/a kernel ü",)).startswith("a_kernel__.")
    assert all(COPY.fullmatch(each) for each in (old, named(0, ("/srv/a kernel ü",)), f"{old}.new", f"{old}.old"))
    facts = PathFacts(PathKind.FILE, Size(8), KERNEL, changed=5)
    later = PathFacts(PathKind.FILE, Size(8), RAMDISK, changed=7)
    differ = (replace(facts, size=Size(9)), replace(facts, changed=4), replace(facts, real="/boot/vmlinuz-6.2"))
    names = [copy_name(PAIR, {KERNEL: each, RAMDISK: later}) for each in (facts, *differ)]
    assert len({*names}) == 4, "each of them may be another kernel"
    assert COPY.fullmatch(copy_name((KERNEL,), {KERNEL: replace(facts, changed=-1)})), "before 1970"
    others = {old, new, named(1 << 50, (KERNEL,)), f"{named(1 << 60)}.new", f"{named(1 << 61)}.old", "foreign"}
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


NOW = copy_name(PAIR, THERE)  # of the files as they are
OLD, USED, NEW, OTHER = named(1), named(2), named(3), named(9, ("/boot/vmlinuz-5",))


def test_copies_that_nobody_uses_are_dropped() -> None:
    """Those that a running domU may need, that may just be started, and of what is declared the newest and that of
    the files as they are, stay."""
    copies = kept(OLD, USED, NEW, NOW, OTHER, f"{NEW}.new", "lost+found", f"{OLD}.bak", named=(OTHER,), built=of(USED))
    assert dropped(running(copies)) == sorted([OLD, f"{NEW}.new"])
    assert ids(running(kept(USED, NEW, built=of(USED)))) == ()
    many = [named(age) for age in range(10, 20)]
    assert dropped(running(kept(*many, built=of(many[-1])))) == sorted(many[:-1])
    staged = kept(OLD, NEW, built=Built(frozenset(), frozenset({OLD})))
    assert dropped(running(staged)) == [], "it is named, whatever of"


def test_what_a_crash_has_left_of_one_goes_first() -> None:
    assert dropped(running(kept(OLD, f"{OLD}.old", NEW, built=of(NEW)))) == [f"{OLD}.old"]


DYING = live(2, "old", "dying")


@pytest.mark.parametrize(
    "tables",
    [
        {"built": None},
        {"lives": [live(3, "web"), live(4, "foreign")]},
        {"lives": [live(3, "web", uuid="4b5c6d7e-0f4b-4c8e-9a55-0d1f2e3a4b5c")]},
        {"monitors": Unavailable("it hangs")},
        {"monitors": frozenset({"web", "db"})},
        {"monitors": frozenset({"old"}), "lives": [live(3, "web"), DYING]},
        {"domains": Unavailable("it hangs")},
        {"paths": Unavailable("it hangs")},
    ],
    ids=[
        "libxl says nothing",
        "nor of a foreign one",
        "but of a former one, before a boot",
        "monitors",
        "one is built",
        "one reboots",
        "domains",
        "paths",
    ],
)
def test_none_is_dropped_where_one_that_is_not_known_could_use_it(tables: dict[str, Any]) -> None:
    copies = kept(OLD, NEW, built=of(NEW))
    lives = {each.domid: each for each in tables.pop("lives", [live(3, "web")])}
    assert dropped(running(copies, domains={3: live(3, "web")}, monitors=frozenset({"web"}))) == [OLD]
    assert dropped(running(copies, domains={3: live(3, "web"), 2: DYING})) == [OLD], "what dies builds nothing"
    copies = kept(OLD, NEW, built=tables.pop("built", of(NEW)))
    assert dropped(running(copies, **{"domains": lives, **tables})) == []


def test_what_is_needed_to_know_that_is_asked_for_only_then() -> None:
    seen = {"kernels": NOT_ASKED, "monitors": NOT_ASKED, "paths": NOT_ASKED}
    assert plan(desired(WEB), Observed()).wanted == {Table.DOMAINS}
    bare = learned_plan(desired(dom("web")), observed(live(3, "web"), **seen), memory(ready("web", 3)))
    assert Table.KERNELS in bare.wanted
    at_once = plan(desired(replace(WEB, state=State.STOPPED)), observed(trials=NOT_ASKED, **seen))
    assert at_once.wanted == {Table.KERNELS, Table.TRIALS}, "though it is left alone"
    off = plan(desired(dom("bare", state=State.STOPPED)), observed(paths=NOT_ASKED))
    assert off.wanted == set(), "it boots from no file, and there is no copy"
    for copies, wanted in (((OLD, NEW), {Table.MONITORS}), ((NEW,), set())):
        assert running(kept(*copies, built=of(NEW)), monitors=NOT_ASKED).wanted == wanted
    assert running(kept(OLD), paths=NOT_ASKED).wanted == {Table.PATHS}


def test_none_is_dropped_beside_a_start() -> None:
    seen = observed(kernels=kept(OLD, NEW), paths=THERE)
    made = plan(desired(WEB), seen)
    assert "start domain/web" in ids(made) and dropped(made) == []
    staged = running(kept(OLD, NEW, built=of(NEW)), memory(ready("web", 3, running={"memory": "1"})))
    assert "stage domain/web" in ids(staged) and dropped(staged) == []


def test_one_that_is_to_go_keeps_no_copy() -> None:
    gone = dom("web", kernel=KERNEL, ramdisk=RAMDISK, state=State.ABSENT)
    made = plan(desired(gone), observed(kernels=kept(named(1))))
    assert dropped(made) == [named(1)] and noticed(made, "domain/web") == ""
    assert plan(desired(), observed(kernels=kept(named(1)))).steps == (), "files that name no domU are not trusted"


def test_one_that_runs_without_a_copy() -> None:
    itself = Built(frozenset(PAIR))
    copies = kept(built=itself, web="cannot copy: No space left on device")
    assert noticed(running(copies), "domain/web") == (
        "its kernel must not be removed from the dom0, or its own reboot fails: there is no copy of it (cannot copy:"
        " No space left on device); `xenlocal restart web` makes one"
    )
    before = noticed(running(kept(built=itself)), "domain/web")
    assert "there is no copy of it (none was made at its start)" in before, "as of one that was started without any"
    beside = plan(desired(WEB, dom("bare")), observed(live(3, "web"), kernels=kept(built=itself), paths=THERE))
    assert noticed(beside, "domain/web") == before, "also where another one boots from no file"
    assert noticed(running(kept(built=of(NOW), web="full")), "domain/web") == "", "what was said before counts no more"
    assert noticed(running(kept(built=Built(frozenset({"/boot/other"})))), "domain/web") == ""
    assert noticed(running(kept(web="full")), "domain/web") == "", "what it runs with is not known"
    off = plan(
        desired(dom("web", kernel=KERNEL, ramdisk=RAMDISK, state=State.STOPPED)), observed(kernels=copies, paths=THERE)
    )
    assert noticed(off, "domain/web") == ""


def test_a_kernel_that_was_replaced_since_its_start_is_told() -> None:
    def told(*used: str, **tables: Any) -> str:
        return noticed(running(kept(*used, built=of(*used)), **tables), "domain/web")

    assert "was replaced on the dom0 since its start" in told(named(9)) and "`xenlocal restart web`" in told(named(9))
    for used in ((NOW,), (NOW, named(9)), (OTHER,), ()):
        assert "replaced" not in told(*used), used
    assert "replaced" not in told(named(9), paths={}) + told(named(9), paths=Unavailable("it hangs"))
    trial = Trial("web", WEB.uuid, "6.1", NOW, named(9))
    assert "replaced" not in told(named(9), trials={WEB.uuid: trial}), "what is said of the trial tells more"
    lost = running(kept(built=of(named(9))), paths={})
    assert "replaced" not in noticed(lost, "domain/web"), "and somebody has removed the copy"
    off = observed(kernels=kept(named(9), built=of(named(9))), paths=THERE)
    assert "replaced" not in noticed(plan(desired(WEB), off), "domain/web")
    bare = desired(dom("web", bootloader="pygrub"))
    assert "replaced" not in noticed(
        plan(bare, observed(live(3, "web"), kernels=kept(NOW, built=of(NOW)))), "domain/web"
    )
