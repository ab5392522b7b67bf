"""Learned durations, and where the time of a boot went."""

from __future__ import annotations

from tests.unit.planner.build import WALL
from xenlocal.model.history import HOST, Deed, Entry, Event, Stamp, What
from xenlocal.planner.blame import blame
from xenlocal.planner.course import last_begun
from xenlocal.planner.learned import Learned, learned


def deed(verb: str, name: str, begin: float, seconds: float, *edges: str, outcome: str = "done") -> Deed:
    target = name if "/" in name else f"domain/{name}"
    return Deed(Stamp(WALL + begin, begin, "b"), "boot", verb, target, "why", outcome, "", seconds, (), edges)


def event(what: What, target: str, at: float, seconds: float | None = None, cause: str = "") -> Event:
    return Event(Stamp(WALL + at, at, "b"), target, what, cause, "", seconds)


def numbered(*entries: Entry) -> list[Entry]:
    from dataclasses import replace

    return [replace(entry, number=number) for number, entry in enumerate(entries, 1)]


def test_medians_of_the_latest_that_succeeded() -> None:
    starts = [deed("start", "web", 0, seconds) for seconds in (900, 900, 900, 1, 2, 3, 4, 5, 6, 7)]
    stop = [deed("stop", "web", 0, 9), deed("stop", "web", 0, 300, outcome="late")]
    ready = [event(What.READY, "domain/web", 0, 20.0), event(What.LATE, "domain/web", 0, 300.0)]
    failed = deed("start", "db", 0, 5, outcome="failed")
    assert learned([*starts, *stop, *ready, failed, deed("create", "volume/vg0/x", 0, 1)]) == {
        "web": Learned(start=4, ready=20.0, stop=9, hung=True)
    }


def test_one_that_stopped_well_again_hangs_no_more() -> None:
    late, done, failed = (deed("stop", "web", 0, 30, outcome=each) for each in ("late", "done", "failed"))
    assert learned([late])["web"].hung and learned([late, failed])["web"].hung
    assert not learned([late, done])["web"].hung


def boot() -> list[Entry]:
    """nas, then db on a volume of its own; web waits for db and for a slot; free is in nobody's way."""
    return numbered(
        deed("start", "nas", -100, 2),
        event(What.READY, "domain/nas", -90, 8.0),
        event(What.BEGUN, HOST, 0, cause="boot"),
        deed("create", "volume/vg0/db", 0, 1),
        deed("start", "free", 0, 4),
        deed("start", "nas", 0, 2),
        event(What.READY, "domain/free", 9, 5.0),
        event(What.READY, "domain/nas", 12, 10.5),
        deed("start", "db", 12, 2, "create volume/vg0/db", "await domain/nas", outcome="failed"),
        deed("start", "db", 24, 2, "await domain/nas"),
        event(What.READY, "domain/db", 40, 14.0),
        deed("start", "web", 43, 2, "await domain/db", "await domain/gone"),
        event(What.LATE, "domain/web", 60, 15.0),
        event(What.ENDED, HOST, 61, cause="boot"),
        deed("start", "later", 100, 2),
    )


def test_the_critical_path_goes_back_from_what_ended_last() -> None:
    entries = boot()
    begun = last_begun(entries, None)
    assert begun is not None
    told = blame(entries, begun)
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
    begun = last_begun(entries, "boot")
    assert begun is not None
    assert [(part.name, part.begin, part.seconds, part.result, part.usual) for part in blame(entries, begun).parts] == [
        ("db", 12, 28, "ready", None),
        ("web", 43, 17, "not ready in time", None),
        ("nas", 0, 12, "ready", 10),
        ("free", 0, 9, "ready", None),
    ]


def test_a_shutdown_names_who_was_forced_and_one_without_an_end_has_no_length() -> None:
    entries = numbered(
        event(What.BEGUN, HOST, 0, cause="shutdown"),
        deed("stop", "web", 0, 30, outcome="late"),
        event(What.OFF, "domain/web", 30, cause="destroyed"),
        deed("stop", "nas", 31, 5, "stop domain/web"),
    )
    begun = last_begun(entries, "shutdown")
    assert begun is not None and last_begun(entries, "boot") is None
    told = blame(entries, begun)
    assert told.forced == ("web",) and told.seconds is None
    assert [link.step for link in told.path] == ["stop domain/web", "stop domain/nas"]
    assert told.path[1].waited == 1 and told.parts[0].name == "web"


def test_another_boot_of_the_host_ends_what_was_never_ended() -> None:
    other = Deed(Stamp(WALL, 5.0, "next"), "converge", "start", "domain/web", "why", "done", "", 2.0)
    entries = numbered(event(What.BEGUN, HOST, 0, cause="shutdown"), other)
    begun = last_begun(entries, None)
    assert begun is not None and blame(entries, begun).path == ()
