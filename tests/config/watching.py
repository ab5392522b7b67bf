"""A configuration directory that real programs write to, and two readers of it such as the daemon is one.

Every version of the configuration says its number in many places, so that half of one is no version at all.
"""

from __future__ import annotations

import errno
import subprocess
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pyinotify
import pytest

from xenlocal.adapters import conffiles
from xenlocal.adapters.confdir import ConfigDir, ConfigWatch
from xenlocal.config import read
from xenlocal.engine.configuration import Configuration
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.desired import Desired

HOST_ID = "host"
DOMAINS = 4
PATIENCE = 30.0  # seconds until an edit that was not read counts as missed


def mark_of(number: int) -> str:
    return f"v{number:06}"


def text_of(number: int) -> str:
    """Version `number`: some kilobytes, in which its mark stands from the first line to the last."""
    mark = mark_of(number)
    return "".join(
        f"# version {mark}: {'büro ' * 150}\n[domain guest{place}]\nmemory = 1G\nkernel = /boot/vmlinuz-{mark}\n"
        f"description = {'für alle ' * 9}\ncmdline = root=/dev/xvda version={mark}\n"
        for place in range(DOMAINS)
    )


@cache
def desired_of(number: int, file: str) -> Desired:
    return read([ConfigFile(file, text_of(number))], HOST_ID)


def beside(path: Path, number: int) -> Path:
    """The new version, in a file outside the directory."""
    new = path.parent.parent / "new"
    new.write_text(text_of(number), encoding="utf-8")
    return new


def run(*words: str | Path) -> None:
    """A program that must succeed. What it says is shown where the test fails."""
    subprocess.run(words, check=True, close_fds=False, stdin=subprocess.DEVNULL, timeout=PATIENCE)


class _NoRecords:
    """There is no last good configuration here, and none is kept."""

    def load_good(self) -> None:
        return None

    def save_good(self, files: Sequence[ConfigFile]) -> None: ...


class Reader:
    """Puts into force what it reads, as `Configuration` does, whenever `woken`; and remembers what that was."""

    def __init__(self, directory: Path) -> None:
        self.configuration = Configuration(ConfigDir(str(directory)), _NoRecords(), HOST_ID)  # type: ignore[arg-type]
        self.woken, self._stopped = threading.Event(), False
        self.fallen: BaseException | None = None
        self.applied: list[Desired] = []
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self.woken.set()
        self._thread.join(PATIENCE)

    def wait(self, wanted: Desired) -> None:
        """Until it is in force."""
        with self._news:
            came = self._news.wait_for(lambda: bool(self.applied) and self.applied[-1] == wanted, PATIENCE)
        assert not self.fallen, self.fallen
        assert came, f"an edit was missed; the files: {[str(each) for each in self.configuration.problems] or 'valid'}"

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._wait()
                self._look()
        except BaseException as error:
            self.fallen = error

    def _wait(self) -> None:
        self.woken.wait()
        self.woken.clear()

    def _look(self) -> None:
        self.configuration.load()
        now = self.configuration.desired
        if now is not None and (not self.applied or now is not self.applied[-1]):
            with self._news:
                self.applied.append(now)
                self._news.notify_all()


class HastyReader(Reader):
    """Looks again all the time, as a daemon does whose guests come and go, and its timers."""

    def _wait(self) -> None:
        self.woken.wait(0.002)


Save = Callable[[Path, int], None]


def save_and_read(save: Save, path: Path, saves: int, poll: bool = False, quiet: float | None = None) -> None:
    """`save` puts version after version at `path`: each is read, and nothing but whole versions, in their order.

    `poll`: without inotify. `quiet`: the seconds without a change before a file is read; None: as they are.
    """
    path.write_text(text_of(0), encoding="utf-8")
    path.chmod(0o644)
    with pytest.MonkeyPatch.context() as patch:
        if poll:
            patch.setattr(pyinotify.WatchManager, "add_watch", _no_watch)
        if quiet is not None:
            patch.setattr(conffiles, "_QUIET", quiet)
            patch.setattr(conffiles, "_PAUSE", max(conffiles._PAUSE, quiet / 2))
        watching, hasty = Reader(path.parent), HastyReader(path.parent)
        watch = ConfigWatch(str(path.parent), watching.woken.set, 0.01)
        assert poll or watch.ready.wait(PATIENCE)
        watching.woken.set()
        try:
            for number in range(saves + 1):
                if number:
                    save(path, number)
                for reader in (watching, hasty):
                    reader.wait(desired_of(number, str(path)))
        finally:
            watch.stop()
            for reader in (watching, hasty):
                reader.stop()
    for reader in (watching, hasty):
        for number, each in enumerate(reader.applied):
            told = {domain.cmdline for domain in each.domains.values()}
            assert each == desired_of(number, str(path)), f"applied after {number} versions: {len(each.domains)} {told}"
        assert len(reader.applied) == saves + 1


def _no_watch(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "no more watches")
