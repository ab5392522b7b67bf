"""What a look teaches: who counts as gone and why, under whose name its monitor is asked, and what another state or
another probe in the files changes of what is remembered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import NOW, TCP, desired, dom, live, memory, observed, ready, rec, uid
from xenlocal.model.desired import State
from xenlocal.model.memory import Memory, Off, Record, Reply
from xenlocal.model.observed import LiveDomain, Unavailable
from xenlocal.model.probes import NO_PROBE
from xenlocal.planner.looks import learn, names_of_monitor, unexplained
from xenlocal.planner.memory import REBOOT_GRACE

WEB = desired(dom("web"))


def after(record: Record, *lives: LiveDomain, words: Off | None = None, now: float = NOW, **web: Any) -> Record:
    """web's record after one look."""
    told = {uid("web"): words} if words else {}
    return learn(memory(record), desired(dom("web", **web)), observed(*lives), told, now).records[uid("web")]


# Whose monitor is asked for its last words


@pytest.mark.parametrize(
    ("gone", "asked"),
    [
        (ready("web", 5), True),
        (ready("web", 5, off=Off.CRASH, off_since=NOW), False),
        (rec("web"), False),
        (rec("web", off=Off.REBOOTING, off_since=NOW), True),
        (rec("web", off=Off.LOST, off_since=NOW - REBOOT_GRACE), True),
        (rec("web", off=Off.REBOOTING, off_since=NOW - REBOOT_GRACE), True),
        (rec("web", off=Off.REBOOTING, off_since=NOW - REBOOT_GRACE - 1), False),
        (rec("web", off=Off.REBOOTING), True),
        (rec("web", off=Off.VANISHED, off_since=NOW), False),
    ],
)
def test_last_words_are_read_while_they_may_tell_something_new(gone: Record, asked: bool) -> None:
    assert unexplained(memory(gone), observed(), NOW) == ((uid("web"),) if asked else ())


def test_they_are_read_in_the_order_of_the_uuids() -> None:
    names = "abcdefgh"
    kept = memory(*(ready(name, number) for number, name in enumerate(names)))
    assert unexplained(kept, observed(), NOW) == tuple(sorted(map(uid, names)))


@pytest.mark.parametrize(
    ("monitor", "lives", "names"),
    [
        ("", (), ("web",)),
        ("web", (), ("web",)),
        ("old", (), ("old", "web")),
        ("old", (live(9, "db"),), ("old", "web")),
        ("old", (live(9, "db"), live(8, "old")), ("web",)),
        ("old", (live(5, "old", uuid=uid("web")),), ("old", "web")),
    ],
)
def test_a_monitor_goes_by_the_name_that_its_domu_had_unless_that_is_anothers_by_now(
    monitor: str, lives: tuple[LiveDomain, ...], names: tuple[str, ...]
) -> None:
    assert names_of_monitor(rec("web", monitor=monitor), observed(*lives)) == names


def test_where_it_is_unknown_who_runs_nobody_is_known_to_have_taken_its_name() -> None:
    assert names_of_monitor(rec("web", monitor="old"), observed(domains=Unavailable("no"))) == ("old", "web")


# Another state in the files


@pytest.mark.parametrize(
    ("before", "now", "withdrawn"),
    [
        (State.STOPPED, State.RUNNING, True),
        (State.STOPPED, State.MANUAL, True),
        (State.ABSENT, State.RUNNING, True),
        (State.RUNNING, State.STOPPED, False),
        (State.STOPPED, State.ABSENT, False),
        (State.STOPPED, State.STOPPED, False),
    ],
)
def test_a_request_to_stop_is_withdrawn_by_a_state_that_lets_it_run(before: State, now: State, withdrawn: bool) -> None:
    asked = ready("web", 5, declared=before, stop_asked=NOW - 9)
    record = after(asked, live(5, "web"), state=now)
    assert record.reply == (None if withdrawn else Reply(NOW - 9))
    assert record.stop_asked == NOW - 9, "what it was asked, it was asked"


def test_a_new_state_forgets_what_has_failed_before_it() -> None:
    failed = rec("web", declared="manual", failures=2, failure="no memory", retry_at=NOW + 99, off=Off.CRASH)
    assert after(failed) == replace(
        failed, declared="running", failures=0, failure="", retry_at=None, off=None, away=NOW
    )


def test_a_new_state_does_not_forget_that_its_monitor_brings_it_back() -> None:
    reboots = rec("web", declared="manual", off=Off.REBOOTING, off_since=NOW - 1)
    record = after(reboots)
    assert (record.off, record.off_since) == (Off.REBOOTING, NOW - 1)


# Another probe in the files

PROVED = ready("web", 5, probed=NOW - 1)
LOST = rec(
    "web",
    domid=5,
    born=1.0,
    xl_name="web",
    monitor="web",
    gave_up_waiting=True,
    lost=NOW - 5,
    unready="no",
    untried=True,
)


@pytest.mark.parametrize("record", [PROVED, LOST])
def test_what_another_probe_has_proved_is_to_be_proved_anew(record: Record) -> None:
    fresh = replace(
        record, ready=False, gave_up_waiting=False, probed=None, lost=None, unready="", untried=False, probe=str(TCP)
    )
    assert after(record, live(5, "web"), probe=TCP) == fresh


@pytest.mark.parametrize("known", ["", str(NO_PROBE)])
def test_the_same_probe_or_one_that_was_not_noted_yet_changes_nothing(known: str) -> None:
    assert after(replace(PROVED, probe=known), live(5, "web")) == PROVED


# Since when it is away


def test_it_is_away_since_the_first_look_that_did_not_show_it() -> None:
    gone = after(ready("web", 5))
    assert gone.away == NOW
    again = after(gone, now=NOW + 7)
    assert again.away == NOW
    assert after(again, live(6, "web"), now=NOW + 9).away is None


# The memory as a whole


def test_records_come_in_the_order_of_their_uuids() -> None:
    names = "abcdefgh"
    kept = learn(Memory(), desired(*map(dom, names)), observed(), {}, NOW)
    assert list(kept.records) == sorted(map(uid, names))


def test_those_whose_section_is_gone_are_declared_no_more_and_the_others_are() -> None:
    kept = memory(ready("web", 5), ready("old", 6))
    known = learn(kept, WEB, observed(live(5, "web"), live(6, "old")), {}, NOW).records
    assert {record.name: record.declared for record in known.values()} == {"web": "running", "old": ""}


@pytest.mark.parametrize("off", [Off.REBOOTING, Off.LOST])
@pytest.mark.parametrize(("since", "kept"), [(NOW - REBOOT_GRACE, True), (NOW - REBOOT_GRACE - 1, False), (None, True)])
def test_a_vanished_section_is_remembered_while_its_domu_may_come_back(
    off: Off, since: float | None, kept: bool
) -> None:
    gone = memory(rec("old", off=off, off_since=since))
    assert bool(learn(gone, desired(), observed(), {}, NOW).records) is kept


def test_a_section_that_is_there_has_the_place_that_it_gives_its_domu_and_no_other() -> None:
    """Its predecessor, which came after db, has vanished from the files and is off."""
    gone = rec("gone", declared="", predecessors=("db",))
    want = desired(dom("db"), dom("web", after=("gone",)))
    assert learn(memory(gone), want, observed(), {}, NOW).records[uid("web")].predecessors == ("gone",)


def test_one_without_a_section_comes_after_what_those_came_after_that_vanished_with_it() -> None:
    forgotten, runs = rec("mid", declared="", predecessors=("db",)), ready("old", 5, declared="", predecessors=("mid",))
    kept = learn(memory(forgotten, runs), desired(dom("db")), observed(live(5, "old")), {}, NOW).records
    assert uid("mid") not in kept and kept[uid("old")].predecessors == ("mid", "db")


# Who had to be destroyed during the shutdown of the host


def forced(*records: Record, since: float | None = NOW - 300) -> tuple[str, ...]:
    want = desired(*(dom(record.name) for record in records))
    return learn(memory(*records, shutting_down=since), want, observed(), {}, NOW).forced


def test_those_that_were_being_destroyed_are_named_in_order() -> None:
    names = "abcdefgh"
    assert forced(*(ready(name, n, destroying=n) for n, name in enumerate(names, 1))) == tuple(names)


def test_nobody_is_named_outside_of_a_shutdown_of_the_host() -> None:
    assert forced(ready("web", 5, destroying=5), since=None) == ()


def test_one_that_ended_by_itself_in_the_last_moment_is_not_named() -> None:
    assert forced(ready("web", 5, destroying=5, off=Off.STOPPED, off_since=NOW)) == ()
