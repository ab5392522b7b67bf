"""Where not all steps can run at once: the one with the longest way behind it comes first."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import uid
from xenlocal.model.actions import Action, AwaitReady, DestroyDomain, StartDomain, StopDomain
from xenlocal.model.plan import Step
from xenlocal.model.probes import NO_PROBE
from xenlocal.model.units import Duration
from xenlocal.planner.learned import USUAL_READY, USUAL_START, USUAL_STOP, Learned
from xenlocal.planner.urgency import expected, remaining

START = StartDomain("web", uid("web"), "", {})
AWAIT = AwaitReady("web", uid("web"), NO_PROBE, Duration(300))
STOP = StopDomain("web", uid("web"), 3, Duration(300))
REAP = DestroyDomain("web", uid("web"), 3, "reap")


def step(name: str, needs: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Step:
    return Step(name, START, "", needs, after)


def test_a_step_is_as_urgent_as_the_longest_chain_that_waits_for_it() -> None:
    seconds = {"nas": 1.0, "db": 10.0, "log": 2.0, "web": 100.0, "alone": 50.0}
    steps = [step("nas"), step("db", needs=("nas",)), step("log", after=("nas",)), step("web", after=("db",))]
    found = remaining([*steps, step("alone")], lambda each: seconds[each.id])
    assert found == {"nas": 111.0, "db": 110.0, "log": 2.0, "web": 100.0, "alone": 50.0}


@pytest.mark.parametrize(
    ("action", "known", "seconds"),
    [
        (START, Learned(start=7.0, ready=8.0, stop=9.0), 7.0),
        (AWAIT, Learned(start=7.0, ready=8.0, stop=9.0), 8.0),
        (STOP, Learned(start=7.0, ready=8.0, stop=9.0), 9.0),
        (START, Learned(ready=8.0, stop=9.0), USUAL_START),
        (AWAIT, Learned(start=7.0, stop=9.0), USUAL_READY),
        (STOP, Learned(start=7.0, ready=8.0), USUAL_STOP),
        (REAP, Learned(start=7.0, ready=8.0, stop=9.0), 1.0),
    ],
)
def test_a_step_takes_what_was_learned_of_its_domu_or_what_is_usual(
    action: Action, known: Learned, seconds: float
) -> None:
    assert expected(Step("", action, ""), {"web": known}) == seconds
    assert expected(Step("", action, ""), {"other": known}) == expected(Step("", action, ""), {})
