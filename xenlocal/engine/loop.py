"""The loop: a wakeup only says *look again*; one cycle answers all before it. The single owner of changes.

One thread runs it. Other threads put requests into the inbox and read `snapshot`, which is replaced, never
changed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from xenlocal.engine import explain, jobs, settling
from xenlocal.engine.configuration import Configuration
from xenlocal.engine.execute import Hooks
from xenlocal.engine.foresight import Foresight
from xenlocal.engine.inbox import FAILED, INVALID, NOT_FOUND, OK, Inbox, Request
from xenlocal.engine.ports import Notifier
from xenlocal.engine.reconcile import Cycle, reconcile
from xenlocal.engine.recorder import Recorder
from xenlocal.engine.status import sentence, status
from xenlocal.engine.tasks import Result, Tools
from xenlocal.model.conffiles import Problem
from xenlocal.model.desired import Desired
from xenlocal.model.history import What
from xenlocal.model.observed import Observed
from xenlocal.model.plan import Goal, Plan, Step
from xenlocal.planner.learned import Learned
from xenlocal.planner.urgency import expected
from xenlocal.planner.why import View

log = logging.getLogger("xenlocal")
_DEBOUNCE = 0.1  # seconds of quiet after a change of the files: editors write in several steps
_SHARE, _LONGEST_PAUSE = 4, 1.0  # so many times as long as a cycle took, at most so many seconds: until the next event
_FIRST_RETRY = 5.0  # seconds until the next look after a cycle that left something undone; doubles
_LAST_RETRY = 300.0
_SHUTDOWN_RETRY = 2.0
_UNSETTLED = 2.0  # seconds until files are read again that somebody was writing: no event may tell of the end of that
_GOALS = ("boot", "shutdown")  # verbs that the history remembers as a whole


class Loop:
    def __init__(
        self,
        configuration: Configuration,
        tools: Tools,
        inbox: Inbox,
        notifier: Notifier,
        recorder: Recorder,
        foresight: Foresight | None = None,
    ) -> None:
        self._configuration, self._tools, self._inbox, self._notifier = configuration, tools, inbox, notifier
        self._recorder, self._foresight = recorder, foresight
        self._jobs: list[Request] = []
        self._is_ready = False
        self.learned: Mapping[str, Learned] = {}
        """How long each domU took before: of several that may begin, the one with the longest way goes first."""
        self._retries = 0
        self._reread = float("inf")  # when the files have to be read again though nothing calls
        self._soonest = float("-inf")  # that an event of the host is worth a look: guests can make many of them
        self._said: frozenset[str] = frozenset()
        self._sentence = ""
        self._undone: frozenset[str] = frozenset()
        self.snapshot: Cycle | None = None

    def run(self) -> None:
        """Until `inbox.stop()`: the daemon."""
        self.learned = self._recorder.learned()
        self._configuration.load()
        until = self._turn()
        while not self._inbox.stopping:
            if not self._inbox.anything:
                self._sleep(until)
            if not self._inbox.stopping and (self._inbox.anything or self._tools.work.now() >= until):
                until = self._turn()
        self._notifier.stopping()
        for request in self._jobs:
            request.finish(FAILED, message="the daemon was stopped before this was done", retry=True)

    def serve(self, request: Request) -> None:
        """Until this one request has ended: the command line without a daemon."""
        self._configuration.load()
        self._begin(request)  # one that is refused changes nothing
        while not request.finished:
            until = self._turn()
            if not request.finished and not self._inbox.anything:
                self._sleep(until)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of the files as they are now."""
        return self._configuration.problems

    def reload(self) -> tuple[int, dict[str, Any]]:
        """From any thread: read the files now, and have the next cycle act on them. Waits for no cycle, since an
        `xl create` that is under way may take a minute."""
        self._notifier.reloading()
        problems = self._configuration.load()
        self._notifier.ready()
        self._inbox.look_again()
        message = f"the files are not valid; {self._configuration.verdict.instead}" if problems else ""
        code = INVALID if problems else OK
        return code, {"problems": [asdict(problem) for problem in problems], "message": message}

    def status(self) -> dict[str, Any] | None:
        """From any thread. None before the first look."""
        cycle, work = self.snapshot, self._tools.work
        if cycle is None:
            return None
        foreseen = () if self._foresight is None else self._foresight.notices
        return status(cycle, self._tools.keeper.memory, self._configuration.verdict, work.now(), work.wall(), foreseen)

    def why(self, name: str) -> tuple[int, dict[str, Any]]:
        """From any thread."""
        cycle, work = self.snapshot, self._tools.work
        if cycle is None:
            return FAILED, {"message": "the first look at the host is not over yet"}
        memory = self._tools.keeper.memory
        view = View(cycle.desired, cycle.observed, memory, cycle.plan, work.now(), work.wall())
        answer = explain.why(name, view, self._recorder.history)
        return (NOT_FOUND, {}) if answer is None else (OK, answer)

    def _turn(self) -> float:
        """Take what came in, run one cycle, and say when to look again without being called."""
        if self._inbox.anything and not self._inbox.has_requests:
            self._debounce()
        arrived = self._inbox.take()
        self._configuration.load()
        self._reread = float("inf")
        for request in arrived:
            self._begin(request)
        goal = jobs.goal_of(self._tools.keeper.memory, self._jobs)
        until = settling.has_to_end(self._jobs, self._configuration.in_force, self._tools)
        began = self._tools.work.now()
        desired = self._configuration.in_force
        cycle = reconcile(desired, goal, self._tools, self._hooks(goal, desired), until)
        self.snapshot = cycle
        self._report(cycle)
        memory, now = self._tools.keeper.memory, self._tools.work.now()
        self._soonest = now + min(_SHARE * (now - began), _LONGEST_PAUSE)
        for request in list(self._jobs):
            self._refuse_if_invalid(request)
        for request in [request for request in self._jobs if not request.finished]:
            settling.settle(request, cycle, memory, now)
            if request.verb == "shutdown" and request.finished:
                self._tools.keeper.update(lambda memory: replace(memory, shutdown_over=True))
            if request.finished and request.verb in _GOALS:
                self._recorder.goal(What.ENDED, request.verb, str(request.result["message"]))
        self._jobs = [request for request in self._jobs if not request.finished]
        self._look_ahead(cycle)
        return self._next_look(cycle, now)

    def _look_ahead(self, cycle: Cycle) -> None:
        """Rehearse what is in force, when it has come to rest."""
        memory = self._tools.keeper.memory
        rests = memory.boot_done and memory.shutting_down is None and not (self._jobs or cycle.interrupted)
        if self._foresight is not None and rests and not self.problems:
            self._foresight.after(cycle)

    def _refuse_if_invalid(self, request: Request) -> None:
        """`apply` of files that are not valid has failed, whatever the cycle did with the configuration before; so
        has `boot` where there is no configuration at all."""
        nothing = self._configuration.desired is None
        if self.problems and (request.verb == "apply" or (request.verb == "boot" and nothing)):
            request.finish(INVALID, problems=[asdict(problem) for problem in self.problems])

    def _begin(self, request: Request) -> None:
        before = self._tools.keeper.memory
        request.begun = request.begun or self._tools.work.now()
        jobs.begin(request, self._configuration.in_force, self._tools, self._recorder)
        if request.verb in _GOALS and self._tools.keeper.memory is not before:
            # else it goes on with what a daemon before this one has begun
            self._recorder.goal(What.BEGUN, request.verb)
        if request.verb == "boot":
            self.learned = self._recorder.learned()
        if not request.finished:
            self._jobs.append(request)

    def _hooks(self, goal: Goal, desired: Desired) -> Hooks:
        def urgent() -> bool:
            # at host shutdown nothing is more urgent than the guests but our own end, and the word of whoever watches
            shutdown = self._inbox.stopping or self._inbox.has_requests
            return shutdown if goal is Goal.SHUTDOWN else self._inbox.urgent or self._tools.work.now() >= self._reread

        def looked(observed: Observed, plan: Plan) -> None:
            # what is asked meanwhile is answered from this: steps may take minutes
            self.snapshot = Cycle(desired, observed, plan)
            self._looked()

        def ended(result: Result) -> None:
            self._recorder.ended(goal, result, self._tools.keeper.memory)

        host_event, known = self._inbox.take_host_event, self.learned

        def seconds(step: Step) -> float:
            return expected(step, known)

        return Hooks(
            urgent,
            lambda: self._inbox.goes_down,
            host_event,
            self._heartbeat,
            self._progress,
            looked,
            ended,
            seconds,
        )

    def _looked(self) -> None:
        """systemd waits for this word: after the first look, not after the last start of a slow domU."""
        if not self._is_ready:
            self._is_ready = True
            self._notifier.ready()
        if self._configuration.unsettled:  # from now on: however long looks take, what they call for is begun
            self._reread = self._tools.work.now() + _UNSETTLED

    def _progress(self, text: str) -> None:
        self._notifier.status(text)
        for request in self._jobs:
            request.progress(text)
            if request.verb == "skip" and not request.finished:
                settling.settle_skip(request, self._tools.keeper.memory)

    def _report(self, cycle: Cycle) -> None:
        """One sentence a cycle, and each refusal once: only what has changed is said again."""
        said = sentence(cycle, self._tools.keeper.memory, self._configuration.verdict)
        self._notifier.status(said)
        if said != self._sentence:
            log.info("%s", said)
            self._sentence = said
        notes = frozenset(
            [f"{refusal.target}: {refusal.reason}" for refusal in cycle.plan.refusals]
            + [f"{notice.target}: {notice.text}" for notice in cycle.plan.notices]
            + [f"{table} unknown: {why}" for table, why in cycle.plan.unavailable]
        )
        for note in sorted(notes - self._said):
            log.warning("%s", note)
        self._said = notes
        if not cycle.interrupted:
            tried = {result.step.id for result in cycle.results}
            for step in cycle.plan.steps:
                if step.changes_host and step.id in tried:
                    log.warning(
                        "%s still differs: to %s, because %s",
                        step.action.target,
                        step.action.verb,
                        step.reason,
                    )

    def _next_look(self, cycle: Cycle, now: float) -> float:
        undone = frozenset(step.id for step in cycle.plan.steps)
        if cycle.interrupted or (undone - self._undone and cycle.results):
            self._undone = undone
            return now  # given way, or something new has come up: go on at once
        self._undone = undone
        host = cycle.desired.host
        times = [now + host.resync.seconds, self._reread]
        if undone or cycle.plan.unavailable or cycle.bad:
            pause = min(_FIRST_RETRY * 2**self._retries, _LAST_RETRY)
            self._retries = min(self._retries + 1, 10)
            times.append(now + (_SHUTDOWN_RETRY if cycle.plan.goal is Goal.SHUTDOWN else pause))
        else:
            self._retries = 0
        if cycle.plan.look_again is not None:
            times.append(cycle.plan.look_again)
        return max(min(times), now)

    def _sleep(self, until: float) -> None:
        work = self._tools.work
        while not self._inbox.anything and work.now() < until:
            beat = self._heartbeat()
            work.wait(until if beat is None else min(beat, until))

    def _debounce(self) -> None:
        work = self._tools.work
        quiet = work.now() + _DEBOUNCE
        while work.now() < quiet or (work.now() < self._soonest and not self._inbox.urgent):
            work.wait(max(quiet, self._soonest))

    def _heartbeat(self) -> float | None:
        interval = self._notifier.watchdog_interval()
        if interval is None:
            return None
        self._notifier.watchdog()
        return self._tools.work.now() + interval
