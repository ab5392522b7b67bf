"""The doctor's checks of what would keep a domU of the files from starting; `check` does these alone. Pure; see
`planner.doctor`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from xenlocal.model.desired import Desired, Disk, Domain, GuestType, State
from xenlocal.model.diskwork import Preparation
from xenlocal.model.inspection import Code, Finding, Severity
from xenlocal.model.units import Size
from xenlocal.planner.hurdles import hurdle_of_type, hurdle_of_version, needed_packages, what_needs_packages
from xenlocal.planner.kernels import missing_boot_file, newest_copy
from xenlocal.planner.patient import Patient, known
from xenlocal.planner.pci import hurdle_of_devices, hurdle_of_iommu, hurdle_of_use
from xenlocal.planner.preparing import is_marked

GUEST_CODES = (
    Code.CONFIG, Code.BOOT_FILES, Code.BOOT_MENU, Code.GUEST_TYPE, Code.KERNEL_MEMORY, Code.MODULES, Code.PCI,
    Code.IOMMU, Code.USB,
)  # fmt: skip
LIMIT = Size(512 << 30)  # of a PV guest, with CONFIG_XEN_512GB (arch/x86/xen/Kconfig)
_SWITCH = re.compile(r"(?:^|\s)xen_512gb_limit(?:=(\S*))?(?=\s|$)")


def config(patient: Patient) -> Iterator[Finding]:
    if patient.problems:
        text = f"the files are NOT VALID ({patient.problems[0]}); {patient.instead}"
        yield Finding(Code.CONFIG, Severity.WARNING, text, "`xenlocal check` shows every problem")
    for domain in _wanted(patient.desired):
        if hurdle := hurdle_of_version(domain):
            what = f"remove {' and '.join(domain.unsupported)} from its section or [defaults]"
            yield Finding(Code.CONFIG, _how_bad(domain), f"{domain.target} cannot start: {hurdle}", what)


def files(patient: Patient) -> Iterator[Finding]:
    for domain in _wanted(patient.desired):
        gone = missing_boot_file(domain, known(patient.observed.paths))
        if gone and newest_copy(domain, known(patient.observed.kernels)) is not None:
            text = f"{domain.target} starts from the copy that is kept of its kernel: {gone}"
            yield Finding(
                Code.BOOT_FILES, Severity.WARNING, text, "name one that is there; the copy goes with the last use"
            )
        elif gone:
            text, key = f"{domain.target} cannot start: {gone}", gone.partition(" ")[0]
            yield Finding(Code.BOOT_FILES, _how_bad(domain), text, f"put it there, or name another {key}")
        for path, package in needed_packages(domain):
            if path not in known(patient.observed.paths):
                text = f"{domain.target} cannot start: {path} is missing, which {what_needs_packages(domain)} needs"
                yield Finding(Code.BOOT_FILES, _how_bad(domain), text, f"`apt install {package}`")


def boot_disk(domain: Domain) -> Disk | None:
    """Whose menu pygrub reads: the first that can hold one."""
    return next((disk for disk in domain.disks if not disk.cdrom), None) if domain.bootloader else None


def menu(patient: Patient) -> Iterator[Finding]:
    for domain in _wanted(patient.desired):
        disk = boot_disk(domain)
        if disk is None:
            continue
        found, where = known(patient.facts.menus).get(disk.backing.path), f"disk {disk.vdev}, {disk.backing.target}"
        to_install = is_marked(disk.backing, Preparation.INSTALL, patient.observed)
        if found is None or to_install:
            how = "still to be installed into" if to_install else "not there yet"
            text = f"{domain.target}: {where}, is {how}; what it would boot is not known"
            yield Finding(Code.BOOT_MENU, Severity.INFO, text)
        elif found.error:
            text = f"{domain.target} cannot boot from its {where}: pygrub says: {found.error}"
            what = (
                f"`pygrub -l {disk.backing.path}` lists the entries of its menu; mend /boot/grub/grub.cfg in the guest"
                " (update-grub), or start it once with kernel = and ramdisk = of the dom0"
            )
            yield Finding(Code.BOOT_MENU, _how_bad(domain), text, what)
        else:
            text = f"{domain.target} boots from its {where} with: {found.cmdline or 'no command line'}"
            yield Finding(Code.BOOT_MENU, Severity.INFO, text)


def guest_type(patient: Patient) -> Iterator[Finding]:
    for domain in _wanted(patient.desired):
        if domain.type is GuestType.PV:
            continue
        if hurdle := hurdle_of_type(domain, known(patient.observed.hardware)):
            text = f"{domain.target} cannot start: {hurdle}"
            yield Finding(Code.GUEST_TYPE, _how_bad(domain), text, "`xl info | grep virt_caps` shows it afterwards")


def kernel_memory(patient: Patient) -> Iterator[Finding]:
    """A PV guest uses no more memory than its kernel was built for, and says nothing of the rest."""
    for domain in _wanted(patient.desired):
        kernel, most = domain.kernel, domain.maxmem or domain.memory
        if domain.type is not GuestType.PV or kernel is None:
            continue
        limit = known(patient.facts.kernels).get(kernel)
        if limit == LIMIT and (switch := _SWITCH.search(domain.cmdline)):
            limit = None if switch[1] in ("0", "n", "no", "off") else LIMIT
        if limit is not None and most.bytes > limit.bytes:
            text = f"{domain.target} gets {most} of memory, and {kernel} uses {limit} of it at most ({domain.source})"
            what = "xen_512gb_limit=0 in cmdline" if limit == LIMIT else "a newer kernel"
            yield Finding(Code.KERNEL_MEMORY, Severity.WARNING, text, f"{what}, or type = pvh")


def pci(patient: Patient) -> Iterator[Finding]:
    """There, kept for guests, and in nobody else's use."""
    for domain in _wanted(patient.desired):
        if not domain.pci:
            continue
        live = patient.observed.by_uuid().get(domain.uuid)
        used, paths = known(patient.observed.xenstore).pci, known(patient.observed.paths)
        hurdle = hurdle_of_devices(domain, paths, known(patient.observed.hardware))
        if hurdle := hurdle or hurdle_of_use(domain, used, live, patient.observed):
            text = f"{domain.target} cannot start: {hurdle}"
            yield Finding(Code.PCI, _how_bad(domain), text, "`xl pci-assignable-list` shows what guests can have")


def iommu(patient: Patient) -> Iterator[Finding]:
    for domain in _wanted(patient.desired):
        if domain.pci and (hurdle := hurdle_of_iommu(domain, known(patient.observed.hardware))):
            text = f"{domain.target} cannot start: {hurdle}"
            yield Finding(Code.IOMMU, _how_bad(domain), text, "`xl dmesg | grep -i virtualisation` says what Xen found")


def usb(patient: Patient) -> Iterator[Finding]:
    """A guest starts without, and gets it when it is plugged in."""
    for domain in _wanted(patient.desired):
        for device in domain.usb:
            if device not in known(patient.facts.usb):
                text = f"{domain.target} has no usb {device}: it is not plugged in ({domain.source})"
                yield Finding(Code.USB, Severity.WARNING, text, "plug it in: its guest gets it; `lsusb` lists what is")


def _wanted(desired: Desired) -> list[Domain]:
    return [domain for domain in desired.domains.values() if domain.state is not State.ABSENT]


def _how_bad(domain: Domain) -> Severity:
    """Of what keeps it from starting."""
    return Severity.CRITICAL if domain.state is State.RUNNING else Severity.WARNING
