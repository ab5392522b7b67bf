"""What contradicts itself within one domain: keys that do not go together, limits below what they limit."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from operator import gt, lt

from xenlocal.config.problems import Problems
from xenlocal.config.settings import Settings
from xenlocal.model.desired import Disk, Domain, GuestType

BOOT = ("kernel", "bootloader", "pvgrub")
_EMULATED = re.compile(r"(xvd|hd|sd)([a-d])[0-9]*")  # by the device model (libxl_dm.c); others only by PV drivers


def check(settings: Settings, disks: Sequence[tuple[Disk, Settings]], diskless: bool, problems: Problems) -> None:
    """`diskless`: nothing is written that could have been meant for a disk."""
    _sizes(settings, problems)
    _times(settings, problems)
    _boot(settings, diskless, problems)
    _drives(settings, disks, problems)
    if settings.get("type") is GuestType.HVM:
        _emulated(disks, problems)
    _pci(settings, problems)
    _usb(settings, problems)


def _is_not_hvm(settings: Settings) -> bool:
    return settings.get("type") is not GuestType.HVM and not settings.unclear("type")


def _sizes(settings: Settings, problems: Problems) -> None:
    if settings.lacks("memory"):
        problems.add(settings.place, "memory is missing; write one such as memory = 4G", "memory")
    for low, high, default in (("memory", "maxmem", None), ("vcpus", "maxvcpus", 1)):
        least, most = settings.values.get(low, default), settings.get(high)
        if least is not None and most is not None and most < least:
            message = f"{high} {most} is less than {low} {least}; write {high} = {least} or more"
            problems.add(settings.at(high), message, high)


def _times(settings: Settings, problems: Problems) -> None:
    if settings.unclear("stop_timeout"):
        return
    stop = settings.values.get("stop_timeout", Domain.stop_timeout)
    for key, is_wrong, more, less in (("hung_timeout", gt, "more", "less"), ("stop_max", lt, "less", "more")):
        value = settings.get(key)
        if value is not None and is_wrong(value, stop):
            message = f"{key} {value} is {more} than stop_timeout {stop}; write {key} = {stop} or {less}"
            problems.add(settings.at(key), message, key)


def _boot(settings: Settings, diskless: bool, problems: Problems) -> None:
    ways = [key for key in BOOT if key in settings.values]
    hvm = settings.get("type") is GuestType.HVM
    for key in ways[1:]:
        message = f"{ways[0]} and {key} are two ways to boot; write only one of them"
        problems.add(settings.at(key), message, key)
    for key in ("bootloader", "pvgrub"):
        if hvm and key in ways:
            problems.add(settings.at(key), f"{key} is not for hvm guests, which boot their disk; remove it", key)
    if diskless and ways == ["bootloader"] and not hvm:
        message = "pygrub reads the kernel from the first disk, and there is none; write a [[disk xvda]]"
        problems.add(settings.at("bootloader"), message, "bootloader")
    for key in ("firmware", "vnc"):
        if _is_not_hvm(settings) and key in settings.values and not settings.inherits(key):
            problems.add(settings.at(key), f"{key} is for hvm guests only; write type = hvm, or remove it", key)
    _screen(settings, problems)
    if not ways and not hvm and not any(settings.unclear(key) for key in (*BOOT, "type")):
        message = "kernel is missing; write one such as kernel = /boot/vmlinuz-6.1.0-xen"
        problems.add(settings.place, message, "kernel")
    if "ramdisk" in settings.values and settings.lacks("kernel"):
        problems.add(settings.at("ramdisk"), "ramdisk needs a kernel; write kernel = PATH, or remove it", "ramdisk")


def _screen(settings: Settings, problems: Problems) -> None:
    """Who reaches the port of a screen has the keyboard of the guest: Debian's qemu-system-xen is built without the
    cipher of VNC's passwords, so that it cannot ask for one ("Cipher backend does not support DES algorithm")."""
    screen = settings.get("vnc")
    if screen is not None and not ipaddress.ip_address(screen.address).is_loopback:
        message = (
            f"anybody who reaches {screen.address} could use the guest's keyboard, and the device model of Debian"
            f" cannot ask for a password; write vnc = 127.0.0.1:{screen.display} and come through ssh -L"
        )
        problems.add(settings.at("vnc"), message, "vnc")


def _drives(settings: Settings, disks: Sequence[tuple[Disk, Settings]], problems: Problems) -> None:
    for disk, where in disks:
        if disk.cdrom and _is_not_hvm(settings):
            message = "a cdrom is a drive of an hvm guest; write file = PATH with mode = r, or type = hvm"
            problems.add(where.at("cdrom"), message, "cdrom")


def _emulated(disks: Sequence[tuple[Disk, Settings]], problems: Problems) -> None:
    """A guest of which one of these is true is not started by xl at all."""
    first: dict[tuple[str, str], Settings] = {}
    for disk, where in disks:
        match = _EMULATED.fullmatch(disk.vdev)
        if match is None:
            continue
        bus = "SCSI" if match[1] == "sd" and not disk.cdrom else "IDE"
        other = first.setdefault((bus, match[2]), where)
        if other is not where:
            said = f"the device model has one drive for it and for {other.place.label} ({other.place.source})"
            free = next((letter for letter in "abcd" if ("IDE", letter) not in first), "e")
            problems.add(where.place, f"{said}; name it {'hd' if disk.cdrom else 'xvd'}{free}")
        if disk.readonly and not disk.cdrom and bus == "IDE":
            message = (
                "the device model can serve this only writable; write mode = w, or name it xvde or later, where only PV"
                " drivers see it"
            )
            problems.add(where.at("mode"), message, "mode")


def _pci(settings: Settings, problems: Problems) -> None:
    if not settings.get("pci"):
        return
    if settings.get("type") is GuestType.PVH:
        message = "Xen gives no PCI devices to pvh guests; write type = pv or hvm, or remove pci"
        problems.add(settings.at("pci"), message, "pci")
    memory, most = settings.get("memory"), settings.get("maxmem")
    if settings.get("type") is GuestType.HVM and memory is not None and most is not None and most > memory:
        message = f"an hvm guest with pci devices has all its memory from the start; write maxmem = {memory}"
        problems.add(settings.at("maxmem"), message, "maxmem")


def _usb(settings: Settings, problems: Problems) -> None:
    if settings.get("usb") and _is_not_hvm(settings):
        message = "the device model gives USB devices to its guest, and only an hvm guest has one; write type = hvm, or"
        problems.add(settings.at("usb"), f"{message} remove usb", "usb")
