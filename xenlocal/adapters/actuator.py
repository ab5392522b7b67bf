"""Does what an action says: writes the xl.cfg it needs, runs its commands in order, each with its own time limit.

That the domid still is the domU that is meant, is checked by the executor just before.
"""

from __future__ import annotations

import logging
import math
import os
import re
import shlex
import time
from collections.abc import Callable, Sequence

from xenlocal.adapters import argv as mapping
from xenlocal.adapters import bridging, diskwork, iproute
from xenlocal.adapters.command import Runner
from xenlocal.adapters.files import Files, write_private
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.iscsi import ChapRecords, by_hand
from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.own import read_secret
from xenlocal.model.actions import (
    Action,
    BeginTrial,
    DestroyDomain,
    EndTrial,
    FailTrial,
    LockIdentity,
    StageConfig,
    StartDomain,
    StopDomain,
    UnlockIdentity,
    WatchDisk,
)
from xenlocal.model.errors import CommandFailed, Temporary, ToolMissing, XenlocalError
from xenlocal.model.host_actions import ActivateVolume, ChangeBridge, LogIn
from xenlocal.model.names import Kind
from xenlocal.planner.bridges import restores

# Seconds, by the word after `xl`. Xen hands out and scrubs the memory of a 200 GB domU at a few GB a second, and
# `xl create` waits up to 40 s for each device; killed halfway, it leaves a domain that nobody watches over.
# What asks a guest to stop only writes a word into xenstore: one that takes long hangs, and others wait.
_TIMEOUTS = {"create": 600.0, "destroy": 600.0, "shutdown": 20.0, "sysrq": 20.0, "trigger": 20.0}
_TIMEOUT = 120.0
_XENSTORE = 10.0
_LOGIN = 45.0  # open-iscsi waits 15 s for a portal (login_timeout), in a record of somebody else's eight times
_ALREADY_LOGGED_IN, _NOT_AUTHORISED = 15, 24  # exit status of iscsiadm(8)
_INITIATOR = re.compile(r"initiator reported error \(\d+ - (.*)\)")
# libxl gives the scripts of a device 40 s, and they wait for each other: on a busy host that may be too little (FACTS).
_GAVE_UP = re.compile("unable to add (?:disk|vif|nic) devices")
_HOTPLUG_PAUSE = 10.0
_CHANGE_SECONDS = 15.0  # all commands of a change with a way back: one that took effect after that had come would stay
_VERIFY_SECONDS = 30.0  # the gateway has to answer within this, or the bridge goes back
_RETRY_SECONDS = 600.0
_FRESH_SECONDS = 1.0

log = logging.getLogger("xenlocal")


class HostActuator:
    """Satisfies `engine.ports.Actuator`.

    `write(path, text)` puts a private file in place; `unique()` gives a word that no earlier scope has in its name;
    `clock` and `pause` are there for tests. `chap` hands secrets to open-iscsi.
    """

    def __init__(
        self,
        runner: Runner,
        run_dir: str,
        systemd: bool,
        identities: Identities,
        kernels: Kernels,
        *,
        chap: ChapRecords | None = None,
        write: Callable[[str, str], None] = write_private,
        unique: Callable[[], str] = lambda: os.urandom(4).hex(),
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._runner, self._run_dir, self._systemd = runner, os.path.abspath(run_dir), systemd
        self._kernels = kernels
        self._identities, self._chap = identities, chap or ChapRecords(Files(), read_secret, write_private)
        self._write, self._unique, self._clock, self._pause = write, unique, clock, pause

    def perform(self, action: Action) -> None:
        """Raises CommandFailed, ToolMissing, Temporary, or XenlocalError for an action that cannot be done safely."""
        if isinstance(action, LockIdentity):
            return self._identities.put(action.identity)
        if isinstance(action, UnlockIdentity):
            return self._identities.forget(action.identity.uuid)
        if isinstance(action, FailTrial):
            return self._kernels.trials.put(action.trial)
        if isinstance(action, EndTrial):
            return self._kernels.trials.forget(action.trial.uuid)
        context = self._context(self._unique())
        try:
            lines = mapping.commands(action, context)
            if isinstance(action, StartDomain | StageConfig):
                path, text = mapping.config_file(action, context)
                self._put(path, self._kernels.from_copy(text, action.settings, action.copy))
            if isinstance(action, BeginTrial):
                self._kernels.make(action.files, action.trial.copy)
                self._run(lines)
                self._kernels.trials.put(action.trial)
                return
            if isinstance(action, ChangeBridge) and action.way_back is not None:
                self._change_with_way_back(action, action.way_back, context)
                return
            if isinstance(action, LogIn):
                self._log_in(action)
                return
        except ValueError as error:
            raise XenlocalError(f"cannot {action.verb} {action.target}: {error}") from error
        if isinstance(action, StopDomain):
            self._ask(action, lines)
            return
        within = action.within if isinstance(action, DestroyDomain) else None
        try:
            self._run(lines, math.inf if within is None else self._clock() + within.seconds)
        except CommandFailed as error:
            if action.target.kind is Kind.VOLUME and (why := _why_locked(action.target.name, error.stderr)):
                raise XenlocalError(why) from error
            if isinstance(action, StartDomain) and _GAVE_UP.search(error.stderr):
                raise Temporary(str(error), _HOTPLUG_PAUSE) from error
            if isinstance(action, ActivateVolume) and "blockdev" in error.argv[0]:
                raise XenlocalError(
                    f"lvchange did not complain, and {error.argv[-1]} is not there: activation/volume_list in "
                    "/etc/lvm/lvm.conf may leave it out; `lvmconfig activation/volume_list` shows that"
                ) from error
            raise

    def script(self, action: Action) -> Sequence[str]:
        """Shell commands, one a string; that of a file is a here-document of several lines."""
        if isinstance(action, LockIdentity | UnlockIdentity):
            return (f"# to {action.verb} {action.target} is no command: {self._identities.path} is xenlocal's own",)
        if isinstance(action, FailTrial | EndTrial):
            return (f"# to {action.verb} {action.target} is no command: {self._kernels.trials.path} is xenlocal's own",)
        if isinstance(action, WatchDisk):
            return diskwork.watch_by_hand(action)
        context = self._context("by-hand")
        try:
            lines = [shlex.join(line) for line in mapping.commands(action, context)]
            if isinstance(action, StartDomain | StageConfig):
                path, text = mapping.config_file(action, context)
                copying, text = self._kernels.by_hand(text, action.settings, action.copy)
                lines = [*copying, *_here_document(path, text), *lines]
            if isinstance(action, LogIn) and action.chap is not None:
                lines[-2:-2] = [by_hand(mapping.update_record(action.node), action.chap)]
        except (ValueError, XenlocalError) as error:
            return (f"# cannot {action.verb} {action.target}: {error}",)
        return tuple(lines)

    def _context(self, unique: str) -> mapping.Context:
        return mapping.Context(self._run_dir, self._systemd, unique)

    def _put(self, path: str, text: str) -> None:
        try:
            self._write(path, text)
        except OSError as error:
            raise XenlocalError(f"cannot write {path}: {error.strerror}") from error

    def _log_in(self, action: LogIn) -> None:
        node = action.node
        self._run(() if action.known else mapping.make_record(node))
        if action.chap is not None:
            self._chap.put(node, action.chap)
        login, settle = mapping.log_in(node)
        try:
            self._runner.run(login, timeout=_LOGIN, ok=frozenset({0, _ALREADY_LOGGED_IN}))
        except CommandFailed as error:
            said = _INITIATOR.search(error.stderr)
            if said is None:
                raise
            hint = "; chap_user and what is in the file chap_secret have to be those of the target"
            raise XenlocalError(
                f"cannot log in to {node}: {said[1]}{hint if error.status == _NOT_AUTHORISED else ''}"
            ) from error
        try:
            self._runner.run(settle, timeout=_TIMEOUT)
        except CommandFailed as error:
            log.warning("%s: its disks may appear later: %s", action.target, error)

    def _ask(self, action: StopDomain, lines: Sequence[mapping.Argv]) -> None:
        """Where xl fails or hangs (after an upgrade of Xen it is gone until the next reboot), xenstore may still do."""
        try:
            self._run(lines)
        except XenlocalError as error:
            read, write = mapping.ask_through_xenstore(action)
            try:
                if self._runner.run(read, timeout=_XENSTORE).strip() != f"/vm/{action.uuid}":
                    raise error
                self._runner.run(write, timeout=_XENSTORE)
            except (CommandFailed, ToolMissing):
                raise error from None
            log.warning("%s: asked through xenstore, since xl does not do it: %s", action.target, error)

    def _run(self, lines: Sequence[mapping.Argv], until: float = math.inf) -> None:
        """`until`: when the last of them has to end, by `clock`; each gets a second at least."""
        for line in lines:
            words = line[line.index("--") + 1 :] if "--" in line else line
            timeout = _TIMEOUTS.get(words[1], _TIMEOUT) if words[0] == "xl" else _TIMEOUT
            self._runner.run(line, timeout=min(timeout, max(until - self._clock(), 1.0)))

    def _change_with_way_back(self, action: ChangeBridge, back: ChangeBridge, context: mapping.Context) -> None:
        """Rule 9. A gateway that does not answer before the change proves nothing after it: then nothing is done."""
        if not self._gateway_answers(action, 5.0):
            raise Temporary(
                f"cannot change {action.target} safely: it carries the default route, and the gateway "
                f"{action.gateway} does not answer a ping before the change",
                _RETRY_SECONDS,
            )
        if not restores(back, iproute.parse_links(self._runner.run(iproute.SHOW, timeout=_TIMEOUT))):
            raise Temporary(f"{action.target} has changed since it was looked at; looked at anew", _FRESH_SECONDS)
        self._run(bridging.arm(action, context.systemd))
        try:
            self._run(bridging.change(action), self._clock() + _CHANGE_SECONDS)
            if not self._gateway_answers(action, _VERIFY_SECONDS):
                raise Temporary(
                    f"the change of {action.target} was taken back: the gateway {action.gateway} did not answer "
                    f"within {_VERIFY_SECONDS:.0f} s after it",
                    _RETRY_SECONDS,
                )
        except XenlocalError:
            self._go_back(action, back)
            raise
        self._run(bridging.disarm(action))

    def _go_back(self, action: ChangeBridge, back: ChangeBridge) -> None:
        """At once. If a part of it fails, the timer stays and tries the whole again."""
        complete = True
        for line in bridging.change(back):
            try:
                self._run((line,))
            except XenlocalError as error:
                log.warning("on the way back of %s: %s", action.target, error)
                complete = False
        if complete:
            try:
                self._run(bridging.disarm(action))
            except XenlocalError as error:
                log.warning("on the way back of %s: %s", action.target, error)

    def _gateway_answers(self, action: ChangeBridge, within: float) -> bool:
        """Pings until one is answered; `within` seconds. ping itself waits, or fails at once without a route."""
        (ping,) = bridging.verify(action)
        deadline = self._clock() + within
        while True:
            try:
                self._runner.run(ping, timeout=10)
                return True
            except CommandFailed:
                if self._clock() + 1 >= deadline:
                    return False
                self._pause(1)


def _why_locked(name: str, stderr: str) -> str:
    """What lvmlockd has against a change, in LVM's words (2.03.16); "" where it is something else."""
    vg = name.partition("/")[0]
    if "LV locked by other host" in stderr:
        return f"another host has {name} active; once no guest there uses it, type there: lvchange -an {name}"
    if "lvmlockd process is not running" in stderr:
        return f"lvmlockd does not run, without which {vg} is not changed; type: systemctl start lvmlockd lvmlocks"
    if "due to failed lock" in stderr or "lockspace is inactive" in stderr:
        return f"the locks of {vg} are not started, without which it is not changed; type: vgchange --lockstart {vg}"
    return ""


def _here_document(path: str, text: str) -> tuple[str, str]:
    end = "XENLOCAL-END"
    while end in text.splitlines():
        end += "-"
    directory = shlex.quote(os.path.dirname(path))
    body = text if text.endswith("\n") or not text else f"{text}\n"
    return f"install -d -m 700 {directory}", f"(umask 077; cat >{shlex.quote(path)}) <<'{end}'\n{body}{end}"
