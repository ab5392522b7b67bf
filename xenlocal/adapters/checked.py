"""PURE: the last look at what becomes an argument of a command, whoever it came from: what could be taken for an
option, for config text (`xl create` and `=`) or for two arguments raises ValueError.
"""

from __future__ import annotations

import re

from xenlocal.model.names import COPY, KERNELS, is_look_name, parse_trash_name
from xenlocal.model.units import Size

_SECTOR = Size(512)  # lvcreate and lvextend refuse a size in bytes that is no multiple of it
_NAME = re.compile(r"[A-Za-z0-9_.+][A-Za-z0-9_.+@:-]*")
_PATH = re.compile(r"/[^\x00-\x1f=]*")
_COPY = re.compile(rf"/[^\x00-\x1f]*/{KERNELS}/{COPY.pattern}")
_ADDRESS = re.compile(r"[0-9a-fA-F.:]+/\d{1,3}")
_GATEWAY = re.compile(r"[0-9a-fA-F][0-9a-fA-F.:]*(?:%[A-Za-z0-9_.]+)?|::[0-9a-fA-F.:]*")
_IQN = re.compile(r"[a-z]{3}\.[A-Za-z0-9._:-]+")
_PORTAL = re.compile(r"(?:[0-9.]+|\[[0-9a-f:.]+\]):\d{1,5}")
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
_DISK = re.compile(r"format=raw, vdev=[a-z]+[0-9]*, access=r[ow], target=/[^\x00-\x20,;\"'\\]+")
_VIF = re.compile(r"mac=[0-9a-f:]{17}|bridge=[A-Za-z0-9_.-]{1,15}")
_DEVICE = re.compile(r"[a-z]+[0-9]*|[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_SETTING = re.compile(r"[A-Z_]+=[^\x00-\x1f]*")
_CPUS = re.compile(r"[0-9a-z^][0-9a-z,:^-]*")


def unit_escape(name: str) -> str:
    """As systemd-escape does it: what a unit's name may not hold becomes \\xNN."""
    return "".join(
        char if re.fullmatch(r"[A-Za-z0-9_.-]", char) else "".join(f"\\x{byte:02x}" for byte in char.encode())
        for char in name
    )


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not {what} that can be given to a command")
    return text


def name(text: str) -> str:
    return _matching(_NAME, text, "a name")


def link(text: str) -> str:
    if len(text) > 15:
        raise ValueError(f"{text!r} is too long for a network interface")
    return name(text)


def path(text: str) -> str:
    return _matching(_PATH, text, "a path")


def address(text: str) -> str:
    return _matching(_ADDRESS, text, "an address")


def lv(vg: str, volume: str) -> str:
    return f"{name(vg)}/{name(volume)}"


def trash(volume: str) -> str:
    """Rule 2: nothing but the trash is ever removed, and nothing is retired to any other place."""
    if parse_trash_name(volume) is None:
        raise ValueError(f"{volume!r} is no volume of the trash")
    return name(volume)


def look(volume: str) -> str:
    """... but for a snapshot that was made only to look at it."""
    if not is_look_name(volume):
        raise ValueError(f"{volume!r} is no snapshot of xenlocal's")
    return name(volume)


def copy(text: str) -> str:
    """The path of a copy of a kernel: no file that is not xenlocal's own is ever removed."""
    return _matching(_COPY, text, "a copy of a kernel")


def size(value: Size) -> str:
    return f"{value.rounded_up(_SECTOR).bytes}b"


def domid(number: int) -> str:
    if number <= 0:
        raise ValueError(f"{number} is no domU")
    return str(number)


def number(text: str) -> str:
    return _matching(re.compile(r"[0-9]{1,9}"), text, "a number")


def gateway(text: str) -> str:
    return _matching(_GATEWAY, text, "an address")


def iqn(text: str) -> str:
    return _matching(_IQN, text, "the name of a target")


def portal(text: str) -> str:
    return _matching(_PORTAL, text, "a portal")


def host(text: str) -> str:
    return _matching(_HOST, text, "a host")


def disk(text: str) -> str:
    return _matching(_DISK, text, "a disk")


def vif(text: str) -> str:
    return _matching(_VIF, text, "a nic")


def device(text: str) -> str:
    return _matching(_DEVICE, text, "a device")


def cpus(text: str) -> str:
    return _matching(_CPUS, text, "a list of CPUs")


def setting(text: str) -> str:
    return _matching(_SETTING, text, "a setting")
