"""Reads an xl.cfg as `xl create` does: `key = number | "string" | [list]`, ended by a newline or `;`.

Strict: what xl's parser refuses raises `BadConfig`, with xl's words where they are known. PURE.
"""

from __future__ import annotations

import re
from typing import Any

from xenlocal.simulator.state import Disk, Nic

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\#[^\n]*|\\\n)
      | (?P<newline>\n|;)
      | (?P<number>(?:0x[0-9a-fA-F]+|-?\d+)(?![\w.]))
      | (?P<name>[A-Za-z][A-Za-z0-9_]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<punct>[=\[\],]|\+=)""",
    re.VERBOSE,
)


class BadConfig(Exception):
    """What xl prints on stderr."""


Token = tuple[str, str, int]


def _tokens(text: str, path: str) -> list[Token]:
    found: list[Token] = []
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            word = text[position:].split("\n", 1)[0][:20]
            raise BadConfig(f"{path}:{line}: config parsing error near `{word}': lexical error")
        if match.lastgroup != "space":
            found.append((str(match.lastgroup), match.group(), line))
        line += match.group().count("\n")
        position = match.end()
    return [*found, ("newline", "\n", line)]


def parse(text: str, path: str) -> dict[str, Any]:
    """Keys and values: int, str or list of str. The last assignment of a key wins, as in xl."""
    tokens = _tokens(text, path)
    config: dict[str, Any] = {}
    index = 0

    def take(*kinds: str) -> Token:
        nonlocal index
        token = tokens[min(index, len(tokens) - 1)]
        if token[0] not in kinds and token[1] not in kinds:
            raise BadConfig(f"{path}:{token[2]}: config parsing error near `{token[1].strip()}': syntax error")
        index += 1
        return token

    def value() -> Any:
        kind, word, _ = take("number", "string", "[")
        if kind == "number":
            return int(word, 0)
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", word[1:-1])
        items: list[Any] = []
        while True:
            while tokens[index][1] == "\n" and index < len(tokens) - 1:
                take("newline")
            if tokens[index][1] == "]":
                take("]")
                return items
            items.append(value())
            while tokens[index][1] == "\n" and index < len(tokens) - 1:
                take("newline")
            if tokens[index][1] != "]":
                take(",")

    while index < len(tokens):
        if tokens[index][0] == "newline":
            index += 1
            continue
        key = take("name")[1]
        take("=")
        config[key] = value()
        take("newline")
    return config


def _pairs(spec: str) -> list[tuple[str, str]]:
    parts = []
    for part in spec.split(","):
        key, equals, rest = part.strip().partition("=")
        parts.append((key.strip(), rest.strip()) if equals else ("", key))
    return parts


def disks(config: dict[str, Any]) -> list[Disk]:
    """The disks of a config, not yet looked up on the host: both the `target,format,vdev,access` form, with its
    `phy:` and `file:` prefixes, and the `key=value` form."""
    found = []
    for spec in config.get("disk", []):
        named: dict[str, str] = {}
        places = ["target", "format", "vdev", "access"]
        prefixed = re.match(r"(?:phy|file|raw):", spec.strip())
        if prefixed:  # old style: the format stands in the prefix
            spec, places = spec.strip()[prefixed.end() :], ["target", "vdev", "access"]
        before_target, marker, target = spec.partition("target=")  # target= swallows the rest of the line
        for key, text in _pairs(before_target.rstrip().removesuffix(",")) if before_target else []:
            if not key and not places:
                raise BadConfig(f"config: disk spec `{spec}': too many positional parameters")
            named[key or places.pop(0)] = text
        if marker:
            named["target"] = target.strip()
        unknown = set(named) - {
            "target",
            "format",
            "vdev",
            "access",
            "backendtype",
            "discard",
            "direct-io-safe",
            "devtype",
        }
        if unknown:
            raise BadConfig(f"config: disk spec `{spec}': unknown parameter `{sorted(unknown)[0]}'")
        if named.get("access", "rw") not in ("r", "ro", "w", "rw"):
            raise BadConfig(f"config: disk spec `{spec}': unknown value `{named['access']}' for access")
        if not named.get("vdev") or not named.get("target"):
            raise BadConfig(f"config: disk spec `{spec}': no vdev or target specified")
        writable = named.get("access", "rw") in ("w", "rw")
        by_qemu = named.get("backendtype") == "qdisk"
        found.append(Disk(named["vdev"], named["target"], writable, devid(named["vdev"]), by_qemu=by_qemu))
    return found


def devid(vdev: str) -> int:
    """xenstore's number of a virtual disk name (xen docs, vbd-interface): xvda 51712, xvdb 51728, sda, hda ..."""
    match = re.fullmatch(r"(xvd|sd|hd)([a-z]{1,2})(\d*)", vdev)
    if not match:
        raise BadConfig(f"Invalid vdev '{vdev}'")
    kind, letters, part = match.groups()
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("a") + 1
    disk, partition = number - 1, int(part or 0)
    if kind == "xvd":
        if disk < 16 and partition < 16:
            return 202 << 8 | disk << 4 | partition
        return 1 << 28 | disk << 8 | partition
    if kind == "sd":
        return 8 << 8 | disk << 4 | partition
    return (3 if disk < 2 else 22) << 8 | (disk & 1) << 6 | partition


def nics(config: dict[str, Any]) -> list[Nic]:
    """The vifs of a config. Without `mac=` libxl draws one at random; here it is derived from the place, to stay
    deterministic, with a prefix that nobody declares. Without `bridge=` it takes xenbr0."""
    found = []
    for number, spec in enumerate(config.get("vif", [])):
        named = dict(_pairs(spec))
        unknown = set(named) - {"", "mac", "bridge", "type", "model", "script", "ip", "vifname", "rate", "mtu"}
        if unknown:
            raise BadConfig(f"unrecognized argument `{sorted(unknown)[0]}' in vif spec `{spec}'")
        mac = named.get("mac", f"00:16:3e:ff:ff:{number:02x}")
        if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", mac):
            raise BadConfig(f"invalid MAC address `{mac}'")
        found.append(Nic(number, mac.lower(), named.get("bridge", "xenbr0")))
    return found
