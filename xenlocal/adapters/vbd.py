"""How much guests have written: the counters of blkback, the backend of PV disks, in sysfs. No command.

`/sys/bus/xen-backend/devices/vbd-DOMID-DEVID/statistics/wr_sect` (drivers/block/xen-blkback/xenbus.c; FACTS). A disk
that qemu serves has no such file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from xenlocal.adapters.files import FileReader

DEVICES = "/sys/bus/xen-backend/devices"
_VBD = re.compile(r"vbd-(\d+)-\d+")


def sectors_written(files: FileReader, domids: Sequence[int]) -> Mapping[int, int]:
    """Sectors that each of these guests has written so far; guests of which it is not known are left out.

    Raises XenlocalError.
    """
    wanted, found = set(domids), defaultdict(list)
    for name in files.names(DEVICES):
        match = _VBD.fullmatch(name)
        if match and int(match[1]) in wanted:
            found[int(match[1])].append(files.read_text(f"{DEVICES}/{name}/statistics/wr_sect"))
    sums = {}
    for domid, texts in found.items():
        counts = [text.strip() for text in texts if text is not None]  # None: it has just gone
        if counts and all(count.isdecimal() for count in counts):
            sums[domid] = sum(int(count) for count in counts)
    return sums
