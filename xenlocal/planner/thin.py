"""Thin pools: what stands in the way of a volume in one, and when one is nearly full. Pure.

xenlocal makes volumes in a pool, never a pool. A guest whose pool is full cannot write: where it goes on at all, its
file system is damaged.
"""

from __future__ import annotations

from xenlocal.model.names import volume
from xenlocal.model.storage import Fill, Storage, Volume
from xenlocal.planner.draft import Draft

_FULL, _NEARLY = 97.0, 80.0  # percent of data or metadata; at 100 the metadata may have to be repaired
_OUT = "out_of_data"  # lv_health_status (lvmreport(7))


def hurdle_of_pool(vg: str, name: str, storage: Storage) -> str | None:
    """Why no volume can be made in it, nor a guest be started on one that is."""
    pool = storage.volumes.get((vg, name))
    if pool is None:
        return (
            f"there is no thin pool {vg}/{name}, and xenlocal makes none; type, with the size it is to have:"
            f" lvcreate --type thin-pool --size 100G --name {name} {vg}"
        )
    if pool.fill is None:
        return f"{vg}/{name} is no thin pool; `lvs -o lv_name,lv_layout {vg}` shows those that are"
    what = "data" if pool.fill.health == _OUT else _beyond(pool.fill, _FULL)
    if what:
        return f"its thin pool {vg}/{name} is full; {_more(vg, name, what)}"
    if pool.fill.health:
        return f"its thin pool {vg}/{name} is damaged: LVM says {pool.fill.health}; `lvs -a {vg}` shows more"
    return None


def hurdle_of_thin(present: Volume, storage: Storage) -> str | None:
    """Why no guest can be started on this volume."""
    if present.fill is not None:
        return f"is itself a thin pool; write the name of a volume, and pool = {present.lv} beside it"
    return hurdle_of_pool(present.vg, present.pool, storage) if present.pool else None


def tell_of_pool(draft: Draft, vg: str, name: str, storage: Storage) -> None:
    """No figure that changes with every look: a notice is said once per change."""
    pool = storage.volumes.get((vg, name))
    what = _beyond(pool.fill, _NEARLY) if pool is not None and pool.fill is not None else ""
    if what:
        full = f"its {what} is more than {_NEARLY:.0f} % full, and once it is full its guests cannot write"
        draft.notice(volume(vg, name), f"{full}; {_more(vg, name, what)}")


def _beyond(fill: Fill, percent: float) -> str:
    """Which of the two is fuller than that."""
    if fill.data is not None and fill.data >= percent:
        return "data"
    return "metadata" if fill.metadata is not None and fill.metadata >= percent else ""


def _more(vg: str, name: str, what: str) -> str:
    option = "--size +10G" if what == "data" else "--poolmetadatasize +256M"
    return f"for more room type: lvextend {option} {vg}/{name}"
