"""One cycle: observe, plan, act; observe and plan again: a plan not empty then is what still differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from xenlocal.engine.consoles import note_ends
from xenlocal.engine.execute import Execution, Hooks
from xenlocal.engine.observe import Asking, causes, look
from xenlocal.engine.tasks import Outcome, Result, Tools
from xenlocal.model.desired import Desired
from xenlocal.model.memory import Memory, Off
from xenlocal.model.observed import Observed, Table
from xenlocal.model.plan import Goal, Plan
from xenlocal.planner import make_plan
from xenlocal.planner.logins import forgotten
from xenlocal.planner.looks import learn
from xenlocal.planner.shutdown import LAST_LOOK

_ROUNDS = 4  # each asks for tables not asked before; there are six in three groups


@dataclass(frozen=True)
class Cycle:
    """What one cycle saw, did, and left. `plan` and `observed` are those after the acting."""

    desired: Desired
    observed: Observed
    plan: Plan
    results: tuple[Result, ...] = ()

    @property
    def interrupted(self) -> bool:
        return any(result.outcome is Outcome.INTERRUPTED for result in self.results)

    @property
    def bad(self) -> tuple[Result, ...]:
        return tuple(
            result for result in self.results if result.outcome in (Outcome.FAILED, Outcome.LATE, Outcome.BLOCKED)
        )


def _learn(desired: Desired, seen: Observed, found: Mapping[str, Off | None], now: float, memory: Memory) -> Memory:
    return learn(memory, desired, seen, found, now)


def survey(desired: Desired, goal: Goal, tools: Tools, until: float | None = None) -> tuple[Observed, Plan]:
    """Observe what the plan needs to know, and no more. Domains are always looked at, and learned from."""
    observed, wanted = Observed(), frozenset({Table.DOMAINS})
    work, keeper = tools.work, tools.keeper
    for _ in range(_ROUNDS):  # pragma: no branch - no plan asks for a table twice, so a break is the only end
        observed = look(
            tools.reader, work, desired, observed, Asking(wanted, until, tools.pending, goal is Goal.SHUTDOWN)
        )
        if Table.DOMAINS in wanted:
            seen, found = observed, causes(tools.reader, keeper.memory, observed, work.now())
            before = keeper.memory
            keeper.update(partial(_learn, desired, seen, found, work.now()))
            note_ends(tools, before)
        plan = make_plan(desired, observed, goal, work.now(), work.wall(), keeper.memory)
        wanted = plan.wanted
        if not wanted:
            break
    keeper.update(lambda memory: forgotten(memory, desired, observed))
    return observed, plan


def reconcile(desired: Desired, goal: Goal, tools: Tools, hooks: Hooks, until: float | None = None) -> Cycle:
    """`until`: when this has to end, whatever hangs; what it did not come to is in the plan that is left."""
    observed, plan = survey(desired, goal, tools, until)
    hooks.looked(observed, plan)
    if not plan.steps:
        return Cycle(desired, observed, plan)
    results = Execution(plan, desired, tools, hooks, None if until is None else until - LAST_LOOK).run()
    if plan.is_empty:
        # nothing but waiting for readiness: the host was not touched, only the memory has to be planned with
        plan = make_plan(desired, observed, goal, tools.work.now(), tools.work.wall(), tools.keeper.memory)
        if not plan.wanted and plan.is_empty:
            return Cycle(desired, observed, plan, results)
    observed, plan = survey(desired, goal, tools, until)
    return Cycle(desired, observed, plan, results)
