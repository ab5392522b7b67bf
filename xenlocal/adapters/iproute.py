"""What the kernel says of the dom0's network: `ip -j -d addr show`, and the default routes from /proc."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xenlocal.adapters.command import Runner
from xenlocal.adapters.files import FileReader
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.observed import Link, Network

ROUTES4, ROUTES6 = "/proc/net/route", "/proc/net/ipv6_route"
SHOW = ("ip", "-j", "-d", "addr", "show")
_GATEWAY, _REJECT = 0x0002, 0x0200  # RTF_*, include/uapi/linux/route.h


class IpReader:
    """`runner` runs ip; `files` reads the routes."""

    def __init__(self, runner: Runner, files: FileReader) -> None:
        self._runner, self._files = runner, files

    def network(self) -> Network:
        """Raises CommandFailed, ToolMissing, XenlocalError."""
        links = parse_links(self._runner.run(SHOW, timeout=30))
        routes = self._files.read_text(ROUTES4)
        if routes is None:
            raise XenlocalError(f"cannot read {ROUTES4}: is /proc mounted?")
        default = (*default_routes4(routes), *default_routes6(self._files.read_text(ROUTES6) or ""))
        return Network(
            links=links,
            default_links=frozenset(link for link, _ in default),
            gateways=tuple(dict.fromkeys(gateway for _, gateway in default if gateway)),
        )


def parse_links(text: str) -> Mapping[str, Link]:
    """Raises CommandFailed unless it is the whole JSON, with the loopback device that every kernel has."""
    try:
        links = {link.name: link for link in map(_link, json.loads(text)) if link}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandFailed(SHOW, 0, f"cannot understand its output: {error!r}") from error
    if "lo" not in links:
        raise CommandFailed(SHOW, 0, "it does not show lo")
    return MappingProxyType(links)


def _link(entry: Mapping[str, Any]) -> Link | None:
    """`up` is the administrative state. ip prints {} for what a filter left out. A vif has no kind of its own in
    netlink (xen-netback registers none): its name, which only Xen gives, tells."""
    if not entry:
        return None
    info = entry.get("linkinfo", {})
    name, kind = entry["ifname"], info.get("info_kind", "")
    bridge = info.get("info_data", {}) if kind == "bridge" else None
    addresses = {f"{each['local']}/{each['prefixlen']}": each for each in entry["addr_info"] if "local" in each}
    return Link(
        name=name,
        kind=kind or ("vif" if name.startswith("vif") else ""),
        mtu=int(entry["mtu"]),
        up="UP" in entry["flags"],
        master=entry.get("master"),
        lower=entry.get("link"),
        alias=entry.get("ifalias", ""),
        addresses=tuple(addresses),
        leased=tuple(address for address, each in addresses.items() if each.get("dynamic")),
        stp=None if bridge is None else bool(bridge["stp_state"]),
        vlan_filtering=None if bridge is None else bool(bridge["vlan_filtering"]),
    )


def default_routes4(text: str) -> tuple[tuple[str, str], ...]:
    """(interface, gateway or "") of each default route. Numbers are hexadecimal, in the machine's byte order."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith("Iface"):
        raise XenlocalError(f"cannot understand {ROUTES4}")
    found = []
    for line in lines[1:]:
        try:
            link, destination, gateway, flags, _, _, _, mask = line.split()[:8]
            if int(destination, 16) == 0 and int(mask, 16) == 0 and not int(flags, 16) & _REJECT:
                address = str(ipaddress.IPv4Address(bytes.fromhex(gateway)[::-1]))
                found.append((link, address if int(flags, 16) & _GATEWAY else ""))
        except ValueError as error:
            raise XenlocalError(f"cannot understand the line {line!r} of {ROUTES4}") from error
    return tuple(found)


def default_routes6(text: str) -> tuple[tuple[str, str], ...]:
    """The same of IPv6; `unreachable default` on lo is no default route. A link-local gateway carries its link."""
    found = []
    for line in text.splitlines():
        try:
            destination, length, _, _, gateway, _, _, _, flags, link = line.split()
            if int(destination, 16) == 0 and int(length, 16) == 0 and link != "lo" and not int(flags, 16) & _REJECT:
                address = ipaddress.IPv6Address(bytes.fromhex(gateway))
                scope = f"%{link}" if address.is_link_local else ""
                found.append((link, f"{address}{scope}" if int(flags, 16) & _GATEWAY else ""))
        except ValueError as error:
            raise XenlocalError(f"cannot understand the line {line!r} of {ROUTES6}") from error
    return tuple(found)
