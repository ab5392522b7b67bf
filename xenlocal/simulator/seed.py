"""A real host, as it was seen, as a simulated one: where a rehearsal plays. `habits` says how its guests behave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from xenlocal.adapters.identities import Identities
from xenlocal.adapters.trials import Trials
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Record
from xenlocal.model.names import KERNELS
from xenlocal.model.observed import (
    OUR_ALIAS,
    Built,
    Hardware,
    Kept,
    LiveDomain,
    LiveState,
    Network,
    Observed,
    PathFacts,
    Table,
    Unavailable,
    Vbd,
)
from xenlocal.model.probes import XenstoreProbe
from xenlocal.model.storage import Storage
from xenlocal.planner.holders import with_devices
from xenlocal.planner.rehearsal import Scene
from xenlocal.planner.room import DOM0_LEAST
from xenlocal.simulator import xlcfg
from xenlocal.simulator.habits import behaviour, is_late
from xenlocal.simulator.iscsi import seed_iscsi
from xenlocal.simulator.paths import MAJOR
from xenlocal.simulator.state import (
    Disk,
    Domain,
    Fill,
    Group,
    Happening,
    Host,
    Link,
    Nic,
    Path,
    Route,
    Volume,
)

T = TypeVar("T")
_STATES = {
    LiveState.RUNNING: "running",
    LiveState.PAUSED: "paused",
    LiveState.SHUTDOWN: "shutdown",
    LiveState.CRASHED: "crashed",
    LiveState.DYING: "dying",
}
_REASONS = {LiveState.SHUTDOWN: "poweroff", LiveState.CRASHED: "crash"}
_LONG_AGO = 3600.0
STATE_DIR = "/var/lib/xenlocal"
_COPIES, _BOOTS = f"{STATE_DIR}/{KERNELS}", ("kernel", "ramdisk")
_KEPT = (STATE_DIR, "/etc/")  # what lies there outlives a boot


def seed(scene: Scene) -> Host:
    """Raises XenlocalError where a table of the scene is unknown: what nobody knows cannot be rehearsed."""
    observed = scene.observed
    storage = _known(observed.storage, Table.STORAGE)
    live = _known(observed.domains, Table.DOMAINS)
    devices = _Devices(storage)
    state = Host(now=scene.now, epoch=scene.wall - scene.now, patterns=[])
    _network(state, _known(observed.network, Table.NETWORK))
    store, monitors = _known(observed.xenstore, Table.XENSTORE), _known(observed.monitors, Table.MONITORS)
    vbds = _numbered(with_devices(store.vbds, observed), storage)
    _storage(state, storage, vbds)
    paths = dict(_known(observed.paths, Table.PATHS))
    seed_iscsi(state, scene.desired, _known(observed.iscsi, Table.ISCSI), paths, devices.number)
    state.paths = {path: _path(facts, devices) for path, facts in paths.items()}
    kernels = _known(observed.kernels, Table.KERNELS)
    _kernels(state, kernels)
    for domid, each in sorted(live.items()):
        domain = _domain(scene, each, monitors)
        domain.config |= _booted(kernels, each)
        domain.disks = [_disk(vbd, devices) for vbd in vbds if vbd.domid == domid]
        domain.nics = [Nic(vif.devid, vif.mac, vif.bridge) for vif in store.vifs if vif.domid == domid]
        state.domains.append(domain)
        if each.state is LiveState.DYING:  # it is about to go
            state.seq += 1
            state.agenda.append(Happening(state.now + 1.0, state.seq, "gone", domid))
    state.next_domid = max(live, default=0) + 1
    identities, trials = Identities(STATE_DIR), Trials(STATE_DIR)
    state.texts[identities.path] = identities.text(_known(observed.identities, Table.IDENTITIES))
    state.texts[trials.path] = trials.text(_known(observed.trials, Table.TRIALS))
    _known(observed.at_work, Table.AT_WORK)  # a reboot ends it, and it begins anew: its disk is marked
    _hardware(state, _known(observed.hardware, Table.HARDWARE))
    names = {*scene.desired.domains, *(each.name for each in live.values())}
    state.behaviours = {name: behaviour(scene, name, state.durations) for name in sorted(names)}
    return state


def _known(value: T | Unavailable, table: Table) -> T:
    if isinstance(value, Unavailable):
        raise XenlocalError(f"cannot rehearse: {table} unknown: {value.why}")
    return value


def _kernels(state: Host, kept: Kept) -> None:
    """The copies, and that they are in use."""
    state.paths |= {f"{_COPIES}/{copy}/{key}": Path() for copy in kept.copies for key in _BOOTS}
    lines = [f'kernel = "{_COPIES}/{copy}/kernel"\n' for copy in sorted(kept.named)]
    state.texts["/run/xenlocal/domains/used.next.cfg"] = "".join(lines)
    for uuid, copy in kept.started.items():
        text = f'name = "{uuid}"\nuuid = "{uuid}"\nkernel = "{_COPIES}/{copy}/kernel"\n'
        state.texts[f"/run/xenlocal/domains/{uuid}.cfg"] = text


def _booted(kept: Kept, live: LiveDomain) -> dict[str, str]:
    """The copies that a domU was started from, as its xl.cfg names them."""
    copies = [
        path for path in kept.built.get((live.domid, live.uuid), Built()).boots if path.startswith(f"{kept.place}/")
    ]
    return {path.rpartition("/")[2]: _COPIES + path.removeprefix(kept.place) for path in copies}


class _Devices:
    """Numbers of block devices, as the simulator has them: there every LV has the same major."""

    def __init__(self, storage: Storage) -> None:
        self._lvs = {volume.device for volume in storage.volumes.values() if volume.device is not None}

    def number(self, device: tuple[int, int]) -> str:
        return f"{MAJOR if device in self._lvs else device[0]}:{device[1]}"


def _network(state: Host, network: Network) -> None:
    for index, link in enumerate(network.links.values(), 1):
        state.links.append(
            Link(
                link.name,
                index,
                "loopback" if link.name == "lo" else link.kind,
                link.mtu,
                link.up,
                link.master,
                link.alias,
                addresses=list(link.addresses),
                stp=bool(link.stp),
                vlan_filtering=bool(link.vlan_filtering),
                lower=link.lower or "",
                leased=list(link.leased),
            )
        )
    state.next_link = len(state.links) + 1
    state.routes = list(_routes(sorted(network.default_links), network.gateways))


def _routes(links: list[str], gateways: Iterable[str]) -> Iterator[Route]:
    """Which gateway belongs to which link is not in the table, but for one that is local to its link."""
    bare = list(links)
    for gateway in gateways:
        address, _, scope = gateway.partition("%")
        link = scope or (bare or links or [""])[0]
        if link in bare:
            bare.remove(link)
        yield Route(link, address)
    yield from (Route(link) for link in bare)


def _numbered(vbds: tuple[Vbd, ...], storage: Storage) -> tuple[Vbd, ...]:
    """Also of LVs that qemu serves: their holders end with the guests, as those of all others."""
    numbers = {f"/dev/{vg}/{lv}": volume.device for (vg, lv), volume in storage.volumes.items()}
    return tuple(replace(vbd, device=vbd.device or numbers.get(vbd.params)) for vbd in vbds)


def _storage(state: Host, storage: Storage, vbds: tuple[Vbd, ...]) -> None:
    backends = {vbd.device for vbd in vbds}
    minors = [volume.device[1] for volume in storage.volumes.values() if volume.device is not None]
    state.next_minor = max(minors, default=-1) + 1
    held = dict.fromkeys(storage.groups, 0)
    for (vg, lv), volume in storage.volumes.items():
        held[vg] += 0 if volume.pool else volume.size.bytes
        minor = volume.device[1] if volume.device is not None else state.next_minor
        state.next_minor += volume.device is None
        seeded = Volume(vg, lv, volume.size.bytes, minor, volume.active, sorted(volume.tags))
        seeded.opened = volume.opened and volume.device not in backends
        seeded.pool = volume.pool
        if volume.fill is not None:
            seeded.fill = Fill(volume.fill.data or 0.0, volume.fill.metadata or 0.0, volume.fill.health)
        state.volumes.append(seeded)
    state.name = storage.host
    state.groups = [
        Group(name, group.free.bytes + held[name], group.extent.bytes, locks=group.locks)
        for name, group in storage.groups.items()
    ]


def _path(facts: PathFacts, devices: _Devices) -> Path:
    device = devices.number(facts.device) if facts.device is not None else ""
    return Path(str(facts.kind), facts.size.bytes, facts.real, device, changed=facts.changed)


def _disk(vbd: Vbd, devices: _Devices) -> Disk:
    try:
        devid = xlcfg.devid(vbd.vdev)
    except xlcfg.BadConfig:
        devid = int(vbd.vdev) if vbd.vdev.isdecimal() else 0
    disk = Disk(vbd.vdev, vbd.params, vbd.writable, devid, by_qemu=vbd.by_qemu)
    if vbd.device is not None and vbd.device[0] == 7:
        disk.loop = vbd.device[1]
    elif vbd.device is not None:
        disk.device = devices.number(vbd.device)
    return disk


def _domain(scene: Scene, live: LiveDomain, monitors: frozenset[str]) -> Domain:
    record = scene.memory.records.get(live.uuid)
    ours = live.name in monitors
    config = _config(live, record)
    kib = live.memory.bytes >> 10
    maxvcpus = config.get("maxvcpus", live.vcpus)
    return Domain(
        live.domid,
        live.name,
        live.uuid,
        str(config.get("type", "pv")),
        _STATES[live.state],
        memory_kib=kib,
        maxmem_kib=max(kib, int(config.get("maxmem", 0)) << 10),
        vcpus=live.vcpus,
        maxvcpus=max(live.vcpus, int(maxvcpus)),
        config=config,
        born=scene.now - _LONG_AGO if record is None or record.born is None else record.born,
        ended=scene.now if live.is_down else None,
        reason=_REASONS.get(live.state, ""),
        boot_seconds=0.0,
        monitor=(ours or record is None) and not live.is_down,
        elsewhere=not ours,
        extra=_written(scene, live, record),
    )


def _written(scene: Scene, live: LiveDomain, record: Record | None) -> dict[str, str]:
    """By one that was late with its key of xenstore: it stays late in its present life."""
    domain = next((each for each in scene.desired.domains.values() if each.uuid == live.uuid), None)
    if domain is None or not isinstance(domain.probe, XenstoreProbe) or not is_late(record):
        return {}
    return {domain.probe.key: "0"}


def _config(live: LiveDomain, record: Record | None) -> dict[str, Any]:
    """What it runs with. Of a domU that is not ours, all that matters is that its monitor clears it away."""
    if record is None:
        return {"name": live.name, "uuid": live.uuid}
    text = "".join(f"{key} = {value}\n" for key, value in record.running.items())
    kept = {"on_poweroff": "preserve", "on_crash": "preserve", "on_reboot": "restart"}
    return {**kept, **xlcfg.parse(text, live.name), "name": live.name, "uuid": live.uuid}


def _hardware(state: Host, hardware: Hardware) -> None:
    held = sum(-(-domain.memory_kib // 1024) + state.domain_overhead_mib for domain in state.domains)
    state.memory_mib = hardware.total.in_mib
    own = state.memory_mib - hardware.free.in_mib - held
    state.xen_overhead_mib = min(state.xen_overhead_mib, max(own, 0))
    state.dom0_memory_mib = own - state.xen_overhead_mib
    state.cpus, state.dom0_vcpus, state.scheduler = hardware.cpus, hardware.dom0_vcpus, hardware.scheduler
    state.virt_caps = " ".join(sorted(hardware.capabilities))
    state.xl_conf = f'autoballoon="{"on" if hardware.autoballoon else "off"}"\n'


def reboot(state: Host, hardware: Observed) -> None:
    """The dom0 reboots, in no time: no domU is left, /run is empty, and of the bridges and routes only those come back
    that somebody else makes. LVs are active again as they are now."""
    state.domains, state.agenda, state.timers, state.sessions = [], [], [], []
    state.texts = {path: text for path, text in state.texts.items() if path.startswith(_KEPT)}
    gone = {link.name for link in state.links if link.kind == "bridge" and link.alias == OUR_ALIAS}
    state.links = [link for link in state.links if link.name not in gone and not _is_guests(link)]
    for link in state.links:
        link.master = None if link.master in gone else link.master
    state.routes = [route for route in state.routes if route.link not in gone]
    give_way(state, hardware)


def _is_guests(link: Link) -> bool:
    return link.kind == "vif" or link.name.startswith(("vif", "tap"))


def give_way(state: Host, observed: Observed) -> None:
    """Under autoballoon the dom0 gives its memory to whoever is started, which the simulator does not do by itself."""
    hardware = observed.hardware
    if not isinstance(hardware, Unavailable) and hardware.autoballoon:
        state.dom0_memory_mib = min(state.dom0_memory_mib, DOM0_LEAST.in_mib)
