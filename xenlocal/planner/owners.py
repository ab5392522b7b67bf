"""Volume groups that several dom0s see: whose a volume is, and whether the group may be changed from here. Pure.

LVM itself hides a group with the system ID of another host. Where nobody has set one, only the owner tags tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from xenlocal.model.storage import OWNER_TAG, Storage, Volume


def hurdle_of_owner(volume: Volume, storage: Storage) -> str | None:
    """Why this dom0 keeps its hands off the volume."""
    others = storage.strangers(volume)
    if not others:
        return None
    tags = " ".join(f"--deltag {OWNER_TAG}{other}" for other in others)
    return (
        f"belongs to {_dom0s(others)}, by its tag, and this is {storage.host}; once it is in use there no longer, to"
        f" take it over type: lvchange {tags} --addtag {OWNER_TAG}{storage.host} {volume.vg}/{volume.lv}"
    )


def hurdles_of_groups(storage: Storage) -> Mapping[str, str]:
    """Of each group that must not be changed from here, why: two hosts that change it at once damage it."""
    others: dict[str, set[str]] = defaultdict(set)
    for volume in storage.volumes.values():
        others[volume.vg].update(storage.strangers(volume))
    return {
        vg: (
            f"volume group {vg} is also in use by {_dom0s(sorted(hosts))}, as tags of its volumes say, and nothing"
            f" keeps two hosts from changing it at once; set up lvmlockd on all of them, then, with the group active on"
            f" none, type: vgchange --lock-type sanlock {vg}"
        )
        for vg, hosts in others.items()
        if hosts and not storage.groups[vg].locks
    }


def _dom0s(names: tuple[str, ...] | list[str]) -> str:
    return f"the dom0 {names[0]}" if len(names) == 1 else f"the dom0s {', '.join(names)}"
