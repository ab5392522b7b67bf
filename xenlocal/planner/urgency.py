"""Which step comes first where not all can run at once: the one with the longest way behind it (critical path)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter

from xenlocal.model.actions import AwaitReady, StartDomain, StopDomain
from xenlocal.model.plan import Step
from xenlocal.planner.learned import USUAL_READY, USUAL_START, USUAL_STOP, Learned

_USUAL = Learned()
_USUAL_OTHER = 1.0  # seconds; only the order of such numbers matters


def remaining(steps: Sequence[Step], seconds: Callable[[Step], float]) -> Mapping[str, float]:
    """Seconds from the begin of each step to the end of the longest chain that waits for it, by step id.

    `seconds`: how long a step takes, as far as it is known. The classical list-scheduling priority: with it a slot is
    never given to a leaf while the chain that decides the whole waits.
    """
    by_id = {step.id: step for step in steps}
    followers: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        for other in (*step.needs, *step.after):
            followers[other].append(step.id)
    found: dict[str, float] = {}
    for each in TopologicalSorter(followers).static_order():
        found[each] = seconds(by_id[each]) + max((found[other] for other in followers[each]), default=0.0)
    return found


def expected(step: Step, known: Mapping[str, Learned]) -> float:
    """Seconds a step takes: what was learned of this domU, else what is usual."""
    mine = known.get(step.action.target.name, _USUAL)
    if isinstance(step.action, StartDomain):
        return USUAL_START if mine.start is None else mine.start
    if isinstance(step.action, AwaitReady):
        return USUAL_READY if mine.ready is None else mine.ready
    if isinstance(step.action, StopDomain):
        return USUAL_STOP if mine.stop is None else mine.stop
    return _USUAL_OTHER
