"""LVM on the simulated host: one linear physical volume a group. Messages after lvm2 2.03.16; its errors exit 5."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenlocal.simulator import lvmreport
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand, split_options
from xenlocal.simulator.state import Group, Volume

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0


def run(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    known = {
        **dict.fromkeys(("lvs", "vgs", "fullreport"), lvmreport.report),
        "lvcreate": _create, "lvextend": _extend, "lvchange": _change, "lvrename": _rename, "lvremove": _remove,
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


def _create(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    if "--snapshot" in argv:
        return _snapshot(dom0, argv)
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
    _made(dom0, group, name, size, options).pool = pool
    return Answer(f'{said}  Logical volume "{name}" created.\n')


def _snapshot(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`lvcreate --yes --snapshot --permission r ...`: thick with a --size, else thin."""
    valued = ("--permission", "--addtag", "--setactivationskip", "--size", "--name")
    options, rest = split_options(argv, ("--yes", "--snapshot"), valued)
    if (
        len(rest) != 1
        or options["--permission"] != ["r"]
        or ("--size" in options) == ("--setactivationskip" in options)
    ):
        raise UnknownCommand(argv)
    origin, (name,) = _volume(dom0, rest[0]), options["--name"]
    group = _group(dom0, origin.vg)
    if dom0.state.volume(group.name, name):
        raise Refused(f'Logical Volume "{name}" already exists in volume group "{group.name}"')
    _changeable(group, origin)
    if bool(origin.pool) == ("--size" in options):
        raise UnknownCommand(argv, "a thin snapshot has no size, a thick one needs it")
    size = 0
    if not origin.pool:
        size = _rounded(_size(options["--size"][0], argv), group.extent)
        _room(dom0, group, size)
    made = _made(dom0, group, name, size, options)
    made.pool, made.origin = origin.pool, origin.lv
    return Answer(f'  Logical volume "{name}" created.\n')


def _made(dom0: SimulatedDom0, group: Group, name: str, size: int, options: dict[str, list[str]]) -> Volume:
    minor, dom0.state.next_minor = dom0.state.next_minor, dom0.state.next_minor + 1
    tags = sorted(set(options.get("--addtag", [])))
    made = Volume(group.name, name, size, minor, True, tags, lvmreport.identifier(group.name, name, minor))
    dom0.state.volumes.append(made)
    return made


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
    free, wanted = lvmreport.free_bytes(dom0, group) // group.extent, size // group.extent
    if wanted > free:
        text = f'Volume group "{group.name}" has insufficient free space ({free} extents): {wanted} required.'
        raise Refused(text)


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
        if wanted == "n" and lvmreport.is_open(dom0, volume):
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
    if lvmreport.is_open(dom0, volume):
        raise Refused(f"Logical volume {volume.vg}/{volume.lv} in use.")
    dom0.state.volumes.remove(volume)
    return Answer(f'  Logical volume "{volume.lv}" successfully removed.\n')
