"""Parsers of what stands in [iscsi NAME], as in `values`."""

from __future__ import annotations

import ipaddress
import re

from xenlocal.config import names
from xenlocal.config.problems import clip
from xenlocal.model.iscsi import Portal

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PORTAL = re.compile(r"(?P<address>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{1,5}))?")
_TARGET = re.compile(r"(?:iqn|eui|naa)\.[A-Za-z0-9._:-]{1,219}")  # RFC 7143, 4.2.7: 223 bytes at most
_USER = re.compile(r"[A-Za-z0-9._:@/+][A-Za-z0-9._:@/+-]{0,254}")


def name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"'{clip(text)}' is not a name for an iSCSI target; use letters, digits and . _ -, as in bay1")
    return text


def portal(key: str, text: str) -> Portal:
    """ADDRESS or ADDRESS:PORT, an IPv6 address between brackets."""
    match = _PORTAL.fullmatch(text)
    try:
        if not match:
            raise ValueError
        bare = match["address"].removeprefix("[").removesuffix("]")
        address = ipaddress.IPv6Address(bare) if match["address"] != bare else ipaddress.IPv4Address(bare)
        if "%" in bare or address.is_multicast or address.is_unspecified:
            raise ValueError
    except ValueError:
        better = "write an address such as 192.0.2.10:3260 or [2001:db8::10]:3260; names are not looked up"
        raise ValueError(f"{key} '{clip(text)}' is not ADDRESS:PORT; {better}") from None
    port = int(match["port"] or Portal.port)
    if not 1 <= port <= 65535:
        raise ValueError(f"{key} '{clip(text)}' has no valid port; iSCSI's own is {Portal.port}")
    return Portal(str(address), port)


def target(key: str, text: str) -> str:
    if not _TARGET.fullmatch(text):
        example = "iqn.2012-10.example:bay1"
        raise ValueError(f"{key} '{clip(text)}' is not the name of an iSCSI target; write one such as {example}")
    return text


def user(key: str, text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(f"{key} '{clip(text)}' is not a name for CHAP; use letters, digits and . _ : @ / + -")
    return text


def secret(key: str, text: str) -> str:
    """The path of a file. What is wrong with it is not quoted: it may be the secret itself."""
    try:
        return names.file_path(text)
    except ValueError:
        example = "/etc/xenlocal/bay1.secret"
        better = f"write one such as {example}"
        raise ValueError(f"{key} is the path of a file with the secret that only root can read; {better}") from None
