"""The only module of the simulator that touches real files: the state in a FILE, the xl.cfg that `xl create` is
handed, and the uptime, by which a live simulation goes."""

from __future__ import annotations

import fcntl
import os

UPTIME = "/proc/uptime"


def read_file(path: str) -> str:
    """A text file. Raises OSError."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def uptime() -> float:
    """Seconds since this machine booted: the same clock in every process, and none that jumps."""
    return float(read_file(UPTIME).split()[0])


class Store:
    """The text of FILE, changed by one process at a time. FILE.lock is held while it is read or changed; FILE.live,
    shared, by every process that runs it live."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._lock = _open_lock(f"{self.path}.lock")
        self._live = _open_lock(f"{self.path}.live")
        self._stamp: tuple[int, int, int] | None = None
        self.text = ""
        """As last read or written."""

    def lock(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def unlock(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def changed(self) -> bool:
        """Whether somebody else wrote it since."""
        return self._look() != self._stamp

    def read(self) -> str | None:
        """Its text, None where there is no file or an empty one."""
        self._stamp = self._look()
        self.text = read_file(self.path) if self._stamp else ""
        return self.text or None

    def write(self, text: str) -> None:
        """Replace it as a whole."""
        temporary = f"{self.path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, self.path)
        self.text, self._stamp = text, self._look()

    def anybody_live(self) -> bool:
        """Whether another process runs it live; else nobody can begin to before `unlock`, as all ask under `lock`."""
        try:
            fcntl.flock(self._live, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._live, fcntl.LOCK_UN)
        return False

    def go_live(self) -> None:
        fcntl.flock(self._live, fcntl.LOCK_SH)

    def close(self) -> None:
        for descriptor in (self._live, self._lock):
            os.close(descriptor)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)


def _open_lock(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
