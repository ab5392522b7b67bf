"""A domain as xl.cfg. Keys and syntax: xl.cfg(5). Every value is typed and rendered here, none is passed
through raw: in that language a newline or `;` ends a statement and the last assignment wins (FACTS)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from xenlocal.model.desired import Disk, Domain, GuestType, Nic

LIVE_KEYS = ("memory", "vcpus", "cpus", "cpu_weight")  # Xen changes these on a running domU
_UNSAFE = frozenset('"\\\n\r\0')
_UNSAFE_FIELD = _UNSAFE | frozenset(",= '\t;")


def settings(domain: Domain) -> Mapping[str, str]:
    """Every key of the xl.cfg and its rendered value, in the order of the file."""
    lines = {
        "name": _quoted(domain.name),
        "uuid": _quoted(domain.uuid),
        "type": _quoted(domain.type),
        "memory": str(domain.memory.in_mib),
        "maxmem": str((domain.maxmem or domain.memory).in_mib),
        "vcpus": str(domain.vcpus),
        "maxvcpus": str(domain.maxvcpus or domain.vcpus),
        # preserve, so that one can tell a poweroff from a crash afterwards; xenlocal reaps what is down
        "on_poweroff": _quoted("preserve"),
        "on_reboot": _quoted("restart"),
        "on_crash": _quoted("preserve"),
        "disk": _list(_disk(disk) for disk in domain.disks),
        "vif": _list(_vif(nic, domain.type) for nic in domain.nics),
    }
    optional = {
        "cpus": domain.cpus and _quoted(domain.cpus),
        "cpu_weight": domain.cpu_weight and str(domain.cpu_weight),
        "kernel": (kernel := domain.kernel or domain.pvgrub) and _quoted(kernel),
        "bootloader": domain.bootloader and _quoted(domain.bootloader),
        "ramdisk": domain.ramdisk and _quoted(domain.ramdisk),
        "cmdline": domain.cmdline and _quoted(domain.cmdline),
        "pci": domain.pci and _list(domain.pci),
    }
    lines.update({key: value for key, value in optional.items() if value})
    if domain.type is GuestType.HVM:
        lines.update(_machine(domain))
    lines.update(dict(domain.extra))
    return MappingProxyType(lines)


def _machine(domain: Domain) -> Mapping[str, str]:
    """What the device model gives an hvm guest."""
    lines = {"firmware": _quoted(domain.firmware), "serial": _quoted("pty"), "vnc": "0"}
    if domain.vnc is not None:
        # without vncunused = 0 it takes another display where this one is in use, and nobody knows which
        lines |= {"vnc": "1", "vnclisten": _quoted(domain.vnc.address), "vncdisplay": str(domain.vnc.display)}
        lines |= {"vncunused": "0", "usb": "1", "usbdevice": _list(["tablet"])}  # its pointer is where the viewer's is
    if domain.usb:
        lines["device_model_args_hvm"] = _list(_usb(domain.usb))
    return lines


def _usb(devices: Iterable[str]) -> Iterable[str]:
    """The device model itself takes each as soon as it is plugged in: what xl.cfg has for that (usbdev) is looked for
    once, by a number that the next plugging in changes."""
    yield from ("-device", "qemu-xhci,id=usb-of-host")
    for device in devices:
        if ":" in device:
            vendor, product = device.split(":")
            which = f"vendorid=0x{vendor},productid=0x{product}"
        else:
            bus, port = device.split("-")
            which = f"hostbus={bus},hostport={port}"
        yield from ("-device", f"usb-host,bus=usb-of-host.0,{which}")


def render(domain: Domain) -> str:
    """The text of the xl.cfg."""
    head = "# made by xenlocal; edit the file in /etc/xenlocal instead\n"
    return head + "".join(f"{key} = {value}\n" for key, value in settings(domain).items())


def differences(domain: Domain, running: Mapping[str, str]) -> tuple[str, ...]:
    """Keys in which a domU that runs with `running` differs from what is declared, sorted.

    A limit that memory or vcpus merely follow is not a difference of its own while it is wide enough.
    """
    wanted = settings(domain)
    keys = {key for key in {*wanted, *running} if not same(key, wanted.get(key), running.get(key))}
    for key, limit, declared in (
        ("memory", "maxmem", domain.maxmem),
        ("vcpus", "maxvcpus", domain.maxvcpus),
    ):
        if declared is None and int(wanted[key]) <= int(running.get(limit, "0")):
            keys.discard(limit)
    return tuple(sorted(keys))


def fits_live(key: str, wanted: Mapping[str, str], running: Mapping[str, str]) -> bool:
    """Whether Xen can bring a running domU to `wanted[key]`: within maxmem and maxvcpus as it was started."""
    limit = {"memory": "maxmem", "vcpus": "maxvcpus"}.get(key)
    is_within = limit is None or int(wanted[key]) <= int(running.get(limit, "0"))
    return is_within and key in LIVE_KEYS and key in wanted


def pending(domain: Domain, running: Mapping[str, str]) -> tuple[str, ...]:
    """Keys that differ and cannot be changed while the domU runs."""
    wanted = settings(domain)
    return tuple(key for key in differences(domain, running) if not fits_live(key, wanted, running))


def part(thing: Disk | Nic) -> str:
    """What stands for it in the list of disks or nics, and after `xl block-attach` or `xl network-attach`."""
    return _disk(thing) if isinstance(thing, Disk) else _vif(thing, GuestType.PV)  # an hvm guest is not hot-plugged


def parts(rendered: str) -> dict[str, str]:
    """A rendered list of disks or nics by what xl knows them by: the name the guest sees, or the MAC."""
    return {name_of(item): item for item in re.findall(r'"([^"]*)"', rendered)}


def name_of(item: str) -> str:
    """Of one of them."""
    words = dict(each.split("=", 1) for each in item.split(", "))
    return words.get("vdev") or words["mac"]


def joined(items: Iterable[str]) -> str:
    """The rendered list of these."""
    return _list(items)


def same(key: str, wanted: str | None, running: str | None) -> bool:
    """Whether two rendered values of a key mean the same: xl goes by the names of disks, not by their order."""
    if key == "disk" and wanted is not None and running is not None:
        return parts(wanted) == parts(running)
    return wanted == running


def _disk(disk: Disk) -> str:
    access = "ro" if disk.readonly else "rw"
    path = disk.backing.path
    # target= must come last: the rest of the string is the path (xl-disk-configuration(5))
    kind = "devtype=cdrom, " if disk.cdrom else ""
    if disk.shared:
        # the script of a disk that the kernel serves refuses a second writer, and xl passes it no `w!` (seen on 4.17)
        kind = "backendtype=qdisk, "
    return f"format=raw, vdev={_field(disk.vdev)}, {kind}access={access}, target={_path(path)}"


def _vif(nic: Nic, kind: GuestType) -> str:
    # always both: libxl draws a random MAC without mac=, and takes xenbr0 without bridge= (FACTS)
    fields = f"mac={_field(nic.mac)}, bridge={_field(nic.bridge)}"
    # of the cards that the device model has, the one that a Windows without PV drivers knows
    return f"{fields}, model=e1000" if kind is GuestType.HVM else fields


def _list(items: Iterable[str]) -> str:
    return "[ " + ", ".join(_quoted(item) for item in items) + " ]"


def _quoted(text: str) -> str:
    if _UNSAFE & set(text):
        raise ValueError(f"cannot write {text!r} into an xl.cfg")
    return f'"{text}"'


def _field(text: str) -> str:
    if _UNSAFE_FIELD & set(text):
        raise ValueError(f"cannot write {text!r} into an xl.cfg disk or vif")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or (_UNSAFE_FIELD - {"="}) & set(text):
        raise ValueError(f"cannot write the path {text!r} into an xl.cfg disk")
    return text
