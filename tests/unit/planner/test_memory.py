"""Every transition of planner.memory: what a look, a word by hand, and our own acts leave in the memory."""

from dataclasses import replace

import pytest

from tests.unit.planner.build import NOW, desired, dom, live, memory, observed, ready, rec, uid
from xenlocal.model.desired import GuestType, Patience, State
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.observed import LiveDomain, Unavailable
from xenlocal.model.units import Duration
from xenlocal.planner import memory as transitions
from xenlocal.planner.looks import learn, names_of_monitor, unexplained

WEB = desired(dom("web"))


def after(record: Record | None, *lives: LiveDomain, words: Off | None = None, now: float = NOW) -> Record:
    """web's record after one look."""
    before = memory(*([record] if record else []))
    told = {uid("web"): words} if words else {}
    return learn(before, WEB, observed(*lives), told, now).records[uid("web")]


def test_a_new_section_gets_a_record() -> None:
    times = {"stop_timeout": Duration(7), "hung_timeout": Duration(3), "stop_max": Duration(9)}
    want = desired(dom("db"), dom("web", after=("db",), type=GuestType.HVM, **times))
    record = learn(memory(), want, observed(), {}, NOW).records[uid("web")]
    assert (record.declared, record.predecessors) == ("running", ("db",))
    assert (record.patience, record.hvm) == (Patience(7, 3, 9), True)
    assert record.domid is None and record.off is None


def test_a_birth_is_dated_and_not_ready() -> None:
    record = after(rec("web", off=Off.POWEROFF, off_since=1.0, stop_asked=2.0, gave_up_waiting=True), live(5, "web"))
    assert (record.domid, record.born, record.ready) == (5, NOW, False)
    assert (record.off, record.off_since, record.stop_asked, record.gave_up_waiting) == (
        None,
        None,
        None,
        False,
    )


def test_the_same_domid_changes_nothing() -> None:
    before = ready("web", 5, predecessors=())
    assert after(before, live(5, "web")) == before


@pytest.mark.parametrize(
    ("state", "asked", "off"),
    [("shutdown", None, Off.POWEROFF), ("shutdown", 1.0, Off.STOPPED), ("crashed", 1.0, Off.CRASH)],
)
def test_a_shell_tells_how_its_guest_ended(state: str, asked: float | None, off: Off) -> None:
    record = after(ready("web", 5, stop_asked=asked), live(5, "web", state))
    assert (record.off, record.off_since, record.ready, record.domid) == (off, NOW, False, 5)
    assert after(record, live(5, "web", state), now=NOW + 9) == record
    assert record.crashes == ((NOW,) if off is Off.CRASH else ())


def test_the_cause_seen_on_the_shell_outlives_the_shell() -> None:
    record = after(rec("web", domid=5, off=Off.CRASH, off_since=3.0), words=Off.VANISHED)
    assert (record.domid, record.off, record.off_since) == (None, Off.CRASH, 3.0)


def test_crashes_older_than_the_window_are_forgotten() -> None:
    record = after(ready("web", 5, crashes=(NOW - 4000, NOW - 10)), live(5, "web", "crashed"))
    assert record.crashes == (NOW - 10, NOW)


def test_the_name_of_its_latest_life_outlives_a_rename_in_the_files() -> None:
    old = replace(rec("web"), name="old", xl_name="")
    born = after(old, replace(live(5, "web"), name="old"))
    assert (born.name, born.xl_name, born.known_as) == ("web", "old", "old")
    assert after(born, live(6, "web")).xl_name == "web"  # its own reboot took up the staged name
    assert after(born, live(6, "web")).monitor == "old"
    dying = after(born, replace(live(5, "web", "dying"), name=""))
    gone = after(dying)
    assert dying.known_as == gone.known_as == "old"
    assert names_of_monitor(gone, observed()) == ("old", "web")
    assert names_of_monitor(gone, observed(live(7, "old"))) == ("web",)
    again = transitions.starting(memory(gone), uid("web"), {}).records[uid("web")]
    assert again.known_as == "web"
    of_older_version = ready("web", 5, xl_name="", monitor="")
    assert after(of_older_version, live(5, "web")).xl_name == "web"


@pytest.mark.parametrize("words", [Off.REBOOTING, Off.VANISHED, Off.LOST])
def test_one_that_is_gone_is_explained_by_its_monitors_last_words(words: Off) -> None:
    before = ready("web", 5)
    assert unexplained(memory(before), observed(), NOW) == (uid("web"),)
    record = after(before, words=words)
    assert (record.off, record.off_since, record.domid, record.ready) == (words, NOW, None, False)


def test_without_last_words_it_is_lost_and_later_words_still_count() -> None:
    lost = after(ready("web", 5))
    assert lost.off is Off.LOST
    assert unexplained(memory(lost), observed(), NOW) == (uid("web"),)
    assert unexplained(memory(lost), observed(), NOW + 61) == (), "its monitor is gone too by then"
    told = after(lost, words=Off.REBOOTING, now=NOW + 1)
    assert (told.off, told.off_since) == (Off.REBOOTING, NOW)


def test_one_we_asked_to_stop_is_stopped_unless_it_is_rebooting() -> None:
    asked = ready("web", 5, stop_asked=NOW - 1)
    assert unexplained(memory(asked), observed(), NOW) == (uid("web"),)
    assert after(asked).off is Off.STOPPED
    assert after(asked, words=Off.VANISHED).off is Off.STOPPED
    record = after(asked, words=Off.REBOOTING)
    assert record.off is Off.REBOOTING and record.may_still_stop_until is None
    assert after(record, live(6, "web")).stop_asked is None


def test_one_we_asked_to_stop_is_lost_while_its_monitors_words_cannot_be_read() -> None:
    """It may be rebooting. Nothing says that it ended for a reason of its own either."""
    asked, unreadable = ready("web", 5, stop_asked=NOW - 1), {uid("web"): None}
    lost = learn(memory(asked), WEB, observed(), unreadable, NOW).records[uid("web")]
    assert (lost.off, lost.crashes, lost.domid) == (Off.LOST, (), None)
    assert unexplained(memory(lost), observed(), NOW + 1) == (uid("web"),)
    assert after(lost, words=Off.REBOOTING).off is Off.REBOOTING
    assert learn(memory(ready("web", 5)), WEB, observed(), unreadable, NOW).records[uid("web")].crashes == (NOW,)
    forced = transitions.destroying(memory(asked), uid("web"), 5)
    assert learn(forced, WEB, observed(), unreadable, NOW).records[uid("web")].off is Off.DESTROYED


def test_one_that_never_was_here_or_is_here_needs_no_explanation() -> None:
    assert unexplained(memory(rec("web")), observed(), NOW) == ()
    assert unexplained(memory(ready("web", 5)), observed(live(5, "web")), NOW) == ()
    assert unexplained(memory(ready("web", 5)), observed(domains=Unavailable("no")), NOW) == ()


def test_unknown_domains_teach_nothing_about_them() -> None:
    before = ready("web", 5)
    learned = learn(memory(before), WEB, observed(domains=Unavailable("xl failed")), {}, NOW)
    assert learned.records[uid("web")] == before


def test_a_guests_reboot_picks_up_what_was_staged() -> None:
    before = ready("web", 5, running={"memory": "1"}, staged={"memory": "2"})
    record = after(before, live(6, "web"))
    assert (record.running, record.staged, record.ready) == ({"memory": "2"}, None, False)
    gone = after(before, words=Off.REBOOTING)
    assert after(gone, live(6, "web")).running == {"memory": "2"}
    unclear = after(ready("web", 5, running={"memory": "1"}, staged={}), live(6, "web"))
    assert (unclear.running, unclear.staged) == ({}, {})


def test_what_somebody_else_started_runs_with_settings_unknown() -> None:
    for off in (Off.POWEROFF, Off.STOPPED, Off.VANISHED):
        assert after(rec("web", off=off, off_since=1.0, running={"memory": "1"}), live(6, "web")).running == {}
    ours = transitions.started(memory(rec("web", off=Off.POWEROFF)), uid("web"), {"memory": "1"})
    assert after(ours.records[uid("web")], live(6, "web")).running == {"memory": "1"}


def test_a_changed_state_in_the_files_is_a_new_decision() -> None:
    before = rec("web", declared="stopped", off=Off.CRASH, off_since=1.0, crashes=(1.0,), retry_at=NOW + 99, failures=3)
    before = replace(before, preparing="resize /dev/vg0/web")
    record = after(before)
    assert (record.off, record.crashes, record.retry_at, record.failures) == (None, (), None, 0)
    assert record.preparing == "", "what becomes of that while nobody waits for it is not told"


@pytest.mark.parametrize("hand", list(Hand))
def test_a_changed_state_is_newer_than_a_word_by_hand(hand: Hand) -> None:
    record = after(ready("web", 5, declared="stopped", hand=hand, hand_domid=5), live(5, "web"))
    assert (record.hand, record.hand_domid) == (None, None)


def test_a_section_that_comes_back_is_no_new_decision() -> None:
    before = rec("web", declared="", domid=5, born=1.0, hand=Hand.STOP)
    assert after(before, live(5, "web")).hand is Hand.STOP


def test_an_orphan_is_remembered_while_it_lives_with_its_order() -> None:
    before = memory(ready("web", 5, predecessors=("db",), stop_timeout=9.0))
    orphan = learn(before, desired(), observed(live(5, "web")), {}, NOW).records[uid("web")]
    assert (orphan.declared, orphan.predecessors, orphan.stop_timeout) == ("", ("db",), 9.0)
    assert not learn(before, desired(), observed(), {uid("web"): Off.VANISHED}, NOW).records


def test_what_lives_under_a_declared_name_with_another_uuid_is_not_ours() -> None:
    assert after(None, live(5, "web", uuid="foreign")).domid is None


# by hand


def word(record: Record, hand: Hand) -> Record:
    return transitions.by_hand(memory(record), record.uuid, hand).records[record.uuid]


@pytest.mark.parametrize("hand", list(Hand))
def test_a_word_by_hand_ends_back_off(hand: Hand) -> None:
    told = word(rec("web", crashes=(1.0,), failures=2, failure="no", retry_at=NOW + 9, preparing="install /a"), hand)
    assert (told.crashes, told.failures, told.failure, told.retry_at, told.preparing) == ((), 0, "", None, "")


def test_start_of_a_shell_means_restart() -> None:
    told = word(rec("web", domid=5, off=Off.POWEROFF), Hand.START)
    assert (told.hand, told.hand_domid) == (Hand.RESTART, 5)


def test_start_forgets_why_it_is_off_but_not_that_its_monitor_brings_it_back() -> None:
    assert word(rec("web", off=Off.VANISHED), Hand.START).off is None
    assert word(rec("web", off=Off.REBOOTING, off_since=NOW), Hand.START).off is Off.REBOOTING


def test_restart_is_fulfilled_by_the_next_birth() -> None:
    told = word(ready("web", 5), Hand.RESTART)
    assert after(told, live(5, "web")).hand is Hand.RESTART
    assert after(told, live(6, "web")).hand is Hand.START
    gone = after(replace(told, stop_asked=NOW))
    assert (gone.hand, gone.off) == (Hand.RESTART, Off.STOPPED)
    assert after(gone, live(6, "web")).hand is Hand.START


@pytest.mark.parametrize("hand", [Hand.STOP, Hand.DESTROY])
def test_a_guest_that_reboots_instead_is_still_to_be_off(hand: Hand) -> None:
    told = replace(word(ready("web", 5), hand), stop_asked=NOW)
    assert after(told, live(6, "web")).hand is hand
    gone = after(told, words=Off.REBOOTING)
    back = after(gone, live(6, "web"))
    assert (back.hand, back.stop_asked) == (hand, None)


@pytest.mark.parametrize("hand", [Hand.STOP, Hand.DESTROY])
def test_what_somebody_starts_with_xl_after_it_was_stopped_is_not_fought(hand: Hand) -> None:
    gone = after(replace(word(ready("web", 5), hand), stop_asked=NOW))
    assert after(gone, live(6, "web")).hand is Hand.START


@pytest.mark.parametrize("hand", [Hand.STOP, Hand.DESTROY])
def test_under_the_domid_that_it_had_it_was_never_away(hand: Hand) -> None:
    """The look that did not show it was wrong: the word to stop it holds."""
    lives = after(rec("web"), live(5, "web"))
    gone = after(replace(word(lives, hand), stop_asked=NOW))
    there = after(gone, live(5, "web"))
    assert there.hand is hand and there.domid == 5
    assert after(after(there), live(6, "web")).hand is Hand.START


def test_one_that_a_wrong_look_took_for_gone_may_still_do_as_it_was_asked() -> None:
    """Also where the files want it again by then, or a start has failed over it: its end is none of its own making."""
    asked = replace(after(rec("web"), live(5, "web")), stop_asked=NOW)
    gone = after(asked)
    began = transitions.starting(memory(gone), uid("web"), {})
    failed = transitions.start_failed(began, uid("web"), "no", NOW).records[uid("web")]
    for record in (gone, failed):
        ended = after(record, live(5, "web", "shutdown"))
        assert ended.off is Off.STOPPED and not ended.crashes and after(ended).off is Off.STOPPED


def test_what_is_staged_is_not_taken_up_by_a_wrong_look() -> None:
    """It still runs with what it ran with, and its own reboot is still to come."""
    lives = replace(after(rec("web"), live(5, "web")), running={"memory": "1"}, staged={"memory": "2"})
    there = after(after(lives), live(5, "web"))
    assert (there.running, there.staged) == ({"memory": "1"}, {"memory": "2"})


def test_a_restart_means_the_life_that_a_wrong_look_took_for_gone() -> None:
    gone = word(after(after(rec("web"), live(5, "web"))), Hand.RESTART)
    assert after(gone, live(5, "web")).hand is Hand.RESTART
    assert after(gone, live(6, "web")).hand is Hand.START


# what we did


def test_a_start_that_worked_clears_what_was_before() -> None:
    before = rec("web", off=Off.CRASH, off_since=1.0, failures=3, failure="no", retry_at=1.0, staged={"a": "b"})
    before = replace(before, preparing="install /a")
    record = transitions.started(memory(before), uid("web"), {"memory": "1"}).records[uid("web")]
    assert record == rec("web", running={"memory": "1"})


def test_failed_starts_wait_longer_each_time_up_to_a_limit() -> None:
    kept, delays = memory(rec("web", preparing="install /a")), []
    for _ in range(8):
        kept = transitions.start_failed(kept, uid("web"), "no", NOW)
        delays.append((kept.records[uid("web")].retry_at or 0) - NOW)
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    assert (kept.records[uid("web")].failure, kept.records[uid("web")].preparing) == ("no", "")


def test_crash_back_off_is_0_10_20_40() -> None:
    assert [transitions.crash_delay(count) for count in (1, 2, 3, 4, 5)] == [0, 10, 20, 40, 80]


def test_a_destroyed_domu_is_named_during_a_host_shutdown_even_a_foreign_one() -> None:
    kept = transitions.destroyed(memory(ready("web", 5)), uid("web"), "web", NOW)
    assert kept.records[uid("web")].off is Off.DESTROYED and kept.forced == ()
    kept = transitions.destroyed(memory(ready("web", 5), shutting_down=1.0), uid("web"), "web", NOW)
    assert transitions.destroyed(kept, "other", "db", NOW).forced == ("db", "web")


def test_what_is_destroyed_after_a_shutdown_was_asked_for_and_before_it_begins_is_named_too() -> None:
    kept = memory(
        rec("web", off=Off.DESTROYED, off_since=NOW),
        rec("db", off=Off.DESTROYED, off_since=NOW + 1),
        rec("nas", off=Off.DESTROYED, off_since=NOW - 1),
        rec("dns", off=Off.CRASH, off_since=NOW + 1),
        rec("old", off=Off.DESTROYED),
    )
    begun = transitions.shutting_down(kept, NOW)
    assert begun == replace(kept, shutting_down=NOW, forced=("db", "web"))
    assert transitions.shutting_down(begun, NOW + 9) == begun, "it goes on"


def test_a_boot_forgets_hands_ends_and_back_off_and_keeps_what_runs() -> None:
    before = memory(
        ready("db", 4, running={"a": "b"}),
        rec("web", hand=Hand.STOP, hand_domid=3, off=Off.CRASH, crashes=(1.0,), failures=1, retry_at=9.0),
    )
    kept = transitions.forget(before)
    assert kept.records[uid("db")] == before.records[uid("db")]
    assert kept.records[uid("web")] == rec("web")


def test_a_live_change_is_noted() -> None:
    kept = transitions.changed_live(memory(ready("web", 5, running={"a": "1", "b": "2"})), uid("web"), "a", "3")
    assert kept.records[uid("web")].running == {"a": "3", "b": "2"}


def test_learning_twice_from_the_same_look_changes_nothing() -> None:
    want = desired(dom("a"), dom("b", state=State.STOPPED), dom("c"))
    seen = observed(live(1, "a"), live(2, "b", "shutdown"))
    once = learn(Memory(), want, seen, {}, NOW)
    assert learn(once, want, seen, {}, NOW + 5) == once


@pytest.mark.parametrize("lives", [(), (live(5, "web", "dying"),)])
def test_one_that_was_being_destroyed_when_the_daemon_was_killed_was_forced(lives: tuple[LiveDomain, ...]) -> None:
    before = memory(ready("web", 5, stop_asked=NOW - 300), shutting_down=NOW - 300)
    kept = learn(transitions.destroying(before, uid("web"), 5), WEB, observed(*lives), {}, NOW)
    assert kept.forced == ("web",)
    gone = learn(kept, WEB, observed(), {uid("web"): Off.VANISHED}, NOW)
    assert gone.forced == ("web",) and gone.records[uid("web")].off is Off.DESTROYED
    still = learn(transitions.destroying(before, uid("web"), 5), WEB, observed(live(5, "web")), {}, NOW)
    assert not still.forced and still.records[uid("web")].off is None
    assert not learn(transitions.destroying(before, uid("web"), 4), WEB, observed(), {}, NOW).forced
    by_itself = transitions.destroying(transitions.destroying(before, uid("web"), 5), uid("web"), None)
    assert learn(by_itself, WEB, observed(), {}, NOW).records[uid("web")].off is Off.STOPPED
    assert transitions.destroying(before, "other", 9) == before


def test_one_whose_section_vanishes_keeps_its_place_though_those_between_are_off_and_forgotten() -> None:
    """web comes after app and cache, those after db. All but db vanish from the files, and only web and db run."""
    want = desired(dom("db"), dom("app", after=("db",)), dom("cache", after=("app",)), dom("web", after=("cache",)))
    lives = (live(1, "db"), live(4, "web"))
    kept = learn(Memory(), want, observed(*lives), {}, NOW)
    for _ in range(2):
        kept = learn(kept, desired(dom("db")), observed(*lives), {}, NOW + 5)
        assert {record.name for record in kept.records.values()} == {"db", "web"}
        assert kept.records[uid("web")].predecessors == ("cache", "db")
    declared = learn(kept, desired(dom("db"), dom("web")), observed(*lives), {}, NOW + 9)
    assert declared.records[uid("web")].predecessors == ()


def test_one_whose_section_has_vanished_is_no_stranger_after_a_reboot_of_its_own() -> None:
    kept = learn(memory(ready("web", 5)), desired(), observed(live(5, "web")), {}, NOW)
    for words in (Off.REBOOTING, Off.LOST):
        gone = learn(kept, desired(), observed(), {uid("web"): words}, NOW + 1)
        back = learn(gone, desired(), observed(live(6, "web")), {}, NOW + 5)
        assert back.records[uid("web")].domid == 6
        assert not learn(gone, desired(), observed(), {}, NOW + 100).records  # it never came
    assert not learn(kept, desired(), observed(), {uid("web"): Off.VANISHED}, NOW + 1).records
