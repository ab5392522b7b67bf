"""How the memory of logins to iSCSI targets changes: pure transitions."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from xenlocal.model.desired import Desired
from xenlocal.model.host_actions import LogIn
from xenlocal.model.memory import Login, Memory
from xenlocal.model.observed import Observed, Unavailable

_RETRIES = (5.0, 10.0, 20.0, 40.0, 60.0)  # seconds after the first failure in a row, the second, ...


def logged_in(memory: Memory, action: LogIn) -> Memory:
    return _with(memory, action, Login(action.name, done=True))


def login_failed(memory: Memory, action: LogIn, why: str, now: float) -> Memory:
    """An attempt at a portal that is silent takes a quarter of a minute: not too often."""
    before = memory.logins.get(str(action.node), Login(action.name))
    failures = before.failures + 1
    pause = _RETRIES[min(failures, len(_RETRIES)) - 1]
    failed = replace(before, name=action.name, failures=failures, failure=why, retry_at=now + pause)
    return _with(memory, action, failed)


def forgotten(memory: Memory, desired: Desired, observed: Observed) -> Memory:
    """Of a target that no file names there is something left to say only while a session of ours to it is there."""
    declared, facts = {str(each.node) for each in desired.iscsi.values()}, observed.iscsi
    here = None if isinstance(facts, Unavailable) else {str(node) for node in facts.sessions}
    kept = {
        key: login
        for key, login in memory.logins.items()
        if key in declared or (login.done and (here is None or key in here))
    }
    return replace(memory, logins=MappingProxyType(kept))


def _with(memory: Memory, action: LogIn, login: Login) -> Memory:
    return replace(memory, logins=MappingProxyType({**memory.logins, str(action.node): login}))
