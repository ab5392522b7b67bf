"""Parsers of values about the guest's outside: how it shows that it is ready, and what of the host it is given."""

from __future__ import annotations

import ipaddress
import re
import shlex

from xenlocal.config import names
from xenlocal.config.problems import clip
from xenlocal.config.values import list_of
from xenlocal.model.desired import Vnc
from xenlocal.model.probes import CommandProbe, ConsoleProbe, PingProbe, TcpProbe, XenstoreProbe

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_TCP = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([0-9]{1,5})")
_PCI = re.compile(r"(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
_USB = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}|[0-9]{1,3}-[0-9]{1,3}(?:\.[0-9]{1,3})*")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_VNC = re.compile(r"(.+):([0-9]{1,3})")
_XENSTORE = re.compile(r"data(?:/[A-Za-z0-9_@-]+)+")  # names as xenstored allows them; the guest may write there
_MAX_PATTERN = 256


def _host(text: str) -> str:
    """An address or a host name."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not _HOST.fullmatch(text) or len(text) > 253 or re.fullmatch(r"[0-9.]+", text):
        raise ValueError(f"'{clip(text)}' is neither an address nor a host name")
    return text


def tcp(key: str, text: str) -> TcpProbe:
    match = _TCP.fullmatch(text)
    if not match:
        try:
            hint = f"[{ipaddress.IPv6Address(text)}]:22"
        except ValueError:
            hint = "one such as 192.0.2.21:5432 or [2001:db8::21]:5432"
        raise ValueError(f"{key} '{clip(text)}' is not HOST:PORT; write {hint}")
    inside, host, port = match.groups()
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"{key} '{clip(text)}' has no such port; write one from 1 to 65535")
    if inside is None:
        return TcpProbe(_host(host), int(port))
    try:
        return TcpProbe(str(ipaddress.IPv6Address(inside)), int(port))
    except ValueError:
        raise ValueError(f"'{clip(inside)}' is not an IPv6 address; brackets are only for those") from None


def ping(key: str, text: str) -> PingProbe:
    return PingProbe(_host(text))


def console(key: str, text: str) -> ConsoleProbe:
    """A regular expression that a line of the console must match. `grep -P` will match it, under a time limit; what
    is compiled here is nearly the same language, and tells nearly every mistake before it matters."""
    if not 1 <= len(text) <= _MAX_PATTERN:
        raise ValueError(f"{key} is {len(text)} characters long; at most {_MAX_PATTERN} are possible")
    if not text.isprintable():
        raise ValueError(
            f"{key} holds a character that cannot be printed; what is matched is a line: write \\s or \\x09"
        )
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"{key} '{clip(text)}' is not a regular expression: {error}") from None
    return ConsoleProbe(text)


def xenstore(key: str, text: str) -> XenstoreProbe:
    if len(text) > _MAX_PATTERN or not _XENSTORE.fullmatch(text):
        raise ValueError(f"{key} '{clip(text)}' is no key a guest can write; write one such as data/xenlocal/ready")
    return XenstoreProbe(text)


def command(key: str, text: str) -> CommandProbe:
    """Words as a shell splits them, but no shell ever sees them."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{key} '{clip(text)}' cannot be split into words: {error}") from None
    if not words[0].startswith("/"):
        raise ValueError(f"{key} '{clip(words[0])}' is not an absolute path; write it from / on")
    if not text.isprintable():
        raise ValueError(f"{key} '{clip(text)}' holds a character that cannot be printed; remove it")
    names.path(words[0])
    return CommandProbe(tuple(words))


def vnc(key: str, text: str) -> Vnc:
    match = _VNC.fullmatch(text)
    try:
        if not match:
            raise ValueError
        address = ipaddress.IPv4Address(match[1])  # xl takes the last part of an IPv6 one for a second display
    except ValueError:
        raise ValueError(f"{key} '{clip(text)}' is not ADDRESS:DISPLAY; write one such as 127.0.0.1:1") from None
    return Vnc(str(address), int(match[2]))


def account(key: str, text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise ValueError(f"{key} '{clip(text)}' is not the name of a Unix user or group")
    return text


def pci(key: str, text: str) -> tuple[str, ...]:
    found = _devices(key, text, _PCI, "a PCI address; write one such as 0000:03:00.0, as lspci -D prints")
    return tuple(dict.fromkeys(item if item.count(":") == 2 else f"0000:{item}" for item in found))


def usb(key: str, text: str) -> tuple[str, ...]:
    return _devices(key, text, _USB, "a USB device; write VENDOR:PRODUCT such as 0529:0001, as lsusb prints")


def _devices(key: str, text: str, pattern: re.Pattern[str], wanted: str) -> tuple[str, ...]:
    def check(item: str) -> str:
        if not pattern.fullmatch(item.lower()):
            raise ValueError(f"{key} '{clip(item)}' is not {wanted}")
        return item.lower()

    found: tuple[str, ...] = list_of(check)(key, text)
    return found
