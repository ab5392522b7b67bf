"""Whether the kernel of a domU can be put on trial, and which one it would go back to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import (
    HERE,
    TCP,
    block_facts,
    device,
    dom,
    file_facts,
    image,
    live,
    lv,
    observed,
    rec,
    storage,
    vbd,
    volume,
)
from xenlocal.model.actions import BeginTrial
from xenlocal.model.desired import Domain, ImageFile, LogicalVolume
from xenlocal.model.memory import Off, Record
from xenlocal.model.observed import Kept, Observed, PathFacts, PathKind, Unavailable
from xenlocal.model.probes import NO_PROBE
from xenlocal.model.storage import OUR_TAG, OWNER_TAG, Fill
from xenlocal.model.trial import Trial
from xenlocal.model.units import Size
from xenlocal.planner.kernels import copy_name
from xenlocal.planner.patient import Unknown
from xenlocal.planner.update import Kernel, propose

KERNEL, FILE = "/boot/vmlinuz-6.2", "/srv/web.img"
WEB = dom("web", lv("web"), lv("swap", vdev="xvdb"), kernel=KERNEL, probe=TCP, cmdline="root=/dev/xvda ro")
OF_FILE = replace(WEB, disks=(image(FILE),))
THERE = {KERNEL: file_facts(KERNEL), FILE: file_facts(FILE)}
NEW = copy_name((KERNEL,), THERE)
GOOD = Kernel("6.2", True)


def copy(changed: int, kernel: str = KERNEL) -> str:
    return copy_name((kernel,), {kernel: PathFacts(PathKind.FILE, Size(1), kernel, changed=changed)})


OLD = copy(1, "/boot/vmlinuz-6.1")


def seen(*lives: Any, copies: tuple[str, ...] = (OLD,), **tables: Any) -> Observed:
    tables = {"paths": THERE, "kernels": Kept("/k", frozenset(copies), started={WEB.uuid: OLD}), **tables}
    return observed(*lives, **{"at_work": frozenset(), "storage": storage(volume("web")), **tables})


def asked(
    domain: Domain = WEB, look: Observed | None = None, record: Record | None = None, kernel: Kernel = GOOD
) -> BeginTrial | str:
    return propose(domain, record, look or seen(), kernel)


def test_what_is_begun() -> None:
    trial = Trial("web", WEB.uuid, "6.2", NEW, OLD)
    begin = BeginTrial(trial, LogicalVolume("vg0", "web"), (KERNEL,))
    assert asked() == begin == asked(record=rec("web", off=Off.STOPPED, monitor="web"))
    assert str(begin.target) == "domain/web" and trial.copies == {NEW, OLD}
    assert asked(OF_FILE) == BeginTrial(trial, ImageFile(FILE), (KERNEL,))
    both = {**THERE, "/boot/initrd": file_facts("/boot/initrd")}
    found = asked(replace(WEB, ramdisk="/boot/initrd"), seen(paths=both))
    assert isinstance(found, BeginTrial) and found.files == (KERNEL, "/boot/initrd")
    assert found.trial.copy == copy_name(found.files, both)


def refused(wrong: BeginTrial | str) -> str:
    assert isinstance(wrong, str)
    return wrong


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kernel": None, "bootloader": "pygrub"}, "it boots no kernel of the dom0"),
        ({"disks": ()}, "it boots no kernel of the dom0 whose modules are on a disk of the guest (a.conf:1)"),
        ({"probe": NO_PROBE}, "nothing would tell whether it is ready, so no kernel can be tried; write a [[ready]]"),
        ({"cmdline": "root=/dev/xvda1"}, "its root file system is xvda1, and partitions are not looked into"),
        ({"cmdline": "ro"}, "which disk has its root file system is not said; write root=/dev/NAME in cmdline"),
        ({"disks": (lv("web", readonly=True),)}, "volume/vg0/web, is not for it alone to write to, with its mode"),
        ({"disks": (device("/dev/sdb"),)}, "its root disk, device//dev/sdb, is a given device"),
        ({"disks": (lv("other"),)}, "its root disk, volume/vg0/other, does not exist yet (a.conf:1)"),
        ({"disks": (image("/srv/none.img"),)}, "is not a regular file that exists"),
        ({"ramdisk": "/boot/none"}, "/boot/none does not exist (a.conf:1)"),
    ],
)
def test_a_domu_that_cannot_try_one(changes: dict[str, Any], why: str) -> None:
    assert why in refused(asked(replace(WEB, **changes)))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"active": False}, "is not active here"),
        ({"tags": frozenset()}, "does not carry the tag xenlocal; type: lvchange --addtag xenlocal vg0/web"),
        ({"tags": frozenset({OUR_TAG, f"{OWNER_TAG}there"})}, "belongs to the dom0 there"),
        ({"opened": True}, "is open on the dom0 itself"),
        ({"pool": "thin"}, "there is no thin pool vg0/thin"),
        ({"fill": Fill(1, 1)}, "is itself a thin pool"),
    ],
)
def test_a_volume_that_is_not_to_be_written_to(values: dict[str, Any], why: str) -> None:
    assert why in refused(asked(look=seen(storage=storage(volume("web", **values)))))


def test_a_group_that_is_not_to_be_changed_from_here() -> None:
    theirs = volume("x", tags=frozenset({f"{OWNER_TAG}there"}))
    said = refused(asked(look=seen(storage=storage(volume("web"), theirs))))
    assert "volume group vg0 is also in use by the dom0 there" in said


def test_a_disk_that_somebody_has() -> None:
    said = refused(asked(look=seen(live(4, "x"), vbds=(vbd(4, "/dev/vg0/web"),))))
    assert "volume/vg0/web, is held by domain/x (domid 4)" in said
    assert "is being worked on" in refused(asked(look=seen(at_work=frozenset({"modules /dev/vg0/web"}))))
    assert "is held by domid 4" in refused(asked(OF_FILE, seen(vbds=(vbd(4, FILE),))))
    blocks = {**THERE, FILE: block_facts(FILE)}
    assert "is not a regular file that exists" in refused(asked(OF_FILE, seen(paths=blocks)))


@pytest.mark.parametrize("state", ["running", "shutdown", "dying"])
def test_only_one_that_is_off(state: str) -> None:
    assert asked(look=seen(live(3, "web", state))) == "it is not off; type: xenlocal stop web"


@pytest.mark.parametrize("record", [rec("web", domid=3), rec("web", off=Off.REBOOTING)])
def test_and_that_is_known_to_be(record: Record) -> None:
    assert asked(record=record) == "it is not known to be off; type: xenlocal stop web"


def test_and_that_nobody_is_about_to_start() -> None:
    for name in ("web", "former"):
        busy = seen(monitors=frozenset({name}))
        said = asked(look=busy, record=rec("web", monitor="former"))
        assert said == "an xl process is at work on it; type: xenlocal stop web"
    assert isinstance(asked(look=seen(monitors=frozenset({"former"}))), BeginTrial)


def test_the_kernel() -> None:
    odd = {**THERE, KERNEL: PathFacts(PathKind.OTHER, Size(0), KERNEL)}
    assert asked(look=seen(paths=odd)) == f"{KERNEL} is not a regular file ({HERE})"
    assert asked(kernel=Kernel(None, False)) == f"kernel {KERNEL} names no release ({HERE})"
    assert asked(kernel=Kernel("6.2", False)) == (
        "the dom0 has no /lib/modules/6.2/modules.dep; type: apt install linux-image-6.2, or where that is done:"
        " depmod 6.2"
    )


@pytest.mark.parametrize(
    ("copies", "started", "tried", "before"),
    [
        ((OLD,), OLD, None, OLD),
        ((), OLD, None, None),
        ((OLD,), None, None, None),
        ((OLD, copy(1), copy(2)), OLD, None, OLD),
        ((OLD, copy(1), copy(2)), None, None, copy(2)),
        ((*map(copy, range(1, 13)),), None, None, copy(12)),
        ((NEW, copy(1), f"{copy(2)}.new"), NEW, None, copy(1)),
        ((NEW,), NEW, None, None),
        ((NEW, OLD, copy(1)), NEW, OLD, OLD),
        ((NEW, copy(1)), NEW, None, copy(1)),
        ((NEW, copy(1)), None, "gone", copy(1)),
    ],
)
def test_the_one_it_goes_back_to(
    copies: tuple[str, ...], started: str | None, tried: str | None, before: str | None
) -> None:
    kept = Kept("/k", frozenset(copies), started={} if started is None else {WEB.uuid: started, "x": copy(9)})
    trials = {WEB.uuid: Trial("web", WEB.uuid, "6.2", NEW, tried, "crashed")}
    found = asked(look=seen(kernels=kept, trials=trials if tried else {}))
    assert isinstance(found, BeginTrial) and found.trial.before == before and not found.trial.failed


@pytest.mark.parametrize(
    "table", ["domains", "monitors", "xenstore", "storage", "paths", "kernels", "trials", "at_work"]
)
def test_what_is_not_known_is_not_begun(table: str) -> None:
    with pytest.raises(Unknown, match="it hangs"):
        asked(look=replace(seen(), **{table: Unavailable("it hangs")}))
    if table == "paths":
        with pytest.raises(Unknown):
            asked(OF_FILE, replace(seen(), paths=Unavailable("it hangs")))
