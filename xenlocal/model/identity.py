"""Who a domU is to its licences: what `hostid = locked` records at its first start, and keeps over every boot."""

from __future__ import annotations

from dataclasses import dataclass

from xenlocal.model.names import Target, domain


@dataclass(frozen=True)
class Identity:
    """`macs`: in the order in which the guest sees its nics. `disks`: what they lie on, as `volume/vg0/lic-root`, by
    which one that has been given another name and no `was` is known again."""

    name: str
    uuid: str
    macs: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        return domain(self.name)

    def is_same_as(self, other: Identity) -> bool:
        """To a licence: names and disks may change."""
        return (self.uuid, self.macs) == (other.uuid, other.macs)
