"""Births and deaths of domUs, as Xen, `xl` and its monitors bring them about; between the two, see `conduct`.

As on the real host (tests/records), a domU exists, paused, while `xl create` makes its devices, and boots from the end
of that command on; `xl` killed in between leaves it paused. While its devices are taken away, which takes `xl destroy`
and the monitor some time, it is listed as paused, and holds its disks. A guest that has ended is treated by its
monitor after on_poweroff, on_reboot and on_crash of its config.
"""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any

from xenlocal.simulator import conduct, diskwork, paths, xlcfg
from xenlocal.simulator.answer import Refused
from xenlocal.simulator.state import Disk, Domain, Happening, Link, Nic

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0

_CODES = {"poweroff": 0, "reboot": 1, "crash": 3}


def create(dom0: SimulatedDom0, config: dict[str, Any], scope: str = "", paused: bool = False) -> Domain:
    """`xl create` of a parsed config. Raises Refused with what xl prints."""
    state = dom0.state
    name = config.get("name")
    if not isinstance(name, str) or not name:
        raise Refused("Domain name must be specified.\n")
    try:
        disks, nics = xlcfg.disks(config), xlcfg.nics(config)
    except xlcfg.BadConfig as error:
        raise Refused(f"{error}\n") from None
    domid, state.next_domid = state.next_domid, state.next_domid + 1  # real Xen spends a domid on a failed try too
    if state.domain(name):
        _fail(domid, f'Domain with name "{name}" already exists.', "libxl_domain.c:53:libxl__domain_rename")
    memory = _mib(config, "memory", 32)
    maxmem = max(memory, _mib(config, "maxmem", memory))
    if memory + state.domain_overhead_mib > state.free_mib():
        text = f"failed to free memory for the domain\nlibxl: error: Domain {domid}:need {memory << 10} KiB"
        raise Refused(f"libxl: error: libxl_mem.c:563:libxl_wait_for_free_memory: {text}\n")
    kind = str(config.get("type", "hvm" if config.get("builder") == "hvm" else "pv"))
    for key in ("kernel", "ramdisk"):
        path = config.get(key)
        if path and paths.facts(dom0, path) is None:
            where = "xc: error: panic: xg_dom_boot.c: xc_dom_boot_mem_init" if key == "kernel" else "libxl: error"
            raise Refused(f"{where}: failed to open {key} image {path}: No such file or directory\n")
    may_run_on(dom0, domid, str(config.get("cpus", "all")))
    if kind == "pvh" and not config.get("kernel") and not config.get("bootloader"):
        raise Refused("libxl: error: libxl_dom.c: PVH domain without kernel\n")
    for disk in disks:
        attach(dom0, domid, disk)
    for nic in nics:
        bridge = state.link(nic.bridge)
        if bridge is None or bridge.kind != "bridge":
            _fail(domid, f"unable to add vif devices: Could not find bridge device {nic.bridge}", "libxl_create.c:1879")
    for address in config.get("pci", []):
        give(dom0, domid, str(address), kind)
    vcpus = int(config.get("vcpus", 1))
    declared = str(config.get("uuid", "")).lower()
    domain = Domain(
        domid,
        name,
        declared or str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}/{domid}")),
        kind,
        "paused",
        memory_kib=memory << 10,
        maxmem_kib=maxmem << 10,
        vcpus=vcpus,
        maxvcpus=max(vcpus, int(config.get("maxvcpus", vcpus))),
        weight=int(config.get("cpu_weight", 256)),
        pinned=str(config.get("cpus", "all")),
        config={**config, "uuid": declared} if declared else config,
        disks=disks,
        nics=nics,
        born=dom0.now,
        scope=scope,
        released=False,
    )
    behaviour = state.behaviour(name)
    domain.boot_seconds = behaviour.boot_seconds
    for nic in nics:
        add_port(dom0, domid, nic)
    state.domains.append(domain)
    dom0.log(name, f"Waiting for domain {name} (domid {domid}) to die [pid {2000 + domid}]")
    dom0.announce("born", f"{name} {domid}")
    dom0.schedule(creation(dom0, name)[1], "release", domid, "paused" if paused else "")
    return domain


def may_run_on(dom0: SimulatedDom0, domid: int, cpus: str) -> None:
    """Xen takes those that it has (seen in tests/records/bookworm/experiments.txt). Raises Refused without any."""
    there: set[int] = set()
    for item in cpus.replace("all", f"0-{dom0.state.cpus - 1}").split(","):
        first, _, last = item.removeprefix("^").partition("-")
        span = {cpu for cpu in range(int(first), int(last or first) + 1) if cpu < dom0.state.cpus}
        there = there - span if item.startswith("^") else there | span
    if not there:
        _fail(domid, "Setting vcpu affinity: Invalid argument", "libxl_sched.c:62:libxl__set_vcpuaffinity")


def add_port(dom0: SimulatedDom0, domid: int, nic: Nic) -> None:
    """The dom0's end of a nic."""
    state, name = dom0.state, f"vif{domid}.{nic.devid}"
    state.links.append(Link(name, state.next_link, "vif", up=True, master=nic.bridge, mac="fe:ff:ff:ff:ff:ff"))
    state.next_link += 1


def creation(dom0: SimulatedDom0, name: str) -> tuple[float, float]:
    """Seconds that the `xl create` of this domU takes, and of these the last, in which it exists, paused."""
    durations, behaviour = dom0.state.durations, dom0.state.behaviours.get(name)
    own = behaviour.create_seconds if behaviour else None
    seconds = durations.xl_create if own is None else own
    return seconds, min(seconds, durations.xl_create_paused)


def release(dom0: SimulatedDom0, domain: Domain) -> None:
    """The end of `xl create`: the guest boots."""
    domain.released, domain.state, domain.born = True, "running", dom0.now
    if domain.requested:
        conduct.request(dom0, domain, domain.requested)
    for line, after in dom0.state.behaviour(domain.name).say.items():
        dom0.schedule(after, "say", domain.domid, line)
    for later in dom0.state.behaviour(domain.name).later:
        if later.times > 0:
            later.times -= 1
            dom0.schedule(later.after, "end", domain.domid, later.what)


def killed_while_creating(dom0: SimulatedDom0, domid: int) -> None:
    """The `xl create` that made it is no more: nobody releases it, nobody watches it."""
    domain = dom0.state.domain(str(domid))
    if domain and not domain.released:
        _forget(dom0, domain.domid)
        domain.monitor = False


def give(dom0: SimulatedDom0, domid: int, address: str, kind: str) -> None:
    """A PCI device of the host (tools/libs/light/libxl_create.c, libxl_pci.c)."""
    if f"{kind}_directio" not in dom0.state.virt_caps.split():
        _fail(domid, "passthrough not supported on this platform", "libxl_create.c:1134:domain_config_setdefault")
    driver = paths.facts(dom0, f"/sys/bus/pci/devices/{address}/driver")
    if driver is None or driver.real != "/sys/bus/pci/drivers/pciback":
        short = ":".join(f"{int(part, 16):x}" for part in address.partition(".")[0].split(":"))
        text = f"PCI device {short}.{address[-1]} is not assignable"
        _fail(domid, text, "libxl_pci.c:1677:libxl__device_pci_add")
    if any(address in each.config.get("pci", []) for each in dom0.state.domains):
        _fail(domid, "PCI device already attached to a domain", "libxl_pci.c:1616:libxl__device_pci_add")


def _fail(domid: int, text: str, where: str) -> None:
    raise Refused(f"libxl: error: {where}: Domain {domid}:{text}\n")


def _mib(config: dict[str, Any], key: str, default: int) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or value <= 0:
        raise Refused(f"xl: invalid value for {key}: {value!r}\n")
    return value


def attach(dom0: SimulatedDom0, domid: int, disk: Disk) -> None:
    facts = paths.facts(dom0, disk.path)
    if facts is None:
        text = f"Disk vdev={disk.vdev} failed to stat: {disk.path}: No such file or directory"
        _fail(domid, text, "libxl_device.c:397:libxl__device_disk_set_backend")
    elif facts.device:
        disk.device = f"{facts.device[0]}:{facts.device[1]}"
    elif not disk.by_qemu:
        taken = {held.loop for other in dom0.state.domains for held in other.disks}
        disk.loop = next(number for number in itertools.count() if number not in taken)
        disk.capacity = facts.size.bytes
    if disk.by_qemu:
        return
    for other in dom0.state.domains:  # the block script's own guard, which knows only disks that scripts have set up
        for held in other.disks:
            if (
                not held.by_qemu
                and (held.path == disk.path or (disk.device and held.device == disk.device))
                and (held.writable or disk.writable)
            ):
                raise Refused(
                    f"libxl: error: libxl_exec.c:117:libxl_report_child_exitstatus: /etc/xen/scripts/block add"
                    f" exited with error status 1\nlibxl: error: libxl_device.c:1265:device_hotplug_child_death_cb:"
                    f" script: Device {disk.path} is mounted in a guest domain,\nand so cannot be mounted now.\n"
                    f"libxl: error: libxl_create.c:1643:domcreate_launch_dm: Domain {domid}:"
                    f"unable to add disk devices\n"
                )


def happen(dom0: SimulatedDom0, event: Happening) -> None:
    """Something that was scheduled is due."""
    domain = next((dom for dom in dom0.state.domains if dom.domid == event.domid), None)
    if event.what == "reborn":
        _reborn(dom0, event)
    elif event.what == diskwork.DONE:
        diskwork.end(dom0, event)
    elif domain and event.what == "heard":
        conduct.heard(dom0, domain, event.detail)
    elif domain and event.what == "say":
        conduct.say(dom0, domain, event.detail)
    elif domain and event.what == "release":
        if not domain.released and not event.detail:
            release(dom0, domain)
        domain.released = True
    elif domain and event.what == "torn":
        destroy(dom0, domain)
    elif domain and event.what == "end":
        end(dom0, domain, event.detail)
    elif domain and event.what == "gone":
        _gone(dom0, domain)


def end(dom0: SimulatedDom0, domain: Domain, reason: str) -> None:
    """The guest has ended by itself: poweroff, reboot or crash. Its monitor, where there is one, does the rest."""
    if domain.state not in ("running", "paused"):
        return
    _forget(dom0, domain.domid)
    domain.state, domain.ended, domain.reason = ("crashed" if reason == "crash" else "shutdown"), dom0.now, reason
    dom0.announce("ended", f"{domain.name} {domain.domid} {reason}")
    if not domain.monitor:
        return
    code = _CODES[reason]
    action = str(domain.config.get(f"on_{reason}", "restart" if reason == "reboot" else "destroy"))
    dom0.log(domain.name, f"Domain {domain.domid} has shut down, reason code {code} 0x{code:x}")
    dom0.log(domain.name, f"Action for shutdown reason code {code} is {action}")
    if action == "preserve":
        dom0.log(domain.name, "Done. Exiting now")
        domain.monitor = False
        return
    dom0.log(domain.name, f"Domain {domain.domid} needs to be cleaned up: destroying the domain")
    if action == "restart":
        durations, (seconds, paused) = dom0.state.durations, creation(dom0, domain.name)
        again = domain.staged or domain.config
        again = {**again, "uuid": domain.uuid, "name": domain.name}
        pause = durations.teardown + durations.dying + durations.reboot_pause
        pause += seconds - paused
        dom0.schedule(pause, "reborn", detail=domain.name, config=again, scope=domain.scope)
        dom0.log(domain.name, "Done. Rebooting now")
    else:
        dom0.log(domain.name, "Done. Exiting now")
    domain.torn = True
    dom0.schedule(dom0.state.durations.teardown, "torn", domain.domid)


def begin_destroy(dom0: SimulatedDom0, domain: Domain) -> None:
    """`xl destroy` has begun: the guest runs no more."""
    if domain.state in ("running", "paused"):
        domain.state, domain.torn = "paused", True
        _forget(dom0, domain.domid)


def destroy(dom0: SimulatedDom0, domain: Domain, by_hand: bool = False) -> None:
    """Tear it down, whatever it does; it lingers as dying for a while where the host's durations say so."""
    if domain.state == "dying":
        return
    _forget(dom0, domain.domid)
    if by_hand and domain.monitor:
        dom0.log(domain.name, f"Domain {domain.domid} has been destroyed.")
    domain.state, domain.monitor, domain.requested = "dying", False, ""
    if dom0.state.durations.dying > 0:
        dom0.schedule(dom0.state.durations.dying, "gone", domain.domid)
    else:
        _gone(dom0, domain)


def _gone(dom0: SimulatedDom0, domain: Domain) -> None:
    state = dom0.state
    state.domains.remove(domain)
    state.links = [link for link in state.links if not link.name.startswith(f"vif{domain.domid}.")]
    dom0.announce("gone", f"{domain.name} {domain.domid}")


def _reborn(dom0: SimulatedDom0, event: Happening) -> None:
    """The monitor creates its domU anew after a reboot; where it cannot, it gives up."""
    try:
        create(dom0, event.config, event.scope)
    except Refused as refusal:
        dom0.log(event.detail, refusal.stderr.rstrip())
        dom0.note("gone", f"{event.detail} could not be created anew: {refusal.stderr.strip()}")


def _forget(dom0: SimulatedDom0, domid: int) -> None:
    dom0.state.agenda = [one for one in dom0.state.agenda if one.domid != domid]
