"""What `why` says last: how the last life ended, what the files say, when it is tried again, and what to type."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.asking import deed, ended, event, told
from tests.unit.planner.build import NOW, UP, br, desired, dom, hardware, live, memory, observed, ready, rec
from xenlocal.model.desired import Desired, Domain, GuestType, OnCrash, State
from xenlocal.model.history import Entry, What
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.planner import xlcfg
from xenlocal.planner.words import ENDS

pytestmark = pytest.mark.usefixtures("utc")
STOPPED, ABSENT, MANUAL = (dom("web", state=state) for state in (State.STOPPED, State.ABSENT, State.MANUAL))
PLAIN, NO_KERNEL = dom("web"), dom("web", kernel="/boot/gone")
LOG = "what its xl monitor said is in /var/log/xen/xl-web.log"
BOOT_GOAL = "`systemctl start xenlocal-guests` runs the boot goal"
UNTIL_BOOT = "`xenlocal start web` starts it until the next boot; state = running in a.conf:1 for good"
START = "start it with `xenlocal start web`"
AT_ONCE = f"`xenlocal start web` tries at once; {LOG}"
CRASHED = f"`xenlocal start web` starts it at once; {LOG}"
BY_ITSELF = "it starts by itself as soon as that has changed"


def off(**values: Any) -> Memory:
    return memory(rec("web", **values))


def manual_by_hand(domain: Domain = MANUAL, **values: Any) -> tuple[Domain, Memory]:
    return domain, off(hand=Hand.START, **values)


PAUSE = {"off_since": NOW - 60, "crashes": (NOW - 900, NOW - 5)}


@pytest.mark.parametrize(
    ("domain", "kept", "advice"),
    [
        (STOPPED, UP, UNTIL_BOOT),
        (MANUAL, UP, START),
        (MANUAL, off(), START),
        (ABSENT, UP, "to have it again write state = running in a.conf:1"),
        (ABSENT, off(hand=Hand.START), "to have it again write state = running in a.conf:1"),
        # before the boot goal only a word by hand counts
        (PLAIN, memory(boot_done=False), BOOT_GOAL),
        (STOPPED, memory(rec("web"), boot_done=False), BOOT_GOAL),
        (NO_KERNEL, memory(rec("web", hand=Hand.START), boot_done=False), BY_ITSELF),
        # what keeps it off is no decision
        (NO_KERNEL, UP, BY_ITSELF),
        (NO_KERNEL, off(off=Off.STOPPED), BY_ITSELF),
        (PLAIN, UP, None),
        (PLAIN, off(failure="no way", retry_at=NOW + 30), AT_ONCE),
        (PLAIN, off(off=Off.CRASH, **PAUSE), CRASHED),
        (PLAIN, off(off=Off.LOST, off_since=NOW - 5), CRASHED),
        (PLAIN, off(off=Off.REBOOTING, off_since=NOW - 5), BY_ITSELF),
        (
            dom("web", on_crash=OnCrash.RESTART),
            off(off=Off.CRASH, off_since=NOW, failure="x", retry_at=NOW + 9),
            AT_ONCE,
        ),
        # a word by hand has decided that it shall run, whatever the files say
        (dom("web", state=State.STOPPED, kernel="/boot/gone"), off(hand=Hand.START), BY_ITSELF),
        (dom("web", state=State.MANUAL, kernel="/boot/gone"), off(hand=Hand.START), BY_ITSELF),
        (dom("web", state=State.MANUAL, kernel="/boot/gone"), off(hand=Hand.RESTART), BY_ITSELF),
        (MANUAL, off(hand=Hand.START, off=Off.CRASH, **PAUSE), CRASHED),
        (STOPPED, off(hand=Hand.START, failure="no way", retry_at=NOW + 30), AT_ONCE),
        # the first sentence says it
        (PLAIN, off(hand=Hand.STOP), None),
        (STOPPED, off(hand=Hand.STOP), None),
        (PLAIN, off(off=Off.POWEROFF), None),
        (STOPPED, memory(shutting_down=NOW), None),
    ],
)
def test_what_to_type_to_have_it_on(domain: Domain, kept: Memory, advice: str | None) -> None:
    first, *rest = told(desired(domain), observed(), kept)
    assert [line for line in rest if "tried again at" not in line] == ([advice] if advice else []), first


def test_where_the_reason_itself_says_what_to_type_that_is_enough() -> None:
    want = desired(dom("web", type=GuestType.HVM))
    (only,) = told(want, observed(hardware=hardware(capabilities=frozenset({"hvm"}))))
    assert only.endswith("which an hvm guest needs; type: apt install qemu-system-xen")


@pytest.mark.parametrize(
    ("want", "seen", "kept"),
    [
        (desired(), observed(), memory(rec("web", declared="", off=Off.LOST, off_since=NOW - 5))),
        (desired(), observed(live(3, "web")), memory(ready("web", 3, declared="", gave_up_waiting=True))),
        (desired(), observed(live(3, "web")), UP),
    ],
    ids=["ended", "runs and was late", "foreign"],
)
def test_nothing_is_to_be_typed_for_one_that_no_section_names(want: Desired, seen: Observed, kept: Memory) -> None:
    assert len(told(want, seen, kept)) == 1


def test_one_that_runs_and_was_not_ready_in_time_can_be_looked_at() -> None:
    late = rec("web", domid=3, born=NOW - 900, running=xlcfg.settings(PLAIN), gave_up_waiting=True)
    seen = observed(live(3, "web"))
    assert told(desired(PLAIN), seen, memory(late))[-1] == (
        "`xenlocal console web` shows what it does; its [[ready]] is in a.conf"
    )
    for kept in (memory(ready("web", 3)), memory(rec("web", domid=3, born=NOW)), UP, memory(boot_done=False)):
        assert not any("`" in line for line in told(desired(PLAIN), seen, kept)[1:])


def test_while_it_is_unknown_who_runs_there_is_one_place_to_look() -> None:
    seen = observed(domains=Unavailable("xl hangs"))
    look = "nothing is started or stopped meanwhile; `xl list` on the dom0 may say more"
    for want in (desired(PLAIN), desired()):
        assert told(want, seen, memory(rec("web", failure="no way", retry_at=NOW + 30)))[1:] == (look,)


# What is behind it

ENDED = ended(Off.CRASH, 600, seconds=11_100.0, message="after its birth")
LIFE = "its last life ended at 22:03: the guest crashed, 3 h 5 min after its birth"


@pytest.mark.parametrize(
    ("past", "behind"),
    [
        ((), []),
        ((ENDED,), [LIFE]),
        ((ended(Off.POWEROFF, 90_000), event(What.BORN, 9000, domid=3), ENDED), [LIFE]),
        ((ended(Off.POWEROFF, 90_000),), [f"its last life ended at 2023-11-13 21:13: {ENDS[Off.POWEROFF]}"]),
        (
            (ENDED, event(What.BORN, 300, domid=4)),
            ["how its life since 22:08 ended is unknown: nobody saw it, as when the host loses power"],
        ),
        ((ENDED, event(What.BORN, 300, "db"), deed("start domain/web", 60, "failed", "no")), [LIFE]),
    ],
)
def test_how_the_last_life_ended(past: tuple[Entry, ...], behind: list[str]) -> None:
    assert list(told(desired(MANUAL), observed(), UP, *past)[1:]) == [*behind, START]


def test_the_last_end_of_one_that_runs_or_may_run_is_past() -> None:
    kept = memory(ready("web", 3))
    assert not any("ended" in line for line in told(desired(PLAIN), observed(live(3, "web")), kept, ENDED))
    unknown = told(desired(PLAIN), observed(domains=Unavailable("xl hangs")), kept, ENDED)
    assert not any("ended" in line for line in unknown)


@pytest.mark.parametrize(
    ("domain", "seen", "kept", "said"),
    [
        (PLAIN, observed(live(3, "web")), memory(ready("web", 3)), True),
        (MANUAL, observed(live(3, "web")), memory(ready("web", 3)), True),
        (PLAIN, observed(live(3, "web")), memory(ready("web", 3, hand=Hand.START)), False),
        (PLAIN, observed(live(3, "web")), UP, False),
        (STOPPED, observed(), UP, False),
        (PLAIN, observed(domains=Unavailable("xl hangs")), memory(ready("web", 3)), False),
    ],
)
def test_what_the_files_say_is_behind_one_that_runs_unless_a_word_by_hand_is(
    domain: Domain, seen: Observed, kept: Memory, said: bool
) -> None:
    assert (f"state = {domain.state} in a.conf:1" in told(desired(domain), seen, kept)) is said


@pytest.mark.parametrize(
    ("failures", "told_so"),
    [(0, None), (1, None), (2, "2 starts in a row have failed"), (7, "7 starts in a row have failed")],
)
def test_how_many_starts_have_failed(failures: int, told_so: str | None) -> None:
    lines = told(desired(PLAIN), observed(), off(failures=failures, failure="no way", retry_at=NOW + 30))
    assert [line for line in lines if "in a row" in line] == ([told_so] if told_so else [])


@pytest.mark.parametrize(
    ("domain", "kept", "when"),
    [
        (PLAIN, off(failure="no way", retry_at=NOW + 30), "22:13"),
        (PLAIN, off(failure="no way", retry_at=NOW + 90), "22:14"),
        (PLAIN, off(failure="no way", retry_at=NOW + 7200), "2023-11-15 00:13"),
        (PLAIN, off(off=Off.REBOOTING, off_since=NOW - 5), "22:14"),
        # its time has come, and something else is in the way
        (NO_KERNEL, off(failure="no way", retry_at=NOW), None),
        (NO_KERNEL, off(failure="no way", retry_at=NOW - 90), None),
        (NO_KERNEL, off(), None),
        # it is not tried again
        (STOPPED, off(failure="no way", retry_at=NOW + 90), None),
        (PLAIN, memory(rec("web", failure="no way", retry_at=NOW + 90), boot_done=False), None),
        (PLAIN, memory(rec("web", failure="no way", retry_at=NOW + 90), shutting_down=NOW), None),
    ],
)
def test_when_it_is_tried_again(domain: Domain, kept: Memory, when: str | None) -> None:
    lines = told(desired(domain), observed(), kept)
    assert [line for line in lines if "again at" in line] == ([f"it is tried again at {when}"] if when else [])


def test_one_that_runs_and_cannot_be_restarted_is_not_tried_again() -> None:
    """Its restart waits, and that is no start."""
    kept = memory(ready("web", 3, hand=Hand.RESTART, hand_domid=3, retry_at=NOW + 90))
    lines = told(desired(NO_KERNEL), observed(live(3, "web")), kept)
    assert "not restarted, and goes on running" in lines[0] and len(lines) == 1


def test_what_is_refused_of_another_has_no_advice_for_this_one() -> None:
    want = desired(PLAIN, dom("db", kernel="/boot/gone"), br("web"))
    assert told(want, observed()) == ("off: it is about to be started: state = running in a.conf:1",)
