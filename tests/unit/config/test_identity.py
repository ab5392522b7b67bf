"""Derived identities are for ever: these values were computed once, and no change of the code may change them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.config.support import WEB, complaints, desired
from xenlocal.config.identity import derive_mac, derive_uuid, parse_mac, parse_uuid


@pytest.mark.parametrize(
    ("host_id", "name", "uuid"),
    [
        ("host", "web", "0fca0620-e22a-54d9-a9ca-43f9de669ec0"),
        ("4c4c4544-0042-3510-8053-b4c04f4e3132", "db", "88009229-ef97-5725-9771-0855b0f2d785"),
    ],
)
def test_uuid_never_changes(host_id: str, name: str, uuid: str) -> None:
    assert derive_uuid(host_id, name) == uuid


@pytest.mark.parametrize(
    ("uuid", "nic", "mac"),
    [
        ("0fca0620-e22a-54d9-a9ca-43f9de669ec0", "eth0", "00:16:3e:3c:30:5f"),
        ("0fca0620-e22a-54d9-a9ca-43f9de669ec0", "eth1", "00:16:3e:a0:a5:82"),
    ],
)
def test_mac_never_changes(uuid: str, nic: str, mac: str) -> None:
    assert derive_mac(uuid, nic) == mac


def test_a_domain_carries_them() -> None:
    web = desired("[bridge br0]\n" + WEB + "[[nic eth0]]\nbridge = br0\n").domains["web"]
    assert (web.uuid, web.nics[0].mac) == ("0fca0620-e22a-54d9-a9ca-43f9de669ec0", "00:16:3e:3c:30:5f")


def test_declared_ones_win_in_lower_case() -> None:
    text = "uuid = 4C4C4544-0042-3510-8053-B4C04F4E3132\n[[nic eth0]]\nbridge = br0\nmac = 00:16:3E:5A:01:02\n"
    web = desired("[bridge br0]\n" + WEB + text).domains["web"]
    assert web.uuid == "4c4c4544-0042-3510-8053-b4c04f4e3132"
    assert web.nics[0].mac == "00:16:3e:5a:01:02"


def test_a_derived_mac_depends_on_the_declared_uuid() -> None:
    text = "uuid = 4c4c4544-0042-3510-8053-b4c04f4e3132\n[[nic eth0]]\nbridge = br0\n"
    web = desired("[bridge br0]\n" + WEB + text).domains["web"]
    assert web.nics[0].mac == derive_mac("4c4c4544-0042-3510-8053-b4c04f4e3132", "eth0")


@given(st.text(max_size=20), st.text(max_size=20))
def test_hosts_and_names_make_different_domains(first: str, second: str) -> None:
    same = first == second
    assert (derive_uuid(first, "web") == derive_uuid(second, "web")) is same
    assert (derive_uuid("host", first) == derive_uuid("host", second)) is same


def test_a_collision_is_told_with_a_free_address(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = "00:16:3e:00:00:01", "00:16:3e:00:00:02"
    monkeypatch.setattr("xenlocal.config.identity.derive_mac", lambda uuid, nic: taken)
    others = {"eth1/0": taken, "eth1/1": free}
    monkeypatch.setattr("xenlocal.config.crosschecks.derive_mac", lambda uuid, nic: others[nic])
    assert complaints("[bridge br0]\n" + WEB + "[[nic eth0]]\nbridge = br0\n[[nic eth1]]\nbridge = br0\n") == [
        "web.conf:7: domain web / nic eth1: the derived mac 00:16:3e:00:00:01 happens to be that of "
        "domain web / nic eth0 (web.conf:5); write one, such as mac = 00:16:3e:00:00:02"
    ]


@pytest.mark.parametrize("mac", ["10:00:00:00:00:00", "fe:00:00:00:00:01", "02:00:00:00:00:00"])
def test_a_mac_of_one_nic_begins_with_an_even_pair(mac: str) -> None:
    assert parse_mac(mac) == mac


@pytest.mark.parametrize("pair", ["01", "11", "ff"])
def test_a_mac_of_many_is_refused(pair: str) -> None:
    with pytest.raises(ValueError, match=f"MAC address {pair}:16:3e:00:00:01 is a multicast one"):
        parse_mac(f"{pair}:16:3e:00:00:01")


@pytest.mark.parametrize(
    ("mac", "better"),
    [
        ("00:16:3e:00:00:01:02", "six pairs of digits, such as 00:16:3e:5a:01:02"),
        ("00-16-3e-00-00-01-02", "six pairs of digits, such as 00:16:3e:5a:01:02"),
        ("00-16-3e-00-00-01", "00:16:3e:00:00:01"),
    ],
)
def test_what_is_nearly_a_mac(mac: str, better: str) -> None:
    with pytest.raises(ValueError, match=f"^'{mac}' is not a MAC address; write {better}$"):
        parse_mac(mac)


def test_zeros_belong_to_nobody() -> None:
    with pytest.raises(ValueError, match="the MAC address of zeros only belongs to nobody"):
        parse_mac("00:00:00:00:00:00")
    with pytest.raises(ValueError, match="the UUID of zeros only is that of dom0"):
        parse_uuid("00000000-0000-0000-0000-000000000000")
    assert parse_uuid("00000000-0000-0000-0000-000000000001").endswith("1")


def test_a_uuid_with_something_behind_it_is_none() -> None:
    with pytest.raises(ValueError, match="is not a UUID; write 8-4-4-4-12 hexadecimal digits"):
        parse_uuid("4c4c4544-0042-3510-8053-b4c04f4e31320")
