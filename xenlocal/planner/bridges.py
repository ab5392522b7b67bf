"""Linux bridges: create, ports, address, mtu, stp. Guests' ports (vif*, tap*, veth) are never touched."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from xenlocal.model.desired import Bridge, Desired
from xenlocal.model.host_actions import ChangeBridge
from xenlocal.model.observed import OUR_ALIAS, Link, Network, Observed, Table
from xenlocal.planner.draft import Draft

_GUEST_KINDS = frozenset({"vif", "tun", "tap", "veth"})
_LINK_LOCAL = ipaddress.ip_network("fe80::/10")  # the kernel gives one to every link
_GUEST_PREFIXES = ("vif", "tap", "vnet")


def plan_bridges(draft: Draft, desired: Desired, observed: Observed) -> None:
    if not desired.bridges:
        return
    network = draft.table(Table.NETWORK, observed.network)
    if network is None:
        return
    for bridge in desired.bridges.values():
        _plan_bridge(draft, bridge, network)


def _plan_bridge(draft: Draft, bridge: Bridge, network: Network) -> None:
    present = network.links.get(bridge.name)
    if present is not None and present.kind != "bridge":
        draft.refuse(bridge.target, f"{bridge.name} exists and is no bridge; choose another name in {bridge.source}")
        return
    if bridge.external and present is None:
        draft.refuse(
            bridge.target,
            f"does not exist; {bridge.source} says external = yes, so something else must make it",
        )
        return
    if present is not None and present.alias == OUR_ALIAS and not bridge.external:
        _tell_addresses(draft, bridge, present)
    change = _change(draft, bridge, present, network)
    if change is None:
        return
    if bridge.external or (present is not None and present.alias != OUR_ALIAS):
        hand_over = (
            ""
            if bridge.external
            else (
                "; it is not ours: write external = yes to only check it, or hand it over with: "
                f"ip link set dev {bridge.name} alias {OUR_ALIAS}"
            )
        )
        draft.refuse(bridge.target, f"differs from {bridge.source}: {_describe(change)}{hand_over}")
        return
    if present is not None and network.carries_default_route(bridge.name):
        if not network.gateways:
            draft.refuse(
                bridge.target,
                f"differs from {bridge.source}: {_describe(change)}; it carries the dom0's default route, which has no "
                "gateway that could be asked afterwards whether this host is still reachable: change it by hand",
            )
            return
        change = replace(change, way_back=_reverse(change, present), gateway=network.gateways[0])
    draft.step(change, "does not exist" if change.create else f"differs from {bridge.source}: {_describe(change)}")


def _tell_addresses(draft: Draft, bridge: Bridge, present: Link) -> None:
    """After an edit of `address` the former one stays: nobody remembers whether it was ours to give."""
    for address in present.addresses if bridge.address else ():
        link_local = ipaddress.ip_interface(address) in _LINK_LOCAL
        if address != bridge.address and address not in present.leased and not link_local:
            draft.notice(
                bridge.target,
                f"also has {address}, which {bridge.source} does not declare; remove it with:"
                f" ip address del {address} dev {bridge.name}",
            )


def _change(draft: Draft, bridge: Bridge, present: Link | None, network: Network) -> ChangeBridge | None:
    """What differs, or None. Only what was declared is compared."""
    add, remove = _ports(draft, bridge, network)
    now = present or Link(bridge.name, "bridge", mtu=0, up=False)
    change = ChangeBridge(
        bridge.name,
        create=present is None,
        add_ports=add,
        remove_ports=remove,
        add_address=bridge.address if bridge.address not in now.addresses else None,
        mtu=bridge.mtu if bridge.mtu != now.mtu else None,
        stp=bridge.stp if bridge.stp != now.stp else None,
        vlan_filtering=bridge.vlan_filtering if bridge.vlan_filtering != now.vlan_filtering else None,
        up=not now.up,
    )
    return None if change == ChangeBridge(bridge.name) else change


def _ports(draft: Draft, bridge: Bridge, network: Network) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ports to add and to remove. A port that cannot be had is refused by name, the rest goes on."""
    if bridge.ports is None:
        return (), ()
    add = []
    for port in bridge.ports:
        link = network.links.get(port)
        if link is None:
            draft.refuse(
                bridge.target,
                f"port {port} does not exist on this host ({bridge.source}); `ip link` lists those that do",
            )
        elif link.master == bridge.name:
            continue
        elif link.master is not None:
            draft.refuse(bridge.target, f"port {port} belongs to {link.master}; it is not taken from there")
        elif network.carries_default_route(port):
            draft.refuse(
                bridge.target,
                f"port {port} itself carries the dom0's default route: moving it would cut this host off;"
                " make the bridge in /etc/network/interfaces (or systemd-networkd) and write external = yes",
            )
        else:
            add.append(port)
    remove = [
        port
        for port in network.ports(bridge.name)
        if port not in bridge.ports and not _is_guest_port(network.links[port])
    ]
    return tuple(add), tuple(remove)


def _is_guest_port(link: Link) -> bool:
    return link.kind in _GUEST_KINDS or link.name.startswith(_GUEST_PREFIXES)


def _reverse(change: ChangeBridge, before: Link) -> ChangeBridge:
    """The change that undoes `change`."""
    return ChangeBridge(
        change.name,
        add_ports=change.remove_ports,
        remove_ports=change.add_ports,
        remove_address=change.add_address,
        mtu=None if change.mtu is None else before.mtu,
        stp=None if change.stp is None else before.stp,
        vlan_filtering=None if change.vlan_filtering is None else before.vlan_filtering,
    )


def restores(back: ChangeBridge, links: Mapping[str, Link]) -> bool:
    """Whether what this way back brings back is how the bridge is now: one that was planned before somebody, or the
    timer of an earlier one, changed it would cut the host off."""
    present, members = links.get(back.name), {link.name for link in links.values() if link.master == back.name}
    if present is None or not members.issuperset(back.add_ports) or not members.isdisjoint(back.remove_ports):
        return False
    former = ((back.mtu, present.mtu), (back.stp, present.stp), (back.vlan_filtering, present.vlan_filtering))
    return all(value in (None, now) for value, now in former)


def _describe(change: ChangeBridge) -> str:
    parts = [f"port {port} is missing" for port in change.add_ports]
    parts += [f"port {port} is not declared" for port in change.remove_ports]
    parts += [f"address {change.add_address} is missing"] if change.add_address else []
    parts += [f"mtu is not {change.mtu}"] if change.mtu is not None else []
    parts += [f"stp is not {'yes' if change.stp else 'no'}"] if change.stp is not None else []
    if change.vlan_filtering is not None:
        parts.append(f"vlan_filtering is not {'yes' if change.vlan_filtering else 'no'}")
    parts += ["it is down"] if change.up else []
    return ", ".join(parts)
