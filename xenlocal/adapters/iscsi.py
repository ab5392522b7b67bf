"""iSCSI as the kernel and open-iscsi keep it in files: sessions in /sys, and a record of each node.

The secret of CHAP goes from its file into the record here, and nowhere else: `iscsiadm -o update` would take it as an
argument, which `ps` shows to everybody. No command, no log and no plan ever holds it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator

from xenlocal.adapters.files import FileReader
from xenlocal.model.errors import XenlocalError
from xenlocal.model.inspection import IscsiRecord
from xenlocal.model.iscsi import FAILED, LOGGED_IN, Chap, IscsiFacts, Node, Portal

SESSIONS, CONNECTIONS = "/sys/class/iscsi_session", "/sys/class/iscsi_connection"
RECORDS = ("/etc/iscsi/nodes", "/var/lib/iscsi/nodes")  # open-iscsi of Debian, up to 12 and later
_ADDRESS = ("address", "port")
_CONNECTION = re.compile(r"connection(\d+):\d+")
_STARTUP = re.compile(r"^node\.startup = (\w+)$", re.MULTILINE)
_AUTH = re.compile(r"node\.session\.auth\.(?:authmethod|username|password)\s*=.*")
_END = "# END RECORD"
_SECRET = re.compile(r"[!-~]{1,255}")  # AUTH_STR_MAX_LEN of open-iscsi


def read_iscsi(files: FileReader) -> IscsiFacts:
    """Raises XenlocalError where it cannot be had. Without the kernel's module there is no session."""
    nodes = {record.node for record in read_records(files)}
    return IscsiFacts(_sessions(files), frozenset(node for node in nodes if node is not None))


def keep_waiting(files: FileReader) -> list[Node]:
    """Those whose disks nobody can read, nor fail to read, until their session is back or given up."""
    return sorted(node for node, state in _sessions(files).items() if state == FAILED)


def _sessions(files: FileReader) -> dict[Node, str]:
    """By the address that was logged in to, as udev takes it for names of disks; a target may lead elsewhere."""
    found: dict[Node, str] = {}
    for name in files.names(CONNECTIONS):
        match = _CONNECTION.fullmatch(name)
        if match is None:
            continue
        session, connection = f"{SESSIONS}/session{match[1]}", f"{CONNECTIONS}/{name}"
        paths = (f"{session}/targetname", f"{session}/state", *(f"{connection}/persistent_{x}" for x in _ADDRESS))
        iqn, state, address, port = ((files.read_text(path) or "").strip() for path in paths)
        if iqn and state and address and port.isdecimal():  # else it is just coming or going
            node = Node(iqn, Portal(address, int(port)))
            found[node] = LOGGED_IN if found.get(node) == LOGGED_IN else state
    return found


def read_records(files: FileReader) -> tuple[IscsiRecord, ...]:
    """What open-iscsi remembers of each node, once for each interface. Raises XenlocalError."""
    found = []
    for target, portal, path in _records(files):
        startup = _STARTUP.findall(files.read_text(path) or "")
        found.append(IscsiRecord(target, portal, startup[-1] if startup else "manual"))
    return tuple(found)


def _records(files: FileReader) -> Iterator[tuple[str, str, str]]:
    """Target, portal and path of each: ADDRESS,PORT is a file, ADDRESS,PORT,GROUP a directory with one for each
    interface (seen with open-iscsi 2.1.8: the first is what `-o new` makes, the second what a discovery makes)."""
    for top in RECORDS:
        for target in files.names(top):
            for portal in files.names(f"{top}/{target}"):
                at = f"{top}/{target}/{portal}"
                for path in [f"{at}/{name}" for name in files.names(at)] or [at]:
                    yield target, portal, path


class ChapRecords:
    """`read`: a file that only root can read; `write(path, text)` puts a private file in place; for tests."""

    def __init__(self, files: FileReader, read: Callable[[str], str], write: Callable[[str, str], None]) -> None:
        self._files, self._read, self._write = files, read, write

    def put(self, node: Node, chap: Chap) -> None:
        """Into every record of the node that does not say so already. Raises XenlocalError."""
        secret = self._read(chap.secret).strip("\n")
        if not _SECRET.fullmatch(secret):
            raise XenlocalError(
                f"cannot use {chap.secret}: it has to hold the secret alone, one line of at most 255 characters without"
                " blanks"
            )
        paths = [path for target, portal, path in _records(self._files) if IscsiRecord(target, portal, "").node == node]
        if not paths:
            raise XenlocalError(f"cannot find the record of {node} in {' or '.join(RECORDS)}")
        for path in paths:
            text = self._files.read_text(path) or ""
            wanted = with_chap(text, chap.user, secret)
            if wanted != text:
                self._save(path, wanted)

    def _save(self, path: str, text: str) -> None:
        try:
            self._write(path, text)
        except OSError as error:
            raise XenlocalError(f"cannot write {path}: {error.strerror}") from error


def with_chap(text: str, user: str, secret: str) -> str:
    """The record with these and no other credentials."""
    kept = [line for line in text.splitlines() if line != _END and not _AUTH.fullmatch(line)]
    said = {"authmethod": "CHAP", "username": user, "password": secret}
    return "\n".join([*kept, *(f"node.session.auth.{key} = {value}" for key, value in said.items()), _END, ""])


def by_hand(update: tuple[str, ...], chap: Chap) -> str:
    """The shell command that puts them into the record, for `plan --sh`: there the shell reads the file."""
    said = {"authmethod": "CHAP", "username": chap.user}
    words = [word for key, value in said.items() for word in ("-n", f"node.session.auth.{key}", "-v", value)]
    return f'{shlex.join((*update, *words))} -n node.session.auth.password -v "$(cat {shlex.quote(chap.secret)})"'
