"""[[xl]]: any other key of xl.cfg, passed on where it can do no harm.

xl.cfg is itself a language, in which the last assignment wins, so what is rendered here is an integer, a string of
allowed characters between quotes, or a list of such strings: nothing in it can end the statement it stands in.
"""

from __future__ import annotations

import re

from xenlocal.config.problems import clip
from xenlocal.config.sections import Entry
from xenlocal.config.values import items

_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}|0x[0-9a-fA-F]{1,16}")
_LOOKS_LIKE_INTEGER = re.compile(r"[-+]?[0-9]+")
_STRING = re.compile(r"[A-Za-z0-9 ._:/+@%=,~^*-]+")
_MAX_STRING = 1023

# What the generator writes, or refuses to, from keys of xenlocal: key of xl.cfg -> what to write instead.
OWNED = {
    "acpi_shutdown": "stop_timeout",
    "bios": "firmware",
    "builder": "type",
    "cmdline": "cmdline",
    "cpu_weight": "cpu_weight",
    "cpus": "cpus",
    "cpus_soft": "cpus",
    "extra": "cmdline",
    "firmware": "firmware",
    "kernel": "kernel",
    "maxmem": "maxmem",
    "maxvcpus": "maxvcpus",
    "memory": "memory",
    "name": "NAME",
    "on_crash": "on_crash",
    "on_poweroff": "on_poweroff",
    "on_reboot": "on_poweroff",
    "on_shutdown": "on_poweroff",
    "on_soft_reset": "on_crash",
    "on_watchdog": "on_crash",
    "pci": "pci",
    "ramdisk": "ramdisk",
    "root": "cmdline",
    "type": "type",
    "usbdev": "usb",
    "usbdevice": "usb",
    "uuid": "uuid",
    "vcpus": "vcpus",
}

_DENIED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"disk.*"), "disks are declared by [[disk NAME]]"),
    (re.compile(r"vif.*|nics"), "nics are declared by [[nic NAME]]"),
    (re.compile(r"vnc.*|vfb"), "it belongs to vnc = ADDRESS:DISPLAY of the domain"),
    # as `passwd=` in any value, below: what is passed on is in `plan`, the history and the last good configuration
    (re.compile(r"spice.*|.*passw.*"), "xenlocal keeps no secrets, and it would be shown by `xenlocal plan`"),
    (re.compile(r"bootloader.*"), "it runs a program on the dom0 as root; bootloader = pygrub is for the domain"),
    (re.compile(r"device_model.*"), "it runs a program of any name on the dom0"),
    (re.compile(r"stubdomain.*"), "it makes a second domain that nobody declared"),
    (re.compile(r"script|.*_script"), "it runs a program on the dom0 as root"),
    (re.compile(r"backend.*|driver_domain"), "it moves devices out of the reach of this dom0"),
    (re.compile(r"(.*_)?seclabel"), "it changes what the guest may do to the host"),
)


def why_not(key: str) -> str | None:
    """Why a key of xl.cfg cannot stand anywhere, with what to write instead."""
    if key in OWNED:
        return f"use {OWNED[key]} in [domain NAME] instead"
    return next((why for pattern, why in _DENIED if pattern.fullmatch(key)), None)


def render(key: str, entry: Entry) -> str:
    """The value as xl.cfg has it. Raises ValueError with a sentence for the administrator."""
    shown = clip(key)
    if not _KEY.fullmatch(key):
        raise ValueError(f"'{shown}' is not a key of xl.cfg; those are of small letters, digits and _")
    if key in OWNED:
        raise ValueError(f"'{shown}' is xenlocal's own; {why_not(key)}")
    if (why := why_not(key)) is not None:
        raise ValueError(f"'{shown}' is not passed on: {why}")
    text = entry.text
    if "passw" in text.lower():
        raise ValueError(f"'{shown}' is not passed on: it holds a password, which would be shown by `xenlocal plan`")
    if not text:
        raise ValueError(f"'{shown}' has no value; write one, or remove the line")
    if entry.quoted:
        return _string(key, text)
    if _INTEGER.fullmatch(text):
        return text
    if _LOOKS_LIKE_INTEGER.fullmatch(text):
        raise ValueError(f"{shown} is '{clip(text)}'; xl takes numbers without sign and without leading zeros")
    if text.lower() in ("yes", "no", "true", "false"):
        number = 1 if text.lower() in ("yes", "true") else 0
        raise ValueError(f"{shown} is '{clip(text)}', but xl has no such word; write {shown} = {number}")
    if "," in text:
        return "[" + ", ".join(_string(key, item) for item in items(text)) + "]"
    return _string(key, text)


def _string(key: str, text: str) -> str:
    if not text:
        raise ValueError(f"{key} holds an empty item; remove a comma")
    bad = next((char for char in text if not _STRING.fullmatch(char)), None)
    if bad is not None:
        raise ValueError(f"{key} holds {bad!r}, which could end or change the statement in xl.cfg; remove it")
    if len(text) > _MAX_STRING:
        raise ValueError(f"{key} is {len(text)} characters long; at most {_MAX_STRING} are possible")
    return f'"{text}"'
