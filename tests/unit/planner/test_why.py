"""`why` of a domU that runs, of one that nobody declares, and of a name that nobody knows; and what it looks up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.planner.asking import asked, ended, first, told
from tests.unit.planner.build import (
    NOW,
    UP,
    WALL,
    br,
    desired,
    dom,
    image,
    live,
    lv,
    memory,
    observed,
    plan,
    ready,
    rec,
    uid,
)
from xenlocal.model.desired import Desired, Domain, OnUnready, State
from xenlocal.model.history import Entry
from xenlocal.model.memory import Hand, Memory, Off, Record, Reply
from xenlocal.model.observed import LiveDomain, Observed, Unavailable
from xenlocal.model.units import Duration
from xenlocal.planner import xlcfg
from xenlocal.planner.why import View, concerned

pytestmark = pytest.mark.usefixtures("utc")
PLAIN = dom("web")
WEB = desired(PLAIN)
RUNS = observed(live(3, "web"))
DECLARED = "state = running in a.conf:1"
CONSOLE = "`xenlocal console web` shows what it does; its [[ready]] is in a.conf"
CRASHED = "no section of the files names it, so it is not started; the guest crashed"


# Any one thing that is known of a name is enough to answer; of a name without any, nothing is said.


@pytest.mark.parametrize(
    ("want", "seen", "kept", "past", "state", "sentence"),
    [
        (WEB, observed(), UP, (), "off", f"off: it is about to be started: {DECLARED}"),
        (desired(), RUNS, UP, (), "foreign", "running (domid 3), foreign: no section has this name"),
        (desired(), observed(), UP, (ended(Off.CRASH, 600),), "off", f"off since 22:03: {CRASHED}"),
        (
            desired(),
            observed(),
            memory(rec("web", declared="", off=Off.REBOOTING, off_since=NOW - 9)),
            (),
            "off",
            "off since 22:13: no section of the files names it, so it is not started; it ended, and nothing is "
            "remembered of how",
        ),
    ],
    ids=["declared", "live", "in the history", "remembered"],
)
def test_one_thing_that_is_known_of_a_name_is_enough(
    want: Desired, seen: Observed, kept: Memory, past: tuple[Entry, ...], state: str, sentence: str
) -> None:
    answer = asked(want, seen, kept, *past)
    assert answer is not None and (answer.state, answer.sentences[0]) == (state, sentence)


def test_of_a_name_that_nobody_knows_nothing_is_said_whoever_else_is_there() -> None:
    others = memory(ready("db", 4))
    past = (ended(Off.CRASH, 600, "db"),)
    assert asked(desired(dom("db")), observed(live(4, "db"), live(5, "theirs")), others, *past) is None


# A domU is itself by its UUID, and goes by its name only where nobody declares or remembers it.


@pytest.mark.parametrize(
    ("want", "lives", "kept", "sentence"),
    [
        (WEB, [live(3, "www", uuid=uid("web"))], UP, "running (domid 3), not seen by the daemon yet"),
        (
            WEB,
            [live(3, "www", uuid=uid("web"))],
            memory(ready("db", 4)),
            "running (domid 3), not seen by the daemon yet",
        ),
        (WEB, [live(3, "web")], memory(Record(uid("web"), "www", domid=3, ready=True)), "running (domid 3), ready"),
        (
            desired(),
            [live(3, "www", uuid=uid("web")), live(4, "web", uuid=uid("theirs"))],
            memory(ready("db", 5), ready("web", 3, declared="")),
            "running since 21:56 (domid 3), ready; its section is gone from the files: left as it is, and shut down "
            "with the host",
        ),
        (
            desired(),
            [live(3, "a"), live(4, "web", "paused"), live(5, "z")],
            memory(ready("db", 6)),
            "paused (domid 4), foreign: no section has this name",
        ),
    ],
    ids=["renamed", "and not seen", "remembered by another name", "orphan that was renamed", "foreign"],
)
def test_a_domu_is_found_by_its_uuid(want: Desired, lives: list[LiveDomain], kept: Memory, sentence: str) -> None:
    answer = asked(want, observed(*lives), kept)
    assert answer is not None and answer.sentences[0].startswith(sentence)
    assert answer.state == ("foreign" if "foreign" in sentence else "running")


def test_while_it_is_unknown_who_runs_nothing_else_is_said_to_be_so() -> None:
    answer = asked(WEB, observed(domains=Unavailable("xl hangs")), memory(ready("web", 3, hand=Hand.STOP)))
    assert answer is not None and answer.state == "unknown"
    assert answer.sentences == (
        "unknown whether it runs: xl hangs",
        "nothing is started or stopped meanwhile; `xl list` on the dom0 may say more",
    )


@pytest.mark.parametrize("state", ["shutdown", "crashed", "dying"])
def test_the_shell_of_a_guest_that_has_ended_is_off(state: str) -> None:
    answer = asked(WEB, observed(live(3, "web", state)), memory(ready("web", 3)))
    assert answer is not None and answer.state == "off"


# A domU that runs


def runs(domain: Domain = PLAIN, **values: Any) -> Record:
    values = {"domid": 3, "born": NOW - 1000, "running": xlcfg.settings(domain), **values}
    return rec("web", **values)


LATE: dict[str, Any] = {"gave_up_waiting": True}
LOST: dict[str, Any] = {"gave_up_waiting": True, "lost": NOW - 60}
ASKED: dict[str, Any] = {"ready": True, "stop_asked": NOW - 60, "hand": Hand.STOP}
STOPPED = "; stopped by hand until `xenlocal start web` or the next boot"


@pytest.mark.parametrize(
    ("values", "sentences"),
    [
        ({"ready": True}, ["running since 21:56 (domid 3), ready", DECLARED]),
        ({"ready": True, "born": None}, ["running (domid 3), ready", DECLARED]),
        ({"ready": True, "domid": 2}, ["running (domid 3), ready", DECLARED]),
        ({}, ["running since 21:56 (domid 3), not known to be ready yet", DECLARED]),
        (LATE, ["running since 21:56 (domid 3), but it was not ready within start_timeout = 5m", DECLARED, CONSOLE]),
        (
            {**LATE, "unready": "tcp x:1 refuses"},
            [
                "running since 21:56 (domid 3), but it was not ready within start_timeout = 5m: tcp x:1 refuses",
                DECLARED,
                CONSOLE,
            ],
        ),
        (
            {"unready": "tcp 192.0.2.1:22 refuses"},
            ["running since 21:56 (domid 3), not known to be ready yet: tcp 192.0.2.1:22 refuses", DECLARED],
        ),
        (
            LOST,
            ["running since 21:56 (domid 3), but it is not ready any more since 22:12", DECLARED, CONSOLE],
        ),
        (
            {**LOST, "unready": "tcp 192.0.2.1:22 refuses"},
            [
                "running since 21:56 (domid 3), but it is not ready any more since 22:12: tcp 192.0.2.1:22 refuses",
                DECLARED,
                CONSOLE,
            ],
        ),
        (
            ASKED,
            [
                "running since 21:56 (domid 3), asked to shut down since 22:12, destroyed at 22:17 unless it has "
                f"ended{STOPPED}"
            ],
        ),
        (
            {**ASKED, "stop_timeout": 7200.0, "hung_timeout": 120.0},
            [
                "running since 21:56 (domid 3), asked to shut down since 22:12, destroyed at 2023-11-15 00:12 unless "
                f"it has ended{STOPPED}"
            ],
        ),
        (
            {**ASKED, "hung_timeout": 120.0, "reply": Reply(NOW - 60, False, NOW, 7, NOW - 60)},
            [
                "running since 21:56 (domid 3), asked to shut down since 22:12, destroyed at 22:14 unless it has "
                f"ended{STOPPED}"
            ],
        ),
        (
            {"ready": True, "running": {}},
            [
                "running since 21:56 (domid 3), ready; was not started by xenlocal: what it runs with is not compared;"
                " edits apply at its next start",
                DECLARED,
            ],
        ),
        (
            {"ready": True, "hand": Hand.START},
            ["running since 21:56 (domid 3), ready"],
        ),
    ],
)
def test_of_one_that_runs_it_is_said_since_when_and_whether_it_does_its_job(
    values: dict[str, Any], sentences: list[str]
) -> None:
    assert list(told(WEB, RUNS, memory(runs(**values)))) == sentences


def test_one_that_is_declared_to_be_off_and_still_runs_says_so() -> None:
    want = desired(dom("web", state=State.STOPPED))
    assert told(want, RUNS, memory(runs(ready=True)))[1:] == ("state = stopped in a.conf:1",)


def test_a_paused_one_is_not_called_running_and_is_told_how_to_go_on() -> None:
    assert first(WEB, observed(live(3, "web", "paused")), memory(runs(ready=True))) == (
        "paused since 21:56 (domid 3), ready; is paused; `xl unpause 3` lets it run"
    )


def test_all_that_is_told_of_one_that_runs_follows_once() -> None:
    """Its refusals first, then its notices, but that it was late is said already; and nothing of others."""
    domain = dom("web", kernel="/boot/gone", start_timeout=Duration(60))
    restarted = runs(domain, gave_up_waiting=True, hand=Hand.RESTART, hand_domid=3)
    want = desired(domain, dom("db", state=State.MANUAL))
    seen = observed(live(3, "web", "paused"), live(4, "db", "paused"))
    assert first(want, seen, memory(restarted, ready("db", 4, declared="manual"))) == (
        "paused since 21:56 (domid 3), but it was not ready within start_timeout = 1m; not restarted, and goes on "
        "running: kernel /boot/gone does not exist (a.conf:1); `xenlocal start web` withdraws the restart; is paused; "
        "`xl unpause 3` lets it run"
    )


def test_one_that_is_to_be_restarted_as_it_lost_its_readiness_says_that_too() -> None:
    domain = dom("web", on_unready=OnUnready.RESTART)
    assert first(desired(domain), RUNS, memory(runs(domain, **LOST, crashes=(NOW - 3000, NOW - 60)))) == (
        "running since 21:56 (domid 3), but it is not ready any more since 22:12; was ready, and is not any more; "
        "restarted after a pause (on_unready = restart)"
    )


def test_one_whose_section_is_gone_was_never_promised_to_be_ready_in_time() -> None:
    assert first(desired(), RUNS, memory(runs(**LATE, declared=""))) == (
        "running since 21:56 (domid 3), not known to be ready yet; its section is gone from the files: left as it is, "
        "and shut down with the host"
    )


def test_a_moment_of_another_day_has_its_date() -> None:
    view = View(WEB, RUNS, UP, plan(WEB, RUNS), NOW, WALL)
    assert (view.since(NOW - 60), view.since(NOW - 90_000)) == ("since 22:12", "since 2023-11-13 21:13")


# What has to be looked up


def test_the_history_is_asked_for_the_domu_and_all_that_it_stands_on() -> None:
    want = desired(
        br("br0"),
        dom("web", lv("web"), bridges=("br0",), needs=("db", "app", "gone")),
        dom("app", image("/srv/app.img"), needs=("db",), after=("other",)),
        dom("db", lv("db"), needs=("nas",)),
        dom("nas", bridges=("br1",)),
        dom("other", lv("other")),
    )
    assert concerned("web", want) == (
        "bridge/br0",
        "bridge/br1",
        "domain/app",
        "domain/db",
        "domain/nas",
        "domain/web",
        "file//srv/app.img",
        "volume/vg0/db",
        "volume/vg0/web",
    )
    assert concerned("gone", want) == ("domain/gone",)
