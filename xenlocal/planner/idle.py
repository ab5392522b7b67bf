"""Volumes that no guest of this host needs now: what a group shared by several hosts lets another one have. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from xenlocal.model.desired import Desired, Domain, LogicalVolume, State
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.planner.looks import new_record

_MAY_COME_BACK = (Off.REBOOTING, Off.LOST)


@dataclass(frozen=True)
class Idle:
    """`known` False: which domUs are running could not be found out, so nothing may be taken from them."""

    volumes: frozenset[LogicalVolume]
    known: bool


def idle_volumes(desired: Desired, observed: Observed, memory: Memory) -> Idle:
    """Every domU that has it is declared stopped or manual, off, and not about to be started."""
    idle: set[LogicalVolume] = set()
    needed: set[LogicalVolume] = set()
    live = observed.by_uuid()
    for domain in desired.domains.values():
        lvs = {disk.backing for disk in domain.disks if isinstance(disk.backing, LogicalVolume)}
        (idle if domain.uuid not in live and _rests(domain, memory) else needed).update(lvs)
    return Idle(frozenset(idle - needed), not isinstance(observed.domains, Unavailable))


def _rests(domain: Domain, memory: Memory) -> bool:
    record = memory.records.get(domain.uuid) or new_record(domain)
    return (
        domain.state in (State.STOPPED, State.MANUAL)
        and record.hand not in (Hand.START, Hand.RESTART)
        and record.off not in _MAY_COME_BACK
        and record.domid is None
    )
