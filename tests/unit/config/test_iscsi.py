"""[iscsi NAME]: what it means, and which disks are reached by it."""

from __future__ import annotations

import pytest

from tests.unit.config.support import complaints, desired, domain
from xenlocal.model.iscsi import Chap, Node, Portal
from xenlocal.model.names import iscsi

IQN = "iqn.2012-10.example:bay1"
BAY1 = f"[iscsi bay1]\nportal = 192.0.2.10\ntarget = {IQN}\n"


def disk(portal: str = "192.0.2.10:3260", target: str = IQN) -> tuple[str, str]:
    return "[[disk xvda]]", f"device = /dev/disk/by-path/ip-{portal}-iscsi-{target}-lun-3"


@pytest.mark.parametrize(
    ("text", "portal", "shown"),
    [
        ("192.0.2.10", Portal("192.0.2.10", 3260), "192.0.2.10:3260"),
        ("192.0.2.10:860", Portal("192.0.2.10", 860), "192.0.2.10:860"),
        ("[2001:DB8:0::10]", Portal("2001:db8::10", 3260), "[2001:db8::10]:3260"),
        ("[2001:db8::10]:65535", Portal("2001:db8::10", 65535), "[2001:db8::10]:65535"),
    ],
)
def test_portals(text: str, portal: Portal, shown: str) -> None:
    found = desired(f"[iscsi bay1]\nportal = {text}\ntarget = {IQN}\n").iscsi["bay1"]
    assert found.node == Node(IQN, portal) and str(portal) == shown and found.chap is None
    assert str(found.node) == f"{IQN} at {shown}" and found.target == iscsi("bay1")


def test_chap() -> None:
    found = desired(f"{BAY1}chap_user = {IQN}\nchap_secret = /etc/xenlocal/bay1.secret\n").iscsi["bay1"]
    assert found.chap == Chap(IQN, "/etc/xenlocal/bay1.secret") and str(found.source) == "web.conf:1"


@pytest.mark.parametrize("bad", ["{bay1}", "-bay1", "x" * 64])
def test_names(bad: str) -> None:
    (problem,) = complaints(BAY1.replace("[iscsi bay1]", f"[iscsi {bad}]"))
    assert "is not a name for an iSCSI target; use letters, digits and . _ -, as in bay1" in problem


def test_a_disk_belongs_to_the_section_of_its_portal_and_target() -> None:
    six = BAY1.replace("bay1]", "six]").replace("192.0.2.10", "[fd00::1]:860")
    found = desired(
        BAY1 + six,
        domain("a", *disk()),
        domain("b", *disk("fd00::1:860"), "[[disk xvdb]]", "volume = vg0/b"),
        domain("c", *disk(target="iqn.2012-10.example:other"), "[[disk xvdb]]", "device = /dev/sdb"),
    ).domains
    assert [each.session for name in "abc" for each in found[name].disks] == [
        iscsi("bay1"), iscsi("six"), None, None, None,
    ]  # fmt: skip


def test_a_disk_of_a_declared_target_at_a_portal_that_nobody_logs_in_by() -> None:
    assert complaints(BAY1, domain("a", *disk("192.0.2.11:3260"))) == [
        "x.conf:5: domain a / disk xvda: it is reached by 192.0.2.11:3260, and iscsi bay1 (web.conf:1) logs in by"
        " 192.0.2.10:3260; write that address, or declare an [iscsi NAME] with portal = 192.0.2.11:3260 too"
    ]
    second = BAY1.replace("bay1]", "bay1-b]").replace("2.10", "2.11")
    assert complaints(BAY1 + second, domain("a", *disk("192.0.2.11:3260"))) == []


def test_a_target_at_a_portal_is_declared_once() -> None:
    twin = BAY1.replace("bay1]", "twin]")
    assert complaints(BAY1, twin) == [
        f"x.conf:3: iscsi twin: {IQN} at 192.0.2.10:3260 is already that of iscsi bay1 (web.conf:1);"
        " remove one of the two"
    ]
    first = BAY1.replace("bay1]", "zz]")
    [found] = complaints(first, BAY1)
    assert found.startswith(f"x.conf:3: iscsi bay1: {IQN} at 192.0.2.10:3260 is already that of iscsi zz (web.conf:1)")


@pytest.mark.parametrize(("portal", "target"), [("192.0.2.10", "x"), ("x", IQN), ("x", "x")])
def test_what_is_not_known_is_not_the_same(portal: str, target: str) -> None:
    broken = f"portal = {portal}\ntarget = {target}\n"
    found = complaints(f"[iscsi a]\n{broken}[iscsi b]\n{broken}")
    assert len(found) == 2 * [portal, target].count("x") and not any("already" in each for each in found)


@pytest.mark.parametrize(("key", "example"), [("portal", "192.0.2.10:3260"), ("target", "iqn.2012-10.example:bay1")])
def test_what_is_missing_is_told_with_an_example(key: str, example: str) -> None:
    text = "\n".join(line for line in BAY1.splitlines() if not line.startswith(key))
    assert complaints(text + "\n") == [f"web.conf:1: iscsi bay1: {key} is missing; write one such as {key} = {example}"]


def test_a_copy_of_a_disk_of_the_array_is_not_on_the_array() -> None:
    """Somebody saved a disk under the name it had."""
    copy = f"file = /srv/saved/ip-{{}}-iscsi-{IQN}-lun-3"
    for portal in ("192.0.2.10:3260", "192.0.2.11:3260"):
        found = desired(BAY1, domain("a", "[[disk xvda]]", copy.format(portal))).domains["a"]
        assert found.disks[0].session is None


def test_a_disk_of_no_target_needs_no_session() -> None:
    assert complaints(BAY1, domain("a", "[[disk xvda]]", "device = /dev/sdb")) == []


def test_no_portal_is_called_wrong_while_a_file_cannot_be_read() -> None:
    """It may declare the one that is missed."""
    assert complaints(BAY1, domain("a", *disk("192.0.2.11:3260")), "[iscsi bay1-b\n") == [
        "y.conf:1: cannot read the section header '[iscsi bay1-b'; write [iscsi bay1-b]"
    ]


def test_what_can_be_waited_for() -> None:
    found = desired(BAY1, domain("a", "needs = iscsi/bay1", "after = iscsi/bay1")).domains["a"]
    assert found.needs_things == found.after_things == (iscsi("bay1"),)
    assert complaints(BAY1, domain("a", "needs = iscsi/bay2")) == [
        "x.conf:4: domain a: unknown iscsi 'bay2' in needs; did you mean 'bay1'?"
    ]
    assert complaints(domain("a", "after = iscsi/bay2")) == [
        "web.conf:4: domain a: unknown iscsi 'bay2' in after; declare [iscsi bay2]"
    ]
