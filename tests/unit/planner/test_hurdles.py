"""What keeps a domU from starting: each hurdle is one named reason, unknown too (DESIGN rules 1, 7, 10)."""

from typing import Any

import pytest

from tests.unit.planner.build import (
    GIB,
    HERE,
    NOW,
    UP,
    block_facts,
    br,
    bridge_link,
    desired,
    device,
    dom,
    file_facts,
    hardware,
    ids,
    image,
    live,
    lv,
    memory,
    network,
    observed,
    plan,
    ready,
    rec,
    refused,
    storage,
    uid,
    vbd,
    volume,
    with_tables,
)
from xenlocal.engine.observe import declared_paths
from xenlocal.model.desired import Disk, Firmware, GuestType, LogicalVolume, State
from xenlocal.model.memory import Hand, Off
from xenlocal.model.names import Kind, Target, bridge
from xenlocal.model.observed import Observed, PathFacts, PathKind, Table, Unavailable
from xenlocal.model.plan import Goal
from xenlocal.model.storage import Volume
from xenlocal.model.units import Size
from xenlocal.planner.draft import Draft
from xenlocal.planner.holders import who
from xenlocal.planner.hurdles import Budget, hurdle_to_start, memory_needed
from xenlocal.planner.identities import Guard

ROOT = volume("root", device=(253, 1), opened=True)


def why(want_disk: Disk | None, seen: Observed, **values: object) -> str:
    made = plan(desired(dom("web", *([want_disk] if want_disk else []), **values)), seen)
    assert ("start domain/web" in ids(made)) == (not refused(made, "domain/web"))
    return refused(made, "domain/web")


@pytest.mark.parametrize(
    "held",
    [
        vbd(7, "/dev/vg0/root"),
        vbd(7, "/dev/mapper/vg0-root"),
        vbd(7, "/dev/dm-1", (253, 1)),
        vbd(7, "/dev/vg0/root", writable=False),
    ],
)
@pytest.mark.parametrize("state", ["running", "dying", "shutdown", "paused"])
def test_a_disk_that_another_domain_holds_by_any_of_its_names_is_not_attached(held: object, state: str) -> None:
    seen = observed(live(7, "theirs", state), storage=storage(ROOT), vbds=(held,))
    assert why(lv("root"), seen) == "disk xvda: volume/vg0/root is held by domain/theirs (domid 7)"


def test_a_holder_that_xl_does_not_list_any_more_still_counts() -> None:
    assert "is held by domid 7" in why(lv("root"), observed(storage=storage(ROOT), vbds=(vbd(7, "/dev/vg0/root"),)))


def test_a_disk_read_only_on_both_sides_is_shared() -> None:
    seen = observed(live(7, "theirs"), storage=storage(ROOT), vbds=(vbd(7, "/dev/vg0/root", writable=False),))
    assert not why(lv("root", readonly=True), seen)
    seen = observed(live(7, "theirs"), storage=storage(ROOT), vbds=(vbd(7, "/dev/vg0/root"),))
    assert "held" in why(lv("root", readonly=True), seen)


def test_a_given_device_is_known_by_its_number_and_by_the_lv_behind_it() -> None:
    path = "/dev/disk/by-id/dm-name-vg0-root"
    paths = {path: block_facts(path, "/dev/dm-1", (253, 1))}
    for held in (vbd(7, "/dev/vg0/root"), vbd(7, "/dev/dm-1"), vbd(7, "/x", (253, 1))):
        made = plan(
            desired(dom("web", device(path), lv("other", vdev="xvdb"))),
            observed(live(7, "theirs"), paths=paths, storage=storage(ROOT, volume("other")), vbds=(held,)),
        )
        assert "is held by domain/theirs" in refused(made, "domain/web")


def test_a_file_is_known_behind_its_symlinks() -> None:
    facts = {"/srv/a.img": file_facts("/data/real.img")}
    seen = observed(live(7, "theirs"), paths=facts, vbds=(vbd(7, "/data/real.img"),))
    assert "is held by" in why(image("/srv/a.img"), seen)


def test_one_disk_under_two_names_starts_one_domu_of_one_plan_only() -> None:
    paths = {"/dev/mapper/vg0-root": block_facts("/dev/mapper/vg0-root", "/dev/dm-1", (253, 1))}
    want = desired(dom("a", lv("root")), dom("b", device("/dev/mapper/vg0-root")))
    made = plan(want, observed(paths=paths, storage=storage(volume("root", device=(253, 1)))))
    assert "start domain/a" in ids(made) and "start domain/b" not in ids(made)
    assert "is also disk xvda of domain/a" in refused(made, "domain/b")


def test_a_disk_of_a_domu_that_is_just_rebooting_is_not_free() -> None:
    paths = {"/dev/mapper/vg0-root": block_facts("/dev/mapper/vg0-root", "/dev/dm-1", (253, 1))}
    want = desired(dom("a", device("/dev/mapper/vg0-root")), dom("b", lv("root")))
    seen = observed(paths=paths, storage=storage(volume("root", device=(253, 1))))
    made = plan(want, seen, memory(rec("b", off=Off.REBOOTING, off_since=NOW - 2)))
    assert not made.steps and "of domain/b" in refused(made, "domain/a")


def test_a_restart_may_have_the_disks_of_its_own_present_self() -> None:
    made = plan(
        desired(dom("web", lv("root"))),
        observed(live(3, "web"), storage=storage(ROOT), vbds=(vbd(3, "/dev/vg0/root"),)),
        memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3)),
    )
    assert "start domain/web" in ids(made)


def test_an_lv_open_on_the_dom0_is_not_attached() -> None:
    assert "open on the dom0 itself" in why(lv("root"), observed(storage=storage(ROOT)))


def test_a_saved_image_forbids_the_start_and_says_the_two_ways_out() -> None:
    image_path = "/var/lib/xen/save/web"
    reason = why(None, observed(paths={image_path: file_facts(image_path)}))
    assert f"`xl restore {image_path}`" in reason and f"`rm {image_path}`" in reason


def test_another_uuid_under_our_name_blocks_and_is_not_touched() -> None:
    seen = observed(live(9, "web", uuid="0000"))
    reason = why(None, seen)
    assert "another domU of this name is live (domid 9, UUID 0000)" in reason
    assert "xl shutdown 9" in reason and "uuid = 0000" in reason


@pytest.mark.parametrize("state", ["dying", "shutdown", "crashed"])
def test_one_that_has_ended_under_our_name_cannot_be_shut_down_any_more(state: str) -> None:
    reason = why(None, observed(live(9, "web", state, uuid="0000")))
    assert "(domid 9, UUID 0000)" in reason and "`xl destroy 9`" in reason and "xl shutdown" not in reason
    assert "uuid = 0000" not in reason


def test_an_xl_at_work_on_it_is_not_raced_with() -> None:
    assert "an xl process is at work on it" in why(None, observed(monitors=frozenset({"web"})))
    assert not why(None, observed(monitors=frozenset({"web2"})))


def test_what_is_missing_is_named() -> None:
    assert why(None, observed(), kernel="/boot/k") == "kernel /boot/k does not exist (a.conf:1)"
    paths = {"/boot/k": file_facts("/boot/k")}
    assert why(None, observed(paths=paths), ramdisk="/boot/r") == "ramdisk /boot/r does not exist (a.conf:1)"
    assert "does not exist yet; waiting for it" in why(device("/dev/sdb"), observed())
    assert "is not a block device" in why(device("/srv/x"), observed(paths={"/srv/x": file_facts("/srv/x")}))
    assert "nic eth0: bridge/br0 does not exist" in why(None, observed(), bridges=("br0",))
    assert why(None, observed(), pvgrub="/usr/g") == "pvgrub /usr/g does not exist (a.conf:1)"
    assert why(None, observed(), unsupported=("pci", "usb")) == (
        "pci, usb: not yet supported by this version (a.conf:1)"
    )


DEVICE_MODEL, BIOS, OVMF = (
    "/usr/libexec/xen-qemu-system-i386", "/usr/share/seabios/bios-256k.bin", "/usr/share/ovmf/OVMF.fd"
)  # fmt: skip


def test_an_hvm_guest_needs_its_device_model_its_firmware_and_a_cpu_that_can() -> None:
    def of(*paths: str, cpu: str = "hvm", **values: Any) -> str:
        able = hardware(capabilities=frozenset({"pv", cpu}))
        seen = observed(paths={path: file_facts(path) for path in paths}, hardware=able)
        return why(None, seen, **{"type": GuestType.HVM, **values})

    assert of(BIOS) == f"{DEVICE_MODEL} is missing, which an hvm guest needs; type: apt install qemu-system-xen"
    assert of(DEVICE_MODEL).endswith("type: apt install seabios")
    assert of(DEVICE_MODEL, BIOS, firmware=Firmware.UEFI).endswith("type: apt install ovmf")
    assert not of(DEVICE_MODEL, BIOS) and not of(DEVICE_MODEL, OVMF, firmware=Firmware.UEFI)
    assert "cannot run hvm guests" in of(DEVICE_MODEL, BIOS, cpu="")
    assert "cannot run pvh guests" in of(cpu="", type=GuestType.PVH)
    assert not of(cpu="", type=GuestType.PV)


def test_a_bridge_that_is_there_as_declared_is_no_hurdle() -> None:
    want = desired(dom("web", bridges=("br0",)), br("br0"))
    assert "start domain/web" in ids(plan(want, observed(network=network(bridge_link("br0")))))


def test_a_hurdle_is_looked_at_again_soon() -> None:
    made = plan(desired(dom("web", device("/dev/sdb"))), observed())
    assert made.look_again == NOW + 10
    assert plan(desired(dom("web", kernel="/boot/none")), observed()).look_again == NOW + 30


def test_memory_is_shared_out_critical_ones_first_and_the_rest_is_told_what_is_free() -> None:
    want = desired(dom("a"), dom("b", critical=True), dom("c", memory=Size.mib(100)))
    made = plan(want, observed(hardware=hardware(Size.mib(256 + 1024 + 9 + 120))))
    assert [step for step in ids(made) if step.startswith("start")] == ["start domain/b", "start domain/c"]
    assert "needs 1033M of memory" in refused(made, "domain/a") and "120M are free" in refused(made, "domain/a")


def test_while_the_dom0_balloons_xl_decides_about_memory() -> None:
    assert not why(None, observed(hardware=hardware(Size(0), autoballoon=True)))


def test_a_restart_gets_back_what_its_present_self_holds() -> None:
    made = plan(
        desired(dom("web")),
        observed(live(3, "web", memory=GIB), hardware=hardware(Size.mib(256 + 9))),
        memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3)),
    )
    assert "start domain/web" in ids(made)


@pytest.mark.parametrize(
    ("held", "free", "starts"),
    [
        (GIB, Size.mib(256 + 9), True),
        (GIB, Size(Size.mib(256 + 9).bytes - 1), False),
        (Size.mib(2048), Size.mib(256), True),  # it gives back more than it needs
    ],
)
def test_a_restart_needs_what_it_lacks_beside_its_present_self(held: Size, free: Size, starts: bool) -> None:
    seen = observed(live(3, "web", memory=held), hardware=hardware(free))
    made = plan(desired(dom("web")), seen, memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3)))
    assert ("stop domain/web" in ids(made)) == ("start domain/web" in ids(made)) == starts


@pytest.mark.parametrize(
    ("autoballoon", "vcpus", "declared", "slots"),
    [(False, 8, None, 4), (False, 2, None, 2), (False, 1, None, 1), (True, 8, None, 1), (True, 8, 3, 3)],
)
def test_start_slots(autoballoon: bool, vcpus: int, declared: int | None, slots: int) -> None:
    seen = observed(hardware=hardware(autoballoon=autoballoon, dom0_vcpus=vcpus))
    assert plan(desired(start_parallel=declared), seen, UP).start_slots == slots


def test_no_second_start_beside_an_xl_create_that_is_at_work() -> None:
    assert "an xl process is at work" in str(why(None, observed(monitors=frozenset({"web"}))))
    assert not why(None, observed(monitors=frozenset({"db"})))


def test_a_monitor_that_knows_it_by_the_name_before_a_rename_may_create_it_anew() -> None:
    kept = rec("web", off=Off.LOST, off_since=NOW - 100, monitor="old")
    want, seen = desired(dom("web")), observed(monitors=frozenset({"old"}))
    assert "an xl process is at work on it" in refused(plan(want, seen, memory(kept)), "domain/web")
    assert plan(want, with_tables(seen, domains={7: live(7, "old")}), memory(kept)).steps
    down = plan(want, seen, memory(kept, shutting_down=NOW), Goal.SHUTDOWN)
    assert "an xl process is at work on it" in refused(down, "domain/web")


def test_the_domus_being_unknown_is_a_hurdle_by_itself() -> None:
    """The planner asks for nothing then; the guard does not rely on that."""
    seen = with_tables(observed(), domains=Unavailable("xl hangs"))
    hurdle = hurdle_to_start(Draft(seen), dom("web"), rec("web"), None, seen, Budget.of(desired()), Guard({}, ()))
    assert hurdle == "which domUs are running could not be found out"


def test_all_that_a_start_needs_to_know_is_asked_for_at_once() -> None:
    """Otherwise each table would cost a round of looks."""
    seen = Observed(domains={})
    plain = {Table.PATHS, Table.HARDWARE, Table.MONITORS, Table.IDENTITIES, Table.KERNELS}
    assert plan(desired(dom("web")), seen).wanted == plain
    assert plan(desired(dom("web", image("/srv/x.img"))), seen).wanted == {*plain, Table.XENSTORE, Table.AT_WORK}
    assert plan(desired(dom("web", bridges=("br0",))), seen).wanted == {*plain, Table.NETWORK}
    things = dom("web", after_things=(bridge("br0"),), needs_things=(Target(Kind.VOLUME, "vg0/x"),))
    assert plan(desired(things), seen).wanted == {*plain, Table.NETWORK, Table.STORAGE}


def test_what_has_no_device_number_is_not_taken_for_another_without_one() -> None:
    files = {path: file_facts(path) for path in ("/srv/a.img", "/srv/b.img")}
    want = desired(dom("a", image("/srv/a.img")), dom("b", image("/srv/b.img")))
    seen = observed(live(7, "theirs"), paths=files, vbds=(vbd(7, "/srv/c.img"),))
    assert {"start domain/a", "start domain/b"} <= set(ids(plan(want, seen)))
    want = desired(dom("a", lv("a")), dom("b", lv("b")))
    seen = observed(live(7, "theirs"), storage=storage(volume("a"), volume("b")), vbds=(vbd(7, "/dev/vg0/c"),))
    assert {"start domain/a", "start domain/b"} <= set(ids(plan(want, seen)))


def test_a_given_device_is_not_held_by_who_has_another_lv() -> None:
    paths = {"/dev/sdb": block_facts("/dev/sdb", number=(8, 16))}
    seen = observed(
        live(7, "theirs"),
        paths=paths,
        storage=storage(volume("root", device=(253, 1), opened=True), volume("late", active=False)),
        vbds=(vbd(7, "/dev/vg0/root", (253, 1)), vbd(7, "/dev/vg0/late", vdev="xvdb")),
    )
    want = desired(dom("web", device("/dev/sdb")), dom("z", lv("root"), state=State.MANUAL))
    assert "start domain/web" in ids(plan(want, seen))


def test_a_dash_in_a_name_is_doubled_where_the_device_mapper_does() -> None:
    held = vbd(7, "/dev/mapper/vg0-web--root")
    seen = observed(live(7, "theirs"), storage=storage(volume("web-root")), vbds=(held,))
    assert "is held by domain/theirs" in why(lv("web-root"), seen)


def test_a_dash_in_the_name_of_a_group_is_doubled_too() -> None:
    disk = Disk("xvda", LogicalVolume("vg-0", "web-root"), HERE)
    there = Volume("vg-0", "web-root", GIB, True, False, frozenset())
    seen = observed(live(7, "theirs"), storage=storage(there), vbds=(vbd(7, "/dev/mapper/vg--0-web--root"),))
    assert "is held by domain/theirs" in why(disk, seen)


def test_one_device_is_known_by_its_number_whatever_its_node_is_called() -> None:
    want = desired(dom("a", device("/dev/sdb")), dom("b", device("/srv/node")))
    same = {"/dev/sdb": block_facts("/dev/sdb", number=(8, 16)), "/srv/node": block_facts("/srv/node", number=(8, 16))}
    assert refused(plan(want, observed(paths=same)), "domain/b").endswith(
        "is also disk xvda of domain/a, which has it first"
    )
    other = {**same, "/srv/node": block_facts("/srv/node", number=(8, 32))}
    assert {"start domain/a", "start domain/b"} <= set(ids(plan(want, observed(paths=other))))


def test_a_holder_without_a_name_is_told_by_its_domid() -> None:
    seen = observed(live(7, "", "dying"), storage=storage(ROOT), vbds=(vbd(7, "/dev/vg0/root"),))
    assert why(lv("root"), seen).endswith("is held by domid 7")
    assert who(7, with_tables(seen, domains=Unavailable("xl hangs"))) == "domid 7"


def test_one_plan_shares_out_a_read_only_disk_and_no_other() -> None:
    seen = observed(storage=storage(volume("root")))
    for first, second, both in ((True, True, True), (True, False, False), (False, True, False)):
        want = desired(dom("a", lv("root", readonly=first)), dom("b", lv("root", readonly=second)))
        assert ("start domain/b" in ids(plan(want, seen))) == both


def test_a_restart_is_not_kept_by_its_own_monitor() -> None:
    seen = observed(live(3, "web"), monitors=frozenset({"web"}))
    made = plan(desired(dom("web")), seen, memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3)))
    assert "start domain/web" in ids(made)


def test_xens_own_share_grows_with_the_vcpus_it_may_have() -> None:
    assert memory_needed(dom("web")) == Size.mib(1024 + 8 + 1)
    assert memory_needed(dom("web", vcpus=3)) == Size.mib(1024 + 8 + 3)
    assert memory_needed(dom("web", vcpus=3, maxvcpus=16)) == Size.mib(1024 + 8 + 16)


def test_a_start_that_fits_exactly_is_made_and_none_that_lacks_a_byte() -> None:
    room = Size.mib(256 + 1024 + 9)
    assert not why(None, observed(hardware=hardware(room)))
    assert "0B are free" not in why(None, observed(hardware=hardware(Size(room.bytes - 1))))
    assert "and 1032M are free" in why(None, observed(hardware=hardware(Size(room.bytes - 1))))
    assert "and 0B are free" in why(None, observed(hardware=hardware(Size.mib(100))))


def test_what_a_disk_must_be() -> None:
    paths = {"/dev/sdb": block_facts("/dev/sdb"), "/srv/d": PathFacts(PathKind.OTHER, Size(0), "/srv/d")}
    assert "file//dev/sdb is not a regular file" in why(image("/dev/sdb"), observed(paths=paths))
    assert "is not a block device" in why(device("/srv/d"), observed(paths=paths))
    assert "is not active" in why(lv("root"), observed(storage=storage(volume("root", active=False, tags=frozenset()))))


def test_a_saved_state_under_its_former_name_keeps_it_off_too() -> None:
    want = desired(dom("new", was="old"))
    made = plan(want, observed(paths={"/var/lib/xen/save/old": file_facts("/var/lib/xen/save/old")}))
    assert "xl restore /var/lib/xen/save/old" in refused(made, "domain/new")
    assert "/var/lib/xen/save/old" in declared_paths(want)


def test_one_that_was_renamed_twice_is_not_started_beside_its_former_self() -> None:
    made = plan(desired(dom("new", was="old")), observed(live(5, "old")))
    assert f"write uuid = {uid('old')} instead of was" in refused(made, "domain/new") and not made.steps
