"""`hostid = locked`: a domU keeps the UUID and MACs of its first start until `xenlocal unlock`, whatever becomes of its
files."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from xenlocal.model.actions import LockIdentity
from xenlocal.model.desired import Desired, Domain
from xenlocal.model.identity import Identity
from xenlocal.model.observed import Observed, Table, Unavailable
from xenlocal.planner.draft import Draft


@dataclass(frozen=True)
class Guard:
    """What is locked on this host, and the names that the files declare."""

    locked: Mapping[str, Identity] | Unavailable  # by UUID
    declared: Container[str]

    @classmethod
    def of(cls, draft: Draft, desired: Desired, observed: Observed) -> Guard:
        draft.table(Table.IDENTITIES, observed.identities)
        return cls(observed.identities, desired.domains)

    def hurdle(self, domain: Domain) -> str | None:
        """Why this domU must not be started as the files describe it. What cannot be read keeps off those that declare
        a lock, not the whole host."""
        if isinstance(self.locked, Unavailable):
            return f"which identities are locked is not known: {self.locked.why}" if domain.is_locked else None
        for lock in self._concerning(domain):
            if not lock.is_same_as(domain.identity):
                return _told(domain, lock)
        return None

    def plan_lock(self, draft: Draft, domain: Domain) -> None:
        """To be called before the step that starts it."""
        if not domain.is_locked:
            return
        lock = self._known.get(domain.uuid)
        if lock != domain.identity:
            why = "its UUID and MACs are kept from now on" if lock is None else "its name or its disks have changed"
            draft.step(LockIdentity(domain.identity), f"hostid = locked: {why}")

    def plan_running(self, draft: Draft, domain: Domain) -> bool:
        """Whether its configuration may be staged: its own reboot must not give it another identity."""
        why = self.hurdle(domain)
        if why is not None:
            draft.refuse(domain.target, f"goes on running as it is: {why}")
        elif domain.is_locked and domain.uuid not in self._known:
            draft.notice(domain.target, "hostid = locked: its UUID and MACs are recorded at its next start")
        return why is None

    @property
    def _known(self) -> Mapping[str, Identity]:
        assert not isinstance(self.locked, Unavailable), "that is a hurdle"
        return self.locked

    def _concerning(self, domain: Domain) -> list[Identity]:
        """Its own, by UUID or a name it has or had; and those of domUs whose section is gone and whose disks it has."""
        disks = {*domain.identity.disks}
        return [
            lock
            for _, lock in sorted(self._known.items())
            if lock.uuid == domain.uuid
            or lock.name in (domain.name, domain.was)
            or (lock.name not in self.declared and not disks.isdisjoint(lock.disks))
        ]


def named(name: str, desired: Desired, locked: Mapping[str, Identity]) -> tuple[Identity, ...]:
    """What `xenlocal unlock NAME` forgets: what was locked under this name, or is that of the domU so called now."""
    uuid = desired.domains[name].uuid if name in desired.domains else None
    return tuple(lock for _, lock in sorted(locked.items()) if lock.name == name or lock.uuid == uuid)


def _told(domain: Domain, lock: Identity) -> str:
    whose = "" if lock.name == domain.name else f"it has a disk or the UUID of {lock.target}, which "
    was = f"is locked (hostid = locked) to UUID {lock.uuid}" + "".join(f", MAC {mac}" for mac in lock.macs)
    return f"{whose}{was}, and the files say {_now(domain, lock)}; put that back, or type `xenlocal unlock {lock.name}`"


def _now(domain: Domain, lock: Identity) -> str:
    said = [f"UUID {domain.uuid} ({domain.source})"] if domain.uuid != lock.uuid else []
    said += [f"MAC {nic.mac} ({nic.source})" for nic in domain.nics if nic.mac not in lock.macs]
    said += [f"no nic with MAC {mac}" for mac in lock.macs if mac not in domain.identity.macs]
    return ", ".join(said) or f"its nics in another order ({domain.source})"
