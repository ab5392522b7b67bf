"""DESIGN rule 7: an answer that could not be had is unknown, never empty: nothing destructive, no start."""

from itertools import combinations

import pytest

from tests.unit.planner.build import (
    bay,
    br,
    bridge_link,
    desired,
    device,
    dom,
    file_facts,
    image,
    learned_plan,
    live,
    lun,
    lv,
    memory,
    network,
    observed,
    ready,
    refused,
    storage,
    volume,
    with_tables,
)
from xenlocal.model.actions import DestroyDomain, StartDomain, StopDomain
from xenlocal.model.desired import State
from xenlocal.model.host_actions import RetireVolume
from xenlocal.model.observed import Observed, Table, Unavailable

TABLES = [str(table) for table in Table]
WANT = desired(
    dom("gone", lv("gone"), state=State.ABSENT),
    dom("new", lv("new"), bridges=("br0",)),
    dom("off", state=State.STOPPED),
    dom("file", image("/srv/f.img")),
    dom("plain"),
    dom("dev", device("/dev/sdb")),
    dom("lun", lun()),
    bay(),
    br("br0", mtu=9000),
)
KEPT = memory(ready("off", 7, declared="stopped"), ready("old", 8, declared=""))
# what a start needs to know, by domU
NEEDS = {
    "plain": {"domains", "paths", "hardware", "monitors"},
    "file": {"domains", "paths", "hardware", "monitors", "xenstore", "at_work"},
    "new": {"domains", "paths", "hardware", "monitors", "xenstore", "at_work", "storage", "network"},
}


def host() -> Observed:
    return observed(
        live(7, "off"),
        live(8, "old"),
        live(9, "foreign"),
        storage=storage(volume("gone")),
        network=network(bridge_link("br0")),
        paths={"/srv/f.img": file_facts("/srv/f.img")},
    )


@pytest.mark.parametrize("missing", [each for size in range(8) for each in combinations(TABLES, size)])
def test_nothing_dangerous_follows_from_unknown(missing: tuple[str, ...]) -> None:
    made = learned_plan(WANT, with_tables(host(), **dict.fromkeys(missing, Unavailable("failed"))), KEPT)
    kinds = {type(step.action) for step in made.steps}
    started = {step.action.name for step in made.steps if isinstance(step.action, StartDomain)}
    expected = {name for name, tables in NEEDS.items() if not tables & set(missing)}
    assert started == expected
    for name in NEEDS.keys() - expected:
        assert "could not be found out" in refused(made, f"domain/{name}")
    assert DestroyDomain not in kinds
    if {"domains", "storage", "paths"} & set(missing):
        assert RetireVolume not in kinds
    if "domains" in missing:
        assert StopDomain not in kinds
    assert set(dict(made.unavailable)) == set(missing)


def test_tables_not_asked_for_are_asked_and_meanwhile_nothing_is_done() -> None:
    made = learned_plan(WANT, Observed(domains=host().domains), KEPT)
    unneeded = "trials"  # they boot no kernel of the dom0
    assert {str(table) for table in made.wanted} == set(TABLES) - {"domains", unneeded}
    assert not any(isinstance(step.action, StartDomain | RetireVolume) for step in made.steps)
    assert made.unavailable == ()


def test_a_host_at_rest_costs_no_more_than_it_has_to_know() -> None:
    want = desired(dom("web", lv("root"), bridges=("br0",)))
    made = learned_plan(want, Observed(domains={3: live(3, "web")}), memory(ready("web", 3, running={})))
    own_files = {Table.PATHS, Table.IDENTITIES, Table.KERNELS}  # which are no commands
    assert made.wanted == {Table.STORAGE, *own_files}
    assert learned_plan(desired(), Observed(domains={})).wanted <= own_files
