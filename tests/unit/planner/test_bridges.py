"""DESIGN rule 9: bridges of ours follow the files, others are looked at, the way to the dom0 is never cut."""

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    action,
    br,
    bridge_link,
    desired,
    dom,
    edges,
    ids,
    link,
    network,
    noticed,
    observed,
    plan,
    refused,
)
from xenlocal.model.desired import Bridge
from xenlocal.model.host_actions import ChangeBridge
from xenlocal.model.observed import Link, Network, Observed, Table
from xenlocal.model.plan import Plan
from xenlocal.planner.bridges import restores

NIC = link("eno1")


def made(bridge: Bridge, seen: Network) -> Plan:
    return plan(desired(bridge), observed(network=seen))


def test_a_missing_bridge_is_made_before_its_domus_start() -> None:
    result = plan(desired(br("br0", ports=("eno1",)), dom("web", bridges=("br0",))), observed(network=network(NIC)))
    change = action(result, "create bridge/br0")
    assert change == ChangeBridge("br0", create=True, add_ports=("eno1",), up=True)
    assert "create bridge/br0" in edges(result, "start domain/web")[0]


def test_what_agrees_is_left_alone_and_what_is_not_declared_is_not_compared() -> None:
    seen = network(bridge_link("br0", mtu=9000, addresses=("192.0.2.1/24",)), link("eno1", master="br0"))
    assert made(br("br0"), seen).is_empty
    declared = br("br0", ports=("eno1",), mtu=9000, address="192.0.2.1/24", stp=False, vlan_filtering=False)
    same = made(declared, seen)
    assert same.is_empty and not same.refusals


@pytest.mark.parametrize(
    ("values", "change"),
    [
        ({"mtu": 1400}, {"mtu": 1400}),
        ({"stp": True}, {"stp": True}),
        ({"vlan_filtering": True}, {"vlan_filtering": True}),
        ({"address": "192.0.2.9/24"}, {"add_address": "192.0.2.9/24"}),
        ({"ports": ("eno1",)}, {"add_ports": ("eno1",)}),
        ({"ports": ()}, {}),
    ],
)
def test_only_the_difference_is_set(values: dict[str, object], change: dict[str, object]) -> None:
    result = made(br("br0", **values), network(bridge_link("br0"), NIC))
    assert [step.action for step in result.steps] == ([ChangeBridge("br0", **change)] if change else [])  # type: ignore[arg-type]


def test_guests_ports_stay_and_other_undeclared_ports_go() -> None:
    seen = network(
        bridge_link("br0"),
        *(link(name, kind, master="br0") for name, kind in (("vif3.0", "vif"), ("tap3", "tun"), ("v0", "veth"))),
        link("vif9.0-emu", master="br0"),
        link("eno2", master="br0"),
    )
    assert action(made(br("br0", ports=()), seen), "change bridge/br0").remove_ports == ("eno2",)


def test_the_bridge_of_the_default_route_is_changed_with_a_way_back() -> None:
    seen = network(
        bridge_link("br0", mtu=1500),
        link("eno1", master="br0"),
        link("eno2"),
        default=["br0"],
        gateways=("192.0.2.254",),
    )
    change = action(made(br("br0", ports=("eno2",), mtu=9000), seen), "change bridge/br0")
    assert change.gateway == "192.0.2.254"
    assert change.way_back == ChangeBridge("br0", add_ports=("eno1",), remove_ports=("eno2",), mtu=1500)


def test_a_port_that_carries_the_default_route_is_refused_and_its_domus_wait() -> None:
    result = plan(
        desired(br("br0", ports=("eno1",), mtu=1400), dom("web", bridges=("br0",))),
        observed(network=network(bridge_link("br0"), NIC, default=["eno1"])),
    )
    assert "would cut this host off" in refused(result, "bridge/br0")
    assert action(result, "change bridge/br0").add_ports == ()


def test_a_port_that_does_not_exist_or_belongs_elsewhere_is_refused_by_name_the_rest_is_done() -> None:
    seen = network(bridge_link("br0"), bridge_link("br1"), link("eno2", master="br1"), link("eno3"))
    result = made(br("br0", ports=("eno1", "eno2", "eno3")), seen)
    assert action(result, "change bridge/br0").add_ports == ("eno3",)
    assert "port eno1 does not exist" in refused(result, "bridge/br0")
    assert "port eno2 belongs to br1" in refused(result, "bridge/br0")


def test_an_external_bridge_is_only_checked() -> None:
    assert made(br("br0", external=True), network(bridge_link("br0", alias=""))).is_empty
    result = made(br("br0", external=True, mtu=9000), network(bridge_link("br0", alias="")))
    assert not result.steps and refused(result, "bridge/br0") == "differs from a.conf:1: mtu is not 9000"
    result = made(br("br0", external=True), network())
    assert not result.steps and "external = yes" in refused(result, "bridge/br0")


def test_a_bridge_somebody_else_made_is_not_touched_and_says_how_to_hand_it_over() -> None:
    result = made(br("br0", mtu=9000), network(bridge_link("br0", alias="")))
    assert not result.steps
    assert "external = yes" in refused(result, "bridge/br0")
    assert "ip link set dev br0 alias xenlocal" in refused(result, "bridge/br0")


def test_something_else_of_that_name_is_refused() -> None:
    result = made(br("br0"), network(link("br0", "dummy")))
    assert not result.steps and "is no bridge" in refused(result, "bridge/br0")


def test_a_bridge_that_vanished_from_the_files_stays() -> None:
    assert not plan(desired(), observed(network=network(bridge_link("br0")))).steps


def test_a_bridge_that_could_not_be_made_holds_its_domus_with_its_reason() -> None:
    result = plan(desired(br("br0", external=True), dom("web", bridges=("br0",))), observed())
    assert "start domain/web" not in ids(result)
    assert "nic eth0: bridge/br0 does not exist; a.conf:1 says external = yes" in refused(result, "domain/web")


def test_a_change_of_a_bridge_that_is_there_does_not_keep_its_domus_off() -> None:
    result = plan(
        desired(br("br0", mtu=9000), dom("web", bridges=("br0",))),
        observed(network=network(bridge_link("br0"))),
    )
    needs, after = edges(result, "start domain/web")
    assert "change bridge/br0" in after and "change bridge/br0" not in needs


def test_a_default_route_on_a_vlan_of_the_bridge_is_guarded_too() -> None:
    vlan = link("br0.10", "vlan", lower="br0")
    seen = network(bridge_link("br0", mtu=1400), vlan, default=["br0.10"], gateways=("192.0.2.1",))
    assert seen.carries_default_route("br0") and not seen.carries_default_route("eno1")
    change = action(made(br("br0", mtu=1500), seen), "change bridge/br0")
    assert isinstance(change, ChangeBridge) and change.way_back is not None


def test_a_default_route_without_a_gateway_is_left_alone() -> None:
    result = made(br("br0", mtu=1500), network(bridge_link("br0", mtu=1400), default=["br0"]))
    assert not result.steps and "by hand" in refused(result, "bridge/br0")


def test_an_address_that_is_not_declared_is_told_and_never_removed() -> None:
    wanted = br("br0", address="10.9.0.2/24")
    here = bridge_link("br0", addresses=("10.9.0.1/24", "10.9.0.2/24", "fe80::1/64", "2001:db8::1/64"))
    result = made(wanted, network(here))
    assert not result.steps
    assert noticed(result, "bridge/br0").split("; also ") == [
        "also has 10.9.0.1/24, which a.conf:1 does not declare; remove it with: ip address del 10.9.0.1/24 dev br0",
        "has 2001:db8::1/64, which a.conf:1 does not declare; remove it with: ip address del 2001:db8::1/64 dev br0",
    ]
    edited = made(br("br0", address="10.9.0.3/24"), network(here))
    assert ids(edited) == ("change bridge/br0",) and "10.9.0.2/24" in noticed(edited, "bridge/br0")


def test_addresses_that_are_none_of_our_business_are_not_told() -> None:
    addresses = ("10.9.0.1/24", "10.9.0.2/24")
    assert not made(br("br0"), network(bridge_link("br0", addresses=addresses))).notices
    wanted = br("br0", address="10.9.0.2/24")
    assert not made(wanted, network(bridge_link("br0", addresses=addresses, alias=""))).notices
    external = br("br0", address="10.9.0.2/24", external=True)
    assert not made(external, network(bridge_link("br0", addresses=addresses))).notices
    leased = bridge_link("br0", addresses=addresses, leased=("10.9.0.1/24",))
    assert not made(wanted, network(leased)).notices


def test_a_plan_says_of_each_difference_what_it_is() -> None:
    here = bridge_link("br0", up=False, stp=True, vlan_filtering=True)
    wanted = br("br0", ports=("eno1",), mtu=9000, stp=False, vlan_filtering=False, address="10.9.0.1/24")
    (step,) = made(wanted, network(here, NIC, link("eno2", master="br0"))).steps
    assert step.reason == (
        "differs from a.conf:1: port eno1 is missing, port eno2 is not declared, address 10.9.0.1/24 is missing,"
        " mtu is not 9000, stp is not no, vlan_filtering is not no, it is down"
    )
    (step,) = made(br("br0", stp=True, vlan_filtering=True), network(bridge_link("br0"))).steps
    assert step.reason == "differs from a.conf:1: stp is not yes, vlan_filtering is not yes"
    (step,) = made(br("br0"), network()).steps
    assert step.reason == "does not exist"


def test_the_way_back_undoes_all_that_is_changed_and_no_more() -> None:
    here = bridge_link("br0", mtu=1500, stp=True, vlan_filtering=False, up=False)
    seen = network(here, NIC, link("eno2", master="br0"), default=["br0"], gateways=("192.0.2.1", "192.0.2.2"))
    wanted = br("br0", ports=("eno1",), stp=False, vlan_filtering=True, address="10.9.0.1/24")
    change = action(made(wanted, seen), "change bridge/br0")
    assert change.gateway == "192.0.2.1" and change.way_back == ChangeBridge(
        "br0",
        add_ports=("eno2",),
        remove_ports=("eno1",),
        remove_address="10.9.0.1/24",
        stp=True,
        vlan_filtering=False,
    )


@pytest.mark.parametrize(
    "port",
    [
        link("vif3.0"),
        link("tap3"),
        link("x", "vif"),
        link("x", "tun"),
        link("x", "veth"),
        link("x", "tap"),
        link("vnet0"),
    ],
)
def test_a_guests_port_is_known_by_its_name_or_its_kind(port: Link) -> None:
    assert made(br("br0", ports=()), network(bridge_link("br0"), replace(port, master="br0"))).is_empty


def test_no_bridge_means_no_look_at_the_network() -> None:
    assert not plan(desired(), Observed(domains={})).wanted
    assert plan(desired(br("br0")), Observed(domains={})).wanted == {Table.NETWORK}


@pytest.mark.parametrize(
    ("back", "is_so"),
    [
        (ChangeBridge("br0"), True),
        (ChangeBridge("br1"), False),
        (ChangeBridge("br0", add_ports=("eno1",), remove_ports=("eno2",)), True),
        (ChangeBridge("br0", add_ports=("eno1", "eno2")), False),
        (ChangeBridge("br0", remove_ports=("eno1",)), False),
        (ChangeBridge("br0", mtu=1500, stp=False, vlan_filtering=False), True),
        (ChangeBridge("br0", mtu=1400), False),
        (ChangeBridge("br0", stp=True), False),
        (ChangeBridge("br0", vlan_filtering=True), False),
    ],
)
def test_whether_a_way_back_leads_to_what_is_there(back: ChangeBridge, is_so: bool) -> None:
    links = {each.name: each for each in (bridge_link("br0"), link("eno1", master="br0"), link("eno2"))}
    assert restores(back, links) == is_so
