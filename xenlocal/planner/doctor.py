"""What is wrong with this host, or could be: each check of `Code` as a finding with what to type next.

Pure: facts in, findings out. A check says only what has to be said. Where it says nothing, all is well, which is a
finding too; where a fact it needs could not be had, that it is not known, and never that it is well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from xenlocal.model.inspection import Code, Finding, Severity
from xenlocal.planner import checkup_guests, checkup_host, checkup_modules, checkup_storage, checkup_xen
from xenlocal.planner.patient import Patient, Unknown

Check = Callable[[Patient], Iterator[Finding]]
# What is so where a check has nothing to say; read after "whether" where that is not known.
CHECKS: Mapping[Code, tuple[Check, str]] = {
    Code.CONFIG: (
        checkup_guests.config,
        "the files in /etc/xenlocal are valid, and this version can do all that they say",
    ),
    Code.DOM0_MEM: (checkup_xen.dom0_mem, "the dom0 has memory of its own (dom0_mem=)"),
    Code.DOM0_VCPUS: (checkup_xen.dom0_vcpus, "the dom0 has as many vCPUs as it should"),
    Code.AUTOBALLOON: (checkup_xen.autoballoon, "the dom0 keeps its memory (autoballoon is off)"),
    Code.DOM0_SWAP: (checkup_xen.dom0_swap, "the dom0 does without its swap"),
    Code.MEMORY: (checkup_xen.memory, "all domUs with state = running fit into memory together"),
    Code.PINNING: (checkup_xen.pinning, "no two domains are pinned to the same CPU"),
    Code.NUMA: (checkup_xen.numa, "no domU is spread over NUMA nodes"),
    Code.VERSIONS: (checkup_xen.versions, "the running hypervisor and the installed tools belong together"),
    Code.SAVE_IMAGE: (checkup_host.save_images, "no saved state of a domU lies in /var/lib/xen/save"),
    Code.AUTO_LINK: (checkup_host.auto_links, "nothing is left in /etc/xen/auto"),
    Code.XENDOMAINS: (checkup_host.xendomains, "xendomains starts, saves and stops nothing"),
    Code.UNITS: (checkup_host.units, "the units of xenlocal are enabled and active"),
    Code.TOOLSTACK: (checkup_host.toolstack, "nobody else manages guests here"),
    Code.NEEDRESTART: (checkup_host.needrestart, "needrestart leaves the guests alone"),
    Code.LVM_FILTER: (checkup_storage.lvm_filter, "the LVM of this host sees its own volume groups and no guest's"),
    Code.THIN_POOL: (checkup_storage.thin_pools, "no thin pool can run full unseen"),
    Code.ISCSI: (checkup_storage.iscsi, "every iSCSI disk of the files is logged in to at boot"),
    Code.CLOCK: (checkup_host.clock, "the clock of the dom0 is synchronised"),
    Code.GUEST_CLOCK: (checkup_host.guest_clocks, "no guest runs whose clock could be wrong"),
    Code.CONSOLE_LOG: (checkup_host.console_log, "what guests write to their consoles is logged"),
    Code.BOOT_FILES: (checkup_guests.files, "everything is there that the dom0 boots guests from"),
    Code.BOOT_MENU: (checkup_guests.menu, "every guest with bootloader = pygrub has a menu that boots"),
    Code.GUEST_TYPE: (checkup_guests.guest_type, "this machine can run guests of each type that is declared"),
    Code.KERNEL_MEMORY: (checkup_guests.kernel_memory, "the kernels can use the memory that guests are given"),
    Code.MODULES: (checkup_modules.modules, "every guest that boots a kernel of the dom0 has the modules of that"),
    Code.PCI: (checkup_guests.pci, "every PCI device of the files is there and kept for its guest"),
    Code.IOMMU: (checkup_guests.iommu, "this machine can give PCI devices to the guests that have some"),
    Code.USB: (checkup_guests.usb, "every USB device of the files is plugged in"),
}


def diagnose(patient: Patient, codes: Collection[Code] = tuple(Code)) -> tuple[Finding, ...]:
    """At least one finding for each code, in their order."""
    found: list[Finding] = []
    for code, (check, fine) in CHECKS.items():
        if code not in codes:
            continue
        said: list[Finding] = []
        try:
            said.extend(check(patient))
        except Unknown as unknown:
            text = f"whether {fine} could not be found out: {unknown}"
            said.append(Finding(code, Severity.UNKNOWN, text, "see to that first, then `xenlocal doctor`"))
        found += said or [Finding(code, Severity.OK, fine)]
    return tuple(found)
