"""The plan while it is being made: what the parts of the planner add their steps and refusals to."""

from __future__ import annotations

from typing import TypeVar

from xenlocal.model.actions import Action
from xenlocal.model.names import Target
from xenlocal.model.observed import NOT_ASKED, Observed, Table, Unavailable
from xenlocal.model.plan import Goal, Notice, Plan, Refusal, Step

T = TypeVar("T")


class Draft:
    """Collects steps; knows which object has which step, and why an object cannot be had."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._steps: dict[str, Step] = {}
        self._of: dict[Target, list[str]] = {}  # a host of 1000 domUs asks for them thousands of times
        self._refusals: dict[Target, list[str]] = {}
        self._notices: list[Notice] = []
        self._wanted: set[Table] = set()
        self._look_again: list[float] = []
        self.critical: frozenset[str] = frozenset()

    def table(self, name: Table, value: T | Unavailable) -> T | None:
        """The table's value, or None after noting that this plan lacks it."""
        if not isinstance(value, Unavailable):
            return value
        if value is NOT_ASKED:
            self._wanted.add(name)
        return None

    def step(self, action: Action, reason: str, needs: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> str:
        """Add a step and return its id."""
        target = action.target
        step_id = f"{action.verb} {target}"
        if step_id in self._steps:
            step_id += f" {1 + sum(other.startswith(step_id) for other in self._steps)}"
        self._steps[step_id] = Step(step_id, action, reason, tuple(sorted(needs)), tuple(sorted(after)))
        self._of.setdefault(target, []).append(step_id)
        return step_id

    def has(self, *kinds: type[Action]) -> bool:
        return any(isinstance(step.action, kinds) for step in self._steps.values())

    def steps_of(self, target: Target) -> tuple[str, ...]:
        return tuple(self._of.get(target, ()))

    def ends_of(self, target: Target) -> tuple[str, ...]:
        """The steps that end a domU: none of them where it is only awaited or changed."""
        verbs = ("stop ", "reap ", "destroy ")
        return tuple(step for step in self.steps_of(target) if step.startswith(verbs))

    def refuse(self, target: Target, reason: str, look_again: float | None = None) -> None:
        self._refusals.setdefault(target, []).append(reason)
        self.look_again(look_again)

    def refusal(self, target: Target) -> str | None:
        """Why this object cannot be had as declared, if so."""
        reasons = self._refusals.get(target)
        return reasons[0] if reasons else None

    def notice(self, target: Target, text: str) -> None:
        self._notices.append(Notice(target, text))

    def look_again(self, when: float | None) -> None:
        if when is not None:
            self._look_again.append(when)

    def plan(self, goal: Goal, start_slots: int) -> Plan:
        return Plan(
            goal=goal,
            steps=tuple(self._steps.values()),
            refusals=tuple(
                Refusal(target, reason) for target, reasons in sorted(self._refusals.items()) for reason in reasons
            ),
            notices=tuple(sorted(self._notices)),
            wanted=frozenset(self._wanted),
            unavailable=tuple(sorted(self._observed.why_unavailable().items())),
            start_slots=start_slots,
            critical=self.critical,
            look_again=min(self._look_again, default=None),
        )


def ends_and_shells(steps: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of steps that end the followers of a domU that is to stop: those that have to succeed before it is asked, since
    their guests still run; and those that only clear away what is left of a guest that has ended."""
    shells = tuple(step for step in steps if step.startswith("reap "))
    return tuple(step for step in steps if step not in shells), shells


def unknown(table: Table) -> str:
    """What is said of an object that hangs on a table that could not be had."""
    return f"the host's {table} could not be found out"
