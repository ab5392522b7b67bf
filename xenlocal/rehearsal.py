"""What a reboot of this host, a start or a stop would do: the very planner and executor, on a simulated host that is
seeded with what was seen and learned. Nothing here touches the real host, /run or /var.

With `app` and `hosts` part of the composition: it joins the engine to the adapters and the simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.console import Consoles
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.iscsi import ChapRecords
from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.trials import Trials
from xenlocal.engine.inbox import Inbox, Request
from xenlocal.engine.keeper import Keeper
from xenlocal.engine.lookout import Lookout
from xenlocal.engine.loop import Loop
from xenlocal.engine.observe import causes, look_at_all
from xenlocal.engine.ports import Reader
from xenlocal.engine.tasks import Tools
from xenlocal.model.desired import Desired
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import HOST, Entry, Event, Stamp, What
from xenlocal.model.memory import Memory, Off
from xenlocal.model.observed import Unavailable
from xenlocal.planner.blame import blame
from xenlocal.planner.learned import Learned
from xenlocal.planner.looks import learn
from xenlocal.planner.rehearsal import (
    Phase,
    Rehearsal,
    Scene,
    fate_by_hand,
    fates_of_reboot,
    findings,
    timeline,
)
from xenlocal.planner.things import is_there
from xenlocal.simulator.files import SimFiles
from xenlocal.simulator.habits import SeededProber
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.runner import SimRunner
from xenlocal.simulator.seed import STATE_DIR, give_way, reboot, seed
from xenlocal.simulator.work import Idle
from xenlocal.stand_ins import Bounded, InForce, Nobody, Notebook, Papers, Taught, no_script, quiet

_STOPPABLE = "control/feature-poweroff"
_BOOT = "rehearsal"  # the kernel's id of a boot that never was
SCHEMA = 1


def look_around(
    desired: Desired, memory: Memory, reader: Reader, learned: Mapping[str, Learned], clock: tuple[float, float]
) -> Scene:
    """All that a rehearsal needs to know, one table after the other in the calling thread. `clock`: monotonic and Unix
    seconds. Changes nothing. Raises XenlocalError where which guests can be asked to stop cannot be known."""
    observed = look_at_all(reader, desired)
    now, wall = clock
    found: Mapping[str, Off | None] = causes(reader, memory, observed, now)
    memory = learn(memory, desired, observed, found, now)
    able: dict[int, bool] = {}
    if not isinstance(observed.domains, Unavailable) and observed.domains:
        booting = {record.domid for record in memory.records.values() if not (record.ready or record.gave_up_waiting)}
        nodes = [
            (domid, _STOPPABLE) for domid, live in observed.domains.items() if domid not in booting and not live.is_down
        ]
        values = reader.nodes(nodes) if nodes else {}
        able = {domid: value == "1" for (domid, _), value in values.items()}
    return Scene(desired, observed, memory, learned, now, wall, able)


def rehearse(scene: Scene, what: str = "reboot", name: str = "") -> Rehearsal:
    """`what`: reboot, or start or stop of the declared domU `name`. Raises XenlocalError where that cannot be told."""
    if scene.memory.shutting_down is not None:
        raise XenlocalError("cannot rehearse: the host is shutting down")
    if what != "reboot" and name not in scene.desired.domains:
        raise XenlocalError(f"cannot rehearse: no domU named {name} is declared; `xenlocal status` lists them")
    dom0 = SimulatedDom0(seed(scene))
    with quiet():
        try:
            return _reboot(scene, dom0) if what == "reboot" else _by_hand(scene, dom0, what, name)
        except Idle as error:
            raise XenlocalError(f"cannot rehearse: {error}; please report this") from error


def _reboot(scene: Scene, dom0: SimulatedDom0) -> Rehearsal:
    down = _Process(dom0, scene, scene.memory)
    stopped = down.serve("shutdown")
    reboot(dom0.state, scene.observed)
    up = _Process(dom0, scene, Memory())
    started = up.serve("boot", patience=_late_things(scene))
    cycle = up.loop.snapshot
    assert cycle is not None  # a request has ended, so there was one
    live = {each.name for each in scene.observed.by_uuid().values() if each.name}
    phases = (stopped, started)
    return Rehearsal(
        "reboot",
        phases,
        fates_of_reboot(scene, cycle.observed, up.keeper.memory, cycle.plan),
        findings(scene, frozenset({*scene.desired.domains, *live}), phases),
    )


def _late_things(scene: Scene) -> float:
    """Seconds until a domU starts without what it comes `after` and is not there: until then it is not known whether it
    comes back."""
    return max(
        (
            domain.start_timeout.seconds + 60.0
            for domain in scene.desired.domains.values()
            if not all(is_there(thing, scene.observed) for thing in domain.after_things)
        ),
        default=0.0,
    )


def _by_hand(scene: Scene, dom0: SimulatedDom0, what: str, name: str) -> Rehearsal:
    give_way(dom0.state, scene.observed)
    process = _Process(dom0, scene, scene.memory)
    phase = process.serve(what, name)
    cycle = process.loop.snapshot
    observed = cycle.observed if cycle is not None else scene.observed
    said = process.answer
    fate = fate_by_hand(what, name, scene, (observed, process.keeper.memory), said)
    return Rehearsal(what, (phase,), (fate,), findings(scene, frozenset({name}), (phase,)))


class _Process:
    """One life of the daemon on the simulated host, which keeps everything it remembers to itself."""

    def __init__(self, dom0: SimulatedDom0, scene: Scene, memory: Memory) -> None:
        self._dom0, self._work = dom0, Bounded(dom0)
        runner, files = SimRunner(dom0, self._work), SimFiles(dom0)
        identities = Identities(STATE_DIR, read=files.read_text, write=files.write)
        trials = Trials(STATE_DIR, read=files.read_text, write=files.write)
        kernels = Kernels(STATE_DIR, "/run/xenlocal", files, files, files.copy, trials)
        reader, work = HostReader(runner, files, identities, kernels), self._work
        chap = ChapRecords(files, files.secret, files.write)
        actuator = HostActuator(
            runner,
            "/run/xenlocal",
            True,
            identities,
            kernels,
            chap=chap,
            write=files.write,
            clock=work.now,
            pause=work.sleep,
        )
        self._notebook = Notebook()
        recorder = Taught(self._notebook, work, no_script, _BOOT)
        recorder.lessons = scene.learned
        self.keeper = Keeper(Papers(memory), recorder.remembered)
        prober, consoles = SeededProber(dom0, scene), Consoles(files, "/console", write=files.write)
        tools = Tools(reader, actuator, prober, consoles, work, self.keeper, Lookout(reader, work))
        self._inbox = Inbox(work.wake, work.now)
        self.loop = Loop(InForce(scene.desired), tools, self._inbox, Nobody(), recorder)
        self.loop.learned = scene.learned  # as the daemon has since its own start
        self.answer = ""

    def serve(self, verb: str, *names: str, patience: float = 0.0) -> Phase:
        """One request, and `patience` seconds more of a daemon's life."""
        began, request = self._work.now(), Request(verb, names)
        unwatch = self._dom0.watch(self._inbox.host_event)
        try:
            self.loop.serve(request)
            if patience:
                self._work.submit(lambda: self._end_after(patience))
                self.loop.run()
        finally:
            unwatch()
            self._work.close()
        self.answer = str(request.result.get("message", ""))
        return self._phase(verb, began)

    def _end_after(self, seconds: float) -> None:
        self._work.sleep(seconds)
        self._inbox.stop()

    def _phase(self, verb: str, began: float) -> Phase:
        """As `blame` tells it of a boot or shutdown that has been; which of both a start or stop is like."""
        entries = [each for each in self._notebook.entries if not _is_of_host(each)]
        like = {"start": "boot", "stop": "shutdown"}.get(verb, verb)
        found = blame(entries, Event(Stamp(self._work.wall(), began, _BOOT), HOST, What.BEGUN, like))
        moments = timeline(entries, began)
        seconds = max((moment.end for moment in moments), default=0.0)
        return Phase(verb, seconds, moments, found.path, found.forced)


def _is_of_host(entry: Entry) -> bool:
    return isinstance(entry, Event) and entry.target == HOST


def data(rehearsal: Rehearsal) -> dict[str, Any]:
    """As JSON, schema 1; times in seconds since the phase began."""
    return {
        "schema": SCHEMA,
        "ok": rehearsal.well,
        "what": rehearsal.what,
        "phases": [_phase_data(phase) for phase in rehearsal.phases],
        "domains": [asdict(fate) for fate in rehearsal.fates],
        "findings": [{"target": str(each.target), "kind": each.kind, "text": each.text} for each in rehearsal.findings],
    }


def _phase_data(phase: Phase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "seconds": round(phase.seconds, 3),
        "timeline": [asdict(moment) for moment in phase.moments],
        "path": [asdict(link) for link in phase.path],
        "forced": list(phase.forced),
    }
