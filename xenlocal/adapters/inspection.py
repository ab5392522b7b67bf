"""What `doctor` and `capacity` ask of the host beyond what the daemon looks at: a constant number of commands that only
read, and small files.

Everything here raises CommandFailed, ToolMissing or another XenlocalError where it cannot know.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from string import Template
from types import MappingProxyType
from typing import TypeVar

from xenlocal.adapters import booting
from xenlocal.adapters import modules as guest_modules
from xenlocal.adapters.command import Runner
from xenlocal.adapters.files import FileReader
from xenlocal.adapters.iscsi import read_records
from xenlocal.adapters.xl import parse_info
from xenlocal.model.desired import Desired
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.inspection import (
    BootMenu,
    Clock,
    GroupFacts,
    Grub,
    GuestModules,
    IscsiRecord,
    LvmSettings,
    Pinned,
    Processes,
    Unit,
    Versions,
    Xen,
)
from xenlocal.model.observed import Observed
from xenlocal.model.units import Size
from xenlocal.planner.checkup_host import AUTO_DIR, DAEMON, FOREIGN, GUESTS, XENDOMAINS
from xenlocal.planner.checkup_storage import ISCSI_UNIT
from xenlocal.planner.hurdles import SAVE_DIR

XEN = ("xl", "info", "-n")
PINNED = ("xl", "vcpu-list")
UNITS = (DAEMON, GUESTS, XENDOMAINS, ISCSI_UNIT, *FOREIGN)
SHOW = (
    "systemctl", "show",
    "--property=LoadState,UnitFileState,ActiveState,DropInPaths,NeedDaemonReload,ExecStop", *UNITS,
)  # fmt: skip
CLOCK = ("timedatectl", "show")
LVM = (
    "lvm", "lvmconfig", "--type", "full",
    "devices/global_filter", "devices/filter", "devices/scan_lvs", "devices/use_devicesfile",
    "activation/thin_pool_autoextend_threshold",
)  # fmt: skip
GROUPS = (
    "lvm", "vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", "vg_name,vg_size,pv_name",
)  # fmt: skip
PACKAGES = (
    "dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status} ${Version}\\n",
    "xen-hypervisor-*", "xen-utils-*",
)  # fmt: skip
_HYPERVISOR = "/sys/hypervisor/version"
_GRUB, _GRUB_MORE = "/etc/default/grub", "/etc/default/grub.d"
_CONSOLE = "/etc/default/xen"
_USB = "/sys/bus/usb/devices"
_NEEDRESTART = "/etc/needrestart"
_MAKERS = re.compile(r"(?:.*/)?(xen-(?:create|delete|update)-\w+)")
_LONG = 30.0  # seconds

Value = TypeVar("Value")


class Inspector:
    def __init__(self, runner: Runner, files: FileReader) -> None:
        self._runner, self._files = runner, files

    def xen(self) -> Xen:
        return parse_xen(self._runner.run(XEN, timeout=_LONG))

    def pinned(self) -> tuple[Pinned, ...]:
        return parse_pinned(self._runner.run(PINNED, timeout=_LONG))

    def units(self) -> Mapping[str, Unit]:
        return parse_units(self._runner.run(SHOW, timeout=_LONG))

    def clock(self) -> Clock:
        return parse_clock(self._runner.run(CLOCK, timeout=_LONG))

    def lvm(self) -> LvmSettings:
        return parse_lvm(self._runner.run(LVM, timeout=_LONG))

    def groups(self) -> Mapping[str, GroupFacts]:
        sizes, disks = parse_groups(self._runner.run(GROUPS, timeout=60))
        facts = self._files.paths(each for names in disks.values() for each in names)
        return {
            vg: GroupFacts(size, MappingProxyType({name: facts[name] for name in disks[vg] if name in facts}))
            for vg, size in sizes.items()
        }

    def versions(self) -> Versions:
        parts = [self._files.read_text(f"{_HYPERVISOR}/{part}") for part in ("major", "minor", "extra")]
        if None in parts:
            raise XenlocalError(f"cannot read {_HYPERVISOR}: this machine does not run on Xen")
        major, minor, extra = (str(part).strip() for part in parts)
        # exit 1: one of the patterns has found nothing
        listed = self._runner.run(PACKAGES, timeout=_LONG, ok=frozenset({0, 1}))
        return Versions(f"{major}.{minor}{extra}", parse_packages(listed))

    def swapped(self) -> Size:
        text = self._files.read_text("/proc/meminfo") or ""
        kib = {key: int(value) for key, value in re.findall(r"^(Swap\w+): +(\d+) kB$", text, re.MULTILINE)}
        if not {"SwapTotal", "SwapFree"} <= kib.keys():
            raise XenlocalError("cannot understand /proc/meminfo: it does not tell of swap")
        return Size((kib["SwapTotal"] - kib["SwapFree"]) << 10)

    def grub(self) -> Grub | None:
        """As update-grub reads them: the last assignment counts."""
        text = self._files.read_text(_GRUB)
        if text is None:
            return None
        names = (f"{_GRUB_MORE}/{name}" for name in self._files.names(_GRUB_MORE) if name.endswith(".cfg"))
        return parse_grub("\n".join([text, *(self._files.read_text(name) or "" for name in names)]))

    def processes(self) -> Processes:
        logging: str | None = None
        working = set()
        for line in self._files.command_lines():
            if line[0].rpartition("/")[2] == "xenconsoled":
                logging = next((word.partition("=")[2] for word in line if word.startswith("--log=")), "")
            working |= {found[1] for word in line[:3] if (found := _MAKERS.fullmatch(word))}
        return Processes(logging, tuple(sorted(working)))

    def console_option(self) -> str:
        said = re.findall(
            r"^\s*XENCONSOLED_ARGS=[\"']?(.*?)[\"']?\s*$", self._files.read_text(_CONSOLE) or "", re.MULTILINE
        )
        return str(said[-1]) if said else ""

    def saved(self) -> tuple[str, ...]:
        return tuple(name for name in self._files.names(SAVE_DIR) if not name.startswith("."))

    def auto(self) -> tuple[str, ...]:
        return tuple(name for name in self._files.names(AUTO_DIR) if not name.startswith("."))

    def iscsi(self) -> tuple[IscsiRecord, ...]:
        return read_records(self._files)

    def needrestart(self) -> bool | None:
        if "needrestart.conf" not in self._files.names(_NEEDRESTART):
            return None
        return "xenlocal-guests" in (self._files.read_text(f"{_NEEDRESTART}/conf.d/xenlocal.conf") or "")

    def usb(self) -> frozenset[str]:
        """Not every entry is a device: an interface of one has no idVendor."""
        found = set()
        for name in self._files.names(_USB):
            vendor, product = (self._files.read_text(f"{_USB}/{name}/id{part}") for part in ("Vendor", "Product"))
            if vendor and product:
                found |= {name, f"{vendor.strip()}:{product.strip()}"}
        return frozenset(found)

    def menus(self, desired: Desired) -> Mapping[str, BootMenu]:
        return booting.menus(self._runner, self._files, desired)

    def kernels(self, desired: Desired) -> Mapping[str, Size | None]:
        return booting.kernels(self._files, desired)

    def modules(self, desired: Desired, observed: Observed) -> Mapping[str, GuestModules]:
        return guest_modules.modules(self._runner, self._files, desired, observed)


_CPU = re.compile(r"^ *(\d+): +\d+ +\d+ +(\d+)$", re.MULTILINE)
_NODE = re.compile(r"^ *(\d+): +(\d+) +\d+ +\d+(?:,\d+)*$", re.MULTILINE)


def parse_xen(text: str) -> Xen:
    """`xl info -n` (tools/xl/xl_info.c): the lines of `xl info`, and between them the tables of CPUs and nodes."""
    info = parse_info(text)
    _, found, rest = text.partition("\ncpu_topology ")
    cpus, _, nodes = rest.partition("\nnuma_info ")
    topology = Xen(
        info["xen_commandline"],
        Size.mib(_number(XEN, info["total_memory"])),
        MappingProxyType({int(node): Size.mib(int(mib)) for node, mib in _NODE.findall(nodes)}),
        MappingProxyType({int(cpu): int(node) for cpu, node in _CPU.findall(cpus)}),
    )
    if not found or not topology.cpus or not topology.nodes:
        raise CommandFailed(XEN, 0, "it does not show the CPUs and NUMA nodes")
    return topology


_VCPU = re.compile(r"(?P<name>.+?) +\d+ +\d+ +(?:\d+|-) +\S+ +[\d.]+ +(?P<hard>\S+) / \S+ *")


def parse_pinned(text: str) -> tuple[Pinned, ...]:
    """`xl vcpu-list`: a header, and a line a vCPU; its hard affinity is `all`, or as 0-3,7."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith("Name ") or not text.endswith("\n"):
        raise CommandFailed(PINNED, 0, f"cannot understand its output: {text[:80]!r}")
    vcpus: dict[str, int] = {}
    cpus: dict[str, set[int] | None] = {}
    for line in lines[1:]:
        match = _VCPU.fullmatch(line)
        if match is None:
            raise CommandFailed(PINNED, 0, f"cannot understand its line {line!r}")
        name, before = match["name"], cpus.setdefault(match["name"], set())
        vcpus[name] = vcpus.get(name, 0) + 1
        # one vCPU that may run anywhere is enough for the domain to be anywhere
        cpus[name] = None if before is None or match["hard"] == "all" else before | _cpus(match["hard"])
    return tuple(Pinned(name, vcpus[name], None if found is None else frozenset(found)) for name, found in cpus.items())


def _cpus(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(_number(PINNED, first), _number(PINNED, last or first) + 1))
    return found


def _number(argv: tuple[str, ...], text: str) -> int:
    if not text.isdecimal():
        raise CommandFailed(argv, 0, f"this is no number: {text!r}")
    return int(text)


def parse_units(text: str) -> Mapping[str, Unit]:
    """A block of KEY=VALUE a unit, in the order of UNITS, also for one that is not known."""
    blocks = [_pairs(block) for block in text.split("\n\n")]
    if len(blocks) != len(UNITS):
        raise CommandFailed(SHOW, 0, f"it tells of {len(blocks)} units, and {len(UNITS)} were asked for")
    return {name: _unit(values) for name, values in zip(UNITS, blocks, strict=True)}


def _unit(values: Mapping[str, str]) -> Unit:
    load = _of(values, "LoadState", SHOW)
    return Unit(
        known=load not in ("not-found", "masked"),
        enabled=_of(values, "UnitFileState", SHOW) in ("enabled", "enabled-runtime", "generated", "alias"),
        active=_of(values, "ActiveState", SHOW) in ("active", "activating", "reloading"),
        masked=load == "masked",
        stops="ExecStop" in values,
        stale=values.get("NeedDaemonReload") == "yes",
        drop_ins=tuple(values.get("DropInPaths", "").split()),
    )


def parse_clock(text: str) -> Clock:
    values = _pairs(text)
    flags = {key: _of(values, key, CLOCK) == "yes" for key in ("NTPSynchronized", "CanNTP", "NTP")}
    return Clock(flags["NTPSynchronized"], flags["CanNTP"], flags["NTP"])


def _pairs(text: str) -> dict[str, str]:
    return {key: value for key, found, value in (line.partition("=") for line in text.splitlines()) if found}


def _of(values: Mapping[str, Value], key: str, argv: tuple[str, ...]) -> Value:
    if key not in values:
        raise CommandFailed(argv, 0, f"it does not tell {key}")
    return values[key]


def parse_lvm(text: str) -> LvmSettings:
    values = _pairs(text)

    def patterns(key: str) -> tuple[str, ...]:
        return tuple(re.findall(r'"([^"]*)"', _of(values, key, LVM)))

    def is_on(key: str) -> bool:
        return _number(LVM, _of(values, key, LVM).strip()) == 1

    return LvmSettings(
        patterns("global_filter"),
        patterns("filter"),
        is_on("scan_lvs"),
        is_on("use_devicesfile"),
        _number(LVM, _of(values, "thin_pool_autoextend_threshold", LVM).strip()) < 100,
    )


def parse_groups(text: str) -> tuple[Mapping[str, Size], Mapping[str, tuple[str, ...]]]:
    """A row for each disk of each group."""
    sizes: dict[str, Size] = {}
    disks: dict[str, tuple[str, ...]] = {}
    try:
        for row in json.loads(text)["report"][0]["vg"]:
            vg = row["vg_name"]
            sizes[vg] = Size(int(row["vg_size"]))
            disks[vg] = (*disks.get(vg, ()), row["pv_name"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CommandFailed(GROUPS, 0, f"cannot understand its report: {error!r}") from error
    return sizes, disks


def parse_packages(text: str) -> Mapping[str, str]:
    """Those that are installed."""
    words = [line.split(" ") for line in text.splitlines()]
    if wrong := [line for line in words if len(line) != 3]:
        raise CommandFailed(PACKAGES, 0, f"cannot understand its line {' '.join(wrong[0])!r}")
    return {name: version for name, status, version in words if status == "installed"}


def parse_grub(text: str) -> Grub:
    """Assignments of a shell script; of its language no more than they need."""
    values = {"GRUB_CMDLINE_XEN": "", "GRUB_CMDLINE_XEN_DEFAULT": ""}
    for name, value in re.findall(r"^\s*(?:export\s+)?(GRUB_CMDLINE_XEN(?:_DEFAULT)?)=(.*)$", text, re.MULTILINE):
        try:
            words = shlex.split(value, comments=True)
        except ValueError as error:
            raise XenlocalError(f"cannot understand {name}={value} in {_GRUB}: {error}") from error
        values[name] = Template(words[0]).safe_substitute(values) if words else ""
    default = values["GRUB_CMDLINE_XEN_DEFAULT"]
    return Grub(f"{values['GRUB_CMDLINE_XEN']} {default}".strip(), default)
