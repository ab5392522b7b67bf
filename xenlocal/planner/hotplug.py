"""Disks and nics of a domU that runs: attached when the files add them, detached only where they say `attached = no`.

A part whose section has vanished stays attached: a file cut off must take nothing from a guest (DESIGN rule 6).
"""

from __future__ import annotations

from dataclasses import dataclass

from xenlocal.model.actions import AttachDevice, DetachDevice
from xenlocal.model.desired import Disk, Domain, GuestType, Nic
from xenlocal.model.memory import Record
from xenlocal.model.names import Target, bridge
from xenlocal.model.observed import LiveDomain, Observed, Table, Vbd, Vif, XenStore
from xenlocal.planner import xlcfg
from xenlocal.planner.disks import hurdle_of_disk
from xenlocal.planner.draft import Draft
from xenlocal.planner.holders import Claims, identity
from xenlocal.planner.hurdles import hurdle_of_bridge
from xenlocal.planner.preparing import hurdle_to_have

KEYS = ("disk", "vif")


def plan_hotplug(
    draft: Draft, domain: Domain, record: Record, live: LiveDomain, observed: Observed, claims: Claims
) -> frozenset[str]:
    """Returns those of `KEYS` in which something is left for its next start. Where it is not known what it runs with,
    what it has is seen in xenstore all the same; only what has vanished from the files cannot be told of."""
    wanted = xlcfg.settings(domain)
    differ = [key for key in KEYS if not xlcfg.same(key, wanted[key], record.running.get(key))]
    store = draft.table(Table.XENSTORE, observed.xenstore) if differ or domain.unplugged else None
    if store is None or domain.type is GuestType.HVM:
        return frozenset(differ)
    plug = _Plug(draft, domain, live, observed, store, claims)
    running = {key: xlcfg.parts(record.running.get(key, "")) for key in KEYS}
    left = [key for key in differ if plug.compare(key, xlcfg.parts(wanted[key]), running[key])]
    plug.detach()
    return frozenset(left)


@dataclass(frozen=True)
class _Plug:
    """One running domU, and what xenstore shows of its devices."""

    draft: Draft
    domain: Domain
    live: LiveDomain
    observed: Observed
    store: XenStore
    claims: Claims

    def compare(self, key: str, wanted: dict[str, str], running: dict[str, str]) -> bool:
        """Whether anything is left for its next start."""
        things: list[Disk | Nic] = [*self.domain.disks] if key == "disk" else [*self.domain.nics]
        there = {*(vbd.vdev for vbd in self._vbds()), *(vif.mac for vif in self._vifs())}
        away = {_key_of(each) for each in self.domain.unplugged}
        gone = (running.keys() - wanted.keys() - away) & there
        left = bool(gone) or any(name in running and running[name] != spec for name, spec in wanted.items())
        for thing in things:
            if _key_of(thing) not in running:
                # a MAC beside one that vanished is another address of a nic that is there, and no further nic
                is_other = key == "vif" and bool(gone)
                why = None if is_other else self._attach(thing, wanted[_key_of(thing)])
                if why is not None:
                    self.draft.refuse(self.domain.target, f"{_told(thing)} is not attached{why}")
                left |= why is not None
        for name in gone:
            text = (
                f"{name} is in no file any more and stays attached until its next start; a part with attached = no"
                " takes it from the guest now"
            )
            self.draft.notice(self.domain.target, text)
        in_both = [name for name in running if name in wanted]
        return left or (key == "vif" and in_both != [name for name in wanted if name in running])

    def _attach(self, thing: Disk | Nic, spec: str) -> str | None:
        """Plan it, unless it is there; or say why not."""
        here = self._here(thing)
        if here is not None:
            return None if self._is(thing, here) else ": the guest has another one under that name until its next start"
        hurdle = self._hurdle(thing)
        if hurdle is not None:
            return f" while it runs: {hurdle}"
        if isinstance(thing, Disk):
            self.claims.take_disk(self.domain, thing, self.observed)
        before = self.draft.steps_of(_stands_on(thing))
        needs = tuple(step for step in before if step.startswith(("create ", "activate ")))
        after = tuple(step for step in before if step not in needs)
        after += self.draft.steps_of(self.domain.target)  # one change of a guest at a time
        self.draft.step(
            AttachDevice(self.domain.name, self.domain.uuid, self.live.domid, _xl_key(thing), spec),
            f"{_told(thing)} is declared in {thing.source}, and the guest does not have it",
            needs,
            after,
        )
        return None

    def _hurdle(self, thing: Disk | Nic) -> str | None:
        mine = self._vbds() if isinstance(thing, Disk) else self._vifs()
        if not any(each.connected for each in mine):
            return "nothing shows that its kernel can take one; it has none that is connected"
        if isinstance(thing, Nic):
            return hurdle_of_bridge(self.draft, thing, self.observed)
        if thing.shared:
            return "qemu serves a disk with mode = w!, from the start of its guest on"
        why = hurdle_to_have(self.draft, self.domain, thing, self.observed)
        return why or hurdle_of_disk(self.draft, thing, None, self.observed, self.store.vbds, self.claims)

    def detach(self) -> None:
        """What the files say is not attached, where the guest has just that."""
        for thing in self.domain.unplugged:
            here = self._here(thing)
            if here is not None and self._is(thing, here):
                spec = xlcfg.part(thing)
                action = DetachDevice(self.domain.name, self.domain.uuid, self.live.domid, _xl_key(thing), spec)
                after = self.draft.steps_of(self.domain.target)
                self.draft.step(action, f"attached = no in {thing.source}", after=after)

    def _vbds(self) -> list[Vbd]:
        return [vbd for vbd in self.store.vbds if vbd.domid == self.live.domid]

    def _vifs(self) -> list[Vif]:
        return [vif for vif in self.store.vifs if vif.domid == self.live.domid]

    def _here(self, thing: Disk | Nic) -> Vbd | Vif | None:
        """What the guest has under the name of this part."""
        if isinstance(thing, Disk):
            return next((vbd for vbd in self._vbds() if vbd.vdev == thing.vdev), None)
        return next((vif for vif in self._vifs() if vif.mac == thing.mac), None)

    def _is(self, thing: Disk | Nic, here: Vbd | Vif) -> bool:
        if isinstance(thing, Disk):
            assert isinstance(here, Vbd)
            return identity(thing.backing, self.observed).is_of(here) and here.writable != thing.readonly
        assert isinstance(here, Vif)
        return here.bridge == thing.bridge


def _key_of(thing: Disk | Nic) -> str:
    return thing.vdev if isinstance(thing, Disk) else thing.mac


def _xl_key(thing: Disk | Nic) -> str:
    return "disk" if isinstance(thing, Disk) else "vif"


def _stands_on(thing: Disk | Nic) -> Target:
    return thing.backing.target if isinstance(thing, Disk) else bridge(thing.bridge)


def _told(thing: Disk | Nic) -> str:
    return f"disk {thing.vdev}" if isinstance(thing, Disk) else f"nic {thing.name}"
