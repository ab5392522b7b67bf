"""What can stand in the place of a file, and what it must not do to anybody else's."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.hostile.conftest import SOMEBODY

SECRET = "somebody else's\n"


def victim(path: Path) -> Path:
    """A foreign file beside it, which links lead to."""
    other = path.parent / "victim"
    other.write_text(SECRET)
    other.chmod(0o604)
    return other


def _regular(path: Path, text: str, mode: int, owner: int) -> None:
    path.write_text(text)
    os.chown(path, owner, 0)
    path.chmod(mode)


def _socket(path: Path, text: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


# kind -> puts it at the path; `text` is what would be taken from there if anything were
THINGS: Mapping[str, Callable[[Path, str], None]] = {
    "fifo": lambda path, text: os.mkfifo(path),
    "link": lambda path, text: path.symlink_to(victim(path)),
    "link to nothing": lambda path, text: path.symlink_to(path.parent / "made-through-a-link"),
    "directory": lambda path, text: path.mkdir(),
    "socket": _socket,
    "device": lambda path, text: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
    "owner": lambda path, text: _regular(path, text, 0o600, SOMEBODY),
    "group": lambda path, text: _regular(path, text, 0o660, 0),
    "everybody": lambda path, text: _regular(path, text, 0o606, 0),
}


def hard_link(path: Path, text: str) -> None:
    os.link(victim(path), path)


def unharmed(path: Path) -> None:
    """Whatever stood beside `path` is as it was."""
    other = path.parent / "victim"
    if other.exists():
        assert other.read_text() == SECRET
        assert stat.S_IMODE(other.stat().st_mode) == 0o604
    assert not (path.parent / "made-through-a-link").exists()
