"""DESIGN section 6: what an administrator says by hand holds until the next word or the next boot."""

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    NOW,
    UP,
    action,
    desired,
    dom,
    edges,
    hardware,
    ids,
    learned_plan,
    live,
    memory,
    noticed,
    observed,
    plan,
    ready,
    rec,
    refused,
    uid,
)
from tests.unit.planner.world import apply_plan
from xenlocal.model.desired import OnCrash, OnPoweroff, State
from xenlocal.model.memory import Hand, Memory, Off, Reply
from xenlocal.model.observed import LiveDomain, Observed
from xenlocal.model.plan import Plan
from xenlocal.model.units import Size
from xenlocal.planner import xlcfg
from xenlocal.planner.looks import learn
from xenlocal.planner.memory import REBOOT_GRACE, by_hand

ASLEEP = (State.MANUAL, State.STOPPED)


def told(state: State, hand: Hand, *lives: LiveDomain, record: Memory | None = None) -> tuple[Plan, Memory]:
    want = desired(dom("web", state=state))
    before = record or memory(*(ready("web", each.domid, declared=state) for each in lives))
    kept = by_hand(learn(before, want, observed(*lives), {}, NOW), uid("web"), hand)
    return plan(want, observed(*lives), kept), kept


@pytest.mark.parametrize("state", [State.RUNNING, *ASLEEP])
def test_start_starts_it_whatever_the_files_say(state: State) -> None:
    made, kept = told(state, Hand.START)
    assert ids(made) == ("start domain/web", "await domain/web")
    want = desired(dom("web", state=state))
    seen, kept = apply_plan(made, observed(), kept, want, NOW)
    assert plan(want, seen, kept).is_empty


def test_a_manual_domu_is_never_started_nor_stopped_without_a_word() -> None:
    assert not learned_plan(desired(dom("web", state=State.MANUAL)), observed()).steps
    running = learned_plan(desired(dom("web", state=State.MANUAL)), observed(live(3, "web")))
    assert ids(running) == ("await domain/web",)


@pytest.mark.parametrize("state", [State.RUNNING, State.MANUAL])
def test_stop_asks_it_and_holds(state: State) -> None:
    want = desired(dom("web", state=state))
    made, kept = told(state, Hand.STOP, live(3, "web"))
    assert ids(made) == ("stop domain/web",) and action(made, "stop domain/web").domid == 3
    assert "stopped by hand until `xenlocal start web`" in noticed(made, "domain/web")
    seen, kept = apply_plan(made, observed(live(3, "web")), kept, want, NOW)
    assert not plan(want, seen, kept, now=NOW + 9999).steps


@pytest.mark.parametrize("state", [State.RUNNING, *ASLEEP])
def test_restart_stops_and_starts(state: State) -> None:
    record = memory(ready("web", 3, declared=state, hand=Hand.START))
    made, _ = told(state, Hand.RESTART, live(3, "web"), record=record)
    assert ids(made) == ("stop domain/web", "start domain/web", "await domain/web")
    assert "stop domain/web" in next(step.needs for step in made.steps if step.id == "start domain/web")
    made, _ = told(state, Hand.RESTART)
    assert ids(made) == ("start domain/web", "await domain/web")


def test_destroy_means_the_domid_it_was_said_of() -> None:
    made, kept = told(State.RUNNING, Hand.DESTROY, live(3, "web"))
    assert action(made, "destroy domain/web").domid == 3
    want = desired(dom("web"))
    reborn = observed(live(4, "web"))
    later = plan(want, reborn, learn(kept, want, reborn, {}, NOW))
    assert ids(later) == ("stop domain/web",)
    seen, kept = apply_plan(made, observed(live(3, "web")), kept, want, NOW)
    assert not plan(want, seen, kept).steps
    assert "destroyed by hand" in noticed(plan(want, seen, kept), "domain/web")


@pytest.mark.parametrize("hand", [Hand.STOP, Hand.DESTROY, Hand.RESTART, Hand.START])
def test_nothing_by_hand_runs_into_a_guests_own_reboot(hand: Hand) -> None:
    """Its monitor is about to create it anew: a second create would race with it."""
    record = memory(rec("web", off=Off.REBOOTING, off_since=NOW - 1))
    made, kept = told(State.RUNNING, hand, record=record)
    assert not made.steps
    want = desired(dom("web"))
    back = observed(live(8, "web"))
    made = plan(want, back, learn(kept, want, back, {}, NOW + 1), now=NOW + 1)
    off = hand in (Hand.STOP, Hand.DESTROY)
    assert ids(made) == (("stop domain/web",) if off else ("await domain/web",))
    late = plan(want, observed(), kept, now=NOW + REBOOT_GRACE)
    assert ("start domain/web" in ids(late)) is not off


def test_a_guest_that_reboots_while_it_is_to_stop_is_asked_again_as_its_new_self() -> None:
    want = desired(dom("web"))
    _, kept = told(State.RUNNING, Hand.STOP, live(3, "web"))
    kept = kept.change(uid("web"), stop_asked=NOW, reply=Reply(NOW))
    kept = learn(kept, want, observed(), {uid("web"): Off.REBOOTING}, NOW)
    seen = observed(live(4, "web"))
    made = plan(want, seen, learn(kept, want, seen, {}, NOW + 3))
    assert action(made, "stop domain/web").domid == 4
    assert action(made, "stop domain/web").asked is None


def test_a_guest_that_reboots_by_itself_fulfils_a_restart() -> None:
    want = desired(dom("web"))
    _, kept = told(State.RUNNING, Hand.RESTART, live(3, "web"))
    seen = observed(live(4, "web"))
    assert ids(plan(want, seen, learn(kept, want, seen, {}, NOW))) == ("await domain/web",)


@pytest.mark.parametrize("state", [State.RUNNING, *ASLEEP])
def test_a_restart_waits_for_a_reboot_that_the_guest_has_begun_by_itself(state: State) -> None:
    """Its monitor is about to create it anew: a second create would race with it."""
    want = desired(dom("web", state=state))
    reboots = memory(rec("web", lived=3, hand=Hand.RESTART, hand_domid=3, off=Off.REBOOTING, off_since=NOW))
    made = plan(want, observed(), reboots)
    assert not made.steps and refused(made, "domain/web").startswith("reboots by itself")
    built = plan(want, observed(live(4, "web", "paused")), reboots)
    assert ids(built) == ("await domain/web",), "what is being built is the new life that was asked for"


@pytest.mark.parametrize("off", [Off.POWEROFF, Off.CRASH, Off.STOPPED, Off.VANISHED])
def test_a_restart_of_one_that_is_off_starts_it_at_once(off: Off) -> None:
    kept = memory(rec("web", hand=Hand.RESTART, off=off, off_since=NOW, crashes=(NOW, NOW)))
    made = plan(desired(dom("web")), observed(), kept)
    assert ids(made) == ("start domain/web", "await domain/web") and made.steps[0].reason == "restarted by hand"


@pytest.mark.parametrize("state", [State.RUNNING, *ASLEEP])
def test_only_one_that_the_files_would_not_keep_running_is_said_to_run_by_hand(state: State) -> None:
    domain = dom("web", state=state)
    kept = memory(ready("web", 3, declared=state, hand=Hand.START, running=xlcfg.settings(domain)))
    said = "" if state is State.RUNNING else "started by hand, until `xenlocal stop web` or the next boot"
    assert noticed(plan(desired(domain), observed(live(3, "web")), kept), "domain/web") == said


@pytest.mark.parametrize("state", ASLEEP)
def test_one_started_by_hand_is_kept_running_as_declared_after_a_crash(state: State) -> None:
    want = desired(dom("web", state=state))
    record = memory(ready("web", 3, declared=state, hand=Hand.START))
    made = learned_plan(want, observed(live(3, "web", "crashed")), record)
    assert ids(made) == ("reap domain/web", "start domain/web", "await domain/web")
    made = learned_plan(want, observed(live(3, "web", "shutdown")), record)
    assert ids(made) == ("reap domain/web",)
    assert "powered itself off" in noticed(made, "domain/web")


def test_an_edit_of_state_is_newer_than_a_start_by_hand() -> None:
    record = memory(ready("web", 3, declared="running", hand=Hand.START))
    made = learned_plan(desired(dom("web", state=State.STOPPED)), observed(live(3, "web")), record)
    assert ids(made) == ("stop domain/web",)


def test_absent_wins_over_any_word() -> None:
    for hand in Hand:
        made, _ = told(State.ABSENT, hand, live(3, "web"))
        assert ids(made) == ("stop domain/web",)


def test_a_word_ends_the_waiting_after_failures() -> None:
    want = desired(dom("web"))
    record = memory(rec("web", failures=3, failure="xl said no", retry_at=NOW + 99))
    assert "xl said no" in refused(plan(want, observed(), record), "domain/web")
    assert "start domain/web" in ids(plan(want, observed(), by_hand(record, uid("web"), Hand.START)))


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("hand", list(Hand))
@pytest.mark.parametrize("here", ["", "running", "shutdown", "crashed", "paused"])
@pytest.mark.parametrize("off_rule", list(OnPoweroff))
def test_every_word_comes_to_rest(state: State, hand: Hand, here: str, off_rule: OnPoweroff) -> None:
    """No word by hand makes the plans go on for ever, or destroys a running guest (destroy excepted)."""
    want = desired(dom("web", state=state, on_poweroff=off_rule, on_crash=OnCrash.RESTART))
    seen: Observed = observed(*([live(3, "web", here)] if here else []))
    kept = by_hand(learn(UP, want, seen, {}, NOW), uid("web"), hand)
    for round_ in range(4):
        made = plan(want, seen, kept, now=NOW + round_ * 1000)
        if made.is_empty:
            return
        assert "destroy domain/web" not in ids(made) or hand is Hand.DESTROY
        seen, kept = apply_plan(made, seen, kept, want, NOW + round_ * 1000)
    raise AssertionError(f"no rest: {ids(made)}")


def test_a_restart_does_not_stop_what_could_not_start_again() -> None:
    want = desired(dom("web", kernel="/boot/gone"))
    record = memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3))
    made = plan(want, observed(live(3, "web")), record)
    assert not made.steps
    assert "not restarted, and goes on running: kernel /boot/gone does not exist" in refused(made, "domain/web")
    begun = plan(want, observed(live(3, "web")), record.change(uid("web"), stop_asked=NOW, reply=Reply(NOW)))
    assert ids(begun) == ("stop domain/web",)
    withdrawn = by_hand(record, uid("web"), Hand.START)
    assert not plan(want, observed(live(3, "web")), withdrawn).refusals


def test_a_restart_does_not_stop_what_would_wait_for_somebody_off() -> None:
    want = desired(dom("db", needs=("nas",)), dom("nas"))
    restart = ready("db", 3, hand=Hand.RESTART, hand_domid=3)
    made = plan(want, observed(live(3, "db")), memory(restart, rec("nas", hand=Hand.STOP, off=Off.STOPPED)))
    assert not made.steps and "goes on running: needs domain/nas, which is off" in refused(made, "domain/db")
    both = memory(restart, ready("nas", 4, hand=Hand.RESTART, hand_domid=4))
    assert "stop domain/db" in ids(plan(want, observed(live(3, "db"), live(4, "nas")), both))


def test_a_restart_does_not_stop_what_the_reserve_would_keep_from_starting() -> None:
    web = dom("web")
    restart = memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3))
    full = replace(hardware(), free=Size.mib(100))
    made = plan(desired(web, dom0_reserve=Size.mib(256)), observed(live(3, "web"), hardware=full), restart)
    assert not made.steps and "goes on running: needs" in refused(made, "domain/web")
    enough = desired(web, dom0_reserve=Size.mib(16))
    assert "stop domain/web" in ids(plan(enough, observed(live(3, "web"), hardware=full), restart))


def test_one_that_was_late_in_its_former_life_is_waited_for_in_the_next() -> None:
    want = desired(dom("db", after=("nas",)), dom("nas"))
    late = rec("nas", gave_up_waiting=True)
    made = plan(want, observed(), memory(late, rec("db")))
    assert "await domain/nas" in edges(made, "start domain/db")[1]


def test_a_start_by_hand_after_a_stop_of_ours_says_so() -> None:
    want = desired(dom("web", state=State.MANUAL))
    made = plan(want, observed(), memory(rec("web", declared="manual", hand=Hand.START, off=Off.STOPPED)))
    assert made.steps[0].reason == "started by hand"
