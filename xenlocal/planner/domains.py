"""The domUs of a converge or boot goal: which to stop, to start, to change while they run; in which order.

Blocked is not failed: a domU that cannot start is refused with its reason, and only those that `needs` it
wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xenlocal.model.actions import AwaitReady, DestroyDomain, StartDomain, StopDomain
from xenlocal.model.desired import Desired, Domain, GuestType
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.names import Target, bridge
from xenlocal.model.names import domain as live_target
from xenlocal.model.observed import LiveDomain, LiveState, Observed, Table
from xenlocal.planner import xlcfg
from xenlocal.planner.draft import Draft, ends_and_shells
from xenlocal.planner.hurdles import Budget, hurdle_to_start
from xenlocal.planner.identities import Guard
from xenlocal.planner.memory import REBOOT_GRACE
from xenlocal.planner.order import critical_first, nearest, start_order, successors, with_predecessors
from xenlocal.planner.preparing import plan_preparation, tell_unprepared
from xenlocal.planner.running import plan_readiness, plan_settings, plan_way_back, tell_withdrawn
from xenlocal.planner.things import hurdle_of_after, is_there, pause
from xenlocal.planner.trials import copy_to_start, hurdle_of_trial, plan_trial
from xenlocal.planner.wishes import Want, Wish, is_up, wish

_BUILT = 5.0  # seconds: nothing tells when the monitor of a guest that reboots lets its new life run
_DYING_LONG = 60.0  # seconds; a domU of 200 GB takes some time to give its memory back


@dataclass(frozen=True)
class _Case:
    """One declared domU with all that is known of it."""

    domain: Domain
    record: Record
    live: LiveDomain | None
    wish: Wish
    guard: Guard


@dataclass(frozen=True)
class _Root:
    """Where a chain of `needs` ends: the domU that could start or be ready but for a reason of its own."""

    target: Target
    reason: str


def plan_domains(draft: Draft, desired: Desired, observed: Observed, memory: Memory, now: float) -> None:
    _tell_orphans(draft, desired, observed, memory)
    _tell_dying(draft, observed, memory, now)
    if not desired.domains:
        return
    live = draft.table(Table.DOMAINS, observed.domains)
    if live is None:
        for domain in desired.domains.values():
            draft.refuse(domain.target, "left as it is: which domUs are running could not be found out")
        return
    cases = _cases(draft, desired, observed, memory, now)
    predecessors = {name: case.domain.predecessors for name, case in cases.items()}
    order = start_order(predecessors)
    _plan_stops(draft, cases, order, observed, desired)
    budget = Budget.of(desired)
    for case in cases.values():
        back = (case.record.off_since or 0.0) + REBOOT_GRACE
        if case.live is None and case.record.off is Off.REBOOTING and now < back:
            budget.claims.take(case.domain, observed)  # it may come back, whatever is wanted of it
            draft.look_again(back)
    roots: dict[str, _Root] = {}  # of those that are refused for what they need
    critical = frozenset(name for name, case in cases.items() if case.domain.critical)
    draft.critical = with_predecessors(critical, predecessors)
    for name in critical_first(order, draft.critical):
        case = cases[name]
        hurdle_of_trial(draft, case.domain, observed)  # asks
        failing = plan_trial(draft, case.domain, case.record, case.live, observed)
        if failing is not None:
            if failing.failed and is_up(case.live) and case.guard.plan_running(draft, case.domain):
                plan_way_back(draft, case.domain, case.live, observed, budget.claims)
            continue
        if case.wish.want in (Want.ON, Want.RESTART) and (not is_up(case.live) or _ending(draft, case)):
            _plan_start(draft, case, cases, roots, observed, budget, now)
        elif is_up(case.live) and case.wish.want in (Want.LEAVE, Want.RESTART):
            draft.table(Table.PATHS, observed.paths)  # no step follows: a kernel that goes missing is to be noticed
            tell_withdrawn(draft, case.domain, case.record, now)
            tell_unprepared(draft, case.domain, observed)
            # RESTART: it was refused, so the domU runs on, and may be ready again
            plan_readiness(draft, case.domain, case.record, desired.host.resync.seconds, now)
            if memory.boot_done and case.wish.want is Want.LEAVE:
                keeps = case.guard.plan_running(draft, case.domain)
                plan_settings(draft, case.domain, case.record, case.live, observed, budget.claims, keeps)


def _tell_orphans(draft: Draft, desired: Desired, observed: Observed, memory: Memory) -> None:
    declared = {domain.uuid for domain in desired.domains.values()}
    for uuid in observed.by_uuid().keys() & memory.records.keys() - declared:
        text = "its section is gone from the files: left as it is, and shut down with the host"
        draft.notice(live_target(memory.records[uuid].name), text)


def _tell_dying(draft: Draft, observed: Observed, memory: Memory, now: float) -> None:
    live = observed.by_uuid()
    for uuid, record in memory.records.items():
        # a guest that reboots by itself may be seen anew before it is taken for what is remembered
        if uuid not in live or live[uuid].state is not LiveState.DYING or record.dying_since is None:
            continue
        if now < record.dying_since + _DYING_LONG:
            draft.look_again(record.dying_since + _DYING_LONG)
        else:
            domid = live[uuid].domid
            text = (
                f"domid {domid} has been dying for more than {_DYING_LONG:.0f} s and still holds its disks and memory;"
                f" nobody reaps it when its xl monitor was killed; type `xl destroy {domid}`"
            )
            draft.notice(live_target(record.name), text)


def _cases(draft: Draft, desired: Desired, observed: Observed, memory: Memory, now: float) -> Mapping[str, _Case]:
    by_uuid = observed.by_uuid()
    cases, guard = {}, Guard.of(draft, desired, observed)
    for name, domain in desired.domains.items():
        record = memory.records.get(domain.uuid) or Record(uuid=domain.uuid, name=name)
        live = by_uuid.get(domain.uuid)
        decision = wish(domain, record, live, now)
        if not memory.boot_done and record.hand is None:
            decision = Wish(Want.LEAVE, "domUs are left alone until the boot goal has run (xenlocal-guests.service)")
            if live is None:
                draft.notice(domain.target, decision.reason)
        elif decision.notice:
            draft.notice(domain.target, decision.reason)
        if live is not None and live.state is LiveState.PAUSED:
            draft.notice(domain.target, f"is paused; `xl unpause {live.domid}` lets it run")
            if record.domid not in (None, live.domid):  # its former life stands for it until then
                draft.look_again(now + _BUILT)
        cases[name] = _Case(domain, record, live, decision, guard)
    return cases


def _is_over(when: float | None, now: float) -> bool:
    return when is None or when <= now


def _ending(draft: Draft, case: _Case) -> bool:
    return bool(draft.ends_of(case.domain.target))


def _plan_stops(
    draft: Draft,
    cases: Mapping[str, _Case],
    order: tuple[str, ...],
    observed: Observed,
    desired: Desired,
) -> None:
    """In reverse order: a domU is asked when everything that follows it and is to end too has ended."""
    predecessors = {name: case.domain.predecessors for name, case in cases.items()}
    here = {name for name, case in cases.items() if is_up(case.live)}
    followers = successors({name: nearest(before, here, predecessors) for name, before in predecessors.items()})
    for name in reversed(order):
        case = cases[name]
        live, domain, want = case.live, case.domain, case.wish.want
        if live is None or live.state is LiveState.DYING:
            continue
        later = tuple(step for follower in followers[name] for step in draft.steps_of(cases[follower].domain.target))
        if live.is_down and want is not Want.LEAVE:
            draft.step(
                DestroyDomain(name, domain.uuid, live.domid, verb="reap"),
                f"has ended; only its shell is left: {case.wish.reason}",
            )
        elif want is Want.DESTROY:
            draft.step(DestroyDomain(name, domain.uuid, live.domid, verb="destroy"), case.wish.reason)
        elif want is Want.OFF or (want is Want.RESTART and _can_come_back(draft, case, cases, observed, desired)):
            draft.step(
                StopDomain(
                    name,
                    domain.uuid,
                    live.domid,
                    domain.stop_timeout,
                    case.record.asked_as(live.domid),
                    hung=domain.hung_timeout,
                    most=domain.stop_max,
                    hvm=domain.type is GuestType.HVM,
                ),
                case.wish.reason,
                *ends_and_shells(later),
            )


def _can_come_back(draft: Draft, case: _Case, cases: Mapping[str, _Case], observed: Observed, desired: Desired) -> bool:
    """A restart stops only what can start again afterwards; one that has begun goes on."""
    if case.record.asked is not None:
        return True
    hurdle = hurdle_to_start(draft, case.domain, case.record, case.live, observed, Budget.of(desired), case.guard)
    if hurdle is None:
        away = [other for name in case.domain.needs if (other := cases.get(name)) is not None and _stays_away(other)]
        hurdle = _needs(draft, away[0], {}) if away else None
    if hurdle is not None:
        by_hand = case.record.hand is Hand.RESTART
        withdraw = f"; `xenlocal start {case.domain.name}` withdraws the restart" if by_hand else ""
        draft.refuse(case.domain.target, f"not restarted, and goes on running: {hurdle}{withdraw}")
    return hurdle is None


def _stays_away(case: _Case) -> bool:
    """Whether who needs it would wait for it in vain."""
    stays = is_up(case.live) and case.wish.want is Want.LEAVE
    late = case.record.gave_up_waiting and not case.record.ready
    return case.wish.want not in (Want.ON, Want.RESTART) and (late or not stays)


def _plan_start(
    draft: Draft,
    case: _Case,
    cases: Mapping[str, _Case],
    roots: dict[str, _Root],
    observed: Observed,
    budget: Budget,
    now: float,
) -> None:
    domain, record = case.domain, case.record
    if not _is_over(case.wish.not_before, now):
        failed = record.failure and f"the last start failed: {record.failure}; it is tried again after a pause"
        # no figure that changes with every look: a refusal is said once per change
        why = failed or case.wish.meanwhile or f"{case.wish.reason}; it is started after a pause"
        draft.refuse(domain.target, why, case.wish.not_before)
        return
    hurdle = hurdle_to_start(draft, domain, record, case.live, observed, budget, case.guard)
    needs, after, missing = _prerequisites(draft, case, cases, observed)
    waits, without = hurdle_of_after(draft, domain, record, observed, now) if case.live is None else (None, "")
    if hurdle is None and missing is not None:
        hurdle = _needs(draft, missing, roots)
        roots[domain.name] = roots.get(missing.domain.name) or _Root(missing.domain.target, _why_not(draft, missing))
    hurdle = hurdle or waits
    if hurdle is not None:
        draft.refuse(domain.target, hurdle, now + pause(domain, observed))
        return
    budget.claims.take(domain, observed)
    case.guard.plan_lock(draft, domain)
    plan_preparation(draft, domain, record, observed)
    start = draft.step(
        StartDomain(
            domain.name, domain.uuid, xlcfg.render(domain), xlcfg.settings(domain), copy_to_start(domain, observed)
        ),
        case.wish.reason + without,
        needs=(*needs, *draft.steps_of(domain.target)),
        after=after,
    )
    draft.step(
        AwaitReady(domain.name, domain.uuid, domain.probe, domain.start_timeout),
        "so that others know",
        needs=(start,),
    )


def _prerequisites(
    draft: Draft, case: _Case, cases: Mapping[str, _Case], observed: Observed
) -> tuple[tuple[str, ...], tuple[str, ...], _Case | None]:
    """Steps that must succeed first, steps that must end first, and what is needed and cannot be had."""
    domain = case.domain
    things = (*(disk.backing.target for disk in domain.disks), *_bridge_targets(domain))
    steps = [step for thing in things for step in draft.steps_of(thing)]
    # without these it cannot start; a growth or another change that fails is no reason to keep it off
    needs = [step for step in steps if step.startswith(("create ", "activate "))]
    needs += [step for thing in domain.needs_things if not is_there(thing, observed) for step in draft.steps_of(thing)]
    steps += [step for thing in (*domain.needs_things, *domain.after_things) for step in draft.steps_of(thing)]
    after = [step for step in steps if step not in needs]
    for name in domain.predecessors:
        other = cases.get(name)
        if other is None:
            continue
        awaited = tuple(step for step in draft.steps_of(other.domain.target) if step.startswith("await "))
        stays = is_up(other.live) and other.wish.want is Want.LEAVE
        if name not in domain.needs:
            after += () if stays and other.record.gave_up_waiting else awaited
        elif stays and other.record.gave_up_waiting and not other.record.ready:
            return (), (), other
        elif awaited:
            needs += awaited
        elif not (stays and other.record.ready):
            return (), (), other
    return tuple(needs), tuple(after), None


def _bridge_targets(domain: Domain) -> list[Target]:
    return [bridge(nic.bridge) for nic in domain.nics]


def _needs(draft: Draft, missing: _Case, roots: Mapping[str, _Root]) -> str:
    """The next one of the chain and where it ends: what is between is said at the others."""
    root, refused = roots.get(missing.domain.name), draft.refusal(missing.domain.target) is not None
    if root is not None:
        return f"needs {missing.domain.target}, which waits for {root.target}: {root.reason}"
    return f"needs {missing.domain.target}, which {'cannot start: ' if refused else ''}{_why_not(draft, missing)}"


def _why_not(draft: Draft, case: _Case) -> str:
    refusal = draft.refusal(case.domain.target)
    if refusal is not None:
        return refusal
    if not is_up(case.live):
        return f"is off: {case.wish.reason}"
    if case.wish.want is not Want.LEAVE:
        return f"is to be off: {case.wish.reason}"
    why = f": {case.record.unready}" if case.record.unready else ""
    if case.record.lost is not None:
        return f"was ready, and is not any more{why}"
    return f"is not ready after {case.domain.start_timeout}{why}"
