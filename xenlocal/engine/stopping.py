"""A step that stops a domU: ask; wait; its own time over, destroy. In no other order (DESIGN rule 3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future

from xenlocal.engine.lookout import INTERVAL
from xenlocal.engine.tasks import FIRST_LOOK, Outcome, Tools, told
from xenlocal.model.actions import DestroyDomain, StopDomain
from xenlocal.model.observed import Unavailable
from xenlocal.planner import memory as transitions

log = logging.getLogger("xenlocal")
_ASK_AGAIN = 5.0  # seconds after a request that could not be passed on


class Stop:
    """The memory says that it was asked only when `xl` has passed the request on. After a kill in between,
    the next plan asks once more, which hurts no guest, and never destroys one that was not asked.
    """

    def __init__(self, action: StopDomain, tools: Tools) -> None:
        self._action, self._tools = action, tools
        self._command: Future[None] | None = None
        self._after: Callable[[], tuple[Outcome, str] | None] = self._waiting
        self._asked = action.asked if action.asked is not None else tools.work.now()
        self._ask_again: float | None = None
        self._forced = False
        if action.asked is None:
            self._ask()
        else:
            tools.lookout.call(within=FIRST_LOOK)

    @property
    def runs_command(self) -> bool:
        return self._command is not None

    @property
    def _deadline(self) -> float:
        return self._asked + self._action.timeout.seconds

    @property
    def next(self) -> float | None:
        if self._command is not None:
            return None
        return self._deadline if self._ask_again is None else min(self._deadline, self._ask_again)

    def poll(self) -> tuple[Outcome, str] | None:
        if self._command is not None and not self._command.done():
            return None
        return self._after()

    def _run(self, command: Callable[[], None], then: Callable[[], tuple[Outcome, str] | None]) -> None:
        self._command, self._after = self._tools.work.submit(command), then

    def _finish_command(self) -> BaseException | None:
        assert self._command is not None
        error = self._command.exception()
        self._command = None
        return error

    def _ask(self) -> None:
        self._ask_again = None
        self._run(lambda: self._tools.actuator.perform(self._action), self._asked_it)

    def _asked_it(self) -> tuple[Outcome, str] | None:
        error = self._finish_command()
        if error is not None:  # no reason to give up: the guest may have ended meanwhile, or hear the next one
            log.warning("%s: cannot ask it to stop: %s", self._action.target, told(error))
            self._ask_again = self._tools.work.now() + _ASK_AGAIN
        else:
            self._remember()
        self._after = self._waiting
        self._tools.lookout.call(within=FIRST_LOOK)
        return None

    def _remember(self) -> None:
        action, when = self._action, self._asked
        self._tools.keeper.update(lambda memory: transitions.asked(memory, action.uuid, action.domid, when))

    def _waiting(self) -> tuple[Outcome, str] | None:
        now, domains = self._tools.work.now(), self._tools.lookout.domains
        self._tools.lookout.call(within=INTERVAL)
        if not isinstance(domains, Unavailable):
            live = domains.get(self._action.domid)
            if live is None or (live.is_down and not self._action.destroy):
                return self._ended()
            if live.is_down:
                self._run(self._reap, self._reaped)
                return None
        if now >= self._deadline:
            return self._time_is_over()
        if self._ask_again is not None and now >= self._ask_again:
            self._ask()
        return None

    def _time_is_over(self) -> tuple[Outcome, str] | None:
        if not self._action.destroy:
            self._remember()  # also where no request came through: that was tried for as long
            return (
                Outcome.LATE,
                f"did not stop within {self._action.timeout}; not ours, so it is left running",
            )
        self._run(self._destroy, self._destroyed)
        return None

    def _ended(self) -> tuple[Outcome, str]:
        seconds = self._tools.work.now() - self._asked
        if self._forced:
            return Outcome.LATE, f"did not stop within {self._action.timeout} and was destroyed"
        return Outcome.DONE, f"stopped {seconds:.0f} s after it was asked"

    def _reap(self) -> None:
        action = self._action
        self._tools.actuator.perform(DestroyDomain(action.name, action.uuid, action.domid, verb="reap"))

    def _reaped(self) -> tuple[Outcome, str] | None:
        error = self._finish_command()
        return (Outcome.FAILED, told(error)) if error is not None else self._ended()

    def _destroy(self) -> None:
        """On the pool: look once more, and destroy only what is still that very domain."""
        action = self._action
        live = self._tools.reader.domains().get(action.domid)
        if live is None or live.uuid != action.uuid:
            return
        if not live.is_down:
            self._forced = True
        verb = "reap" if live.is_down else "destroy"
        self._tools.actuator.perform(DestroyDomain(action.name, action.uuid, action.domid, verb=verb))

    def _destroyed(self) -> tuple[Outcome, str] | None:
        error = self._finish_command()
        if error is not None:
            return Outcome.FAILED, told(error)
        if self._forced:
            action, now = self._action, self._tools.work.now()
            self._tools.keeper.update(lambda memory: transitions.destroyed(memory, action.uuid, action.name, now))
        return self._ended()
