"""A simulated dom0 on which the real engine has brought up a whole configuration, and what a plan would do to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.unit.engine.rig import Daemon, Machine
from xenlocal.config import read
from xenlocal.model.actions import DestroyDomain, DetachDevice, StopDomain
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.desired import BlockDevice, Desired, State
from xenlocal.model.host_actions import ChangeBridge, DeactivateVolume, PurgeVolume, RetireVolume
from xenlocal.model.memory import Memory
from xenlocal.model.observed import Observed
from xenlocal.model.plan import Goal, Plan, Step
from xenlocal.model.probes import CommandProbe, ConsoleProbe, PingProbe, TcpProbe, XenstoreProbe
from xenlocal.planner import make_plan
from xenlocal.planner.looks import learn
from xenlocal.simulator.state import GIB, Behaviour, Link, Path, Program

HOST_ID = "host"  # of the engine's rig
_LONG = 900.0  # seconds


@dataclass(frozen=True)
class Running:
    """A host where all that a configuration wants to run does, and what xenlocal knows of it."""

    observed: Observed
    memory: Memory
    now: float

    def plan(self, desired: Desired) -> Plan:
        """What a cycle would do, had the files just become this."""
        memory = learn(self.memory, desired, self.observed, {}, self.now)
        return make_plan(desired, self.observed, Goal.CONVERGE, self.now, 1_700_000_000.0, memory)


def files_of(texts: Mapping[str, str]) -> list[ConfigFile]:
    return [ConfigFile(name, text) for name, text in sorted(texts.items())]


def running(texts: Mapping[str, str]) -> Running:
    desired = read(files_of(texts), HOST_ID)
    machine = Machine()
    machine.disk.files = dict(texts)
    _furnish(machine, desired)
    daemon = Daemon(machine)
    for name, domain in desired.domains.items():
        if domain.state is State.MANUAL:
            daemon.ask(1, "start", name)
    daemon.run(_LONG)
    cycle = daemon.loop.snapshot
    assert cycle is not None
    wanted = {name for name, domain in desired.domains.items() if domain.state in (State.RUNNING, State.MANUAL)}
    assert {name for name, state in machine.running.items() if state == "running"} == wanted
    found = Running(cycle.observed, machine.disk.memory, daemon.work.now())
    assert not [step for step in found.plan(desired).steps if step.changes_host]
    assert all(found.memory.records[desired.domains[name].uuid].ready for name in wanted)
    return found


def _furnish(machine: Machine, desired: Desired) -> None:
    """What nobody makes: much memory, ports, given devices; LVs of those who never ran; guests that become ready."""
    state = machine.dom0.state
    state.memory_mib, state.dom0_vcpus, state.cpus = 1 << 20, 16, 16
    state.links = [link for link in state.links if link.name != "br0"]
    for link in sorted({port for bridge in desired.bridges.values() for port in bridge.ports or ()}):
        state.links.append(Link(link, state.next_link, up=True))
        state.next_link += 1
    for name, domain in desired.domains.items():
        for disk in domain.disks:
            if isinstance(disk.backing, BlockDevice):
                state.paths[disk.backing.path] = Path("block", 20 * GIB, device=f"8:{len(state.paths)}")
        match domain.probe:
            case TcpProbe(host, port):
                machine.behave(name, listen={f"{host}:{port}": 1.0})
            case PingProbe(host):
                machine.behave(name, answer={host: 1.0})
            case ConsoleProbe(pattern):
                machine.behave(name, say={pattern: 1.0})
            case XenstoreProbe(key):
                machine.behave(name, write={key: 1.0})
            case CommandProbe(argv):
                state.programs[argv[0]] = Program()
                machine.behave(name)
            case _:
                state.behaviours[name] = Behaviour()


def takes_away(step: Step) -> bool:
    """Whether a step stops, destroys, detaches, lets go, retires or removes anything."""
    match step.action:
        case StopDomain() | DestroyDomain() | DetachDevice() | DeactivateVolume() | RetireVolume() | PurgeVolume():
            return True
        case ChangeBridge(remove_ports=ports, remove_address=address):
            return bool(ports) or address is not None
    return False
