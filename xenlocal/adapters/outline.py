"""What xenstore shows of the domains while xl cannot tell of them, as after an upgrade that took its tools away.

The guest's part of xenstore stays until libxl removes the domain. A Linux kernel closes its disks and nics as the last
thing it does (xenbus_dev_shutdown() in drivers/xen/xenbus/xenbus_probe.c): in tests/records every backend of a guest
that powered itself off is in state 6, those of a crashed one are in 4, as of one that runs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from xenlocal.adapters.command import Runner
from xenlocal.adapters.xenstore import LS, READ, XenstoreReader, lines
from xenlocal.model.errors import CommandFailed
from xenlocal.model.observed import LiveDomain, LiveState
from xenlocal.model.units import Size

_LIST = ("xenstore-list", "/local/domain")
_STATE = re.compile(r"/local/domain/0/backend/(?:vbd|vbd3|tap|qdisk|vif)/(\d+)/\d+/state")
_CLOSED = "6"  # XenbusStateClosed (xen/include/public/io/xenbus.h)
_VM = "/vm/"


def outline(runner: Runner) -> Mapping[int, LiveDomain]:
    """Every domain but dom0 that xenstore knows, as running, or as ended where it has closed all its disks and nics.
    One that crashed, or was paused, cannot be told from one that runs. Memory and vcpus are not looked at.

    Raises CommandFailed, ToolMissing.
    """
    domids = _domids(runner.run(_LIST, timeout=READ))
    closed = _closed(runner.run(LS, timeout=READ))
    told = XenstoreReader(runner).nodes([(domid, key) for domid in domids for key in ("name", "vm")])
    found = {}
    for domid in domids:
        name, vm = told[domid, "name"] or "", told[domid, "vm"] or ""
        state = LiveState.SHUTDOWN if domid in closed else LiveState.RUNNING
        found[domid] = LiveDomain(domid, name, vm.removeprefix(_VM), state, Size(0), 0)
    return MappingProxyType(found)


def _domids(text: str) -> Sequence[int]:
    words = text.split("\n")
    if words.pop() or "0" not in words or not all(word.isdecimal() for word in words):
        raise CommandFailed(_LIST, 0, f"cannot understand its output {text[:200]!r}")
    return sorted(int(word) for word in words if word != "0")


def _closed(text: str) -> frozenset[int]:
    states: dict[int, set[str]] = defaultdict(set)
    for path, value in lines(text):
        if state := _STATE.fullmatch(path):
            states[int(state[1])].add(value or "")
    return frozenset(domid for domid, found in states.items() if found == {_CLOSED})
