"""What LVM of the simulated host reports: lvs, vgs and fullreport, in lvm's own JSON (lvm2 2.03.16)."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING

from xenlocal.simulator import paths
from xenlocal.simulator.answer import Answer, UnknownCommand, split_options
from xenlocal.simulator.state import Group, Volume

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0

_REPORT_FLAGS = ("--nosuffix", "--noheadings", "--all", "-a", "--readonly")
_REPORT_VALUED = (
    "--units",
    "--reportformat",
    "-o",
    "--options",
    "--configreport",
    "--foreign",
    "--config",
    "--sort",
    "-O",
)
_DEFAULT_FIELDS = {
    "vg": ["vg_name", "vg_size", "vg_free", "vg_extent_size"],
    "lv": ["vg_name", "lv_name", "lv_size", "lv_attr", "lv_tags"],
    "pv": ["pv_name"],
    "pvseg": ["pvseg_start"],
    "seg": ["segtype"],
}


def free_bytes(dom0: SimulatedDom0, group: Group) -> int:
    return group.size - sum(each.size for each in dom0.state.volumes if each.vg == group.name and not each.pool)


def is_open(dom0: SimulatedDom0, volume: Volume) -> bool:
    device = f"{paths.MAJOR}:{volume.minor}"
    return volume.opened or any(disk.device == device for domain in dom0.state.domains for disk in domain.disks)


def identifier(*parts: object) -> str:
    digits = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return "-".join((digits[:6], *(digits[at : at + 4] for at in range(6, 26, 4)), digits[26:32]))


def report(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    options, rest = split_options(argv, _REPORT_FLAGS, _REPORT_VALUED)
    formats, units = options.get("--reportformat", [""])[0], options.get("--units", [""])[0]
    if formats not in ("json", "json_std") or units != "b" or "--nosuffix" not in options or rest:
        raise UnknownCommand(argv, "JSON in bytes without suffix expected")
    fields = _fields(argv)
    groups = sorted(dom0.state.groups, key=lambda group: group.name)
    volumes = sorted(dom0.state.volumes, key=lambda volume: (volume.vg, volume.lv))
    if argv[0] == "vgs":
        return _print([{"vg": [_pick(_vg(dom0, one), fields["vg"], argv) for one in groups]}])
    if argv[0] == "lvs":
        return _print([{"lv": [_pick(_lv(dom0, one), fields["lv"], argv) for one in volumes]}])
    reports: list[dict[str, list[dict[str, str]]]] = []
    for group in groups:
        rows = {
            "vg": [_vg(dom0, group)],
            "pv": [{"pv_name": _disk(dom0, group)}],
            "lv": [_lv(dom0, one) for one in volumes if one.vg == group.name],
            "pvseg": [{"pvseg_start": "0", "lv_name": ""}],
            "seg": [{"segtype": "linear", "lv_name": one.lv} for one in volumes if one.vg == group.name],
        }
        reports.append({kind: [_pick(row, fields[kind], argv) for row in rows[kind]] for kind in rows if fields[kind]})
    return _print(reports)


def _fields(argv: list[str]) -> dict[str, list[str]]:
    """Fields by kind of report: `-o` belongs to the last `--configreport`, or to the tool's own kind."""
    fields = dict(_DEFAULT_FIELDS)
    kind = {"vgs": "vg", "lvs": "lv"}.get(argv[0], "lv")
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for option, value in itertools.pairwise(words):
        if option == "--configreport":
            kind = value
        elif option in ("-o", "--options"):
            fields[kind] = [name for name in value.split(",") if name]
    return fields


def _pick(row: dict[str, str], fields: list[str], argv: list[str]) -> dict[str, str]:
    missing = [name for name in fields if name not in row]
    if missing:
        raise UnknownCommand(argv, f"field {missing[0]}")
    return {name: row[name] for name in fields}


def _vg(dom0: SimulatedDom0, group: Group) -> dict[str, str]:
    count = sum(volume.vg == group.name for volume in dom0.state.volumes)
    return {
        "vg_name": group.name, "vg_uuid": identifier(group.name), "vg_size": str(group.size),
        "vg_attr": "wz--ns" if group.locks else "wz--n-", "vg_lock_type": group.locks,
        "vg_free": str(free_bytes(dom0, group)), "vg_extent_size": str(group.extent), "lv_count": str(count),
        "pv_count": "1", "pv_name": _disk(dom0, group), "vg_tags": "", "vg_missing_pv_count": "0",
    }  # fmt: skip


def _disk(dom0: SimulatedDom0, group: Group) -> str:
    number = sorted(each.name for each in dom0.state.groups).index(group.name)
    return group.disk or f"/dev/sd{chr(ord('b') + number)}"


def _lv(dom0: SimulatedDom0, volume: Volume) -> dict[str, str]:
    opened = volume.active and is_open(dom0, volume)
    attr = f"-wi-{'a' if volume.active else '-'}{'o' if opened else '-'}----"
    return {
        "vg_name": volume.vg, "lv_name": volume.lv, "lv_uuid": volume.uuid or identifier(volume.vg, volume.minor),
        "lv_size": str(volume.size), "lv_attr": attr, "lv_tags": ",".join(sorted(volume.tags)),
        "lv_device_open": ("open" if opened else "") if volume.active else "unknown",
        "lv_active": "active" if volume.active else "", "lv_path": f"/dev/{volume.vg}/{volume.lv}",
        "lv_full_name": f"{volume.vg}/{volume.lv}", "lv_dm_path": paths.mapper_path(volume.vg, volume.lv),
        "lv_kernel_major": str(paths.MAJOR) if volume.active else "-1",
        "lv_kernel_minor": str(volume.minor) if volume.active else "-1",
        "lv_role": "public", "lv_layout": "linear", "lv_health_status": "", "pool_lv": volume.pool, "origin": "",
        "data_percent": "", "metadata_percent": "",
    } | _thin(dom0, volume)  # fmt: skip


def _thin(dom0: SimulatedDom0, volume: Volume) -> dict[str, str]:
    """What is different in the row of a thin pool, or of a volume in one. How full a pool is can be told while one of
    its volumes is active."""
    if volume.pool:
        return {"lv_layout": "thin,sparse", "data_percent": "50.00" if volume.active else ""}
    if volume.fill is None:
        return {}
    in_it = [each for each in dom0.state.volumes if each.vg == volume.vg and each.pool == volume.lv]
    there = volume.active or any(each.active for each in in_it)
    amounts = (f"{each:.2f}" if there else "" for each in (volume.fill.data, volume.fill.metadata))
    names = ("data_percent", "metadata_percent")
    return {"lv_layout": "thin,pool", "lv_health_status": volume.fill.health, **dict(zip(names, amounts, strict=True))}


def _row(row: dict[str, str]) -> str:
    return ", ".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in row.items())


def _print(reports: list[dict[str, list[dict[str, str]]]]) -> Answer:
    """lvm's own JSON layout: one row a line."""
    blocks = []
    for report in reports:
        parts = []
        for kind, rows in report.items():
            body = ",\n".join(" " * 18 + "{" + _row(row) + "}" for row in rows)
            parts.append(f'{" " * 14}"{kind}": [\n{body}{chr(10) if rows else ""}{" " * 14}]')
        blocks.append(" " * 10 + "{\n" + ",\n".join(parts) + "\n" + " " * 10 + "}")
    return Answer('  {\n      "report": [\n' + ",\n".join(blocks) + ("\n" if blocks else "") + "      ]\n  }\n")
