"""How long a domU waits for what it comes `after`, and how soon one that cannot start is looked at again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.build import (
    NOW,
    bay,
    block_facts,
    desired,
    device,
    dom,
    hardware,
    image,
    learned_plan,
    lun,
    lv,
    memory,
    observed,
    plan,
    rec,
    refused,
    sessions,
    storage,
    volume,
)
from xenlocal.model.desired import Domain
from xenlocal.model.names import bridge
from xenlocal.model.names import device as device_target
from xenlocal.model.names import volume as volume_target
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.plan import Goal
from xenlocal.model.units import Size
from xenlocal.planner.draft import Draft
from xenlocal.planner.things import hurdle_of_after

DISK = "/dev/disk/by-id/bay1"
HERE = {DISK: block_facts(DISK)}
AFTER = dom("web", after_things=(device_target(DISK),))


@pytest.mark.parametrize(
    ("tables", "away", "hurdle", "told", "until"),
    [
        ({}, NOW - 10, "does not exist yet; it starts without after 5m", "", NOW + 290),
        ({}, None, "does not exist yet; it starts without after 5m", "", NOW + 300),
        ({}, NOW - 299, "does not exist yet; it starts without after 5m", "", NOW + 1),
        ({}, NOW - 300, None, "does not exist yet, and is waited for no longer", None),
        ({"paths": HERE}, NOW - 10, None, "", None),
        ({"paths": Unavailable("no answer")}, NOW - 900, "could not be looked at: no answer", "", None),
    ],
)
def test_what_it_comes_after_is_waited_for_and_that_is_said_when_it_starts_without(
    tables: dict[str, Any], away: float | None, hurdle: str | None, told: str, until: float | None
) -> None:
    seen = observed(**tables)
    draft = Draft(seen)
    found = hurdle_of_after(draft, AFTER, rec("web", away=away), seen, NOW)
    assert found == (
        None if hurdle is None else f"waits for device/{DISK}, which {hurdle}",
        told and f"; device/{DISK}, which it comes after, {told}",
    )
    assert draft.plan(Goal.CONVERGE, 1).look_again == until


def test_the_end_of_its_wait_is_looked_at_in_time() -> None:
    made = plan(desired(AFTER), observed(), memory(rec("web", away=NOW - 297)))
    assert made.look_again == NOW + 3


NO_ROOM = {"hardware": hardware(Size.mib(1))}


@pytest.mark.parametrize(
    ("web", "tables", "pause"),
    [
        (dom("web"), {}, 30),
        (dom("web", lv("root")), {"storage": storage(volume("root", device=(253, 0)))}, 30),
        (dom("web", image("/srv/a.img")), {}, 30),
        (dom("web", device(DISK)), {"paths": HERE}, 30),
        (dom("web", device(DISK)), {}, 10),
        (dom("web", needs_things=(device_target(DISK),)), {"paths": HERE}, 30),
        (dom("web", needs_things=(device_target(DISK),)), {}, 10),
        (AFTER, {"paths": HERE}, 30),
        (AFTER, {}, 10),
        (dom("web", lun()), {"paths": {lun().backing.path: block_facts(lun().backing.path)}}, 10),
    ],
    ids=["nothing", "lv", "file", "disk", "no-disk", "needs", "needs-none", "after", "after-none", "no-session"],
)
def test_one_that_cannot_start_is_looked_at_soon_only_where_something_may_come_by_itself(
    web: Domain, tables: dict[str, Any], pause: float
) -> None:
    """There is no memory for it, whatever else is missing; events tell of a domU that ends."""
    made = plan(desired(web), observed(**NO_ROOM, **tables), memory(rec("web", away=NOW - 900)))
    assert refused(made, "domain/web") and made.look_again == NOW + pause


@pytest.mark.parametrize("thing", [bridge("br0"), volume_target("vg0", "root"), device_target(DISK)])
@pytest.mark.parametrize("key", ["after_things", "needs_things"])
def test_what_it_waits_for_is_asked_for_at_once(thing: Any, key: str) -> None:
    table = {"bridge": "network", "volume": "storage", "device": "paths"}[thing.kind]
    blind = Observed(domains={})
    assert table in plan(desired(dom("web", **{key: (thing,)})), blind).wanted


def test_a_disk_whose_session_was_not_asked_for_yet_keeps_its_domu_off_and_is_asked_for() -> None:
    made = learned_plan(desired(bay(), dom("web", lun())), Observed(domains={}))
    assert "iscsi" in made.wanted and not made.steps and refused(made, "domain/web")
    works = observed(iscsi=sessions(bay1="LOGGED_IN"), paths={lun().backing.path: block_facts(lun().backing.path)})
    assert not learned_plan(desired(bay(), dom("web", lun())), works).refusals
