"""Files of the host that are neither configuration nor our records: looked at, read, and generated for `xl`.

Besides `confdir`, `records` and `process` the only module that opens files.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import IO, Protocol

from xenlocal.adapters import own
from xenlocal.adapters.trust import why_untrusted
from xenlocal.model.errors import XenlocalError
from xenlocal.model.observed import PathFacts, PathKind
from xenlocal.model.units import Size

TEXT_LIMIT = 4 << 20  # bytes; the longest is /proc/net/ipv6_route of a dom0 with hundreds of vifs
_PIECE = 64 << 10  # bytes; of what lies in /proc/sys the kernel refuses to give 4 MiB at once (ENOMEM)


class FileReader(Protocol):
    """What the other adapters read without a command; the simulator answers it too."""

    def paths(self, paths: Iterable[str]) -> Mapping[str, PathFacts]:
        """stat() of each; those that do not exist are left out. Raises XenlocalError where that is not known."""

    def read_text(self, path: str) -> str | None:
        """The text of a file, None where there is none. Raises XenlocalError where it cannot be read."""

    def head(self, path: str, size: int) -> bytes | None:
        """The first bytes of a file, None where there is none. Raises XenlocalError where it cannot be read."""

    def read_on(self, path: str, place: str, limit: int) -> tuple[str, str] | None:
        """The place of the end of a file that others append to, and what came after `place`, of which the last
        `limit` bytes; all of it where `place` is "", or of another file, or beyond the end (it was truncated). None
        where there is no file. Raises XenlocalError where it cannot be read."""

    def untrusted(self, path: str) -> str:
        """Why root should not run the program at `path`; "" where nobody but root can have put it there."""

    def names(self, path: str) -> tuple[str, ...]:
        """What is in a directory, sorted; nothing where there is none. Raises XenlocalError where that is not known."""

    def command_lines(self) -> tuple[tuple[str, ...], ...]:
        """The argument lists of all processes. Raises XenlocalError where they cannot be had."""


class Files:
    """The real file system."""

    def paths(self, paths: Iterable[str]) -> Mapping[str, PathFacts]:
        facts = {}
        for path in sorted(set(paths)):
            try:
                found = os.stat(path)
                real = os.path.realpath(path, strict=True)
            except (FileNotFoundError, NotADirectoryError):
                continue  # known to be absent
            except (OSError, ValueError) as error:
                raise XenlocalError(f"cannot look at {path}: {_why(error)}") from error
            facts[path] = _facts(found, real)
        return MappingProxyType(facts)

    def head(self, path: str, size: int) -> bytes | None:
        try:
            with _open_regular(path) as file:
                return file.read(size)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise XenlocalError(f"cannot read {path}: {_why(error)}") from error

    def read_on(self, path: str, place: str, limit: int) -> tuple[str, str] | None:
        try:
            with _open_regular(path) as file:
                found = os.fstat(file.fileno())
                inode, _, offset = place.partition(":")
                begin = int(offset) if inode == str(found.st_ino) and int(offset) <= found.st_size else 0
                file.seek(max(begin, found.st_size - limit))
                data = file.read(min(limit, found.st_size - begin))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise XenlocalError(f"cannot read {path}: {_why(error)}") from error
        return f"{found.st_ino}:{found.st_size}", data.decode("utf-8", "replace")

    def untrusted(self, path: str) -> str:
        return why_untrusted(path)

    def names(self, path: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(os.listdir(path)))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise XenlocalError(f"cannot look at {path}: {_why(error)}") from error

    def command_lines(self) -> tuple[tuple[str, ...], ...]:
        lines = []
        try:
            processes = [name for name in os.listdir("/proc") if name.isdecimal()]
        except OSError as error:
            raise XenlocalError(f"cannot look at /proc: {_why(error)}") from error
        for process in processes:
            with contextlib.suppress(OSError):  # it has just ended
                with open(f"/proc/{process}/cmdline", "rb") as file:
                    words = file.read(TEXT_LIMIT).decode("utf-8", "backslashreplace")
                lines.append(tuple(words.removesuffix("\0").split("\0")))
        return tuple(lines)

    def read_text(self, path: str) -> str | None:
        try:
            with _open_regular(path) as file:
                data = b""
                while len(data) <= TEXT_LIMIT and (piece := file.read(_PIECE)):
                    data += piece
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise XenlocalError(f"cannot read {path}: {_why(error)}") from error
        if len(data) > TEXT_LIMIT:
            raise XenlocalError(f"cannot read {path}: longer than {TEXT_LIMIT} bytes")
        return data.decode("utf-8", "backslashreplace")


def write_private(path: str, text: str, mode: int = 0o600) -> None:
    """Put `text` at `path` as a whole or not at all, also across a power cut: new file, fsync, rename, fsync.

    The directory is made (0700) where it is missing. Raises OSError, and XenlocalError where others can write to it.
    """
    place, name = os.path.split(path)
    temporary = f".{name}.new"
    with own.directory(place) as directory:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)  # left by a crash; O_EXCL then follows no link planted at its name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, mode, dir_fd=directory)
        try:
            with open(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text.encode("utf-8", "surrogateescape"))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
            raise
        os.fsync(directory)


def _open_regular(path: str) -> IO[bytes]:
    """Logs and /proc: a link is followed, but a FIFO is not waited for. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    file = open(descriptor, "rb")  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise ValueError("it is not a regular file")
    return file


def _facts(found: os.stat_result, real: str) -> PathFacts:
    if stat.S_ISBLK(found.st_mode):
        device = (os.major(found.st_rdev), os.minor(found.st_rdev))
        return PathFacts(PathKind.BLOCK, Size(0), real, device)
    if stat.S_ISREG(found.st_mode):
        return PathFacts(PathKind.FILE, Size(found.st_size), real, changed=found.st_mtime_ns)
    return PathFacts(PathKind.OTHER, Size(0), real)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
