"""A step that stops a domU: the stop ladder (`planner.ladder`) at work. It decides nothing about the order of rungs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from xenlocal.engine.lookout import INTERVAL
from xenlocal.engine.tasks import FIRST_LOOK, Outcome, Tools, told
from xenlocal.model.actions import Action, DestroyDomain, NudgeDomain, StopDomain
from xenlocal.model.memory import Reply
from xenlocal.model.observed import LiveDomain, LiveState, Unavailable
from xenlocal.model.units import Duration
from xenlocal.planner import memory as transitions
from xenlocal.planner import replies
from xenlocal.planner.ladder import Case, Rung, decide, end_of_time
from xenlocal.planner.shutdown import DESTROY_WITHIN

log = logging.getLogger("xenlocal")
_LAST_CHANCE = 5.0  # seconds between asking and destroying, also where the deadline leaves none
_SLOWEST = 5.0  # seconds between two looks at a guest that takes long; its death is announced anyway


class Stop:
    """The memory says that it was asked only when the request was passed on. After a kill in between, the next plan
    asks once more, which hurts no guest, and never destroys one that was not asked.
    """

    def __init__(self, action: StopDomain, tools: Tools) -> None:
        self._action, self._tools = action, tools
        self._command: Future[None] | None = None  # reaps or destroys: nothing else happens until it has ended
        self._command_ended: Callable[[], tuple[Outcome, str] | None] = self._reaped
        # while these run its end is watched for; a request to a guest that hangs may itself hang, so neither waits
        # for the other
        self._asking: Future[None] | None = None
        self._nudging: Future[None] | None = None
        self._nudge_tried: float | None = None
        self._begun = action.asked if action.asked is not None else tools.work.now()
        self._first = self._begun
        self._tried = action.asked
        self._case = self._know()
        self._forced = False
        self._found: LiveDomain | None = None  # by the look before it is destroyed
        self._dying: float | None = None  # since when it is seen to be gone, or on its way out, by itself
        self._vain = 0  # attempts to clear it away, or to destroy it
        self._not_before = float("-inf")  # ... and the next one
        # a stop that goes on is one action since its first request, whichever daemon made that
        self.ran: list[Action] = [] if action.asked is None else [action]
        self.next: float | None = None
        if action.asked is None:
            self._ask()
        else:  # when a foreign one was asked last is not remembered: not long ago, then
            reply = self._case.reply
            self._tried = reply.requested if action.destroy and reply is not None else tools.work.now()
            tools.lookout.call(within=FIRST_LOOK, stopping=action.domid)

    @property
    def runs_command(self) -> bool:
        return any(command is not None for command in (self._command, self._asking, self._nudging))

    def poll(self) -> tuple[Outcome, str] | None:
        self.next = None
        if self._command is not None:
            return self._command_ended() if self._command.done() else None
        if self._asking is not None and self._asking.done():
            error, self._asking = self._asking.exception(), None
            self._asked(error)
        if self._nudging is not None and self._nudging.done():
            error, self._nudging = self._nudging.exception(), None
            self._nudged(error)
        return self._waiting()

    def _know(self) -> Case:
        action, memory = self._action, self._tools.keeper.memory
        record = memory.records.get(action.uuid)
        reply = record.reply if record is not None and record.domid == action.domid else None
        if record is None and action.domid in memory.foreign_asked:
            reply = Reply(requested=self._tried or self._begun)
        if reply is not None and record is not None and record.stop_asked is not None:
            self._begun = record.stop_asked
        if reply is not None and reply.nudged is None:  # a nudge that hangs is not waited for
            reply = replace(reply, nudged=self._nudge_tried)
        endless = float("inf")
        return Case(
            action.patience,
            self._begun,
            self._tried,
            reply,
            endless if action.grow_until is None else action.grow_until,
            endless if action.end_by is None else max(action.end_by, self._first + _LAST_CHANCE),
        )

    def _waiting(self) -> tuple[Outcome, str] | None:
        action, now, domains = self._action, self._tools.work.now(), self._tools.lookout.domains
        if not isinstance(domains, Unavailable):
            live = domains.get(action.domid)
            if live is None or (live.is_down and (not action.destroy or self._tools.lookout.outline)):
                return self._ended()
            if live.is_down:
                if not self._pauses(now):
                    self._forced = False  # what is destroyed leaves no shell
                    self._run(self._reap, self._reaped)
                return None
            if live.state is LiveState.DYING and action.destroy and not self._forced and self._dying is None:
                self._dying = now
        self._case = self._know()
        if self._dying is not None:
            self._await_its_end(self._dying, now)
            return None
        rung, self.next = decide(self._case, now)
        if rung in (Rung.LOOK, Rung.DESTROY) and not action.destroy:
            return self._late()
        if rung is Rung.DESTROY and self._pauses(now):
            self._call_lookout(rung, now)
            return None
        if rung is Rung.DESTROY:
            self._run(self._look_once_more, self._looked)
            return None
        if rung is Rung.ASK and self._asking is None:
            self._ask()
        elif rung is Rung.NUDGE:
            self._nudge()
        self._call_lookout(rung, now)
        return None

    def _await_its_end(self, since: float, now: float) -> None:
        """It may reboot: whoever destroys it then takes it for off, and starts it beside its monitor, which creates it
        anew. Only what nobody clears away for so long, since its monitor was killed, is left to us."""
        over = max(end_of_time(self._case), since + transitions.REBOOT_GRACE)
        if now < over:
            self._call_lookout(Rung.WAIT, now)
            self.next = over
        elif not self._pauses(now):
            self._run(self._look_once_more, self._looked)

    def _call_lookout(self, rung: Rung, now: float) -> None:
        pause = min(max((now - self._begun) / 10, INTERVAL), _SLOWEST)
        within = 0 if rung is Rung.LOOK else pause
        self._tools.lookout.call(within=within, stopping=self._action.domid, firm=rung is Rung.LOOK)

    def _perform(self, action: Action) -> None:
        """On the pool."""
        self.ran.append(action)
        self._tools.actuator.perform(action)

    def _run(self, command: Callable[[], None], then: Callable[[], tuple[Outcome, str] | None]) -> None:
        self._command, self._command_ended, self.next = self._tools.work.submit(command), then, None

    def _finish_command(self) -> BaseException | None:
        assert self._command is not None
        error = self._command.exception()
        self._command = None
        return error

    def _ask(self) -> None:
        if self._tried is not None:
            log.info("%s: asked to stop once more: it is still there", self._action.target)
        self._tried = self._tools.work.now()
        self._asking = self._tools.work.submit(lambda: self._perform(self._action))

    def _asked(self, error: BaseException | None) -> None:
        action, now = self._action, self._tools.work.now()
        if error is not None:  # no reason to give up: the guest may have ended meanwhile, or hear the next one
            log.warning("%s: cannot ask it to stop: %s", action.target, told(error))
        else:
            self._tried = now
            if self._case.reply is None:
                self._begun = now
            self._tools.keeper.update(lambda memory: replies.asked(memory, action.uuid, action.domid, now))
        self._tools.lookout.call(within=FIRST_LOOK, stopping=action.domid)

    def _nudge(self) -> None:
        action = self._action
        nudge = NudgeDomain(action.name, action.uuid, action.domid, action.hvm)
        log.warning("%s: %s it, since it is not off %s", action.target, nudge.verb, self._so_far())
        self._nudge_tried = self._tools.work.now()
        self._nudging = self._tools.work.submit(lambda: self._perform(nudge))

    def _nudged(self, error: BaseException | None) -> None:
        action, now = self._action, self._tools.work.now()
        if error is not None:
            log.warning("%s: %s", action.target, told(error))
        self._tools.keeper.update(lambda memory: replies.nudged(memory, action.uuid, now))

    def _late(self) -> tuple[Outcome, str]:
        """A foreign one. It counts as asked also where no request came through: that was tried for as long."""
        action, begun = self._action, self._begun
        self._tools.keeper.update(lambda memory: replies.asked(memory, action.uuid, action.domid, begun))
        return Outcome.LATE, f"did not stop within {action.timeout}; not ours, so it is left running"

    def _so_far(self) -> str:
        seconds = Duration(round(self._tools.work.now() - self._begun))
        reply = self._case.reply
        if reply is None:
            return f"{seconds} after the first attempt to ask it; no request came through"
        if reply.heard is False:
            wrote = "" if reply.quiet is None or reply.wrote is not None else ", and has written nothing to its disks"
            return f"{seconds} after it was asked; its kernel has not acknowledged that{wrote}"
        return f"{seconds} after it was asked" + (", and has gone on writing" if reply.wrote is not None else "")

    def _ended(self) -> tuple[Outcome, str]:
        if self._forced:
            return Outcome.LATE, f"was destroyed: it was not off {self._so_far()}"
        return Outcome.DONE, f"stopped {self._tools.work.now() - self._begun:.0f} s after it was asked"

    def _pauses(self, now: float) -> bool:
        """After an attempt in vain."""
        if now >= self._not_before:
            return False
        self.next = self._not_before
        return True

    def _in_vain(self, error: BaseException) -> tuple[Outcome, str] | None:
        """While the host goes down there may be no other plan that could try again before the deadline: the others of
        this one take their time. Each attempt has ended before the next begins, and looks anew at whom it means."""
        action, now = self._action, self._tools.work.now()
        if action.end_by is None:
            return Outcome.FAILED, told(error)
        self._vain += 1
        pause = min(transitions.retry_delay(self._vain), max(action.end_by - now, _LAST_CHANCE))
        self._not_before = now + pause
        log.warning("%s: %s; tried once more in %.0f s", action.target, told(error), pause)
        self._tools.lookout.call(within=FIRST_LOOK, stopping=action.domid)
        return None

    def _clear_away(self, verb: str) -> None:
        """On the pool. Each attempt has twice the time of the one before: on a slow host it may only have been slow."""
        action = self._action
        within = None if action.end_by is None else Duration(DESTROY_WITHIN.seconds * 2**self._vain)
        self._perform(DestroyDomain(action.name, action.uuid, action.domid, verb=verb, within=within))

    def _reap(self) -> None:
        self._clear_away("reap")

    def _reaped(self) -> tuple[Outcome, str] | None:
        error = self._finish_command()
        return self._in_vain(error) if error is not None else self._ended()

    def _look_once_more(self) -> None:
        """On the pool."""
        self._found = self._tools.reader.domains().get(self._action.domid)

    def _looked(self) -> tuple[Outcome, str] | None:
        """Only what is still that very domain, and runs, is destroyed."""
        error = self._finish_command()
        if error is not None:
            return self._in_vain(error)
        action, now, live, case = self._action, self._tools.work.now(), self._found, self._case
        # else by an attempt of ours in vain
        by_itself = (live is None or live.state is LiveState.DYING) and not self._forced
        if by_itself and self._dying is None:
            self._dying = now
            return None
        if live is None or live.uuid != action.uuid:
            return self._over()
        self._forced = not (live.is_down or by_itself)
        if self._forced:  # before, not after: that it was forced must not be lost with a daemon killed meanwhile
            self._tools.keeper.update(lambda memory: replies.given_up(memory, action.uuid, action.domid, case, now))
        self._run(partial(self._clear_away, "destroy" if self._forced else "reap"), self._destroyed)
        return None

    def _destroyed(self) -> tuple[Outcome, str] | None:
        error = self._finish_command()
        return self._in_vain(error) if error is not None else self._over()

    def _over(self) -> tuple[Outcome, str]:
        action, now = self._action, self._tools.work.now()
        if self._forced:
            self._tools.keeper.update(lambda memory: transitions.destroyed(memory, action.uuid, action.name, now))
        else:
            self._tools.keeper.update(partial(transitions.destroying, uuid=action.uuid, domid=None))
        return self._ended()
