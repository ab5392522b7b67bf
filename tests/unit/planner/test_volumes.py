"""DESIGN rules 1 and 2 for LVs and image files: create, grow, activate, retire; never shrink or remove."""

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    EXTENT,
    GIB,
    HERE,
    WALL,
    action,
    block_facts,
    desired,
    device,
    dom,
    edges,
    file_facts,
    ids,
    image,
    learned_plan,
    live,
    lv,
    memory,
    noticed,
    observed,
    plan,
    ready,
    refused,
    storage,
    uid,
    vbd,
    volume,
    with_tables,
)
from xenlocal.model.conffiles import Source
from xenlocal.model.desired import Disk, GuestType, LogicalVolume, State
from xenlocal.model.names import trash_name
from xenlocal.model.observed import NOT_ASKED, Observed, Table, Unavailable, Vbd
from xenlocal.model.plan import Plan
from xenlocal.model.storage import KEPT_TAG, OUR_TAG, Volume
from xenlocal.model.units import Size

FOREIGN = frozenset[str]()
ROOT = "volume/vg0/root"


def with_volume(present: Volume | None, disk: Disk, **tables: object) -> Plan:
    return plan(
        desired(dom("web", disk, state=State.STOPPED)),
        observed(storage=storage(*([present] if present else [])), **tables),
    )


def test_an_absent_lv_is_created_before_its_domu_starts() -> None:
    made = plan(desired(dom("web", lv("root"))), observed())
    assert action(made, f"create {ROOT}").size == GIB
    assert f"create {ROOT}" in edges(made, "start domain/web")[0]


def test_a_size_is_rounded_up_to_whole_extents_and_that_is_no_difference_afterwards() -> None:
    odd = Size(GIB.bytes + 1)
    created = action(with_volume(None, lv("root", odd)), f"create {ROOT}")
    assert created.size.bytes == GIB.bytes + EXTENT.bytes
    made = with_volume(volume("root", created.size), lv("root", odd))
    assert made.is_empty and not made.refusals


def test_a_larger_declaration_grows_and_keeps_the_running_domu() -> None:
    made = learned_plan(
        desired(dom("web", lv("root", Size.mib(2048)))),
        observed(live(3, "web"), storage=storage(volume("root", opened=True))),
    )
    assert action(made, f"grow {ROOT}").size == Size.mib(2048)
    assert "stop domain/web" not in ids(made)


def test_a_smaller_declaration_is_refused_with_what_to_write_and_the_rest_goes_on() -> None:
    made = plan(
        desired(dom("web", lv("root", GIB), lv("data", GIB, "xvdb"))),
        observed(storage=storage(volume("root", Size.mib(2048)))),
    )
    assert refused(made, ROOT) == "is 2G, a.conf:1 says 1G: a volume is never shrunk; write size = 2G"
    assert {"create volume/vg0/data", "start domain/web"} <= set(ids(made))


def test_without_size_nothing_is_created_grown_or_refused_for_its_size() -> None:
    assert "without size" in refused(with_volume(None, lv("root", None)), ROOT)
    made = with_volume(volume("root"), lv("root", None))
    assert made.is_empty and not made.refusals


def test_no_room_in_the_volume_group_names_both_amounts() -> None:
    made = plan(
        desired(dom("web", lv("root", Size.mib(600)), lv("data", Size.mib(600), "xvdb"))),
        observed(storage=storage(free=GIB)),
    )
    assert [step for step in ids(made) if step.startswith("create")] == ["create volume/vg0/data"]
    assert refused(made, ROOT) == "needs 600M more, and vg0 has 424M free"
    assert "needs 600M more" in refused(made, "domain/web")


def test_growing_needs_only_what_is_more_and_what_one_takes_the_next_has_not() -> None:
    more = Size.mib(600)
    wanted = [lv(name, Size.mib(1624), f"xvd{name}") for name in "ab"]
    present = [volume(name) for name in "ab"]
    made = plan(
        desired(dom("web", *wanted, state=State.STOPPED)), observed(storage=storage(*present, free=Size.mib(1200)))
    )
    assert ids(made) == ("grow volume/vg0/a", "grow volume/vg0/b") and not made.refusals
    assert {step.reason for step in made.steps} == {"is 1G, declared 1624M in a.conf:1"}
    tight = storage(*present, free=Size.mib(1196))
    made = plan(desired(dom("web", *wanted, state=State.STOPPED)), observed(storage=tight))
    assert ids(made) == ("grow volume/vg0/a",)
    assert refused(made, "volume/vg0/b") == f"needs {more} more, and vg0 has 596M free"
    mixed = plan(
        desired(dom("web", wanted[0], lv("new", Size.mib(600), "xvdn"), state=State.STOPPED)), observed(storage=tight)
    )
    assert ids(mixed) == ("grow volume/vg0/a",) and "596M free" in refused(mixed, "volume/vg0/new")


def test_a_create_takes_all_that_is_left_and_no_more() -> None:
    want = desired(dom("web", lv("root"), state=State.STOPPED))
    assert ids(plan(want, observed(storage=storage(free=GIB)))) == (f"create {ROOT}",)
    made = plan(want, observed(storage=storage(free=Size(GIB.bytes - 1))))
    assert not made.steps and "needs 1G more" in refused(made, ROOT)


def test_an_lv_of_ours_that_is_small_and_inactive_is_grown_then_activated() -> None:
    made = with_volume(volume("root", active=False), lv("root", Size.mib(2048)))
    assert ids(made) == (f"grow {ROOT}", f"activate {ROOT}")
    assert edges(made, f"activate {ROOT}") == ((), (f"grow {ROOT}",))


def test_what_is_not_ours_says_what_is_not_done_to_it() -> None:
    hand_over = "it does not carry the tag xenlocal; to hand it over type: lvchange --addtag xenlocal vg0/root"
    made = with_volume(volume("root", tags=FOREIGN), lv("root", Size.mib(2048)))
    assert refused(made, ROOT) == f"is used as it is, but not grown: {hand_over}"
    made = with_volume(volume("root", tags=FOREIGN, active=False), lv("root"))
    assert refused(made, ROOT) == (
        f"is not active; is used as it is, but not activated: {hand_over}, or type: lvchange -ay vg0/root"
    )


def test_a_host_that_declares_no_volume_is_not_asked_for_any() -> None:
    seen, own = Observed(domains={}), {Table.IDENTITIES, Table.KERNELS}  # files of ours
    assert Table.STORAGE not in plan(desired(dom("web", state=State.STOPPED)), seen).wanted
    assert plan(desired(dom("web", lv("root"), state=State.STOPPED)), seen).wanted == {Table.STORAGE, *own}
    assert plan(desired(dom("web", image("/srv/x.img"), state=State.STOPPED)), seen).wanted == {Table.PATHS, *own}
    assert plan(desired(dom("web", device("/dev/sdb"), state=State.STOPPED)), seen).wanted == own


def test_trash_of_another_name_or_group_is_no_former_content() -> None:
    other = [volume(trash_name("data", 1)), volume(trash_name("root", 1), vg="vg1")]
    made = plan(desired(dom("web", lv("root"), state=State.STOPPED)), observed(storage=storage(*other)))
    assert ids(made) == (f"create {ROOT}",)


def test_a_missing_volume_group_holds_its_domu_only() -> None:
    made = plan(
        desired(dom("web", lv("root")), dom("db", image("/srv/db.img"))),
        observed(storage=storage(), paths={"/srv/db.img": file_facts("/srv/db.img")}),
    )
    assert "start domain/db" in ids(made)
    missing = plan(desired(dom("web", Disk("xvda", LogicalVolume("vg9", "root"), HERE, GIB))), observed())
    assert "volume group vg9 does not exist or is not visible" in refused(missing, "domain/web")


def test_a_foreign_lv_is_used_as_it_is_but_never_grown_activated_or_retired() -> None:
    made = with_volume(volume("root", tags=FOREIGN), lv("root", Size.mib(2048)))
    assert not made.steps and "lvchange --addtag xenlocal vg0/root" in refused(made, ROOT)
    made = with_volume(volume("root", tags=FOREIGN, active=False), lv("root"))
    assert not made.steps and "lvchange -ay vg0/root" in refused(made, ROOT)
    made = plan(
        desired(dom("web", lv("root"), state=State.ABSENT)),
        observed(storage=storage(volume("root", tags=FOREIGN))),
    )
    assert not made.steps and "does not carry the tag" in noticed(made, ROOT)


def test_an_inactive_lv_of_ours_is_activated_before_the_start() -> None:
    made = plan(desired(dom("web", lv("root"))), observed(storage=storage(volume("root", active=False))))
    assert f"activate {ROOT}" in edges(made, "start domain/web")[0]


def test_what_lies_in_the_trash_is_not_created_anew() -> None:
    trash = trash_name("root", 1_600_000_000)
    made = with_volume(volume(trash), lv("root"))
    assert not made.steps
    assert f"xenlocal trash restore vg0/{trash}" in refused(made, ROOT)
    assert f"xenlocal trash purge vg0/{trash}" in refused(made, ROOT)


@pytest.mark.parametrize(("here", "verb"), [("running", "stop"), ("shutdown", "reap")])
def test_absent_ends_then_renames_to_the_trash(here: str, verb: str) -> None:
    want = desired(dom("web", lv("root"), state=State.ABSENT))
    made = learned_plan(
        want,
        observed(live(3, "web", here), storage=storage(volume("root", opened=True)), vbds=(vbd(3, "/dev/vg0/root"),)),
    )
    assert ids(made) == (f"{verb} domain/web", f"retire {ROOT}")
    assert edges(made, f"retire {ROOT}")[0] == (f"{verb} domain/web",)
    assert action(made, f"retire {ROOT}").trash == trash_name("root", WALL)
    assert "a.conf:1" in made.steps[1].reason and "14d" in made.steps[1].reason


def test_absent_and_off_is_retired_at_once_and_only_once() -> None:
    want = desired(dom("web", lv("root"), state=State.ABSENT))
    assert ids(plan(want, observed(storage=storage(volume("root"))))) == (f"retire {ROOT}",)
    made = plan(want, observed(storage=storage(volume(trash_name("root", WALL)))))
    assert made.is_empty and not made.refusals


@pytest.mark.parametrize("state", ["dying", "running"])
def test_a_volume_is_not_retired_while_anything_of_its_domu_may_hold_it(state: str) -> None:
    other = live(9, "web", state, uuid="someone else")
    want = desired(dom("web", lv("root"), state=State.ABSENT))
    made = learned_plan(want, observed(other, storage=storage(volume("root", opened=True))))
    assert not made.steps and "still on the host" in refused(made, ROOT)
    made = learned_plan(want, observed(live(9, "web", "dying"), storage=storage(volume("root", opened=True))))
    assert not made.steps and "still on the host" in refused(made, ROOT)


def test_an_lv_open_on_the_dom0_is_not_retired() -> None:
    want = desired(dom("web", lv("root"), state=State.ABSENT))
    made = plan(want, observed(storage=storage(volume("root", opened=True))))
    assert not made.steps and "has it open" in refused(made, ROOT)


def test_an_lv_that_another_live_domain_holds_too_is_not_retired_after_its_own_stop() -> None:
    want = desired(dom("web", lv("root", readonly=True), state=State.ABSENT))
    made = learned_plan(
        want,
        observed(
            live(3, "web"),
            live(4, "theirs"),
            storage=storage(volume("root", opened=True, device=(253, 1))),
            vbds=(vbd(3, "/dev/vg0/root", (253, 1)), vbd(4, "/dev/mapper/vg0-root", (253, 1))),
        ),
    )
    assert ids(made) == ("stop domain/web",)
    assert "held by domain/theirs" in refused(made, ROOT)


def test_who_holds_an_lv_being_unknown_keeps_it_from_being_retired() -> None:
    want = desired(dom("web", lv("root"), state=State.ABSENT))
    seen = observed(live(3, "web"), storage=storage(volume("root", opened=True)), xenstore=Unavailable("hangs"))
    made = learned_plan(want, seen)
    assert ids(made) == ("stop domain/web",)
    assert refused(made, ROOT) == "not retired: who uses it could not be found out"


def test_an_lv_that_another_section_names_is_not_retired() -> None:
    absent = dom("old", lv("root"), state=State.ABSENT)
    seen = observed(storage=storage(volume("root", device=(253, 1))))
    assert not plan(desired(absent, dom("new", lv("root"), state=State.STOPPED)), seen).steps
    seen = observed(
        storage=storage(volume("root", device=(253, 1))),
        paths={"/dev/mapper/vg0-root": block_facts("/dev/mapper/vg0-root", "/dev/dm-1", (253, 1))},
    )
    by_device = dom("new", device("/dev/mapper/vg0-root"), state=State.STOPPED)
    assert not plan(desired(absent, by_device), seen).steps


BY_ID = "/dev/disk/by-id/dm-name-vg0-root"


def test_an_lv_that_another_domu_has_by_the_path_of_its_device_is_not_retired() -> None:
    want = desired(dom("web", lv("root"), state=State.ABSENT), dom("db", device(BY_ID), state=State.STOPPED))
    seen = observed(storage=storage(volume("root", device=(253, 3))), paths={BY_ID: block_facts(BY_ID, "", (253, 3))})
    assert not plan(want, seen).steps
    first = plan(want, with_tables(seen, paths=NOT_ASKED))
    assert not first.steps and Table.PATHS in first.wanted
    unknown = plan(want, with_tables(seen, paths=Unavailable("stat failed")))
    assert not unknown.steps and "which devices the other domUs use could not be found out" in refused(unknown, ROOT)
    other = with_tables(seen, paths={BY_ID: block_facts(BY_ID, "", (253, 4))})
    assert ids(plan(want, other)) == (f"retire {ROOT}",)


def test_an_lv_that_is_not_active_may_be_the_device_whose_path_is_missing() -> None:
    want = desired(dom("web", lv("root"), state=State.ABSENT), dom("db", device(BY_ID), state=State.STOPPED))
    made = plan(want, observed(storage=storage(volume("root", active=False))))
    assert not made.steps and f"may be what {BY_ID} is; type: lvchange -ay vg0/root" in refused(made, ROOT)
    assert ids(plan(want, observed(storage=storage(volume("root"))))) == (f"retire {ROOT}",)


def test_kept_by_hand_is_not_retired_again_and_the_mark_goes_with_the_next_use() -> None:
    kept = volume("root", tags=frozenset({OUR_TAG, KEPT_TAG}))
    assert not plan(desired(dom("web", lv("root"), state=State.ABSENT)), observed(storage=storage(kept))).steps
    made = with_volume(kept, lv("root"))
    assert action(made, f"untag {ROOT}").tags == (KEPT_TAG,)


def test_two_readonly_users_of_one_lv_ask_for_the_larger_size() -> None:
    made = plan(
        desired(
            dom("a", lv("iso", GIB, readonly=True)),
            dom("b", lv("iso", Size.mib(2048), readonly=True)),
        ),
        observed(),
    )
    assert action(made, "create volume/vg0/iso").size == Size.mib(2048)
    assert {"start domain/a", "start domain/b"} <= set(ids(made))


def test_an_image_file_is_created_grown_and_never_shrunk() -> None:
    path = "/srv/db.img"
    want = desired(dom("db", image(path, GIB), state=State.STOPPED))
    assert action(plan(want, observed()), f"create file/{path}").size == GIB
    small = observed(paths={path: file_facts(path, Size.mib(1))})
    assert action(plan(want, small), f"grow file/{path}").size == GIB
    large = plan(want, observed(paths={path: file_facts(path, Size.mib(2048))}))
    assert not large.steps and "never shrunk; write size = 2G" in refused(large, f"file/{path}")


def test_a_file_that_is_none_or_cannot_be_made_says_so() -> None:
    path = "/srv/db.img"
    made = plan(desired(dom("db", image(path, GIB))), observed(paths={path: block_facts(path)}))
    assert not made.steps and "device = ..." in refused(made, f"file/{path}")
    made = plan(desired(dom("db", image(path))), observed())
    assert not made.steps and "without size" in refused(made, "domain/db")


def test_an_image_for_a_drive_is_put_there_by_somebody() -> None:
    """It has no size to write, and a drive takes no block device."""
    path = "/srv/a.iso"
    win = dom("win", replace(image(path, vdev="hdc", readonly=True), cdrom=True), type=GuestType.HVM)
    assert refused(plan(desired(win), observed()), f"file/{path}") == "does not exist; put the image there"
    made = plan(desired(win), observed(paths={path: block_facts(path)}))
    assert refused(made, f"file/{path}") == "is not a regular file"
    reader = dom("xp", replace(image(path, vdev="xvdb"), readonly=True))
    both = plan(desired(win, reader), observed())
    assert refused(both, f"file/{path}") == "does not exist; put the image there", (
        "in a drive of one, a disk of another"
    )


def test_a_volume_that_two_absent_domus_shared_is_retired_once() -> None:
    disk = replace(lv("both"), shared=True)
    two = [dom(name, disk, state=State.ABSENT) for name in ("a", "b")]
    assert ids(plan(desired(*two), observed(storage=storage(volume("both"))))) == ("retire volume/vg0/both",)


def test_files_and_given_devices_of_an_absent_domu_stay_and_how_to_be_rid_of_a_file_is_said() -> None:
    path = "/srv/my db.img"
    want = desired(dom("db", image(path, GIB), device("/dev/sdb", "xvdb"), state=State.ABSENT))
    paths = {path: file_facts(path), "/dev/sdb": block_facts("/dev/sdb")}
    made = plan(want, observed(paths=paths))
    assert not made.steps and len(made.notices) == 1
    assert "a.conf:1" in noticed(made, f"file/{path}") and f"type: rm '{path}'" in noticed(made, f"file/{path}")
    assert not plan(want, observed()).notices
    running = learned_plan(want, observed(live(3, "db"), paths=paths))
    assert ids(running) == ("stop domain/db",) and not noticed(running, f"file/{path}")
    shared = desired(*want.domains.values(), dom("new", image(path), state=State.STOPPED))
    assert not plan(shared, observed(paths=paths)).notices


def test_lvs_that_stay_with_an_absent_domu_are_named_with_what_to_type() -> None:
    want = desired(dom("web", lv("root"), state=State.ABSENT))
    made = plan(want, observed(storage=storage(volume("root", tags=FOREIGN))))
    assert "type: lvchange --addtag xenlocal vg0/root" in noticed(made, ROOT)
    kept = observed(storage=storage(volume("root", tags=frozenset({OUR_TAG, KEPT_TAG}))))
    assert "type: lvchange --deltag xenlocal-kept vg0/root" in noticed(plan(want, kept), ROOT)
    shared = desired(*want.domains.values(), dom("new", lv("root"), state=State.STOPPED))
    assert not noticed(plan(shared, observed(storage=storage(volume("root", tags=FOREIGN)))), ROOT)


def test_a_growth_that_fails_does_not_keep_its_domu_off() -> None:
    made = plan(desired(dom("web", lv("root", Size.mib(2048)))), observed(storage=storage(volume("root"))))
    needs, after = edges(made, "start domain/web")
    assert f"grow {ROOT}" in after and f"grow {ROOT}" not in needs


def test_until_the_boot_goal_has_run_no_lv_is_taken_from_under_a_running_domu() -> None:
    made = learned_plan(
        desired(dom("web", lv("root"), state=State.ABSENT)),
        observed(live(3, "web"), storage=storage(volume("root", opened=True)), vbds=(vbd(3, "/dev/vg0/root"),)),
        memory(boot_done=False),
    )
    assert made.is_empty and "still on the host" in refused(made, ROOT)


def test_a_file_of_the_declared_size_is_left_alone() -> None:
    want = desired(dom("db", image("/srv/db.img", GIB), state=State.STOPPED))
    made = plan(want, observed(paths={"/srv/db.img": file_facts("/srv/db.img", GIB)}))
    assert made.is_empty and not made.refusals


def test_the_mark_of_a_restored_lv_goes_from_ours_only() -> None:
    foreign = volume("root", tags=frozenset({KEPT_TAG}))
    assert with_volume(foreign, lv("root")).is_empty


def test_of_several_in_the_trash_the_oldest_is_named_in_whatever_order_they_come() -> None:
    names = [trash_name("root", when) for when in (1_600_000_000, 1_500_000_000, 1_700_000_000)]
    made = plan(desired(dom("web", lv("root"), state=State.STOPPED)), observed(storage=storage(*map(volume, names))))
    assert f"restore vg0/{names[1]}`" in refused(made, ROOT)


def test_who_declared_it_first_is_named_where_two_share_an_lv() -> None:
    disks = [replace(lv("iso", GIB, readonly=True), source=Source(name, 7)) for name in ("a.conf", "b.conf")]
    made = plan(desired(dom("a", disks[0]), dom("b", disks[1])), observed())
    assert [step.reason for step in made.steps if step.id == "create volume/vg0/iso"] == [
        "declared in a.conf:7, does not exist"
    ]


def test_retired_in_the_order_of_their_names() -> None:
    names = ["f", "b", "e", "a", "d", "c"]
    want = desired(dom("web", *(lv(name, GIB, f"xvd{name}") for name in names), state=State.ABSENT))
    made = plan(want, observed(storage=storage(*map(volume, names))))
    assert ids(made) == tuple(f"retire volume/vg0/{name}" for name in sorted(names))


@pytest.mark.parametrize("table", ["domains", "storage", "paths"])
def test_nothing_of_an_absent_domu_is_retired_or_told_while_a_table_is_unknown(table: str) -> None:
    disks = (lv("root"), image("/srv/x.img", vdev="xvdb"))
    want = desired(dom("web", *disks, state=State.ABSENT), dom("db", device("/dev/sdb"), state=State.STOPPED))
    seen = observed(
        storage=storage(volume("root")),
        paths={"/srv/x.img": file_facts("/srv/x.img"), "/dev/sdb": block_facts("/dev/sdb")},
    )
    assert ids(plan(want, seen)) == (f"retire {ROOT}",) and noticed(plan(want, seen), "file//srv/x.img")
    made = plan(want, with_tables(seen, **{table: Unavailable("hangs")}))
    assert not made.steps
    assert bool(noticed(made, "file//srv/x.img")) == (table == "storage")


def test_what_is_left_of_a_domu_is_known_by_its_uuid_when_its_name_is_gone() -> None:
    want = desired(dom("web", lv("root"), state=State.ABSENT))
    dying = live(9, "", "dying", uuid=uid("web"))
    made = plan(want, observed(dying, storage=storage(volume("root"))))
    assert not made.steps and refused(made, ROOT) == "not retired: domain/web is still on the host"


def test_only_given_devices_of_others_are_a_reason_to_look_at_paths() -> None:
    absent = dom("web", lv("root"), state=State.ABSENT)
    there = storage(volume("root"), volume("data"))
    others = desired(absent, dom("db", lv("data"), state=State.STOPPED))
    assert ids(plan(others, observed(storage=there, paths=Unavailable("hangs")))) == (f"retire {ROOT}",)
    asleep = storage(volume("root", active=False))
    with_file = desired(absent, dom("db", image("/srv/none.img", GIB), state=State.STOPPED))
    assert f"retire {ROOT}" in ids(plan(with_file, observed(storage=asleep)))
    found = observed(storage=asleep, paths={"/dev/sdb": block_facts("/dev/sdb")})
    with_device = desired(absent, dom("db", device("/dev/sdb"), state=State.STOPPED))
    assert ids(plan(with_device, found)) == (f"retire {ROOT}",)
    two = desired(absent, dom("db", device("/dev/y"), device("/dev/x", "xvdb"), state=State.STOPPED))
    assert "may be what /dev/x is" in refused(plan(two, found), ROOT)


def test_what_a_guest_runs_on_is_not_made_anew_under_its_former_name() -> None:
    """Somebody has renamed it; an empty one in its place is what its own reboot would take."""
    runs = memory(ready("web", 5, running={}))
    here = live(5, "web")
    gone = "does not exist, and domain/web (domid 5) runs on what had that name, so none is made in its place; give it"
    for path in ("/dev/vg0/web", "/dev/mapper/vg0-web"):
        held = Vbd(5, "xvda", path, (253, 4), True)
        moved = volume("a", device=(253, 3)), volume("b", device=(253, 4)), volume("c", vg="vg1", device=(253, 4))
        made = learned_plan(desired(dom("web", lv("web"))), observed(here, storage=storage(*moved), vbds=(held,)), runs)
        assert not made.steps and refused(made, "volume/vg0/web") == (
            f"{gone} its name back (type: lvrename vg0 b web), or shut that domU down first"
        )
    by_qemu = replace(held, device=None, by_qemu=True)
    for there, one in ((volume("c", vg="vg1", device=(253, 4)), held), (volume("c", active=False), by_qemu)):
        elsewhere = observed(here, storage=storage(there), vbds=(one,))
        made = learned_plan(desired(dom("web", lv("web"))), elsewhere, runs)
        assert not made.steps and "(`lvs -o +lv_kernel_major,lv_kernel_minor` shows what it is called now)" in refused(
            made, "volume/vg0/web"
        )
    of_file = observed(
        here, vbds=(Vbd(4, "xvda", "/srv/other.img", None, True), Vbd(5, "xvda", "/srv/web.img", None, True))
    )
    made = learned_plan(desired(dom("web", image("/srv/web.img", GIB))), of_file, runs)
    assert not made.steps and refused(made, "file//srv/web.img") == (
        f"{gone} its name back (`losetup --list` shows what it is called now), or shut that domU down first"
    )


def test_nothing_is_made_while_it_is_not_known_who_runs_on_what() -> None:
    for disk, target in ((lv("web"), "volume/vg0/web"), (image("/srv/web.img", GIB), "file//srv/web.img")):
        made = plan(desired(dom("web", disk)), observed(xenstore=Unavailable("hangs")))
        assert not made.steps and refused(made, target) == (
            "does not exist, and whether a domU runs on what had that name: the host's xenstore could not be found out"
        )
