"""What would keep a domU from starting, as `check` and the doctor say it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import GIB, HERE, device, dom, hardware, lv, observed, storage, volume
from tests.unit.planner.patients import only, patient, said
from xenlocal.model.desired import Disk, Firmware, GuestType, ImageFile, State
from xenlocal.model.diskwork import Preparation
from xenlocal.model.inspection import BootMenu, Code, Severity
from xenlocal.model.observed import PathFacts, PathKind
from xenlocal.model.storage import OUR_TAG
from xenlocal.model.units import Size
from xenlocal.planner.checkup_guests import GUEST_CODES, LIMIT
from xenlocal.planner.doctor import diagnose

KERNEL = "/boot/vmlinuz-6.1"


def there(*paths: str) -> dict[str, PathFacts]:
    return {path: PathFacts(PathKind.FILE, GIB, path) for path in paths}


@pytest.mark.parametrize(("state", "severity"), [(State.RUNNING, Severity.CRITICAL), (State.MANUAL, Severity.WARNING)])
def test_what_it_boots_from_is_missing(state: State, severity: Severity) -> None:
    web = dom("web", kernel=KERNEL, ramdisk="/r", state=state)
    finding = only(patient(web, seen=observed(paths=there(KERNEL))), Code.BOOT_FILES, severity)
    assert finding.text == f"domain/web cannot start: ramdisk /r does not exist ({HERE})"
    assert finding.next == "put it there, or name another ramdisk"
    assert not said(patient(web, seen=observed(paths=there(KERNEL, "/r"))), Code.BOOT_FILES)


@pytest.mark.parametrize(("state", "severity"), [(State.RUNNING, Severity.CRITICAL), (State.MANUAL, Severity.WARNING)])
def test_what_this_version_cannot_do(state: State, severity: Severity) -> None:
    web = dom("web", unsupported=("owner", "group"), state=state)
    finding = only(patient(web), Code.CONFIG, severity)
    assert finding.text == f"domain/web cannot start: owner, group: not yet supported by this version ({HERE})"
    assert finding.next == "remove owner and group from its section or [defaults]"
    for other in (dom("web"), replace(web, state=State.ABSENT)):
        assert not said(patient(other), Code.CONFIG)


def test_what_an_hvm_guest_needs_is_missing() -> None:
    win = dom("win", type=GuestType.HVM, firmware=Firmware.UEFI)
    seen = observed(
        paths=there("/usr/libexec/xen-qemu-system-i386"), hardware=hardware(capabilities=frozenset({"hvm"}))
    )
    finding = only(patient(win, seen=seen), Code.BOOT_FILES, Severity.CRITICAL)
    assert finding.text.endswith("/usr/share/ovmf/OVMF.fd is missing, which an hvm guest needs")
    assert finding.next == "`apt install ovmf`"


def test_what_serves_a_shared_disk_is_missing() -> None:
    web = dom("web", replace(device("/dev/a"), shared=True))
    finding = only(patient(web, seen=observed(paths={})), Code.BOOT_FILES, Severity.CRITICAL)
    assert finding.text.endswith("xen-qemu-system-i386 is missing, which a disk with mode = w! needs")
    assert finding.next == "`apt install qemu-system-xen`"


def test_one_that_is_to_go_is_not_looked_at() -> None:
    gone = dom("old", kernel=KERNEL, state=State.ABSENT)
    assert not said(patient(gone, seen=observed(paths={})), Code.BOOT_FILES)


def test_menus() -> None:
    """Of the first disk that is no drive for images."""
    drive = Disk("xvdc", ImageFile("/iso"), HERE, None, True, cdrom=True)
    web = dom("web", drive, device("/dev/a"), device("/dev/b", "xvdb"), bootloader="pygrub")

    def case(**menus: BootMenu) -> list[tuple[Severity, str, bool]]:
        known = {f"/dev/{name}": menu for name, menu in menus.items()}
        found = said(patient(web, menus=known), Code.BOOT_MENU)
        return [(each.severity, each.text, bool(each.next)) for each in found]

    where = "disk xvda, device//dev/a"
    assert case(b=BootMenu("", "broken")) == [
        (Severity.INFO, f"domain/web: {where}, is not there yet; what it would boot is not known", False)
    ]
    assert case(a=BootMenu("root=/dev/xvda ro")) == [
        (Severity.INFO, f"domain/web boots from its {where} with: root=/dev/xvda ro", False)
    ]
    assert case(a=BootMenu("")) == [(Severity.INFO, f"domain/web boots from its {where} with: no command line", False)]
    text = f"domain/web cannot boot from its {where}: pygrub says: The requested kernel file does not exist"
    assert case(a=BootMenu("", "The requested kernel file does not exist")) == [(Severity.CRITICAL, text, True)]
    assert "`pygrub -l /dev/a`" in said(patient(web, menus={"/dev/a": BootMenu("", "x")}), Code.BOOT_MENU)[0].next


def test_a_disk_that_is_still_to_be_installed_into_has_no_menu_yet() -> None:
    web, menus = dom("web", lv("web"), bootloader="pygrub"), {"/dev/vg0/web": BootMenu("", "broken")}
    seen = observed(storage=storage(volume("web", tags=frozenset({OUR_TAG, Preparation.INSTALL.mark}))))
    finding = only(patient(web, seen=seen, menus=menus), Code.BOOT_MENU, Severity.INFO)
    assert "is still to be installed into; what it would boot is not known" in finding.text


def test_one_that_boots_a_kernel_of_the_dom0_or_has_no_disk_has_no_menu() -> None:
    menus = {"/dev/vg0/web": BootMenu("", "broken")}
    kernel, bare = dom("web", lv("web"), kernel=KERNEL), dom("bare", bootloader="pygrub")
    assert not said(patient(kernel, bare, seen=observed(paths=there(KERNEL)), menus=menus), Code.BOOT_MENU)


def test_a_machine_that_cannot_run_it() -> None:
    seen = observed(hardware=hardware(capabilities=frozenset({"pv"})))
    finding = only(patient(dom("new", type=GuestType.PVH), dom("old"), seen=seen), Code.GUEST_TYPE, Severity.CRITICAL)
    assert finding.text.startswith("domain/new cannot start: this host cannot run pvh guests") and finding.next


@pytest.mark.parametrize(
    ("limit", "memory", "cmdline", "told"),
    [
        (LIMIT, Size(512 << 30), "", ""),
        (LIMIT, Size(513 << 30), "", "xen_512gb_limit=0 in cmdline"),
        (LIMIT, Size(513 << 30), "ro xen_512gb_limit=0", ""),
        (LIMIT, Size(513 << 30), "xen_512gb_limit=off quiet", ""),
        (LIMIT, Size(513 << 30), "xen_512gb_limit", "xen_512gb_limit=0 in cmdline"),
        (LIMIT, Size(513 << 30), "not_xen_512gb_limit=0", "xen_512gb_limit=0 in cmdline"),
        (Size(32 << 30), Size(33 << 30), "xen_512gb_limit=0", "a newer kernel"),
        (None, Size(1 << 50), "", ""),
    ],
)
def test_memory_that_the_kernel_cannot_use(limit: Size | None, memory: Size, cmdline: str, told: str) -> None:
    big = dom("big", kernel=KERNEL, memory=memory, cmdline=cmdline)
    found = said(patient(big, kernels={KERNEL: limit}), Code.KERNEL_MEMORY)
    assert [(each.severity, each.next) for each in found] == (
        [(Severity.WARNING, f"{told}, or type = pvh")] if told else []
    )
    if told:
        assert found[0].text == f"domain/big gets {memory} of memory, and {KERNEL} uses {limit} of it at most ({HERE})"


def test_the_memory_it_can_be_raised_to_counts_and_only_that_of_pv_guests_with_a_known_kernel() -> None:
    kernels = {KERNEL: Size(GIB.bytes * 2)}
    more = {"kernel": KERNEL, "maxmem": Size(GIB.bytes * 3)}
    assert said(patient(dom("web", **more), kernels=kernels), Code.KERNEL_MEMORY)
    assert not said(patient(dom("web", type=GuestType.PVH, **more), kernels=kernels), Code.KERNEL_MEMORY)
    assert not said(patient(dom("web", **{**more, "kernel": "/k"}), kernels=kernels), Code.KERNEL_MEMORY)


def test_only_the_codes_that_are_asked_for() -> None:
    assert [each.code for each in diagnose(patient(), GUEST_CODES)] == list(GUEST_CODES)
