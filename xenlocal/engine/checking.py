"""A step that asks once more whether a domU that was ready still is."""

from __future__ import annotations

from functools import partial

from xenlocal.engine.ports import Guest
from xenlocal.engine.tasks import Outcome, Tools
from xenlocal.engine.tries import tries_of
from xenlocal.model.actions import CheckReady
from xenlocal.planner import memory as transitions

_IN_A_ROW = 3  # tries that must fail: one lost packet is no outage. So many that could not be made end it, too


class Check:
    runs_command = False
    ran = ()

    def __init__(self, action: CheckReady, tools: Tools) -> None:
        self._action, self._tools = action, tools
        record = tools.keeper.memory.records[action.uuid]
        self._domid, self._failed, self._untried = record.domid, 0, 0
        guest = Guest(record.known_as, record.domid or 0, record.console)
        self._tries = tries_of(action.probe, guest, record.born or 0.0, tools)

    @property
    def next(self) -> float | None:
        return self._tries.next

    def poll(self) -> tuple[Outcome, str] | None:
        record = self._tools.keeper.memory.records[self._action.uuid]
        if not record.ready or record.domid != self._domid:
            return Outcome.DONE, ""  # it has ended meanwhile: another matter
        answer, now = self._tries.poll(), self._tools.work.now()
        if answer is None:
            return None
        why = answer.why
        if answer.ready:
            self._tools.keeper.update(partial(transitions.became_ready, uuid=self._action.uuid, now=now))
            return Outcome.DONE, ""
        if not answer.tried:
            return self._not_tried(why)
        self._failed += 1
        if self._failed < _IN_A_ROW:
            return None
        action = self._action
        self._tools.keeper.update(
            lambda memory: transitions.lost_readiness(memory, action.uuid, why, now, counts=action.restarts)
        )
        return Outcome.LATE, f"was ready, and is not any more: {why}"

    def _not_tried(self, why: str) -> tuple[Outcome, str] | None:
        """Nothing is known of it, so it stays ready; the next look asks again."""
        self._untried += 1
        if self._untried < _IN_A_ROW:
            return None
        self._tools.keeper.update(partial(transitions.not_ready, uuid=self._action.uuid, why=why, tried=False))
        return Outcome.DONE, why
