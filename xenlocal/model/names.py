"""Names of objects as xenlocal prints them: `domain/web`, `volume/vg0/web-root`, `bridge/br0`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    HOST = "host"
    BRIDGE = "bridge"
    VOLUME = "volume"  # an LVM logical volume, named VG/LV
    FILE = "file"  # a raw disk image on the dom0, named by its path
    DEVICE = "device"  # a given block device, named by its path
    ISCSI = "iscsi"  # a target at a portal, named by its section
    DOMAIN = "domain"


@dataclass(frozen=True, order=True)
class Target:
    """One object of the host, ours or foreign."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Target:
        """What `str` gave. Raises ValueError."""
        kind, _, name = text.partition("/")
        return cls(Kind(kind), name)


THIS_HOST = Target(Kind.HOST, "this")


def domain(name: str) -> Target:
    return Target(Kind.DOMAIN, name)


def bridge(name: str) -> Target:
    return Target(Kind.BRIDGE, name)


def iscsi(name: str) -> Target:
    return Target(Kind.ISCSI, name)


def volume(vg: str, lv: str) -> Target:
    return Target(Kind.VOLUME, f"{vg}/{lv}")


def device(path: str) -> Target:
    return Target(Kind.DEVICE, path)


_LOOK = "xenlocal-look."


def look_name(lv: str) -> str:
    """What the snapshot of an LV is called that is made only to look at it, and removed at once."""
    return f"{_LOOK}{lv}"


def is_look_name(lv: str) -> bool:
    return lv.startswith(_LOOK)


KERNELS = "kernels"  # the directory of copies of kernels
COPY = re.compile(r"[A-Za-z0-9_.+-]+\.[0-9a-f]{8}\.[0-9a-f]{16}-[0-9a-f]{8}(?:\.new|\.old)?")
"""A copy in it: the kernel's name, which files it is of, when they were last changed, a sum of what is seen of them.
.new: one that was never finished; .old: one that was about to be removed."""


RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
"""Of a kernel, as in /lib/modules."""


def is_whole_copy(name: str) -> bool:
    return not name.endswith((".new", ".old"))


_TRASH = re.compile(r"xenlocal-trash\.(\d{1,12})\.(.+)")


def trash_name(lv: str, unix_time: float) -> str:
    """What an LV is called in the trash. The name alone says when and what, so that one rename retires it."""
    return f"xenlocal-trash.{int(unix_time)}.{lv}"


def parse_trash_name(lv: str) -> tuple[int, str] | None:
    """(Unix time of retirement, former name), or None where it is no name of the trash."""
    match = _TRASH.fullmatch(lv)
    return (int(match[1]), match[2]) if match else None
