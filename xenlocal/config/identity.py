"""UUIDs and MAC addresses of domUs that declare none: derived, so that they are the same for ever.

Licences are bound to them, and DHCP leases, and `ours` itself. The golden values in the tests must never change.
"""

from __future__ import annotations

import hashlib
import re
import uuid

NAMESPACE = uuid.UUID("6f1d0c52-7a0e-5b0b-9c1f-5d1a3f0e8a77")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def derive_uuid(host_id: str, name: str) -> str:
    """The UUID of domU `name` on the host `host_id`: two hosts with the same files have different domUs."""
    return str(uuid.uuid5(NAMESPACE, f"{host_id}/{name}"))


def derive_mac(domain_uuid: str, nic: str) -> str:
    """The MAC of a nic, in the range 00:16:3e that belongs to Xen."""
    digest = hashlib.sha256(f"{domain_uuid}/{nic}".encode()).hexdigest()
    return f"00:16:3e:{digest[0:2]}:{digest[2:4]}:{digest[4:6]}"


def parse_uuid(text: str) -> str:
    """A declared UUID in lower case. Raises ValueError with a sentence for the administrator."""
    value = text.lower()
    if not _UUID.fullmatch(value):
        raise ValueError(
            f"'{text}' is not a UUID; write 8-4-4-4-12 hexadecimal digits, as uuidgen prints, or leave uuid out"
        )
    if set(value) == {"0", "-"}:
        raise ValueError("the UUID of zeros only is that of dom0; take one from uuidgen, or leave uuid out")
    return value


def parse_mac(text: str) -> str:
    """A declared MAC address in lower case. Raises ValueError with a sentence for the administrator."""
    value = text.lower()
    if not _MAC.fullmatch(value):
        tidy = value.replace("-", ":")
        better = tidy if _MAC.fullmatch(tidy) else "six pairs of digits, such as 00:16:3e:5a:01:02"
        raise ValueError(f"'{text}' is not a MAC address; write {better}")
    if int(value[:2], 16) & 1:
        raise ValueError(f"MAC address {value} is a multicast one; its first pair must be even, as in 00:16:3e")
    if set(value) == {"0", ":"}:
        raise ValueError("the MAC address of zeros only belongs to nobody; write one such as 00:16:3e:5a:01:02")
    return value
