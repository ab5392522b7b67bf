"""The consoles of guests: what xenconsoled logs of them, and the ring that is kept of each.

xenconsoled appends all lives of a guest to one file, which may be rotated, truncated or removed at any time. So what it
holds is copied at each end of a guest to STATE/console/NAME.log, of which only the last part is kept: what a guest said
when it crashed is there afterwards. STATE/console/NAME.at says up to where the log has been copied.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable

from xenlocal.adapters.files import FileReader, write_private
from xenlocal.model.errors import XenlocalError

RING = 256 << 10  # characters that are kept of each guest
LONGEST_LINE = 4096  # characters; the rest of a line is dropped
HOW_TO_LOG = (
    "xenconsoled logs consoles only when told to: write XENCONSOLED_ARGS=--log=guest into /etc/default/xen and type "
    "mkdir -p /var/log/xen/console; it holds from the next boot of the dom0 on"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
_ENDS = re.compile(r"\r*\n|\r+")

log = logging.getLogger("xenlocal")


def log_path(name: str) -> str:
    """Where xenconsoled logs a guest (tools/console/daemon/io.c), as Debian builds it."""
    return f"/var/log/xen/console/guest-{name}.log"


def plain(text: str) -> str:
    """What a guest wrote, as it can be matched and shown: no colours, nothing that a terminal would obey."""
    lines = (line[:LONGEST_LINE] for line in _ENDS.sub("\n", _ESCAPES.sub("", text)).split("\n"))
    return "\n".join("".join(char if char.isprintable() or char == "\t" else "?" for char in line) for line in lines)


class Consoles:
    """Satisfies `engine.ports.Consoles`. `directory`: STATE/console; `write(path, text)` puts a private file there."""

    def __init__(self, files: FileReader, directory: str, write: Callable[[str, str], None] = write_private) -> None:
        self._files, self._directory, self._write = files, directory, write
        self._lock = threading.Lock()

    def mark(self, name: str) -> str:
        try:
            found = self._files.read_on(log_path(name), "", 0)
        except XenlocalError:
            return ""
        return found[0] if found else ""

    def keep(self, name: str, note: str) -> None:
        with self._lock:
            try:
                text, place = self.read(name)
                if place:
                    self._write(self._ring(name), f"{text.rstrip()}\n[{note}]\n"[-RING:])
                    self._write(self._ring(name, "at"), place)
            except (XenlocalError, OSError) as error:
                log.warning("cannot keep the console of domain/%s: %s", name, error)

    def read(self, name: str) -> tuple[str, str]:
        """The last part of the console, and the place up to which that is ("" where xenconsoled logs nothing).

        Raises XenlocalError where it cannot be read.
        """
        kept = self._files.read_text(self._ring(name)) or ""
        more, place = self.read_on(name, self._files.read_text(self._ring(name, "at")) or "")
        return (kept + more)[-RING:], place

    def read_on(self, name: str, place: str) -> tuple[str, str]:
        """What came after `place`, and the place up to which that is. Raises XenlocalError."""
        found = self._files.read_on(log_path(name), place, RING)
        return (plain(found[1]), found[0]) if found else ("", "")

    def _ring(self, name: str, end: str = "log") -> str:
        return f"{self._directory}/{name}.{end}"
