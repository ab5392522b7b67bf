"""What is around Xen on the simulated host, and only looked at: units, clock, packages, settings of LVM. The tools
below answer from it as the real ones do (tests/records/*/stock)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xenlocal.simulator import paths
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand, split_options

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0

_DROP_IN = "/usr/lib/systemd/system/xendomains.service.d/50-xenlocal.conf"
RELEASE = "6.1.0-49-amd64"  # of every kernel, and of the modules on every disk, but for those that a test says
_SHOWN = "LoadState,UnitFileState,ActiveState,DropInPaths,NeedDaemonReload,ExecStop"


@dataclass
class Unit:
    """Of systemd, as `systemctl show` tells it."""

    file: str = "enabled"  # enabled | disabled | generated | masked | static
    active: str = "active"
    drop_ins: list[str] = field(default_factory=list)
    stops: bool = False  # has an ExecStop=
    stale: bool = False  # its files have changed since


def _units() -> dict[str, Unit]:
    return {
        "xenlocal.service": Unit(),
        "xenlocal-guests.service": Unit(stops=True),
        "xendomains.service": Unit("generated", "inactive", [_DROP_IN]),
    }


def _packages() -> dict[str, str]:
    version = "4.17.7+13-g2445b30a44-0+deb12u1"
    return dict.fromkeys(("xen-hypervisor-4.17-amd64", "xen-utils-4.17", "xen-utils-common"), version)


@dataclass
class Surroundings:
    nodes: int = 1  # NUMA: CPUs and memory are split evenly
    units: dict[str, Unit] = field(default_factory=_units)
    packages: dict[str, str] = field(default_factory=_packages)
    swapped_mib: int = 0
    ntp: bool = True
    can_ntp: bool = True
    synchronised: bool = True
    global_filter: list[str] = field(default_factory=lambda: ["a|.*|"])
    scan_lvs: bool = False
    devicesfile: bool = False
    menus: dict[str, str] = field(default_factory=dict)  # path of a disk -> command line of what its menu boots
    releases: dict[str, str] = field(default_factory=dict)  # path of a kernel -> its release, where not RELEASE
    modules: dict[str, list[str]] = field(default_factory=dict)  # path of a disk -> its /lib/modules, where not RELEASE
    autoextend: int = 100  # thin_pool_autoextend_threshold


def timedatectl(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`timedatectl show`."""
    if argv[1:] != ["show"]:
        raise UnknownCommand(argv)
    here = dom0.state.surroundings
    flags = {"LocalRTC": False, "CanNTP": here.can_ntp, "NTP": here.ntp, "NTPSynchronized": here.synchronised}
    lines = ["Timezone=Etc/UTC", *(f"{key}={'yes' if value else 'no'}" for key, value in flags.items())]
    return Answer("\n".join(lines) + "\n")


def show_units(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`systemctl show --property=... UNIT...`: properties in systemd's own order, an empty ExecStop= not at all."""
    options, names = split_options(argv, (), ("--property",), 2)
    if options != {"--property": [_SHOWN]} or not names:
        raise UnknownCommand(argv)
    return Answer("\n".join(_block(dom0, name) for name in names))


def _block(dom0: SimulatedDom0, name: str) -> str:
    unit = dom0.state.surroundings.units.get(name)
    if unit is None:
        lines = ["LoadState=not-found", "ActiveState=inactive", "DropInPaths=", "UnitFileState=", "NeedDaemonReload=no"]
        return "\n".join(lines) + "\n"
    lines = ["ExecStop={ path=/bin/true ; argv[]=/bin/true ; ignore_errors=no }"] if unit.stops else []
    lines += [f"LoadState={'masked' if unit.file == 'masked' else 'loaded'}", f"ActiveState={unit.active}"]
    lines += [f"DropInPaths={' '.join(unit.drop_ins)}", f"UnitFileState={unit.file}"]
    return "\n".join([*lines, f"NeedDaemonReload={'yes' if unit.stale else 'no'}"]) + "\n"


def dpkg_query(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`dpkg-query --show` of the packages of Xen."""
    form = "${Package} ${db:Status-Status} ${Version}\\n"
    if argv[1:] != ["--show", "--showformat", form, "xen-hypervisor-*", "xen-utils-*"]:
        raise UnknownCommand(argv)
    packages = dom0.state.surroundings.packages
    missing = [each for each in ("xen-hypervisor-*", "xen-utils-*") if not _any(packages, each)]
    errors = "".join(f"dpkg-query: no packages found matching {each}\n" for each in missing)
    lines = "".join(f"{name} installed {version}\n" for name, version in sorted(packages.items()))
    return Answer(lines, errors, 1 if missing else 0)


def _any(names: dict[str, str], pattern: str) -> bool:
    return any(name.startswith(pattern.rstrip("*")) for name in names)


def pygrub(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`pygrub --quiet --not-really --output-format=simple DISK` (Xen 4.17)."""
    if argv[1:-1] != ["--quiet", "--not-really", "--output-format=simple"]:
        raise UnknownCommand(argv)
    args = dom0.state.surroundings.menus.get(argv[-1])
    if args is None:
        error = "RuntimeError: Unable to find partition containing kernel"
        raise Refused(
            f'Traceback (most recent call last):\n  File "/usr/bin/pygrub", line 1032, in <module>\n{error}\n'
        )
    using = "Using <class 'grub.GrubConf.Grub2ConfigFile'> to parse /boot/grub/grub.cfg\n"
    return Answer(f"kernel None\nargs {args}\n\n", using)


def debugfs(dom0: SimulatedDom0, argv: list[str], stdin: str) -> Answer:
    """`debugfs -c -f - DISK` (1.47), for the requests that xenlocal makes. Its status is always 0."""
    if argv[1:-1] != ["-c", "-f", "-"] or stdin != "ls -p /\nls -p /lib/modules\n":
        raise UnknownCommand(argv, f"requests {stdin!r}")
    vg, _, lv = argv[-1].removeprefix("/dev/").partition("/")
    volume = dom0.state.volume(vg, lv)
    path = f"/dev/{vg}/{volume.origin}" if volume is not None and volume.origin else argv[-1]
    there = dom0.state.surroundings.modules.get(path, [RELEASE])
    if not there or paths.facts(dom0, argv[-1]) is None:
        error = "debugfs: Bad magic number in super-block while trying to open"
        closed = "ls: Filesystem not open\n"
        said = "debugfs: ls -p /\ndebugfs: ls -p /lib/modules\n"
        return Answer(said, f"debugfs 1.47.0 (5-Feb-2023)\n{error} {argv[-1]}\n{closed}{closed}")
    rows = "".join(f"/{13 + number}/040755/0/0/{name}//\n" for number, name in enumerate((".", "..", *there)))
    top = "/2/040755/0/0/.//\n/2/040755/0/0/..//\n/12/040755/0/0/lib//\n"
    return Answer(f"debugfs: ls -p /\n{top}\ndebugfs: ls -p /lib/modules\n{rows}\n", "debugfs 1.47.0 (5-Feb-2023)\n")


def lvmconfig(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`lvmconfig --type full SETTING...`."""
    here = dom0.state.surroundings
    values = {
        "devices/global_filter": _patterns(here.global_filter),
        "devices/filter": _patterns(["a|.*|"]),
        "devices/scan_lvs": str(int(here.scan_lvs)),
        "devices/use_devicesfile": str(int(here.devicesfile)),
        "activation/thin_pool_autoextend_threshold": str(here.autoextend),
    }
    if argv[1:3] != ["--type", "full"] or not argv[3:]:
        raise UnknownCommand(argv)
    for name in argv[3:]:
        if name not in values:
            raise Refused(f"  Configuration node {name} not found\n", 5)
    return Answer("".join(f"{name.partition('/')[2]}={values[name]}\n" for name in argv[3:]))


def _patterns(patterns: Sequence[str]) -> str:
    return "[" + ",".join(f'"{each}"' for each in patterns) + "]"


def topology(dom0: SimulatedDom0) -> str:
    """What `xl info -n` prints beyond `xl info`."""
    state = dom0.state
    nodes = state.surroundings.nodes
    cpus = [f"{cpu:3d}:    {cpu:4d}     {0:4d}     {_node(cpu, state.cpus, nodes):4d}" for cpu in range(state.cpus)]
    memory = [
        f"{node:4d}:    {state.memory_mib // nodes:6d}     {max(state.free_mib(), 0) // nodes:6d}      "
        + ",".join("10" if other == node else "21" for other in range(nodes))
        for node in range(nodes)
    ]
    lines = ["cpu_topology           :", "cpu:    core    socket     node", *cpus, "device topology        :"]
    lines += ["device           node", "No device topology data available", "numa_info              :"]
    return "\n".join([*lines, "node:    memsize    memfree    distances", *memory]) + "\n"


def _node(cpu: int, cpus: int, nodes: int) -> int:
    return cpu * nodes // cpus


def vcpu_list(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`xl vcpu-list`."""
    if len(argv) > 2:
        raise UnknownCommand(argv)
    lines = ["Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)"]
    state = dom0.state
    rows = [("Domain-0", 0, state.dom0_vcpus, "all")]
    rows += [(each.name, each.domid, each.vcpus, each.pinned) for each in state.domains if each.state != "dying"]
    for name, domid, vcpus, pinned in rows:
        for vcpu in range(vcpus):
            cpu = vcpu % state.cpus
            lines.append(f"{name:<32} {domid:5d} {vcpu:5d}{cpu:5d}   -b-  {dom0.now / 10:8.1f}  {pinned} / all")
    return Answer("\n".join(lines) + "\n")
