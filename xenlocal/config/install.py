"""From [[install]] to the model, with what is wrong with it by itself and with the disk it is for."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from xenlocal.config.problems import Problems
from xenlocal.config.sections import Section
from xenlocal.config.settings import Settings, read_settings
from xenlocal.model.desired import BlockDevice, Disk, GuestType
from xenlocal.model.diskwork import Install, kind_of_image

_OF_SUITE = ("mirror", "packages")
_NAMES = (("hostname", "address", "gateway", "dns"), ("ssh_key", "root_password", "hooks"))


def build_install(
    part: Section, domain: Settings, disks: Sequence[tuple[Disk, Settings]], nics: Sequence[Any], problems: Problems
) -> Install:
    """`disks` and `nics`: those that the domU gets, in their order."""
    settings = read_settings(part, "install", problems)
    found = Install(**settings.values)
    _check_source(found, settings, domain, problems)
    _check_disk(settings, disks, problems)
    _check_network(found, settings, nics, problems)
    return found


def _check_source(found: Install, settings: Settings, domain: Settings, problems: Problems) -> None:
    if found.suite is not None and found.image is not None:
        problems.add(settings.at("image"), "suite and image are two ways to install; write only one of them", "image")
    elif settings.lacks("suite") and settings.lacks("image"):
        problems.add(settings.place, "suite is missing; write one such as suite = bookworm, or image = FILE", "suite")
    raw = found.image is not None and kind_of_image(found.image) == "raw"
    if domain.get("type") is GuestType.HVM and (found.suite or found.image) and not raw:
        key = "suite" if found.suite else "image"
        what = "a suite" if found.suite else "a tar"
        message = f"an hvm guest boots its disk, which {what} does not make bootable; write image = FILE with a raw one"
        problems.add(settings.at(key), message, key)
    if found.image is None:
        return
    needless = (*_OF_SUITE, *_NAMES[0], *_NAMES[1]) if raw else _OF_SUITE
    for key in needless:
        if key in settings.values:
            what = "a raw image, which is written as it is" if raw else "an image, which has its packages"
            problems.add(settings.at(key), f"{key} is not for {what}; remove it", key)


def _check_disk(settings: Settings, disks: Sequence[tuple[Disk, Settings]], problems: Problems) -> None:
    wrong = "the first disk of the domU is what is installed into, and"
    if not disks:
        problems.add(settings.place, f"{wrong} there is none; write a [[disk xvda]] with a volume and a size")
        return
    disk, where = disks[0]
    if isinstance(disk.backing, BlockDevice) or disk.cdrom:
        kind = "cdrom" if disk.cdrom else "device"
        message = f"{wrong} xenlocal never writes to a {kind}; write volume = VG/LV or file = PATH first"
        problems.add(where.at(kind), message, kind)
    elif where.lacks("size"):
        problems.add(where.place, f"{wrong} without a size it is not made; write one such as size = 20G", "size")
    elif disk.readonly:
        problems.add(where.at("mode"), f"{wrong} with mode = r it cannot be written to; remove that", "mode")
    elif disk.shared:
        message = f"{wrong} with mode = w! others could write to it meanwhile; write mode = w"
        problems.add(where.at("mode"), message, "mode")


def _check_network(found: Install, settings: Settings, nics: Sequence[Any], problems: Problems) -> None:
    if found.address is not None and not nics:
        message = "address is that of the first nic, and there is none; write a [[nic eth0]], or remove it"
        problems.add(settings.at("address"), message, "address")
    by_dhcp = "address" in settings.values or settings.lacks("address")
    if found.gateway is not None and found.address is None and by_dhcp:
        message = "gateway goes with a fixed address; write one such as address = 192.0.2.21/24, or remove it"
        problems.add(settings.at("gateway"), message, "gateway")
    if found.gateway is not None and found.address is not None:
        gateway, network = ipaddress.ip_address(found.gateway), ipaddress.ip_interface(found.address).network
        if gateway not in network and not gateway.is_link_local:
            message = f"gateway {gateway} is not in {network}, the network of address, so nothing would reach it"
            problems.add(settings.at("gateway"), f"{message}; write one of that network, or another length", "gateway")
