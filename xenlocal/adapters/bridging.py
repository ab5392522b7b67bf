"""PURE: which commands change a bridge, and those of the timed way back of one that carries the default route."""

from __future__ import annotations

import shlex

from xenlocal.adapters import checked
from xenlocal.model.host_actions import ChangeBridge
from xenlocal.model.observed import OUR_ALIAS

Argv = tuple[str, ...]
_WAY_BACK = 60  # seconds


def change(action: ChangeBridge) -> tuple[Argv, ...]:
    """The change of the bridge itself. mtu after the ports: adding one lowers the bridge's own."""
    name = checked.link(action.name)
    device = ("ip", "link", "set", "dev", name)
    lines: list[Argv] = []
    if action.create:
        # One process for both: a bridge without our alias is foreign, and if we were killed between the two, the
        # next cycle would not touch its own bridge. (Tried: the kernel ignores an alias in `ip link add`.)
        make = shlex.join(("ip", "link", "add", "name", name, "type", "bridge"))
        lines.append(("sh", "-ec", f"{make}; {shlex.join((*device, 'alias', OUR_ALIAS))}"))
    options: list[str] = []
    if action.stp is not None:
        options += ["stp_state", str(int(action.stp))]
    if action.vlan_filtering is not None:
        options += ["vlan_filtering", str(int(action.vlan_filtering))]
    if options:
        lines.append((*device, "type", "bridge", *options))
    if action.remove_address is not None:
        lines.append(("ip", "addr", "del", checked.address(action.remove_address), "dev", name))
    lines += [("ip", "link", "set", "dev", checked.link(port), "nomaster") for port in action.remove_ports]
    for port in action.add_ports:
        lines.append(("ip", "link", "set", "dev", checked.link(port), "master", name))
        lines.append(("ip", "link", "set", "dev", port, "up"))
    if action.mtu is not None:
        lines.append((*device, "mtu", str(int(action.mtu))))
    if action.add_address is not None:
        lines.append(("ip", "addr", "add", checked.address(action.add_address), "dev", name))
    if action.up:
        lines.append((*device, "up"))
    return tuple(lines)


def arm(action: ChangeBridge, systemd: bool) -> tuple[Argv, ...]:
    """systemd brings the way back, whatever becomes of us or of the network, unless `disarm` comes first."""
    if action.way_back is None:
        return ()
    if not systemd:
        raise ValueError("it carries the default route, and without systemd there is no timed way back")
    if action.gateway is None:
        raise ValueError("it carries the default route, and no gateway is known that could prove the change")
    back = "; ".join(shlex.join(line) for line in change(action.way_back))
    return ((
        "systemd-run", f"--on-active={_WAY_BACK}s", "--timer-property=AccuracySec=1s", "--quiet", "--collect",
        f"--unit={_way_back_unit(action)}", "/bin/sh", "-c", back,
    ),)  # fmt: skip


def verify(action: ChangeBridge) -> tuple[Argv, ...]:
    if action.way_back is None:
        return ()
    return (("ping", "-n", "-q", "-c", "1", "-w", "5", checked.gateway(action.gateway or "")),)


def disarm(action: ChangeBridge) -> tuple[Argv, ...]:
    return () if action.way_back is None else (("systemctl", "stop", f"{_way_back_unit(action)}.timer"),)


def _way_back_unit(action: ChangeBridge) -> str:
    return f"xenlocal-way-back-{checked.unit_escape(action.name)}"
