"""`why` of a domU that is off: since when, what keeps it off, and how its last life ended where that is no cause."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.asking import deed, ended, event, first
from tests.unit.planner.build import (
    NOW,
    TCP,
    UP,
    br,
    desired,
    dom,
    ids,
    live,
    lv,
    memory,
    observed,
    plan,
    ready,
    rec,
)
from xenlocal.model.desired import Desired, OnCrash, OnPoweroff, State
from xenlocal.model.history import Entry, Event, What
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.model.observed import Observed, Unavailable

pytestmark = pytest.mark.usefixtures("utc")
WEB = desired(dom("web"))
MANUAL = desired(dom("web", state=State.MANUAL))
STARTING = "it is about to be started: state = running in a.conf:1"
BY_HAND_ONLY = "state = manual: started by hand only"
BORN = event(What.BORN, 5000, domid=3)
ENDED = ended(Off.CRASH, 600)


# Since when: the memory knows it until the next start or boot, the history longer.


@pytest.mark.parametrize(
    ("kept", "past", "sentence"),
    [
        (UP, (), f"off: {BY_HAND_ONLY}"),
        (memory(rec("web")), (), f"off: {BY_HAND_ONLY}"),
        (memory(rec("web", off_since=NOW - 60)), (), f"off since 22:12: {BY_HAND_ONLY}"),
        (memory(rec("web", off_since=NOW - 60)), (ENDED,), f"off since 22:12: {BY_HAND_ONLY}"),
        (memory(rec("web")), (BORN, ENDED), f"off since 22:03: {BY_HAND_ONLY}"),
        (UP, (ENDED,), f"off since 22:03: {BY_HAND_ONLY}"),
        (UP, (ended(Off.CRASH, 90_000),), f"off since 2023-11-13 21:13: {BY_HAND_ONLY}"),
        (UP, (ended(Off.CRASH, 9000), BORN, ENDED), f"off since 22:03: {BY_HAND_ONLY}"),
        (UP, (ended(Off.CRASH, 9000), BORN), f"off: {BY_HAND_ONLY}"),
        (UP, (BORN,), f"off: {BY_HAND_ONLY}"),
        (UP, (ENDED, ended(Off.CRASH, 300, "db")), f"off since 22:03: {BY_HAND_ONLY}"),
        (UP, (BORN, ENDED, event(What.BY_HAND, 60, cause="stop")), f"off since 22:03: {BY_HAND_ONLY}"),
        (UP, (BORN, ENDED, deed("start domain/web", 60, "failed", "no")), f"off since 22:03: {BY_HAND_ONLY}"),
        (UP, (event(What.BY_HAND, 60, cause="stop"),), f"off: {BY_HAND_ONLY}"),
    ],
)
def test_since_when_it_is_off(kept: Memory, past: tuple[Entry, ...], sentence: str) -> None:
    assert first(MANUAL, observed(), kept, *past) == sentence


# Of one that no section names only the history can tell how it ended.


@pytest.mark.parametrize(
    ("past", "end"),
    [
        ((BORN, ENDED), "the guest crashed"),
        ((BORN, ended(Off.VANISHED, 600)), "somebody destroyed it with xl"),
        ((BORN, ended("", 600)), "it ended, and nothing is remembered of how"),
        ((BORN, ended("by a later version", 600)), "by a later version"),
        ((ENDED, BORN), "it ended, and nothing is remembered of how"),
    ],
)
def test_of_one_that_no_section_names_the_history_tells_how_it_ended(past: tuple[Event, ...], end: str) -> None:
    sentence = first(desired(), observed(), UP, *past)
    assert sentence.removeprefix("off since 22:03: ").removeprefix("off: ") == (
        f"no section of the files names it, so it is not started; {end}"
    )


# What keeps it off: the host that goes down, what the plan refuses or notices, a step that comes first, or the files.


@pytest.mark.parametrize(
    ("want", "seen", "kept", "sentence"),
    [
        (
            WEB,
            observed(),
            memory(shutting_down=NOW),
            "off: the host is shutting down, and nothing is started until `xenlocal boot`",
        ),
        (
            WEB,
            observed(),
            memory(boot_done=False),
            "off: domUs are left alone until the boot goal has run (xenlocal-guests.service)",
        ),
        (
            WEB,
            observed(),
            memory(rec("web", hand=Hand.STOP)),
            "off: stopped by hand until `xenlocal start web` or the next boot",
        ),
        (desired(dom("web", state=State.STOPPED)), observed(), UP, "off: state = stopped in a.conf:1"),
        (
            desired(dom("web", lv("web"))),
            observed(storage=Unavailable("lvm hangs"), network=Unavailable("ip hangs")),
            UP,
            "off: disk xvda: volume/vg0/web the host's storage could not be found out (lvm hangs)",
        ),
        (
            desired(dom("web", bridges=("br0",)), br("br0", external=True), dom("zoo", lv("zoo"))),
            observed(storage=Unavailable("lvm hangs"), network=Unavailable("ip hangs")),
            UP,
            "off: the host's network could not be found out (ip hangs)",
        ),
        (
            desired(dom("web", kernel="/boot/gone"), dom("zoo", lv("zoo"))),
            observed(storage=Unavailable("lvm hangs")),
            UP,
            "off: kernel /boot/gone does not exist (a.conf:1)",
        ),
        (WEB, observed(), UP, f"off: {STARTING}"),
        (WEB, observed(), memory(rec("web", hand=Hand.START)), "off: it is about to be started: started by hand"),
        (
            WEB,
            observed(),
            memory(rec("web", off=Off.CRASH, off_since=NOW - 9, crashes=(NOW - 9,))),
            "off since 22:13: it is about to be started: the guest crashed once (on_crash = restart)",
        ),
        (
            MANUAL,
            observed(live(3, "web", "shutdown")),
            memory(ready("web", 3, declared="manual", off=Off.STOPPED, off_since=NOW - 60)),
            f"off since 22:12: {BY_HAND_ONLY}",
        ),
    ],
)
def test_what_keeps_it_off(want: Desired, seen: Observed, kept: Memory, sentence: str) -> None:
    assert first(want, seen, kept) == sentence


def test_the_shell_of_one_preserved_after_its_crash_is_no_reason_of_the_files() -> None:
    """What the files say of one whose shell is kept depends on that shell."""
    want = desired(dom("web", state=State.MANUAL, on_crash=OnCrash.PRESERVE))
    kept = memory(ready("web", 3, declared="manual", off=Off.CRASH, off_since=NOW - 60))
    assert first(want, observed(live(3, "web", "crashed")), kept) == (
        "off since 22:12: the guest crashed and is kept for you to look at (on_crash = preserve); start it with "
        "`xenlocal start web`"
    )


def test_before_the_boot_goal_a_shell_says_how_its_guest_ended() -> None:
    kept = memory(ready("web", 3, off=Off.POWEROFF, off_since=NOW - 60), boot_done=False)
    assert first(WEB, observed(live(3, "web", "shutdown")), kept) == (
        "off since 22:12: the guest powered itself off (on_poweroff = stay-off); start it with `xenlocal start web`"
    )


# A step that must come first

DISKS = desired(dom("web", lv("a", vdev="xvda"), lv("b", vdev="xvdb")))
FULL = "it waits for volume/vg0/a: create failed at 22:03: no extents"


@pytest.mark.parametrize(
    ("past", "reasons"),
    [
        ((), STARTING),
        ((deed("create volume/vg0/a", 600, "failed", "no extents"),), FULL),
        (
            (deed("create volume/vg0/a", 600, "late", "hangs"),),
            "it waits for volume/vg0/a: create late at 22:03: hangs",
        ),
        (
            (
                deed("create volume/vg0/a", 1200, "late", "hangs"),
                deed("create volume/vg0/a", 900, "done"),
                deed("create volume/vg0/a", 600, "failed", "no extents"),
            ),
            FULL,
        ),
        (
            (
                deed("create volume/vg0/a", 900, "failed", "no extents"),
                deed("create volume/vg0/a", 600, "done"),
            ),
            STARTING,
        ),
        ((deed("grow volume/vg0/a", 600, "failed", "no extents"),), STARTING),
        ((deed("create volume/vg0/c", 600, "failed", "no extents"),), STARTING),
        ((event(What.OFF, 600, cause="crash"),), STARTING),
        (
            (
                deed("create volume/vg0/b", 300, "failed", "no mirrors"),
                deed("create volume/vg0/a", 600, "failed", "no extents"),
            ),
            f"{FULL}; it waits for volume/vg0/b: create failed at 22:08: no mirrors",
        ),
    ],
)
def test_a_step_that_must_come_first_and_has_failed_is_what_it_waits_for(past: tuple[Entry, ...], reasons: str) -> None:
    assert "start domain/web" in ids(plan(DISKS, observed()))
    assert first(DISKS, observed(), UP, *past).partition(": ")[2] == reasons


@pytest.mark.parametrize(
    ("past", "reasons"),
    [
        ((), "it waits until domain/db is ready"),
        ((deed("await domain/db", 600, "done"),), "it waits until domain/db is ready"),
        (
            (deed("await domain/db", 600, "failed", "no such program"),),
            "it waits for domain/db: await failed at 22:03: no such program",
        ),
    ],
)
def test_one_that_it_needs_and_that_is_not_ready_yet_is_what_it_waits_for(
    past: tuple[Entry, ...], reasons: str
) -> None:
    want = desired(dom("web", needs=("db",)), dom("db", probe=TCP))
    assert first(want, observed(live(4, "db")), memory(rec("db", domid=4, born=NOW - 9)), *past) == f"off: {reasons}"


# How its last life ended, where that is not what keeps it off

HOST = "the host is shutting down, and nothing is started until `xenlocal boot`"
POWERED_OFF = "the guest powered itself off (or was asked to with `xl shutdown`, which looks the same)"
IN_VAIN = {"stop_asked": NOW - 160, "given_up": "within hung_timeout = 12s (no acknowledgement, quiet disks)"}
NOT_IN_TIME = (
    "it had not stopped within hung_timeout = 12s (no acknowledgement, quiet disks) and was destroyed by xenlocal"
)
BY_XENLOCAL = "before that: it was destroyed by xenlocal"


def ended_so(off: Off, **values: Any) -> Memory:
    shuts = NOW if values.pop("host_down", False) else None
    return memory(rec("web", off=off, off_since=NOW - 60, **values), shutting_down=shuts)


@pytest.mark.parametrize(
    ("off", "values", "reasons"),
    [
        (Off.POWEROFF, {}, [HOST, f"before that: {POWERED_OFF}"]),
        (Off.CRASH, {}, [HOST, "before that: the guest crashed"]),
        (Off.CRASH, {"stop_asked": NOW - 160}, [HOST, "before that: the guest crashed"]),
        (Off.STOPPED, {}, [HOST]),
        (Off.VANISHED, {}, [HOST, "before that: somebody destroyed it with xl"]),
        (Off.REBOOTING, {}, [HOST]),
        (Off.LOST, {}, [HOST, "before that: it disappeared, and nothing tells why"]),
        (Off.DESTROYED, {}, [HOST, BY_XENLOCAL]),
        (Off.DESTROYED, {"hand": Hand.DESTROY}, [HOST, BY_XENLOCAL]),
        (Off.DESTROYED, {"stop_asked": NOW - 160}, [HOST, BY_XENLOCAL]),
        (Off.DESTROYED, IN_VAIN, [HOST, NOT_IN_TIME]),
        (Off.CRASH, IN_VAIN, [HOST, "before that: the guest crashed"]),
    ],
)
def test_how_its_last_life_ended_is_told_beside_what_keeps_it_off(
    off: Off, values: dict[str, Any], reasons: list[str]
) -> None:
    assert first(WEB, observed(), ended_so(off, **values, host_down=True)) == f"off since 22:12: {'; '.join(reasons)}"


STAYS_OFF = "start it with `xenlocal start web`"
STOPPED = "stopped by hand until `xenlocal start web` or the next boot"
DESTROYED = "destroyed by hand; off until `xenlocal start web` or the next boot"
GONE = "the guest disappeared once (nothing tells why); it is started after a pause"


@pytest.mark.parametrize(
    ("off", "values", "reasons"),
    [
        (Off.POWEROFF, {}, f"the guest powered itself off (on_poweroff = stay-off); {STAYS_OFF}"),
        (Off.CRASH, {}, f"the guest crashed (on_crash = stay-off); {STAYS_OFF}"),
        (Off.VANISHED, {}, f"destroyed by somebody with xl, not by xenlocal; {STAYS_OFF}"),
        (Off.LOST, {"crashes": (NOW - 1,)}, GONE),
        (Off.DESTROYED, {"hand": Hand.DESTROY}, DESTROYED),
        (Off.DESTROYED, {"hand": Hand.DESTROY, "stop_asked": NOW - 160}, DESTROYED),
        (Off.DESTROYED, {"hand": Hand.STOP, **IN_VAIN}, f"{STOPPED}; {NOT_IN_TIME}"),
        (Off.DESTROYED, {"hand": Hand.STOP}, f"{STOPPED}; {BY_XENLOCAL}"),
        (Off.STOPPED, {"hand": Hand.STOP, "stop_asked": NOW - 160}, STOPPED),
    ],
)
def test_and_not_told_again_where_it_is_what_keeps_it_off(off: Off, values: dict[str, Any], reasons: str) -> None:
    values = {"retry_at": NOW + 30, **values} if off is Off.LOST else values
    want = desired(dom("web", on_poweroff=OnPoweroff.STAY_OFF, on_crash=OnCrash.STAY_OFF))
    assert first(want, observed(), ended_so(off, **values)) == f"off since 22:12: {reasons}"


def test_one_reason_that_tells_of_its_end_is_enough() -> None:
    """Beside it there are others that do not."""
    want = desired(dom("web", on_crash=OnCrash.STAY_OFF))
    seen = observed(live(3, "web", "dying"))
    kept = memory(rec("web", domid=3, off=Off.CRASH, off_since=NOW - 90, dying_since=NOW - 90))
    assert first(want, seen, kept).count("crashed") == 1
    assert "has been dying for more than 60 s" in first(want, seen, kept)
