"""Copies of the kernels that domUs are started from, in STATE/kernels: what is removed from the dom0 takes no guest's
next reboot away. A copy is a directory with a kernel and its ramdisk; `planner.kernels` names it.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from xenlocal.adapters import own
from xenlocal.adapters.files import FileReader
from xenlocal.model.errors import XenlocalError
from xenlocal.model.names import KERNELS
from xenlocal.model.observed import Kept, PathKind
from xenlocal.planner.kernels import copy_name, newest

_KEYS = ("kernel", "ramdisk")  # of xl.cfg, in the order of `planner.kernels.boot_files`
_NONE = "# no copy of its kernel: "

log = logging.getLogger("xenlocal")


class Kernels:
    """`files` is where the kernels are, `own` where the generated xl.cfg are; they differ only on a simulated host.
    `copy(place, name, sources)` makes a directory `name` with a file for each of `sources`, whole or not at all."""

    def __init__(
        self,
        state_dir: str,
        run_dir: str,
        files: FileReader,
        own: FileReader,
        copy: Callable[[str, str, Mapping[str, str]], None],
    ) -> None:
        self.place = os.path.join(os.path.abspath(state_dir), KERNELS)
        self._configs = os.path.join(os.path.abspath(run_dir), "domains")
        self._files, self._own, self._copy = files, own, copy
        self._copying = threading.Lock()  # two starts may want the same

    def kept(self) -> Kept:
        """Raises XenlocalError."""
        used: dict[str, frozenset[str]] = {}
        without: dict[str, str] = {}
        paths = [f"{self._configs}/{name}" for name in self._own.names(self._configs) if name.endswith(".cfg")]
        facts = self._own.paths(paths)
        # the last that was written counts, of that of a start and that for the next reboot; copies of both may be used
        for path in sorted(facts, key=lambda path: facts[path].changed):
            domain = os.path.basename(path).removesuffix(".cfg").removesuffix(".next")
            text = self._own.read_text(path) or ""
            used[domain] = used.get(domain, frozenset()) | self._named(text)
            without.pop(domain, None)
            without.update((domain, why) for why in re.findall(rf"^{_NONE}(.*)$", text, re.MULTILINE))
        return Kept(self.place, frozenset(self._files.names(self.place)), used, without)

    def _named(self, text: str) -> frozenset[str]:
        return frozenset(re.findall(rf"\"{re.escape(self.place)}/([^/\"]+)/", text))

    def from_copy(self, text: str, settings: Mapping[str, str]) -> str:
        """The text of an xl.cfg that says `settings`, to start from a copy. Where there can be none, from the files
        themselves: a full disk keeps no domU off."""
        declared = {key: settings[key].strip('"') for key in _KEYS if key in settings}
        if not declared:
            return text
        try:
            name = self._keep(tuple(declared.values()))
        except XenlocalError as error:
            log.warning("%s is used as it is: %s", declared["kernel"], error)
            return f"{text}{_NONE}{' '.join(str(error).split())}\n"
        for key, path in declared.items():
            text = text.replace(f'\n{key} = "{path}"\n', f'\n{key} = "{self.place}/{name}/{key}"\n')
        return text

    def _keep(self, paths: tuple[str, ...]) -> str:
        facts = self._files.paths(paths)
        with self._copying:
            copies = frozenset(self._files.names(self.place))
            if facts.keys() < set(paths):
                if (kept := newest(paths, copies)) is None:
                    raise XenlocalError(f"there is no copy of it, nor {', '.join(sorted({*paths} - facts.keys()))}")
                return kept
            if odd := [path for path in paths if facts[path].kind is not PathKind.FILE]:
                raise XenlocalError(f"cannot copy {odd[0]}: it is not a regular file")
            if (name := copy_name(paths, facts)) not in copies:
                self._copy(self.place, name, dict(zip(_KEYS, paths, strict=False)))
            return name


def copy_whole(place: str, name: str, sources: Mapping[str, str]) -> None:
    """Also across a power cut. Raises XenlocalError, and leaves nothing behind then."""
    temporary = os.path.join(place, f"{name}.new")
    try:
        with own.directory(place) as directory:
            shutil.rmtree(temporary, ignore_errors=True)  # left by a crash
            os.mkdir(temporary, 0o700)
            for each, source in sources.items():
                _copy_file(source, os.path.join(temporary, each))
            _sync(temporary)
            os.replace(temporary, os.path.join(place, name))
            os.fsync(directory)
    except OSError as error:
        with suppress(OSError):
            shutil.rmtree(temporary)
        raise XenlocalError(f"cannot copy {' and '.join(sources.values())} to {place}: {error.strerror}") from error


def _copy_file(source: str, target: str) -> None:
    with open(source, "rb") as read, open(target, "xb") as written:
        os.fchmod(written.fileno(), 0o600)
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def _sync(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
