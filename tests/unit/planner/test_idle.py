"""Which volumes another host of a shared group may have: only those that no guest here has or is about to have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.build import NOW, desired, device, dom, image, live, lv, memory, observed, ready, rec
from xenlocal.model.desired import LogicalVolume, State
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.model.observed import Unavailable
from xenlocal.planner.idle import Idle, idle_volumes

ROOT = LogicalVolume("vg0", "root")
NOTHING = memory()


def idle(kept: Memory = NOTHING, state: State = State.STOPPED, **web: Any) -> bool:
    """Whether the volume of a domU that is off may be had by another host."""
    found = idle_volumes(desired(dom("web", lv("root"), state=state, **web)), observed(), kept)
    assert found.known
    return found.volumes == {ROOT}


@pytest.mark.parametrize(
    ("state", "expected"),
    [(State.STOPPED, True), (State.MANUAL, True), (State.RUNNING, False), (State.ABSENT, False)],
)
def test_only_what_is_kept_off_or_started_by_hand_leaves_its_volumes_to_others(state: State, expected: bool) -> None:
    assert idle(state=state) is expected
    assert idle(memory(rec("web", declared=state)), state) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"hand": Hand.STOP}, True),
        ({"hand": Hand.DESTROY}, True),
        ({"hand": Hand.START}, False),
        ({"hand": Hand.RESTART}, False),
        ({"off": Off.POWEROFF}, True),
        ({"off": Off.VANISHED}, True),
        ({"off": Off.REBOOTING}, False),
        ({"off": Off.LOST}, False),
        ({"domid": 5}, False),
    ],
)
def test_not_that_of_one_that_is_to_start_or_may_come_back(values: dict[str, Any], expected: bool) -> None:
    assert idle(memory(rec("web", off_since=NOW, **values))) is expected


def test_not_that_of_one_that_runs_though_nothing_is_remembered_of_it() -> None:
    want = desired(dom("web", lv("root"), state=State.MANUAL))
    assert idle_volumes(want, observed(live(5, "web")), NOTHING) == Idle(frozenset(), True)


def test_not_what_anybody_else_has_too() -> None:
    off = dom("off", lv("root"), lv("home", vdev="xvdb"), state=State.STOPPED)
    want = desired(off, dom("on", lv("root")))
    assert idle_volumes(want, observed(live(5, "on")), memory(ready("on", 5))).volumes == {LogicalVolume("vg0", "home")}


def test_it_is_only_of_volumes() -> None:
    disks = (lv("root"), image("/srv/a.img", vdev="xvdb"), device("/dev/sdb", vdev="xvdc"))
    assert idle_volumes(desired(dom("web", *disks, state=State.STOPPED)), observed(), NOTHING).volumes == {ROOT}


def test_while_it_is_unknown_who_runs_it_is_unknown_too() -> None:
    want = desired(dom("web", lv("root"), state=State.STOPPED))
    assert not idle_volumes(want, observed(domains=Unavailable("no")), NOTHING).known
