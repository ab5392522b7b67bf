"""Which step of a plan may begin now: its edges allow it, its lane has room, and of all such the most urgent one."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto

from xenlocal.model.actions import StartDomain
from xenlocal.model.names import Kind
from xenlocal.model.plan import Plan, Step
from xenlocal.planner.urgency import remaining


class _Lane(Enum):
    """Steps that share a limit on how many run at once."""

    STARTS = auto()  # `xl create`: start_slots of the plan
    VOLUMES = auto()  # LVM locks the whole volume group: side by side they would only wait for each other
    FREE = auto()


def _lane(step: Step) -> _Lane:
    if isinstance(step.action, StartDomain):
        return _Lane.STARTS
    return _Lane.VOLUMES if step.action.target.kind is Kind.VOLUME else _Lane.FREE


def _is_critical(step: Step, plan: Plan) -> bool:
    target = step.action.target
    return target.kind is Kind.DOMAIN and target.name in plan.critical


class Schedule:
    """The steps of one plan that have not ended. `seconds`: how long each may take, for what is urgent."""

    def __init__(self, plan: Plan, seconds: Callable[[Step], float]) -> None:
        self.waiting: dict[str, Step] = {step.id: step for step in plan.steps}
        self._missing = {step.id: {*step.needs, *step.after} for step in plan.steps}
        self._followers: dict[str, list[Step]] = {step.id: [] for step in plan.steps}
        for step in plan.steps:
            for other in self._missing[step.id]:
                self._followers[other].append(step)
        self._limits = {_Lane.STARTS: plan.start_slots, _Lane.VOLUMES: 1, _Lane.FREE: len(plan.steps)}
        self._busy: Counter[_Lane] = Counter()
        urgency = remaining(plan.steps, seconds)
        self._rank = {
            step.id: (not _is_critical(step, plan), -urgency[step.id], number) for number, step in enumerate(plan.steps)
        }
        self._ready: dict[_Lane, list[tuple[tuple[bool, float, int], str]]] = {lane: [] for lane in _Lane}
        for step in plan.steps:
            self._queue(step)

    def take(self) -> Step | None:
        """The next step to begin, or None while there is none or no room for one. `end` makes room."""
        for lane, ready in self._ready.items():
            while ready and self._busy[lane] < self._limits[lane]:
                step = self.waiting.pop(heapq.heappop(ready)[1], None)
                if step is not None:  # else it has ended without having begun
                    self._busy[lane] += 1
                    return step
        return None

    def free(self, step: Step) -> None:
        """It may begin now, whatever it has waited for. Those that wait for it wait for that too: else they would begin
        before what stands on them by way of this one."""
        for other in self._missing[step.id]:
            for each in self._followers[step.id]:
                if other not in self._missing[each.id]:
                    self._missing[each.id].add(other)
                    self._followers[other].append(each)
        self._missing[step.id].clear()
        self._queue(step)

    def end(self, step: Step) -> tuple[Step, ...]:
        """It has ended, begun or not. Those that wait for it, in the order of the plan."""
        if self.waiting.pop(step.id, None) is None:
            self._busy[_lane(step)] -= 1
        followers = [each for each in self._followers[step.id] if each.id in self.waiting]
        for each in followers:
            self._missing[each.id].discard(step.id)
            self._queue(each)
        return tuple(sorted(followers, key=lambda each: self._rank[each.id][-1]))

    def _queue(self, step: Step) -> None:
        if not self._missing[step.id]:
            heapq.heappush(self._ready[_lane(step)], (self._rank[step.id], step.id))
