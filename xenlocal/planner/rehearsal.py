"""What a rehearsal is made from, and what it tells: the timeline, who comes back, what a running guest hides today.

Pure; `xenlocal.rehearsal` runs it, on the simulator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xenlocal.model.actions import WatchDisk
from xenlocal.model.clock import length
from xenlocal.model.desired import Desired, Domain, State
from xenlocal.model.history import Deed, Entry, What
from xenlocal.model.memory import Memory
from xenlocal.model.names import THIS_HOST, Target
from xenlocal.model.names import domain as domain_target
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.plan import Plan
from xenlocal.planner import xlcfg
from xenlocal.planner.blame import Link
from xenlocal.planner.learned import USUAL_READY, USUAL_START, USUAL_STOP, Learned
from xenlocal.planner.room import AUTOBALLOON, grub_line, too_small
from xenlocal.planner.wishes import is_up

_NOTHING = Learned()


@dataclass(frozen=True)
class Scene:
    """The host as it is, and all that is known of it. `able`: by domid, whether the guest shows that it can be asked to
    stop; one that is not in it is taken to be able. `now` (monotonic) and `wall` (Unix): seconds."""

    desired: Desired
    observed: Observed
    memory: Memory
    learned: Mapping[str, Learned]
    now: float
    wall: float
    able: Mapping[int, bool]


@dataclass(frozen=True)
class Moment:
    """A part of the timeline. Seconds since its phase began."""

    begin: float
    end: float
    target: str
    what: str
    result: str


@dataclass(frozen=True)
class Phase:
    """`name`: shutdown, boot, start or stop. `path`: what its end waited for."""

    name: str
    seconds: float
    moments: tuple[Moment, ...]
    path: tuple[Link, ...]
    forced: tuple[str, ...]


@dataclass(frozen=True)
class Fate:
    """What becomes of a domU. `meant`: the files, or who asked, want it so: else that it is not well is no fault.
    `reason`: why not, or what else is to be said of it."""

    name: str
    well: bool
    meant: bool
    reason: str


@dataclass(frozen=True)
class Finding:
    """`kind`: memory, autoballoon, monitor, stop-feature, hung, pending or durations."""

    target: Target
    kind: str
    text: str


@dataclass(frozen=True)
class Rehearsal:
    """`what`: reboot, start or stop."""

    what: str
    phases: tuple[Phase, ...]
    fates: tuple[Fate, ...]
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        return all(fate.well for fate in self.fates if fate.meant)


def timeline(entries: Sequence[Entry], began: float) -> tuple[Moment, ...]:
    """What took time, in the order of its beginning. `began`: monotonic seconds."""
    moments = []
    for entry in entries:
        if isinstance(entry, Deed):
            result = entry.outcome + (f": {entry.message}" if entry.message and entry.outcome != "done" else "")
            moments.append(Moment(entry.stamp.at - began, entry.end - began, entry.target, entry.verb, result))
        elif entry.what in (What.READY, What.LATE) and entry.seconds is not None:
            end = entry.stamp.at - began
            result = "ready" if entry.what is What.READY else "not ready in time"
            moments.append(Moment(max(end - entry.seconds, 0.0), end, entry.target, "await", result))
    return tuple(sorted(moments, key=lambda each: (each.begin, each.end, each.target)))


def fates_of_reboot(scene: Scene, observed: Observed, memory: Memory, plan: Plan) -> tuple[Fate, ...]:
    """`observed`, `memory`, `plan`: at the end of the rehearsed boot."""
    fates = []
    for name, domain in scene.desired.domains.items():
        if domain.state is not State.ABSENT:
            fates.append(_fate(name, domain, observed, memory, plan))
    declared = {domain.uuid for domain in scene.desired.domains.values()}
    for uuid, live in scene.observed.by_uuid().items():
        if uuid not in declared and live.name and is_up(live):
            fates.append(Fate(live.name, False, False, "no section declares it: nothing starts it again"))
    return tuple(sorted(fates, key=lambda fate: fate.name))


def _fate(name: str, domain: Domain, observed: Observed, memory: Memory, plan: Plan) -> Fate:
    live, record = observed.by_uuid().get(domain.uuid), memory.records.get(domain.uuid)
    if is_up(live):
        late = "" if record is not None and record.ready else f"comes up, but is not ready after {domain.start_timeout}"
        return Fate(name, True, domain.state is State.RUNNING, late)
    if domain.state is not State.RUNNING:
        return Fate(name, False, False, f"state = {domain.state} in {domain.source}")
    return Fate(name, False, True, _why_off(domain, memory, plan))


def _why_off(domain: Domain, memory: Memory, plan: Plan) -> str:
    record = memory.records.get(domain.uuid)
    told = [refusal.reason for refusal in plan.refusals if refusal.target == domain.target]
    told += [record.failure] if record is not None and record.failure else []
    told += [notice.text for notice in plan.notices if notice.target == domain.target]
    return told[0] if told else "is off, and nothing tells why"


def fate_by_hand(verb: str, name: str, scene: Scene, end: tuple[Observed, Memory], said: str) -> Fate:
    """Of `start` or `stop`. `end`: how it looks afterwards; `said`: what xenlocal answers where it did not go well."""
    observed, memory = end
    domain = scene.desired.domains[name]
    live, record = observed.by_uuid().get(domain.uuid), memory.records.get(domain.uuid)
    if verb == "start":
        return Fate(name, is_up(live) and record is not None and record.ready, True, said)
    return Fate(name, not is_up(live), True, said)


def findings(scene: Scene, names: frozenset[str], phases: Sequence[Phase]) -> tuple[Finding, ...]:
    """What the planner has no reason to refuse, and a reboot of the host, or of the guest, brings to light. `names`: of
    the domUs that are concerned. `phases`: of the rehearsal."""
    found = [*_memory(scene), *_guessed(phases)]
    for live in scene.observed.by_uuid().values():
        if live.name in names and is_up(live):
            found += _of_live(scene, live.name, live.domid, live.uuid)
    for name in names:
        found += _thin(scene, name)
    return tuple(sorted(found, key=lambda each: (each.target, each.kind)))


def _memory(scene: Scene) -> Iterator[Finding]:
    hardware, text = scene.observed.hardware, too_small(scene.desired, scene.observed)
    if text:
        yield Finding(THIS_HOST, "memory", text)
    if not isinstance(hardware, Unavailable) and hardware.autoballoon and scene.desired.domains:
        yield Finding(THIS_HOST, "autoballoon", f"{AUTOBALLOON}. Give the dom0 its own: {grub_line()}")


def _guessed(phases: Sequence[Phase]) -> Iterator[Finding]:
    """An installation is there once, so nothing is ever learned of it."""
    for moment in (each for phase in phases for each in phase.moments if each.what == WatchDisk.verb):
        text = f"how long the work on its disk takes is not known: {length(moment.end - moment.begin)} is taken for it"
        yield Finding(Target.parse(moment.target), "durations", text)


def _of_live(scene: Scene, name: str, domid: int, uuid: str) -> Iterator[Finding]:
    target, record = domain_target(name), scene.memory.records.get(uuid)
    domain = next((each for each in scene.desired.domains.values() if each.uuid == uuid), None)
    monitors = scene.observed.monitors
    if record is not None and record.running and not isinstance(monitors, Unavailable) and name not in monitors:
        text = (
            "its xl monitor is gone: when the guest reboots or ends, nothing starts it anew or clears it away;"
            f" `xenlocal restart {name}` gives it a new one"
        )
        yield Finding(target, "monitor", text)
    if not scene.able.get(domid, True):
        after = f" after stop_timeout = {domain.stop_timeout}" if domain is not None else ""
        text = (
            "does not show that it can be asked to stop (control/feature-poweroff), as a guest without PV drivers, or"
            f" one that hangs: it would have to be destroyed{after}; `xenlocal console {name}` shows how it is"
        )
        yield Finding(target, "stop-feature", text)
    elif scene.learned.get(name, _NOTHING).hung:
        text = (
            "did not stop in its time when it was last asked to, and is taken to do so again: look at its shutdown in"
            f" `xenlocal log {name}`, or give it more stop_timeout"
        )
        yield Finding(target, "hung", text)
    pending = xlcfg.pending(domain, record.running) if domain and record is not None and record.running else ()
    if pending:
        yield Finding(target, "pending", f"comes back with other settings than it runs with: {', '.join(pending)}")


def _thin(scene: Scene, name: str) -> Iterator[Finding]:
    known, domain = scene.learned.get(name, _NOTHING), scene.desired.domains.get(name)
    live = next((each for each in scene.observed.by_uuid().values() if each.name == name), None)
    missing = []
    if domain is not None and domain.state is State.RUNNING:
        missing += [f"its start ({USUAL_START:g} s)"] if known.start is None else []
        missing += [f"its way to ready ({USUAL_READY:g} s)"] if known.ready is None else []
    if is_up(live) and known.stop is None and not known.hung:
        missing.append(f"its stop ({USUAL_STOP:g} s)")
    if missing:
        text = f"nothing was learned yet of {', '.join(missing)}: what is usual is taken for it"
        yield Finding(domain_target(name), "durations", text)
