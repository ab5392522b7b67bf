"""How the guests of a rehearsal behave: as was learned of them. `seed` makes the simulated dom0 that they live on.

What was learned is what our own looks saw, so a part of each length is the look itself; it is taken off, since the
rehearsal looks too.
"""

from __future__ import annotations

from xenlocal.engine.ports import Guest
from xenlocal.model.memory import Record
from xenlocal.model.probes import NO_PROBE, DefaultProbe, Probe, TcpProbe, XenstoreProbe
from xenlocal.planner.learned import USUAL_READY, USUAL_START, USUAL_STOP, Learned
from xenlocal.planner.rehearsal import Scene
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.state import Behaviour, Durations

_SEEN_AFTER = 0.25  # seconds from the end of `xl create` to the look that sees the birth
_HALF_A_PAUSE = 0.5  # seconds: by so much a readiness is seen late, on average
_HALF_A_TCP_PAUSE = 0.25
_SHORTEST = 0.1
_BOOTED = 3.0  # seconds until a guest can be asked to stop, at the latest when it is ready


def behaviour(scene: Scene, name: str, durations: Durations) -> Behaviour:
    known, domain = scene.learned.get(name, Learned()), scene.desired.domains.get(name)
    live = next((each for each in scene.observed.by_uuid().values() if each.name == name), None)
    probe: Probe = domain.probe if domain is not None else NO_PROBE
    deaf = live is not None and not scene.able.get(live.domid, True)
    ready = _ready_after(known, probe)
    asking = durations.xl_change + durations.acknowledge + durations.xl_list + durations.xl_destroy
    stop = max((USUAL_STOP if known.stop is None else known.stop) - asking, 0.0)
    return Behaviour(
        create_seconds=max((USUAL_START if known.start is None else known.start) - durations.other, _SHORTEST),
        boot_seconds=ready if isinstance(probe, DefaultProbe) else min(ready, _BOOTED),
        stop_seconds=None if known.hung else stop,
        deaf=deaf,
        no_pv=deaf,
        write={probe.key: ready} if isinstance(probe, XenstoreProbe) else {},
    )


def _ready_after(known: Learned, probe: Probe) -> float:
    """Seconds from the end of `xl create`."""
    seen_late = _HALF_A_TCP_PAUSE if isinstance(probe, TcpProbe) else _HALF_A_PAUSE
    return max((USUAL_READY if known.ready is None else known.ready) + _SEEN_AFTER - seen_late, _SHORTEST)


class SeededProber:
    """Satisfies `engine.ports.Prober`: whatever the probe would ask, the guest is ready after the time that was
    learned; one that was late stays so in its present life. Nothing real is asked, neither network nor program."""

    def __init__(self, dom0: SimulatedDom0, scene: Scene) -> None:
        self._dom0, self._learned = dom0, scene.learned
        self._late = {record.domid: record.unready for record in scene.memory.records.values() if is_late(record)}

    def why_not(self, probe: Probe, guest: Guest) -> str:
        if guest.domid in self._late:
            return self._late[guest.domid] or f"{probe} is not reached"
        with self._dom0.hold() as state:
            domain = state.domain(str(guest.domid))
            after = _ready_after(self._learned.get(guest.name, Learned()), probe)
            is_ready = domain is not None and domain.state == "running" and state.now >= domain.born + after
        return "" if is_ready else f"{probe} is not reached yet"


def is_late(record: Record | None) -> bool:
    return record is not None and record.domid is not None and record.gave_up_waiting and not record.ready
