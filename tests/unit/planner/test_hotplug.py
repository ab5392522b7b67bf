"""Disks and nics of a domU that runs: what is attached, what is detached, and what is left for its next start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import (
    HERE,
    actions,
    bridge_link,
    desired,
    dom,
    edges,
    ids,
    learned_plan,
    live,
    lv,
    memory,
    network,
    noticed,
    observed,
    ready,
    refused,
    storage,
    vbd,
    volume,
    with_tables,
)
from xenlocal.model import actions as act
from xenlocal.model.desired import Desired, Disk, Domain, GuestType, Nic
from xenlocal.model.identity import Identity
from xenlocal.model.memory import Memory
from xenlocal.model.observed import Observed, Table, Unavailable, Vif, XenStore
from xenlocal.model.plan import Plan
from xenlocal.planner import xlcfg
from xenlocal.planner.memory import attached, detached

ROOT, DATA = lv("root"), lv("data", vdev="xvdb")
ETH0 = Nic("eth0", "br0", "00:16:3e:00:00:00", HERE)
ETH1 = Nic("eth1", "br1", "00:16:3e:00:00:01", HERE)
ROOT_VBD, DATA_VBD = vbd(5, "/dev/vg0/root"), vbd(5, "/dev/vg0/data", vdev="xvdb")
VIF0, VIF1 = Vif(5, 0, ETH0.mac, "br0"), Vif(5, 1, ETH1.mac, "br1")
SPEC = "format=raw, vdev=xvdb, access=rw, target=/dev/vg0/data"
LATER = "pending until its next reboot"


def web(*disks: Disk, nics: tuple[Nic, ...] = (ETH0,), **values: Any) -> Domain:
    return replace(dom("web", *disks, **values), nics=nics)


def seen(*vbds: Any, vifs: tuple[Vif, ...] = (VIF0,), volumes: Any = None, **tables: Any) -> Observed:
    tables.setdefault("xenstore", XenStore(vbds or (ROOT_VBD,), vifs))
    found = [volume("root", opened=True), volume("data")] if volumes is None else volumes
    net = network(bridge_link("br0"), bridge_link("br1"))
    return observed(live(5, "web"), storage=storage(*found), network=net, **tables)


def runs_with(domain: Domain, **values: Any) -> Memory:
    return memory(ready("web", 5, running=dict(xlcfg.settings(domain)), **values))


BEFORE = runs_with(web(ROOT))


def planned(want: Domain, host: Observed, known: Memory = BEFORE, *others: Domain) -> Plan:
    bridges: Desired = desired(want, *others)
    return learned_plan(bridges, host, known)


def test_a_disk_that_the_files_add_is_attached() -> None:
    made = planned(web(ROOT, DATA), seen())
    (step,) = made.steps
    assert step.action == act.AttachDevice("web", want_uuid(), 5, "disk", SPEC)
    assert step.reason == "disk xvdb is declared in a.conf:1, and the guest does not have it"
    assert not made.notices and not made.refusals


def want_uuid() -> str:
    return web().uuid


def test_a_nic_that_the_files_add_is_attached() -> None:
    made = planned(web(ROOT, nics=(ETH0, ETH1)), seen())
    (action,) = actions(made, act.AttachDevice)
    assert (action.key, action.spec) == ("vif", "mac=00:16:3e:00:00:01, bridge=br1") and len(made.steps) == 1


def test_its_volume_is_made_first_and_its_growth_does_not_hold_it_up() -> None:
    made = planned(web(ROOT, DATA), seen(volumes=[volume("root", opened=True)]))
    assert ids(made) == ("create volume/vg0/data", "attach domain/web")
    assert edges(made, "attach domain/web") == (("create volume/vg0/data",), ())
    bigger = replace(DATA, size=ROOT.size and type(ROOT.size)(ROOT.size.bytes * 2))
    made = planned(web(ROOT, bigger), seen())
    assert edges(made, "attach domain/web") == ((), ("grow volume/vg0/data",))


def test_one_that_is_there_already_is_not_attached_again_and_nothing_is_pending() -> None:
    """The daemon was killed after `xl block-attach`, or somebody typed it."""
    made = planned(web(ROOT, DATA, nics=(ETH0, ETH1)), seen(ROOT_VBD, DATA_VBD, vifs=(VIF0, VIF1)))
    assert not made.steps and not made.notices and not made.refusals


@pytest.mark.parametrize(
    "there",
    [vbd(5, "/dev/vg0/other", vdev="xvdb"), vbd(5, "/dev/vg0/data", vdev="xvdb", writable=False)],
)
def test_another_disk_under_that_name_stays_until_the_next_start(there: Any) -> None:
    made = planned(web(ROOT, DATA), seen(ROOT_VBD, there))
    assert "another one under that name" in refused(made, "domain/web") and LATER in noticed(made, "domain/web")
    assert not actions(made, act.AttachDevice)


def test_another_bridge_under_that_mac_stays_too() -> None:
    made = planned(web(ROOT, nics=(ETH0, ETH1)), seen(vifs=(VIF0, replace(VIF1, bridge="br0"))))
    assert "nic eth1 is not attached: the guest has another one" in refused(made, "domain/web")


def test_no_disk_is_attached_that_another_domain_holds() -> None:
    host = seen(ROOT_VBD, vbd(9, "/dev/vg0/data"))
    made = planned(web(ROOT, DATA), host)
    why = refused(made, "domain/web")
    assert why == (
        "disk xvdb is not attached while it runs: volume/vg0/data is held by domid 9;"
        " not handed over for its next reboot: disk xvdb: volume/vg0/data is held by domid 9"
    )
    assert not actions(made, act.AttachDevice) and LATER in noticed(made, "domain/web")


def test_no_disk_is_attached_twice_to_the_same_guest() -> None:
    moved = replace(DATA, vdev="xvdc")
    made = planned(web(ROOT, moved), seen(ROOT_VBD, DATA_VBD), runs_with(web(ROOT, DATA)))
    assert "held by domain/web (domid 5)" in refused(made, "domain/web") and not actions(made, act.AttachDevice)


def test_who_starts_in_the_same_plan_does_not_get_it_as_well() -> None:
    other = dom("zzz", lv("data", readonly=True))
    made = planned(web(ROOT, DATA), seen(), BEFORE, other)
    assert "attach domain/web" in ids(made) and "start domain/zzz" not in ids(made)
    first = dom("aaa", lv("data", readonly=True))
    made = planned(web(ROOT, DATA), seen(), BEFORE, first)
    assert "attach domain/web" not in ids(made) and "start domain/aaa" in ids(made)


@pytest.mark.parametrize(
    ("host", "why", "staged"),
    [
        (seen(replace(ROOT_VBD, connected=False)), "nothing shows that its kernel can take one", True),
        (seen(volumes=[volume("root", opened=True), volume("data", opened=True)]), "open on the dom0 itself", False),
        (
            with_tables(seen(), at_work=frozenset({"resize /dev/vg0/data"})),
            "runs: volume/vg0/data is being worked on, until",
            False,
        ),
        (with_tables(seen(), at_work=Unavailable("no /proc")), "being worked on could not be found out", False),
        (
            seen(
                volumes=[volume("root", opened=True), volume("data", tags=frozenset({"xenlocal", "xenlocal-install"}))]
            ),
            "is marked as one to be installed into, and no [[install]] says what",
            False,
        ),
    ],
)
def test_what_is_not_safe_is_left_for_the_next_start_and_said(host: Observed, why: str, staged: bool) -> None:
    """Nor is it handed over for its own reboot: that would fail, or take the disk all the same."""
    made = planned(web(ROOT, DATA), host)
    assert why in refused(made, "domain/web") and not actions(made, act.AttachDevice)
    assert bool(actions(made, act.StageConfig)) is staged


def test_a_nic_without_its_bridge_or_driver_is_left_too() -> None:
    nowhere = replace(ETH1, bridge="br9")
    made = planned(web(ROOT, nics=(ETH0, nowhere)), seen())
    assert refused(made, "domain/web") == "nic eth1 is not attached while it runs: bridge/br9 does not exist"
    made = planned(web(ROOT, nics=(ETH0, ETH1)), seen(vifs=(replace(VIF0, connected=False),)))
    assert "nothing shows that its kernel can take one" in refused(made, "domain/web")


def test_another_mac_is_no_further_nic() -> None:
    other = replace(ETH0, mac="00:16:3e:00:00:99")
    made = planned(web(ROOT, nics=(other,)), seen())
    assert not actions(made, act.AttachDevice) and f"{LATER}: vif" in noticed(made, "domain/web")
    made = planned(web(ROOT, nics=(other,), unplugged=(ETH0,)), seen())
    assert [step.action.verb for step in made.steps] == ["attach", "detach"]


def test_what_cannot_be_known_leads_to_nothing() -> None:
    made = planned(web(ROOT, DATA), seen(xenstore=Unavailable("hangs")))
    assert not actions(made, act.AttachDevice) and f"{LATER}: disk" in noticed(made, "domain/web")
    made = planned(web(ROOT, DATA), seen(), memory(ready("web", 5)))
    assert not actions(made, act.AttachDevice), "somebody else started it"


def test_one_that_rebooted_while_its_edit_was_handed_over_gets_what_it_lacks() -> None:
    unclear = memory(ready("web", 5, staged={}))
    want = web(ROOT, DATA, nics=(), unplugged=(ETH0,))
    made = planned(want, seen(), unclear)
    assert [step.action.verb for step in made.steps if "volume/" not in step.id] == ["attach", "detach", "stage"]
    (attach,), (detach,) = actions(made, act.AttachDevice), actions(made, act.DetachDevice)
    kept = attached(unclear, attach.uuid, attach.key, attach.spec)
    assert detached(kept, detach.uuid, detach.key, detach.spec) == unclear, "the rest is still unknown"
    made = planned(want, seen(ROOT_VBD, DATA_VBD, vifs=()), unclear)
    assert not actions(made, act.AttachDevice) and not actions(made, act.DetachDevice)


def test_one_with_another_identity_than_is_locked_gets_nothing_even_then() -> None:
    locked = replace(web(ROOT, DATA), hostid="locked")
    other = {locked.uuid: Identity("web", locked.uuid, ("00:16:3e:00:00:99",))}
    made = planned(locked, replace(seen(), identities=other), memory(ready("web", 5, staged={})))
    assert not actions(made, act.AttachDevice)


def test_xenstore_is_looked_at_only_where_it_matters() -> None:
    host = replace(seen(), xenstore=Observed().xenstore)
    assert Table.XENSTORE not in planned(web(ROOT), host).wanted
    assert Table.XENSTORE in planned(web(ROOT, DATA), host).wanted
    assert Table.XENSTORE in planned(web(ROOT, unplugged=(DATA,)), host).wanted


def test_hvm_is_left_for_its_next_start() -> None:
    known = runs_with(web(ROOT, type=GuestType.HVM))
    made = planned(web(ROOT, DATA, type=GuestType.HVM), seen(), known)
    assert not actions(made, act.AttachDevice) and f"{LATER}: disk" in noticed(made, "domain/web")


def test_a_changed_part_and_another_order_of_nics_are_pending_as_ever() -> None:
    made = planned(web(replace(ROOT, readonly=True)), seen())
    assert noticed(made, "domain/web") == f"{LATER}: disk" and not actions(made, act.AttachDevice)
    known = runs_with(web(ROOT, nics=(ETH0, ETH1)))
    made = planned(web(ROOT, nics=(ETH1, ETH0)), seen(vifs=(VIF0, VIF1)), known)
    assert noticed(made, "domain/web") == f"{LATER}: vif"
    known = runs_with(web(ROOT, DATA))
    assert not planned(web(DATA, ROOT), seen(ROOT_VBD, DATA_VBD), known).steps


def test_a_part_that_vanished_stays_attached_and_that_is_said() -> None:
    known = runs_with(web(ROOT, DATA, nics=(ETH0, ETH1)))
    made = planned(web(ROOT), seen(ROOT_VBD, DATA_VBD, vifs=(VIF0, VIF1)), known)
    assert not actions(made, act.DetachDevice)
    for name in ("xvdb", ETH1.mac):
        assert f"{name} is in no file any more and stays attached until its next start" in noticed(made, "domain/web")
    assert f"{LATER}: disk, vif" in noticed(made, "domain/web")
    made = planned(web(ROOT), seen(), known)  # somebody detached both by hand
    assert not made.steps and not made.notices


def test_what_the_files_say_is_not_attached_is_detached() -> None:
    known = runs_with(web(ROOT, DATA, nics=(ETH0, ETH1)))
    made = planned(web(ROOT, unplugged=(DATA, ETH1)), seen(ROOT_VBD, DATA_VBD, vifs=(VIF0, VIF1)), known)
    assert actions(made, act.DetachDevice) == [
        act.DetachDevice("web", want_uuid(), 5, "disk", SPEC),
        act.DetachDevice("web", want_uuid(), 5, "vif", "mac=00:16:3e:00:00:01, bridge=br1"),
    ]
    assert len(made.steps) == 2 and not made.notices and made.steps[0].reason == "attached = no in a.conf:1"
    assert not planned(web(ROOT, unplugged=(DATA, ETH1)), seen()).steps


def test_nothing_else_under_that_name_is_detached() -> None:
    other = vbd(5, "/dev/vg0/other", vdev="xvdb")
    made = planned(web(ROOT, unplugged=(DATA,)), seen(ROOT_VBD, other), runs_with(web(ROOT)))
    assert not made.steps


def test_a_locked_identity_gets_no_nic_while_it_runs() -> None:
    before = web(ROOT, hostid="locked")
    host = seen(identities={before.uuid: before.identity})
    made = planned(web(ROOT, nics=(ETH0, ETH1), hostid="locked"), host, runs_with(before))
    assert not made.steps and "goes on running as it is" in refused(made, "domain/web")


def test_what_it_runs_with_is_kept() -> None:
    after = attached(BEFORE, want_uuid(), "disk", SPEC)
    assert after.records[want_uuid()].running["disk"] == xlcfg.settings(web(ROOT, DATA))["disk"]
    assert detached(after, want_uuid(), "disk", SPEC) == BEFORE
    bare = BEFORE.change(want_uuid(), running={"memory": "512"})  # as the planner reads it: none so far
    assert attached(bare, want_uuid(), "disk", SPEC).records[want_uuid()].running["disk"] == xlcfg.joined([SPEC])
