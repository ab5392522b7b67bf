"""What stands in the way of a start: all that can be known before `xl create`, each as one named reason.

Unknown is a hurdle too: no start follows from a table that could not be had (DESIGN rule 7).
"""

from __future__ import annotations

from dataclasses import dataclass

from xenlocal.model.desired import Desired, Domain, Firmware, GuestType, Nic
from xenlocal.model.memory import Record
from xenlocal.model.names import bridge
from xenlocal.model.observed import (
    Hardware,
    LiveDomain,
    LiveState,
    Observed,
    Table,
    Unavailable,
)
from xenlocal.model.units import Size
from xenlocal.planner.cpus import hurdle_of_cpus
from xenlocal.planner.disks import hurdle_of_disk
from xenlocal.planner.draft import Draft, unknown
from xenlocal.planner.holders import Claims
from xenlocal.planner.identities import Guard
from xenlocal.planner.kernels import missing_boot_file, newest_copy
from xenlocal.planner.looks import names_of_monitor
from xenlocal.planner.pci import hurdle_of_devices, hurdle_of_iommu, hurdle_of_use
from xenlocal.planner.preparing import hurdle_of_preparation
from xenlocal.planner.things import ask_for, hurdle_of_needs
from xenlocal.planner.trials import hurdle_of_trial

SAVE_DIR = "/var/lib/xen/save"
_OVERHEAD = Size.mib(8)  # what Xen needs beside a domU's memory: page tables, shadow; measured generously
_OVERHEAD_PER_VCPU = Size.mib(1)


@dataclass
class Budget:
    """What the starts of one plan have taken: two cannot race for the last gigabyte, nor for one disk."""

    reserve: Size
    claims: Claims
    taken: int = 0  # bytes of Xen's free memory

    @classmethod
    def of(cls, desired: Desired) -> Budget:
        return cls(desired.host.dom0_reserve, Claims(desired))

    def take(self, need: Size, free: Size) -> str | None:
        """Reserve, or say why not."""
        left = free.bytes - self.reserve.bytes - self.taken
        if need.bytes > left:
            return (
                f"needs {need} of memory with Xen's own share, and {Size(max(left, 0) >> 20 << 20)} are free "
                f"beside dom0_reserve = {self.reserve}"
            )
        self.taken += need.bytes
        return None


def hurdle_to_start(
    draft: Draft,
    domain: Domain,
    record: Record,
    live: LiveDomain | None,
    observed: Observed,
    budget: Budget,
    guard: Guard,
) -> str | None:
    """The first reason not to start, or None. `live`: its present self, which the same plan stops first."""
    if (why := hurdle_of_version(domain)) is not None:
        return why
    _ask_all(draft, domain, observed)
    domains = observed.domains
    if isinstance(domains, Unavailable):
        return "which domUs are running could not be found out"
    if (why := guard.hurdle(domain)) is not None:
        return why
    for other in domains.values():
        if other.name == domain.name and other.uuid != domain.uuid:
            return _namesake(other)
        if other.name == domain.was and other.uuid != domain.uuid:
            return _not_its_former_self(domain, other)
        if other.uuid == domain.uuid and other.state is LiveState.DYING:
            return f"its former self (domid {other.domid}) is still dying"
    if isinstance(observed.monitors, Unavailable):
        return unknown(Table.MONITORS)
    if live is None and not observed.monitors.isdisjoint(names_of_monitor(record, observed)):
        return "an xl process is at work on it: its own reboot, or a start begun before xenlocal was restarted"
    return (
        hurdle_of_needs(draft, domain, observed)
        or _paths(draft, domain, observed)
        or hurdle_of_trial(draft, domain, observed)
        or hurdle_of_preparation(draft, domain, live, observed)
        or _disks(draft, domain, live, observed, budget.claims)
        or _bridges(draft, domain, observed)
        or _hardware(draft, domain, live, observed, budget)
    )


def _namesake(other: LiveDomain) -> str:
    which = f"(domid {other.domid}, UUID {other.uuid}), started by somebody else"
    if other.state is LiveState.DYING:
        return (
            f"another domU of this name {which}, is still dying; if it stays, nobody reaps it:"
            f" type `xl destroy {other.domid}`"
        )
    if other.is_down:
        return f"another domU of this name {which}, has ended; clear away its shell with `xl destroy {other.domid}`"
    return (
        f"another domU of this name is live {which}; shut it down with `xl shutdown {other.domid}`,"
        f" or write uuid = {other.uuid} to make it this one"
    )


def _not_its_former_self(domain: Domain, other: LiveDomain) -> str:
    return (
        f"{domain.was}, which it was ({domain.source}), is live as domid {other.domid} with the UUID {other.uuid}, not"
        f" the one derived from that name; write uuid = {other.uuid} instead of was to make it this one"
    )


def _ask_all(draft: Draft, domain: Domain, observed: Observed) -> None:
    """Every table the hurdles need, at once, so that one look answers them all."""
    ask_for(draft, domain, observed)
    draft.table(Table.PATHS, observed.paths)
    draft.table(Table.HARDWARE, observed.hardware)
    draft.table(Table.MONITORS, observed.monitors)
    if domain.disks:
        draft.table(Table.AT_WORK, observed.at_work)
    if domain.disks or domain.pci:
        draft.table(Table.XENSTORE, observed.xenstore)
    if domain.nics:
        draft.table(Table.NETWORK, observed.network)


def save_image(name: str) -> str:
    """Where xendomains keeps the saved state of a domU (/etc/default/xendomains, XENDOMAINS_SAVE)."""
    return f"{SAVE_DIR}/{name}"


def save_images(domain: Domain) -> tuple[str, ...]:
    """... by any of its names."""
    return tuple(save_image(name) for name in (domain.name, domain.was) if name is not None)


def _paths(draft: Draft, domain: Domain, observed: Observed) -> str | None:
    paths = draft.table(Table.PATHS, observed.paths)
    if paths is None:
        return unknown(Table.PATHS)
    for image in save_images(domain):
        if image not in paths:
            continue
        return (
            f"a saved state of it lies in {image}: starting it from its disks would damage them if that state"
            f" is ever restored; restore it with `xl restore {image}`, or discard it with `rm {image}`"
        )
    if gone := missing_boot_file(domain, paths):
        kept = draft.table(Table.KERNELS, observed.kernels)
        if kept is None:
            return unknown(Table.KERNELS)
        if newest_copy(domain, kept) is None:
            return gone
    for path, package in needed_packages(domain):
        if path not in paths:
            return f"{path} is missing, which {what_needs_packages(domain)} needs; type: apt install {package}"
    return None


def needed_packages(domain: Domain) -> tuple[tuple[str, str], ...]:
    """A file that xl uses for such a guest, and the package of Debian that has it there (strings of its libxl)."""
    device_model = ("/usr/libexec/xen-qemu-system-i386", "qemu-system-xen")
    if domain.type is not GuestType.HVM:
        return (device_model,) if any(disk.shared for disk in domain.disks) else ()
    firmware = {
        Firmware.BIOS: ("/usr/share/seabios/bios-256k.bin", "seabios"),
        Firmware.UEFI: ("/usr/share/ovmf/OVMF.fd", "ovmf"),
    }
    return device_model, firmware[domain.firmware]


def what_needs_packages(domain: Domain) -> str:
    return "an hvm guest" if domain.type is GuestType.HVM else "a disk with mode = w!"


def hurdle_of_version(domain: Domain) -> str | None:
    if not domain.unsupported:
        return None
    return f"{', '.join(domain.unsupported)}: not yet supported by this version ({domain.source})"


def hurdle_of_type(domain: Domain, hardware: Hardware) -> str | None:
    if domain.type is not GuestType.PV and "hvm" not in hardware.capabilities:
        return (
            f"this host cannot run {domain.type} guests: virt_caps of `xl info` does not say hvm; switch on VT-x or"
            " AMD-V in the firmware of the machine"
        )
    return None


def _disks(draft: Draft, domain: Domain, live: LiveDomain | None, observed: Observed, claims: Claims) -> str | None:
    if not domain.disks:
        return None
    store = draft.table(Table.XENSTORE, observed.xenstore)
    if store is None:
        return unknown(Table.XENSTORE)
    for disk in domain.disks:
        reason = hurdle_of_disk(draft, disk, live, observed, store.vbds, claims)
        if reason is not None:
            return f"disk {disk.vdev}: {reason}"
    return None


def _bridges(draft: Draft, domain: Domain, observed: Observed) -> str | None:
    for nic in domain.nics:
        reason = hurdle_of_bridge(draft, nic, observed)
        if reason is not None:
            return reason if draft.table(Table.NETWORK, observed.network) is None else f"nic {nic.name}: {reason}"
    return None


def hurdle_of_bridge(draft: Draft, nic: Nic, observed: Observed) -> str | None:
    target = bridge(nic.bridge)
    network = draft.table(Table.NETWORK, observed.network)
    if network is None:
        return unknown(Table.NETWORK)
    if nic.bridge not in network.links and not draft.steps_of(target):
        return f"{target} " + (draft.refusal(target) or "does not exist")
    return None


def _devices(
    draft: Draft, domain: Domain, live: LiveDomain | None, observed: Observed, hardware: Hardware
) -> str | None:
    if not domain.pci:
        return None
    paths, store = draft.table(Table.PATHS, observed.paths), draft.table(Table.XENSTORE, observed.xenstore)
    if store is None:
        return unknown(Table.XENSTORE)
    hurdle = hurdle_of_iommu(domain, hardware) or hurdle_of_devices(domain, paths or {}, hardware)
    return hurdle or hurdle_of_use(domain, store.pci, live, observed)


def memory_needed(domain: Domain) -> Size:
    """With Xen's own share."""
    return Size(domain.memory.bytes + xen_share(domain.maxvcpus or domain.vcpus).bytes)


def xen_share(vcpus: int) -> Size:
    """What Xen needs beside the memory of a domU."""
    return Size(_OVERHEAD.bytes + _OVERHEAD_PER_VCPU.bytes * vcpus)


def _hardware(draft: Draft, domain: Domain, live: LiveDomain | None, observed: Observed, budget: Budget) -> str | None:
    hardware = draft.table(Table.HARDWARE, observed.hardware)
    if hardware is None:
        return unknown(Table.HARDWARE)
    hurdle = hurdle_of_type(domain, hardware) or hurdle_of_cpus(domain, hardware)
    if hurdle := hurdle or _devices(draft, domain, live, observed, hardware):
        return hurdle
    if hardware.autoballoon:
        return None  # the dom0 gives way; xl itself says when it cannot
    need = memory_needed(domain)
    if live is not None:  # a restart gets back what its present self holds
        need = Size(max(need.bytes - live.memory.bytes, 0))
    return budget.take(need, hardware.free)
