"""What keeps a domU from starting, at its borders: what looks like a hurdle and is none, and the other way round."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    GIB,
    NOW,
    action,
    block_facts,
    desired,
    device,
    dom,
    edges,
    file_facts,
    hardware,
    ids,
    image,
    live,
    lv,
    memory,
    observed,
    plan,
    ready,
    refused,
    storage,
    uid,
    vbd,
    volume,
)
from xenlocal.model.desired import Disk
from xenlocal.model.memory import Hand
from xenlocal.model.observed import Observed, PathFacts, PathKind, PciUse, Table, Unavailable, Vbd, XenStore
from xenlocal.model.units import Size
from xenlocal.planner import xlcfg
from xenlocal.planner.holders import Claims, identity
from xenlocal.planner.hurdles import save_images

RESTART = {"hand": Hand.RESTART, "hand_domid": 3}


def why(seen: Observed, *disks: Disk, **values: object) -> str:
    made = plan(desired(dom("web", *disks, **values)), seen)
    assert ("start domain/web" in ids(made)) == (not refused(made, "domain/web"))
    return refused(made, "domain/web")


# Files of the dom0.


def test_one_whose_files_are_all_there_starts() -> None:
    there = {path: file_facts(path) for path in ("/boot/k", "/boot/r", "/usr/g")}
    files = {"kernel": "/boot/k", "ramdisk": "/boot/r", "pvgrub": "/usr/g"}
    assert not why(observed(paths=there), **files)
    for key, path in files.items():
        less = {name: facts for name, facts in there.items() if name != path}
        assert why(observed(paths=less), **files) == f"{key} {path} does not exist (a.conf:1)"


def test_a_saved_state_is_looked_for_under_the_names_it_has_and_had_and_no_other() -> None:
    assert save_images(dom("web")) == ("/var/lib/xen/save/web",)
    assert save_images(dom("new", was="old")) == ("/var/lib/xen/save/new", "/var/lib/xen/save/old")


def test_an_image_that_this_plan_makes_is_as_good_as_there() -> None:
    made = plan(desired(dom("web", image("/srv/web.img", GIB))), observed())
    assert not made.refusals and edges(made, "start domain/web")[0] == ("create file//srv/web.img",)
    assert "does not exist, and without size" in why(observed(), image("/srv/web.img"))


# Its former self.


def test_one_that_was_renamed_while_it_ran_may_be_restarted() -> None:
    """It has its old name in xl until then."""
    new = replace(dom("new", was="old"), uuid=uid("old"))
    kept = memory(replace(ready("old", 3, **RESTART), name="new"))
    made = plan(desired(new), observed(live(3, "old")), kept)
    assert ids(made) == ("stop domain/new", "start domain/new", "await domain/new")


# Disks.


@pytest.mark.parametrize("tag", ["xenlocal.host=there", ""])
def test_a_device_without_a_number_is_not_taken_for_a_volume_that_has_none(tag: str) -> None:
    """An LV that is not active has no number either, and may be another dom0's."""
    seen = observed(
        paths={"/dev/sdb": PathFacts(PathKind.BLOCK, Size(0), "/dev/sdb")},
        storage=storage(volume("theirs", active=False, tags=frozenset({tag} if tag else ()))),
    )
    assert not why(seen, device("/dev/sdb"))


def test_a_device_that_is_another_dom0s_volume_is_left_to_it() -> None:
    seen = observed(
        paths={"/dev/sdb": block_facts("/dev/sdb", number=(253, 7))},
        storage=storage(volume("theirs", device=(253, 7), tags=frozenset({"xenlocal.host=there"}))),
    )
    assert "belongs to the dom0 there" in why(seen, device("/dev/sdb"))


def test_what_a_guest_was_given_counts_though_its_path_leads_elsewhere_by_now() -> None:
    moved = "/dev/disk/by-id/x"
    paths = {"/dev/sdb": block_facts("/dev/sdb", number=(8, 16)), moved: block_facts(moved, "/dev/sdc", (8, 32))}
    seen = observed(live(7, "theirs"), paths=paths, vbds=(vbd(7, moved, (8, 16)),))
    assert why(seen, device("/dev/sdb")) == "disk xvda: device//dev/sdb is held by domain/theirs (domid 7)"


BOTH, OTHER = replace(lv("both"), shared=True), replace(lv("other", vdev="xvdb"), shared=True)
BY_QEMU = Vbd(3, "xvda", "/dev/vg0/both", None, True, by_qemu=True)


def test_to_share_one_disk_is_not_to_share_another() -> None:
    holder = dom("a", replace(BOTH, shared=False), OTHER)
    qemu = "/usr/libexec/xen-qemu-system-i386"
    seen = observed(
        live(3, "a"),
        storage=storage(volume("both", opened=True), volume("other")),
        vbds=(BY_QEMU,),
        paths={qemu: file_facts(qemu)},
    )
    made = plan(desired(holder, dom("b", BOTH)), seen, memory(ready("a", 3, running={"memory": "1024"})))
    assert "start domain/b" not in ids(made) and "is held by domain/a (domid 3)" in refused(made, "domain/b")


def test_while_it_is_unknown_who_holds_a_disk_nobody_is_known_to_share_it() -> None:
    claims = Claims(desired(dom("a", BOTH)))
    seen = observed(live(3, "a"))
    which = identity(BOTH.backing, seen)
    assert not claims.bars(BOTH, which, BY_QEMU, seen)
    assert claims.bars(BOTH, which, BY_QEMU, replace(seen, domains=Unavailable("xl hangs")))


def test_while_paths_are_unknown_a_disk_that_qemu_serves_is_known_by_its_own() -> None:
    """An edit that would make it the only writer is not handed over."""
    one = dom("b", replace(BOTH, shared=False))
    mine = replace(BY_QEMU, domid=4)
    seen = observed(
        live(3, "a"),
        live(4, "b"),
        storage=storage(volume("both", opened=True)),
        vbds=(BY_QEMU, mine),
        paths=Unavailable("hangs"),
    )
    kept = memory(ready("a", 3, running={"memory": "1024"}), ready("b", 4, running=xlcfg.settings(dom("b", BOTH))))
    made = plan(desired(dom("a", BOTH), one), seen, kept)
    assert "stage domain/b" not in ids(made)
    assert "disk xvda: volume/vg0/both is held by domain/a (domid 3)" in refused(made, "domain/b")


# The network, and devices.


def test_an_unknown_network_is_no_fault_of_the_nic() -> None:
    seen = observed(network=Unavailable("ip hangs"))
    assert why(seen, bridges=("br0", "br1")) == "the host's network could not be found out"


ABLE = hardware(capabilities=frozenset({"pv", "pv_directio"}))
PCI = "0000:03:00.0"
KEPT = {
    f"/sys/bus/pci/devices/{PCI}": file_facts("/sys/x"),
    f"/sys/bus/pci/devices/{PCI}/driver": file_facts("/sys/bus/pci/drivers/pciback"),
}


def test_who_holds_its_devices_is_asked_at_once_too() -> None:
    wanted = plan(desired(dom("web", pci=(PCI,))), Observed(domains={})).wanted
    asked = {Table.PATHS, Table.HARDWARE, Table.MONITORS, Table.IDENTITIES, Table.KERNELS, Table.XENSTORE}
    assert wanted == asked


@pytest.mark.parametrize(("holder", "restarts"), [(3, True), (7, False)])
def test_a_restart_gets_back_its_own_devices_and_no_other_guests(holder: int, restarts: bool) -> None:
    seen = observed(
        live(3, "web"),
        live(7, "other"),
        paths=KEPT,
        hardware=ABLE,
        xenstore=XenStore((), (), (PciUse(holder, PCI),)),
    )
    made = plan(desired(dom("web", pci=(PCI,))), seen, memory(ready("web", 3, **RESTART)), now=NOW)
    assert ("stop domain/web" in ids(made)) is restarts
    assert ("is held by domain/other (domid 7)" in refused(made, "domain/web")) is not restarts
    if restarts:
        assert action(made, "start domain/web").name == "web"
