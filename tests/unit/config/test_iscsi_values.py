"""Portals and names of targets that are just possible, and what only begins like one."""

import pytest

from tests.unit.config.support import complaints, desired
from xenlocal.model.iscsi import Portal

TARGET = "target = iqn.2012-10.example:bay1\n"
PORTAL = "portal = 192.0.2.10\n"
NO_PORTAL = "write an address such as 192.0.2.10:3260 or [2001:db8::10]:3260; names are not looked up"


@pytest.mark.parametrize("port", [1, 65535])
def test_ports(port: int) -> None:
    found = desired(f"[iscsi bay1]\n{TARGET}portal = 192.0.2.10:{port}\n").iscsi["bay1"]
    assert found.node.portal == Portal("192.0.2.10", port)


@pytest.mark.parametrize("text", ["192.0.2.10:3260,1", "224.0.0.1", "[ff02::1]", "[::]", "[192.0.2.10]:3260", "::1"])
def test_what_is_no_portal(text: str) -> None:
    assert complaints(f"[iscsi bay1]\n{TARGET}portal = {text}\n") == [
        f"web.conf:3: iscsi bay1: portal '{text}' is not ADDRESS:PORT; {NO_PORTAL}"
    ]


def test_targets() -> None:
    longest = f"iqn.{'x' * 219}"
    for name in (longest, "eui.02004567a425678d", "naa.52004567ba64678d"):
        assert desired(f"[iscsi bay1]\n{PORTAL}target = {name}\n").iscsi["bay1"].node.iqn == name
    for name in (longest + "x", "iqn.2012-10.example bay1", "iqn.2012-10.example,1"):
        [found] = complaints(f"[iscsi bay1]\n{PORTAL}target = {name}\n")
        assert found.endswith("is not the name of an iSCSI target; write one such as iqn.2012-10.example:bay1")


@pytest.mark.parametrize(
    ("user", "good"), [("x" * 255, True), ("x" * 256, False), ("-x", False), ("a@b:c/d+e-f", True)]
)
def test_users(user: str, good: bool) -> None:
    chap = f"chap_user = {user}\nchap_secret = /etc/xenlocal/s\n"
    found = complaints(f"[iscsi bay1]\n{PORTAL}{TARGET}{chap}")
    assert [each.partition(": chap_user ")[0] for each in found] == ([] if good else ["web.conf:4: iscsi bay1"])
