"""A step that is a command: it runs on the pool, and the memory learns of its end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from types import MappingProxyType

from xenlocal.engine.consoles import begin_life
from xenlocal.engine.tasks import FIRST_LOOK, Outcome, Tools, told
from xenlocal.model.actions import (
    Action,
    AttachDevice,
    DestroyDomain,
    DetachDevice,
    FailTrial,
    PrepareDisk,
    SetLive,
    StageConfig,
    StartDomain,
)
from xenlocal.model.errors import CommandFailed, Temporary
from xenlocal.model.host_actions import LogIn
from xenlocal.model.plan import Step
from xenlocal.planner import logins
from xenlocal.planner import memory as transitions

log = logging.getLogger("xenlocal")


class Command:
    """A start that fails for a reason that may pass is tried once more, after a pause in which it keeps its slot: what
    comes `after` it should not go on without it, and fewer starts at once may be just what helps."""

    def __init__(self, step: Step, tools: Tools) -> None:
        self._action, self._tools = step.action, tools
        self.ran: list[Action] = []
        self.next: float | None = None
        self._future: Future[None] | None = None
        self._staged: Mapping[str, str] | None = None  # before
        self._begin()

    @property
    def runs_command(self) -> bool:
        return self._future is not None

    def _begin(self) -> None:
        action, tools = self._action, self._tools
        if isinstance(action, StartDomain):
            # before, not after: a daemon killed meanwhile must know what the domU runs with
            tools.keeper.update(partial(transitions.starting, uuid=action.uuid, settings=action.settings))
            begin_life(tools, action.uuid, action.name)
        elif isinstance(action, StageConfig):
            # what is staged is not known until this has ended well: it may have an effect, whatever becomes of it
            self._staged = tools.keeper.memory.records[action.uuid].staged
            tools.keeper.update(lambda memory: memory.change(action.uuid, staged=MappingProxyType({})))
        elif isinstance(action, DestroyDomain) and action.verb == "destroy":
            tools.keeper.update(partial(transitions.destroying, uuid=action.uuid, domid=action.domid))
        self.next = None
        self.ran.append(action)
        self._future = tools.work.submit(lambda: tools.actuator.perform(action))

    def poll(self) -> tuple[Outcome, str] | None:
        now = self._tools.work.now()
        if self._future is None:
            if self.next is not None and now >= self.next:
                self._begin()
            return None
        if not self._future.done():
            return None
        error, self._future = self._future.exception(), None
        if isinstance(error, Temporary) and isinstance(self._action, StartDomain) and len(self.ran) == 1:
            log.warning("%s: %s; tried once more in %.0f s", self._action.target, error, error.retry_after)
            self.next = now + error.retry_after
            return None
        return self._ended(error, now)

    def _ended(self, error: BaseException | None, now: float) -> tuple[Outcome, str]:
        action, keeper = self._action, self._tools.keeper
        if error is not None:
            if isinstance(action, StartDomain | PrepareDisk):
                keeper.update(lambda memory: transitions.start_failed(memory, action.uuid, told(error), now))
            elif isinstance(action, StageConfig) and not isinstance(error, CommandFailed | Temporary):
                keeper.update(lambda memory: memory.change(action.uuid, staged=self._staged))  # nothing has been run
            elif isinstance(action, LogIn):
                keeper.update(lambda memory: logins.login_failed(memory, action, told(error), now))
            return Outcome.FAILED, told(error)
        if isinstance(action, StartDomain):
            keeper.update(partial(transitions.started, uuid=action.uuid, settings=action.settings))
            self._tools.lookout.call(within=FIRST_LOOK)
        elif isinstance(action, PrepareDisk):
            keeper.update(lambda memory: memory.change(action.uuid, preparing=action.work.key_of(action.disk.path)))
        elif isinstance(action, LogIn):
            keeper.update(lambda memory: logins.logged_in(memory, action))
        elif isinstance(action, FailTrial):
            keeper.update(partial(transitions.trial_failed, uuid=action.trial.uuid))
        elif isinstance(action, SetLive):
            keeper.update(lambda memory: transitions.changed_live(memory, action.uuid, action.key, action.rendered))
        elif isinstance(action, AttachDevice):
            keeper.update(lambda memory: transitions.attached(memory, action.uuid, action.key, action.spec))
        elif isinstance(action, DetachDevice):
            keeper.update(lambda memory: transitions.detached(memory, action.uuid, action.key, action.spec))
        elif isinstance(action, StageConfig):
            keeper.update(lambda memory: memory.change(action.uuid, staged=action.settings))
        elif isinstance(action, DestroyDomain) and action.verb == "destroy":
            keeper.update(lambda memory: transitions.destroyed(memory, action.uuid, action.name, now))
        return Outcome.DONE, ""
