"""What can be known of a guest's boot before it: what the menu on its disk would boot, what its kernel was built for.

Only `check` and `doctor` ask; part of `adapters.inspection`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from xenlocal.adapters.command import Runner
from xenlocal.adapters.files import FileReader
from xenlocal.model.desired import Desired
from xenlocal.model.errors import CommandFailed
from xenlocal.model.inspection import BootMenu
from xenlocal.model.units import Size
from xenlocal.planner.checkup_guests import LIMIT, boot_disk

MENU = ("pygrub", "--quiet", "--not-really", "--output-format=simple")
_LONG = 30.0  # seconds


def menus(runner: Runner, files: FileReader, desired: Desired) -> Mapping[str, BootMenu]:
    """By path of the disk, of those that are there. pygrub itself says, which `xl create` runs just so; it reads the
    disk as it is. Its --runas, which would take its rights away, does not go with --not-really (Xen 4.17, seen)."""
    disks = [disk for domain in desired.domains.values() if (disk := boot_disk(domain)) is not None]
    there = files.paths(disk.backing.path for disk in disks) if disks else {}
    return {path: _menu(runner, path) for path in there}


def _menu(runner: Runner, path: str) -> BootMenu:
    try:
        said = runner.run((*MENU, path), timeout=_LONG)
    except CommandFailed as error:
        if error.status != 1:
            raise
        return BootMenu("", error.stderr.strip().rpartition("\n")[2] or "nothing at all")
    return BootMenu(next((line[5:] for line in said.splitlines() if line.startswith("args ")), ""))


def kernels(files: FileReader, desired: Desired) -> Mapping[str, Size | None]:
    """The memory that a PV guest can use, by path of its kernel: Debian keeps what it was built with beside it."""
    found = {}
    for kernel in sorted({domain.kernel for domain in desired.domains.values() if domain.kernel is not None}):
        place, _, name = kernel.rpartition("/")
        text = files.read_text(f"{place}/config-{name.removeprefix('vmlinuz-')}")
        if name.startswith("vmlinuz-") and text is not None:
            found[kernel] = _limit(text)
    return found


def _limit(text: str) -> Size | None:
    """XEN_MAX_DOMAIN_MEMORY in GiB up to Linux 4.2, XEN_512GB since (arch/x86/xen/Kconfig). None: no limit."""
    if old := re.search(r"^CONFIG_XEN_MAX_DOMAIN_MEMORY=(\d+)$", text, re.MULTILINE):
        return Size(int(old[1]) << 30)
    return LIMIT if re.search(r"^CONFIG_XEN_512GB=y$", text, re.MULTILINE) else None
