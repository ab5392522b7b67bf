"""What pygrub says of a disk, and what a kernel was built for."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.unit.adapters.scripted import ScriptedRunner, TextFiles
from tests.unit.planner.build import desired, device, dom
from xenlocal.adapters.booting import MENU, kernels, menus
from xenlocal.model.errors import CommandFailed
from xenlocal.model.inspection import BootMenu
from xenlocal.model.observed import PathFacts, PathKind
from xenlocal.model.units import Size

USING = "Using <class 'grub.GrubConf.Grub2ConfigFile'> to parse /boot/grub/grub.cfg\n"
THERE = {"/dev/a": PathFacts(PathKind.BLOCK, Size(0), "/dev/a")}
DISKS = desired(
    dom("web", device("/dev/a"), bootloader="pygrub"),
    dom("late", device("/dev/b"), bootloader="pygrub"),
    dom("db", device("/dev/c"), kernel="/k"),
)


class Files(TextFiles):
    def paths(self, wanted: Iterable[str]) -> dict[str, PathFacts]:
        assert sorted(wanted) == ["/dev/a", "/dev/b"]
        return THERE


def asked(answer: str | Exception) -> BootMenu:
    found = menus(ScriptedRunner(((*MENU, "/dev/a"), answer)), Files({}), DISKS)
    assert list(found) == ["/dev/a"]
    return found["/dev/a"]


def test_what_it_boots() -> None:
    """Printed by Xen 4.17."""
    assert asked("kernel None\nargs root=/dev/xvda ro\n\n") == BootMenu("root=/dev/xvda ro")
    assert asked("kernel None\n\n") == BootMenu("")


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        (f"{USING}The requested kernel file does not exist\n", "The requested kernel file does not exist"),
        (
            f"{USING}WARNING:root:Unknown directive menuentry\nTraceback (most recent call last):\n"
            '  File "/usr/bin/pygrub", line 1032, in <module>\n'
            "RuntimeError: Unable to find partition containing kernel\n",
            "RuntimeError: Unable to find partition containing kernel",
        ),
        ("", "nothing at all"),
    ],
)
def test_why_it_boots_nothing(stderr: str, told: str) -> None:
    assert asked(CommandFailed(MENU, 1, stderr)) == BootMenu("", told)


def test_a_pygrub_that_hangs_says_nothing_of_the_menu() -> None:
    with pytest.raises(CommandFailed):
        asked(CommandFailed(MENU, None, ""))


def test_no_guest_that_needs_it_costs_nothing() -> None:
    assert menus(ScriptedRunner(), TextFiles({}), desired(dom("db", device("/dev/c"), kernel="/k"))) == {}


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ("CONFIG_XEN=y\nCONFIG_XEN_512GB=y\n", Size(512 << 30)),
        ("# CONFIG_XEN_512GB is not set\n", None),
        ("CONFIG_XEN_MAX_DOMAIN_MEMORY=500\n", Size(500 << 30)),
    ],
)
def test_kernels(config: str, limit: Size | None) -> None:
    files = TextFiles({"/boot/config-6.1": config, "/srv/config-own": config})
    known = desired(
        dom("a", kernel="/boot/vmlinuz-6.1"), dom("b", kernel="/boot/vmlinuz-5"), dom("c", kernel="/srv/own"), dom("d")
    )
    assert kernels(files, known) == {"/boot/vmlinuz-6.1": limit}
