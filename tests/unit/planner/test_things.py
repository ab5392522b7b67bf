"""`after` and `needs` on bridges, volumes and devices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.build import (
    GIB,
    NOW,
    action,
    block_facts,
    br,
    bridge_link,
    desired,
    dom,
    edges,
    file_facts,
    ids,
    learned_plan,
    link,
    lv,
    memory,
    network,
    observed,
    plan,
    rec,
    refused,
    storage,
    uid,
    volume,
)
from xenlocal.model.memory import Hand, Off
from xenlocal.model.names import bridge, device
from xenlocal.model.names import volume as volume_target
from xenlocal.model.observed import Unavailable
from xenlocal.model.units import Size
from xenlocal.planner import memory as transitions

DISK = "/dev/disk/by-id/bay1"
THINGS = [bridge("br0"), volume_target("vg9", "data"), device(DISK)]


@pytest.mark.parametrize(
    ("thing", "table", "why"),
    [
        (0, {"network": network()}, "needs bridge/br0, which does not exist"),
        (0, {"network": network(link("br0", "dummy"))}, "needs bridge/br0, which is not a bridge"),
        (0, {"network": network(bridge_link("br0", up=False))}, "needs bridge/br0, which is not up"),
        (0, {"network": network(bridge_link("br0"))}, ""),
        (1, {"storage": storage()}, "needs volume/vg9/data, which does not exist yet"),
        (1, {"storage": storage(volume("data", vg="vg9", active=False))}, "needs volume/vg9/data, which is not active"),
        (1, {"storage": storage(volume("data", vg="vg9"))}, ""),
        (2, {"paths": {}}, f"needs device/{DISK}, which does not exist yet"),
        (2, {"paths": {DISK: file_facts(DISK)}}, f"needs device/{DISK}, which is not a block device"),
        (2, {"paths": {DISK: block_facts(DISK)}}, ""),
    ],
)
def test_needs_something_of_the_host(thing: int, table: dict[str, Any], why: str) -> None:
    want = desired(dom("web", needs_things=(THINGS[thing],)), dom("free"), br("br0", external=True))
    made = plan(want, observed(**table))
    assert refused(made, "domain/web").startswith(why)
    assert ("start domain/web" in ids(made)) == (why == "") == (
        refused(made, "domain/web") == ""
    ) and "start domain/free" in ids(made)
    assert made.look_again == (NOW + 10 if why else None)


@pytest.mark.parametrize("table", ["network", "storage", "paths"])
@pytest.mark.parametrize("key", ["after_things", "needs_things"])
def test_no_start_follows_from_unknown(table: str, key: str) -> None:
    thing = THINGS[["network", "storage", "paths"].index(table)]
    want = desired(dom("web", **{key: (thing,)}), br("br0", external=True))
    late = memory(rec("web", away=NOW - 10_000))
    made = plan(want, observed(**{table: Unavailable("no answer")}), late)
    assert "start domain/web" not in ids(made) and refused(made, "domain/web")


def test_what_this_plan_makes_comes_first() -> None:
    want = desired(
        dom("db", lv("db")),
        dom("web", needs_things=(volume_target("vg0", "db"), bridge("lab"))),
        dom("log", after_things=(volume_target("vg0", "db"),)),
        br("lab", ports=()),
    )
    made = plan(want, observed())
    assert edges(made, "start domain/web") == (("create bridge/lab", "create volume/vg0/db"), ())
    assert edges(made, "start domain/log") == ((), ("create volume/vg0/db",))


def test_a_growth_that_fails_keeps_nobody_off_who_needs_only_the_volume() -> None:
    want = desired(dom("db", lv("db", GIB)), dom("web", needs_things=(volume_target("vg0", "db"),)))
    made = plan(want, observed(storage=storage(volume("db", Size.mib(512)))))
    assert edges(made, "start domain/web") == ((), ("grow volume/vg0/db",))


def test_after_waits_for_start_timeout_and_goes_on_without() -> None:
    want = desired(dom("web", after_things=(device(DISK),)))
    first = learned_plan(want, observed())
    assert refused(first, "domain/web") == (
        f"waits for device/{DISK}, which does not exist yet; it starts without after 5m"
    )
    waiting = memory(rec("web", away=NOW - 290))
    assert plan(want, observed(), waiting).look_again == NOW + 10
    made = plan(want, observed(), waiting, now=NOW + 10)
    assert ids(made)[0] == "start domain/web"
    (reason,) = [step.reason for step in made.steps if step.id == "start domain/web"]
    assert reason.endswith(f"; device/{DISK}, which it comes after, does not exist yet, and is waited for no longer")


@pytest.mark.parametrize("hand", [Hand.START, Hand.RESTART])
def test_after_waits_from_the_word_by_hand_on_though_it_was_off_for_hours(hand: Hand) -> None:
    want = desired(dom("web", after_things=(device(DISK),)))
    off = memory(rec("web", away=NOW - 10_000, hand=Hand.STOP, off=Off.STOPPED, off_since=NOW - 10_000))
    made = learned_plan(want, observed(), transitions.by_hand(off, uid("web"), hand))
    assert refused(made, "domain/web").startswith(f"waits for device/{DISK}")
    assert transitions.by_hand(off, uid("web"), Hand.STOP).records[uid("web")].away == NOW - 10_000


def test_after_waits_from_the_edit_on_that_wants_it() -> None:
    want = desired(dom("web", after_things=(device(DISK),)))
    made = learned_plan(want, observed(), memory(rec("web", away=NOW - 10_000, declared="stopped")))
    assert refused(made, "domain/web").startswith(f"waits for device/{DISK}")


def test_after_something_that_is_there_waits_for_nothing() -> None:
    made = plan(desired(dom("web", after_things=(device(DISK),))), observed(paths={DISK: block_facts(DISK)}))
    assert action(made, "start domain/web").name == "web" and edges(made, "start domain/web") == ((), ())
