"""How much time each guest gets when the host shuts down: its own while the deadline has room for it, else a share; and
when its turn comes at the latest, though one that follows it is still there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import (
    NOW,
    action,
    actions,
    desired,
    edges,
    ids,
    live,
    memory,
    noticed,
    observed,
    plan,
    uid,
)
from tests.unit.planner.build import ready as ready
from xenlocal.model.actions import StopDomain
from xenlocal.model.memory import Hand, Memory, Record, Reply
from xenlocal.model.observed import LiveDomain
from xenlocal.model.plan import Goal, Plan
from xenlocal.model.units import Duration
from xenlocal.planner.shutdown import ENDGAME


def down(lives: list[LiveDomain], kept: Memory, deadline: float = 1500, passed: float = 0) -> Plan:
    want = desired(shutdown_deadline=Duration(deadline))
    return plan(want, observed(*lives), replace(kept, shutting_down=NOW), Goal.SHUTDOWN, NOW + passed)


def chain(**timeouts: float) -> tuple[list[LiveDomain], dict[str, Record]]:
    """Each guest stands on the one before: the last one is asked first."""
    lives, records = [], {}
    before: tuple[str, ...] = ()
    for number, (name, timeout) in enumerate(timeouts.items(), 1):
        lives.append(live(number, name))
        records[name] = ready(name, number, predecessors=before, stop_timeout=timeout)
        before = (name,)
    return lives, records


def asked(record: Record, when: float) -> Record:
    return replace(record, stop_asked=when, reply=Reply(when))


def stops(made: Plan) -> dict[str, StopDomain]:
    return {each.name: each for each in actions(made, StopDomain)}


@pytest.mark.parametrize("hvm", [True, False])
def test_alone_a_guest_has_its_own_time_and_all_of_the_deadline_to_grow_into(hvm: bool) -> None:
    record = ready("web", 3, stop_timeout=200.0, hung_timeout=30.0, stop_max=700.0, hvm=hvm)
    made = down([live(3, "web")], memory(record))
    end = NOW + 1500 - ENDGAME
    assert action(made, "stop domain/web") == StopDomain(
        "web",
        uid("web"),
        3,
        Duration(200),
        None,
        destroy=True,
        hung=Duration(30),
        most=Duration(700),
        grow_until=end,
        end_by=end,
        ask_by=end - 100,
        hvm=hvm,
    )
    assert made.steps[0].reason == "the host shuts down" and not made.notices


def test_a_foreign_guest_has_the_default_time() -> None:
    made = down([live(3, "theirs", uuid="foreign")], memory())
    end = NOW + 1500 - ENDGAME
    assert action(made, "stop domain/theirs") == StopDomain(
        "theirs",
        "foreign",
        3,
        Duration(300),
        None,
        destroy=False,
        hung=Duration(300),
        most=Duration(900),
        grow_until=end,
        end_by=end,
        ask_by=end - 150,
    )
    assert made.steps[0].reason == "the host shuts down; not ours, so only asked"


def test_one_that_grows_takes_no_time_from_those_that_are_asked_after_it() -> None:
    lives, records = chain(nas=300, db=200, cache=100, web=50)
    made, end = stops(down(lives, memory(*records.values()))), NOW + 1485
    until = {name: each.grow_until for name, each in made.items()}
    assert until == {"web": end - 600, "cache": end - 500, "db": end - 300, "nas": end}


def test_what_a_guest_has_used_up_of_its_time_is_no_longer_kept_for_it() -> None:
    lives, records = chain(nas=300, db=200, web=50)
    kept = memory(records["nas"], asked(records["db"], NOW - 150), records["web"])
    assert stops(down(lives, kept))["web"].grow_until == NOW + 1485 - 300 - 50


def test_a_shell_needs_no_time() -> None:
    lives, records = chain(nas=300, db=200, web=50)
    lives[1] = live(2, "db", "shutdown")
    made = down(lives, memory(*records.values()), deadline=350 + ENDGAME)
    web = stops(made)["web"]
    assert not made.notices and web.timeout == Duration(50)
    assert (web.grow_until, web.ask_by) == (NOW + 350 - 300, NOW + 350 - 300 - 25)
    assert "reap domain/db" in ids(made)


def test_shells_alone_need_no_time_either() -> None:
    made = down([live(3, "web", "crashed")], memory(ready("web", 3)), deadline=1)
    assert ids(made) == ("reap domain/web",) and not made.notices


# A chain that is too long for the deadline.


@pytest.mark.parametrize(("deadline", "share"), [(615, "60%"), (1014.99, "100%"), (1015, ""), (1500, "")])
def test_a_chain_gets_a_share_as_soon_as_it_does_not_fit_and_not_before(deadline: float, share: str) -> None:
    lives, records = chain(nas=600, db=300, web=100)
    made = down(lives, memory(*records.values()), deadline)
    told = (
        f"the stop timeouts along the longest chain exceed shutdown_deadline = {Duration(deadline)}:"
        f" every guest that is tied to it gets {share} of its own"
    )
    assert noticed(made, "host/this") == (told if share else "")
    times = {name: each.timeout.seconds for name, each in stops(made).items()}
    part = min((deadline - ENDGAME) / 1000, 1)
    assert times == pytest.approx({"nas": 600 * part, "db": 300 * part, "web": 100 * part})


def test_one_asked_long_ago_needs_no_time_any_more() -> None:
    """It is about to be destroyed: what is left is just enough for the one below."""
    lives, records = chain(nas=300, web=100)
    kept = memory(records["nas"], asked(records["web"], NOW - 500))
    made = down(lives, kept, deadline=300 + ENDGAME)
    assert not made.notices and stops(made)["nas"].timeout == Duration(300)


# Its last turn.


def last_turns(passed: float = 0, deadline: float = 1500, **timeouts: float) -> dict[str, float]:
    lives, records = chain(**timeouts)
    made = stops(down(lives, memory(*records.values()), deadline, passed))
    return {name: each.ask_by for name, each in made.items() if each.ask_by is not None}


def test_the_last_turn_leaves_a_guest_half_of_its_time_and_those_below_the_whole_of_theirs() -> None:
    end = NOW + 1485
    turns = last_turns(nas=300, db=200, cache=60, web=40)
    assert turns == {"nas": end - 150, "db": end - 400, "cache": end - 530, "web": end - 580}


@pytest.mark.parametrize("passed", [0, 100, 599])
def test_where_each_gets_a_share_the_last_turn_leaves_its_part_and_does_not_recede(passed: float) -> None:
    """By what waiting has left of the deadline it would come the later the longer one waits."""
    end = NOW + 600
    turns = last_turns(passed, deadline=600 + ENDGAME, nas=1200, db=800, web=400)
    assert turns == pytest.approx({"nas": end - 150, "db": end - 400, "web": end - 550})


def test_a_deadline_shorter_than_the_endgame_has_a_last_turn_too() -> None:
    """Else one behind a guest that hangs would not be asked before all was over."""
    lives, records = chain(nas=300, web=300)
    for each in stops(down(lives, memory(*records.values()), deadline=1)).values():
        assert each.ask_by is not None and each.end_by == NOW + 1 and NOW < each.ask_by < each.end_by


@pytest.mark.parametrize(("short", "waits"), [(0.5, True), (0, False), (-5, False)])
def test_from_its_last_turn_on_a_guest_waits_for_nobody(short: float, waits: bool) -> None:
    lives, records = chain(nas=300, web=100)
    kept: list[Any] = [records["nas"], asked(records["web"], NOW)]
    turn = 1485 - 150
    made = down(lives, memory(*kept), passed=turn - short)
    assert edges(made, "stop domain/nas") == ((("stop domain/web",) if waits else ()), ())


def test_what_a_guest_does_not_wait_for_any_more_those_that_it_stands_on_do() -> None:
    lives, records = chain(nas=300, db=200, web=40)
    made = down(lives, memory(*records.values()), passed=1485 - 400)
    assert edges(made, "stop domain/db") == ((), ())
    assert edges(made, "stop domain/nas") == (("stop domain/db", "stop domain/web"), ())
    other = ready("mail", 4, predecessors=("nas",), stop_timeout=200.0)
    both = replace(records["web"], predecessors=("db", "mail"))
    kept = memory(records["nas"], records["db"], other, both)
    made = down([*lives, live(4, "mail")], kept, passed=1485 - 400)
    assert edges(made, "stop domain/nas") == (("stop domain/db", "stop domain/mail", "stop domain/web"), ())
    records["db"] = replace(records["db"], hand=Hand.DESTROY, hand_domid=2)
    made = down(lives, memory(*records.values()))
    assert edges(made, "destroy domain/db") == ((), ())
    assert edges(made, "stop domain/nas") == (("destroy domain/db", "stop domain/web"), ())


def test_after_the_deadline_each_guest_has_a_second_to_be_asked_in() -> None:
    made = down([live(3, "web")], memory(ready("web", 3)), passed=9999)
    assert action(made, "stop domain/web").end_by == NOW + 9999 + 1
