"""Paths, readable files and TCP ports of the simulated host, for the ports that are no commands."""

from __future__ import annotations

import ipaddress
import json
import struct
from collections.abc import Callable, Iterable, Mapping

from xenlocal.model.errors import XenlocalError
from xenlocal.model.observed import PathFacts
from xenlocal.simulator import conduct, diskwork, iscsi, paths
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.runner import Alone, Sleeper
from xenlocal.simulator.state import Path
from xenlocal.simulator.surroundings import RELEASE

_BACKENDS = "/sys/bus/xen-backend/devices"
_USERDATA = "/var/lib/xen"
_HYPERVISOR = "/sys/hypervisor/version/"


class SimFiles:
    """stat() and small text files. Takes no time."""

    def __init__(self, dom0: SimulatedDom0) -> None:
        self._dom0 = dom0

    def paths(self, wanted: Iterable[str]) -> Mapping[str, PathFacts]:
        """Facts of those that exist."""
        with self._dom0.hold():
            found = {path: paths.facts(self._dom0, path) for path in sorted(set(wanted))}
        return {path: facts for path, facts in found.items() if facts is not None}

    def names(self, path: str) -> tuple[str, ...]:
        """The directory of the disks' backends in sysfs, or what of the host's `texts` lies in a directory."""
        with self._dom0.hold() as state:
            if path == _BACKENDS:
                return tuple(sorted(self._vbds()))
            if path == _USERDATA:
                return tuple(sorted(self._userdata()))
            texts = (*state.texts, *state.paths, *iscsi.sysfs(self._dom0))
            below = (each.removeprefix(f"{path}/") for each in texts if each.startswith(f"{path}/"))
            return tuple(sorted({each.partition("/")[0] for each in below}))

    def _vbds(self) -> dict[str, int]:
        """Name in sysfs -> sectors written."""
        domains = self._dom0.state.domains
        return {
            f"vbd-{domain.domid}-{disk.devid}": conduct.sectors_written(self._dom0, domain)
            for domain in domains
            for disk in domain.disks
            if not disk.by_qemu
        }

    def _userdata(self) -> dict[str, str]:
        """Name of a file of libxl's -> what it says of a domU: all of JSON, and an xl.cfg that was staged."""
        said = {}
        for domain in self._dom0.state.domains:
            if domain.state != "dying":
                name = f"userdata-d.{domain.domid}.{domain.uuid}"
                said[f"{name}.libxl-json"] = json.dumps({"b_info": domain.config}, indent=4)
                if domain.staged is not None:
                    said[f"{name}.xl"] = "".join(f'{key} = "{value}"\n' for key, value in domain.staged.items())
        return said

    def command_lines(self) -> tuple[tuple[str, ...], ...]:
        """xenconsoled, and the `xl create` of each domU: before there is one, while its monitor is alive, and while
        that is about to create it anew."""
        with self._dom0.hold() as state:
            names = {domain.name for domain in state.domains if domain.monitor and not domain.elsewhere}
            names |= {event.detail for event in state.agenda if event.what == "reborn"}
            installations = diskwork.command_lines(self._dom0)
            console = ("/usr/lib/xen-4.17/bin/xenconsoled", *(["--log=guest"] if state.console_log else []))
        paths = {f"/run/xenlocal/domains/{name}.cfg" for name in names} | {*self._dom0.creating}
        creates = (("xl", "create", "-q", path) for path in sorted(paths))
        return (console, *creates, *installations)

    def head(self, path: str, size: int) -> bytes | None:
        """Of a bzImage, which a kernel is here, whatever else the file is."""
        with self._dom0.hold() as state:
            if paths.facts(self._dom0, path) is None:
                return None
            release = state.surroundings.releases.get(path, RELEASE)
        header = bytearray(0x212)
        header[0x202:0x206], header[0x20E:0x210] = b"HdrS", (0x10).to_bytes(2, "little")
        return bytes(header[:0x210] + f"{release} (debian-kernel@lists.debian.org) #1 SMP\0".encode())[:size]

    def read_on(self, path: str, place: str, limit: int) -> tuple[str, str] | None:
        """Places are as on a real host; the inode is always 1, characters count as bytes."""
        with self._dom0.hold() as state:
            text = state.texts.get(path)
        if text is None:
            return None
        offset = int(place.partition(":")[2] or 0)
        begin = offset if offset <= len(text) else 0
        return f"1:{len(text)}", text[begin:][-limit:] if limit else ""

    def write(self, path: str, text: str) -> None:
        """A file of our own on the simulated host."""
        with self._dom0.hold() as state:
            state.texts[path] = text

    def copy(self, place: str, name: str, sources: Mapping[str, str], _still: Callable[[], bool]) -> None:
        """`adapters.kernels.copy_whole`. Raises XenlocalError."""
        with self._dom0.hold() as state:
            if state.full:
                raise XenlocalError(f"cannot copy {' and '.join(sources.values())} to {place}: No space left on device")
            for each, source in sources.items():
                found = paths.facts(self._dom0, source)
                state.paths[f"{place}/{name}/{each}"] = Path("file", found.size.bytes if found else 0)

    def secret(self, path: str) -> str:
        """A file that only root can read, as all are here. Raises XenlocalError."""
        with self._dom0.hold() as state:
            if path not in state.texts:
                raise XenlocalError(f"cannot read {path}: it does not exist; write the secret into it, mode 600")
            return state.texts[path]

    def untrusted(self, path: str) -> str:
        """The simulated host has no users: whatever exists belongs to root."""
        with self._dom0.hold() as state:
            return "" if path in state.programs else f"{path} does not exist"

    def read_text(self, path: str) -> str | None:
        """A file of /proc, /etc/xen/xl.conf, or of the host's `texts`; None where there is none."""
        with self._dom0.hold() as state:
            own = {"/proc/net/route": self._route, "/proc/net/ipv6_route": self._route6}
            if path in own:
                return own[path]()
            if path == "/etc/xen/xl.conf":
                return state.xl_conf
            if path == "/proc/sys/kernel/hostname":
                return f"{state.name}\n"
            if path == "/proc/xen/capabilities":
                return "control_d\n"
            if path == "/proc/meminfo":
                swap = 1 << 20
                free = swap - (state.surroundings.swapped_mib << 10)
                return f"SwapTotal:      {swap:>8} kB\nSwapFree:       {free:>8} kB\n"
            if path.startswith(_HYPERVISOR):
                version = {"major": str(state.xen_major), "minor": str(state.xen_minor), "extra": ".7"}
                return version[path.removeprefix(_HYPERVISOR)] + "\n"
            if path.startswith(f"{_USERDATA}/userdata-"):
                return self._userdata().get(path.removeprefix(f"{_USERDATA}/"))
            if path.startswith(_BACKENDS) and path.endswith("/statistics/wr_sect"):
                sectors = self._vbds().get(path.split("/")[-3])
                return None if sectors is None else f"{sectors}\n"
            return state.texts.get(path) or iscsi.sysfs(self._dom0).get(path)

    def _route(self) -> str:
        head = ("Iface", "Destination", "Gateway ", "Flags", "RefCnt", "Use", "Metric", "Mask", "MTU", "Window", "IRTT")
        lines = ["\t".join(head)]
        for route in self._dom0.state.routes:
            if ":" not in route.gateway:
                packed = ipaddress.IPv4Address(route.gateway or "0.0.0.0").packed
                gateway = f"{struct.unpack('<I', packed)[0]:08X}"
                flags = "0003" if route.gateway else "0001"
                lines.append(
                    "\t".join((route.link, "00000000", gateway, flags, "0", "0", "0", "00000000", "0", "0", "0"))
                )
        return "".join(f"{line:<127}\n" for line in lines)

    def _route6(self) -> str:
        lines = []
        zero = "0" * 32
        for route in self._dom0.state.routes:
            if ":" in route.gateway:
                gateway = ipaddress.IPv6Address(route.gateway).packed.hex()
                lines.append(f"{zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 00000003 {route.link:>8}\n")
        return "".join(lines)


class SimTcp:
    """`adapters.probe.connect`: guests listen as their behaviour says. A refused connection is known at once."""

    def __init__(self, dom0: SimulatedDom0, sleeper: Sleeper | None = None) -> None:
        self._dom0 = dom0
        self._sleeper: Sleeper = sleeper or Alone(dom0)

    def connect(self, host: str, port: int, timeout: float) -> str:
        with self._dom0.hold() as state:
            self._dom0.note("probe", f"{host}:{port}")
            seconds = min(timeout, state.durations.probe)
        self._sleeper.sleep(seconds)
        with self._dom0.hold():
            return "" if conduct.accepts(self._dom0, host, port) else "refuses"
