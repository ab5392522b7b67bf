"""DESIGN rule 4 across hosts: a volume of another dom0 is neither used nor changed, nor its group without lvmlockd."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import (
    GIB,
    NOW,
    action,
    block_facts,
    desired,
    device,
    dom,
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
    vbd,
    volume,
    with_tables,
)
from xenlocal.model.desired import State
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.names import trash_name
from xenlocal.model.observed import NOT_ASKED, Observed, Unavailable
from xenlocal.model.plan import Plan
from xenlocal.model.storage import KEPT_TAG, OUR_TAG, OWNER_TAG, Volume
from xenlocal.model.units import Size

ROOT = "volume/vg0/root"
THEIRS = frozenset({OUR_TAG, f"{OWNER_TAG}there"})
OURS = frozenset({OUR_TAG, f"{OWNER_TAG}here"})
TAKE = "lvchange --deltag xenlocal.host=there --addtag xenlocal.host=here vg0/root"


def test_a_new_volume_names_this_dom0() -> None:
    assert action(plan(desired(dom("web", lv("root"))), observed()), f"create {ROOT}").host == "here"


@pytest.mark.parametrize("tags", [{OUR_TAG}, OURS, OURS | THEIRS])
def test_a_volume_that_names_this_dom0_or_none_is_used(tags: set[str]) -> None:
    present = volume("root", tags=frozenset(tags), active=False)
    made = plan(desired(dom("web", lv("root", Size.mib(2048)))), observed(storage=storage(present)))
    assert {f"grow {ROOT}", f"activate {ROOT}", "start domain/web"} <= {*ids(made)} and not made.refusals


@pytest.mark.parametrize("size", [GIB, Size.mib(2048)])
@pytest.mark.parametrize("active", [True, False])
def test_a_volume_of_another_dom0_is_left_alone_and_how_to_take_it_over_is_said(active: bool, size: Size) -> None:
    tags = THEIRS | {KEPT_TAG}
    made = plan(
        desired(dom("web", lv("root", size))),
        observed(storage=storage(volume("root", tags=tags, active=active), locks="sanlock")),
    )
    assert not made.steps
    said = (
        "belongs to the dom0 there, by its tag, and this is here; once it is in use there no longer, to take it over"
        f" type: {TAKE}"
    )
    assert refused(made, ROOT) == said
    assert refused(made, "domain/web") == f"disk xvda: {ROOT} {said}"


def test_one_of_two_other_dom0s_names_both() -> None:
    tags = frozenset({OUR_TAG, f"{OWNER_TAG}b", f"{OWNER_TAG}a"})
    made = plan(desired(dom("web", lv("root"))), observed(storage=storage(volume("root", tags=tags))))
    assert "belongs to the dom0s a, b," in refused(made, ROOT)
    assert "--deltag xenlocal.host=a --deltag xenlocal.host=b --addtag xenlocal.host=here" in refused(made, ROOT)


def test_a_guest_that_runs_on_a_volume_of_another_dom0_goes_on_and_does_not_restart() -> None:
    seen = observed(
        live(3, "web"),
        storage=storage(volume("root", tags=THEIRS, opened=True)),
        vbds=(vbd(3, "/dev/vg0/root"),),
    )
    made = learned_plan(desired(dom("web", lv("root"))), seen, memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3)))
    assert not any("stop" in step for step in ids(made)) and TAKE in refused(made, "domain/web")


def test_a_device_that_is_a_volume_of_another_dom0_is_not_used_either() -> None:
    path = "/dev/disk/by-id/dm-name-vg0-root"
    seen = observed(
        storage=storage(volume("root", tags=THEIRS, device=(253, 3))), paths={path: block_facts(path, "", (253, 3))}
    )
    want = desired(dom("web", device(path)))
    assert TAKE in refused(plan(want, seen), "domain/web")
    others = with_tables(seen, storage=storage(volume("root", tags=THEIRS, device=(253, 4))))
    assert "start domain/web" in ids(plan(want, others))
    assert "start domain/web" in ids(plan(want, with_tables(seen, storage=NOT_ASKED))), "LVM is not needed for a device"


def test_a_volume_of_another_dom0_is_not_retired() -> None:
    made = plan(
        desired(dom("web", lv("root"), state=State.ABSENT)),
        observed(storage=storage(volume("root", tags=THEIRS), locks="dlm")),
    )
    assert not made.steps and TAKE in refused(made, ROOT) and refused(made, ROOT).startswith("not retired: ")


def two_hosts(state: State, size: Size, *present: Volume, locks: str = "") -> Plan:
    seen = storage(volume("theirs", tags=THEIRS), *present, locks=locks)
    return plan(desired(dom("web", lv("root", size), state=state)), observed(storage=seen))


GROUP = (
    "volume group vg0 is also in use by the dom0 there, as tags of its volumes say, and nothing keeps two hosts from"
    " changing it at once; set up lvmlockd on all of them, then, with the group active on none, type:"
    " vgchange --lock-type sanlock vg0"
)


@pytest.mark.parametrize(
    ("state", "size", "present", "verb"),
    [
        (State.STOPPED, GIB, [], "create"),
        (State.STOPPED, Size.mib(2048), [volume("root", tags=OURS)], "grow"),
        (State.ABSENT, GIB, [volume("root", tags=OURS)], "retire"),
    ],
)
def test_a_group_that_another_dom0_uses_is_changed_under_lvmlockd_only(
    state: State, size: Size, present: list[Volume], verb: str
) -> None:
    made = two_hosts(state, size, *present)
    assert not made.steps and refused(made, ROOT).removeprefix("not retired: ") == GROUP
    for locks in ("sanlock", "dlm"):
        under = two_hosts(state, size, *present, locks=locks)
        assert f"{verb} {ROOT}" in ids(under) and not under.refusals


def test_in_such_a_group_a_volume_of_ours_is_used_and_activated_all_the_same() -> None:
    made = two_hosts(State.RUNNING, GIB, volume("root", tags=OURS | {KEPT_TAG}, active=False))
    assert ids(made)[0] == f"activate {ROOT}" and "start domain/web" in ids(made) and not made.refusals
    assert f"untag {ROOT}" not in ids(made), "to take a tag off changes the group"


def test_the_trash_of_another_dom0_counts_too() -> None:
    theirs = volume(trash_name("root", 1), tags=THEIRS)
    made = plan(desired(dom("web", lv("data"))), observed(storage=storage(theirs)))
    assert refused(made, "volume/vg0/data") == GROUP


# A group under lvmlockd: what is active here, no other host can have.


def shared(*present: Volume) -> Observed:
    return observed(storage=storage(*present, locks="sanlock"))


def test_under_lvmlockd_a_volume_is_activated_for_a_start() -> None:
    made = plan(desired(dom("web", lv("root"))), shared(volume("root", active=False)))
    assert ids(made)[:2] == (f"activate {ROOT}", "start domain/web")


@pytest.mark.parametrize("state", [State.STOPPED, State.MANUAL])
def test_under_lvmlockd_what_no_guest_here_needs_is_let_go_of(state: State) -> None:
    want = desired(dom("web", lv("root"), state=state))
    made = plan(want, shared(volume("root")))
    assert ids(made) == (f"deactivate {ROOT}",)
    assert made.steps[0].reason == ("no guest here needs it, and while it is active no other host of vg0 can have it")
    rest = plan(want, shared(volume("root", active=False)))
    assert rest.is_empty and not rest.refusals
    alone = plan(want, observed(storage=storage(volume("root"))))
    assert alone.is_empty, "where nobody else can have it, it stays active"


def test_it_is_grown_before_it_is_let_go_of() -> None:
    made = plan(desired(dom("web", lv("root", Size.mib(2048)), state=State.STOPPED)), shared(volume("root")))
    assert ids(made) == (f"grow {ROOT}", f"deactivate {ROOT}")
    assert made.steps[1].after == (f"grow {ROOT}",)


@pytest.mark.parametrize(
    "present", [volume("root", opened=True), volume("root", tags=frozenset())], ids=["open", "not-ours"]
)
def test_what_is_in_use_or_not_ours_is_not_let_go_of(present: Volume) -> None:
    assert plan(desired(dom("web", lv("root"), state=State.STOPPED)), shared(present)).is_empty


def test_a_volume_that_a_running_guest_here_shares_stays() -> None:
    iso = lv("root", readonly=True)
    want = desired(dom("a", iso, state=State.STOPPED), dom("b", iso))
    assert f"deactivate {ROOT}" not in ids(plan(want, shared(volume("root"))))
    seen = with_tables(shared(volume("root")), domains={3: live(3, "a")})
    assert f"deactivate {ROOT}" not in ids(plan(desired(dom("a", iso, state=State.MANUAL)), seen))


@pytest.mark.parametrize(
    "record",
    [
        rec("web", hand=Hand.START),
        rec("web", hand=Hand.RESTART),
        rec("web", off=Off.REBOOTING, off_since=NOW),
        rec("web", off=Off.LOST, off_since=NOW),
        rec("web", domid=3),
    ],
    ids=["to-be-started", "to-be-restarted", "reboots", "lost", "lived-a-moment-ago"],
)
def test_a_manual_one_that_may_be_back_keeps_its_volume(record: Record) -> None:
    want = desired(dom("web", lv("root"), state=State.MANUAL))
    assert f"deactivate {ROOT}" not in ids(plan(want, shared(volume("root")), memory(record)))
    stayed_off = memory(rec("web", off=Off.POWEROFF, off_since=NOW))
    assert ids(plan(want, shared(volume("root")), stayed_off)) == (f"deactivate {ROOT}",)


def test_a_stopped_one_that_was_started_by_hand_gets_its_volume() -> None:
    want = desired(dom("web", lv("root"), state=State.STOPPED))
    made = plan(want, shared(volume("root", active=False)), memory(rec("web", hand=Hand.START)))
    assert ids(made)[:2] == (f"activate {ROOT}", "start domain/web")


def test_while_it_is_unknown_who_runs_nothing_is_let_go_of() -> None:
    seen = with_tables(shared(volume("root")), domains=Unavailable("hangs"))
    made = plan(desired(dom("web", lv("root"), state=State.STOPPED)), seen, Memory(boot_done=True))
    assert not made.steps
