"""Why a domU is on or off, in plain sentences: its present state with the proximate cause, then the chain behind it,
then what to type. What is not known is said to be unknown.

It decides nothing: it reads the plan that was made, the memory it was made with, and the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xenlocal.model.actions import AwaitReady
from xenlocal.model.clock import since
from xenlocal.model.desired import Desired, Domain, State
from xenlocal.model.history import Deed, Entry, Event, What
from xenlocal.model.memory import Memory, Off, Record
from xenlocal.model.names import Target, bridge
from xenlocal.model.names import domain as domain_target
from xenlocal.model.observed import LiveDomain, LiveState, Observed, Unavailable
from xenlocal.model.plan import Plan, Step
from xenlocal.planner.ladder import Case, end_of_time
from xenlocal.planner.wishes import is_up, wish
from xenlocal.planner.words import ENDS, told


@dataclass(frozen=True)
class View:
    """What is known now. `now`: monotonic seconds; `wall`: Unix seconds at the same moment."""

    desired: Desired
    observed: Observed
    memory: Memory
    plan: Plan
    now: float
    wall: float

    def since(self, at: float) -> str:
        """`since 03:12`, of a monotonic moment."""
        return f"since {since(at - self.now + self.wall, self.wall)}"


@dataclass(frozen=True)
class Answer:
    state: str  # running, off, foreign, unknown
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Case:
    """One domU with all that is known of it."""

    name: str
    domain: Domain | None
    record: Record | None
    live: LiveDomain | None
    past: tuple[Entry, ...]  # its own entries, oldest first


def concerned(name: str, desired: Desired) -> tuple[str, ...]:
    """Targets whose history an answer may need: the domU, all it needs, and their disks and bridges."""
    found: set[Target] = {domain_target(name)}
    for other in _with_needs(name, desired):
        domain = desired.domains[other]
        found |= {domain.target, *_things(domain)}
    return tuple(sorted(str(target) for target in found))


def _with_needs(name: str, desired: Desired) -> list[str]:
    found: list[str] = []
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each in desired.domains and each not in found:
            found.append(each)
            waiting += desired.domains[each].needs
    return found


def _things(domain: Domain) -> list[Target]:
    return [disk.backing.target for disk in domain.disks] + [bridge(nic.bridge) for nic in domain.nics]


def why(name: str, view: View, past: Sequence[Entry]) -> Answer | None:
    """None where nobody knows the name. `past`: entries of `concerned`, oldest first."""
    case = _case(name, view, past)
    if case.domain is None and case.record is None and case.live is None and not case.past:
        return None
    state = _state(case, view)
    first = _first(case, view, past)
    chain = _chain(case, view, past, {name}) if state == "off" else []
    advice = [] if chain else _advice(case, view, first)  # else the chain ends with what to do about its root
    return Answer(state, tuple(dict.fromkeys([first, *chain, *_behind(case, view, state), *advice])))


def _case(name: str, view: View, past: Sequence[Entry]) -> _Case:
    domain, by_uuid = view.desired.domains.get(name), view.observed.by_uuid()
    records = view.memory.records
    record = (
        records.get(domain.uuid) if domain else next((each for each in records.values() if each.name == name), None)
    )
    uuid = domain.uuid if domain else record.uuid if record else None
    live = (
        by_uuid.get(uuid) if uuid is not None else next((each for each in by_uuid.values() if each.name == name), None)
    )
    target = str(domain_target(name))
    return _Case(name, domain, record, live, tuple(entry for entry in past if entry.target == target))


def _state(case: _Case, view: View) -> str:
    if isinstance(view.observed.domains, Unavailable):
        return "unknown"
    if not is_up(case.live):
        return "off"
    return "foreign" if case.domain is None and case.record is None else "running"


def _first(case: _Case, view: View, past: Sequence[Entry]) -> str:
    """The present state and its proximate cause."""
    if isinstance(view.observed.domains, Unavailable):
        return f"unknown whether it runs: {view.observed.domains.why}"
    if is_up(case.live):
        return _running(case, view)
    when = _off_since(case, view)
    return f"off{f' {when}' if when else ''}: {'; '.join(_reasons_off(case, view, past))}"


def _running(case: _Case, view: View) -> str:
    live, record, domain = case.live, case.record, case.domain
    assert live is not None
    state = "paused" if live.state is LiveState.PAUSED else "running"
    if record is None:
        what = "foreign: no section has this name" if domain is None else "not seen by the daemon yet"
        return f"{state} (domid {live.domid}), {what}"
    because = f": {record.unready}" if record.unready else ""
    begun = f" {view.since(record.born)}" if record.born is not None and record.domid == live.domid else ""
    if record.asked is not None:
        end = end_of_time(Case(record.patience, record.asked, reply=record.reply))
        until = since(end - view.now + view.wall, view.wall)
        doing = f"asked to shut down {view.since(record.asked)}, destroyed at {until} unless it has ended"
    elif record.ready:
        doing = "ready"
    elif record.lost is not None:
        doing = f"but it is not ready any more {view.since(record.lost)}{because}"
    elif record.gave_up_waiting and domain is not None:
        doing = f"but it was not ready within start_timeout = {domain.start_timeout}{because}"
    else:
        doing = f"not known to be ready yet{because}"
    notes = [note for note in _notes(case, view) if not note.startswith("is running, but was not ready")]
    return f"{state}{begun} (domid {live.domid}), {doing}" + "".join(f"; {note}" for note in notes)


def _notes(case: _Case, view: View) -> list[str]:
    target = domain_target(case.name)
    found = [refusal.reason for refusal in view.plan.refusals if refusal.target == target]
    found = [_with_cause(reason, view) for reason in found]
    return found + [notice.text for notice in view.plan.notices if notice.target == target]


def _with_cause(reason: str, view: View) -> str:
    """`the host's storage could not be found out` with what the tool said."""
    for table, cause in view.plan.unavailable:
        if f"the host's {table} could not be found out" in reason:
            return f"{reason} ({cause})"
    return reason


def _off_since(case: _Case, view: View) -> str:
    if case.record is not None and case.record.off_since is not None:
        return view.since(case.record.off_since)
    ended = _last_end(case)  # the memory forgets it at each start, and at a boot
    return "" if ended is None else f"since {since(ended.stamp.wall, view.wall)}"


def _last_end(case: _Case) -> Event | None:
    """The end of its last life, unless it was born again since."""
    last = _last_turn(case)
    return last if last is not None and last.what is What.OFF else None


def _last_turn(case: _Case) -> Event | None:
    """Its last birth or end, whichever came later."""
    turns = (each for each in reversed(case.past) if isinstance(each, Event) and each.what in (What.BORN, What.OFF))
    return next(turns, None)


def _reasons_off(case: _Case, view: View, past: Sequence[Entry]) -> list[str]:
    domain, record = case.domain, case.record
    if domain is None:
        ended = _last_end(case)
        end = ENDS.get(ended.cause, ended.cause) if ended is not None else ENDS[""]
        return ["no section of the files names it, so it is not started", end]
    if view.memory.shutting_down is not None:
        reasons = ["the host is shutting down, and nothing is started until `xenlocal boot`"]
    else:
        reasons = _notes(case, view) or _about_to_start(case, view, past) or [_wish(domain, case, view)]
    return reasons + _end_not_told(record, reasons)


def _wish(domain: Domain, case: _Case, view: View) -> str:
    return wish(domain, case.record or Record(domain.uuid, domain.name), case.live, view.now).reason


def _about_to_start(case: _Case, view: View, past: Sequence[Entry]) -> list[str]:
    """Nothing is refused: it is being started, unless a step that must come first keeps failing or takes its time."""
    steps = {step.id: step for step in view.plan.steps}
    start = steps.get(f"start {domain_target(case.name)}")
    if start is None:
        return []
    failed = [_failure(steps[need], view, past) for need in start.needs]
    return [text for text in failed if text] or [f"it is about to be started: {start.reason}"]


def _failure(step: Step, view: View, past: Sequence[Entry]) -> str:
    tried = [entry for entry in past if isinstance(entry, Deed) and entry.step == step.id]
    if not tried or tried[-1].outcome == "done":
        return f"it waits until {step.action.target} is ready" if isinstance(step.action, AwaitReady) else ""
    when = since(tried[-1].stamp.wall, view.wall)
    return f"it waits for {step.action.target}: {step.action.verb} {tried[-1].outcome} at {when}: {tried[-1].message}"


def _end_not_told(record: Record | None, reasons: Sequence[str]) -> list[str]:
    """How its last life ended, where what keeps it off is something else, and it was no clean stop of ours."""
    said = {
        Off.POWEROFF: "powered itself off",
        Off.CRASH: "crashed",
        Off.VANISHED: "destroyed by somebody with xl",
        Off.LOST: "disappeared",
        Off.DESTROYED: "destroyed",
    }
    if record is None or record.off not in said:
        return []
    if record.off is Off.DESTROYED and record.given_up:
        return [f"it had not stopped {record.given_up} and was destroyed by xenlocal"]
    return [] if any(said[record.off] in reason for reason in reasons) else [f"before that: {ENDS[record.off]}"]


def _chain(case: _Case, view: View, past: Sequence[Entry], seen: set[str]) -> list[str]:
    """Every domU it needs that is not there for it, and what that one waits for in turn."""
    domain = case.domain
    if domain is None or not (_refused(case, view) or _about_to_start(case, view, past)):
        return []
    lines = []
    for name in sorted(set(domain.needs) - seen):
        seen.add(name)
        other = _case(name, view, past)
        if other.domain is not None and not (is_up(other.live) and other.record is not None and other.record.ready):
            first = _first(other, view, past)
            lines.append(f"{domain.target} needs {other.domain.target}, which is {first}")
            lines += _chain(other, view, past, seen) or _advice(other, view, first)
    return lines


def _refused(case: _Case, view: View) -> bool:
    return any(refusal.target == domain_target(case.name) for refusal in view.plan.refusals)


def _behind(case: _Case, view: View, state: str) -> list[str]:
    """What led to this: its last end, and when it is tried again."""
    lines, domain, record = [], case.domain, case.record
    last = _last_turn(case)
    if state == "off" and last is not None:
        when = since(last.stamp.wall, view.wall)
        if last.what is What.OFF:
            lines.append(f"its last life ended at {when}: {told(last).removeprefix('off: ')}")
        else:
            lines.append(f"how its life since {when} ended is unknown: nobody saw it, as when the host loses power")
    if state == "running" and domain is not None and record is not None and record.hand is None:
        lines.append(f"state = {domain.state} in {domain.source}")
    if record is not None and record.failures > 1:
        lines.append(f"{record.failures} starts in a row have failed")
    if state == "off" and domain is not None and record is not None and _refused(case, view):
        decision = wish(domain, record, case.live, view.now)
        if decision.not_before is not None and decision.not_before > view.now:
            lines.append(f"it is tried again at {since(decision.not_before - view.now + view.wall, view.wall)}")
    return lines


def _advice(case: _Case, view: View, first: str) -> list[str]:
    """What to type, where the first sentence does not say it."""
    domain, record, name = case.domain, case.record, case.name
    if isinstance(view.observed.domains, Unavailable):
        return ["nothing is started or stopped meanwhile; `xl list` on the dom0 may say more"]
    if domain is None or "`xenlocal " in first or " type: " in first:
        return []
    if is_up(case.live):
        if record is not None and record.gave_up_waiting:
            return [f"`xenlocal console {name}` shows what it does; its [[ready]] is in {domain.source.file}"]
        return []
    by_hand = record is not None and record.hand is not None  # it counts more than the files
    if not view.memory.boot_done and not by_hand:
        return ["`systemctl start xenlocal-guests` runs the boot goal"]
    if domain.state is State.ABSENT:
        return [f"to have it again write state = running in {domain.source}"]
    if domain.state is State.STOPPED and not by_hand:
        return [f"`xenlocal start {name}` starts it until the next boot; state = running in {domain.source} for good"]
    if domain.state is State.MANUAL and not by_hand:
        return [f"start it with `xenlocal start {name}`"]
    if record is not None and record.failure:
        return [f"`xenlocal start {name}` tries at once; {_log(name)}"]
    if record is not None and record.off in (Off.CRASH, Off.LOST):
        return [f"`xenlocal start {name}` starts it at once; {_log(name)}"]
    return ["it starts by itself as soon as that has changed"] if _refused(case, view) else []


def _log(name: str) -> str:
    return f"what its xl monitor said is in /var/log/xen/xl-{name}.log"
