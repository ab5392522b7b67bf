"""Carry out a plan: every step as early as its edges allow, commands on the pool, waits on no thread at all.

`schedule` says which step is next. A failed step blocks those that need it and nobody else. Something urgent ends the
waits and the launching, never a command: what is unfinished is in the memory, and the next plan takes it up.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from xenlocal.engine.checking import Check
from xenlocal.engine.commands import Command
from xenlocal.engine.consoles import note_ends
from xenlocal.engine.lookout import INTERVAL
from xenlocal.engine.preparing import Preparing
from xenlocal.engine.readiness import Readiness
from xenlocal.engine.schedule import Schedule
from xenlocal.engine.stopping import Stop
from xenlocal.engine.tasks import Outcome, Result, Task, Tools
from xenlocal.model.actions import AwaitReady, CheckReady, DestroyDomain, StopDomain, WatchDisk
from xenlocal.model.desired import Desired
from xenlocal.model.memory import Memory
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.plan import Goal, Plan, Step
from xenlocal.planner import replies
from xenlocal.planner.looks import learn

log = logging.getLogger("xenlocal")
_PATIENCE = 10.0  # seconds that a host which is to go down waits for the end of a command, such as a start that hangs


@dataclass(frozen=True)
class Hooks:
    """How the executor speaks with what surrounds it."""

    urgent: Callable[[], bool] = lambda: False  # give way now?
    goes_down: Callable[[], bool] = lambda: False  # ... to a shutdown of the host, which has a deadline?
    host_event: Callable[[], bool] = lambda: False  # a birth or death since the last call?
    heartbeat: Callable[[], float | None] = lambda: None  # still alive; returns when to say so again
    progress: Callable[[str], None] = lambda _text: None
    looked: Callable[[Observed, Plan], None] = lambda _seen, _plan: None  # what is, and what is to be done, are known
    ended: Callable[[Result], None] = lambda _result: None  # a step, however it ended
    expected: Callable[[Step], float] = lambda _step: 1.0  # seconds it takes, as far as is known


def _task_for(step: Step, tools: Tools) -> Task:
    if isinstance(step.action, AwaitReady):
        return Readiness(step.action, tools)
    if isinstance(step.action, CheckReady):
        return Check(step.action, tools)
    if isinstance(step.action, StopDomain):
        return Stop(step.action, tools)
    if isinstance(step.action, WatchDisk):
        return Preparing(step.action, tools)
    return Command(step, tools)


def _last_turn(step: Step) -> float | None:
    """At host shutdown a guest is asked then at the latest, though one that follows it is still there."""
    return step.action.ask_by if isinstance(step.action, StopDomain) else None


def _spoils(result: Result, follower: Step) -> bool:
    """Whether a step that needs this one cannot be done any more."""
    if result.step.id not in follower.needs or result.outcome in (Outcome.DONE, Outcome.INTERRUPTED):
        return False
    # one that had to be destroyed has ended too, which is all that others need of its end
    return not (result.outcome is Outcome.LATE and isinstance(result.step.action, StopDomain))


def _root(result: Result) -> str:
    """What failed first, named once whatever the number of steps between."""
    if result.outcome is Outcome.BLOCKED:
        return result.message
    return f"waits for {result.step.action.target}: {result.message or result.outcome}"


class Execution:
    """One run of one plan."""

    def __init__(
        self, plan: Plan, desired: Desired, tools: Tools, hooks: Hooks, give_up_at: float | None = None
    ) -> None:
        self._plan, self._desired, self._tools, self._hooks = plan, desired, tools, hooks
        self._schedule = Schedule(plan, hooks.expected)
        self._give_up_at = float("inf") if give_up_at is None else give_up_at
        self._running: dict[str, tuple[Step, Task, float]] = {}
        self._results: dict[str, Result] = {}
        tools.lookout.reset()
        self._leave_at = float("inf")  # whatever hangs: the host is to go down
        self._surprise = False  # a domU ended, or at host shutdown was born, that this plan does not know of

    def run(self) -> tuple[Result, ...]:
        while self._schedule.waiting or self._running:
            if self._tools.work.now() >= self._give_up_at:
                self._give_up(Outcome.FAILED, "before shutdown_deadline was over")
                break
            if self._has_to_leave():
                self._give_up(Outcome.INTERRUPTED, "before the host had to go down")
                break
            moved = self._look()
            giving_way = self._hooks.urgent() or self._surprise
            moved |= self._collect(giving_way)
            if giving_way:
                self._abandon_waiting()
            else:
                moved |= self._launch()
            if not moved and (self._schedule.waiting or self._running):
                self._tools.work.wait(self._next())
        return tuple(self._results[step.id] for step in self._plan.steps)

    def _launch(self) -> bool:
        launched = False
        if self._plan.goal is Goal.SHUTDOWN:
            self._free_those_whose_last_turn_it_is()
        while (step := self._schedule.take()) is not None:
            if step.changes_host:
                text = f"{step.action.verb} {step.action.target}: {step.reason}"
                log.info("%s", text)
                self._hooks.progress(text)
            self._running[step.id] = (step, _task_for(step, self._tools), self._tools.work.now())
            launched = True
        return launched

    def _free_those_whose_last_turn_it_is(self) -> None:
        now = self._tools.work.now()
        for step in list(self._schedule.waiting.values()):
            last_turn = _last_turn(step)
            if last_turn is not None and now >= last_turn:
                self._schedule.free(step)

    def _collect(self, giving_way: bool) -> bool:
        moved = False
        for step, task, begun in list(self._running.values()):
            ended = task.poll()
            if ended is None and giving_way and not task.runs_command:
                ended = (Outcome.INTERRUPTED, "")
            if ended is not None:
                del self._running[step.id]
                self._end(Result(step, *ended, self._tools.work.now() - begun, tuple(task.ran)))
                moved = True
        return moved

    def _has_to_leave(self) -> bool:
        now = self._tools.work.now()
        if self._leave_at == float("inf") and self._plan.goal is not Goal.SHUTDOWN and self._hooks.goes_down():
            self._leave_at = now + _PATIENCE
        return now >= self._leave_at

    def _give_up(self, outcome: Outcome, why: str) -> None:
        """The host goes down now, whatever hangs. Commands that run go on running."""
        now = self._tools.work.now()
        for step, task, begun in list(self._running.values()):
            self._end(Result(step, outcome, f"no end {why}", now - begun, tuple(task.ran)))
        self._running.clear()
        for step in list(self._schedule.waiting.values()):
            self._end(Result(step, outcome, f"its turn did not come {why}"))

    def _abandon_waiting(self) -> None:
        for step in list(self._schedule.waiting.values()):
            self._end(Result(step, Outcome.INTERRUPTED))

    def _end(self, result: Result) -> None:
        """Note how it ended; whatever needs it and cannot have it any more ends with it."""
        ended = deque([result])
        while ended:
            result = ended.popleft()
            if result.step.id in self._results:
                continue  # blocked by two at once
            self._note(result)
            for follower in self._schedule.end(result.step):
                if _spoils(result, follower):
                    ended.append(Result(follower, Outcome.BLOCKED, _root(result)))

    def _note(self, result: Result) -> None:
        step, outcome = result.step, result.outcome
        self._results[step.id] = result
        self._hooks.ended(result)
        if outcome is Outcome.INTERRUPTED:
            return
        text = f"{step.action.target}: {step.action.verb} {outcome}" + (f": {result.message}" if result.message else "")
        self._hooks.progress(text)
        if isinstance(step.action, AwaitReady) and step.action.late and outcome is Outcome.LATE:
            log.debug("%s", text)  # it was said when its time was over
        elif outcome is not Outcome.DONE:
            log.warning("%s", text)
        elif step.changes_host:
            log.info("%s (%.1f s)", text, result.seconds)

    def _look(self) -> bool:
        """Feed what the lookout saw into the memory; notice ends that nobody here asked for."""
        if self._hooks.host_event():
            self._tools.lookout.call(within=0)
        keeper, lookout = self._tools.keeper, self._tools.lookout
        if not lookout.poll(keeper.memory):
            return False
        before = keeper.memory
        seen, now = Observed(domains=lookout.domains), self._tools.work.now()

        def taught(memory: Memory) -> Memory:
            memory = learn(memory, self._desired, seen, lookout.causes, now)
            return replies.saw_signs(memory, lookout.signs, lookout.since)

        keeper.update(taught)  # at once: each change is written to the disk
        if isinstance(lookout.domains, Unavailable):
            return True
        note_ends(self._tools, before)
        live = seen.by_uuid()
        for uuid, record in keeper.memory.records.items():
            old = before.records.get(uuid)
            if old is None:  # pragma: no cover - the survey before this plan has made a record of each
                continue
            if self._plan.goal is Goal.SHUTDOWN:
                born = record.domid is not None and record.domid != old.domid
                self._surprise |= born and not self._stops(record.domid)
                if uuid in live and live[uuid].domid != record.domid:  # it is being built, and no event tells its birth
                    lookout.call(within=INTERVAL)
            elif old.is_on and record.off is not None:
                # one that was to end, and left no shell, may reboot instead: its monitor is about to create it anew
                self._surprise |= record.domid is None or not self._is_ending(record.name)
        return True

    def _stops(self, domid: int | None) -> bool:
        actions = (step.action for step in self._plan.steps)
        return any(action.domid == domid for action in actions if isinstance(action, StopDomain | DestroyDomain))

    def _is_ending(self, name: str) -> bool:
        return any(
            step.action.target.name == name and step.action.verb in ("stop", "reap", "destroy")
            for step, _, _ in self._running.values()
        )

    def _next(self) -> float | None:
        times = [
            self._tools.lookout.next,
            self._hooks.heartbeat(),
            *(when for when in (self._give_up_at, self._leave_at) if when < float("inf")),
            *(_last_turn(step) for step in self._schedule.waiting.values()),
            *(task.next for _, task, _ in self._running.values()),
        ]
        return min((when for when in times if when is not None), default=None)
