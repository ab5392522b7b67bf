"""`xenstore-ls -f` on the simulated host: the part of the tree that xenlocal reads, in xenstored's own order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenlocal.simulator import conduct, paths
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand, split_options
from xenlocal.simulator.state import Disk, Domain

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0


def run(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`xenstore-ls -f [PATH]`."""
    options, rest = split_options(argv, ("-f",), ())
    if "-f" not in options or len(rest) > 1:
        raise UnknownCommand(argv)
    tree = _tree(dom0)
    top = rest[0].rstrip("/") if rest else ""
    chosen = [
        path for path in sorted(tree, key=lambda path: path.replace("/", "\0")) if (path + "/").startswith(top + "/")
    ]
    if not chosen:
        raise Refused(f"xenstore-ls: couldn't list path {top}: No such file or directory\n")
    return Answer("".join(f'{path} = "{_escape(tree[path])}"\n' for path in chosen if path != top))


def read(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`xenstore-read PATH...`: a value a line, up to the first path that is not there."""
    tree, printed = _tree(dom0), ""
    for path in argv[1:]:
        if path not in tree:
            return Answer(printed, f"xenstore-read: couldn't read path {path}\n", 1)
        printed += _escape(tree[path]) + "\n"
    return Answer(printed)


def list_children(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`xenstore-list PATH`: the names below it, one a line."""
    _, path = argv
    depth = path.count("/") + 1
    names = [node.split("/")[depth] for node in _tree(dom0) if node.startswith(f"{path}/") and node.count("/") == depth]
    if not names:
        raise Refused(f"xenstore-list: could not list path {path}\n")
    return Answer("".join(f"{name}\n" for name in names))


def write(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`xenstore-write PATH VALUE` of what a guest listens to. It prints nothing, and makes a path that is not there."""
    _, path, value = argv
    match = re.fullmatch(r"/local/domain/(\d+)/control/shutdown", path)
    if not match or value != "poweroff":
        raise UnknownCommand(argv)
    domain = dom0.state.domain(match[1])
    if domain is None:
        dom0.note("litter", path)
    elif domain.state in ("running", "paused"):
        conduct.request(dom0, domain, value)
    return Answer()


def _escape(text: str) -> str:
    """As xenstore-ls prints a value (sanitise_value()): all but printable ASCII by letter or octal; a quote stays."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    special = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    chars = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return "".join(special.get(char) or (char if " " <= char <= "~" else f"\\{ord(char):03o}") for char in chars)


def _tree(dom0: SimulatedDom0) -> dict[str, str]:
    leaves: dict[str, str] = {}
    own = "/local/domain/0"
    memory = str(dom0.state.dom0_memory_mib << 10)
    leaves |= {f"{own}/control/feature-{what}": "1" for what in ("poweroff", "reboot", "suspend")}
    leaves |= {f"{own}/domid": "0", f"{own}/name": "Domain-0"}
    leaves |= {f"{own}/memory/static-max": memory, f"{own}/memory/target": memory}
    for domain in dom0.state.domains:
        leaves |= _backends(dom0, domain)
        if domain.state != "dying":
            leaves |= _domain(dom0, domain)
    leaves |= {"/local/pool/0/name": "Pool-0", "/tool/xenstored": "/usr/lib/xen-4.17/bin/oxenstored"}
    nodes = {"/@introduceDomain": "", "/@releaseDomain": ""}
    for path in leaves:
        parent = path.rpartition("/")[0]
        while parent and parent not in nodes:
            nodes[parent] = ""
            parent = parent.rpartition("/")[0]
    return nodes | leaves


def _connected(domain: Domain) -> str:
    """A guest that has powered itself off has closed its devices; a crashed one has not (tests/records)."""
    return "6" if domain.state in ("dying", "shutdown") else "4"


def _backends(dom0: SimulatedDom0, domain: Domain) -> dict[str, str]:
    """What holds disks and nics, up to the very end of a domain."""
    leaves: dict[str, str] = {}
    connected = _connected(domain)
    for disk in domain.disks:
        at = _backend_of(domain, disk)
        facts = paths.facts(dom0, disk.path)
        loop = not disk.device  # an image file stands behind a loop device
        major, minor = (int(part) for part in (disk.device or f"7:{disk.loop or 0}").split(":"))
        leaves |= {
            f"{at}/{key}": value
            for key, value in {
                "bootable": "1", "dev": disk.vdev, "device-type": "disk", "discard-enable": "1",
                "frontend": f"/local/domain/{domain.domid}/device/vbd/{disk.devid}",
                "frontend-id": str(domain.domid), "hotplug-status": "connected", "info": "0",
                "mode": "w" if disk.writable else "r", "online": "1", "params": disk.path,
                "physical-device": f"{major:x}:{minor:x}",
                "physical-device-path": f"/dev/loop{minor}" if loop else facts.real if facts else disk.path,
                "removable": "0", "script": "/etc/xen/scripts/block", "sector-size": "512",
                "specification": "xen", "state": connected, "type": "phy",
            }.items()
        }  # fmt: skip
        if disk.by_qemu:
            leaves |= {f"{at}/type": "qdisk", f"{at}/params": f"aio:{disk.path}"}
            for key in ("physical-device", "physical-device-path", "script"):
                del leaves[f"{at}/{key}"]
    for number, address in enumerate(domain.config.get("pci", [])):
        leaves[f"/local/domain/0/backend/pci/{domain.domid}/0/dev-{number}"] = str(address)
    for nic in domain.nics:
        at = f"/local/domain/0/backend/vif/{domain.domid}/{nic.devid}"
        leaves |= {
            f"{at}/bridge": nic.bridge, f"{at}/frontend": f"/local/domain/{domain.domid}/device/vif/{nic.devid}",
            f"{at}/frontend-id": str(domain.domid), f"{at}/handle": str(nic.devid),
            f"{at}/hotplug-status": "connected", f"{at}/mac": nic.mac, f"{at}/online": "1",
            f"{at}/script": "/etc/xen/scripts/vif-bridge", f"{at}/state": connected, f"{at}/type": "vif",
        }  # fmt: skip
    return leaves


def _backend_of(domain: Domain, disk: Disk) -> str:
    return f"/local/domain/0/backend/{'qdisk' if disk.by_qemu else 'vbd'}/{domain.domid}/{disk.devid}"


def _domain(dom0: SimulatedDom0, domain: Domain) -> dict[str, str]:
    """Its own directory: most of it writable by the guest."""
    at = f"/local/domain/{domain.domid}"
    able = "1" if conduct.stoppable(dom0, domain) else ""
    leaves = {
        f"{at}/attr": "", f"{at}/data": "", f"{at}/drivers": "", f"{at}/error": "", f"{at}/feature": "",
        f"{at}/console/limit": "1048576", f"{at}/console/output": "pty", f"{at}/console/type": "xenconsoled",
        f"{at}/console/tty": f"/dev/pts/{domain.domid}",
        f"{at}/control/feature-poweroff": able, f"{at}/control/feature-reboot": able,
        f"{at}/control/feature-suspend": able, f"{at}/control/platform-feature-xs_reset_watches": "1",
        f"{at}/control/shutdown": domain.requested, f"{at}/control/sysrq": "",
        f"{at}/domid": str(domain.domid), f"{at}/memory/static-max": str(domain.maxmem_kib),
        f"{at}/memory/target": str(domain.memory_kib), f"{at}/memory/videoram": "0", f"{at}/name": domain.name,
        f"{at}/vm": f"/vm/{domain.uuid}",
    }  # fmt: skip
    for number in range(domain.maxvcpus):
        leaves[f"{at}/cpu/{number}/availability"] = "online" if number < domain.vcpus else "offline"
    for disk in domain.disks:
        front = f"{at}/device/vbd/{disk.devid}"
        leaves |= {
            f"{front}/backend": _backend_of(domain, disk),
            f"{front}/state": _connected(domain),
        }
    for nic in domain.nics:
        leaves |= {
            f"{at}/device/vif/{nic.devid}/mac": nic.mac,
            f"{at}/device/vif/{nic.devid}/state": _connected(domain),
        }
    lived_until = dom0.now if domain.ended is None else domain.ended
    age, behaviour = lived_until - domain.born, dom0.state.behaviour(domain.name)
    written = {key: "1" for key, after in behaviour.write.items() if age >= after}
    return leaves | {f"{at}/{key}": value for key, value in {**written, **domain.extra}.items()}
