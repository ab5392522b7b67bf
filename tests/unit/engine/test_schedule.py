"""Which step begins when not all can: the edges, the lanes, and the longest chain first."""

import pytest

from bench.scheduling import ratios
from xenlocal.engine.schedule import Schedule
from xenlocal.model.actions import Action, StartDomain
from xenlocal.model.host_actions import CreateVolume
from xenlocal.model.plan import Goal, Plan, Step
from xenlocal.model.units import Size


def start(name: str, *after: str) -> Step:
    return step(StartDomain(name, name, ""), name, *after)


def step(action: Action, name: str, *after: str) -> Step:
    return Step(name, action, "", after=after)


def begun(schedule: Schedule) -> list[str]:
    found = []
    while (step := schedule.take()) is not None:
        found.append(step.id)
    return found


def schedule(*steps: Step, slots: int = 1, **seconds: float) -> Schedule:
    plan = Plan(Goal.BOOT, steps, start_slots=slots)
    return Schedule(plan, lambda each: seconds.get(each.id, 1.0))


def test_a_slot_goes_to_the_longest_chain_not_to_the_first_name() -> None:
    steps = (start("a"), start("b"), start("c", "b"), start("d", "c"))
    assert begun(schedule(*steps)) == ["b"]
    assert begun(schedule(*steps, a=10.0)) == ["a"]


def test_a_step_begins_when_all_before_it_have_ended_and_its_lane_has_room() -> None:
    steps = (start("a"), start("b"), start("c"), start("d", "a", "b"))
    mine = schedule(*steps, slots=2, a=9.0, b=8.0)
    assert begun(mine) == ["a", "b"]
    assert mine.end(steps[0]) == (steps[3],)
    assert begun(mine) == ["c"]
    mine.end(steps[1])
    assert begun(mine) == ["d"]


def test_volumes_one_after_the_other_beside_the_starts() -> None:
    first, second = (step(CreateVolume("vg0", name, Size(1), "dom0"), name) for name in "xy")
    mine = schedule(first, second, start("a"))
    assert sorted(begun(mine)) == ["a", "x"]
    mine.end(first)
    assert begun(mine) == ["y"]


def test_what_ended_without_having_begun_takes_no_room_and_never_begins() -> None:
    steps = (start("a"), start("b"), start("c"))
    mine = schedule(*steps)
    mine.end(steps[0])
    assert begun(mine) == ["b"] and list(mine.waiting) == ["c"]


def test_random_hosts_start_nearly_as_fast_as_any_schedule_could() -> None:
    """The figure of a thousand is in `make bench`."""
    found = ratios(60)
    assert found.median <= 1.03 and found.p99 <= 1.10 < found.barrier_median


def test_critical_ones_come_before_longer_chains() -> None:
    steps = (start("a"), start("b", "a"), start("z"))
    plan = Plan(Goal.BOOT, steps, start_slots=1, critical=frozenset({"z"}))
    assert begun(Schedule(plan, lambda _: 1.0)) == ["z"]


@pytest.mark.parametrize("waits_for", [("nas", "web"), ("nas",)])
def test_who_waits_for_one_that_is_let_begin_before_its_turn_waits_for_what_it_has_not_waited_for(
    waits_for: tuple[str, ...],
) -> None:
    web, nas, auth = start("web"), start("nas", "web"), start("auth", *waits_for)
    mine = schedule(web, nas, auth, slots=3)
    assert begun(mine) == ["web"]
    mine.free(nas)
    assert begun(mine) == ["nas"]
    assert mine.end(nas) == (auth,) and begun(mine) == []
    assert mine.end(web) == (auth,) and begun(mine) == ["auth"]
