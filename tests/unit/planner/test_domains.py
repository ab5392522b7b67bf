"""Which domU is started, stopped or left alone, and what an end of a guest leads to."""

from itertools import product
from typing import Any

import pytest

from tests.unit.planner.build import (
    NOW,
    TCP,
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
from xenlocal.model.actions import StopDomain
from xenlocal.model.desired import GuestType, OnCrash, OnPoweroff, State
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.model.units import Duration
from xenlocal.planner.looks import learn
from xenlocal.planner.memory import CRASH_CAP, LOST_GRACE, REBOOT_GRACE

WEB = desired(dom("web"))


def test_running_is_started_and_awaited_with_its_probe_and_time() -> None:
    made = plan(desired(dom("web", probe=TCP, start_timeout=Duration(7))), observed())
    assert ids(made) == ("start domain/web", "await domain/web")
    assert edges(made, "await domain/web")[0] == ("start domain/web",)
    waits = action(made, "await domain/web")
    assert (waits.probe, waits.timeout) == (TCP, Duration(7))
    start = action(made, "start domain/web")
    assert start.uuid == uid("web") and f'uuid = "{uid("web")}"' in start.config
    assert made.steps[0].reason == "state = running in a.conf:1"


def test_what_runs_and_is_ready_needs_nothing() -> None:
    made = plan(WEB, observed(live(3, "web")), memory(ready("web", 3)))
    assert not made.steps and not made.refusals


@pytest.mark.parametrize("state", [State.STOPPED, State.ABSENT])
@pytest.mark.parametrize("here", ["running", "paused"])
def test_stopped_and_absent_are_asked_to_stop(state: State, here: str) -> None:
    made = learned_plan(desired(dom("web", state=state, stop_timeout=Duration(7))), observed(live(3, "web", here)))
    stop = action(made, "stop domain/web")
    assert stop == StopDomain("web", uid("web"), 3, Duration(7), asked=None, destroy=True)


def test_a_stop_carries_all_the_patience_that_was_declared() -> None:
    web = dom("web", state=State.STOPPED, type=GuestType.HVM, hung_timeout=Duration(60), stop_max=Duration(900))
    made = learned_plan(desired(web), observed(live(3, "web")))
    assert action(made, "stop domain/web") == StopDomain(
        "web", uid("web"), 3, Duration(300), hung=Duration(60), most=Duration(900), hvm=True
    )


def test_a_second_plan_knows_when_it_was_asked() -> None:
    record = memory(ready("web", 3, declared="stopped", stop_asked=NOW - 20))
    want = desired(dom("web", state=State.STOPPED))
    made = learned_plan(want, observed(live(3, "web")), record)
    assert action(made, "stop domain/web").asked == NOW - 20
    built = learned_plan(want, observed(live(4, "web", "paused")), record)
    assert action(built, "stop domain/web").asked is None, "its former self was asked"


@pytest.mark.parametrize("here", ["shutdown", "crashed"])
@pytest.mark.parametrize("state", [State.STOPPED, State.ABSENT, State.MANUAL])
def test_the_shell_of_an_ended_guest_is_reaped(state: State, here: str) -> None:
    made = learned_plan(desired(dom("web", state=state)), observed(live(3, "web", here)))
    assert ids(made) == ("reap domain/web",)


def test_a_vanished_section_never_stops_anything() -> None:
    made = learned_plan(desired(dom("web")), observed(live(3, "old")), memory(ready("old", 3)))
    assert all("old" not in step for step in ids(made))


def test_poweroff_stays_off_or_restarts_as_declared() -> None:
    seen = observed(live(3, "web", "shutdown"))
    made = learned_plan(WEB, seen, memory(ready("web", 3)))
    assert ids(made) == ("reap domain/web",)
    assert "powered itself off (on_poweroff = stay-off); start it with `xenlocal start web`" in noticed(
        made, "domain/web"
    )
    seen_after, kept = apply_plan(made, seen, learn(memory(ready("web", 3)), WEB, seen, {}, NOW), WEB, NOW)
    assert not plan(WEB, seen_after, kept, now=NOW + 99999).steps
    made = learned_plan(desired(dom("web", on_poweroff=OnPoweroff.RESTART)), seen, memory(ready("web", 3)))
    assert ids(made) == ("reap domain/web", "start domain/web", "await domain/web")
    assert "reap domain/web" in edges(made, "start domain/web")[0]


@pytest.mark.parametrize(("crashes", "pause"), [(1, 0), (2, 10), (3, 20), (4, 40)])
def test_crashes_are_restarted_after_0_10_20_40_seconds(crashes: int, pause: float) -> None:
    times = tuple(NOW - 60 * (crashes - number - 1) for number in range(crashes))
    record = memory(rec("web", off=Off.CRASH, off_since=NOW, crashes=times))
    early = plan(WEB, observed(), record, now=NOW + pause - 0.1) if pause else None
    assert early is None or (not early.steps and early.look_again == NOW + pause)
    made = plan(WEB, observed(), record, now=NOW + pause)
    assert "start domain/web" in ids(made)
    assert ("once" if crashes == 1 else f"{crashes} times within an hour") in made.steps[0].reason


def test_the_fifth_crash_within_an_hour_is_the_last() -> None:
    crashes = tuple(NOW - 600 * number for number in range(CRASH_CAP - 1, 0, -1))
    seen = observed(live(3, "web", "crashed"))
    made = learned_plan(WEB, seen, memory(ready("web", 3, crashes=crashes)), now=NOW)
    assert ids(made) == ("reap domain/web",)
    assert "crashed 5 times within an hour and stays off" in noticed(made, "domain/web")
    old = tuple(when - 3600 for when in crashes)
    assert "start domain/web" in ids(learned_plan(WEB, seen, memory(ready("web", 3, crashes=old))))


def test_a_crash_is_kept_for_a_look_or_left_off_as_declared() -> None:
    seen = observed(live(3, "web", "crashed"))
    for state in (State.RUNNING, State.MANUAL):
        record = memory(ready("web", 3, declared=state))
        made = learned_plan(desired(dom("web", state=state, on_crash=OnCrash.PRESERVE)), seen, record)
        assert not made.steps and "kept for you to look at" in noticed(made, "domain/web")
    made = learned_plan(desired(dom("web", on_crash=OnCrash.STAY_OFF)), seen, memory(ready("web", 3)))
    assert ids(made) == ("reap domain/web",) and "on_crash = stay-off" in noticed(made, "domain/web")


def test_a_manual_one_that_did_not_crash_is_not_kept_to_look_at() -> None:
    made = learned_plan(
        desired(dom("web", state=State.MANUAL, on_crash=OnCrash.PRESERVE)),
        observed(live(3, "web", "shutdown")),
        memory(ready("web", 3, declared="manual")),
    )
    assert ids(made) == ("reap domain/web",)


@pytest.mark.parametrize(
    ("values", "begins"),
    [
        ({"off": Off.CRASH, "crashes": (NOW - 500, NOW)}, NOW + 10),
        ({"off": Off.CRASH, "crashes": (NOW - 500, NOW), "retry_at": NOW + 99}, NOW + 99),
        ({"off": Off.CRASH, "crashes": (NOW - 500, NOW), "retry_at": NOW + 3}, NOW + 10),
        ({"off": Off.POWEROFF, "crashes": (NOW - 900, NOW - 500)}, NOW),
        ({"off": Off.LOST, "crashes": (NOW,)}, NOW + 10),
        ({"off": Off.LOST, "crashes": (NOW - 99, NOW - 50, NOW)}, NOW + 20),
    ],
)
def test_the_pause_counts_from_the_last_end_that_was_not_meant_to_be(values: dict[str, Any], begins: float) -> None:
    want = desired(dom("web", on_poweroff=OnPoweroff.RESTART))
    kept = memory(rec("web", off_since=NOW, **values))
    early = plan(want, observed(), kept, now=begins - 0.1)
    assert (not early.steps and early.look_again == begins) or begins == NOW
    assert ids(plan(want, observed(), kept, now=begins)) == ("start domain/web", "await domain/web")


@pytest.mark.parametrize(
    ("off", "crashes", "reason"),
    [
        (Off.CRASH, 1, "the guest crashed once (on_crash = restart)"),
        (Off.CRASH, 2, "the guest crashed 2 times within an hour (on_crash = restart)"),
        (Off.LOST, 1, "the guest disappeared once (nothing tells why)"),
        (Off.POWEROFF, 0, "the guest powered itself off once (on_poweroff = restart)"),
    ],
)
def test_a_start_after_an_end_tells_of_it(off: Off, crashes: int, reason: str) -> None:
    want = desired(dom("web", on_poweroff=OnPoweroff.RESTART))
    kept = memory(rec("web", off=off, off_since=NOW - 99, crashes=(NOW - 99,) * crashes))
    assert plan(want, observed(), kept).steps[0].reason == reason


def test_one_destroyed_with_xl_stays_off_and_says_so() -> None:
    made = plan(WEB, observed(), memory(rec("web", off=Off.VANISHED, off_since=1.0)))
    assert not made.steps and "destroyed by somebody with xl" in noticed(made, "domain/web")


@pytest.mark.parametrize(("off", "grace"), [(Off.REBOOTING, REBOOT_GRACE), (Off.LOST, LOST_GRACE)])
def test_one_that_may_come_back_by_itself_is_waited_for(off: Off, grace: float) -> None:
    record = memory(rec("web", off=off, off_since=NOW))
    early = plan(WEB, observed(), record, now=NOW + grace - 1)
    assert not early.steps and early.look_again == NOW + grace and refused(early, "domain/web")
    assert "start domain/web" in ids(plan(WEB, observed(), record, now=NOW + grace))


def test_one_that_disappears_again_and_again_stays_off_however_long_it_is_gone() -> None:
    record = rec("web", off=Off.LOST, off_since=NOW, crashes=tuple(NOW - number for number in range(CRASH_CAP)))
    made = plan(WEB, observed(), memory(record), now=NOW + LOST_GRACE + 1)
    assert not made.steps and "the guest disappeared 5 times within an hour" in noticed(made, "domain/web")


@pytest.mark.parametrize("off", [Off.STOPPED, Off.DESTROYED])
def test_what_we_stopped_ourselves_starts_when_it_is_wanted_again(off: Off) -> None:
    assert "start domain/web" in ids(plan(WEB, observed(), memory(rec("web", off=off, off_since=1.0))))


def test_a_dying_self_is_waited_for_by_name_and_nothing_is_done_to_it() -> None:
    record = memory(ready("web", 3, running={"memory": "1"}))
    for known in (record, UP, memory(rec("web", off=Off.CRASH, domid=3))):
        made = plan(WEB, observed(live(3, "web", "dying")), known)
        assert not made.steps
        assert "former self (domid 3) is still dying" in refused(made, "domain/web")
        assert made.look_again is not None


def test_a_paused_domu_is_left_alone_and_said() -> None:
    made = plan(WEB, observed(live(3, "web", "paused")), memory(ready("web", 3)))
    assert not made.steps and "`xl unpause 3`" in noticed(made, "domain/web")


def test_a_failed_start_waits_and_says_why() -> None:
    record = memory(rec("web", failures=2, failure="xl said no", retry_at=NOW + 20))
    made = plan(WEB, observed(), record)
    assert not made.steps and made.look_again == NOW + 20
    assert "the last start failed: xl said no" in refused(made, "domain/web")


@pytest.mark.parametrize(("state", "here"), list(product(State, ["", "running", "shutdown"])))
def test_until_the_boot_goal_has_run_domus_are_left_alone(state: State, here: str) -> None:
    seen = observed(*([live(3, "web", here)] if here else []))
    record = ready("web", 3, declared=state, running={"memory": "1"})
    made = learned_plan(desired(dom("web", state=state)), seen, memory(record, boot_done=False))
    assert made.is_empty
    made = learned_plan(desired(dom("web", state=state)), seen, Memory())
    assert made.is_empty


def test_once_the_host_shuts_down_converge_plans_nothing() -> None:
    assert not plan(WEB, observed(), memory(shutting_down=1.0)).steps


# order


def test_after_and_needs_are_edges_from_readiness_to_start() -> None:
    made = plan(desired(dom("nas"), dom("auth"), dom("db", after=("nas",), needs=("auth",))), observed())
    needs, after = edges(made, "start domain/db")
    assert needs == ("await domain/auth",) and after == ("await domain/nas",)


def test_stops_are_reversed() -> None:
    off = {"state": State.STOPPED}
    want = desired(dom("nas", **off), dom("auth", **off), dom("db", after=("nas",), needs=("auth",), **off))
    made = learned_plan(want, observed(live(1, "nas"), live(2, "auth"), live(3, "db")))
    assert edges(made, "stop domain/nas")[0] == edges(made, "stop domain/auth")[0] == ("stop domain/db",)
    assert edges(made, "stop domain/db") == ((), ())


def test_the_shell_of_a_follower_that_has_ended_keeps_nobody_from_stopping() -> None:
    """A shell that could not be cleared away is no guest that still stands on it."""
    off = {"state": State.STOPPED}
    want = desired(dom("nas", **off), dom("db", after=("nas",), **off))
    made = learned_plan(want, observed(live(1, "nas"), live(2, "db", "shutdown")), memory(ready("nas", 1)))
    assert edges(made, "stop domain/nas") == ((), ("reap domain/db",))


def test_stops_are_reversed_across_one_that_is_off() -> None:
    off = {"state": State.STOPPED}
    want = desired(dom("nas", **off), dom("db", after=("nas",), **off), dom("web", needs=("db",), **off))
    for middle in ([], [live(2, "db", "shutdown")], [live(2, "db", "dying")]):
        kept = memory(ready("nas", 1), ready("db", 2), ready("web", 3))
        made = learned_plan(want, observed(live(1, "nas"), *middle, live(3, "web")), kept)
        assert "stop domain/web" in edges(made, "stop domain/nas")[0]


def test_restarting_a_chain_by_hand_stops_backwards_and_starts_forwards() -> None:
    want = desired(dom("db"), dom("web", needs=("db",)))
    made = plan(
        want,
        observed(live(1, "db"), live(2, "web")),
        memory(
            ready("db", 1, hand=Hand.RESTART, hand_domid=1),
            ready("web", 2, hand=Hand.RESTART, hand_domid=2),
        ),
    )
    assert "stop domain/web" in edges(made, "stop domain/db")[0]
    assert set(edges(made, "start domain/web")[0]) == {"stop domain/web", "await domain/db"}


def test_a_dependant_of_one_that_runs_but_is_not_ready_waits_for_it() -> None:
    want = desired(dom("db"), dom("web", needs=("db",)), dom("log", after=("db",)))
    made = plan(want, observed(live(1, "db")), memory(rec("db", domid=1, born=NOW)))
    assert "await domain/db" in edges(made, "start domain/web")[0]
    assert "await domain/db" in edges(made, "start domain/log")[1]


def test_a_dependant_is_held_with_the_reason_of_what_it_needs() -> None:
    want = desired(dom("db", kernel="/boot/none"), dom("web", needs=("db",)), dom("log", after=("db",)))
    made = plan(want, observed())
    assert "needs domain/db, which cannot start: kernel /boot/none does not exist" in refused(made, "domain/web")
    assert "start domain/log" in ids(made)
    off = plan(desired(dom("db", state=State.STOPPED), dom("web", needs=("db",))), observed())
    assert "needs domain/db, which is off: state = stopped" in refused(off, "domain/web")
    late = memory(rec("db", domid=1, born=1.0, gave_up_waiting=True))
    made = plan(want, observed(live(1, "db")), late)
    assert "needs domain/db, which is not ready after 5m" in refused(made, "domain/web")
    assert "start domain/log" in ids(made) and not edges(made, "start domain/log")[1]


def test_a_dependant_does_not_start_on_one_that_is_about_to_stop() -> None:
    want = desired(dom("db", state=State.STOPPED), dom("web", needs=("db",)))
    made = learned_plan(want, observed(live(1, "db")), memory(ready("db", 1, declared="stopped")))
    assert ids(made) == ("stop domain/db",)
    assert "needs domain/db, which is to be off: state = stopped in a.conf:1" in refused(made, "domain/web")


def test_a_dependant_waits_for_the_next_life_of_a_late_one_that_is_restarted() -> None:
    want = desired(dom("db"), dom("web", needs=("db",)))
    kept = memory(rec("db", domid=1, born=1.0, gave_up_waiting=True, hand=Hand.RESTART, hand_domid=1))
    made = plan(want, observed(live(1, "db")), kept)
    assert "await domain/db" in edges(made, "start domain/web")[0]


def test_a_dependant_does_not_start_on_one_that_is_dying() -> None:
    """Before the boot goal what is needed is left alone; what it was before it died does not count."""
    want = desired(dom("db"), dom("web", needs=("db",)))
    kept = memory(ready("db", 1), rec("web", hand=Hand.START), boot_done=False)
    made = plan(want, observed(live(1, "db", "dying")), kept)
    assert not made.steps and refused(made, "domain/web").startswith("needs domain/db, which is off: domUs are left")


def test_a_late_one_is_tried_again_so_that_its_dependants_go_on() -> None:
    want = desired(dom("db"), dom("web", needs=("db",)))
    made = plan(want, observed(live(1, "db")), memory(rec("db", domid=1, born=1.0, gave_up_waiting=True)))
    assert ids(made) == ("await domain/db",) and made.look_again is not None and made.is_empty
    made = plan(want, observed(live(1, "db")), memory(ready("db", 1, gave_up_waiting=True)))
    assert "start domain/web" in ids(made)


def test_critical_ones_get_memory_and_slots_first_with_all_they_stand_on() -> None:
    made = plan(desired(dom("a"), dom("nas"), dom("z", critical=True, after=("nas",))), observed())
    starts = [step for step in ids(made) if step.startswith("start")]
    assert starts == ["start domain/nas", "start domain/z", "start domain/a"]


def test_a_long_chain_and_many_domus_are_planned_quickly() -> None:
    names = [f"d{number:04}" for number in range(1000)]
    want = desired(
        *(dom(name, after=(before,)) for before, name in zip([names[0], *names], names, strict=False) if before != name)
    )
    made = plan(want, observed(hardware=hardware(autoballoon=True)))
    assert len(made.steps) == 2 * len(want.domains)


def test_a_guest_that_powers_itself_off_at_once_is_not_restarted_for_ever() -> None:
    want = desired(dom("web", on_poweroff=OnPoweroff.RESTART))
    made = plan(want, observed(), memory(rec("web", off=Off.POWEROFF, off_since=NOW, crashes=(NOW - 9, NOW))))
    assert "powered itself off 2 times" in refused(made, "domain/web") and made.look_again == NOW + 10
    often = tuple(NOW - number for number in range(5))
    made = plan(want, observed(), memory(rec("web", off=Off.POWEROFF, off_since=NOW, crashes=often)))
    assert "stays off" in noticed(made, "domain/web") and not made.steps


@pytest.mark.parametrize("declared", ["running", ""])
def test_a_domu_that_dies_for_long_is_reported_with_what_reaps_it(declared: str) -> None:
    want = WEB if declared else desired()
    seen = observed(live(3, "" if declared else "web", "dying", uuid=uid("web")))
    kept = learn(memory(ready("web", 3, declared=declared)), want, seen, {}, NOW)
    made = plan(want, seen, kept)
    assert "dying" not in noticed(made, "domain/web")
    assert made.look_again is not None and made.look_again <= NOW + 60
    kept = learn(kept, want, seen, {}, NOW + 50)
    made = plan(want, seen, kept, now=NOW + 61)
    assert "`xl destroy 3`" in noticed(made, "domain/web") and not made.steps
    gone = learn(kept, want, observed(), {}, NOW + 90)
    assert not gone.records or gone.records[uid("web")].dying_since is None


def test_its_new_self_is_not_called_dying_because_the_former_one_was() -> None:
    known = memory(ready("web", 3, dying_since=NOW - 100))
    assert "xl destroy" not in noticed(plan(WEB, observed(live(4, "web", "paused")), known), "domain/web")


def test_of_a_chain_of_needs_the_next_one_and_the_root_cause_are_named() -> None:
    chain = (dom("b", needs=("c",)), dom("c", needs=("d",)), dom("a", needs=("b",)))
    broken = plan(desired(*chain, dom("d", kernel="/boot/none")), observed())
    root = "kernel /boot/none does not exist (a.conf:1)"
    assert refused(broken, "domain/c") == f"needs domain/d, which cannot start: {root}"
    assert refused(broken, "domain/b") == f"needs domain/c, which waits for domain/d: {root}"
    assert refused(broken, "domain/a") == f"needs domain/b, which waits for domain/d: {root}"
    off = plan(desired(*chain, dom("d", state=State.STOPPED)), observed())
    assert refused(off, "domain/a") == "needs domain/b, which waits for domain/d: is off: state = stopped in a.conf:1"


def test_a_reason_of_its_own_in_a_chain_of_needs_is_the_root() -> None:
    chain = (dom("c", state=State.STOPPED), dom("b", needs=("c",), kernel="/boot/none"), dom("a", needs=("b",)))
    made = plan(desired(*chain), observed())
    assert refused(made, "domain/a") == "needs domain/b, which cannot start: " + refused(made, "domain/b")
