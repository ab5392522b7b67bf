"""Whether root may run a program: only if nobody but root can have put it, or any directory above it, in its place."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable

_MAX_LINKS = 40


def why_untrusted(path: str, lstat: Callable[[str], os.stat_result] = os.lstat) -> str:
    """What is wrong with the absolute `path` and what to type; "" where it can be trusted. Every symbolic link on the
    way is followed by hand, since whoever can swap one chooses what is run. `lstat` is there for tests."""
    at, todo, links = "/", path.split("/"), 0
    try:
        found = lstat(at)
        while True:
            if stat.S_ISLNK(found.st_mode):
                links += 1
                target = os.readlink(at)
                todo = [*target.split("/"), *todo]
                at = "/" if target.startswith("/") else os.path.dirname(at)
            elif wrong := _who_can_write(at, found):
                return wrong
            if links > _MAX_LINKS:
                return f"{path} leads through more than {_MAX_LINKS} symbolic links"
            name = next((word for word in todo if word not in ("", ".")), None)
            if name is None:
                return _why_no_program(at, lstat(at))
            todo = todo[todo.index(name) + 1 :]
            at = os.path.dirname(at) if name == ".." else os.path.join(at, name)
            found = lstat(at)
    except OSError as error:
        return f"{at}: {error.strerror}" if at == path else f"{path}: {error.strerror} ({at})"


def _who_can_write(path: str, found: os.stat_result) -> str:
    if found.st_uid != 0:
        wrong, mend = "does not belong to root", f"type: chown root {shlex.quote(path)}"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        wrong, mend = "can be written by others than root", f"type: chmod go-w {shlex.quote(path)}"
    else:
        return ""
    if stat.S_ISDIR(found.st_mode):  # it may be meant to be so, as /tmp is
        mend = "put the program where only root can write, such as /usr/local/sbin"
    return f"{path} {wrong}; {mend}"


def _why_no_program(path: str, found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is not a regular file"
    if not found.st_mode & stat.S_IXUSR:
        return f"{path} is not executable; type: chmod u+x {shlex.quote(path)}"
    return ""
