"""Learned durations, and where the time of a boot went."""

from __future__ import annotations

from tests.unit.planner.build import WALL
from tests.unit.planner.past import begun, deed, ended, event, numbered, stamp
from xenlocal.model.history import Deed, Entry, What
from xenlocal.planner.blame import blame
from xenlocal.planner.course import last_begun
from xenlocal.planner.learned import Learned, learned


def test_medians_of_the_latest_that_succeeded() -> None:
    starts = [deed("start domain/web", 0, seconds) for seconds in (900, 900, 900, 1, 2, 3, 4, 5, 6, 7)]
    stop = [deed("stop domain/web", 0, 9), deed("stop domain/web", 0, 300, outcome="late")]
    ready = [event(What.READY, "domain/web", 0, 20.0), event(What.LATE, "domain/web", 0, 300.0)]
    failed = deed("start domain/db", 0, 5, outcome="failed")
    assert learned([*starts, *stop, *ready, failed, deed("create volume/vg0/x", 0, 1)]) == {
        "web": Learned(start=4, ready=20.0, stop=9, hung=True)
    }


def test_one_that_stopped_well_again_hangs_no_more() -> None:
    late, done, failed = (deed("stop domain/web", 0, 30, outcome=each) for each in ("late", "done", "failed"))
    assert learned([late])["web"].hung and learned([late, failed])["web"].hung
    assert not learned([late, done])["web"].hung


def boot() -> list[Entry]:
    """nas, then db on a volume of its own; web waits for db and for a slot; free is in nobody's way."""
    return numbered(
        deed("start domain/nas", -100, 2),
        event(What.READY, "domain/nas", -90, 8.0),
        begun("boot"),
        deed("create volume/vg0/db", 0, 1),
        deed("start domain/free", 0, 4),
        deed("start domain/nas", 0, 2),
        event(What.READY, "domain/free", 9, 5.0),
        event(What.READY, "domain/nas", 12, 10.5),
        deed("start domain/db", 12, 2, "create volume/vg0/db", "await domain/nas", outcome="failed"),
        deed("start domain/db", 24, 2, "await domain/nas"),
        event(What.READY, "domain/db", 40, 14.0),
        deed("start domain/web", 43, 2, "await domain/db", "await domain/gone"),
        event(What.LATE, "domain/web", 60, 15.0),
        ended("boot", 61),
        deed("start domain/later", 100, 2),
    )


def test_the_critical_path_goes_back_from_what_ended_last() -> None:
    entries = boot()
    beginning = last_begun(entries, None)
    assert beginning is not None
    told = blame(entries, beginning)
    assert (told.goal, told.begun, told.seconds, told.forced) == ("boot", WALL, 61.0, ())
    assert [(link.step, link.begin, link.seconds, link.waited) for link in told.path] == [
        ("start domain/nas", 0, 2, 0),
        ("await domain/nas", 2, 10, 0),
        ("start domain/db", 12, 2, 0),
        ("start domain/db", 24, 2, 10),
        ("await domain/db", 26, 14, 0),
        ("start domain/web", 43, 2, 3),
        ("await domain/web", 45, 15, 0),
    ]
    assert sum(link.seconds + link.waited for link in told.path) == 60


def test_each_domu_has_its_part_the_slowest_first() -> None:
    entries = boot()
    beginning = last_begun(entries, "boot")
    assert beginning is not None
    assert [
        (part.name, part.begin, part.seconds, part.result, part.usual) for part in blame(entries, beginning).parts
    ] == [
        ("db", 12, 28, "ready", None),
        ("web", 43, 17, "not ready in time", None),
        ("nas", 0, 12, "ready", 10),
        ("free", 0, 9, "ready", None),
    ]


def test_a_shutdown_names_who_was_forced_and_one_without_an_end_has_no_length() -> None:
    entries = numbered(
        begun("shutdown"),
        deed("stop domain/web", 0, 30, outcome="late"),
        event(What.OFF, "domain/web", 30, cause="destroyed"),
        deed("stop domain/nas", 31, 5, "stop domain/web"),
    )
    beginning = last_begun(entries, "shutdown")
    assert beginning is not None and last_begun(entries, "boot") is None
    told = blame(entries, beginning)
    assert told.forced == ("web",) and told.seconds is None
    assert [link.step for link in told.path] == ["stop domain/web", "stop domain/nas"]
    assert told.path[1].waited == 1 and told.parts[0].name == "web"


def test_another_boot_of_the_host_ends_what_was_never_ended() -> None:
    other = Deed(stamp(5, "next"), "converge", "start", "domain/web", "why", "done", "", 2.0)
    entries = numbered(begun("shutdown"), other)
    beginning = last_begun(entries, None)
    assert beginning is not None and blame(entries, beginning).path == ()
