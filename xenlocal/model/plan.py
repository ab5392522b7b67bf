"""The plan: typed steps from observed to desired, each with a reason; what is refused; what is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from xenlocal.model.actions import Action
from xenlocal.model.names import Target
from xenlocal.model.observed import Table


class Goal(StrEnum):
    CONVERGE = "converge"
    BOOT = "boot"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True)
class Step:
    """One action. It starts when every step in `needs` has succeeded and every one in `after` has ended."""

    id: str  # unique in the plan, stable for the same input: `start domain/web`
    action: Action
    reason: str
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def changes_host(self) -> bool:
        return self.action.verb not in ("await", "check", "watch")


@dataclass(frozen=True, order=True)
class Refusal:
    """Something desired that is not safe, or not possible for now, and why. Never a silent skip."""

    target: Target
    reason: str


@dataclass(frozen=True, order=True)
class Notice:
    """Something the administrator should know of an object, which asks for no step."""

    target: Target
    text: str


@dataclass(frozen=True)
class Plan:
    goal: Goal
    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notices: tuple[Notice, ...] = ()
    wanted: frozenset[Table] = frozenset()  # tables that had not been asked for and are needed
    unavailable: tuple[tuple[str, str], ...] = ()  # table, why: asked for and not had
    start_slots: int = 1  # how many `xl create` at once
    critical: frozenset[str] = frozenset()  # domUs that come first where not all can run at once
    look_again: float | None = None  # monotonic seconds: when time alone may change this plan

    @property
    def is_empty(self) -> bool:
        """Nothing to do on the host."""
        return not any(step.changes_host for step in self.steps)
