"""What an administrator asked for: when it has ended, and what is said of it then.

`jobs` began it; the loop asks here after every cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xenlocal.engine import updating
from xenlocal.engine.inbox import FAILED, OK, PARTLY, Request
from xenlocal.engine.jobs import HANDS
from xenlocal.engine.reconcile import Cycle
from xenlocal.engine.tasks import Result, Tools
from xenlocal.model.actions import DestroyDomain, StopDomain
from xenlocal.model.desired import Desired
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.model.names import domain as domain_target
from xenlocal.model.observed import Unavailable
from xenlocal.planner import memory as transitions
from xenlocal.planner.shutdown import ENDGAME, LAST_LOOK
from xenlocal.planner.wishes import is_up

_ENDS = (StopDomain, DestroyDomain)


def settle(request: Request, cycle: Cycle, memory: Memory, now: float) -> None:
    """Finish the request if this cycle has brought it to an end."""
    if request.verb == "shutdown":
        _settle_shutdown(request, cycle, memory, now)
    elif request.verb == "skip":
        settle_skip(request, memory, [result for result in cycle.bad if isinstance(result.step.action, DestroyDomain)])
    elif cycle.interrupted:
        return
    elif request.verb in HANDS:
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
    left = [record.name for record in memory.records.values() if record.name in request.names and record.is_on]
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
        uuid in uuids and record.may_still_stop(now) for uuid, record in memory.records.items()
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
        if request.verb == "restart" and record.hand is Hand.RESTART and record.hand_domid == record.domid:
            said.append(f"{domain_target(name)}: " + (reasons[-1] if reasons else "is not restarted"))
        elif request.verb == "kernel" and (vain := updating.failed(domain, cycle)):
            said.append(f"{domain_target(name)}: {vain}" + (f"; {reasons[0]}" if reasons else ""))
        elif request.verb in ("start", "restart", "kernel") and not (
            record.is_on and record.ready and record.dying_since is None
        ):
            said.append(f"{domain_target(name)}: " + (reasons[0] if reasons else "is not ready"))
        elif request.verb in ("stop", "destroy") and record.is_on:
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
