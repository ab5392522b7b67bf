"""What exists on the simulated host, by path: files, block devices, LVs."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from xenlocal.model.observed import PathFacts, PathKind
from xenlocal.model.units import Size
from xenlocal.simulator import iscsi

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0

MAJOR = 253  # of device-mapper


def facts(dom0: SimulatedDom0, path: str) -> PathFacts | None:
    """stat() of a path, symlinks followed; None where it does not exist."""
    state = dom0.state
    known = state.paths.get(path)
    if known:
        device = None
        if known.device:
            major, _, minor = known.device.partition(":")
            device = (int(major), int(minor))
        return PathFacts(PathKind(known.kind), Size(known.size), known.real or path, device, known.changed)
    if (disk := iscsi.disk(dom0, path)) is not None:
        return disk
    for volume in state.volumes:
        names = (f"/dev/{volume.vg}/{volume.lv}", mapper_path(volume.vg, volume.lv), f"/dev/dm-{volume.minor}")
        if volume.active and path in names:
            return PathFacts(PathKind.BLOCK, Size(0), f"/dev/dm-{volume.minor}", (MAJOR, volume.minor))
    if path in state.texts:
        return PathFacts(PathKind.FILE, Size(len(state.texts[path].encode())), path)
    if any(fnmatchcase(path, pattern) for pattern in state.patterns):
        return PathFacts(PathKind.FILE, Size(8 << 20), path)
    return None


def mapper_path(vg: str, lv: str) -> str:
    return "/dev/mapper/" + "-".join(name.replace("-", "--") for name in (vg, lv))
