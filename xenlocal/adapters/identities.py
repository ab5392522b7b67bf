"""The identities that `hostid = locked` has recorded."""

from __future__ import annotations

from typing import Any

from xenlocal.adapters.by_uuid import ByUuid
from xenlocal.model.identity import Identity


class Identities(ByUuid[Identity]):
    NAME = "identities"
    ADVICE = "put back a copy of it, or look at what it says, remove it and start the domUs: they are recorded anew"

    @staticmethod
    def encode(entry: Identity) -> dict[str, Any]:
        return {"name": entry.name, "uuid": entry.uuid, "macs": list(entry.macs), "disks": list(entry.disks)}

    @staticmethod
    def decode(content: Any) -> Identity:
        lists = (content["macs"], content["disks"])
        words = (content["name"], content["uuid"], *lists[0], *lists[1])
        if not all(isinstance(each, list) for each in lists) or not all(isinstance(word, str) for word in words):
            raise ValueError("not lists of words")
        return Identity(content["name"], content["uuid"], tuple(lists[0]), tuple(lists[1]))
