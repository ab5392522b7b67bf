"""Parsers of the values of [[install]]. What they let through becomes words of a command's environment."""

from __future__ import annotations

import ipaddress
import re

from xenlocal.config import names, values
from xenlocal.config.problems import clip
from xenlocal.config.values import list_of
from xenlocal.model.diskwork import kind_of_image

_SUITE = re.compile(r"[a-z][a-z0-9-]{0,30}")
_URL = re.compile(r"(?:https?|file|copy)://?[A-Za-z0-9._~:/\[\]%+-]+")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}")
_HOSTNAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


def suite(key: str, text: str) -> str:
    if not _SUITE.fullmatch(text):
        raise ValueError(f"{key} '{clip(text)}' is no release of Debian; write one such as bookworm")
    return text


def image(key: str, text: str) -> str:
    path = names.path(text)
    if not kind_of_image(path):
        how = "convert others first, as in `qemu-img convert -O raw IN OUT.img`"
        raise ValueError(f"{key} '{clip(text)}' is neither a raw image (.img, .raw) nor a tar (.tar, .tar.xz); {how}")
    return path


def mirror(key: str, text: str) -> str:
    if text.startswith("/"):
        return names.path(text)
    if "@" in text:
        raise ValueError(
            f"{key} says how to log in there, which ps shows to everybody; write the path of a file of apt sources"
        )
    if not _URL.fullmatch(text):
        raise ValueError(
            f"{key} '{clip(text)}' is neither a URL, as http://mirror.example/debian, nor the path of a file of apt"
            " sources"
        )
    return text


def _package(item: str) -> str:
    if not _PACKAGE.fullmatch(item):
        raise ValueError(f"'{clip(item)}' is not the name of a package")
    return item


packages = list_of(_package)


def hostname(key: str, text: str) -> str:
    if not _HOSTNAME.fullmatch(text) or len(text) > 64:
        raise ValueError(f"{key} '{clip(text)}' is no host name; use small letters, digits, - and dots, at most 64")
    return text


def address(key: str, text: str) -> str | None:
    """`dhcp` is None."""
    if text == "dhcp":
        return None
    try:
        return values.address(key, text)
    except ValueError as error:
        raise ValueError(f"{error}, or dhcp") from None


def _address_alone(item: str) -> str:
    try:
        return str(ipaddress.ip_address(item))
    except ValueError:
        raise ValueError(f"'{clip(item)}' is not an address; write one such as 192.0.2.1") from None


def gateway(key: str, text: str) -> str:
    return _address_alone(text)


dns = list_of(_address_alone)


def ssh_key(key: str, text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"{key} '{clip(text)}' is not the path of a file of public keys; write one from / on")
    return names.path(text)


def root_password(key: str, text: str) -> str | None:
    """`locked` is None. Else a file, since who may read the configuration is not to know the hash."""
    if text == "locked":
        return None
    if not text.startswith("/"):
        raise ValueError(f"{key}, or rather its hash, stands in a file of its own; write the path of that, or locked")
    return names.path(text)
