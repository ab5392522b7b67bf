"""What a rehearsal finds that the planner has no reason to refuse: it comes to light when the host, or the guest,
starts anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.planner.build import (
    GIB,
    NOW,
    WALL,
    desired,
    dom,
    hardware,
    live,
    memory,
    observed,
    ready,
    rec,
)
from xenlocal.model.desired import Desired, State
from xenlocal.model.memory import Memory, Record
from xenlocal.model.observed import LiveDomain, Observed, Unavailable
from xenlocal.model.units import Duration, Size
from xenlocal.planner import xlcfg
from xenlocal.planner.learned import Learned
from xenlocal.planner.rehearsal import Finding, Moment, Phase, Scene, findings

WEB = dom("web")
DECLARED = desired(WEB)
KNOWN = Learned(start=4.0, ready=16.0, stop=7.0)
RUNS = ready("web", 3, running=xlcfg.settings(WEB))


def seen(*lives: LiveDomain, **tables: Any) -> Observed:
    """Each has its monitor."""
    tables.setdefault("monitors", frozenset(each.name for each in lives))
    return observed(*lives, **tables)


def scene(
    want: Desired = DECLARED,
    look: Observed | None = None,
    remembered: Memory | None = None,
    known: Mapping[str, Learned] | None = None,
    able: Mapping[int, bool] | None = None,
) -> Scene:
    return Scene(
        want,
        seen(live(3, "web")) if look is None else look,
        memory(RUNS) if remembered is None else remembered,
        {"web": KNOWN} if known is None else known,
        NOW,
        WALL,
        able or {},
    )


def found(of: Scene, *names: str) -> list[tuple[str, str, str]]:
    return [(str(each.target), each.kind, each.text) for each in findings(of, frozenset(names or ("web",)), ())]


def kinds(of: Scene, *names: str) -> list[tuple[str, str]]:
    return [(target, kind) for target, kind, _ in found(of, *names)]


def test_a_host_that_is_well_has_nothing_to_tell() -> None:
    assert found(scene()) == [] and found(scene(able={3: True})) == []


# Of the host.

NEEDED = Size.mib(1024 + 8 + 1)  # with Xen's own share
SMALL = (
    "the domUs with state = running need 1033M of memory together, and 1032M are there for them: not all can run at"
    " once"
)
GIVES_AWAY = (
    "autoballoon is on, since Xen was booted without dom0_mem= or /etc/xen/xl.conf says so: the dom0 gives memory away"
    " at every start, so domUs are started one at a time, and whether the next one fits is not known before. Give the"
    ' dom0 its own: GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=4G,max:4G" in /etc/default/grub, `update-grub`, and a reboot'
)


def host(free: Size, **values: Any) -> Observed:
    """web, which runs, holds 1 GiB; 256 MiB are the dom0's own."""
    return seen(live(3, "web"), hardware=hardware(Size(free.bytes - GIB.bytes + Size.mib(256).bytes), **values))


def test_memory_that_does_not_suffice_for_all() -> None:
    assert found(scene(look=host(NEEDED))) == []
    assert found(scene(look=host(Size.mib(1032)))) == [("host/this", "memory", SMALL)]


def test_a_dom0_that_gives_its_memory_away() -> None:
    giving = host(NEEDED, autoballoon=True)
    assert found(scene(look=giving)) == [("host/this", "autoballoon", GIVES_AWAY)]
    assert found(scene(desired(), giving, Memory())) == [], "it has nobody to give it to"


def test_of_a_host_whose_memory_is_unknown_nothing_is_said() -> None:
    assert found(scene(look=seen(live(3, "web"), hardware=Unavailable("xl info hangs")))) == []


# Of a guest that runs.

MONITOR = (
    "its xl monitor is gone: when the guest reboots or ends, nothing starts it anew or clears it away; `xenlocal"
    " restart web` gives it a new one"
)


@pytest.mark.parametrize(
    ("record", "monitors", "gone"),
    [
        (RUNS, frozenset({"web"}), False),
        (RUNS, frozenset({"db"}), True),
        (RUNS, frozenset(), True),
        (RUNS, Unavailable("no /proc"), False),
        (ready("web", 3), frozenset(), False),  # not started by xenlocal: it never had to have one
        (None, frozenset(), False),
    ],
)
def test_a_monitor_that_is_gone_is_missed_where_xenlocal_started_the_guest(
    record: Record | None, monitors: frozenset[str] | Unavailable, gone: bool
) -> None:
    remembered = memory(*([record] if record else []))
    told = found(scene(look=seen(live(3, "web"), monitors=monitors), remembered=remembered))
    assert told == ([("domain/web", "monitor", MONITOR)] if gone else [])


DEAF = (
    "does not show that it can be asked to stop (control/feature-poweroff), as a guest without PV drivers, or one that"
    " hangs: it would have to be destroyed{after}; `xenlocal console {name}` shows how it is"
)
HUNG = (
    "did not stop in its time when it was last asked to, and is taken to do so again: look at its shutdown in"
    " `xenlocal log web`, or give it more stop_timeout"
)


def test_a_guest_that_cannot_be_asked_to_stop_would_be_destroyed_after_its_time() -> None:
    want = desired(dom("db"), dom("web", stop_timeout=Duration(90)))
    deaf = scene(want, able={3: False})
    assert found(deaf) == [("domain/web", "stop-feature", DEAF.format(after=" after stop_timeout = 90s", name="web"))]
    assert found(scene(want, able={4: False, 3: True})) == []


def test_of_one_without_a_section_the_time_is_not_known() -> None:
    """An orphan; its monitor is missed as well, and no file says how it would come back."""
    old = memory(ready("old", 3, running={"memory": "1"}, declared=""))
    deaf = scene(look=seen(live(3, "old"), monitors=frozenset()), remembered=old, able={3: False}, known={"old": KNOWN})
    assert found(deaf, "old") == [
        ("domain/old", "monitor", MONITOR.replace("web", "old")),
        ("domain/old", "stop-feature", DEAF.format(after="", name="old")),
    ]


@pytest.mark.parametrize(
    ("hung", "able", "told"),
    [
        (True, {}, ("domain/web", "hung", HUNG)),
        (True, {3: True}, ("domain/web", "hung", HUNG)),
        (False, {}, None),
        (True, {3: False}, ("domain/web", "stop-feature", DEAF.format(after=" after stop_timeout = 5m", name="web"))),
    ],
)
def test_one_that_hung_at_its_last_stop_is_taken_to_do_so_again(
    hung: bool, able: dict[int, bool], told: tuple[str, str, str] | None
) -> None:
    known = {"web": Learned(start=4.0, ready=16.0, stop=7.0, hung=hung)}
    assert found(scene(known=known, able=able)) == ([] if told is None else [told])


EDITED = desired(dom("web", cmdline="quiet", bootloader="pygrub"))


@pytest.mark.parametrize(
    ("want", "record", "text"),
    [
        (EDITED, RUNS, "comes back with other settings than it runs with: bootloader, cmdline"),
        (EDITED, ready("web", 3), ""),  # not known with which it runs
        (EDITED, None, ""),
        (desired(dom("web", cpu_weight=512)), RUNS, ""),  # is changed while it runs
        (desired(dom("db")), RUNS, ""),  # no section names it: it does not come back
    ],
)
def test_settings_that_wait_for_the_next_start(want: Desired, record: Record | None, text: str) -> None:
    told = found(scene(want, remembered=memory(*([record] if record else []))))
    assert told == ([("domain/web", "pending", text)] if text else [])


@pytest.mark.parametrize("state", ["shutdown", "crashed", "dying"])
def test_of_what_runs_no_more_nothing_is_found(state: str) -> None:
    gone = seen(live(3, "web", state), monitors=frozenset())
    assert found(scene(EDITED, gone, able={3: False})) == []


def test_only_those_are_looked_at_that_are_concerned_and_in_the_order_of_their_names() -> None:
    names = [f"vm{number}" for number in range(9)]
    all_of_them = scene(
        desired(*(dom(name) for name in names)),
        seen(*(live(3 + number, name) for number, name in enumerate(reversed(names))), monitors=frozenset()),
        memory(*(rec(name, running=xlcfg.settings(dom(name))) for name in names)),
        dict.fromkeys(names, KNOWN),
        dict.fromkeys(range(3, 12), False),
    )
    assert kinds(all_of_them, "vm5") == [("domain/vm5", "monitor"), ("domain/vm5", "stop-feature")]
    every = [(f"domain/{name}", kind) for name in names for kind in ("monitor", "stop-feature")]
    assert kinds(all_of_them, *names) == every


def test_what_is_found_of_the_host_stands_with_the_rest_in_the_order_of_names() -> None:
    giving = seen(live(3, "web"), monitors=frozenset(), hardware=hardware(autoballoon=True))
    assert kinds(scene(look=giving)) == [("domain/web", "monitor"), ("host/this", "autoballoon")]


# Times that nobody has seen yet.

START, READY, STOP = "its start (5 s)", "its way to ready (20 s)", "its stop (20 s)"
RUNNING, MANUAL, NONE = State.RUNNING, State.MANUAL, None


@pytest.mark.parametrize(
    ("state", "up", "known", "missing"),
    [
        (RUNNING, True, KNOWN, []),
        (RUNNING, True, None, [START, READY, STOP]),
        (RUNNING, True, Learned(ready=16.0, stop=7.0), [START]),
        (RUNNING, True, Learned(start=4.0, stop=7.0), [READY]),
        (RUNNING, True, Learned(start=4.0, ready=16.0), [STOP]),
        (RUNNING, False, Learned(start=4.0, ready=16.0), []),  # it has not to be stopped
        (RUNNING, False, None, [START, READY]),
        (MANUAL, True, None, [STOP]),  # nothing starts it
        (MANUAL, True, Learned(stop=7.0), []),
        (MANUAL, False, None, []),
        (NONE, True, None, [STOP]),  # an orphan or a stranger
        (NONE, False, None, []),
    ],
)
def test_where_nothing_was_learned_it_is_said_what_is_taken_for_it(
    state: State | None, up: bool, known: Learned | None, missing: list[str]
) -> None:
    want = desired(dom("other"), *([] if state is None else [dom("web", state=state)]))
    look = seen(live(2, "other"), *([live(3, "web")] if up else []))
    told = found(scene(want, look, Memory(), {} if known is None else {"web": known}))
    text = f"nothing was learned yet of {', '.join(missing)}: what is usual is taken for it"
    assert told == ([("domain/web", "durations", text)] if missing else [])


def test_how_long_the_work_on_a_disk_takes_is_never_known() -> None:
    moments = (Moment(5.0, 185.0, "domain/web", "watch", "done"), Moment(185.0, 190.0, "domain/web", "start", "done"))
    text = "how long the work on its disk takes is not known: 3 min is taken for it"
    (told,) = findings(scene(), frozenset({"web"}), [Phase("boot", 190.0, moments, (), ())])
    assert told == Finding(WEB.target, "durations", text)


def test_one_that_hung_is_not_one_of_which_nothing_is_known() -> None:
    told = kinds(scene(known={"web": Learned(start=4.0, ready=16.0, hung=True)}))
    assert told == [("domain/web", "hung")]
