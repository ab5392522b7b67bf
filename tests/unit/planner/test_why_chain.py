"""`why` of a domU that is off for what it needs: whom it waits for, why that one is not there, and so on to the root,
where it is said what to type."""

from __future__ import annotations

import pytest

from tests.unit.planner.asking import deed, ended, first, told
from tests.unit.planner.build import (
    NOW,
    TCP,
    UP,
    br,
    desired,
    dom,
    live,
    lv,
    memory,
    observed,
    ready,
    rec,
)
from xenlocal.model.desired import Desired, State
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.model.observed import Observed
from xenlocal.planner import xlcfg

pytestmark = pytest.mark.usefixtures("utc")
MANUAL = "off: state = manual: started by hand only"
START_NAS = "start it with `xenlocal start nas`"
NAS = dom("nas", state=State.MANUAL)
CHAIN = desired(dom("web", needs=("db",)), dom("db", needs=("nas",)), NAS)


def test_each_link_is_told_and_the_last_one_says_what_to_type() -> None:
    assert told(CHAIN, observed()) == (
        "off: needs domain/db, which waits for domain/nas: is off: state = manual: started by hand only",
        "domain/web needs domain/db, which is off: needs domain/nas, which is off: state = manual: started by hand "
        "only",
        f"domain/db needs domain/nas, which is {MANUAL}",
        START_NAS,
    )


def test_the_chain_begins_with_who_is_asked_for() -> None:
    assert told(CHAIN, observed(), name="db") == (
        "off: needs domain/nas, which is off: state = manual: started by hand only",
        f"domain/db needs domain/nas, which is {MANUAL}",
        START_NAS,
    )
    assert told(CHAIN, observed(), name="nas") == (MANUAL, START_NAS)


def test_one_that_two_of_them_need_is_followed_once() -> None:
    want = desired(dom("web", needs=("a", "b")), dom("a", needs=("nas",)), dom("b", needs=("nas",)), NAS)
    needs_nas = f"needs domain/nas, which is {MANUAL}"
    assert told(want, observed()) == (
        "off: needs domain/a, which waits for domain/nas: is off: state = manual: started by hand only",
        f"domain/web needs domain/a, which is off: {needs_nas}",
        f"domain/a {needs_nas}",
        START_NAS,
        f"domain/web needs domain/b, which is off: {needs_nas}",
        "it starts by itself as soon as that has changed",
    )


def test_all_that_it_needs_are_told_in_the_order_of_their_names() -> None:
    names = tuple("hgfedcba")
    want = desired(dom("web", needs=names), *(dom(name, state=State.STOPPED) for name in names))
    lines = [line for line in told(want, observed()) if line.startswith("domain/web needs ")]
    assert lines == [
        f"domain/web needs domain/{name}, which is off: state = stopped in a.conf:1" for name in "abcdefgh"
    ]


# Who is there for it: what runs and is ready. A name that no section has any more is nobody.

READY = observed(live(4, "db"))
AS_DECLARED = xlcfg.settings(dom("db"))


@pytest.mark.parametrize(
    ("needs", "seen", "kept", "lines"),
    [
        (("db",), READY, memory(ready("db", 4)), ["it starts by itself as soon as that has changed"]),
        (("gone", "db"), READY, memory(ready("db", 4)), ["it starts by itself as soon as that has changed"]),
        (
            ("db",),
            READY,
            memory(rec("db", domid=4, born=NOW - 60, running=AS_DECLARED)),
            ["domain/web needs domain/db, which is running since 22:12 (domid 4), not known to be ready yet"],
        ),
        (
            ("db",),
            READY,
            memory(rec("db", domid=4, born=NOW - 600, running=AS_DECLARED, gave_up_waiting=True)),
            [
                "domain/web needs domain/db, which is running since 22:03 (domid 4), but it was not ready within "
                "start_timeout = 5m",
                "`xenlocal console db` shows what it does; its [[ready]] is in a.conf",
            ],
        ),
        (
            ("db",),
            READY,
            UP,
            ["domain/web needs domain/db, which is running (domid 4), not seen by the daemon yet"],
        ),
        (
            ("db",),
            observed(live(4, "db", "crashed")),
            memory(ready("db", 4, off=Off.CRASH, off_since=NOW - 60, hand=Hand.STOP)),
            [
                "domain/web needs domain/db, which is off since 22:12: stopped by hand until `xenlocal start db` or "
                "the next boot; before that: the guest crashed"
            ],
        ),
    ],
    ids=["ready", "one is nobody", "not ready yet", "late", "not seen yet", "only its shell"],
)
def test_only_who_is_not_there_for_it_is_told_of(
    needs: tuple[str, ...], seen: Observed, kept: Memory, lines: list[str]
) -> None:
    want = desired(dom("web", kernel="/boot/gone", needs=needs), dom("db"))
    assert told(want, seen, kept) == ("off: kernel /boot/gone does not exist (a.conf:1)", *lines)


def test_one_that_is_about_to_start_tells_whom_it_waits_for() -> None:
    """Nothing is refused: all of them are being started, but the disk of one cannot be made."""
    want = desired(dom("web", needs=("db",)), dom("db", lv("db"), probe=TCP))
    full = deed("create volume/vg0/db", 60, "failed", "no extents")
    assert told(want, observed(), UP, full) == (
        "off: it waits until domain/db is ready",
        "domain/web needs domain/db, which is off: it waits for volume/vg0/db: create failed at 22:12: no extents",
    )


@pytest.mark.parametrize(
    ("want", "kept", "answer"),
    [
        (
            desired(dom("web", state=State.STOPPED, needs=("nas",)), NAS),
            UP,
            (
                "off: state = stopped in a.conf:1",
                "`xenlocal start web` starts it until the next boot; state = running in a.conf:1 for good",
            ),
        ),
        (
            desired(dom("web", needs=("nas",)), NAS),
            memory(rec("web", hand=Hand.STOP)),
            ("off: stopped by hand until `xenlocal start web` or the next boot",),
        ),
        (
            desired(dom("web", needs=("nas",)), NAS),
            memory(shutting_down=NOW),
            ("off: the host is shutting down, and nothing is started until `xenlocal boot`",),
        ),
    ],
)
def test_what_is_not_to_be_started_waits_for_nobody(want: Desired, kept: Memory, answer: tuple[str, ...]) -> None:
    assert told(want, observed(), kept) == answer


def test_one_that_runs_tells_of_itself_alone() -> None:
    """Also where something is refused of it: that what it needs is off by now is no matter of its start."""
    want = desired(dom("web", needs=("nas",), kernel="/boot/gone"), NAS)
    kept = memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3))
    (only,) = told(want, observed(live(3, "web")), kept)
    assert only.startswith("running since 21:56 (domid 3), ready; not restarted, and goes on running: kernel")


def test_what_its_own_past_tells_comes_after_the_chain() -> None:
    want = desired(dom("web", needs=("nas",)), NAS)
    past = (ended(Off.STOPPED, 600), ended(Off.CRASH, 300, "nas"))
    assert told(want, observed(), UP, *past) == (
        "off since 22:03: needs domain/nas, which is off: state = manual: started by hand only",
        "domain/web needs domain/nas, which is off since 22:08: state = manual: started by hand only",
        START_NAS,
        "its last life ended at 22:03: it was shut down cleanly by xenlocal",
    )


def test_a_refusal_of_another_keeps_nobody_off() -> None:
    """Neither of a bridge of the same name nor of another domU."""
    want = desired(dom("web"), br("web", ports=("eth0",), mtu=9000), dom("db", kernel="/boot/gone"))
    assert first(want, observed()) == "off: it is about to be started: state = running in a.conf:1"
