"""The configuration directory, read (`conffiles`) and watched. Alone imports pyinotify.

An event is only a hint to look again. The thread blocks in poll(): an idle daemon has no wake-ups from here. Only while
there is nothing to watch (no such directory, no inotify) the directory is looked at every five seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable
from typing import Any

import pyinotify

from xenlocal.adapters.conffiles import ConfigFiles, is_configuration, read_files

__all__ = ["ConfigDir", "ConfigWatch", "read_files"]

_POLL_SECONDS = 5.0
# FACTS: the directory, not the files, since editors rename. IN_ATTRIB: a chmod is how a refused file is put right.
_MASK = (
    pyinotify.IN_CLOSE_WRITE | pyinotify.IN_MOVED_TO | pyinotify.IN_MOVED_FROM | pyinotify.IN_DELETE
    | pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_ATTRIB | pyinotify.IN_ONLYDIR
)  # fmt: skip
_LOST = pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_UNMOUNT | pyinotify.IN_IGNORED

log = logging.getLogger("xenlocal")
pyinotify.log.setLevel(logging.CRITICAL)  # it writes to stderr by itself; what matters is raised as well


class ConfigDir(ConfigFiles):
    """Satisfies `engine.ports.ConfigSource`, and can be watched."""

    def watch(self, on_change: Callable[[], None]) -> ConfigWatch:
        """Call `on_change`, from a thread of the watch's own, whenever the configuration may have changed."""
        return ConfigWatch(self.path, on_change)


class ConfigWatch:
    """Calls `on_change` (from its thread) whenever a `*.conf` file or the directory itself may have changed."""

    def __init__(self, path: str, on_change: Callable[[], None], poll_seconds: float = _POLL_SECONDS) -> None:
        self._path, self._on_change, self._poll_seconds = os.path.abspath(path), on_change, poll_seconds
        self._stopped = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._said = False
        self.ready = threading.Event()  # set while inotify watches; for tests
        self._thread = threading.Thread(target=self._run, name="xenlocal-config", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        os.eventfd_write(self._wake, 1)
        self._thread.join(timeout=10)
        if not self._thread.is_alive():
            os.close(self._wake)

    def _run(self) -> None:
        first, seen = True, ""
        while not self._stopped.is_set():
            try:
                lost = self._watch(look=not first)
            except (OSError, pyinotify.PyinotifyError, pyinotify.WatchManagerError) as error:
                self._say(error)
                lost = False
            first = False
            if lost:
                continue  # a directory of that name may be there already
            now = self._signature()
            if now != seen:
                seen = now
                self._on_change()
            self._stopped.wait(self._poll_seconds)

    def _watch(self, look: bool) -> bool:
        """Until the watch is lost (True) or `stop`. `look`: there was a time without a watch, so look once."""
        manager = pyinotify.WatchManager()
        handler = _Handler()
        notifier = pyinotify.Notifier(manager, handler)
        try:
            manager.add_watch(self._path, _MASK, quiet=False)
            self._said = False
            self.ready.set()
            if look:
                self._on_change()
            poll = select.poll()
            poll.register(manager.get_fd(), select.POLLIN)
            poll.register(self._wake, select.POLLIN)
            while True:
                poll.poll()
                if self._stopped.is_set():
                    return False
                notifier.read_events()
                notifier.process_events()
                lost, changed = handler.take()
                if changed or lost:
                    self._on_change()
                if lost:
                    return True
        finally:
            self.ready.clear()
            with contextlib.suppress(OSError):
                notifier.stop()

    def _say(self, error: Exception) -> None:
        if not self._said:
            self._said = True
            log.warning(
                "cannot watch %s (%s); looking at it every %.0f s instead", self._path, error, self._poll_seconds
            )

    def _signature(self) -> str:
        """What is to be seen of the directory from outside: names, sizes and times."""
        try:
            with os.scandir(self._path) as entries:
                seen = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        except OSError as error:
            return repr(error.errno)
        return repr(sorted((name, each.st_ino, each.st_size, each.st_ctime_ns) for name, each in seen))


class _Handler(pyinotify.ProcessEvent):  # type: ignore[misc]  # the library has no types
    """Collects what a batch of events means."""

    def my_init(self, **_: Any) -> None:
        self._lost = self._changed = False

    def take(self) -> tuple[bool, bool]:
        lost, changed = self._lost, self._changed
        self._lost = self._changed = False
        return lost, changed

    def process_IN_Q_OVERFLOW(self, event: Any) -> None:  # pyinotify finds it by this name
        self._changed = True

    def process_default(self, event: Any) -> None:
        if event.mask & _LOST:
            self._lost = True
        elif not event.name or is_configuration(event.name):
            self._changed = True
