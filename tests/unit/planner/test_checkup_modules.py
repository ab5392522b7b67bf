"""Which disk has the modules of a guest, how it can be looked at, and what `check` says of what is there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.build import (
    HERE,
    block_facts,
    device,
    dom,
    file_facts,
    image,
    live,
    lv,
    observed,
    storage,
    vbd,
    volume,
)
from tests.unit.planner.patients import only, patient, said
from xenlocal.model.desired import Disk, Domain, ImageFile, LogicalVolume, State
from xenlocal.model.inspection import Code, GuestModules, Severity
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.storage import Fill
from xenlocal.model.units import Size
from xenlocal.planner.checkup_modules import SNAPSHOT_ROOM, TABLES, Look, Root, how_to_look, modular, root_disk
from xenlocal.planner.patient import Unknown

KERNEL = "/boot/vmlinuz-6.1"
ROOT, SWAP = lv("web", vdev="xvda2"), lv("swap", vdev="xvda1")
ORIGIN = LogicalVolume("vg0", "web")
SNAPSHOT = "/dev/vg0/xenlocal-look.web"


def guest(*disks: Disk, **values: Any) -> Domain:
    return dom("web", *disks, kernel=KERNEL, **values)


def test_whose_modules_can_be_missed() -> None:
    drive = Disk("xvdc", ImageFile("/iso"), HERE, None, True, cdrom=True)
    assert modular(guest(ROOT)) and not modular(guest()) and not modular(guest(drive))
    assert not modular(guest(ROOT, state=State.ABSENT)) and not modular(dom("web", ROOT, bootloader="pygrub"))


@pytest.mark.parametrize(
    ("cmdline", "found"),
    [
        ("", Root(SWAP, sure=False)),
        ("root=UUID=0815 ro", Root(SWAP, sure=False)),
        ("ro root=/dev/xvda2 quiet", Root(ROOT, sure=True)),
        ("root=/dev/xvda1 root=/dev/xvda2", Root(ROOT, sure=True)),
        ("noroot=/dev/xvda2", Root(SWAP, sure=False)),
        ("root=/dev/xvda27", "its root file system is xvda27, and partitions are not looked into"),
        ("root=/dev/xvda2p1", "its root file system is xvda2p1, and partitions are not looked into"),
        ("root=/dev/md0", "its root file system is /dev/md0, which is none of its disks"),
        ("root=/dev/xvda2p1x", "its root file system is /dev/xvda2p1x, which is none of its disks"),
    ],
)
def test_the_disk_of_its_root_file_system(cmdline: str, found: Root | str) -> None:
    drive = Disk("xvdc", ImageFile("/iso"), HERE, None, True, cdrom=True)
    assert root_disk(guest(drive, SWAP, ROOT, cmdline=cmdline)) == found


def looked(disk: Disk, seen: Observed) -> Look | str:
    return how_to_look(guest(disk), disk, seen)


def test_what_nobody_has_is_read_as_it_is() -> None:
    assert looked(ROOT, observed(storage=storage(volume("web")))) == Look("/dev/vg0/web")
    assert looked(image("/web.img"), observed(paths={"/web.img": file_facts("/web.img")})) == Look("/web.img")
    assert looked(device("/dev/a"), observed(paths={"/dev/a": block_facts("/dev/a")})) == Look("/dev/a")


def test_what_is_not_there() -> None:
    assert looked(ROOT, observed()) == "volume/vg0/web does not exist yet"
    assert looked(ROOT, observed(storage=storage(volume("web", active=False)))) == "volume/vg0/web is not active"
    assert looked(image("/web.img"), observed()) == "file//web.img does not exist yet"


@pytest.mark.parametrize("table", ["domains", "storage", "paths", "xenstore"])
def test_nothing_is_read_where_who_has_it_is_not_known(table: str) -> None:
    seen = observed(**{"storage": storage(volume("web")), table: Unavailable("it hangs")})
    with pytest.raises(Unknown, match="it hangs"):
        looked(ROOT, seen)
    assert table in TABLES


HELD = vbd(7, "/dev/vg0/web")


@pytest.mark.parametrize(
    "seen",
    [
        observed(storage=storage(volume("web", opened=True))),
        observed(storage=storage(volume("web")), vbds=(HELD,)),
        observed(live(7, "web"), storage=storage(volume("web"))),
    ],
)
def test_an_lv_that_somebody_has_is_read_in_a_snapshot(seen: Observed) -> None:
    assert looked(ROOT, seen) == Look(SNAPSHOT, ORIGIN, SNAPSHOT_ROOM)


def test_a_thin_volume_needs_no_room_but_a_pool_that_is_not_full() -> None:
    def case(data: float) -> Look | str:
        pool = volume("pool", fill=Fill(data, 1.0), tags=frozenset())
        return looked(ROOT, observed(storage=storage(volume("web", opened=True, pool="pool"), pool, free=Size(0))))

    assert case(50.0) == Look(SNAPSHOT, ORIGIN)
    assert str(case(98.0)).startswith(
        "volume/vg0/web is in use, and no snapshot can be made of it: its thin pool vg0/pool is full"
    )


def test_no_snapshot_without_room() -> None:
    full = storage(volume("web", opened=True), free=Size(SNAPSHOT_ROOM.bytes - 1))
    assert looked(ROOT, observed(storage=full)) == (
        f"volume/vg0/web is in use, and vg0 has {Size(SNAPSHOT_ROOM.bytes - 1)} free, where a snapshot of it needs"
        " 256M; stop it first"
    )
    just = storage(volume("web", opened=True), free=SNAPSHOT_ROOM)
    assert looked(ROOT, observed(storage=just)) == Look(SNAPSHOT, ORIGIN, SNAPSHOT_ROOM)


@pytest.mark.parametrize(
    ("volumes", "told"),
    [
        ((volume("web", opened=True, tags=frozenset()),), "type: lvchange --addtag xenlocal vg0/web"),
        (
            (volume("web", opened=True, tags=frozenset({"xenlocal", "xenlocal.host=other"})),),
            "no snapshot is made of it: belongs to the dom0 other",
        ),
        (
            (volume("web", opened=True), volume("x", tags=frozenset({"xenlocal", "xenlocal.host=other"}))),
            "no snapshot is made of it: volume group vg0 is also in use by the dom0 other",
        ),
    ],
)
def test_no_snapshot_of_what_is_not_ours_to_change(volumes: tuple[Any, ...], told: str) -> None:
    found = looked(ROOT, observed(storage=storage(*volumes)))
    assert (
        isinstance(found, str)
        and found.startswith("volume/vg0/web is in use, and no snapshot is made of")
        and told in found
    )


def test_a_file_or_device_that_somebody_has_is_not_read() -> None:
    why = "is in use, and only of a logical volume can there be a snapshot; stop it first"
    seen = observed(paths={"/web.img": file_facts("/web.img")}, vbds=(vbd(7, "/web.img"),))
    assert looked(image("/web.img"), seen) == f"file//web.img {why}"
    seen = observed(paths={"/dev/a": block_facts("/dev/a", number=(8, 3))}, vbds=(vbd(7, "/dev/b", (8, 3)),))
    assert looked(device("/dev/a"), seen) == f"device//dev/a {why}"


def case(found: GuestModules, cmdline: str = "root=/dev/xvda", *disks: Disk) -> list[tuple[Severity, str, str]]:
    web = guest(*(disks or (lv("web"),)), cmdline=cmdline)
    seen = observed(paths={KERNEL: file_facts(KERNEL)})
    return [
        (each.severity, each.text, each.next)
        for each in said(patient(web, seen=seen, modules={"web": found}), Code.MODULES)
    ]


def test_it_has_them() -> None:
    assert case(GuestModules("6.1.0-49-amd64", ("6.1.0-18-amd64", "6.1.0-49-amd64"))) == []


def test_the_modules_that_it_would_miss() -> None:
    web = guest(lv("web"), cmdline="root=/dev/xvda")
    seen = observed(paths={KERNEL: file_facts(KERNEL)})
    found = {"web": GuestModules("6.1.0-49-amd64", ("6.1.0-17-amd64", "6.1.0-18-amd64"))}
    finding = only(patient(web, seen=seen, modules=found), Code.MODULES, Severity.WARNING)
    assert finding.text == (
        f"domain/web has no modules at its next start: its kernel {KERNEL} is 6.1.0-49-amd64, and /lib/modules of its"
        f" disk xvda, volume/vg0/web, has 6.1.0-17-amd64, 6.1.0-18-amd64 ({HERE})"
    )
    assert finding.next == (
        "install them in the guest, as by `apt install linux-image-6.1.0-49-amd64`, or, while it is off, with"
        " `xenlocal kernel web --update`, or name the kernel of"
        " 6.1.0-18-amd64 in the file"
    )


def test_no_modules_at_all() -> None:
    """On a disk that is only taken for that of the root file system, this says nothing."""
    ((severity, text, what),) = case(GuestModules("6.1"))
    assert severity is Severity.WARNING and "xvda, volume/vg0/web, has nothing" in text
    update = "or, while it is off, with `xenlocal kernel web --update`"
    assert what == f"install them in the guest, as by `apt install linux-image-6.1`, {update}"
    ((severity, text, what),) = case(GuestModules("6.1"), "")
    assert severity is Severity.INFO and text.endswith(
        "is not known: /lib/modules of its disk xvda, volume/vg0/web, has none"
    )
    assert "root=/dev/NAME" in what
    ((severity, text, _),) = case(GuestModules("6.1", ("6.0",)), "")
    assert severity is Severity.WARNING and "has 6.0" in text


@pytest.mark.parametrize(
    ("found", "cmdline", "why"),
    [
        (GuestModules(None), "root=/dev/xvda", " is not known: that file names no release"),
        (GuestModules("6.1", unknown="no room"), "root=/dev/xvda", ", 6.1, is not known: no room"),
        (
            GuestModules("6.1"),
            "root=/dev/md0",
            ", 6.1, is not known: its root file system is /dev/md0, which is none of its disks",
        ),
    ],
)
def test_what_is_not_known(found: GuestModules, cmdline: str, why: str) -> None:
    ((severity, text, what),) = case(found, cmdline)
    assert severity is Severity.INFO and not what
    assert text == f"whether domain/web has the modules of its kernel {KERNEL}{why}"


def test_they_could_not_be_looked_at() -> None:
    finding = only(patient(dom("web"), modules=Unavailable("cannot find debugfs")), Code.MODULES, Severity.UNKNOWN)
    assert "cannot find debugfs" in finding.text
