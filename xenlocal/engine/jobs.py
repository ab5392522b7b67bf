"""What an administrator asked for: how it begins. One job may span several cycles; `settling` knows its end."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from xenlocal.engine import updating
from xenlocal.engine.inbox import FAILED, NOT_FOUND, OK, USAGE, Request
from xenlocal.engine.recorder import Recorder
from xenlocal.engine.tasks import Tools
from xenlocal.model.actions import Action, UnlockIdentity
from xenlocal.model.desired import Desired, State
from xenlocal.model.errors import XenlocalError
from xenlocal.model.host_actions import PurgeVolume, RestoreVolume
from xenlocal.model.memory import Hand, Memory
from xenlocal.model.names import domain as domain_target
from xenlocal.model.names import parse_trash_name
from xenlocal.model.plan import Goal
from xenlocal.planner import identities
from xenlocal.planner import memory as transitions
from xenlocal.planner.looks import new_record
from xenlocal.planner.owners import hurdle_of_owner, hurdles_of_groups

HANDS = {"start": Hand.START, "stop": Hand.STOP, "restart": Hand.RESTART, "destroy": Hand.DESTROY}
HANDS |= {"kernel": Hand.START}


def begin(request: Request, desired: Desired, tools: Tools, recorder: Recorder) -> None:
    """Put the request into the memory, so that the next cycle acts on it; or refuse it at once."""
    if request.verb in HANDS:
        _by_hand(request, desired, tools, recorder)
    elif request.verb == "skip":
        _skip(request, tools)
    elif request.verb == "boot":
        tools.keeper.update(_booting)
    elif request.verb == "shutdown":
        tools.keeper.update(lambda memory: transitions.shutting_down(memory, request.begun))
    elif request.verb == "unlock":
        _unlock(request, desired, tools, recorder)
    elif request.verb in ("trash restore", "trash purge"):
        _trash(request, tools, recorder)
    elif request.verb == "apply":
        if tools.keeper.memory.shutting_down is not None:
            request.finish(FAILED, message="cannot do that: the host is shutting down; `xenlocal boot` ends that")
            return
        # an administrator's word: from now on domUs are not left alone any more
        tools.keeper.update(lambda memory: replace(memory, boot_done=True))
    else:
        request.finish(USAGE, message=f"unknown request '{request.verb}'")


def _booting(memory: Memory) -> Memory:
    """A first boot goal forgets what was decided before; a repeated one only ends a shutdown given up."""
    fresh = memory if memory.boot_done and memory.shutting_down is None else transitions.forget(memory)
    return replace(fresh, boot_done=True, shutting_down=None)


def _by_hand(request: Request, desired: Desired, tools: Tools, recorder: Recorder) -> None:
    missing = [name for name in request.names if name not in desired.domains]
    if missing:
        known = ", ".join(desired.domains) or "none"
        request.finish(NOT_FOUND, message=f"no domU named {', '.join(missing)} is declared; declared are: {known}")
        return
    if tools.keeper.memory.shutting_down is not None:
        request.finish(FAILED, message="cannot do that: the host is shutting down")
        return
    absent = [name for name in request.names if desired.domains[name].state is State.ABSENT]
    if absent and request.verb in ("start", "restart", "kernel"):
        request.finish(FAILED, message=f"cannot start {', '.join(absent)}: state = absent; change the file first")
        return
    if request.verb == "kernel":
        why = updating.begin(request, desired, tools, lambda action: _perform(action, tools, recorder))
        if why:
            request.finish(FAILED, message=why)
            return
    hand = HANDS[request.verb]
    for name in request.names:
        uuid = desired.domains[name].uuid
        if uuid not in tools.keeper.memory.records:
            tools.keeper.update(partial(Memory.with_record, record=new_record(desired.domains[name])))
        tools.keeper.update(partial(transitions.by_hand, uuid=uuid, hand=hand))
        if hand is Hand.START and tools.keeper.memory.records[uuid].may_still_stop(tools.work.now()):
            text = "was asked to stop; it is seen whether it does, and it is started then"
            request.progress(f"{domain_target(name)}: {text}")


def _skip(request: Request, tools: Tools) -> None:
    """Give up on guests while the host shuts down: also on those whose section has vanished from the files."""
    memory = tools.keeper.memory
    if memory.shutting_down is None:
        how = "`xenlocal destroy NAME` cuts a domU off at other times"
        request.finish(FAILED, message=f"cannot do that: the host is not shutting down; {how}")
        return
    running = {record.name: uuid for uuid, record in memory.records.items() if record.is_on}
    missing = [name for name in request.names if name not in running]
    if missing:
        left = ", ".join(sorted(running)) or "none"
        request.finish(NOT_FOUND, message=f"no domU of ours named {', '.join(missing)} is running; left are: {left}")
        return
    for name in request.names:
        tools.keeper.update(partial(transitions.by_hand, uuid=running[name], hand=Hand.DESTROY))


def _trash(request: Request, tools: Tools, recorder: Recorder) -> None:
    """Names are VG/TRASHNAME. All are checked before the first is touched; what follows is the next cycle's."""
    restore = request.verb == "trash restore"
    try:
        storage = tools.reader.storage()
        actions = []
        for name in dict.fromkeys(request.names):
            vg, _, lv = name.partition("/")
            trash, volume = parse_trash_name(lv), storage.volumes.get((vg, lv))
            if trash is None or volume is None or not volume.ours:
                why = "is not in the trash" if trash is None or volume is None else "does not carry the tag xenlocal"
                request.finish(NOT_FOUND, message=f"{name} {why}; `xenlocal trash list` shows what can be had")
                return
            hurdle = hurdle_of_owner(volume, storage) or hurdles_of_groups(storage).get(vg)
            if hurdle is not None:
                request.finish(FAILED, message=f"cannot {'restore' if restore else 'purge'} {name}: {hurdle}")
                return
            if restore and (vg, trash[1]) in storage.volumes:
                request.finish(FAILED, message=f"cannot restore {name}: volume/{vg}/{trash[1]} exists")
                return
            actions.append(RestoreVolume(vg, trash[1], lv) if restore else PurgeVolume(vg, lv))
        for action in actions:
            request.progress(f"{action.verb} {action.target}")
            _perform(action, tools, recorder)
    except XenlocalError as error:
        request.finish(FAILED, message=str(error))
        return
    request.finish(OK, message="")


def _unlock(request: Request, desired: Desired, tools: Tools, recorder: Recorder) -> None:
    """All names are checked before the first is forgotten; what follows is the next cycle's."""
    try:
        locked = tools.reader.identities()
        found = {name: identities.named(name, desired, locked) for name in request.names}
        missing = [name for name, locks in found.items() if not locks]
        if missing:
            known = ", ".join(sorted(lock.name for lock in locked.values())) or "none"
            message = f"no identity of {', '.join(missing)} is locked; locked are: {known}"
            request.finish(NOT_FOUND, message=message)
            return
        for lock in dict.fromkeys(lock for locks in found.values() for lock in locks):
            request.progress(f"unlock {lock.target}: UUID {lock.uuid}" + "".join(f", MAC {mac}" for mac in lock.macs))
            _perform(UnlockIdentity(lock), tools, recorder)
    except XenlocalError as error:
        request.finish(FAILED, message=str(error))
        return
    request.finish(OK, message="")


def _perform(action: Action, tools: Tools, recorder: Recorder) -> None:
    began, failure = tools.work.now(), ""
    try:
        tools.actuator.perform(action)
    except XenlocalError as error:
        failure = str(error)
        raise
    finally:
        recorder.done_by_hand(action, tools.work.now() - began, failure)


def goal_of(memory: Memory, requests: list[Request]) -> Goal:
    if memory.shutting_down is not None:
        return Goal.SHUTDOWN
    return Goal.BOOT if any(request.verb == "boot" for request in requests) else Goal.CONVERGE
