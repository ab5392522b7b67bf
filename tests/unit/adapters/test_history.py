"""history.db: written beside the engine, bounded, and set aside when it cannot be trusted."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from xenlocal.adapters.history import SCHEMA, SqliteHistory
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Deed, Entry, Event, Query, Stamp, What

STAMP = Stamp(1_700_000_000.5, 12.25, "boot")
DEED = Deed(STAMP, "boot", "start", "domain/web", "why", "failed", "no\nmemory", 2.5, ("a", "b <<E\nx\nE"), ("x y",))
EVERYTHING = Query()
EVENT = Event(STAMP, "domain/web", What.OFF, "crash", "after its birth", 3.5, "uuid", 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.db"


def write(path: Path, *entries: Entry, rows: int = 1000) -> None:
    history = SqliteHistory(str(path), rows)
    history.record(entries)
    history.close()


def read(path: Path, query: Query = EVERYTHING) -> tuple[Entry, ...]:
    return SqliteHistory(str(path)).read(query)


def event(target: str, wall: float = 0.0, message: str = "") -> Event:
    return Event(Stamp(wall, 0.0), target, What.BORN, message=message)


def asides(path: Path) -> list[Path]:
    return sorted(path.parent.glob("history.db.corrupt-*"))


def test_what_was_written_is_read_again_in_its_order_and_by_root_only(path: Path) -> None:
    write(path, DEED, EVENT)
    write(path, DEED)
    found = read(path)
    assert found == (DEED, EVENT, DEED) and [entry.number for entry in found] == [1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o600


def test_there_may_be_none(path: Path) -> None:
    assert read(path) == () and not path.parent.exists()


def test_it_is_read_while_it_is_written(path: Path) -> None:
    write(path, EVENT)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        other.execute("delete from events")
        assert read(path) == (EVENT,)


def test_who_reads_keeps_nobody_from_writing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, EVENT)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin")
        assert other.execute("select count(*) from events").fetchone() == (1,)
        write(path, DEED)
    assert read(path) == (EVENT, DEED) and not caplog.records


def test_queries(path: Path) -> None:
    write(path, event("domain/a", 1), event("domain/b", 2), DEED, event("domain/a", 3))
    assert [entry.number for entry in read(path, Query(("domain/a", "domain/b")))] == [1, 2, 4]
    assert [entry.number for entry in read(path, Query(("domain/a",), since=2))] == [4]
    assert [entry.number for entry in read(path, Query(first=3))] == [3, 4]
    assert [entry.number for entry in read(path, Query(limit=2))] == [3, 4]


def test_any_text_can_be_kept(path: Path) -> None:
    write(path, event("domain/\udcff\0'", message="x" * 100_000))
    (found,) = read(path)
    assert found.target == "domain/\\udcff\0'" and len(found.message) < 10_000


def test_it_stays_bounded(path: Path) -> None:
    write(path, *(event("domain/a", wall) for wall in range(2000)), DEED, rows=100)
    found = read(path, Query(limit=9999))
    assert len(found) == 101 and found[-1] == DEED and found[0].stamp.wall == 1900


def damage(path: Path, kind: str) -> None:
    if kind == "no database":
        path.write_bytes(b"nonsense" * 1000)
        return
    with closing(sqlite3.connect(path)) as database:
        if kind == "newer":
            database.execute(f"pragma user_version = {SCHEMA + 1}")
        else:
            database.execute("pragma wal_checkpoint(truncate)")
            database.execute("pragma journal_mode = delete")
    if kind == "torn pages":
        data = bytearray(path.read_bytes())
        data[4096:] = b"\xff" * len(data[4096:])
        path.write_bytes(data)


@pytest.mark.parametrize("kind", ["no database", "torn pages", "newer"])
def test_one_that_cannot_be_trusted_is_set_aside_and_a_new_one_begun(
    path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, DEED, EVENT)
    (path.parent / "history.db.corrupt-1").write_text("of long ago")
    damage(path, kind)
    damaged = path.read_bytes()
    write(path, EVENT)
    assert read(path) == (EVENT,)
    (aside,) = asides(path)
    assert aside.name != "history.db.corrupt-1" and aside.read_bytes()[:4096] == damaged[:4096]
    (said,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert str(aside) in said.getMessage()


def test_a_directory_in_its_place_is_set_aside_too(path: Path) -> None:
    former = path.with_name("history.db.corrupt-1")
    for directory in (path, former):
        directory.mkdir(parents=True)
        (directory / "a file").write_text("of somebody")
    write(path, EVENT)
    assert read(path) == (EVENT,) and len(asides(path)) == 2
    assert all((aside / "a file").read_text() == "of somebody" for aside in asides(path))


def test_an_empty_file_is_no_damage(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    assert read(path) == ()
    write(path, EVENT)
    assert read(path) == (EVENT,) and not asides(path)


def test_damage_that_shows_only_while_it_is_written_is_set_aside_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, DEED)
    garbage = path.with_name("garbage")
    garbage.write_bytes(b"nonsense" * 1000)

    def strike(_self: SqliteHistory, _database: sqlite3.Connection, _batch: Sequence[Entry]) -> None:
        with closing(sqlite3.connect(garbage)) as database:
            database.execute("select * from sqlite_master")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteHistory, "_write", strike)
        write(path, EVENT)
    assert asides(path) and not path.exists()
    write(path, EVENT)
    assert read(path) == (EVENT,)


@pytest.mark.parametrize("trouble", ["locked", "no directory"])
def test_one_that_cannot_be_written_is_said_once_and_harms_nobody(
    path: Path, trouble: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xenlocal.adapters.history._BUSY", 0.0)
    caplog.set_level(logging.INFO)
    history = SqliteHistory(str(path))
    if trouble == "no directory":
        path.parent.write_text("a file")
        record(history, EVENT, EVENT)
        path.parent.unlink()
    else:
        write(path, DEED)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            record(history, EVENT, EVENT)
    history.record([EVENT])
    history.close()
    assert read(path)[-1] == EVENT and not asides(path)
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR, logging.INFO]
    assert "cannot write" in caplog.messages[0] and "can be written again" in caplog.messages[1]


def record(history: SqliteHistory, *entries: Entry) -> None:
    """Each in a batch of its own, written or given up."""
    for entry in entries:
        history._queue.put((entry,))
        history._queue.put(None)
        history._write_all()


def test_what_is_no_history_is_an_error_for_who_reads(path: Path) -> None:
    write(path, DEED)
    damage(path, "newer")
    with pytest.raises(XenlocalError, match="schema is 2"):
        read(path)
    damage(path, "no database")
    with pytest.raises(XenlocalError, match="cannot read .* not a database; it is set aside when something"):
        read(path)


def test_nobody_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer is held up; whoever records goes on."""
    go_on, order = threading.Event(), []

    def slow(_self: SqliteHistory, _database: sqlite3.Connection, _batch: Sequence[Entry]) -> None:
        go_on.wait()
        order.append("written")

    monkeypatch.setattr(SqliteHistory, "_write", slow)
    history = SqliteHistory(str(path))
    history.record([EVENT])
    order.append("recorded")
    go_on.set()
    history.close()
    assert order == ["recorded", "written"]


GROWTH = """
import sys, threading
from tests.unit.adapters.test_history import DEED
from xenlocal.adapters.history import SqliteHistory
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Query

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

def write(until):
    for _ in range(20):
        history.record((DEED,) * (until // 20))
    while written() < until:
        threading.Event().wait(0.02)
    return resident()

def written():
    try:
        found = history.read(Query(limit=1))
    except XenlocalError:  # the file is there, its tables are not
        return 0
    return found[0].number if found else 0

history = SqliteHistory(sys.argv[1], 50_000)
before = write(1000)
print(write(21_000) - before)
history.close()
"""


def test_a_long_history_takes_no_more_memory_of_the_daemon_than_a_short_one(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(path)], check=True, capture_output=True, text=True, timeout=300
    )
    assert int(done.stdout) < 1024, f"{done.stdout.strip()} KiB more"
