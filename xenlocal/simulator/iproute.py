"""`ip` on the simulated host: links, bridges, addresses, default routes. Messages and exit codes of iproute2 6.1."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

from xenlocal.simulator import conduct
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand
from xenlocal.simulator.state import Link

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0


def run(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    options = []
    words = argv[1:]
    while words and words[0].startswith("-"):
        options.append(words.pop(0))
    if not set(options) <= {"-j", "-d", "-json", "-details", "-4", "-6", "-o"}:
        raise UnknownCommand(argv)
    what, verb, rest = ([*words, "", ""])[0], ([*words, "", ""])[1], words[2:]
    aliases = {"a": "addr", "address": "addr", "l": "link", "r": "route"}
    what = aliases.get(what, what)
    if what in ("addr", "link") and verb in ("show", "list", "") and options.count("-j") + options.count("-json"):
        return _show(dom0, argv, rest, what == "addr", bool({"-d", "-details"} & set(options)))
    if what == "route" and verb in ("show", "list") and rest == ["default"] and "-j" in options:
        return _routes(dom0, "-6" in options)
    if what == "link" and verb == "add":
        return _add(dom0, argv, rest)
    if what == "link" and verb == "set":
        return _set(dom0, argv, rest)
    if what == "addr" and verb in ("add", "del") and len(rest) == 3 and rest[1] == "dev":
        return _address(dom0, verb, rest[0], rest[2])
    raise UnknownCommand(argv)


def _find(dom0: SimulatedDom0, name: str) -> Link:
    link = dom0.state.link(name)
    if link is None:
        raise Refused(f'Cannot find device "{name}"\n')
    return link


def _show(dom0: SimulatedDom0, argv: list[str], rest: list[str], addresses: bool, details: bool) -> Answer:
    links = dom0.state.links
    if rest[:1] == ["dev"] and len(rest) == 2:
        if dom0.state.link(rest[1]) is None:
            raise Refused(f'Device "{rest[1]}" does not exist.\n')
        links = [_find(dom0, rest[1])]
    elif rest:
        raise UnknownCommand(argv)
    rows = [_row(dom0, link, addresses, details) for link in sorted(links, key=lambda link: link.index)]
    return Answer(json.dumps(rows, separators=(",", ":")) + "\n")


def _row(dom0: SimulatedDom0, link: Link, addresses: bool, details: bool) -> dict[str, Any]:
    loop = link.kind == "loopback"
    flags = ["LOOPBACK"] if loop else ["BROADCAST", "MULTICAST"]
    ports = any(one.master == link.name and one.up for one in dom0.state.links)
    carrier = link.up and (link.kind != "bridge" or ports)
    if link.up:
        flags += ["UP", "LOWER_UP"] if carrier else ["NO-CARRIER", "UP"]
    row: dict[str, Any] = {
        "ifindex": link.index, "ifname": link.name, "flags": flags, "mtu": link.mtu,
        "qdisc": "noqueue" if link.up else "noop",
    }  # fmt: skip
    if link.lower:
        row["link"] = link.lower
    if link.master:
        row["master"] = link.master
    row |= {
        "operstate": "UNKNOWN" if loop else "UP" if carrier else "DOWN", "group": "default", "txqlen": 1000,
        "link_type": "loopback" if loop else "ether", "address": link.mac,
        "broadcast": "00:00:00:00:00:00" if loop else "ff:ff:ff:ff:ff:ff",
    }  # fmt: skip
    if details:
        row |= {"promiscuity": int(bool(link.master)), "min_mtu": 68, "max_mtu": 65535} | _linkinfo(link)
    if link.alias:
        row["ifalias"] = link.alias
    if addresses:
        row["addr_info"] = [_address_row(text, link) for text in link.addresses]
    return row


def _linkinfo(link: Link) -> dict[str, Any]:
    info: dict[str, Any] = {}
    if link.kind not in ("", "vif", "loopback"):
        info["info_kind"] = link.kind
    if link.kind == "bridge":
        info["info_data"] = {
            "forward_delay": 1500, "stp_state": int(link.stp), "priority": 32768,
            "vlan_filtering": int(link.vlan_filtering), "vlan_protocol": "802.1Q",
        }  # fmt: skip
    if link.master:
        info |= {"info_slave_kind": "bridge", "info_slave_data": {"state": "forwarding", "priority": 32, "cost": 100}}
    found: dict[str, Any] = {"linkinfo": info} if info else {}
    if link.kind == "vif":
        domid, _, devid = link.name.removeprefix("vif").partition(".")
        found |= {"parentbus": "xen-backend", "parentdev": f"vif-{domid}-{devid}"}
    return found


def _address_row(text: str, link: Link) -> dict[str, Any]:
    address = ipaddress.ip_interface(text)
    row: dict[str, Any] = {
        "family": f"inet{'6' if address.version == 6 else ''}", "local": str(address.ip),
        "prefixlen": address.network.prefixlen, "scope": "host" if address.is_loopback else "global",
    }  # fmt: skip
    if address.version == 4:
        row["label"] = link.name
    if text in link.leased:
        row["dynamic"] = True
    return row | {"valid_life_time": 4294967295, "preferred_life_time": 4294967295}


def _routes(dom0: SimulatedDom0, six: bool) -> Answer:
    rows = []
    for route in dom0.state.routes:
        if (":" in route.gateway) == six:
            gateway = {"gateway": route.gateway} if route.gateway else {}
            rows.append({"dst": "default", **gateway, "dev": route.link, "flags": []})
    return Answer(json.dumps(rows, separators=(",", ":")) + "\n")


def _add(dom0: SimulatedDom0, argv: list[str], rest: list[str]) -> Answer:
    words = rest[1:] if rest[:1] == ["name"] else rest
    name, words = (words[0], words[1:]) if words else ("", [])
    alias = ""
    while words[:1] in (["alias"], ["mtu"]) and len(words) > 1:
        if words[0] == "mtu":
            raise UnknownCommand(argv, "set the mtu afterwards")
        alias, words = words[1], words[2:]
    if words[:2] not in (["type", "bridge"], ["type", "dummy"]) or not 0 < len(name) < 16:
        raise UnknownCommand(argv)
    if dom0.state.link(name):
        raise Refused("RTNETLINK answers: File exists\n", 2)
    index, dom0.state.next_link = dom0.state.next_link, dom0.state.next_link + 1
    link = Link(name, index, words[1], alias=alias, mac=f"52:54:00:00:{index >> 8 & 255:02x}:{index & 255:02x}")
    _bridge_settings(argv, link, words[2:])
    dom0.state.links.append(link)
    return Answer()


def _bridge_settings(argv: list[str], link: Link, words: list[str]) -> None:
    if len(words) % 2 or (words and link.kind != "bridge"):
        raise UnknownCommand(argv)
    for key, value in zip(words[::2], words[1::2], strict=True):
        if key not in ("stp_state", "vlan_filtering") or value not in ("0", "1"):
            raise UnknownCommand(argv, f"{key} {value}")
        if key == "stp_state":
            link.stp = value == "1"
        else:
            link.vlan_filtering = value == "1"


def _set(dom0: SimulatedDom0, argv: list[str], rest: list[str]) -> Answer:
    words = rest[1:] if rest[:1] == ["dev"] else rest
    if len(words) < 2:
        raise UnknownCommand(argv)
    link, words = _find(dom0, words[0]), words[1:]
    while words:
        key, value = words[0], ([*words, ""])[1]
        words = words[1:] if key in ("up", "down", "nomaster") else words[2:]
        if key in ("up", "down"):
            link.up = key == "up"
            if key == "down":
                _drop_routes(dom0, link.name)
        elif key == "nomaster":
            link.master = None
        elif key == "master":
            bridge = dom0.state.link(value)
            if bridge is None:
                raise Refused(f'Error: argument "{value}" is wrong: Device does not exist\n\n', 255)
            if bridge.kind != "bridge":
                raise Refused("RTNETLINK answers: Operation not supported\n", 2)
            if link.kind == "bridge":
                raise Refused("Error: Can not enslave a bridge to a bridge.\n", 2)
            link.master = value
        elif key == "alias":
            link.alias = value
        elif key == "mtu" and value.isdigit():
            if not 68 <= int(value) <= 65535:
                raise Refused("Error: mtu greater than device maximum.\n", 2)
            link.mtu = int(value)
        elif (key, value) == ("type", "bridge"):
            _bridge_settings(argv, link, words)
            words = []
        else:
            raise UnknownCommand(argv, key)
    return Answer()


def _drop_routes(dom0: SimulatedDom0, name: str) -> None:
    dom0.state.routes = [route for route in dom0.state.routes if route.link != name]


def _address(dom0: SimulatedDom0, verb: str, address: str, name: str) -> Answer:
    link = _find(dom0, name)
    if verb == "add":
        if address in link.addresses:
            raise Refused("RTNETLINK answers: File exists\n", 2)
        link.addresses.append(address)
        return Answer()
    if address not in link.addresses:
        raise Refused("RTNETLINK answers: Cannot assign requested address\n", 2)
    link.addresses.remove(address)
    if not link.addresses:
        _drop_routes(dom0, name)
    return Answer()


def reachable(dom0: SimulatedDom0, address: str) -> bool:
    """Whether a neighbour answers: the link of a default route is up, not itself a port, and, if a bridge, has an
    up port that is no guest's."""
    if address in dom0.state.unreachable:
        return False
    guest = conduct.answers(dom0, address)
    if guest is not None:
        return guest
    for route in dom0.state.routes:
        link = dom0.state.link(route.link)
        if link is None or not link.up or link.master:
            continue
        wires = [one for one in dom0.state.links if one.master == link.name and one.up and one.kind != "vif"]
        if link.kind != "bridge" or wires:
            return True
    return False
