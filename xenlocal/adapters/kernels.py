"""Copies of the kernels that domUs are started from, in STATE/kernels: what is removed from the dom0 takes no guest's
next reboot away. A copy is a directory with a kernel and its ramdisk; `planner.kernels` names it.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import threading
from collections.abc import Callable, Mapping

from xenlocal.adapters import own
from xenlocal.adapters.files import FileReader
from xenlocal.adapters.trials import Trials
from xenlocal.model.errors import XenlocalError
from xenlocal.model.names import KERNELS, RELEASE
from xenlocal.model.observed import Built, Kept, PathKind
from xenlocal.model.units import Size
from xenlocal.planner.kernels import copy_name, newest

_KEYS = ("kernel", "ramdisk")  # of xl.cfg, in the order of `planner.kernels.boot_files`
_NONE = "# no copy of its kernel: "
_USERDATA = "/var/lib/xen"  # of libxl: what each domU was made of; and what `xl config-update` said, which goes first
_SAYS = re.compile(r'(?m)^(name|uuid) = "(.*)"$')  # in the xl.cfg of a start
_OF_DOMU = re.compile(r"userdata-d\.(\d+)\.([0-9a-f-]+)\.(libxl-json|xl)")
_BOOTS = re.compile(r'\b(?:kernel|ramdisk)"?\s*[=:]\s*"(/[^"]*)"')  # in JSON or in xl.cfg
HEADER = 0x200 + 0x10000 + 256
"""Bytes of a kernel: up to the end of its header, to the furthest place of its release, and of that."""

log = logging.getLogger("xenlocal")


class Kernels:
    """`files` is where the kernels are, `own` where the generated xl.cfg are; they differ only on a simulated host.
    `copy(place, name, sources, still)` makes a directory `name` with a file for each of `sources`, whole or not at all,
    and not where these are not `still` what they were. `trials` says which copies are on trial."""

    def __init__(
        self,
        state_dir: str,
        run_dir: str,
        files: FileReader,
        own: FileReader,
        copy: Callable[[str, str, Mapping[str, str], Callable[[], bool]], None],
        trials: Trials,
    ) -> None:
        self.trials = trials
        self.place = os.path.join(os.path.abspath(state_dir), KERNELS)
        self._configs = os.path.join(os.path.abspath(run_dir), "domains")
        self._files, self._own, self._copy = files, own, copy
        self._copying = threading.Lock()  # two starts may want the same

    def kept(self) -> Kept:
        """Raises XenlocalError."""
        texts = {
            path: self._own.read_text(path) or ""
            for path in (f"{self._configs}/{name}" for name in self._own.names(self._configs))
            if path.endswith(".cfg")
        }
        named = frozenset[str]().union(*map(self._copies, texts.values()))
        copies = frozenset(self._files.names(self.place))
        return Kept(self.place, copies, named, self._without(texts), self._built(), self._started(texts))

    def release(self, path: str) -> str | None:
        """None where it names none, or is not there. Raises XenlocalError."""
        head = self._files.head(path, HEADER)
        return None if head is None else parse_release(head)

    def _started(self, texts: Mapping[str, str]) -> Mapping[str, str]:
        """A domU that was renamed has an xl.cfg of each name; the other of a name, NAME.next, is for its own reboot."""
        starts: dict[str, list[str]] = {}
        for path, text in texts.items():
            said = dict(_SAYS.findall(text))
            if "uuid" in said and path == f"{self._configs}/{said.get('name')}.cfg":
                starts.setdefault(said["uuid"], []).append(path)
        facts = self._own.paths([path for paths in starts.values() if len(paths) > 1 for path in paths])
        latest = {
            uuid: max(paths, key=lambda path: facts[path].changed if path in facts else 0)
            for uuid, paths in starts.items()
        }
        return {uuid: copy for uuid, path in latest.items() for copy in self._copies(texts[path])}

    def _without(self, texts: Mapping[str, str]) -> Mapping[str, str]:
        """Of a domU's xl.cfg, that of its start and that for the next reboot, the last one that was written counts."""
        why = {path: match[1] for path, text in texts.items() if (match := re.search(rf"(?m)^{_NONE}(.*)$", text))}
        names = {path: os.path.basename(path).removesuffix(".cfg").removesuffix(".next") for path in texts}
        concerned = {names[path] for path in why}
        facts = self._own.paths([path for path in texts if names[path] in concerned])
        latest = {names[path]: path for path in sorted(facts, key=lambda path: facts[path].changed)}
        return {name: why[path] for name, path in latest.items() if path in why}

    def _built(self) -> Mapping[tuple[int, str], Built]:
        said: dict[tuple[int, str], dict[str, str]] = {}
        for name in self._files.names(_USERDATA):
            if (match := _OF_DOMU.fullmatch(name)) and (text := self._files.read_text(f"{_USERDATA}/{name}")):
                said.setdefault((int(match[1]), match[2]), {})[match[3]] = text
        return {
            domu: Built(
                frozenset(_BOOTS.findall(texts.get("xl") or texts["libxl-json"])),
                frozenset[str]().union(*map(self._copies, texts.values())),
                self._copies(texts["libxl-json"]),
            )
            for domu, texts in said.items()
            if "libxl-json" in texts
        }

    def _copies(self, text: str) -> frozenset[str]:
        return frozenset(re.findall(rf"{re.escape(self.place)}/([^/\"'\s]+)/", text))

    def from_copy(self, text: str, settings: Mapping[str, str], copy: str | None = None) -> str:
        """The text of an xl.cfg that says `settings`, to start from a copy. Where there can be none, from the files
        themselves: a full disk keeps no domU off. `copy`: from this one and no other. Raises XenlocalError then."""
        declared = _declared(settings)
        if not declared:
            return text
        if copy is not None:
            return self._from(copy, text, declared)
        try:
            name = self._make(tuple(declared.values()))
        except XenlocalError as error:
            log.warning("%s is used as it is: %s", declared["kernel"], error)
            return f"{text}{_NONE}{' '.join(str(error).split())}\n"
        return self._naming(name, text, declared)

    def make(self, paths: tuple[str, ...], name: str) -> None:
        """The copy of this name of a kernel and its ramdisk, unless it is there. Raises XenlocalError."""
        if (made := self._make(paths)) != name:
            raise XenlocalError(f"{' or '.join(paths)} has just changed: {made} is not {name}; try it once more")

    def _make(self, paths: tuple[str, ...]) -> str:
        """The name of the copy to start from, which is there then. Raises XenlocalError where there can be none."""
        with self._copying:
            name, is_there = self._choose(paths)
            if not is_there:
                sources = dict(zip(_KEYS, paths, strict=False))
                self._copy(self.place, name, sources, lambda: self._choose(paths)[0] == name)
        return name

    def _from(self, copy: str, text: str, declared: Mapping[str, str]) -> str:
        """A kernel before may have had no ramdisk, or it alone. Raises XenlocalError where the copy is not there."""
        there = [key for key in _KEYS if self._files.paths([f"{self.place}/{copy}/{key}"])]
        if "kernel" not in there:
            raise XenlocalError(
                f"{self.place}/{copy} is not there any more, and it is the kernel that a trial says; name another one"
                " in the file, or try the one that it names: xenlocal kernel NAME --update"
            )
        replaced = tuple(f"{key} = " for key in _KEYS)
        lines = [line for line in text.splitlines(keepends=True) if not line.startswith(replaced)]
        return "".join([*lines, *(f'{key} = "{self.place}/{copy}/{key}"\n' for key in there)])

    def by_hand(self, text: str, settings: Mapping[str, str], copy: str | None = None) -> tuple[tuple[str, ...], str]:
        """The same for an administrator: shell commands that make the copy, and the text. Raises XenlocalError."""
        declared = _declared(settings)
        if not declared:
            return (), text
        if copy is not None:
            return (), self._from(copy, text, declared)
        try:
            name, is_there = self._choose(tuple(declared.values()))
        except XenlocalError as error:
            return (f"# {declared['kernel']} is used as it is: {' '.join(str(error).split())}",), text
        place = shlex.quote(f"{self.place}/{name}")
        files = " && ".join(f"cp {shlex.quote(path)} {place}.new/{key}" for key, path in declared.items())
        make = f"[ -d {place} ] || {{ mkdir -p -m 700 {place}.new && {files} && mv -T {place}.new {place}; }}"
        return () if is_there else (make,), self._naming(name, text, declared)

    def _naming(self, name: str, text: str, declared: Mapping[str, str]) -> str:
        for key, path in declared.items():
            text = text.replace(f'\n{key} = "{path}"\n', f'\n{key} = "{self.place}/{name}/{key}"\n')
        return text

    def _choose(self, paths: tuple[str, ...]) -> tuple[str, bool]:
        """The name of the copy to start from, and whether it is there. Raises XenlocalError where there can be none."""
        facts, copies = self._files.paths(paths), frozenset(self._files.names(self.place))
        if facts.keys() < set(paths):
            gone = ", ".join(sorted({*paths} - facts.keys()))
            if (kept := newest(paths, copies)) is None:
                raise XenlocalError(f"there is no copy of it, nor {gone}")
            if not self._is_whole(kept, dict.fromkeys(paths)):
                raise XenlocalError(f"{self.place}/{kept} is damaged, and there is no {gone}")
            return kept, True
        if odd := [path for path in paths if facts[path].kind is not PathKind.FILE]:
            raise XenlocalError(f"cannot copy {odd[0]}: it is not a regular file")
        name = copy_name(paths, facts)
        return name, name in copies and self._is_whole(name, {path: facts[path].size for path in paths})

    def _is_whole(self, name: str, sizes: Mapping[str, Size | None]) -> bool:
        """A damaged one, as after a repair of the file system, is made anew: else its domU would never start again."""
        copies = {f"{self.place}/{name}/{key}": size for key, size in zip(_KEYS, sizes.values(), strict=False)}
        found = self._files.paths(copies)
        return all(path in found and size in (None, found[path].size) for path, size in copies.items())


def _declared(settings: Mapping[str, str]) -> Mapping[str, str]:
    return {key: settings[key].strip('"') for key in _KEYS if key in settings}


def parse_release(head: bytes) -> str | None:
    """Of a bzImage: Documentation/arch/x86/boot.rst, kernel_version. None for any other file."""
    place = int.from_bytes(head[0x20E:0x210], "little")
    if head[0x202:0x206] != b"HdrS" or not place:
        return None
    found = re.compile(RELEASE.pattern.encode()).match(head, place + 0x200)
    return found[0].decode() if found else None


def copy_whole(place: str, name: str, sources: Mapping[str, str], still: Callable[[], bool]) -> None:
    """Also across a power cut. Raises XenlocalError, and leaves nothing behind then."""
    temporary, what = os.path.join(place, f"{name}.new"), f"cannot copy {' and '.join(sources.values())} to {place}"
    try:
        with own.directory(place) as directory:
            shutil.rmtree(temporary, ignore_errors=True)  # left by a crash
            try:
                os.mkdir(temporary, 0o700)
                for each, source in sources.items():
                    _copy_file(source, os.path.join(temporary, each))
                if not still():
                    raise XenlocalError(f"{what}: changed meanwhile")
                _sync(temporary)
                shutil.rmtree(os.path.join(place, name), ignore_errors=True)  # damaged
                os.replace(temporary, os.path.join(place, name))
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            os.fsync(directory)
    except OSError as error:
        raise XenlocalError(f"{what}: {error.strerror}") from error


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
