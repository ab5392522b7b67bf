"""The composition root: with `hosts`, alone joins the engine to adapters or to the simulator.

The command line asks the daemon; where there is none, the same engine runs here, under the same lock.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from xenlocal import config
from xenlocal.adapters import control
from xenlocal.adapters.conffiles import ConfigFiles
from xenlocal.adapters.console import HOW_TO_LOG
from xenlocal.adapters.process import Busy, Lock
from xenlocal.adapters.sink import Sink
from xenlocal.adapters.systemd import SystemdNotifier, log_to
from xenlocal.engine import explain
from xenlocal.engine.configuration import Configuration
from xenlocal.engine.inbox import Request
from xenlocal.engine.jobs import goal_of
from xenlocal.engine.keeper import Keeper
from xenlocal.engine.ports import MemoryStore
from xenlocal.engine.reconcile import Cycle, survey
from xenlocal.engine.recorder import Recorder
from xenlocal.engine.status import status, trash
from xenlocal.engine.tasks import Tools
from xenlocal.model.actions import CheckReady
from xenlocal.model.errors import ConfigError, XenlocalError
from xenlocal.model.history import Query
from xenlocal.model.memory import Memory
from xenlocal.model.names import Kind, Target
from xenlocal.model.plan import Goal, Plan
from xenlocal.model.units import Duration
from xenlocal.offline import Offline
from xenlocal.parts import Parts, tools_for
from xenlocal.planner.why import View

log = logging.getLogger("xenlocal")
NOT_FOUND, NO_DAEMON = 3, 6
_NOBODY_TO_TELL = "no daemon is running; what shuts the guests down without one takes no word: type `xl destroy DOMID`"
_PATIENCE = 60  # times _SETTLE that `boot` waits for a daemon that went away
_FOLLOW_EVERY = 1.0  # seconds
_SETTLE = 0.5  # seconds until a host-wide job asks again for a daemon that is being replaced


class _ReadOnly:
    """The memory of a host that somebody else owns: read, never written."""

    def __init__(self, records: MemoryStore, as_if_booted: bool) -> None:
        self._records, self._as_if_booted = records, as_if_booted

    def load_memory(self) -> Memory:
        memory = self._records.load_memory()
        return replace(memory, boot_done=True) if self._as_if_booted else memory

    def save_memory(self, memory: Memory) -> None:
        """What a look teaches is only for this one plan."""


class _Silent:
    """Consoles of a host that is only looked at: that a guest has ended is noted by whoever acts on it."""

    def mark(self, name: str) -> str:
        return ""

    def keep(self, name: str, note: str) -> None: ...


def _looking(tools: Tools) -> Tools:
    """What changes nothing, neither on the host nor of what is kept."""
    return replace(tools, consoles=_Silent())


class App:
    busy = Busy
    how_to_log = HOW_TO_LOG

    def __init__(self, parts: Parts) -> None:
        self._parts, self._places, self._records = parts, parts.places, parts.records
        self.offline = Offline(parts)

    def declared(self) -> frozenset[str]:
        """Names of the domUs of the configuration in force."""
        configuration = self._parts.configuration()
        configuration.load(keep=False)
        return frozenset(configuration.in_force.domains)

    def plan(self) -> tuple[Plan, dict[str, Sequence[str]]]:
        """What `apply` would do now, and each step as shell lines. Raises ConfigError when the files are not valid."""
        host_id = self._records.host_id()
        try:
            desired = config.read(ConfigFiles(self._places.config_dir).read(), host_id)
        except ConfigError as error:
            raise ConfigError(config.every_problem(error, host_id)) from error
        host = self._parts.host(live=False)
        tools = _looking(tools_for(host, Keeper(_ReadOnly(self._records, as_if_booted=True))))
        _, plan = survey(desired, goal_of(tools.keeper.memory, []), tools)
        # whether those that are ready still are is the daemon's to ask, and nothing that `apply` would change
        plan = replace(plan, steps=tuple(step for step in plan.steps if not isinstance(step.action, CheckReady)))
        return plan, {step.id: host.actuator.script(step.action) for step in plan.steps}

    def status(self) -> dict[str, Any]:
        """From the daemon, without one from a look of our own. Raises XenlocalError while the daemon knows nothing."""
        try:
            answer = self._ask_daemon("status", (), lambda _text: None)
        except control.ConnectionLost as error:
            raise XenlocalError(str(error)) from error
        if answer is not None:
            code, data = answer
            if code != 0:
                raise XenlocalError(str(data["message"]))
            return data
        configuration, view = self._look()
        cycle = Cycle(view.desired, view.observed, view.plan)
        data = status(cycle, view.memory, configuration.verdict, view.now, view.wall)
        data["host"]["daemon"] = "not running"
        return data

    def why(self, name: str) -> dict[str, Any] | None:
        """The sentences for one domU, from the same sources as `status`; None where nobody knows the name."""
        try:
            answer = self._ask_daemon("why", (name,), lambda _text: None)
        except control.ConnectionLost as error:
            raise XenlocalError(str(error)) from error
        if answer is None:
            return explain.why(name, self._look()[1], self._parts.history())
        code, data = answer
        if code not in (0, NOT_FOUND):
            raise XenlocalError(str(data["message"]))
        return data if code == 0 else None

    def _look(self) -> tuple[Configuration, View]:
        """A look of our own, which changes nothing."""
        configuration = self._parts.configuration()
        configuration.load(keep=False)
        host = self._parts.host(live=False)
        tools = _looking(tools_for(host, Keeper(_ReadOnly(self._records, as_if_booted=False))))
        observed, plan = survey(configuration.in_force, Goal.CONVERGE, tools)
        now, wall = host.work.now(), host.work.wall()
        return configuration, View(configuration.in_force, observed, tools.keeper.memory, plan, now, wall)

    def reload(self) -> tuple[int, dict[str, Any]]:
        answer = self._ask_daemon("reload", (), lambda _text: None)
        if answer is not None:
            return answer
        problems = self.offline.check(())
        if problems:
            raise ConfigError(problems)
        return NO_DAEMON, {"message": "the files are valid, but no daemon runs; type: systemctl start xenlocal"}

    def ask(self, verb: str, names: tuple[str, ...], progress: Callable[[str], None]) -> tuple[int, dict[str, Any]]:
        """Have it done: by the daemon, or here when there is none. A boot or shutdown goal is finished here when the
        daemon goes away in the middle of it: the memory tells what has been done."""
        host_wide, patience = verb in ("boot", "shutdown"), 0
        while True:
            try:
                answer = self._ask_daemon(verb, names, progress)
                if answer is not None and not (host_wide and answer[1].get("retry")):
                    return answer
                if verb == "skip":
                    return NO_DAEMON, {"message": _NOBODY_TO_TELL}
                patience = _PATIENCE if answer is not None and verb == "boot" else patience
            except control.ConnectionLost as error:
                if not host_wide:
                    return NO_DAEMON, {"message": f"{error}; `xenlocal status` tells how far it came"}
                progress(f"{error}; going on as soon as it is back, or without it")
                patience = _PATIENCE if verb == "boot" else 0
            if patience > 0:
                # at boot systemd starts the daemon again, and that is to be the one; at shutdown it does not
                patience -= 1
                threading.Event().wait(_SETTLE)
                continue
            try:
                with Lock(self._places.run_dir):
                    return self._do_it_here(verb, names, progress)
            except Busy:
                if not host_wide:
                    raise
                # a daemon is just coming up or going down; the unit's own timeout bounds this
                threading.Event().wait(_SETTLE)

    def trash(self) -> list[dict[str, Any]]:
        """What lies in the trash of every volume group, oldest first."""
        configuration = self._parts.configuration()
        configuration.load(keep=False)
        keep, host = configuration.in_force.host.trash_keep.seconds, self._parts.host(live=False)
        return trash(host.reader.storage(), keep, host.work.wall())

    def history(self, target: Target | None, since: Duration | None, limit: int) -> dict[str, Any] | None:
        """What was done and what happened. `target`: to this object; `since`: so long ago. None where nobody knows such
        a domU; what else there has been without a word about it, nobody can tell."""
        past = self._parts.history()
        targets = () if target is None else (str(target),)
        began = None if since is None else self._parts.host(live=False).work.wall() - since.seconds
        entries = past.read(Query(targets, began, limit=limit))
        if not entries and target is not None and target.kind is Kind.DOMAIN:
            remembered = {record.name for record in self._records.load_memory().records.values()}
            if target.name not in self.declared() | remembered and not past.read(Query(targets, limit=1)):
                return None
        return explain.history(entries)

    def blame(self, goal: str | None) -> dict[str, Any] | None:
        """The last boot or shutdown of the guests; None where none is remembered."""
        return explain.blame(goal, self._parts.history())

    def plot(self, goal: str) -> dict[str, Any] | None:
        """The last such one as `plot` draws it; None where none is remembered."""
        return explain.plot(goal, self._parts.history())

    def rehearse(self, what: str, name: str) -> dict[str, Any] | None:
        """What a reboot of the host (`what`), or the start or stop of `name` would do; changes nothing. None where the
        files declare no such domU. Raises ConfigError when they are not valid, XenlocalError where nobody can tell."""
        from xenlocal import rehearsal  # here: nothing else needs the simulator on a real host

        desired = config.read(ConfigFiles(self._places.config_dir).read(), self._records.host_id())
        if name and name not in desired.domains:
            return None
        host, memory = self._parts.host(live=False), self._records.load_memory()
        lessons = Recorder(self._parts.history(), host.work, host.actuator.script, "").learned()
        clock = (host.work.now(), host.work.wall())
        scene = rehearsal.look_around(desired, memory, host.reader, lessons, clock)
        return rehearsal.data(rehearsal.rehearse(scene, what, name))

    def startable(self) -> dict[str, Any] | None:
        """What would keep a domU of the files, which are valid, from starting; None where there is no dom0 here that we
        may look at: `check` is for any machine and anybody."""
        return self.examine("check") if self._parts.sees_host else None

    def examine(self, what: str) -> dict[str, Any]:
        """What `doctor`, `capacity` or `check` has to say of the host; changes nothing."""
        from xenlocal import inspection  # here: no other verb needs it

        return inspection.examine(what, self._parts)

    def console(self, name: str) -> bool:
        """Become `xl console`. False when the domU is not running."""
        if self._places.simulate is not None:
            raise XenlocalError("cannot attach: a simulated domU has no console")
        known_as = self._known_as(name)
        live = [each for each in self._parts.host(live=False).reader.domains().values() if each.name == known_as]
        if not live:
            return False
        os.execvp("xl", ["xl", "console", str(live[0].domid)])

    def log(self, name: str, follow: bool, show: Callable[[str], None]) -> bool:
        """Show the last part of a guest's console; `follow`: and what comes, for ever. False where there is none."""
        if "/" in name:
            raise XenlocalError(f"'{name}' is not the name of a domU")
        consoles, name = self._parts.host(live=False).consoles, self._known_as(name)
        text, place = consoles.read(name)
        if not text and not place:
            return False
        show(text)
        while follow:
            threading.Event().wait(_FOLLOW_EVERY)
            text, place = consoles.read_on(name, place)
            show(text)
        return True

    def _known_as(self, name: str) -> str:
        """What xl and the logs of consoles call the domU: it may have been renamed in the files since its birth."""
        records = self._records.load_memory().records.values()
        return next((record.known_as for record in records if record.name == name), name)

    def run_daemon(self, daemonize: bool) -> int:
        from xenlocal import daemon  # here: no other verb needs it

        daemon.run(self._parts, daemonize)
        return 0

    def _do_it_here(
        self, verb: str, names: tuple[str, ...], progress: Callable[[str], None]
    ) -> tuple[int, dict[str, Any]]:
        os.umask(0o077)
        log_to(sys.stderr, logging.ERROR)
        host, history = self._parts.host(live=False), self._parts.history()
        loop, inbox = self._parts.loop(host, SystemdNotifier(), history)
        told = Sink(progress)
        request = Request(verb, names, told.write)
        watch = host.watch(inbox.host_event)
        try:
            loop.serve(request)
        finally:
            watch.stop()
            history.close()
            told.flush()
        return request.code, request.result

    def _ask_daemon(
        self, verb: str, names: tuple[str, ...], progress: Callable[[str], None]
    ) -> tuple[int, dict[str, Any]] | None:
        return control.ask(self._parts.socket, verb, names, progress)
