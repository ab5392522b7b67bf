"""The one place where ended steps and changes of the memory become entries of the history."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from xenlocal.engine.ports import History, Work
from xenlocal.engine.tasks import Outcome, Result
from xenlocal.model.actions import Action, StopDomain, WatchDisk
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import HOST, Deed, Entry, Event, Query, Stamp, What
from xenlocal.model.memory import Memory
from xenlocal.model.plan import Goal, Step
from xenlocal.planner.happenings import edges, happenings
from xenlocal.planner.learned import Learned, learned

log = logging.getLogger("xenlocal")
_LESSONS = 10_000  # entries that are looked at: some boots of a hundred domUs
Script = Callable[[Action], Sequence[str]]  # engine.ports.Actuator.script


class Recorder:
    """`boot`: the kernel's id of this boot. Called by the one thread that runs cycles."""

    def __init__(self, history: History, work: Work, script: Script, boot: str) -> None:
        self.history, self._work, self._script, self._boot = history, work, script, boot

    def remembered(self, before: Memory, after: Memory) -> None:
        """The memory has changed."""
        self._record(lambda: happenings(before, after, self._stamp()))

    def ended(self, goal: Goal, result: Result, memory: Memory) -> None:
        """A step has ended. One that was never begun, or gave way, is no deed; nor is waiting for readiness, of which
        the memory tells, unless it failed. Nothing else tells how long work on a disk took."""
        action = result.step.action
        if result.outcome in (Outcome.BLOCKED, Outcome.INTERRUPTED):
            return
        told = not result.step.changes_host and not isinstance(action, WatchDisk)
        if told and result.outcome is not Outcome.FAILED:
            return
        seconds = result.seconds
        if isinstance(action, StopDomain) and action.asked is not None:
            seconds = self._work.now() - action.asked  # asked by an earlier plan: its time began then
        step, timed = result.step, replace(result, seconds=seconds)
        self._record(lambda: [replace(self._deed(str(goal), step, timed), edges=edges(step, memory))])

    def done_by_hand(self, action: Action, seconds: float, failure: str) -> None:
        """An action outside of any plan. `failure`: empty when it succeeded."""
        outcome = Outcome.FAILED if failure else Outcome.DONE
        step = Step(f"{action.verb} {action.target}", action, "asked for by hand")
        self._record(lambda: [self._deed("by hand", step, Result(step, outcome, failure, seconds))])

    def goal(self, what: What, goal: str, message: str = "") -> None:
        """A boot or shutdown as a whole has begun or ended."""
        self._record(lambda: [Event(self._stamp(), HOST, what, goal, message)])

    def learned(self) -> Mapping[str, Learned]:
        """How long each domU took before; nothing where that cannot be read."""
        try:
            return learned(self.history.read(Query(limit=_LESSONS)))
        except XenlocalError as error:
            log.warning("cannot read how long the domUs took before: %s", error)
            return {}

    def _record(self, entries: Callable[[], Sequence[Entry]]) -> None:
        """Nothing that goes wrong here may keep a guest from being started or asked to stop."""
        try:
            made = entries()
            if made:
                self.history.record(made)
        except Exception:
            log.exception("cannot record what was done; please report this")

    def _deed(self, goal: str, step: Step, result: Result) -> Deed:
        action, stamp = step.action, self._stamp()
        commands = tuple(line for each in result.ran for line in self._script(each))
        return Deed(
            Stamp(stamp.wall - result.seconds, stamp.at - result.seconds, stamp.boot),
            goal,
            action.verb,
            str(action.target),
            step.reason,
            str(result.outcome),
            result.message,
            result.seconds,
            commands,
        )

    def _stamp(self) -> Stamp:
        return Stamp(self._work.wall(), self._work.now(), self._boot)
