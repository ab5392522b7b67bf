"""A step that is a command: it runs on the pool, and the memory learns of its end."""

from __future__ import annotations

from functools import partial

from xenlocal.engine.consoles import begin_life
from xenlocal.engine.tasks import FIRST_LOOK, Outcome, Tools, told
from xenlocal.model.actions import DestroyDomain, SetLive, StageConfig, StartDomain
from xenlocal.model.plan import Step
from xenlocal.planner import memory as transitions


class Command:
    next = None
    runs_command = True

    def __init__(self, step: Step, tools: Tools) -> None:
        self._action, self._tools = step.action, tools
        self.ran = (step.action,)
        action = step.action
        if isinstance(action, StartDomain):
            # before, not after: a daemon killed meanwhile must know what the domU runs with
            tools.keeper.update(partial(transitions.starting, uuid=action.uuid, settings=action.settings))
            begin_life(tools, action.uuid, action.name)
        elif isinstance(action, DestroyDomain) and action.verb == "destroy":
            tools.keeper.update(partial(transitions.destroying, uuid=action.uuid, domid=action.domid))
        self._future = tools.work.submit(lambda: tools.actuator.perform(step.action))

    def poll(self) -> tuple[Outcome, str] | None:
        if not self._future.done():
            return None
        error = self._future.exception()
        action, keeper, now = self._action, self._tools.keeper, self._tools.work.now()
        if error is not None:
            if isinstance(action, StartDomain):
                keeper.update(lambda memory: transitions.start_failed(memory, action.uuid, told(error), now))
            return Outcome.FAILED, told(error)
        if isinstance(action, StartDomain):
            keeper.update(partial(transitions.started, uuid=action.uuid, settings=action.settings))
            self._tools.lookout.call(within=FIRST_LOOK)
        elif isinstance(action, SetLive):
            keeper.update(lambda memory: transitions.changed_live(memory, action.uuid, action.key, action.rendered))
        elif isinstance(action, StageConfig):
            keeper.update(lambda memory: memory.change(action.uuid, staged=action.settings))
        elif isinstance(action, DestroyDomain) and action.verb == "destroy":
            keeper.update(lambda memory: transitions.destroyed(memory, action.uuid, action.name, now))
        return Outcome.DONE, ""
