"""A password out of a file that only root can read. It goes into the xl.cfg that `xl` reads, and nowhere else."""

from __future__ import annotations

import os
import re
import shlex
import stat

from xenlocal.adapters.own import who_else_writes
from xenlocal.model.errors import XenlocalError

_LIMIT = 4096  # bytes
_PASSWORD = re.compile(r"[!#-\[\]-~]{1,8}")  # printable ASCII that needs no quoting in xl.cfg; VNC itself has no more


def read(path: str) -> str:
    """The first line of the file. Raises XenlocalError, which never quotes it."""
    quoted = shlex.quote(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise XenlocalError(f"cannot use the password in {path}: it is not a regular file")
            if wrong := who_else_writes(found):
                raise XenlocalError(
                    f"cannot use the password in {path}: it {wrong}; type: chown root:root {quoted}; chmod 600 {quoted}"
                )
            if found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
                raise XenlocalError(f"cannot use the password in {path}: others can read it; type: chmod 600 {quoted}")
            line = os.read(descriptor, _LIMIT).partition(b"\n")[0]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise XenlocalError(f"cannot read the password in {path}: {error.strerror}") from error
    text = line.decode("ascii", "replace").strip()
    if not _PASSWORD.fullmatch(text):
        raise XenlocalError(
            f"cannot use the password in {path}: its first line has to be 1 to 8 ASCII characters without blanks, "
            "quotes and backslashes (VNC knows no longer ones); type: head -c 6 /dev/urandom | base64 >" + quoted
        )
    return text
