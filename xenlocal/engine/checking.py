"""A step that asks once more whether a domU that was ready still is."""

from __future__ import annotations

from functools import partial

from xenlocal.engine.ports import Guest
from xenlocal.engine.tasks import Outcome, Tools
from xenlocal.engine.tries import tries_of
from xenlocal.model.actions import CheckReady
from xenlocal.planner import memory as transitions

_IN_A_ROW = 3  # tries that must fail: one lost packet is no outage


class Check:
    runs_command = False

    def __init__(self, action: CheckReady, tools: Tools) -> None:
        self._action, self._tools = action, tools
        record = tools.keeper.memory.records[action.uuid]
        self._domid, self._failed = record.domid, 0
        guest = Guest(record.known_as, record.domid or 0, record.console)
        self._tries = tries_of(action.probe, guest, record.born or 0.0, tools)

    @property
    def next(self) -> float | None:
        return self._tries.next

    def poll(self) -> tuple[Outcome, str] | None:
        record = self._tools.keeper.memory.records[self._action.uuid]
        if not record.ready or record.domid != self._domid:
            return Outcome.DONE, ""  # it has ended meanwhile: another matter
        why, now = self._tries.poll(), self._tools.work.now()
        if why is None:
            return None
        if why == "":
            self._tools.keeper.update(partial(transitions.became_ready, uuid=self._action.uuid, now=now))
            return Outcome.DONE, ""
        self._failed += 1
        if self._failed < _IN_A_ROW:
            return None
        action = self._action
        self._tools.keeper.update(
            lambda memory: transitions.lost_readiness(memory, action.uuid, why, now, counts=action.restarts)
        )
        return Outcome.LATE, f"was ready, and is not any more: {why}"
