"""Disks and nics that come and go while a domU runs: `xl block-attach`, `network-attach` and their opposites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenlocal.simulator import guests, xlcfg
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand
from xenlocal.simulator.state import Domain

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0


def run(dom0: SimulatedDom0, domain: Domain, argv: list[str]) -> Answer:
    """`xl VERB DOMAIN WORDS..`."""
    verb, words = argv[1], argv[3:]
    if verb == "network-attach":
        _attach_nic(dom0, domain, ", ".join(words))
        return Answer()
    if len(words) != 1:
        raise UnknownCommand(argv)
    known = {"block-attach": _attach_disk, "block-detach": _detach_disk, "network-detach": _detach_nic}
    try:
        known[verb](dom0, domain, words[0])
    except xlcfg.BadConfig as error:
        raise Refused(f"{error}\n") from None
    return Answer()


def _attach_disk(dom0: SimulatedDom0, domain: Domain, spec: str) -> None:
    (disk,) = xlcfg.disks({"disk": [spec]})
    if any(each.vdev == disk.vdev for each in domain.disks):
        where = f"libxl: error: libxl_device.c: Domain {domain.domid}:device already exists in xenstore\n"
        raise Refused(f"{where}libxl_device_disk_add failed.\n")
    try:
        guests.attach(dom0, domain.domid, disk)
    except Refused as error:
        raise Refused(f"{error.stderr}libxl_device_disk_add failed.\n") from None
    domain.disks.append(disk)
    _keep(domain, "disk", [*domain.config.get("disk", []), spec])
    dom0.note("attached", f"{domain.name} {domain.domid} {disk.vdev}")


def _detach_disk(dom0: SimulatedDom0, domain: Domain, vdev: str) -> None:
    """A guest that has it mounted does not let go: xl gives up after 10 s, and leaves it."""
    if vdev not in {disk.vdev for disk in domain.disks}:
        raise Refused(f"Error: Device {vdev} not connected.\n")
    if vdev in dom0.state.behaviour(domain.name).mounted:
        where = f"libxl: error: libxl_device.c: Domain {domain.domid}:unable to remove device\n"
        raise Refused(f"{where}libxl_device_disk_remove failed.\n")
    domain.disks = [disk for disk in domain.disks if disk.vdev != vdev]
    kept = [spec for spec in domain.config.get("disk", []) if xlcfg.disks({"disk": [spec]})[0].vdev != vdev]
    _keep(domain, "disk", kept)
    dom0.note("detached", f"{domain.name} {domain.domid} {vdev}")


def _attach_nic(dom0: SimulatedDom0, domain: Domain, spec: str) -> None:
    (nic,) = xlcfg.nics({"vif": [spec]})
    nic.devid = max((each.devid for each in domain.nics), default=-1) + 1
    bridge = dom0.state.link(nic.bridge)
    if bridge is None or bridge.kind != "bridge":
        raise Refused(f"libxl: error: Could not find bridge device {nic.bridge}\nlibxl_device_nic_add failed.\n")
    domain.nics.append(nic)
    guests.add_port(dom0, domain.domid, nic)
    _keep(domain, "vif", [*domain.config.get("vif", []), spec])
    dom0.note("attached", f"{domain.name} {domain.domid} {nic.mac}")


def _detach_nic(dom0: SimulatedDom0, domain: Domain, mac: str) -> None:
    found = next((nic for nic in domain.nics if nic.mac == mac.lower()), None)
    if found is None:
        raise Refused(f"Unknown device {mac}.\n")
    domain.nics.remove(found)
    port = f"vif{domain.domid}.{found.devid}"
    dom0.state.links = [link for link in dom0.state.links if link.name != port]
    _keep(domain, "vif", [spec for spec in domain.config.get("vif", []) if mac.lower() not in spec.lower()])
    dom0.note("detached", f"{domain.name} {domain.domid} {mac}")


def _keep(domain: Domain, key: str, specs: list[str]) -> None:
    """libxl keeps it in the domU's stored config, so that its own reboot brings it back."""
    domain.config = {**domain.config, key: specs}
