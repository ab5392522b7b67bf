"""The modules on the disks of guests: read as they are, or in a snapshot that is always removed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.adapters.scripted import ScriptedRunner, TextFiles
from tests.unit.planner.build import desired, dom, lv, observed, storage, volume
from xenlocal.adapters.argv import end_look, take_look
from xenlocal.adapters.kernels import parse_release
from xenlocal.adapters.modules import DEBUGFS, modules
from xenlocal.model.desired import Domain
from xenlocal.model.errors import CommandFailed, ToolMissing, XenlocalError
from xenlocal.model.inspection import GuestModules
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.storage import LOOK_TAG
from xenlocal.planner.checkup_modules import SNAPSHOT_ROOM

KERNEL = "/boot/vmlinuz-6.1.0-49-amd64"
RELEASE = "6.1.0-49-amd64"
HEADER = b"\x90" * 0x202 + b"HdrS" + b"\0" * 8 + b"\x20\0" + b"\0" * 0x10
BZIMAGE = HEADER + RELEASE.encode() + b" (debian-kernel@lists.debian.org) #1 SMP\0"
# printed by debugfs 1.47.0; /lib is a link to usr/lib
HAS = """debugfs: ls -p /
/2/040755/0/0/.//
/2/040755/0/0/..//
/11/040700/0/0/lost+found//
/12/120777/0/0/lib/7/
/13/040755/0/0/usr//

debugfs: ls -p /lib/modules
/15/040755/0/0/.//
/14/040755/0/0/..//
/17/040755/0/0/6.1.0-49-amd64//
/16/040755/0/0/6.1.0-18-amd64//
/18/100644/0/0/README/5/
/19/040755/0/0/two words//

"""
NONE = (
    "debugfs: ls -p /\n/2/040755/0/0/.//\n\ndebugfs: ls -p /lib/modules\n"  # File not found by ext2_lookup, on stderr
)
NO_EXT = "debugfs: ls -p /\ndebugfs: ls -p /lib/modules\n"  # Bad magic number in super-block, on stderr
LOOK = (*DEBUGFS, "/dev/vg0/web")
TAKE, END = take_look("vg0", "web", SNAPSHOT_ROOM), end_look("vg0", "xenlocal-look.web")
LOOK_IN = (*DEBUGFS, "/dev/vg0/xenlocal-look.web")
FREE, USED = (observed(storage=storage(volume("web", opened=opened))) for opened in (False, True))


def guest(**values: Any) -> Domain:
    return dom("web", lv("web"), **{"kernel": KERNEL, **values})


def found(seen: Observed, *script: Any, files: dict[str, str] | None = None, **values: Any) -> GuestModules | None:
    runner = ScriptedRunner(*script)
    kernel = {KERNEL: BZIMAGE.decode("latin-1")}
    try:
        return modules(runner, TextFiles({**kernel, **(files or {})}), desired(guest(**values)), seen).get("web")
    finally:
        assert len(runner.ran) == len(script)


def test_of_a_guest_that_is_off() -> None:
    assert found(FREE, (LOOK, HAS)) == GuestModules(RELEASE, ("6.1.0-18-amd64", "6.1.0-49-amd64"))
    assert found(FREE, (LOOK, NONE)) == GuestModules(RELEASE)
    what = "/dev/vg0/web holds no ext2, ext3 or ext4 file system that could be read"
    assert found(FREE, (LOOK, NO_EXT)) == found(FREE, (LOOK, "")) == GuestModules(RELEASE, unknown=what)


def test_of_one_that_runs() -> None:
    assert found(USED, (TAKE, ""), (LOOK_IN, HAS), (END, "")) == GuestModules(
        RELEASE, ("6.1.0-18-amd64", "6.1.0-49-amd64")
    )


def test_the_snapshot_goes_whatever_happens() -> None:
    failed = CommandFailed(LOOK_IN, None, "")
    assert found(USED, (TAKE, ""), (LOOK_IN, failed), (END, "")) == GuestModules(RELEASE, unknown=str(failed))
    with pytest.raises(ToolMissing):
        found(USED, (TAKE, ""), (LOOK_IN, ToolMissing("no debugfs")), (END, ""))
    with pytest.raises(KeyboardInterrupt):
        found(USED, (TAKE, ""), (LOOK_IN, KeyboardInterrupt()), (END, ""))


def test_one_that_was_not_made_is_another_s() -> None:
    """But one whose making ran into its deadline may be there."""
    there = CommandFailed(TAKE, 5, "already exists")
    assert found(USED, (TAKE, there)) == GuestModules(RELEASE, unknown=str(there))
    late = CommandFailed(TAKE, None, "")
    assert found(USED, (TAKE, late), (END, "")) == GuestModules(RELEASE, unknown=str(late))


def test_one_that_cannot_be_removed_is_said_aloud() -> None:
    with pytest.raises(
        XenlocalError, match="a snapshot could not be removed: .*; type: lvremove vg0/xenlocal-look.web"
    ):
        found(USED, (TAKE, ""), (LOOK_IN, HAS), (END, CommandFailed(END, 5, "in use")))


def test_what_an_earlier_look_has_left_behind_is_removed_first() -> None:
    mark = frozenset({LOOK_TAG})
    left = (
        volume("xenlocal-look.old", tags=mark),
        volume("xenlocal-look.now", tags=mark, opened=True),
        volume("xenlocal-look.own"),
        volume("own", tags=mark),
    )
    seen = observed(storage=storage(volume("web"), *left))
    assert found(seen, (end_look("vg0", "xenlocal-look.old"), ""), (LOOK, HAS))


@pytest.mark.parametrize("table", ["domains", "storage", "paths", "xenstore"])
def test_nothing_is_read_where_who_has_it_is_not_known(table: str) -> None:
    seen = observed(**{"storage": storage(volume("web")), table: Unavailable("it hangs")})
    with pytest.raises(XenlocalError, match=f"{table} is not known: it hangs"):
        found(seen)
    assert modules(ScriptedRunner(), TextFiles({}), desired(dom("db", bootloader="pygrub")), seen) == {}


def test_which_guests_are_looked_at() -> None:
    assert found(FREE, kernel=None) is None
    assert found(FREE, kernel="/gone") is None
    assert found(FREE, files={f"/boot/config-{RELEASE}": "#\n# CONFIG_MODULES is not set\n"}) is None
    assert found(FREE, (LOOK, HAS), files={f"/boot/config-{RELEASE}": "#\nCONFIG_MODULES=y\n"})
    assert found(FREE, kernel="/elf", files={"/elf": "\x7fELF" + "\0" * 0x300}) == GuestModules(None)
    assert found(FREE, cmdline="root=/dev/sda1") == GuestModules(RELEASE)
    assert found(observed()) == GuestModules(RELEASE, unknown="volume/vg0/web does not exist yet")


def test_the_release_of_a_kernel() -> None:
    assert parse_release(BZIMAGE) == RELEASE
    assert parse_release(b"") is None and parse_release(HEADER) is None
    assert parse_release(HEADER[:0x20E] + b"\0\0" + BZIMAGE[0x210:]) is None, "it says that there is none"
