"""Our own files and directories, in RUN and STATE: opened so that nobody else's is ever taken for one of them.

What stands at such a place decides what the daemon does, and it is written as root. So it counts only where nobody but
root (or who runs us) could have put it there; and what is no regular file is not even waited for.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from xenlocal.model.errors import XenlocalError

_SECRET_LIMIT = 4096  # bytes


def who_else_writes(found: os.stat_result) -> str:
    """Whose it is, or who else can write to it, as part of a sentence; "" where only root, or who runs us, can."""
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to user {found.st_uid}, not to root"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by {'everybody' if found.st_mode & stat.S_IWOTH else 'its group'}"
    return ""


@contextmanager
def directory(path: str) -> Iterator[int]:
    """A descriptor of the directory, made (0700) where it is missing: what is opened below it is in no other, whatever
    is put at its name meanwhile. Raises OSError, and XenlocalError where others can write to it."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if wrong := who_else_writes(os.fstat(handle)):
            quoted = shlex.quote(path)
            raise XenlocalError(
                f"cannot trust {path}: it {wrong}; look at what is in it, then type: "
                f"chown root:root {quoted}; chmod go-w {quoted}"
            )
        yield handle
    finally:
        os.close(handle)


def check(path: str) -> None:
    """Raises XenlocalError where something else than a file of our own stands at `path`; nothing may."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise XenlocalError(f"cannot look at {path}: {error.strerror}") from error
    _refuse_others(path, found)


def open_file(path: str, flags: int = os.O_RDONLY, mode: int = 0o600, directory: int | None = None) -> int:
    """A descriptor of the file `path`, which lies in `directory` where that is given. Never waits, and follows no link.

    Raises FileNotFoundError, and XenlocalError where it is no file of our own or cannot be opened.
    """
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path if directory is None else os.path.basename(path), flags, mode, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        check(path)  # a link, a FIFO that nobody reads, a socket, a directory: it has the better words
        raise XenlocalError(f"cannot open {path}: {error.strerror}") from error
    try:
        _refuse_others(path, os.fstat(descriptor))
    except XenlocalError:
        os.close(descriptor)
        raise
    return descriptor


def read_text(path: str) -> str | None:
    """None where there is no such file. Raises XenlocalError where it cannot be read, or is not ours."""
    try:
        with open(open_file(path), "rb") as file:
            return file.read().decode("utf-8", "backslashreplace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise XenlocalError(f"cannot read {path}: {error.strerror}") from error


def read_secret(path: str) -> str:
    """The text of a file that an administrator keeps a secret in: nobody but root (or who runs us) may read it. Raises
    XenlocalError, which never quotes it."""
    try:
        with open(open_file(path), "rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise XenlocalError(
                    f"cannot trust {path}: others than its owner can read it; type: chmod 600 {shlex.quote(path)}"
                )
            return file.read(_SECRET_LIMIT).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise XenlocalError(f"cannot read {path}: it does not exist; write the secret into it, mode 600") from error
    except OSError as error:
        raise XenlocalError(f"cannot read {path}: {error.strerror}") from error


def _refuse_others(path: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        wrong = "is a symbolic link"
    elif not stat.S_ISREG(found.st_mode):
        wrong = "is not a regular file"
    elif found.st_nlink > 1:
        wrong = "has another name elsewhere (a hard link)"
    else:
        wrong = who_else_writes(found)
    if wrong:
        remove = "rm -r" if stat.S_ISDIR(found.st_mode) else "rm"
        raise XenlocalError(f"cannot trust {path}: it {wrong}; look at it, then type: {remove} {shlex.quote(path)}")
