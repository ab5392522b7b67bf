"""What each action does to a host, as far as the planner sees it: the tests' own model, with no code of the
planner in it but the transitions of the memory that the executor calls too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xenlocal.model.actions import (
    Action,
    AttachDevice,
    AwaitReady,
    DestroyDomain,
    LockIdentity,
    PrepareDisk,
    SetLive,
    StageConfig,
    StartDomain,
    StopDomain,
    WatchDisk,
)
from xenlocal.model.desired import Desired, ImageFile, LogicalVolume
from xenlocal.model.diskwork import Preparation
from xenlocal.model.host_actions import (
    ActivateVolume,
    ChangeBridge,
    CreateVolume,
    DeactivateVolume,
    GrowVolume,
    ResizeFile,
    RetireVolume,
    UntagVolume,
)
from xenlocal.model.memory import Memory
from xenlocal.model.observed import (
    OUR_ALIAS,
    Link,
    LiveDomain,
    LiveState,
    Network,
    Observed,
    PathFacts,
    PathKind,
    Unavailable,
    Vbd,
    XenStore,
)
from xenlocal.model.plan import Plan
from xenlocal.model.storage import OUR_TAG, Storage, Volume
from xenlocal.model.units import Size
from xenlocal.planner import memory as transitions
from xenlocal.planner import replies
from xenlocal.planner.looks import learn


def apply_plan(made: Plan, seen: Observed, remembered: Memory, want: Desired, now: float) -> tuple[Observed, Memory]:
    """Every step in the order of its edges, then a look."""
    for step in made.steps:
        seen, remembered = apply(step.action, seen, remembered, want, now)
    return seen, learn(remembered, want, seen, {}, now)


def apply(action: Action, seen: Observed, remembered: Memory, want: Desired, now: float) -> tuple[Observed, Memory]:
    match action:
        case CreateVolume() | GrowVolume() | ActivateVolume() | DeactivateVolume() | RetireVolume() | UntagVolume():
            assert isinstance(seen.storage, Storage)
            return replace(seen, storage=_storage(action, seen.storage)), remembered
        case ResizeFile():
            paths = {**_map(seen.paths), action.path: PathFacts(PathKind.FILE, action.size, action.path)}
            if action.work is not None:
                mark = action.work.mark_of_file(action.path)
                paths[mark] = PathFacts(PathKind.FILE, Size(0), mark)
            return replace(seen, paths=paths), remembered
        case ChangeBridge():
            assert isinstance(seen.network, Network)
            return replace(seen, network=_network(action, seen.network)), remembered
        case PrepareDisk(disk=LogicalVolume(vg, lv)):
            assert isinstance(seen.storage, Storage)
            volume = seen.storage.volumes[vg, lv]
            volumes = {**seen.storage.volumes, (vg, lv): replace(volume, tags=volume.tags - {action.work.mark})}
            return replace(seen, storage=replace(seen.storage, volumes=volumes)), remembered
        case PrepareDisk(disk=ImageFile(path)):
            left = {name: facts for name, facts in _map(seen.paths).items() if name != action.work.mark_of_file(path)}
            return replace(seen, paths=left), remembered
        case WatchDisk():
            return seen, remembered
        case StartDomain():
            remembered = transitions.started(remembered, action.uuid, action.settings)
            seen = _start(action, seen, want)
            return seen, learn(remembered, want, seen, {}, now)
        case AwaitReady():
            return seen, remembered.change(action.uuid, ready=True, gave_up_waiting=False)
        case StopDomain():
            if action.uuid in remembered.records:
                remembered = replies.asked(remembered, action.uuid, action.domid, now)
            seen = _end(action.domid, seen)
            return seen, learn(remembered, want, seen, {}, now)
        case DestroyDomain():
            if action.verb == "destroy":
                remembered = transitions.destroyed(remembered, action.uuid, action.name, now)
            seen = _end(action.domid, seen)
            return seen, learn(remembered, want, seen, {}, now)
        case SetLive():
            return seen, transitions.changed_live(remembered, action.uuid, action.key, action.rendered)
        case LockIdentity(identity):
            assert not isinstance(seen.identities, Unavailable)
            return replace(seen, identities={**seen.identities, identity.uuid: identity}), remembered
        case AttachDevice():
            assert isinstance(seen.xenstore, XenStore)
            declared = next(disk for disk in want.domains[action.name].disks if f"vdev={disk.vdev}," in action.spec)
            path = declared.backing.path
            held = Vbd(action.domid, declared.vdev, path, number_of(path, seen), not declared.readonly)
            seen = replace(seen, xenstore=replace(seen.xenstore, vbds=(*seen.xenstore.vbds, held)))
            if isinstance(declared.backing, LogicalVolume):
                seen = _open(seen, declared.backing, True)
            return seen, transitions.attached(remembered, action.uuid, action.key, action.spec)
        case StageConfig():
            return seen, remembered.change(action.uuid, staged=action.settings)
    raise AssertionError(f"the planner never makes {action}")


def _map(table: object) -> Mapping[str, PathFacts]:
    assert isinstance(table, Mapping)
    return table


def _storage(action: Action, before: Storage) -> Storage:
    volumes, groups = dict(before.volumes), dict(before.groups)
    match action:
        case CreateVolume(vg, lv, size, install=install):
            tags = frozenset({OUR_TAG, Preparation.INSTALL.mark} if install else {OUR_TAG})
            assert (vg, lv) not in volumes, "an LV of this name is there"
            assert groups[vg].free.bytes >= size.bytes, "the VG is full"
            number = (253, 1 + max((each.device[1] for each in volumes.values() if each.device), default=0))
            volumes[vg, lv] = Volume(vg, lv, size, True, False, tags, number)
            groups[vg] = replace(groups[vg], free=Size(groups[vg].free.bytes - size.bytes))
        case GrowVolume(vg, lv, size, resize):
            more = size.bytes - volumes[vg, lv].size.bytes
            assert 0 < more <= groups[vg].free.bytes
            marks = {Preparation.RESIZE.mark} if resize else set[str]()
            volumes[vg, lv] = replace(volumes[vg, lv], size=size, tags=volumes[vg, lv].tags | marks)
            groups[vg] = replace(groups[vg], free=Size(groups[vg].free.bytes - more))
        case ActivateVolume(vg, lv):
            volumes[vg, lv] = replace(volumes[vg, lv], active=True)
        case DeactivateVolume(vg, lv):
            assert not volumes[vg, lv].opened, "it is in use"
            volumes[vg, lv] = replace(volumes[vg, lv], active=False)
        case RetireVolume(vg, lv, trash):
            assert not volumes[vg, lv].opened, "it is in use"
            volumes[vg, trash] = replace(volumes.pop((vg, lv)), lv=trash)
        case UntagVolume(vg, lv, tags):
            volumes[vg, lv] = replace(volumes[vg, lv], tags=volumes[vg, lv].tags - set(tags))
    return replace(before, groups=groups, volumes=volumes)


def _network(action: ChangeBridge, before: Network) -> Network:
    links = dict(before.links)
    if action.create:
        assert action.name not in links
        links[action.name] = Link(action.name, "bridge", 1500, False, None, OUR_ALIAS, (), False, False)
    this = links[action.name]
    links[action.name] = replace(
        this,
        up=this.up or action.up,
        mtu=this.mtu if action.mtu is None else action.mtu,
        stp=this.stp if action.stp is None else action.stp,
        vlan_filtering=this.vlan_filtering if action.vlan_filtering is None else action.vlan_filtering,
        addresses=(*this.addresses, *((action.add_address,) if action.add_address else ())),
    )
    for port in action.add_ports:
        links[port] = replace(links[port], master=action.name)
    for port in action.remove_ports:
        links[port] = replace(links[port], master=None)
    return replace(before, links=links)


def _start(action: StartDomain, seen: Observed, want: Desired) -> Observed:
    domain = want.domains[action.name]
    assert isinstance(seen.xenstore, XenStore) or not domain.disks
    domains = {} if isinstance(seen.domains, Unavailable) else dict(seen.domains)
    assert action.name not in {each.name for each in domains.values()}, "xl: a domain of this name exists"
    domid = 1 + max([100, *domains])
    domains[domid] = LiveDomain(domid, action.name, action.uuid, LiveState.RUNNING, domain.memory, domain.vcpus)
    seen = replace(seen, domains=domains)
    for disk in domain.disks:
        assert isinstance(seen.xenstore, XenStore)
        path = disk.backing.path
        held = Vbd(domid, disk.vdev, path, number_of(path, seen), not disk.readonly)
        seen = replace(seen, xenstore=replace(seen.xenstore, vbds=(*seen.xenstore.vbds, held)))
        if isinstance(disk.backing, LogicalVolume):
            seen = _open(seen, disk.backing, True)
    return seen


def number_of(path: str, seen: Observed) -> tuple[int, int] | None:
    """The device number behind a path."""
    facts = None if isinstance(seen.paths, Unavailable) else seen.paths.get(path)
    if facts is not None and facts.device is not None:
        return facts.device
    if isinstance(seen.storage, Storage):
        for each in seen.storage.volumes.values():
            if f"/dev/{each.vg}/{each.lv}" == path:
                return each.device
    return None


def _open(seen: Observed, backing: LogicalVolume, opened: bool) -> Observed:
    assert isinstance(seen.storage, Storage)
    key = (backing.vg, backing.lv)
    volumes = {**seen.storage.volumes, key: replace(seen.storage.volumes[key], opened=opened)}
    return replace(seen, storage=replace(seen.storage, volumes=volumes))


def _end(domid: int, seen: Observed) -> Observed:
    assert not isinstance(seen.domains, Unavailable)
    seen = replace(seen, domains={key: each for key, each in seen.domains.items() if key != domid})
    if isinstance(seen.xenstore, XenStore):
        vbds = tuple(each for each in seen.xenstore.vbds if each.domid != domid)
        seen = replace(seen, xenstore=replace(seen.xenstore, vbds=vbds))
        if isinstance(seen.storage, Storage):
            held = {each.params for each in vbds} | {each.device for each in vbds if each.device}
            volumes = {
                key: replace(each, opened=each.opened and bool({f"/dev/{each.vg}/{each.lv}", each.device} & held))
                for key, each in seen.storage.volumes.items()
            }
            seen = replace(seen, storage=replace(seen.storage, volumes=volumes))
    return seen
