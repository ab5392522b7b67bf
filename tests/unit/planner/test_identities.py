"""`hostid = locked`: what is started is who it always was, or it is not started."""

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    action,
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
    plan,
    ready,
    refused,
    storage,
    uid,
    vbd,
    volume,
)
from xenlocal.model import actions as act
from xenlocal.model.conffiles import Source
from xenlocal.model.desired import Desired, Domain, Nic, State
from xenlocal.model.identity import Identity
from xenlocal.model.memory import Hand
from xenlocal.model.observed import Observed, Unavailable, Vif, XenStore
from xenlocal.planner import xlcfg
from xenlocal.planner.identities import named

THERE = Source("lic.conf", 12)
MAC = "00:16:3e:00:00:00"
TYPE = "type `xenlocal unlock lic`"


def lic(name: str = "lic", **values: object) -> Domain:
    values.setdefault("hostid", "locked")
    return dom(name, lv("lic"), bridges=("br0", "br0"), **values)


def with_mac(domain: Domain, mac: str) -> Domain:
    return replace(domain, nics=(Nic("eth0", "br0", mac, THERE), *domain.nics[1:]))


LOCK = lic().identity


def seen(*locks: Identity, **tables: object) -> Observed:
    found = {lock.uuid: lock for lock in locks}
    return observed(
        identities=tables.pop("identities", found),
        storage=storage(volume("lic")),
        network=network(bridge_link("br0")),
        **tables,
    )


def test_it_is_recorded_before_its_first_start() -> None:
    made = plan(desired(lic()), seen())
    assert ids(made) == ("lock domain/lic", "start domain/lic", "await domain/lic")
    assert action(made, "lock domain/lic").identity == Identity(
        "lic", uid("lic"), (MAC, "00:16:3e:00:00:01"), LOCK.disks
    )
    assert edges(made, "start domain/lic")[0] == ("lock domain/lic",)
    assert LOCK.disks == ("volume/vg0/lic",)


def test_the_same_one_starts_and_nothing_is_recorded_again() -> None:
    assert ids(plan(desired(lic()), seen(LOCK))) == ("start domain/lic", "await domain/lic")


def test_one_that_asks_for_no_lock_gets_none() -> None:
    assert "lock domain/lic" not in ids(plan(desired(lic(hostid=None)), seen()))


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        (with_mac(lic(), "00:16:3e:00:00:99"), f"MAC 00:16:3e:00:00:99 (lic.conf:12), no nic with MAC {MAC}"),
        (with_mac(lic(hostid=None), "00:16:3e:00:00:99"), "MAC 00:16:3e:00:00:99 (lic.conf:12)"),
        (replace(lic(), uuid=uid("x")), f"UUID {uid('x')} (a.conf:1)"),
        (replace(lic(), nics=lic().nics[:1]), "no nic with MAC 00:16:3e:00:00:01"),
        (replace(lic(), nics=lic().nics[::-1]), "its nics in another order (a.conf:1)"),
        (replace(lic(), nics=(*lic().nics, Nic("x", "br0", "00:16:3e:00:00:77", THERE))), "MAC 00:16:3e:00:00:77"),
    ],
)
def test_another_identity_is_not_started(domain: Domain, said: str) -> None:
    made = plan(desired(domain), seen(LOCK))
    why = refused(made, "domain/lic")
    assert not made.steps and said in why and TYPE in why
    assert f"to UUID {uid('lic')}, MAC {MAC}, MAC 00:16:3e:00:00:01" in why


def test_one_of_another_name_with_its_disk_is_taken_for_it_while_its_own_section_is_gone() -> None:
    other = lic("new", hostid=None)
    why = refused(plan(desired(other), seen(LOCK)), "domain/new")
    assert "it has a disk or the UUID of domain/lic" in why and TYPE in why
    both = desired(replace(other, disks=(lv("lic", readonly=True),)), lic(state=State.MANUAL))
    assert not refused(plan(both, seen(LOCK)), "domain/new")


def test_one_that_keeps_its_uuid_and_macs_may_change_its_name_and_that_is_recorded() -> None:
    made = plan(desired(replace(lic("new"), uuid=uid("lic"))), seen(LOCK))
    assert action(made, "lock domain/new").identity == replace(LOCK, name="new")
    assert "start domain/new" in ids(made)


def test_what_cannot_be_read_keeps_off_those_that_declare_a_lock_and_no_other() -> None:
    made = plan(desired(lic(), dom("web")), seen(identities=Unavailable("torn")))
    assert "start domain/web" in ids(made) and "start domain/lic" not in ids(made)
    assert refused(made, "domain/lic") == "which identities are locked is not known: torn"
    assert dict(made.unavailable) == {"identities": "torn"}


def running(domain: Domain, *locks: Identity) -> tuple[Desired, Observed]:
    vifs = tuple(Vif(5, number, nic.mac, nic.bridge) for number, nic in enumerate(lic().nics))
    store = XenStore((vbd(5, "/dev/vg0/lic"),), vifs)
    return desired(domain), seen(*locks, domains={5: live(5, "lic")}, xenstore=store)


def test_a_running_one_is_left_as_it_is_and_its_own_reboot_brings_nothing_else() -> None:
    known = memory(ready("lic", 5, running=dict(xlcfg.settings(lic()))))
    made = learned_plan(*running(with_mac(lic(), "00:16:3e:00:00:99"), LOCK), known)
    assert not actions(made, act.StageConfig) and not made.steps
    assert refused(made, "domain/lic").startswith("goes on running as it is: is locked (hostid = locked) to UUID")
    made = learned_plan(*running(with_mac(lic(), "00:16:3e:00:00:99")), known)
    assert actions(made, act.StageConfig) and "is locked" not in refused(made, "domain/lic")
    assert "recorded at its next start" in noticed(made, "domain/lic")
    made = learned_plan(*running(lic(), LOCK), known)
    assert not made.steps and not made.refusals and not made.notices


def test_a_restart_to_another_identity_is_refused_before_anything_is_stopped() -> None:
    known = memory(ready("lic", 5, running=dict(xlcfg.settings(lic())), hand=Hand.RESTART, hand_domid=5))
    made = plan(*running(with_mac(lic(), "00:16:3e:00:00:99"), LOCK), known)
    assert not actions(made, act.StopDomain)
    assert refused(made, "domain/lic").startswith("not restarted, and goes on running: is locked")


def test_unlock_finds_it_by_the_name_recorded_and_by_the_one_it_has_now() -> None:
    files = desired(replace(lic("new"), uuid=uid("lic")))
    locked = {LOCK.uuid: LOCK, "other": Identity("other", "other")}
    assert named("lic", files, locked) == named("new", files, locked) == (LOCK,)
    assert named("web", files, locked) == ()
