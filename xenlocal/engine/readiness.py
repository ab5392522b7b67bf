"""A step that waits until a domU does its job, proved by its probe."""

from __future__ import annotations

from functools import partial

from xenlocal.engine.lookout import INTERVAL
from xenlocal.engine.ports import Guest
from xenlocal.engine.tasks import Outcome, Tools
from xenlocal.engine.tries import Answer, Tries, tries_of
from xenlocal.model.actions import AwaitReady
from xenlocal.model.memory import Off, Record
from xenlocal.model.observed import Unavailable
from xenlocal.planner import memory as transitions

_APPEARS = 30.0  # seconds within which a domU that was started has to be seen


class Readiness:
    runs_command = False  # a probe changes nothing, so it never keeps anything urgent waiting
    ran = ()

    def __init__(self, action: AwaitReady, tools: Tools) -> None:
        self._action, self._tools = action, tools
        self._tries: Tries | None = None
        self._domid: int | None = None  # of the life that is being tried
        self._answered = False
        self._begun = tools.work.now()
        self.next: float | None = None

    def poll(self) -> tuple[Outcome, str] | None:
        record = self._tools.keeper.memory.records[self._action.uuid]
        now = self._tools.work.now()
        if record.off is Off.REBOOTING and record.domid is None:
            return self._comes_back(now)
        if record.off is not None:
            return Outcome.FAILED, "ended before it was ready"
        if record.domid is None or record.born is None:
            return self._not_there(now)
        tries = self._tries_of(record, record.domid, record.born)
        answer = tries.poll()
        if answer is not None and record.dying_since is not None:  # whatever its probe says
            answer = Answer("it is on its way out")
        if answer is not None and answer.ready:
            self._tools.keeper.update(partial(transitions.became_ready, uuid=self._action.uuid, now=now))
            return Outcome.DONE, f"ready {now - record.born:.0f} s after its birth"
        if answer is not None:
            self._remember(answer)
        deadline = record.born + self._action.timeout.seconds
        if now < deadline and not self._action.late:
            self.next = deadline if tries.next is None else min(tries.next, deadline)
            return None
        # only one answer is waited for past the deadline, or by one that was late or ready before
        if self._answered and not tries.under_way:
            return self._late()
        self.next = tries.next
        return None

    def _tries_of(self, record: Record, domid: int, born: float) -> Tries:
        """Of this life: what answered before the guest's own reboot proves nothing after it."""
        if self._tries is None or self._domid != domid:
            self._tries = tries_of(self._action.probe, Guest(record.known_as, domid, record.console), born, self._tools)
            self._domid, self._answered = domid, False
        return self._tries

    def _remember(self, answer: Answer) -> None:
        self._answered = True
        self._tools.keeper.update(
            partial(transitions.not_ready, uuid=self._action.uuid, why=answer.why, tried=answer.tried)
        )

    def _late(self) -> tuple[Outcome, str]:
        uuid = self._action.uuid
        self._tools.keeper.update(lambda memory: memory.change(uuid, gave_up_waiting=True))
        why = self._tools.keeper.memory.records[uuid].unready
        if self._tools.keeper.memory.records[uuid].lost is not None:
            return Outcome.LATE, f"was ready, and is not any more: {why}"
        return Outcome.LATE, f"not ready after start_timeout = {self._action.timeout}: {why}"

    def _comes_back(self, now: float) -> tuple[Outcome, str] | None:
        """The guest reboots by itself, and its next life was seen while it was being made."""
        self._tools.lookout.call(within=INTERVAL)
        self.next = self._begun + _APPEARS
        return (Outcome.FAILED, "did not come back from its own reboot") if now >= self.next else None

    def _not_there(self, now: float) -> tuple[Outcome, str] | None:
        """`xl create` has ended well, and yet no look shows the domU. One that began before the end of that time says
        nothing: on a slow host a look and the pause after it take longer.
        """
        lookout = self._tools.lookout
        fresh = lookout.since >= self._begun  # if not, its birth may only be waiting to be seen, and others for that
        lookout.call(within=INTERVAL if fresh else 0, firm=not fresh)
        until = self._begun + min(_APPEARS, self._action.timeout.seconds)
        self.next = until if now < until else None
        if now < until or lookout.since < until or isinstance(lookout.domains, Unavailable):
            return None
        why = "it was started, and gone before anybody saw it"
        uuid = self._action.uuid
        self._tools.keeper.update(lambda memory: transitions.start_failed(memory, uuid, why, now))
        return Outcome.FAILED, why
