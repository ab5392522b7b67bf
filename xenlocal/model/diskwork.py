"""What is done to the disks of a domU before it starts: its first installation, as `[[install]]` says, the growth of
a file system with its disk, and the modules of a kernel on trial; and the marks of a disk that waits for that.

xenlocal puts the mark where it makes or grows the disk, or begins the trial, and what does the work takes it away at
its very end. So the mark survives everything. That of an installation says that nothing but an unfinished one of ours
can be on the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Preparation(StrEnum):
    """Takes minutes, so each is done by a script of the package in a unit of its own."""

    INSTALL = "install"
    RESIZE = "resize"
    MODULES = "modules"

    @property
    def mark(self) -> str:
        """Tag of an LV; an image file has an empty file of its name with this after a dot."""
        return f"xenlocal-{self}"

    def mark_of_file(self, path: str) -> str:
        """Where the mark of an image file is."""
        return f"{path}.{self.mark}"

    def key_of(self, path: str) -> str:
        """What the memory calls such work on a disk."""
        return f"{self} {path}"

    def log_of(self, name: str) -> str:
        """What the latest such work on a disk of a domU has said."""
        return f"/var/log/xenlocal/{self}-{name}.log"


_TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst")
_RAW = (".img", ".raw")


@dataclass(frozen=True)
class Install:
    """`[[install]]`: a release of Debian, or an image. Paths are those of the dom0."""

    suite: str | None = None
    image: str | None = None
    mirror: str | None = None  # of Debian, by its URL; or a file of sources.list(5)
    packages: tuple[str, ...] = ()
    hostname: str | None = None  # None: the name of the domU
    address: str | None = None  # of the first nic, CIDR; None: by DHCP
    gateway: str | None = None
    dns: tuple[str, ...] = ()
    ssh_key: str | None = None  # file of public keys for root
    root_password: str | None = None  # file with its hash; None: locked
    hooks: str | None = None  # directory

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Key and path of all that it reads of the dom0."""
        mirror = self.mirror if self.mirror and self.mirror.startswith("/") else None
        named = {"image": self.image, "mirror": mirror, "ssh_key": self.ssh_key}
        named |= {"root_password": self.root_password, "hooks": self.hooks}
        return tuple((key, path) for key, path in named.items() if path is not None)


def kind_of_image(path: str) -> str:
    """raw, tar, or "" where its name does not tell."""
    if path.endswith(_RAW):
        return "raw"
    return "tar" if path.endswith(_TARS) else ""
