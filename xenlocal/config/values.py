"""Parsers of single values: each takes the key and the text, and returns the typed value or raises ValueError with
a sentence for the administrator."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from xenlocal.config import iscsi_values, names
from xenlocal.config.problems import clip, did_you_mean
from xenlocal.config.sections import unquote
from xenlocal.model.names import Kind, Target
from xenlocal.model.units import Duration, Size

Parser = Callable[[str, str], Any]

_SECTOR = Size(512)
_CPU_ITEM = re.compile(r"(\^?)([0-9]{1,4})(?:-([0-9]{1,4}))?")
_MAX_CPU = 4095
_MAX_CPUS_TEXT = 256
_CMDLINE_BAD = re.compile(r"""[^ -~]|["'\\;#]""")
_MAX_CMDLINE = 1023
_MAX_DESCRIPTION = 200


def boolean(key: str, text: str) -> bool:
    if text in ("yes", "no"):
        return text == "yes"
    meant = {"true": "yes", "on": "yes", "1": "yes", "false": "no", "off": "no", "0": "no"}
    better = meant.get(text.lower(), text.lower() if text.lower() in ("yes", "no") else "yes or no")
    raise ValueError(f"{key} is '{clip(text)}'; write {better}")


def choice(*words: str) -> Parser:
    """One of `words`, or of the members of a StrEnum."""

    def parse(key: str, text: str) -> str:
        for word in words:
            if word == text:
                return word
        hint = did_you_mean(
            text, words, f"write {', '.join(words[:-1])} or {words[-1]}" if words[1:] else f"write {words[0]}"
        )
        raise ValueError(f"unknown {key} '{clip(text)}'{hint}")

    return parse


def integer(low: int, high: int) -> Parser:
    def parse(key: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"{key} is '{clip(text)}'; write a whole number from {low} to {high}")
        return int(text)

    return parse


def parallel(key: str, text: str) -> int | None:
    """`auto` is None."""
    if text == "auto":
        return None
    try:
        return int(integer(1, 64)(key, text))
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def size(low: Size, step: Size) -> Parser:
    def parse(key: str, text: str) -> Size:
        value = Size.parse(text)
        if value < low:
            raise ValueError(f"{key} is {value}; at least {low} is needed")
        if value.bytes % step.bytes:
            raise ValueError(f"{key} {clip(text)} is not a multiple of {step}; write {value.rounded_up(step)}")
        return value

    return parse


memory = size(Size.mib(4), Size.mib(1))
disk_size = size(_SECTOR, _SECTOR)


def duration(low: Duration, high: Duration | None = None, why: str = "") -> Parser:
    def parse(key: str, text: str) -> Duration:
        value = Duration.parse(text)
        if value < low:
            raise ValueError(f"{key} is {value}; write at least {low}")
        if high and value > high:
            raise ValueError(f"{key} is {value}; write at most {high}{why}")
        return value

    return parse


def items(text: str) -> list[str]:
    """The words of a list. `none` is the empty list; a comma at the end is forgiven."""
    if text == "none":
        return []
    parts = [unquote(part.strip())[0] for part in text.split(",")]
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def list_of(check: Callable[[str], Any]) -> Parser:
    """A list by commas, each item checked, repetitions dropped."""

    def parse(key: str, text: str) -> tuple[Any, ...]:
        found = []
        for item in items(text):
            if not item:
                raise ValueError(f"{key} holds an empty item; remove a comma")
            if " " in item:
                raise ValueError(f"{key} is a list; write commas: {clip(', '.join(text.replace(',', ' ').split()))}")
            if item == "none":
                raise ValueError(f"'none' stands alone; write {key} = none, or only the names")
            found.append(check(item))
        return tuple(dict.fromkeys(found))

    return parse


def _reference(item: str) -> Target:
    """A domU by its name or as domain/NAME, and what a domU can stand on by its kind."""
    kind, slash, name = item.partition("/")
    if not slash or kind == Kind.DOMAIN:
        return Target(Kind.DOMAIN, names.domain(name if slash else item))
    if kind == Kind.BRIDGE:
        return Target(Kind.BRIDGE, names.interface(name))
    if kind == Kind.VOLUME:
        return names.volume(name).target
    if kind == Kind.ISCSI:
        return Target(Kind.ISCSI, iscsi_values.name(name))
    if kind == Kind.DEVICE:
        # device//dev/x is as `status` prints it, device/dev/x as one would write it
        return Target(Kind.DEVICE, names.device_path("/" + name.removeprefix("/")))
    raise ValueError(
        f"'{clip(item)}' cannot be waited for; write NAME, bridge/NAME, volume/VG/LV, iscsi/NAME or device/dev/..."
    )


references = list_of(_reference)
interfaces = list_of(names.interface)


def checked(check: Callable[[str], Any]) -> Parser:
    """A parser that does not need to know its key."""

    def parse(key: str, text: str) -> Any:
        return check(text)

    return parse


def description(key: str, text: str) -> str:
    line = " ".join(text.split())
    if len(line) > _MAX_DESCRIPTION:
        raise ValueError(f"{key} is {len(line)} characters long; at most {_MAX_DESCRIPTION} are possible")
    return line


def cmdline(key: str, text: str) -> str:
    """What may stand between double quotes in an xl.cfg, whatever its parser makes of it."""
    bad = _CMDLINE_BAD.search(text)
    if bad:
        raise ValueError(f"{key} holds {bad[0]!r}, which an xl.cfg cannot carry safely; remove it")
    if len(text) > _MAX_CMDLINE:
        raise ValueError(f"{key} is {len(text)} characters long; at most {_MAX_CMDLINE} reach a guest")
    return text


def cpus(key: str, text: str) -> str:
    """Pinning as xl writes it: `2-5,7`, `all,^3`."""
    chosen: set[int] = set()
    parts = items(text)
    if len(text) > _MAX_CPUS_TEXT:
        raise ValueError(f"{key} '{clip(text)}' is too long; write ranges such as 2-5,7")
    for item in parts:
        if item == "all":
            chosen.update(range(_MAX_CPU + 1))
            continue
        match = _CPU_ITEM.fullmatch(item)
        if not match:
            raise ValueError(f"{key} '{clip(text)}' is no list of CPUs; write one such as 2-5,7 or all,^3 or all")
        first = int(match[2])
        last = int(match[3]) if match[3] else first
        if last < first:
            raise ValueError(f"{key} '{clip(text)}' counts downwards; write {last}-{first}")
        if last > _MAX_CPU:
            raise ValueError(f"{key} '{clip(text)}' is beyond the {_MAX_CPU + 1} CPUs that Xen can have")
        span = set(range(first, last + 1))
        chosen = chosen - span if match[1] else chosen | span
    if not chosen:
        raise ValueError(f"{key} '{clip(text)}' leaves no CPU; write {clip('all,' + ','.join(parts))}")
    return ",".join(parts)


def address(key: str, text: str) -> str:
    """An address with its prefix length, `10.9.0.1/24`."""
    wrong = f"{key} '{clip(text)}' is not an address with its prefix length; write one such as 10.9.0.1/24"
    try:
        parsed = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(wrong) from None
    if "%" in text or "/" not in text:
        raise ValueError(wrong)
    network = parsed.network
    if parsed.ip.is_multicast or parsed.ip.is_unspecified:
        raise ValueError(f"{key} {parsed.ip} cannot belong to a host; write one such as 10.9.0.1/24")
    if parsed.version == 4 and network.prefixlen < 31 and parsed.ip in (network[0], network[-1]):
        what = "network itself" if parsed.ip == network[0] else "broadcast address"
        raise ValueError(f"{key} {parsed.ip} is the {what}; write one such as {network[1]}/{network.prefixlen}")
    return str(parsed)
