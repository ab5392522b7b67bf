"""LVM on the simulated host: one linear physical volume a group. Messages after lvm2 2.03.16; its errors exit 5."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from typing import TYPE_CHECKING

from xenlocal.simulator import paths
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand, split_options
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


def run(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    known = {
        "lvs": _report, "vgs": _report, "fullreport": _report, "lvcreate": _create, "lvextend": _extend,
        "lvchange": _change, "lvrename": _rename, "lvremove": _remove,
    }  # fmt: skip
    if argv[0] not in known:
        raise UnknownCommand(argv)
    try:
        return known[argv[0]](dom0, argv)
    except Refused as refusal:
        lines = "".join(f"  {line}\n" for line in refusal.stderr.splitlines())
        return Answer("", lines, 5)


def _group(dom0: SimulatedDom0, name: str) -> Group:
    group = dom0.state.group(name)
    if group is None:
        raise Refused(f'Volume group "{name}" not found\nCannot process volume group {name}')
    return group


def _volume(dom0: SimulatedDom0, path: str) -> Volume:
    vg, slash, lv = path.removeprefix("/dev/").partition("/")
    if not slash:
        raise UnknownCommand([path], "VG/LV expected")
    _group(dom0, vg)
    volume = dom0.state.volume(vg, lv)
    if volume is None:
        raise Refused(f'Failed to find logical volume "{vg}/{lv}"')
    return volume


def _changeable(group: Group, volume: Volume | None = None) -> None:
    """What lvmlockd says (seen with sanlock)."""
    if group.locks and not group.started:
        raise Refused(f"Cannot access VG {group.name} due to failed lock.")
    if volume is not None and volume.elsewhere:
        raise Refused(f"LV locked by other host: {volume.vg}/{volume.lv}")


def _size(text: str, argv: list[str]) -> int:
    match = re.fullmatch(r"(\d+)([bBkKmMgGtT]?)", text)
    if not match:
        raise UnknownCommand(argv, f"size {text}")
    return int(match[1]) << {"b": 0, "k": 10, "": 20, "m": 20, "g": 30, "t": 40}[match[2].lower()]


def _rounded(size: int, extent: int) -> int:
    return -(-size // extent) * extent


def _is_open(dom0: SimulatedDom0, volume: Volume) -> bool:
    device = f"{paths.MAJOR}:{volume.minor}"
    return volume.opened or any(disk.device == device for domain in dom0.state.domains for disk in domain.disks)


def _create(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    flags = ("--yes", "-y", "--quiet", "-q")
    valued = (
        "--wipesignatures",
        "-W",
        "--zero",
        "-Z",
        "--addtag",
        "--size",
        "-L",
        "--name",
        "-n",
        "--activate",
        "--type",
        "--thinpool",
        "--virtualsize",
        "-V",
    )
    options, rest = split_options(argv, flags, valued)
    name = (options.get("--name") or options.get("-n") or [""])[0]
    sizes = [options.get(key, [""])[0] for key in ("--size", "-L", "--virtualsize", "-V")]
    wanted = next(filter(None, sizes), "")
    if len(rest) != 1 or not name or not wanted:
        raise UnknownCommand(argv)
    group = _group(dom0, rest[0])
    if dom0.state.volume(group.name, name):
        raise Refused(f'Logical Volume "{name}" already exists in volume group "{group.name}"')
    _changeable(group)
    size = _rounded(_size(wanted, argv), group.extent)
    pool = options.get("--thinpool", [""])[0]
    said = _in_pool(dom0, group, pool, argv) if pool else ""
    if not pool:
        _room(dom0, group, size)
    minor, dom0.state.next_minor = dom0.state.next_minor, dom0.state.next_minor + 1
    tags = sorted(set(options.get("--addtag", [])))
    made = Volume(group.name, name, size, minor, True, tags, _uuid(group.name, name, minor), pool=pool)
    dom0.state.volumes.append(made)
    return Answer(f'{said}  Logical volume "{name}" created.\n')


def _in_pool(dom0: SimulatedDom0, group: Group, name: str, argv: list[str]) -> str:
    """What lvcreate says on the way into a thin pool, which can be larger on paper than it is."""
    if "--zero" in argv:
        raise UnknownCommand(argv, "--zero is supported only with thin pool creation.")
    pool = dom0.state.volume(group.name, name)
    if pool is None:
        raise Refused(f"Pool {name} not found in Volume group {group.name}.")
    if pool.fill is None:
        raise Refused(f"Logical volume {group.name}/{name} is not a thin pool.")
    if pool.fill.data >= 100:
        full = f"Thin pool {group.name}/{name} is out of data space."
        threshold = f"free space in thin pool {group.name}/{name} reached threshold."
        raise Refused(f"WARNING: {full}\nCannot create new thin volume, {threshold}")
    return "  WARNING: You have not turned on protection against thin pools running out of space.\n"


def _room(dom0: SimulatedDom0, group: Group, size: int) -> None:
    free, wanted = free_bytes(dom0, group) // group.extent, size // group.extent
    if wanted > free:
        text = f'Volume group "{group.name}" has insufficient free space ({free} extents): {wanted} required.'
        raise Refused(text)


def _uuid(*parts: object) -> str:
    digits = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return "-".join((digits[:6], *(digits[at : at + 4] for at in range(6, 26, 4)), digits[26:32]))


def _extend(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    options, rest = split_options(argv, ("--yes", "-y", "--quiet"), ("--size", "-L"))
    if len(rest) != 1:
        raise UnknownCommand(argv)
    volume = _volume(dom0, rest[0])
    group = _group(dom0, volume.vg)
    size = _rounded(_size((options.get("--size") or options.get("-L") or [""])[0], argv), group.extent)
    _changeable(group, volume)
    new, old = size // group.extent, volume.size // group.extent
    if new == old:
        raise Refused(f"New size ({new} extents) matches existing size ({old} extents).")
    if new < old:
        raise Refused(f"New size given ({new} extents) not larger than existing size ({old} extents)")
    if not volume.pool:
        _room(dom0, group, size - volume.size)
    volume.size = size
    return Answer(
        f"  Size of logical volume {volume.vg}/{volume.lv} changed ({old} extents) to ({new} extents).\n"
        f"  Logical volume {volume.vg}/{volume.lv} successfully resized.\n"
    )


def _change(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    options, rest = split_options(argv, ("--yes", "-y"), ("--activate", "-a", "--addtag", "--deltag"))
    if len(rest) != 1 or not options:
        raise UnknownCommand(argv)
    volume = _volume(dom0, rest[0])
    _changeable(_group(dom0, volume.vg))
    for wanted in options.get("--activate", []) + options.get("-a", []):
        if wanted not in ("y", "ay", "ey", "n"):
            raise UnknownCommand(argv, f"--activate {wanted}")
        if wanted != "n" and volume.elsewhere:
            where = f"{volume.vg}/{volume.lv}"
            raise Refused(f"LV locked by other host: {where}\nFailed to lock logical volume {where}.")
        if wanted == "n" and _is_open(dom0, volume):
            raise Refused(f"Logical volume {volume.vg}/{volume.lv} in use.")
        volume.active = wanted != "n" and not volume.left_out
    tags = (set(volume.tags) | set(options.get("--addtag", []))) - set(options.get("--deltag", []))
    volume.tags = sorted(tags)
    tagged = options.keys() & {"--addtag", "--deltag"}
    return Answer(f"  Logical volume {volume.vg}/{volume.lv} changed.\n" if tagged else "")


def _rename(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    _, rest = split_options(argv, ("--yes", "-y"), ())
    if len(rest) != 3:
        raise UnknownCommand(argv, "VG OLD NEW expected")
    vg, old, new = rest
    volume = dom0.state.volume(vg, old)
    _changeable(_group(dom0, vg), volume)
    if dom0.state.volume(vg, new):
        raise Refused(f'Logical Volume "{new}" already exists in volume group "{vg}"')
    if volume is None:
        raise Refused(f'Existing logical volume "{old}" not found in volume group "{vg}"')
    volume.lv = new
    return Answer(f'  Renamed "{old}" to "{new}" in volume group "{vg}"\n')


def _remove(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    options, rest = split_options(argv, ("--yes", "-y"), ())
    if len(rest) != 1 or not options:
        raise UnknownCommand(argv, "one VG/LV and --yes expected")
    volume = _volume(dom0, rest[0])
    _changeable(_group(dom0, volume.vg), volume)
    if _is_open(dom0, volume):
        raise Refused(f"Logical volume {volume.vg}/{volume.lv} in use.")
    dom0.state.volumes.remove(volume)
    return Answer(f'  Logical volume "{volume.lv}" successfully removed.\n')


def _report(dom0: SimulatedDom0, argv: list[str]) -> Answer:
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
        "vg_name": group.name, "vg_uuid": _uuid(group.name), "vg_size": str(group.size),
        "vg_attr": "wz--ns" if group.locks else "wz--n-", "vg_lock_type": group.locks,
        "vg_free": str(free_bytes(dom0, group)), "vg_extent_size": str(group.extent), "lv_count": str(count),
        "pv_count": "1", "pv_name": _disk(dom0, group), "vg_tags": "", "vg_missing_pv_count": "0",
    }  # fmt: skip


def _disk(dom0: SimulatedDom0, group: Group) -> str:
    number = sorted(each.name for each in dom0.state.groups).index(group.name)
    return group.disk or f"/dev/sd{chr(ord('b') + number)}"


def _lv(dom0: SimulatedDom0, volume: Volume) -> dict[str, str]:
    opened = volume.active and _is_open(dom0, volume)
    attr = f"-wi-{'a' if volume.active else '-'}{'o' if opened else '-'}----"
    return {
        "vg_name": volume.vg, "lv_name": volume.lv, "lv_uuid": volume.uuid or _uuid(volume.vg, volume.minor),
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
