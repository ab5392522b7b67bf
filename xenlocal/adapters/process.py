"""The process itself: one owner of changes at a time, and the way into the background outside systemd.

Alone imports daemon. What python-daemon does by default does not suit us: see `daemonize`.
"""

from __future__ import annotations

import fcntl
import os
import signal
from types import TracebackType

from xenlocal.adapters import own
from xenlocal.model.errors import XenlocalError


class Busy(XenlocalError):
    """Another process of ours has the lock. `pid`: its process id, None where it did not say."""

    def __init__(self, path: str, pid: int | None) -> None:
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"cannot take {path}: {who} is working on this host; try again when it has ended")


class Lock:
    """flock on RUN/lock: whoever holds it may change the host. The kernel drops it with the process, however that
    ends, so it is never stale; the file stays (to remove it would let two processes lock two files of one name).

    A context manager. Raises Busy, XenlocalError.
    """

    def __init__(self, run_dir: str) -> None:
        self._path = os.path.join(run_dir, "lock")
        self._descriptor: int | None = None

    def __enter__(self) -> Lock:
        try:
            with own.directory(os.path.dirname(self._path)) as directory:
                descriptor = own.open_file(self._path, os.O_RDWR | os.O_CREAT, directory=directory)
        except OSError as error:
            raise XenlocalError(f"cannot open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise Busy(self._path, int(holder) if holder.isdecimal() else None) from None
        self._descriptor = descriptor
        self.write_pid()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def fileno(self) -> int:
        """Raises ValueError where the lock is not held."""
        if self._descriptor is None:
            raise ValueError(f"{self._path} is not locked")
        return self._descriptor

    def write_pid(self) -> None:
        """Again after a fork: the lock goes over to the child."""
        os.ftruncate(self.fileno(), 0)
        os.pwrite(self.fileno(), f"{os.getpid()}\n".encode(), 0)


def daemonize(lock: Lock, output: str) -> None:
    """Go into the background; returns in the daemon alone. stdout and stderr go to the end of the file `output`.

    `lock` is already held: a second daemon then fails in the foreground, with a message and an exit code, which
    python-daemon's own pidfile, taken after the fork, cannot do. Every other descriptor is closed, so this comes
    before anything that opens one. The defaults of python-daemon that are set aside: umask 0, output to /dev/null,
    SIGTERM raising SystemExit (the caller sets its handlers afterwards), no core files for our children.
    Raises XenlocalError.
    """
    import daemon  # here: under systemd it is not needed, and costs 3 MB

    try:
        log = own.open_file(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    except OSError as error:
        raise XenlocalError(f"cannot write {output}: {error.strerror}") from error
    with open(log, "a", encoding="utf-8") as stream:
        context = daemon.DaemonContext(
            detach_process=True,
            umask=0o077,
            working_directory="/",
            stdout=stream,
            stderr=stream,
            files_preserve=[lock.fileno()],
            prevent_core=False,
            signal_map={signal.SIGTTIN: None, signal.SIGTTOU: None, signal.SIGTSTP: None},
        )
        try:
            context.open()
        except daemon.daemon.DaemonError as error:
            raise XenlocalError(f"cannot go into the background: {error}") from error
    lock.write_pid()
