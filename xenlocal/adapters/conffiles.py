"""The files with the configuration, read safely. `confdir` watches their directory.

What can write a configuration can run anything as root, so a file counts only when nobody but root (or who runs us)
could have written it. A file that does not qualify is a problem like any other: nothing is skipped in silence.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import signal
import stat
import time
from collections.abc import Callable, Sequence

from xenlocal.adapters.own import who_else_writes
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.errors import ConfigError, ConfigUnsettled
from xenlocal.model.text import printable

FILE_LIMIT = 256 << 10  # bytes: the parser is quadratic on hostile text (FACTS)
_TRIES, _PAUSE = 5, 0.05  # seconds; for a file that changes while it is read
_QUIET = 0.1  # seconds since its latest change: a script may go on with `>>` in the next moment
_SETTLED = 300.0  # seconds, after which one that is still open is read all the same; a busy disk may stall a writer


class _Changing(Exception):
    """A file or the directory is being changed: what is there now may be half of something."""


class ConfigFiles:
    """Satisfies `engine.ports.ConfigSource`. `path`: the directory."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def holds(self, path: str) -> bool:
        """Whether this (absolute) path is a configuration file of this directory."""
        directory, name = os.path.split(path)
        return directory == self.path and is_configuration(name)

    def read(self) -> tuple[ConfigFile, ...]:
        """Every `*.conf`, sorted by name; hidden files, backups and editors' leftovers are not configuration.

        Raises ConfigError with every offender at once, and with the files that could be read. An empty directory is
        an empty configuration; one that is missing, or that others can write to, is a problem.
        """
        return _patiently(self._read_once, self.path)

    def _read_once(self) -> tuple[ConfigFile, ...]:
        try:
            directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError([Problem(self.path, 0, "", "", _about_directory(self.path, error))]) from error
        try:
            wrong = _who_can_write(self.path, os.fstat(directory), "755")
            if wrong:
                raise ConfigError([Problem(self.path, 0, "", "", wrong)])
            names = _configuration(directory)
            files = _read_all([(name, os.path.join(self.path, name)) for name in names], directory)
            if _configuration(directory) != names:
                raise _Changing("files in it come and go faster than they can be read")
            return files
        finally:
            os.close(directory)


def read_files(paths: Sequence[str]) -> tuple[ConfigFile, ...]:
    """The given files, for `xenlocal check FILE...`, by the same rules. Raises ConfigError."""
    return _patiently(lambda: _read_all([(path, path) for path in paths], None), paths[0])


def _patiently(read: Callable[[], tuple[ConfigFile, ...]], place: str) -> tuple[ConfigFile, ...]:
    """Again and again for a moment, where something changes. Raises ConfigUnsettled where that goes on."""
    why = ""
    for _ in range(_TRIES):
        try:
            return read()
        except _Changing as error:
            why = str(error)
            time.sleep(_PAUSE)
    raise ConfigUnsettled([Problem(place, 0, "", "", why)])


def is_configuration(name: str) -> bool:
    """Whether a file of this name in the directory counts."""
    return name.endswith(".conf") and not name.startswith(".")


def _configuration(directory: int) -> list[str]:
    return sorted(name for name in os.listdir(directory) if is_configuration(name))


def _read_all(places: Sequence[tuple[str, str]], directory: int | None) -> tuple[ConfigFile, ...]:
    files, problems = [], []
    for name, shown in places:
        shown = _printable(shown)
        text = _read_one(name, shown, directory)
        if isinstance(text, Problem):
            problems.append(text)
        else:
            files.append(ConfigFile(shown, text))
    if problems:
        raise ConfigError(problems, files)
    return tuple(files)


def _read_one(name: str, shown: str, directory: int | None) -> str | Problem:
    def problem(message: str, line: int = 0) -> Problem:
        return Problem(shown, line, "", "", message)

    try:  # O_NONBLOCK: opening a FIFO must not wait for a writer
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ENOENT and directory is not None:
            raise _Changing(f"{shown} comes and goes") from error
        return problem(_about_file(shown, error))
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return problem("is not a regular file; remove it, or write a plain file in its place")
        if wrong := _who_can_write(shown, before, "644"):
            return problem(wrong)
        if before.st_size > FILE_LIMIT:
            return problem(f"has {before.st_size} bytes, more than the {FILE_LIMIT} allowed; split it")
        age = time.time() - before.st_ctime
        if directory is not None and 0 <= age < _QUIET:
            raise _Changing(f"{shown} changes all the time; it is read when that ends")
        if _is_open_for_writing(descriptor) and 0 <= age < _SETTLED:
            raise _Changing(f"{shown} is open for writing by another program; it is read when that is done")
        data = b""
        while part := os.read(descriptor, before.st_size - len(data)):
            data += part
        if len(data) != before.st_size or _state(before) != _state(os.fstat(descriptor)):
            raise _Changing(f"{shown} changes while it is read")
    except OSError as error:
        return problem(_about_file(shown, error))
    finally:
        os.close(descriptor)
    return text_of(shown, data)


def text_of(shown: str, data: bytes) -> str | Problem:
    """The text of a file, unless it is seen to have been cut off: half of `eno1, eno2` or of a volume's name is one
    too, and would take something away."""
    last = data.rpartition(b"\n")[2].strip()
    if last and not last.startswith(b"#"):
        message = "ends in the middle of a line, so it may be cut off; if it is not, end its last line with a newline"
        return Problem(shown, data.count(b"\n") + 1, "", "", message)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = (
            f"is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8, for example: "
            f"iconv -f latin1 -t utf-8 -o NEW {shlex.quote(shown)}"
        )
        return Problem(shown, line, "", "", message)


def _is_open_for_writing(descriptor: int) -> bool:
    """Whether somebody has the file open for writing, so that it may be half of what it is to become; else nobody can
    open it so until `descriptor` is closed: the kernel has them wait (fcntl(2), leases). Network file systems may say
    so without a reason, which is why it is not believed for long."""
    fcntl.fcntl(
        descriptor, fcntl.F_SETSIG, signal.SIGURG
    )  # that somebody waits for us; SIGIO, the default, would end us
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _who_can_write(shown: str, found: os.stat_result, mode: str) -> str:
    """Why the owner or the mode cannot be trusted, with what to type; "" where they can."""
    quoted = shlex.quote(shown)
    wrong = who_else_writes(found)
    if found.st_uid not in (0, os.geteuid()):
        return f"{wrong}; type: chown root:root {quoted}; chmod {mode} {quoted}"
    return wrong and f"{wrong}; type: chmod go-w {quoted}"


def _about_directory(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"the directory does not exist; type: mkdir -m 755 {shlex.quote(path)}"
    if error.errno == errno.ENOTDIR:
        return "is not a directory"
    return f"cannot be opened: {error.strerror}"


def _about_file(shown: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a symbolic link; put the file itself there"
    if error.errno == errno.ENOENT:
        return "does not exist"
    if error.errno == errno.ENXIO:
        return "is not a regular file; remove it, or write a plain file in its place"
    return f"cannot be read: {error.strerror}"


def _printable(name: str) -> str:
    """A file name as messages can show it: any byte may be in one."""
    return printable(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
