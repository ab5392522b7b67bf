"""Short names for what the tests of the planner say all the time: desired, observed, remembered hosts."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from xenlocal.model.actions import Action
from xenlocal.model.conffiles import Source
from xenlocal.model.desired import (
    Backing,
    BlockDevice,
    Bridge,
    Desired,
    Disk,
    Domain,
    Host,
    ImageFile,
    Iscsi,
    LogicalVolume,
    Nic,
)
from xenlocal.model.iscsi import Chap, IscsiFacts, Node, Portal
from xenlocal.model.memory import Memory, Record, Reply
from xenlocal.model.names import Kind, Target
from xenlocal.model.names import iscsi as iscsi_target
from xenlocal.model.observed import (
    OUR_ALIAS,
    Hardware,
    Kept,
    Link,
    LiveDomain,
    LiveState,
    Network,
    Observed,
    PathFacts,
    PathKind,
    Vbd,
    XenStore,
)
from xenlocal.model.plan import Goal, Plan
from xenlocal.model.probes import NO_PROBE, TcpProbe
from xenlocal.model.storage import OUR_TAG, Storage, Volume, VolumeGroup
from xenlocal.model.units import Size
from xenlocal.planner import make_plan
from xenlocal.planner.looks import learn

HERE = Source("a.conf", 1)
EXTENT = Size.mib(4)
GIB = Size.mib(1024)
NOW = 10_000.0
WALL = 1_700_000_000.0
UP = Memory(boot_done=True)


def uid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def dom(name: str, *disks: Disk, **values: Any) -> Domain:
    values.setdefault("memory", GIB)
    nics = tuple(
        Nic(f"eth{number}", bridge, f"00:16:3e:00:00:{number:02x}", HERE)
        for number, bridge in enumerate(values.pop("bridges", ()))
    )
    return Domain(name, uid(name), HERE, disks=disks, nics=nics, **values)


def lv(name: str, size: Size | None = GIB, vdev: str = "xvda", readonly: bool = False) -> Disk:
    return Disk(vdev, LogicalVolume("vg0", name), HERE, size, readonly)


def image(path: str, size: Size | None = None, vdev: str = "xvda", readonly: bool = False) -> Disk:
    return Disk(vdev, ImageFile(path), HERE, size, readonly)


def device(path: str, vdev: str = "xvda", readonly: bool = False) -> Disk:
    return Disk(vdev, BlockDevice(path), HERE, None, readonly)


def desired(*things: Domain | Bridge | Iscsi, **host: Any) -> Desired:
    named = sorted(things, key=lambda thing: thing.name)
    return Desired(
        Host(**host),
        {thing.name: thing for thing in named if isinstance(thing, Bridge)},
        {thing.name: thing for thing in named if isinstance(thing, Domain)},
        {thing.name: thing for thing in named if isinstance(thing, Iscsi)},
    )


def bay(number: int = 1, chap: Chap | None = None) -> Iscsi:
    return Iscsi(f"bay{number}", HERE, Node(f"iqn.2012-10.example:bay{number}", Portal("192.0.2.10")), chap)


def lun(number: int = 1, bay_number: int = 1, vdev: str = "xvda") -> Disk:
    """A disk of `bay`."""
    path = f"/dev/disk/by-path/ip-192.0.2.10:3260-iscsi-iqn.2012-10.example:bay{bay_number}-lun-{number}"
    return Disk(vdev, BlockDevice(path), HERE, session=iscsi_target(f"bay{bay_number}"))


def sessions(*records: Iscsi, **states: str) -> IscsiFacts:
    """Of bay1 and the like, each declared; `records` are known to open-iscsi."""
    nodes = {f"bay{number}": bay(number).node for number in (1, 2, 3)}
    found = {nodes[name]: state for name, state in states.items()}
    return IscsiFacts(found, frozenset(each.node for each in records), nodes)


def br(name: str, **values: Any) -> Bridge:
    return Bridge(name, HERE, **values)


TCP = TcpProbe("192.0.2.1", 22)
_STATES = {state.value: state for state in LiveState}


def live(domid: int, name: str, state: str = "running", **values: Any) -> LiveDomain:
    values.setdefault("uuid", uid(name))
    values.setdefault("memory", GIB)
    return LiveDomain(domid, name, state=_STATES[state], vcpus=values.pop("vcpus", 1), **values)


def volume(name: str, size: Size = GIB, **values: Any) -> Volume:
    values.setdefault("tags", frozenset({OUR_TAG}))
    values.setdefault("active", True)
    values.setdefault("opened", False)
    return Volume(values.pop("vg", "vg0"), name, size, **values)


def storage(*volumes: Volume, free: Size = Size.mib(100 * 1024), locks: str = "") -> Storage:
    """Of a dom0 called `here`."""
    groups = {"vg0": VolumeGroup("vg0", free, EXTENT, locks)}
    return Storage(groups, {(each.vg, each.lv): each for each in volumes}, "here")


def link(name: str, kind: str = "", **values: Any) -> Link:
    return Link(name, kind, values.pop("mtu", 1500), values.pop("up", True), **values)


def bridge_link(name: str, **values: Any) -> Link:
    values.setdefault("alias", OUR_ALIAS)
    values.setdefault("stp", False)
    values.setdefault("vlan_filtering", False)
    return link(name, "bridge", **values)


def network(*links: Link, default: Iterable[str] = (), gateways: tuple[str, ...] = ()) -> Network:
    return Network({each.name: each for each in links}, frozenset(default), gateways)


def file_facts(path: str, size: Size = GIB) -> PathFacts:
    return PathFacts(PathKind.FILE, size, path)


def block_facts(path: str, real: str = "", number: tuple[int, int] = (8, 0)) -> PathFacts:
    return PathFacts(PathKind.BLOCK, Size(0), real or path, number)


def vbd(
    domid: int, params: str, number: tuple[int, int] | None = None, writable: bool = True, vdev: str = "xvda"
) -> Vbd:
    return Vbd(domid, vdev, params, number, writable)


def hardware(free: Size = Size.mib(64 * 1024), **values: Any) -> Hardware:
    values.setdefault("autoballoon", False)
    return Hardware(Size.mib(128 * 1024), free, values.pop("cpus", 8), values.pop("dom0_vcpus", 4), "credit2", **values)


def observed(*lives: LiveDomain, **tables: Any) -> Observed:
    """Every table is known and empty unless given."""
    return Observed(
        domains=tables.pop("domains", {each.domid: each for each in lives}),
        storage=tables.pop("storage", storage()),
        network=tables.pop("network", network()),
        paths=tables.pop("paths", {}),
        xenstore=tables.pop("xenstore", XenStore(tables.pop("vbds", ()))),
        hardware=tables.pop("hardware", hardware()),
        monitors=tables.pop("monitors", frozenset()),
        identities=tables.pop("identities", {}),
        iscsi=tables.pop("iscsi", IscsiFacts({})),
        kernels=tables.pop("kernels", Kept("/var/lib/xenlocal/kernels")),
        trials=tables.pop("trials", {}),
        at_work=tables.pop("at_work", frozenset()),
        **tables,
    )


def rec(name: str, **values: Any) -> Record:
    values.setdefault("declared", "running")
    values.setdefault("probe", str(NO_PROBE))
    if values.get("stop_asked") is not None:
        values.setdefault("reply", Reply(values["stop_asked"]))
    return Record(uid(name), name, **values)


def ready(name: str, domid: int, **values: Any) -> Record:
    """Of a domU that runs and does its job."""
    values.setdefault("xl_name", name)
    values.setdefault("monitor", name)
    return rec(name, domid=domid, born=NOW - 1000, ready=True, **values)


def memory(*records: Record, **values: Any) -> Memory:
    values.setdefault("boot_done", True)
    return Memory({each.uuid: each for each in records}, **values)


def plan(want: Desired, seen: Observed, remembered: Memory = UP, goal: Goal = Goal.CONVERGE, now: float = NOW) -> Plan:
    return make_plan(want, seen, goal, now, WALL, remembered)


def learned_plan(want: Desired, seen: Observed, remembered: Memory = UP, now: float = NOW) -> Plan:
    """As a cycle does it: learn from the look first."""
    return plan(want, seen, learn(remembered, want, seen, {}, now), now=now)


def ids(made: Plan) -> tuple[str, ...]:
    return tuple(step.id for step in made.steps)


def action(made: Plan, step_id: str) -> Any:
    return next(step.action for step in made.steps if step.id == step_id)


def edges(made: Plan, step_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(needs, after)"""
    step = next(step for step in made.steps if step.id == step_id)
    return step.needs, step.after


def refused(made: Plan, target: Target | str) -> str:
    """All refusals of one object as one text; '' where there is none."""
    return "; ".join(each.reason for each in made.refusals if str(each.target) == str(target))


def noticed(made: Plan, target: str) -> str:
    return "; ".join(each.text for each in made.notices if str(each.target) == target)


def actions(made: Plan, kind: type[Action]) -> list[Any]:
    return [step.action for step in made.steps if isinstance(step.action, kind)]


def with_tables(seen: Observed, **tables: Any) -> Observed:
    return replace(seen, **tables)


def domain_name(each: Action) -> str | None:
    return each.target.name if each.target.kind is Kind.DOMAIN else None


def backing_path(backing: Backing) -> str:
    return backing.path


Tables = Mapping[str, Any]
