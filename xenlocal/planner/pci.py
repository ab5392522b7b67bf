"""PCI devices that guests are given: what of that can be known to be in the way. Pure.

Xen gives a guest only what xen-pciback holds, the driver that keeps it for guests; to take a device from the dom0's own
driver is the administrator's decision, for it may be the dom0's disk or network (xl(1), pci-assignable-add).
"""

from __future__ import annotations

from collections.abc import Mapping

from xenlocal.model.desired import Domain
from xenlocal.model.observed import Hardware, LiveDomain, Observed, PathFacts, PciUse, Unavailable
from xenlocal.planner.holders import who

_DEVICES = "/sys/bus/pci/devices"
_KEEPER = "/sys/bus/pci/drivers/pciback"


def device_paths(domain: Domain) -> tuple[str, ...]:
    """What has to be looked at: each device, and its driver, a link to that."""
    return tuple(path for address in domain.pci for path in (_device(address), _driver(address)))


def hurdle_of_devices(domain: Domain, paths: Mapping[str, PathFacts], hardware: Hardware) -> str | None:
    """Whether the host has them and keeps them for guests. Without an IOMMU nobody is told to type what would fail:
    `xl pci-assignable-add` says "failed to quarantine" then (seen on 4.17)."""
    for address in domain.pci:
        if _device(address) not in paths:
            return f"pci {address} is not on this host ({domain.source}); `lspci -D` lists what is"
        driver = paths.get(_driver(address))
        if driver is None or driver.real != _KEEPER:
            whose = "nothing keeps it" if driver is None else f"{driver.real.rpartition('/')[2]} of the dom0 drives it"
            how = (
                f"type `modprobe xen-pciback` and `xl pci-assignable-add {address}`, or write"
                f" xen-pciback.hide=({address}) on the kernel's command line"
            )
            how = "that takes an IOMMU too" if hurdle_of_iommu(domain, hardware) else how
            return f"pci {address} is not set aside for guests: {whose}; {how}"
    return None


def hurdle_of_use(domain: Domain, used: tuple[PciUse, ...], live: LiveDomain | None, observed: Observed) -> str | None:
    """`live`: whose hold of them does not count, since it is stopped first. Nor does that of a domain that is no more:
    of a pv guest the backend stays in xenstore, and xl gives the device to the next one all the same (4.17, seen)."""
    for use in used:
        is_over = not isinstance(observed.domains, Unavailable) and use.domid not in observed.domains
        if use.address in domain.pci and not is_over and (live is None or use.domid != live.domid):
            return f"pci {use.address} is held by {who(use.domid, observed)}"
    return None


def hurdle_of_iommu(domain: Domain, hardware: Hardware) -> str | None:
    """Of one that is to have a PCI device."""
    able = f"{domain.type}_directio"
    if able not in hardware.capabilities:
        return (
            f"this host cannot give PCI devices to {domain.type} guests: virt_caps of `xl info` does not say {able};"
            " switch on VT-d or AMD-Vi in the firmware of the machine, and remove iommu=off from Xen's command line"
        )
    return None


def _device(address: str) -> str:
    return f"{_DEVICES}/{address}"


def _driver(address: str) -> str:
    return f"{_DEVICES}/{address}/driver"
