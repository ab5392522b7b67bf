"""What LVM says, in one command for all volume groups.

`lvm fullreport` prints a JSON object a volume group, also for one without volumes, and leaves out hidden sub-LVs
(tried with lvm2 2.03.16). The pv, seg and pvseg parts cannot be switched off and are kept to one field each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xenlocal.adapters.command import Runner
from xenlocal.model.errors import CommandFailed
from xenlocal.model.observed import Storage, Volume, VolumeGroup
from xenlocal.model.units import Size

REPORT = (
    "lvm", "fullreport", "--reportformat", "json", "--units", "b", "--nosuffix",
    "--configreport", "vg", "-o", "vg_name,vg_free,vg_extent_size",
    "--configreport", "lv", "-o",
    "lv_name,lv_size,lv_active,lv_device_open,lv_tags,lv_kernel_major,lv_kernel_minor",
    "--configreport", "pv", "-o", "pv_name",
    "--configreport", "seg", "-o", "lv_name",
    "--configreport", "pvseg", "-o", "lv_name",
)  # fmt: skip


class LvmReader:
    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def storage(self) -> Storage:
        """Sizes in bytes. Raises CommandFailed, ToolMissing.

        A group with missing disks is reported in full with exit 0 (its metadata is on the others; tried); changing
        it then fails by itself. Exit 5 means that a group could not be read at all, and nothing tells which: the
        whole table is unknown then. No group at all is exit 0 and an empty report: that is known.
        """
        return parse(self._runner.run(REPORT, timeout=60))


def parse(text: str) -> Storage:
    """Raises CommandFailed unless the text is a whole report with every field."""
    try:
        reports = json.loads(text)["report"]
        groups: dict[str, VolumeGroup] = {}
        volumes: dict[tuple[str, str], Volume] = {}
        for report in reports:
            (fields,) = report["vg"]
            group = VolumeGroup(fields["vg_name"], _size(fields["vg_free"]), _size(fields["vg_extent_size"]))
            if group.name in groups:
                raise CommandFailed(
                    REPORT, 0, f"there are two volume groups named {group.name}; rename one: vgrename UUID NEW-NAME"
                )
            groups[group.name] = group
            for entry in report["lv"]:
                volumes[group.name, entry["lv_name"]] = _volume(group.name, entry)
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(REPORT, 0, f"cannot understand its report: {error!r}") from error
    return Storage(MappingProxyType(groups), MappingProxyType(volumes))


def _volume(vg: str, entry: Mapping[str, Any]) -> Volume:
    """lv_active is "active", "" or, where the kernel could not be asked, "unknown"; the numbers are -1 then."""
    if entry["lv_active"] == "unknown":
        raise ValueError("the kernel's device mapper does not answer")
    active = entry["lv_active"] != ""
    major, minor = int(entry["lv_kernel_major"]), int(entry["lv_kernel_minor"])
    return Volume(
        vg=vg,
        lv=entry["lv_name"],
        size=_size(entry["lv_size"]),
        active=active,
        opened=entry["lv_device_open"] == "open",
        tags=frozenset(tag for tag in entry["lv_tags"].split(",") if tag),
        device=(major, minor) if active and major >= 0 else None,
    )


def _size(text: str) -> Size:
    return Size(int(text))
