"""What the change from one memory to the next means for people; every transition tells its own, and no other."""

from __future__ import annotations

from tests.unit.planner.build import NOW, desired, dom, live, memory, observed, plan, ready, rec, uid
from xenlocal.model.history import Stamp, What
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.planner import memory as transitions
from xenlocal.planner.happenings import edges, happenings
from xenlocal.planner.looks import learn

WANT = desired(dom("web"))
AT = Stamp(0.0, NOW)


def told(before: Memory, after: Memory) -> list[str]:
    return [f"{event.what} {event.cause}".strip() for event in happenings(before, after, AT)]


def seen(before: Memory, *domids: int, state: str = "running", words: Off | None = None) -> tuple[list[str], Memory]:
    look = observed(*(live(domid, "web", state) for domid in domids))
    after = learn(before, WANT, look, {uid("web"): words} if words else {}, NOW)
    return told(before, after), after


def test_each_end_has_its_cause_and_is_told_once() -> None:
    before = memory(ready("web", 3))
    assert seen(before, 3) == ([], before)
    for state, words, cause in (
        ("shutdown", None, "poweroff"),
        ("crashed", None, "crash"),
        ("", Off.VANISHED, "vanished"),
        ("", Off.REBOOTING, "rebooting"),
        ("", None, "lost"),
    ):
        ended, after = seen(before, *([3] if state else []), state=state or "running", words=words)
        assert ended == [f"off {cause}"]
        assert seen(after)[0] == []  # its shell is cleared away


def test_a_cause_that_is_learned_later_is_told_then() -> None:
    _, after = seen(memory(ready("web", 3)))
    assert seen(after, words=Off.VANISHED)[0] == ["off vanished"]


def test_lengths_count_from_the_birth_or_from_the_asking() -> None:
    before = memory(ready("web", 3))
    (event,) = happenings(before, seen(before, 3, state="crashed")[1], AT)
    assert (event.seconds, event.message, event.domid) == (1000, "after its birth", 3)
    before = before.change(uid("web"), stop_asked=NOW - 5)
    (event,) = happenings(before, seen(before)[1], AT)
    assert (event.cause, event.seconds, event.message, event.domid) == ("stopped", 5, "after it was asked", 3)


def test_a_reboot_that_no_look_saw_is_a_birth() -> None:
    before = memory(ready("web", 3))
    after = seen(before, 4)[1]
    (event,) = happenings(before, after, AT)
    assert (event.what, event.domid) == ("born", 4) and "it was domid 3" in event.message


def test_only_what_an_administrator_said_is_a_word_by_hand() -> None:
    before = memory(ready("web", 3))
    restart = transitions.by_hand(before, uid("web"), Hand.RESTART)
    assert told(before, restart) == ["by hand restart"]
    assert seen(restart, 4)[0] == ["born"]  # fulfilled
    assert told(restart, transitions.by_hand(restart, uid("web"), Hand.START)) == ["by hand start"]  # withdrawn
    stopped = memory(rec("web", hand=Hand.STOP, off=Off.STOPPED))
    assert seen(stopped, 5)[0] == ["born"]  # by somebody with xl: taken for a start, but nobody said so to us


def test_a_boot_that_forgets_tells_nothing() -> None:
    before = memory(rec("web", hand=Hand.STOP, off=Off.STOPPED, off_since=1.0), ready("db", 3))
    assert told(before, transitions.forget(before)) == []
    assert told(before, transitions.starting(before, uid("web"), {})) == []


def test_readiness_and_its_lack_are_told_of_each_life() -> None:
    born = memory(rec("web", domid=3, born=NOW - 7))
    for field, name in (("ready", "ready"), ("gave_up_waiting", "late")):
        (event,) = happenings(born, born.change(uid("web"), **{field: True}), AT)
        assert (event.what, event.seconds) == (name, 7)


def test_one_that_was_ready_and_lost_it_was_not_late_and_its_recovery_is_no_time_from_birth_to_readiness() -> None:
    before = memory(ready("web", 3))
    after = transitions.lost_readiness(before, uid("web"), "tcp x:1 refuses", NOW, counts=False)
    (event,) = happenings(before, after, AT)
    assert (event.what, event.message, event.domid) == (What.UNREADY, "tcp x:1 refuses", 3)
    recovered = transitions.became_ready(after, uid("web"), NOW)
    (event,) = happenings(after, recovered, AT)
    assert (event.what, event.message, event.seconds) == (What.READY, "again", None)


def test_an_orphan_that_is_gone_is_told_from_what_is_left() -> None:
    orphan = memory(ready("old", 9, declared=""))
    assert seen(orphan)[0] == ["off lost"]  # remembered for a while: it may come back
    vanished = learn(orphan, WANT, observed(), {uid("old"): Off.VANISHED}, NOW)
    assert told(orphan, vanished) == ["off"]
    assert seen(orphan.change(uid("old"), stop_asked=NOW))[0] == ["off stopped"]


def test_edges_reach_over_to_what_an_earlier_plan_did() -> None:
    want = desired(dom("nas"), dom("web", needs=("nas",)))
    here = observed(live(1, "nas"))
    kept = memory(ready("nas", 1), rec("web", predecessors=("nas",)))
    start = next(step for step in plan(want, here, kept).steps if step.id == "start domain/web")
    assert not start.needs and edges(start, kept) == ("await domain/nas",)
