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
from xenlocal.adapters.files import FileReader
from xenlocal.adapters.iscsi import keep_waiting
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.storage import Fill, Storage, Volume, VolumeGroup
from xenlocal.model.units import Size

_HOST = "/proc/sys/kernel/hostname"  # as lvm itself asks for it: the name in its lv_host
REPORT = (
    "lvm", "fullreport", "--reportformat", "json", "--units", "b", "--nosuffix",
    "--configreport", "vg", "-o", "vg_name,vg_free,vg_extent_size,vg_lock_type",
    "--configreport", "lv", "-o",
    "lv_name,lv_size,lv_active,lv_device_open,lv_tags,lv_kernel_major,lv_kernel_minor,"
    "pool_lv,lv_layout,data_percent,metadata_percent,lv_health_status",
    "--configreport", "pv", "-o", "pv_name",
    "--configreport", "seg", "-o", "lv_name",
    "--configreport", "pvseg", "-o", "lv_name",
)  # fmt: skip


class LvmReader:
    def __init__(self, runner: Runner, files: FileReader) -> None:
        self._runner, self._files = runner, files

    def storage(self) -> Storage:
        """Sizes in bytes. Raises CommandFailed, ToolMissing, XenlocalError.

        LVM reads every disk it sees. One of a lost iSCSI session keeps it waiting, and so everybody who waits for this
        look, until open-iscsi gives up.

        A group with missing disks is reported in full with exit 0 (its metadata is on the others; tried); changing
        it then fails by itself. Exit 5 means that a group could not be read at all, and nothing tells which: the
        whole table is unknown then. No group at all is exit 0 and an empty report: that is known.
        """
        if lost := keep_waiting(self._files):
            raise XenlocalError(
                f"LVM would hang on the disks of {lost[0]}, whose iSCSI session is lost, until it is back or open-iscsi"
                " gives it up (node.session.timeo.replacement_timeout, 120 s)"
            )
        host = (self._files.read_text(_HOST) or "").strip()
        return parse(self._runner.run(REPORT, timeout=60), host)


def parse(text: str, host: str = "") -> Storage:
    """Raises CommandFailed unless the text is a whole report with every field."""
    try:
        reports = json.loads(text)["report"]
        groups: dict[str, VolumeGroup] = {}
        volumes: dict[tuple[str, str], Volume] = {}
        for report in reports:
            (fields,) = report["vg"]
            free, extent, locks = _size(fields["vg_free"]), _size(fields["vg_extent_size"]), fields["vg_lock_type"]
            group = VolumeGroup(fields["vg_name"], free, extent, "" if locks == "none" else locks)
            if group.name in groups:
                raise CommandFailed(
                    REPORT, 0, f"there are two volume groups named {group.name}; rename one: vgrename UUID NEW-NAME"
                )
            groups[group.name] = group
            for entry in report["lv"]:
                volumes[group.name, entry["lv_name"]] = _volume(group.name, entry)
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(REPORT, 0, f"cannot understand its report: {error!r}") from error
    return Storage(MappingProxyType(groups), MappingProxyType(volumes), host)


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
        pool=entry["pool_lv"],
        fill=_fill(entry) if {"thin", "pool"} <= {*entry["lv_layout"].split(",")} else None,
    )


def _fill(entry: Mapping[str, Any]) -> Fill:
    """A pool is shown as not active while only its volumes are; how full it is can be told all the same."""
    data, metadata = (float(entry[key]) if entry[key] else None for key in ("data_percent", "metadata_percent"))
    return Fill(data, metadata, entry["lv_health_status"])


def _size(text: str) -> Size:
    return Size(int(text))
