"""What the administrator is told of a domU that is left as it is, and when it is looked at again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    NOW,
    UP,
    desired,
    dom,
    ids,
    live,
    lv,
    memory,
    noticed,
    observed,
    plan,
    ready,
    rec,
    refused,
    storage,
    volume,
)
from xenlocal.model.desired import State
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.names import bridge
from xenlocal.model.observed import NOT_ASKED, Table, Unavailable
from xenlocal.model.units import Duration
from xenlocal.planner import xlcfg
from xenlocal.planner.memory import REBOOT_GRACE

WEB = desired(dom("web"))
LEFT_ALONE = "domUs are left alone until the boot goal has run (xenlocal-guests.service)"


def test_an_orphan_is_told_of_as_long_as_it_is_there() -> None:
    kept = memory(ready("old", 3, declared=""))
    made = plan(WEB, observed(live(3, "old")), kept)
    assert noticed(made, "domain/old") == (
        "its section is gone from the files: left as it is, and shut down with the host"
    )
    assert not plan(WEB, observed(), kept).notices
    assert not plan(desired(), observed(live(3, "foreign")), UP).notices


def test_while_it_is_unknown_who_runs_every_domu_is_left_as_it_is_and_that_is_said() -> None:
    made = plan(desired(dom("db"), dom("web")), observed(domains=Unavailable("xl hangs")))
    for name in ("db", "web"):
        assert refused(made, f"domain/{name}") == "left as it is: which domUs are running could not be found out"
    assert not made.steps and made.unavailable == (("domains", "xl hangs"),)


def test_before_the_boot_goal_those_that_are_off_are_told_of_and_those_that_run_are_not() -> None:
    made = plan(desired(dom("off"), dom("on")), observed(live(3, "on")), memory(ready("on", 3), boot_done=False))
    assert noticed(made, "domain/off") == LEFT_ALONE and not noticed(made, "domain/on")


def test_a_word_by_hand_counts_before_the_boot_goal_has_run() -> None:
    made = plan(desired(dom("a"), dom("web")), observed(), memory(rec("web", hand=Hand.START), boot_done=False))
    assert ids(made) == ("start domain/web", "await domain/web") and noticed(made, "domain/a") == LEFT_ALONE


def test_a_dying_domu_is_looked_at_again_when_it_has_been_dying_for_long() -> None:
    kept = memory(ready("web", 3, declared="", dying_since=NOW))
    seen = observed(live(3, "web", "dying"))
    early = plan(desired(), seen, kept, now=NOW + 59)
    assert early.look_again == NOW + 60 and "xl destroy" not in noticed(early, "domain/web")
    late = plan(desired(), seen, kept, now=NOW + 60)
    assert late.look_again is None and "domid 3 has been dying for more than 60 s" in noticed(late, "domain/web")


# One that reboots by itself is still the user of its disks.

SHARED = storage(volume("root", opened=False))
TWO = desired(dom("a", lv("root"), state=State.MANUAL), dom("b", lv("root")))


@pytest.mark.parametrize(
    ("off", "since", "kept_from_b"),
    [
        (Off.REBOOTING, NOW, True),
        (Off.REBOOTING, NOW - REBOOT_GRACE + 1, True),
        (Off.REBOOTING, NOW - REBOOT_GRACE, False),
        (Off.POWEROFF, NOW, False),
        (Off.STOPPED, NOW, False),
    ],
)
def test_a_guest_that_may_come_back_from_its_own_reboot_keeps_its_disks(
    off: Off, since: float, kept_from_b: bool
) -> None:
    """A manual one is not started by us, but its monitor is about to."""
    kept = memory(rec("a", declared="manual", off=off, off_since=since))
    made = plan(TWO, observed(storage=SHARED), kept)
    assert bool(refused(made, "domain/b")) is kept_from_b
    alone = plan(desired(TWO.domains["a"]), observed(storage=SHARED), kept)
    assert alone.look_again == (since + REBOOT_GRACE if kept_from_b else None)
    assert ("start domain/b" in ids(made)) is not kept_from_b


def test_one_that_its_monitor_builds_anew_is_waited_for_no_longer() -> None:
    made = plan(WEB, observed(live(4, "web", "paused")), memory(rec("web", off=Off.REBOOTING, off_since=NOW)))
    assert made.look_again is None and not made.refusals


def test_while_it_is_away_for_its_own_reboot_that_is_what_is_said() -> None:
    made = plan(WEB, observed(), memory(rec("web", off=Off.REBOOTING, off_since=NOW)))
    assert refused(made, "domain/web") == "reboots by itself; it is started if it is not back 60 s after it went"
    late = plan(WEB, observed(), memory(rec("web", off=Off.REBOOTING, off_since=NOW - REBOOT_GRACE)))
    assert late.steps[0].reason == "did not come back from its own reboot"


# A request to stop cannot be taken back from the guest.


@pytest.mark.parametrize(("passed", "told"), [(0, True), (299, True), (300, False)])
def test_one_wanted_again_after_it_was_asked_to_stop_may_stop_all_the_same(passed: float, told: bool) -> None:
    kept = memory(replace(ready("web", 3, stop_asked=NOW, running=xlcfg.settings(dom("web"))), reply=None))
    made = plan(WEB, observed(live(3, "web")), kept, now=NOW + passed)
    text = "was asked to stop before it was wanted again; if it does stop, it is started"
    assert noticed(made, "domain/web") == (text if told else "")
    assert made.look_again == (NOW + 300 if told else None)
    assert not made.steps


# A restart stops only what can start again, and it says what is in the way.


def restarting(db: Memory, *others: str, state: State = State.RUNNING, **web: object) -> tuple[str, tuple[str, ...]]:
    """What is refused of the running `web`, which needs `db` and is to be restarted by hand; and the steps."""
    want = desired(dom("db", state=state), dom("web", needs=("db",), **web))
    seen = observed(live(1, "web"), *(live(2, "db", each) for each in others))
    made = plan(want, seen, db.with_record(ready("web", 1, hand=Hand.RESTART, hand_domid=1)))
    return refused(made, "domain/web"), ids(made)


DESTROYED = "destroyed by somebody with xl, not by xenlocal; start it with `xenlocal start db`"


@pytest.mark.parametrize(
    ("db", "state", "here", "why"),
    [
        (ready("db", 2), State.RUNNING, "running", None),
        (rec("db", domid=2, born=NOW), State.RUNNING, "running", None),
        (ready("db", 2, gave_up_waiting=True), State.RUNNING, "running", None),
        (rec("db", domid=2, gave_up_waiting=True), State.RUNNING, "running", "is not ready after 5m"),
        (
            rec("db", domid=2, gave_up_waiting=True, unready="refused"),
            State.RUNNING,
            "running",
            "is not ready after 5m: refused",
        ),
        (
            rec("db", domid=2, gave_up_waiting=True, lost=NOW, unready="refused"),
            State.RUNNING,
            "running",
            "was ready, and is not any more: refused",
        ),
        (
            rec("db", domid=2, gave_up_waiting=True, lost=NOW),
            State.RUNNING,
            "running",
            "was ready, and is not any more",
        ),
        (rec("db"), State.RUNNING, "", None),
        (rec("db"), State.MANUAL, "", "is off: state = manual: started by hand only"),
        (rec("db", off=Off.VANISHED, off_since=1.0), State.RUNNING, "", f"is off: {DESTROYED}"),
        (ready("db", 2), State.STOPPED, "running", "is to be off: state = stopped in a.conf:1"),
        (ready("db", 2, hand=Hand.RESTART, hand_domid=2), State.RUNNING, "running", None),
    ],
)
def test_a_restart_waits_for_what_its_domu_needs(db: Record, state: State, here: str, why: str | None) -> None:
    told, steps = restarting(memory(db), *([here] if here else []), state=state)
    withdraw = "; `xenlocal start web` withdraws the restart"
    assert told == (
        "" if why is None else f"not restarted, and goes on running: needs domain/db, which {why}{withdraw}"
    )
    assert ("stop domain/web" in steps) is (why is None)


def test_a_restart_that_is_refused_is_refused_once_and_the_domu_is_looked_after_meanwhile() -> None:
    want = desired(dom("web", kernel="/boot/gone", cpu_weight=512))
    kept = memory(rec("web", domid=3, born=NOW, hand=Hand.RESTART, hand_domid=3, running={"memory": "1024"}))
    made = plan(want, observed(live(3, "web")), kept)
    assert len(made.refusals) == 1
    assert ids(made) == ("await domain/web",), "it may be ready again; its edits come with the restart"


def test_a_restart_does_not_wait_for_what_comes_late_only_at_boot() -> None:
    """`after` holds up a domU that is off, not one that serves."""
    want = desired(dom("web", after_things=(bridge("br0"),), start_timeout=Duration(60)))
    made = plan(want, observed(live(3, "web")), memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3)))
    assert ids(made) == ("stop domain/web", "start domain/web", "await domain/web")
    assert {step.reason for step in made.steps[:2]} == {"restarted by hand"}


def test_what_runs_is_looked_at_for_a_kernel_that_goes_missing() -> None:
    made = plan(WEB, observed(live(3, "web"), paths=NOT_ASKED), memory(ready("web", 3)))
    assert made.wanted == {Table.PATHS}
