"""iSCSI: what the files declare, and what the kernel and open-iscsi show of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# The kernel's words for a session that works, and for one that is lost as long as whoever reads its disks is kept
# waiting: for open-iscsi's replacement_timeout, 120 s. After that it is FREE, and reading fails.
LOGGED_IN, FAILED = "LOGGED_IN", "FAILED"
_BY_PATH = re.compile(r".*/ip-(?P<address>.+):(?P<port>\d{1,5})-iscsi-(?P<iqn>.+)-lun-[^/]+")


@dataclass(frozen=True, order=True)
class Portal:
    """Where a target is reached: an IPv4 or IPv6 address and a TCP port."""

    address: str
    port: int = 3260

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, order=True)
class Node:
    """open-iscsi's word for a target at a portal: what one logs in to, which makes a session."""

    iqn: str
    portal: Portal

    def __str__(self) -> str:
        return f"{self.iqn} at {self.portal}"

    @classmethod
    def of_disk(cls, path: str) -> Node | None:
        """From the name that udev gives its disks, /dev/disk/by-path/ip-ADDRESS:PORT-iscsi-TARGET-lun-N."""
        match = _BY_PATH.fullmatch(path)
        return None if match is None else cls(match["iqn"], Portal(match["address"], int(match["port"])))


@dataclass(frozen=True)
class Chap:
    """How one proves to the target who one is. `secret`: the path of the file that holds it; what it holds never
    leaves the adapter that hands it to open-iscsi."""

    user: str
    secret: str


@dataclass(frozen=True)
class IscsiFacts:
    """`sessions`: the state of each in the kernel's words, whoever logged in; `records`: the nodes that open-iscsi has
    a record of; `declared`: the node of each section that was looked for."""

    sessions: Mapping[Node, str]
    records: frozenset[Node] = frozenset()
    declared: Mapping[str, Node] = field(default_factory=lambda: MappingProxyType({}))

    def state(self, name: str) -> str | None:
        """Of the session that a section declares; None where there is none."""
        node = self.declared.get(name)
        return None if node is None else self.sessions.get(node)
