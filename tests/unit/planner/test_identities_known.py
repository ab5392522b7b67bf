"""By what a locked identity is known again: its UUID, a name it has or had, or a disk of a domU that is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    bridge_link,
    desired,
    dom,
    ids,
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
    volume,
)
from tests.unit.planner.build import live as alive
from xenlocal.model.desired import Domain
from xenlocal.model.identity import Identity
from xenlocal.model.names import volume as volume_target
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.plan import Plan
from xenlocal.planner import xlcfg
from xenlocal.planner.identities import named

MAC, OTHER_MAC = "00:16:3e:00:00:00", "00:16:3e:00:00:99"


def lock(name: str, uuid: str, *disks: str) -> Identity:
    """Of one with another MAC: to be it is to be somebody else."""
    return Identity(name, uuid, (OTHER_MAC,), tuple(str(volume_target("vg0", disk)) for disk in disks))


def web(**values: object) -> Domain:
    return dom("web", lv("web"), bridges=("br0",), **values)


def seen(*locks: Identity, **tables: object) -> Observed:
    return observed(
        identities={each.uuid: each for each in locks},
        storage=storage(volume("web"), volume("other")),
        network=network(bridge_link("br0")),
        **tables,
    )


def started(domain: Domain, *locks: Identity, others: tuple[Domain, ...] = ()) -> Plan:
    return plan(desired(domain, *others), seen(*locks))


OLD = dom("old", bridges=())


@pytest.mark.parametrize(
    ("domain", "locked", "others", "whose"),
    [
        (web(), lock("web", uid("web"), "web"), (), ""),
        (web(), lock("web", "another", "else"), (), ""),
        (web(), lock("old", uid("web"), "else"), (OLD,), "domain/old"),
        (web(was="old"), lock("old", "another", "else"), (), "domain/old"),
        (web(was="old"), lock("old", "another", "else"), (OLD,), "domain/old"),
        (web(), lock("old", "another", "web"), (), "domain/old"),
        (web(), lock("old", "another", "web", "else"), (), "domain/old"),
        (web(), lock("old", "another", "web"), (OLD,), None),
        (web(), lock("old", "another", "else"), (), None),
        (web(was="older"), lock("old", "another", "else"), (), None),
    ],
    ids=[
        "uuid",
        "name",
        "uuid-of-one-renamed",
        "former-name",
        "former-name-of-another",
        "disk",
        "one-of-its-disks",
        "disk-of-one-that-is-declared",
        "nothing",
        "another-former-name",
    ],
)
def test_what_is_locked_is_known_again(
    domain: Domain, locked: Identity, others: tuple[Domain, ...], whose: str | None
) -> None:
    made = started(domain, locked, others=others)
    why = refused(made, "domain/web")
    if whose is None:
        assert not why and "start domain/web" in ids(made)
    else:
        told = f"it has a disk or the UUID of {whose}, which " if whose else ""
        assert why.startswith(f"{told}is locked (hostid = locked) to UUID {locked.uuid}, MAC {OTHER_MAC}, and the")
        assert "start domain/web" not in ids(made)


def test_of_several_the_same_one_is_told_whatever_their_order() -> None:
    locks = [lock(f"old{number}", f"uuid{number}", "web") for number in range(8)]
    for order in (locks, locks[::-1]):
        assert "domain/old0, which" in refused(started(web(), *order), "domain/web")


def test_unlock_lists_what_it_forgets_in_one_order() -> None:
    locks = [Identity("web", f"uuid{number}") for number in range(8)]
    for order in (locks, locks[::-1]):
        assert named("web", desired(), {each.uuid: each for each in order}) == tuple(locks)


def test_the_step_says_why_it_is_recorded() -> None:
    new = web(hostid="locked")
    made = started(new)
    assert made.steps[0].id == "lock domain/web"
    assert made.steps[0].reason == "hostid = locked: its UUID and MACs are kept from now on"
    made = started(new, replace(new.identity, disks=("volume/vg0/former",)))
    assert made.steps[0].reason == "hostid = locked: its name or its disks have changed"
    assert "lock domain/web" not in ids(started(new, new.identity))


def test_one_that_runs_is_told_of_when_it_will_be_recorded_and_of_nothing_once_it_is() -> None:
    new = web(hostid="locked")
    kept = memory(ready("web", 3, running=xlcfg.settings(new)))
    text = "hostid = locked: its UUID and MACs are recorded at its next start"
    assert noticed(plan(desired(new), seen(domains={3: alive(3, "web")}), kept), "domain/web") == text
    assert not plan(desired(new), seen(new.identity, domains={3: alive(3, "web")}), kept).notices


def test_while_it_is_unknown_what_is_locked_one_that_runs_is_left_as_it_is() -> None:
    new = web(hostid="locked")
    kept = memory(ready("web", 3, running=xlcfg.settings(new)))
    host = replace(seen(domains={3: alive(3, "web")}), identities=Unavailable("torn"))
    made = plan(desired(new), host, kept)
    assert refused(made, "domain/web") == "goes on running as it is: which identities are locked is not known: torn"
    free = replace(new, hostid=None)
    assert not plan(desired(free), host, memory(ready("web", 3, running=xlcfg.settings(free)))).refusals
