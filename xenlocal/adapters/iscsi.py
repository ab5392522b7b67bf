"""iSCSI as open-iscsi keeps it in files: a record of each node."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xenlocal.adapters.files import FileReader
from xenlocal.model.inspection import IscsiRecord

RECORDS = ("/etc/iscsi/nodes", "/var/lib/iscsi/nodes")  # open-iscsi of Debian, up to 12 and later
_STARTUP = re.compile(r"^node\.startup = (\w+)$", re.MULTILINE)


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
