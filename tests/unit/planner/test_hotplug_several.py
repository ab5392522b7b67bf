"""Several disks and nics of a domU that runs: one change at a time, and only those that the files have changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import HERE, actions, edges, ids, lv, noticed, refused, vbd, volume
from tests.unit.planner.test_hotplug import (
    BEFORE,
    DATA,
    DATA_VBD,
    ETH0,
    ETH1,
    LATER,
    ROOT,
    ROOT_VBD,
    VIF0,
    VIF1,
    planned,
    runs_with,
    seen,
    web,
)
from xenlocal.model.actions import AttachDevice, DetachDevice, StageConfig
from xenlocal.model.desired import Nic
from xenlocal.model.diskwork import Install
from xenlocal.model.observed import Vbd, Vif
from xenlocal.model.plan import Plan
from xenlocal.planner.xlcfg import name_of

LOGS, LOGS_VBD = lv("logs", vdev="xvdc"), vbd(5, "/dev/vg0/logs", vdev="xvdc")
VOLUMES = [volume("root", opened=True), volume("data"), volume("logs")]


def attached(made: Plan) -> list[str]:
    return [name_of(each.spec) for each in actions(made, AttachDevice)]


def test_they_are_attached_one_after_the_other() -> None:
    made = planned(web(ROOT, DATA, LOGS, nics=(ETH0, ETH1)), seen(volumes=VOLUMES))
    first, second, third = ids(made)
    assert [each.key for each in actions(made, AttachDevice)] == ["disk", "disk", "vif"]
    assert edges(made, first) == ((), ())
    assert edges(made, second) == ((), (first,))
    assert edges(made, third) == ((), (first, second))


def test_and_detached_one_after_the_other() -> None:
    known = runs_with(web(ROOT, DATA, nics=(ETH0, ETH1)))
    seen_both = seen(ROOT_VBD, DATA_VBD, vifs=(VIF0, VIF1))
    made = planned(web(ROOT, LOGS, unplugged=(DATA, ETH1)), seen_both, known)
    steps = [each for each in ids(made) if "domain/" in each]
    assert len(steps) == 3 and len(actions(made, DetachDevice)) == 2
    assert edges(made, steps[1])[1] == (steps[0],) and edges(made, steps[2])[1] == tuple(sorted(steps[:2]))


def test_a_volume_that_is_not_active_is_activated_first() -> None:
    made = planned(web(ROOT, DATA), seen(volumes=[volume("root", opened=True), volume("data", active=False)]))
    assert edges(made, "attach domain/web") == (("activate volume/vg0/data",), ())


def test_what_was_detached_by_hand_is_not_attached_again_by_the_way() -> None:
    """It is what it runs with, and no file has changed it."""
    made = planned(web(ROOT, DATA, LOGS), seen(ROOT_VBD, volumes=VOLUMES), runs_with(web(ROOT, DATA)))
    assert attached(made) == ["xvdc"] and not made.notices


def test_a_disk_that_comes_first_in_the_files_leaves_nothing_for_the_next_start() -> None:
    """xl knows disks by their names; of nics the guest counts."""
    known = runs_with(web(ROOT, DATA))
    made = planned(web(LOGS, DATA, ROOT), seen(ROOT_VBD, DATA_VBD, volumes=VOLUMES), known)
    assert attached(made) == ["xvdc"] and not made.notices
    eth2 = Nic("eth2", "br0", "00:16:3e:00:00:02", HERE)
    known = runs_with(web(ROOT, nics=(ETH0, ETH1)))
    made = planned(web(ROOT, nics=(ETH1, ETH0, eth2)), seen(vifs=(VIF0, VIF1)), known)
    assert len(actions(made, AttachDevice)) == 1 and noticed(made, "domain/web") == f"{LATER}: vif"


def test_one_of_several_that_has_changed_is_left_for_the_next_start() -> None:
    known = runs_with(web(ROOT, DATA))
    made = planned(web(ROOT, replace(DATA, readonly=True)), seen(ROOT_VBD, DATA_VBD), known)
    assert noticed(made, "domain/web") == f"{LATER}: disk" and not actions(made, AttachDevice)


def test_one_that_cannot_be_attached_does_not_keep_the_others_off() -> None:
    held = seen(ROOT_VBD, vbd(9, "/dev/vg0/data"), volumes=VOLUMES)
    made = planned(web(ROOT, DATA, LOGS), held)
    assert attached(made) == ["xvdc"]
    assert refused(made, "domain/web") == (
        "disk xvdb is not attached while it runs: volume/vg0/data is held by domid 9;"
        " not handed over for its next reboot: disk xvdb: volume/vg0/data is held by domid 9"
    )
    assert noticed(made, "domain/web") == f"{LATER}: disk"


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (vbd(5, "/dev/vg0/other", vdev="xvdb"), True),
        (vbd(9, "/dev/vg0/other", vdev="xvdb"), False),
    ],
)
def test_what_another_domain_has_under_that_name_is_no_disk_of_this_one(there: Vbd, told: bool) -> None:
    made = planned(web(ROOT, DATA), seen(ROOT_VBD, there))
    text = "disk xvdb is not attached: the guest has another one under that name until its next start"
    assert refused(made, "domain/web") == (text if told else "") and bool(attached(made)) is not told


def test_a_mac_that_another_domain_has_is_no_nic_of_this_one() -> None:
    made = planned(web(ROOT, nics=(ETH0, ETH1)), seen(vifs=(VIF0, Vif(9, 0, ETH1.mac, "br0"))))
    assert len(actions(made, AttachDevice)) == 1 and not made.refusals


def test_one_disk_that_is_connected_shows_that_the_kernel_takes_more() -> None:
    """Another one may still be on its way."""
    on_its_way = replace(LOGS_VBD, connected=False)
    known = runs_with(web(ROOT, LOGS))
    made = planned(web(ROOT, LOGS, DATA), seen(on_its_way, ROOT_VBD, volumes=VOLUMES), known)
    assert attached(made) == ["xvdb"]


def test_parts_that_have_vanished_are_told_of_one_by_one() -> None:
    known = runs_with(web(ROOT, DATA, LOGS))
    made = planned(web(ROOT), seen(ROOT_VBD, DATA_VBD, LOGS_VBD), known)
    rest = "is in no file any more and stays attached until its next start; a part with attached = no takes it from"
    assert [each.text for each in made.notices] == [
        f"{LATER}: disk",
        f"xvdb {rest} the guest now",
        f"xvdc {rest} the guest now",
    ]
    assert not planned(web(ROOT), seen(), BEFORE).notices


def test_what_is_attached_now_does_not_bar_what_is_left_from_being_handed_over() -> None:
    made = planned(web(replace(ROOT, readonly=True), DATA), seen(ROOT_VBD, volumes=VOLUMES))
    assert attached(made) == ["xvdb"] and actions(made, StageConfig) and not made.refusals


def test_a_disk_is_made_or_activated_before_it_is_handed_over() -> None:
    for there, first in (([], "create volume/vg0/logs"), ([volume("logs", active=False)], "activate volume/vg0/logs")):
        made = planned(web(replace(LOGS, vdev="xvda")), seen(ROOT_VBD, volumes=[VOLUMES[0], *there]))
        assert edges(made, "stage domain/web")[0] == (first,)


def test_a_disk_that_is_to_be_installed_into_before_the_next_start_is_not_attached() -> None:
    """It has been written before all others, so it is the first."""
    marked = volume("logs", tags=frozenset({"xenlocal", "xenlocal-install"}))
    for there in ([marked], []):
        domain = replace(web(LOGS, ROOT), install=Install(suite="bookworm"))
        made = planned(domain, seen(ROOT_VBD, volumes=[VOLUMES[0], *there]))
        why = "volume/vg0/logs is still to be installed into, before its next start"
        assert refused(made, "domain/web") == (
            f"disk xvdc is not attached while it runs: {why}; not handed over for its next reboot: disk xvdc: {why}"
        )
        assert not actions(made, AttachDevice) and not actions(made, StageConfig)
