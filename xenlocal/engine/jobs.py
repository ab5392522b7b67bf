"""What an administrator asked for: how it begins, and when it has ended. One job may span several cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from xenlocal.engine import updating
from xenlocal.engine.inbox import Request
from xenlocal.engine.reconcile import Cycle
from xenlocal.engine.recorder import Recorder
from xenlocal.engine.tasks import Result, Tools
from xenlocal.model.actions import Action, DestroyDomain, StopDomain, UnlockIdentity
from xenlocal.model.desired import Desired, State
from xenlocal.model.errors import XenlocalError
from xenlocal.model.host_actions import PurgeVolume, RestoreVolume
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.names import domain as domain_target
from xenlocal.model.names import parse_trash_name
from xenlocal.model.observed import Unavailable
from xenlocal.model.plan import Goal
from xenlocal.planner import identities
from xenlocal.planner import memory as transitions
from xenlocal.planner.looks import new_record
from xenlocal.planner.owners import hurdle_of_owner, hurdles_of_groups
from xenlocal.planner.shutdown import ENDGAME, LAST_LOOK
from xenlocal.planner.wishes import is_up

OK, FAILED, USAGE, NOT_FOUND, INVALID, PARTLY = 0, 1, 2, 3, 4, 5
_ENDS = (StopDomain, DestroyDomain)
_HANDS = {"start": Hand.START, "stop": Hand.STOP, "restart": Hand.RESTART, "destroy": Hand.DESTROY}
_HANDS |= {"kernel": Hand.START}


def begin(request: Request, desired: Desired, tools: Tools, recorder: Recorder) -> None:
    """Put the request into the memory, so that the next cycle acts on it; or refuse it at once."""
    if request.verb in _HANDS:
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
    hand = _HANDS[request.verb]
    for name in request.names:
        uuid = desired.domains[name].uuid
        if uuid not in tools.keeper.memory.records:
            tools.keeper.update(partial(Memory.with_record, record=new_record(desired.domains[name])))
        tools.keeper.update(partial(transitions.by_hand, uuid=uuid, hand=hand))
        if hand is Hand.START and _may_still_stop(tools.keeper.memory.records[uuid], tools.work.now()):
            text = "was asked to stop; it is seen whether it does, and it is started then"
            request.progress(f"{domain_target(name)}: {text}")


def _skip(request: Request, tools: Tools) -> None:
    """Give up on guests while the host shuts down: also on those whose section has vanished from the files."""
    memory = tools.keeper.memory
    if memory.shutting_down is None:
        how = "`xenlocal destroy NAME` cuts a domU off at other times"
        request.finish(FAILED, message=f"cannot do that: the host is not shutting down; {how}")
        return
    running = {record.name: uuid for uuid, record in memory.records.items() if _is_on(record)}
    missing = [name for name in request.names if name not in running]
    if missing:
        left = ", ".join(sorted(running)) or "none"
        request.finish(NOT_FOUND, message=f"no domU of ours named {', '.join(missing)} is running; left are: {left}")
        return
    for name in request.names:
        tools.keeper.update(partial(transitions.by_hand, uuid=running[name], hand=Hand.DESTROY))


def _is_on(record: Record) -> bool:
    return record.domid is not None and record.off is None


def _may_still_stop(record: Record, now: float) -> bool:
    until = record.may_still_stop_until
    return _is_on(record) and until is not None and now < until


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


def settle(request: Request, cycle: Cycle, memory: Memory, now: float) -> None:
    """Finish the request if this cycle has brought it to an end."""
    if request.verb == "shutdown":
        _settle_shutdown(request, cycle, memory, now)
    elif request.verb == "skip":
        settle_skip(request, memory, [result for result in cycle.bad if isinstance(result.step.action, DestroyDomain)])
    elif cycle.interrupted:
        return
    elif request.verb in _HANDS:
        if not (
            _coming_back(request, cycle, memory, now)
            or _still_to_end(request, cycle)
            or _going_down(request, cycle, memory, now)
            or updating.goes_on(request, cycle)
        ):
            _settle_by_hand(request, cycle, memory)
    else:
        failures = [f"{result.step.action.target}: {result.message}" for result in cycle.bad]
        refusals = [f"{refusal.target}: {refusal.reason}" for refusal in cycle.plan.refusals]
        differs = [
            f"{step.action.target}: still to {step.action.verb}" for step in cycle.plan.steps if step.changes_host
        ]
        unknown = [f"{table} unknown: {why}" for table, why in cycle.plan.unavailable]
        said = list(dict.fromkeys([*failures, *refusals, *unknown, *differs]))
        code = OK if not said else FAILED if unknown else PARTLY
        request.finish(code, message="; ".join(said), steps=[_step(result) for result in cycle.results])


def settle_skip(request: Request, memory: Memory, failed: Sequence[Result] = ()) -> None:
    """Finish it as soon as these guests are gone: the cycle goes on until the others are, too."""
    left = [record.name for record in memory.records.values() if record.name in request.names and _is_on(record)]
    reasons = [f"{each.step.action.target}: {each.message}" for each in failed if each.step.action.target.name in left]
    if not left:
        request.finish(OK, message="")
    elif reasons:
        request.finish(FAILED if len(left) == len(request.names) else PARTLY, message="; ".join(reasons))


def has_to_end(requests: Sequence[Request], desired: Desired, tools: Tools) -> float | None:
    """When a shutdown that somebody waits for is over, done or not. One that is asked for late gets a last try."""
    begun = tools.keeper.memory.shutting_down
    asked = [each.begun for each in requests if each.verb == "shutdown"]
    if begun is None or not asked:
        return None
    return max(begun + desired.host.shutdown_deadline.seconds, max(asked) + ENDGAME)


def _settle_shutdown(request: Request, cycle: Cycle, memory: Memory, now: float) -> None:
    domains = cycle.observed.domains
    begun = memory.shutting_down if memory.shutting_down is not None else now
    over = now >= begun + cycle.desired.host.shutdown_deadline.seconds - LAST_LOOK
    unknown = bool(cycle.plan.unavailable)
    # a refusal: a domU is about to be born
    settled = not unknown and not cycle.plan.refusals and not cycle.plan.steps
    if not (settled or over):
        return
    here = () if isinstance(domains, Unavailable) else domains.values()
    left = [live.name or f"domid {live.domid}" for live in here if is_up(live)]
    said = [f"had to be destroyed: {', '.join(memory.forced)}"] if memory.forced else []
    destroyed, lost = _gone_without_us(memory, begun, Off.VANISHED), _gone_without_us(memory, begun, Off.LOST)
    said += [f"destroyed, and not known by whom: {', '.join(destroyed)}"] if destroyed else []
    said += [f"gone, and nothing tells how: {', '.join(lost)}"] if lost else []
    said += [f"still running: {', '.join(left)}"] if left else []
    said += [f"{refusal.target}: {refusal.reason}" for refusal in cycle.plan.refusals]
    said += [f"which guests are left is unknown: {domains.why}"] if isinstance(domains, Unavailable) else []
    xl = cycle.observed.xl
    said += [f"who is left is only known from xenstore, since xl does not tell: {xl.why}"] if xl is not None else []
    request.finish(PARTLY if said else OK, message="; ".join(said) or "every guest stopped cleanly")


def _gone_without_us(memory: Memory, since: float, how: Off) -> list[str]:
    """Guests that ended during the shutdown before they were asked, as far as is remembered: by an `xl destroy` of
    somebody, or of a daemon before this one that could not write down what it did."""
    records = memory.records.values()
    return [each.name for each in records if each.off is how and each.off_since is not None and each.off_since >= since]


def _coming_back(request: Request, cycle: Cycle, memory: Memory, now: float) -> bool:
    """A guest that is to be off, or restarted, reboots by itself: it is off only when its new self has been stopped,
    and that is its restart."""
    uuids = {cycle.desired.domains[name].uuid for name in request.names if name in cycle.desired.domains}
    records = [record for uuid, record in memory.records.items() if uuid in uuids]
    return request.verb in ("stop", "destroy", "restart") and any(
        record.off is Off.REBOOTING and now < (record.off_since or 0.0) + transitions.REBOOT_GRACE for record in records
    )


def _still_to_end(request: Request, cycle: Cycle) -> bool:
    """A guest came back from a reboot of its own while its former self was being stopped: the next cycle stops it."""
    tried = {result.step.action.domid for result in cycle.results if isinstance(result.step.action, _ENDS)}
    return request.verb in ("stop", "destroy") and any(
        isinstance(step.action, _ENDS) and step.action.name in request.names and step.action.domid not in tried
        for step in cycle.plan.steps
    )


def _going_down(request: Request, cycle: Cycle, memory: Memory, now: float) -> bool:
    """A guest that is to be on was asked to stop before: it is on when it has done so, or has not for long enough."""
    uuids = {cycle.desired.domains[name].uuid for name in request.names if name in cycle.desired.domains}
    return request.verb == "start" and any(
        uuid in uuids and _may_still_stop(record, now) for uuid, record in memory.records.items()
    )


def _settle_by_hand(request: Request, cycle: Cycle, memory: Memory) -> None:
    said = []
    for name in request.names:
        domain = cycle.desired.domains.get(name)
        record = memory.records.get(domain.uuid) if domain is not None else None
        if domain is None or record is None:
            said.append(f"{domain_target(name)} is not declared any more")
            continue
        reasons = [result.message for result in cycle.bad if result.step.action.target == domain_target(name)]
        reasons += [refusal.reason for refusal in cycle.plan.refusals if refusal.target == domain_target(name)]
        is_on = _is_on(record)
        if request.verb == "restart" and record.hand is Hand.RESTART and record.hand_domid == record.domid:
            said.append(f"{domain_target(name)}: " + (reasons[-1] if reasons else "is not restarted"))
        elif request.verb == "kernel" and (vain := updating.failed(domain, cycle)):
            said.append(f"{domain_target(name)}: {vain}" + (f"; {reasons[0]}" if reasons else ""))
        elif request.verb in ("start", "restart", "kernel") and not (
            is_on and record.ready and record.dying_since is None
        ):
            said.append(f"{domain_target(name)}: " + (reasons[0] if reasons else "is not ready"))
        elif request.verb in ("stop", "destroy") and is_on:
            withdrawn = record.hand in (Hand.START, Hand.RESTART)
            why = f"is still running: `xenlocal {record.hand}` came after this" if withdrawn else "is still running"
            said.append(f"{domain_target(name)}: " + (reasons[0] if reasons else why))
        elif request.verb in ("stop", "destroy") and isinstance(cycle.observed.domains, Unavailable):
            said.append(f"{domain_target(name)}: whether it runs is unknown: {cycle.observed.domains.why}")
        elif request.verb == "stop" and reasons:
            request.progress(f"{domain_target(name)}: {reasons[0]}")
    failed = len(said) == len(request.names)
    request.finish(FAILED if said and failed else PARTLY if said else OK, message="; ".join(said))


def _step(result: Result) -> dict[str, Any]:
    return {
        "id": result.step.id,
        "verb": result.step.action.verb,
        "target": str(result.step.action.target),
        "outcome": str(result.outcome),
        "message": result.message,
        "seconds": round(result.seconds, 3),
    }


def goal_of(memory: Memory, requests: list[Request]) -> Goal:
    if memory.shutting_down is not None:
        return Goal.SHUTDOWN
    return Goal.BOOT if any(request.verb == "boot" for request in requests) else Goal.CONVERGE
