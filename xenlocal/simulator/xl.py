"""`xl` on the simulated host. Shapes and messages after tests/records (Xen 4.17)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from xenlocal.simulator import conduct, guests, plugging, surroundings, xlcfg
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand, split_options
from xenlocal.simulator.state import Domain

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0

_HEAD = "Name                                        ID   Mem VCPUs\tState\tTime(s)"
_LETTERS = {"running": "-b----", "paused": "--p---", "dying": "---s-d"}
_REASONS = {"": ("-", "-"), "poweroff": ("-", "0"), "reboot": ("r", "1"), "crash": ("c", "3")}


def run(dom0: SimulatedDom0, argv: list[str], scope: str = "") -> Answer:
    """`xl VERB ...`; `scope`: the systemd scope it was started in."""
    verb = argv[1] if len(argv) > 1 else ""
    if verb == "create":
        return _create(dom0, argv, scope)
    known = {
        "list": _list, "info": _info, "shutdown": _shutdown, "reboot": _shutdown, "destroy": _destroy,
        "mem-set": _mem_set, "vcpu-set": _vcpu_set, "vcpu-pin": _vcpu_pin, "sched-credit2": _weight,
        "sched-credit": _weight, "config-update": _config_update, "domid": _domid, "pause": _pause,
        "unpause": _pause, "sysrq": _sysrq, "trigger": _trigger, "vcpu-list": surroundings.vcpu_list,
        "block-attach": _plug, "block-detach": _plug, "network-attach": _plug, "network-detach": _plug,
    }  # fmt: skip
    if verb not in known:
        raise UnknownCommand(argv)
    return known[verb](dom0, argv)


def _find(dom0: SimulatedDom0, name: str) -> Domain:
    domain = dom0.state.domain(name)
    if domain is None:
        raise Refused(f"{name} is an invalid domain identifier (rc=-6)\n")
    return domain


def _create(dom0: SimulatedDom0, argv: list[str], scope: str) -> Answer:
    options, rest = split_options(argv, ("-q", "--quiet", "-p"), (), 2)
    if len(rest) != 1 or "=" in rest[0]:
        raise UnknownCommand(argv, "exactly one config file expected")
    guests.create(dom0, _read_config(dom0, rest[0]), scope, paused="-p" in options)
    return Answer("" if options.keys() & {"-q", "--quiet"} else f"Parsing config from {rest[0]}\n")


def _read_config(dom0: SimulatedDom0, path: str) -> dict[str, Any]:
    try:
        return xlcfg.parse(dom0.read_text(path), path)
    except OSError as error:
        raise Refused(f"Failed to read config file: {path}: {error.strerror}\n") from None
    except xlcfg.BadConfig as error:
        raise Refused(f"{error}\nFailed to parse config: Invalid argument\n") from None


def _list(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    options, rest = split_options(argv, ("-v", "--verbose", "-l", "--long"), (), 2)
    domains = [_find(dom0, name) for name in rest] or sorted(dom0.state.domains, key=lambda one: one.domid)
    if options.keys() & {"-l", "--long"}:
        own = [] if rest else [_long_dom0(dom0)]
        text = json.dumps(own + [_long(dom0, one) for one in domains if one.state != "dying"], indent=4)
        return Answer(text + "\n")
    verbose = bool(options)
    lines = [_HEAD + ("   UUID                            Reason-Code\tSecurity Label" if verbose else "")]
    if not rest:
        state = dom0.state
        mem, seconds = state.dom0_memory_mib, 20 + state.now / 10
        uuid = "00000000-0000-0000-0000-000000000000"
        lines.append(_row("Domain-0", 0, mem, state.dom0_vcpus, "r-----", seconds, uuid, "-", verbose))
    for one in domains:
        name = "(null)" if one.state == "dying" else one.name
        seconds = ((one.ended if one.ended is not None else dom0.now) - one.born) / 10
        letter, reason = _REASONS[one.reason]
        letters = _LETTERS.get(one.state, f"--{'p' if one.torn else '-'}s{letter}-")
        row = (name, one.domid, one.memory_kib >> 10, one.vcpus, letters, seconds, one.uuid, reason)
        lines.append(_row(*row, verbose))
    return Answer("\n".join(lines) + "\n")


def _row(
    name: str, domid: int, memory: int, vcpus: int, letters: str, seconds: float, uuid: str, reason: str, verbose: bool
) -> str:
    line = f"{name:<40} {domid:5d} {memory:5d} {vcpus:5d}     {letters}  {seconds:8.1f}"
    return line + (f" {uuid} {reason:>8} {'-':>16}" if verbose else "")


def _long_dom0(dom0: SimulatedDom0) -> dict[str, Any]:
    memory = dom0.state.dom0_memory_mib << 10
    info = {"max_memkb": memory, "target_memkb": memory - 1, "sched_params": _sched(dom0, 256)}
    info |= {"type.pv": {}, "arch_arm": {}, "arch_x86": {}}
    return {"domid": 0, "config": {"c_info": {"type": "pv", "name": "Domain-0"}, "b_info": info}}


def _sched(dom0: SimulatedDom0, weight: int) -> dict[str, Any]:
    return {"sched": dom0.state.scheduler, "weight": weight, "cap": 0}


def _long(dom0: SimulatedDom0, one: Domain) -> dict[str, Any]:
    info: dict[str, Any] = {
        "max_vcpus": one.maxvcpus,
        "avail_vcpus": list(range(one.vcpus)),
        "max_memkb": one.maxmem_kib,
        "target_memkb": one.memory_kib,
        "video_memkb": 0,
        "sched_params": _sched(dom0, one.weight),
        "claim_mode": "True",
    }
    info |= {key: one.config[key] for key in ("kernel", "cmdline", "ramdisk") if one.config.get(key)}
    info |= {f"type.{one.type}": {}, "arch_arm": {}, "arch_x86": {"msr_relaxed": "False"}}
    who = {"type": one.type, "name": one.name, "domid": 4294967295, "uuid": one.uuid, "run_hotplug_scripts": "True"}
    config: dict[str, Any] = {"c_info": who, "b_info": info}
    if one.disks:
        config["disks"] = [
            {"pdev_path": disk.path, "vdev": disk.vdev, "format": "raw", "readwrite": int(disk.writable)}
            | {"colo_restore_enable": "False"}
            for disk in one.disks
        ]
    if one.nics:
        config["nics"] = [
            {"devid": nic.devid, "mac": nic.mac, "bridge": nic.bridge, "nictype": "vif"} for nic in one.nics
        ]
    actions = {key: one.config[key] for key in ("on_poweroff", "on_crash") if key in one.config}
    config |= {**actions, "on_reboot": one.config.get("on_reboot", "restart"), "on_soft_reset": "soft_reset"}
    return {"domid": one.domid, "config": config}


def _info(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    if argv[2:] not in ([], ["-n"]):
        raise UnknownCommand(argv)
    state = dom0.state
    version = f"{state.xen_major}.{state.xen_minor}"
    values = {
        "host": "dom0", "release": "6.1.0-56-amd64", "version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)",
        "machine": "x86_64", "nr_cpus": state.cpus, "max_cpu_id": state.cpus - 1, "nr_nodes": 1,
        "cores_per_socket": state.cpus, "threads_per_core": 1, "cpu_mhz": "2596.102",
        "hw_caps": "178bf3fd:80002001:20100800:00000007:00000000:00000000:00000000:00000000",
        "virt_caps": state.virt_caps, "total_memory": state.memory_mib,
        "free_memory": max(0, state.free_mib()), "sharing_freed_memory": 0, "sharing_used_memory": 0,
        "outstanding_claims": 0, "free_cpus": 0, "xen_major": state.xen_major, "xen_minor": state.xen_minor,
        "xen_extra": ".7", "xen_version": f"{version}.7",
        "xen_caps": "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ",
        "xen_scheduler": state.scheduler, "xen_pagesize": 4096,
        "platform_params": "virt_start=0xffff800000000000", "xen_changeset": "",
        "xen_commandline": state.xen_commandline,
        "cc_compiler": "x86_64-linux-gnu-gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "cc_compile_by": "pkg-xen-devel",
        "cc_compile_domain": "lists.alioth.debian.org", "cc_compile_date": "Wed Nov  4 16:52:28 UTC 2026",
        "build_id": "151b373fd64b321593bf987fd923cd10dabadac4", "xend_config_format": 4,
    }  # fmt: skip
    lines = {key: f"{key:<23}: {value}\n" for key, value in values.items()}
    if argv[2:]:
        lines["free_cpus"] += surroundings.topology(dom0)
    return Answer("".join(lines.values()))


def _shutdown(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    options, rest = split_options(argv, ("-F",), (), 2)
    if len(rest) != 1:
        raise UnknownCommand(argv, "exactly one domain expected")
    domain = _find(dom0, rest[0])
    verb = argv[1]
    message = f"{'Shutting down' if verb == 'shutdown' else 'Rebooting'} domain {domain.domid}\n"
    if domain.state in ("shutdown", "crashed"):
        return Answer(message)  # it is written to xenstore, and nobody reads it
    # A PV guest always has the control interface; of PVH and HVM Xen knows only once their drivers are up.
    if domain.type == "pv" or conduct.stoppable(dom0, domain):
        conduct.request(dom0, domain, "poweroff" if verb == "shutdown" else "reboot")
        return Answer(message)
    if "-F" not in options:
        hint = 'Use "-F" to fallback to ACPI power event.\n'
        why = "PV control interface not available: external graceful shutdown not possible.\n"
        raise Refused(f"{message}{why}{hint}{verb} failed (rc=-16)\n")
    conduct.press_power_button(dom0, domain)
    return Answer(message, "PV control interface not available: sending ACPI power button event.\n")


def _sysrq(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`xl sysrq DOMID s`: the kernel writes its caches to the disks."""
    if len(argv) != 4 or argv[3] != "s":
        raise UnknownCommand(argv)
    domain = _find(dom0, argv[2])
    dom0.note("sync", f"{domain.name} {domain.domid}")
    return Answer()


def _trigger(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`xl trigger DOMID power`: the ACPI button."""
    if len(argv) != 4 or argv[3] != "power":
        raise UnknownCommand(argv)
    domain = _find(dom0, argv[2])
    dom0.note("button", f"{domain.name} {domain.domid}")
    conduct.press_power_button(dom0, domain)
    return Answer()


def _destroy(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    _, rest = split_options(argv, (), (), 2)
    guests.destroy(dom0, _find(dom0, rest[0]), by_hand=True)
    return Answer()


def _pause(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    domain = _find(dom0, argv[2])
    if domain.state in ("running", "paused"):
        domain.state = "paused" if argv[1] == "pause" else "running"
    return Answer()


def _domid(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    domain = dom0.state.domain(argv[2])
    if domain is None:
        raise Refused(f"Can't get domid of domain name '{argv[2]}', maybe this domain does not exist.\n")
    return Answer(f"{domain.domid}\n")


def _amount_kib(text: str) -> int:
    match = re.fullmatch(r"(\d+)([bkmgt]?)", text.lower())
    if not match:
        raise Refused(f"invalid memory size: {text}\n")
    number, unit = int(match[1]), match[2] or "m"
    return number * {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}[unit] >> 10


def _mem_set(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    _, rest = split_options(argv, (), (), 2)
    domain, wanted = _find(dom0, rest[0]), _amount_kib(rest[1])
    if wanted > domain.maxmem_kib:
        why = f"Domain {domain.domid}:memory_dynamic_max must be less than or equal to memory_static_max"
        raise Refused(f"libxl: error: libxl_mem.c:257:libxl_set_memory_target: {why}\n")
    if wanted - domain.memory_kib > dom0.state.free_mib() << 10:
        raise Refused(
            f"libxl: error: libxl_mem.c:311:libxl_set_memory_target: Domain {domain.domid}:not enough memory\n"
        )
    domain.memory_kib = wanted
    return Answer()


def _vcpu_set(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    _, rest = split_options(argv, (), (), 2)
    domain, wanted = _find(dom0, rest[0]), int(rest[1])
    if not 0 < wanted <= domain.maxvcpus:
        why = f"Domain {domain.domid}:Requested {wanted} VCPUs, however maxcpus is {domain.maxvcpus}!"
        raise Refused(f"libxl: error: libxl_domain.c:1855:libxl_set_vcpuonline: {why}\n")
    domain.vcpus = wanted
    return Answer()


def _vcpu_pin(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    _, rest = split_options(argv, (), (), 2)
    if len(rest) not in (3, 4) or rest[1] != "all":
        raise UnknownCommand(argv, "xl vcpu-pin DOMID all CPUS [SOFT]")
    domain = _find(dom0, rest[0])
    if rest[2] != "-":
        guests.may_run_on(dom0, domain.domid, rest[2])
        domain.pinned = rest[2]
    return Answer()


def _weight(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    options, rest = split_options(argv, (), ("-d", "--domain", "-w", "--weight"), 2)
    name = (options.get("-d") or options.get("--domain") or [""])[0]
    weight = (options.get("-w") or options.get("--weight") or [""])[0]
    if rest or not name or not weight:
        raise UnknownCommand(argv, "-d and -w expected")
    if argv[1] != f"sched-{dom0.state.scheduler}":
        raise Refused("libxl: error: libxl_sched.c: Hypervisor scheduler is another\nlibxl_sched_params_set failed.\n")
    _find(dom0, name).weight = int(weight)
    return Answer()


def _plug(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    if any(word.startswith("-") for word in argv[2:]):
        raise UnknownCommand(argv)
    return plugging.run(dom0, _find(dom0, argv[2]), argv)


def _config_update(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    _, rest = split_options(argv, ("-q",), (), 2)
    domain = _find(dom0, rest[0])
    domain.staged = _read_config(dom0, rest[1])
    warning = (
        "WARNING: xl now has better capability to manage domain configuration, avoid using this command when possible\n"
    )
    return Answer("", warning)
