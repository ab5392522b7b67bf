"""DESIGN rule 12: at host shutdown every guest is asked, in reverse order; the whole fits the deadline."""

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    NOW,
    action,
    actions,
    desired,
    dom,
    edges,
    ids,
    live,
    memory,
    noticed,
    observed,
    plan,
    ready,
    rec,
    refused,
)
from xenlocal.model.actions import StopDomain
from xenlocal.model.memory import Hand, Memory, Off, Record, Reply
from xenlocal.model.observed import LiveDomain, Observed, Table, Unavailable
from xenlocal.model.plan import Goal, Plan
from xenlocal.model.units import Duration
from xenlocal.planner.shutdown import DEFAULT_STOP


def down(*lives: LiveDomain, kept: Memory, now: float = NOW, **host: object) -> Plan:
    return plan(desired(**host), observed(*lives), kept, Goal.SHUTDOWN, now)


def chain(*names: str, timeout: float = 300.0, **values: object) -> tuple[list[LiveDomain], list[Record]]:
    lives = [live(number, name) for number, name in enumerate(names, 1)]
    records = [
        ready(name, number, predecessors=tuple(names[: number - 1][-1:]), stop_timeout=timeout, **values)
        for number, name in enumerate(names, 1)
    ]
    return lives, records


def test_every_live_guest_is_asked_whatever_it_is() -> None:
    made = down(
        live(1, "ours"),
        live(2, "orphan"),
        live(3, "foreign"),
        live(4, "byhand"),
        live(5, "asleep", "paused"),
        kept=memory(
            ready("ours", 1),
            ready("orphan", 2, declared=""),
            ready("byhand", 4, declared="manual", hand=Hand.START),
            ready("asleep", 5),
        ),
    )
    assert {step.name: step.destroy for step in actions(made, StopDomain)} == {
        "ours": True,
        "orphan": True,
        "foreign": False,
        "byhand": True,
        "asleep": True,
    }
    assert action(made, "stop domain/foreign").timeout == Duration(DEFAULT_STOP)
    assert all(not step.after for step in made.steps)


def test_followers_end_before_those_they_stand_on_are_asked() -> None:
    lives, records = chain("nas", "db", "web")
    made = down(*lives, live(9, "free"), kept=memory(*records))
    assert edges(made, "stop domain/nas")[0] == ("stop domain/db",)
    assert edges(made, "stop domain/db")[0] == ("stop domain/web",)
    assert edges(made, "stop domain/web") == ((), ())


def test_the_order_holds_across_one_that_is_off() -> None:
    lives, records = chain("nas", "db", "cache", "web")
    off = [replace(record, domid=None, ready=False) for record in records[1:3]]
    made = down(lives[0], lives[3], kept=memory(records[0], *off, records[3]))
    assert edges(made, "stop domain/nas")[0] == ("stop domain/web",)
    made = down(lives[0], live(2, "db", "shutdown"), lives[3], kept=memory(*records[:2], off[1], records[3]))
    assert edges(made, "stop domain/nas")[1] == ("reap domain/db",)
    assert edges(made, "reap domain/db")[1] == ("stop domain/web",)
    circle = replace(off[0], predecessors=("cache", "db", "web"))  # remembered of sections that have vanished
    made = down(lives[0], lives[3], kept=memory(records[0], circle, off[1], records[3]))
    assert len(actions(made, StopDomain)) == 2


def test_one_renamed_in_the_files_while_it_runs_keeps_its_place() -> None:
    lives, records = chain("nas", "web")
    store, web = replace(records[0], name="store"), replace(records[1], predecessors=("store",))
    assert edges(down(*lives, kept=memory(store, web)), "stop domain/nas")[0] == ("stop domain/web",)


def test_one_already_asked_is_not_asked_again() -> None:
    kept = memory(ready("web", 1, stop_asked=NOW - 5))
    assert action(down(live(1, "web"), kept=kept), "stop domain/web").asked == NOW - 5
    assert action(down(live(2, "web", "paused"), kept=kept), "stop domain/web").asked is None, "its next life"


def test_a_foreign_guest_is_asked_once_and_gets_no_more_time() -> None:
    foreign = live(3, "theirs")
    made = down(foreign, kept=memory(foreign_asked={3: NOW - 5}, shutting_down=NOW - 5))
    assert action(made, "stop domain/theirs").asked == NOW - 5
    made = down(foreign, kept=memory(foreign_asked={3: NOW - 301}, shutting_down=NOW - 301))
    assert not made.steps and "left running" in noticed(made, "domain/theirs")
    reborn = down(live(4, "theirs"), kept=memory(foreign_asked={3: NOW - 301}, shutting_down=NOW - 301))
    assert action(reborn, "stop domain/theirs").asked is None


def test_shells_of_ours_are_reaped_shells_of_others_and_the_dying_left() -> None:
    made = down(
        live(1, "ours", "shutdown"),
        live(2, "theirs", "crashed"),
        live(3, "going", "dying"),
        kept=memory(ready("ours", 1), ready("going", 3)),
    )
    assert ids(made) == ("reap domain/ours",)


def test_within_the_deadline_everyone_has_its_own_time() -> None:
    lives, records = chain("a", "b", timeout=300)
    made = down(*lives, kept=memory(*records, shutting_down=NOW))
    assert {step.timeout for step in actions(made, StopDomain)} == {Duration(300)}
    assert not made.notices


def test_a_chain_longer_than_the_deadline_is_scaled_and_that_is_said() -> None:
    lives, records = chain("a", "b", "c", "d", timeout=600)
    made = down(*lives, kept=memory(*records, shutting_down=NOW), shutdown_deadline=Duration(615))
    assert {step.timeout for step in actions(made, StopDomain)} == {Duration(150)}
    assert "every guest that is tied to it gets 25% of its own" in noticed(made, "host/this")


def test_a_chain_that_is_too_long_takes_no_time_from_those_that_have_no_part_in_it() -> None:
    lives, records = chain("a", "b", "c", "d", timeout=600)
    kept = memory(*records, ready("alone", 9, stop_timeout=200.0), shutting_down=NOW)
    made = down(*lives, live(9, "alone"), kept=kept, shutdown_deadline=Duration(615))
    assert action(made, "stop domain/alone").timeout == Duration(200)
    assert action(made, "stop domain/a").timeout == Duration(150)


@pytest.mark.parametrize("passed", [0, 10, 100, 149])
def test_a_plan_made_again_gives_nobody_less_time_than_before(passed: float) -> None:
    lives, records = chain("a", "b", "c", "d", timeout=600)
    asked = replace(records[-1], stop_asked=NOW, reply=Reply(NOW))
    kept = memory(*records[:-1], asked, shutting_down=NOW)
    made = down(*lives, kept=kept, now=NOW + passed, shutdown_deadline=Duration(615))
    for step in actions(made, StopDomain):
        assert step.timeout.seconds == pytest.approx(150, abs=0.01)


def test_after_the_deadline_everyone_is_still_asked() -> None:
    lives, records = chain("a", "b")
    made = down(*lives, kept=memory(*records, shutting_down=NOW - 9999))
    assert len(actions(made, StopDomain)) == 2


def test_unknown_domains_end_no_plan_in_silence() -> None:
    made = plan(desired(dom("web")), observed(domains=Unavailable("xl failed")), memory(), Goal.SHUTDOWN)
    assert not made.steps and made.unavailable == (("domains", "xl failed"),)


def test_two_domains_of_one_name_are_both_asked() -> None:
    made = down(live(1, "web"), live(2, "web", uuid="other"), kept=memory(ready("web", 1)))
    assert {step.domid for step in actions(made, StopDomain)} == {1, 2}


def test_an_order_that_has_become_a_circle_keeps_nobody_from_being_asked() -> None:
    """`web` once stood after `db`; its section got another uuid, and now `db` stands after `web`."""
    made = down(
        live(1, "web"),
        live(2, "db"),
        kept=memory(
            ready("web", 1, declared="", predecessors=("db",)),
            ready("db", 2, predecessors=("web",)),
        ),
    )
    assert len(actions(made, StopDomain)) == 2


def waiting(*lives: LiveDomain, kept: Memory, now: float = NOW, monitors: object = frozenset({"web"})) -> Plan:
    return plan(desired(dom("web")), observed(*lives, monitors=monitors), kept, Goal.SHUTDOWN, now)


@pytest.mark.parametrize("off", [None, Off.REBOOTING, Off.STOPPED])
def test_a_domu_that_an_xl_process_is_about_to_bring_up_is_waited_for(off: Off | None) -> None:
    """Its monitor after the guest's own reboot, or an `xl create` that outlived a killed daemon."""
    record = rec("web", off=off, off_since=off and NOW - 1)
    made = waiting(kept=memory(record, shutting_down=NOW - 9))
    assert not made.steps and "xl" in refused(made, "domain/web")
    assert made.look_again is not None and NOW < made.look_again <= NOW + 5
    born = waiting(live(7, "web"), kept=memory(ready("web", 7), shutting_down=NOW - 9))
    assert ids(born) == ("stop domain/web",) and not born.refusals
    assert not waiting(kept=memory(record, shutting_down=NOW - 9), monitors=frozenset()).refusals


def test_a_guest_that_just_ended_in_order_to_reboot_is_waited_for() -> None:
    kept = memory(ready("web", 3, stop_asked=NOW - 300, dying_since=NOW - 1), shutting_down=NOW - 300)
    assert "xl" in refused(waiting(live(3, "web", "dying"), kept=kept), "domain/web")


def test_an_xl_process_that_hangs_does_not_hold_up_the_host_for_long() -> None:
    kept = memory(rec("web", off=Off.STOPPED, off_since=NOW - 5000), shutting_down=NOW - 300)
    made = waiting(kept=kept)
    assert not made.refusals and "not waited for" in noticed(made, "domain/web")


def test_what_is_started_after_the_shutdown_had_ended_is_left_alone() -> None:
    made = down(live(1, "web"), kept=memory(ready("web", 1), shutting_down=NOW - 9000, shutdown_over=True))
    assert not made.steps and "xenlocal boot" in noticed(made, "domain/web")


def test_a_table_that_was_not_asked_for_is_asked_for_and_not_called_a_fault() -> None:
    made = plan(desired(), Observed(), memory(), Goal.SHUTDOWN)
    assert made.wanted == {Table.DOMAINS} and not made.notices and not made.steps
    made = plan(desired(), Observed(domains=Unavailable("xl hangs")), memory(), Goal.SHUTDOWN)
    assert "no guest can be seen" in noticed(made, "host/this")
