"""The history in STATE/history.db. Alone imports sqlite3.

A thread of its own writes, so that a slow or dead disk never keeps a guest waiting; it sleeps while there is nothing to
write. WAL with synchronous=NORMAL: a commit waits for no disk, and a power cut costs the last entries, not the file.
Readers open the file for themselves, read-only, whether the daemon runs or not.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from xenlocal.adapters import own
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Deed, Entry, Event, Query, Stamp, What

SCHEMA = 1  # PRAGMA user_version
ROWS = 50_000  # kept in each table
_PRUNE_EVERY = 500  # rows written
_BUSY = 2.0  # seconds to wait for another process that writes
_CLOSE = 5.0  # seconds that the last entries have to reach the file
_CACHE = 256  # KiB of pages kept in memory; whoever only appends needs few, and sqlite's own choice is 2 MB
_TEXT = 8192  # characters kept of one text
_BESIDE = ("-wal", "-shm", "-journal")
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLES = """
create table if not exists deeds (
    number integer primary key, wall real, at real, boot text, goal text, verb text, target text, reason text,
    outcome text, message text, seconds real, commands text, edges text);
create table if not exists events (
    number integer primary key, wall real, at real, boot text, target text, what text, cause text, message text,
    seconds real, uuid text, domid integer);
create index if not exists deeds_by_target on deeds (target, number);
create index if not exists events_by_target on events (target, number);
"""
_NEXT = "1 + max((select coalesce(max(number), 0) from deeds), (select coalesce(max(number), 0) from events))"
_DEEDS = "number, wall, at, boot, goal, verb, target, reason, outcome, message, seconds, commands, edges"
_EVENTS = "number, wall, at, boot, target, what, cause, message, seconds, uuid, domid"

log = logging.getLogger("xenlocal")


class Damaged(Exception):
    """The file is no history that this version can go on with."""


class SqliteHistory:
    """Satisfies `engine.ports.History`. `path` need not exist. To be made after `process.daemonize`."""

    def __init__(self, path: str, rows: int = ROWS) -> None:
        self._path, self._rows = path, rows
        self._queue: queue.SimpleQueue[tuple[Entry, ...] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failure = ""
        self._written = 0

    def record(self, entries: Sequence[Entry]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="history", daemon=True)
            self._thread.start()
        self._queue.put(tuple(entries))

    def close(self) -> None:
        """Write what is left."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(_CLOSE)
            self._thread = None

    def read(self, query: Query) -> tuple[Entry, ...]:
        """Raises XenlocalError. () where there is no history yet."""
        if not os.path.lexists(self._path):
            return ()
        self._check()
        try:
            with closing(sqlite3.connect(f"file:{quote(self._path)}?mode=ro", uri=True, timeout=_BUSY)) as database:
                version = database.execute("pragma user_version").fetchone()[0]
                if version == 0 and not database.execute("select 1 from sqlite_master").fetchone():
                    return ()  # just being made, or emptied
                if version != SCHEMA:
                    raise XenlocalError(f"cannot read {self._path}: its schema is {version}, not {SCHEMA}")
                deeds = [_deed(row) for row in _select(database, "deeds", _DEEDS, query)]
                events = [_event(row) for row in _select(database, "events", _EVENTS, query)]
        except (sqlite3.Error, ValueError) as error:
            then = "; it is set aside when something is to be written" if _is_damage(error) else ""
            raise XenlocalError(f"cannot read {self._path}: {error}{then}") from error
        found: list[Entry] = sorted([*deeds, *events], key=lambda entry: entry.number)
        return tuple(found[-query.limit :])

    def _write_all(self) -> None:
        database: sqlite3.Connection | None = None
        more = True
        while more:
            batch, more = self._take()
            try:
                if database is None:
                    database = self._open()
                self._write(database, batch)
                if self._failure:
                    log.info("%s can be written again", self._path)
                self._failure = ""
            except (sqlite3.Error, OSError, Damaged, XenlocalError) as error:
                if database is not None:
                    database.close()
                database = None
                self._failed(error)
        if database is not None:
            database.close()

    def _take(self) -> tuple[list[Entry], bool]:
        """Everything that has come in, at least one; and whether more may come."""
        batch: list[Entry] = []
        taken = self._queue.get()
        while taken is not None:
            batch += taken
            try:
                taken = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _failed(self, error: Exception) -> None:
        if _is_damage(error):
            with suppress(OSError):
                self._set_aside(str(error))
        elif str(error) != self._failure:
            log.error("cannot write %s: %s; what happens meanwhile is missing in `xenlocal history`", self._path, error)
        self._failure = str(error)

    def _open(self) -> sqlite3.Connection:
        with own.directory(os.path.dirname(self._path)):
            pass  # only ours
        try:
            return self._connect()
        except (sqlite3.DatabaseError, Damaged) as error:
            if not _is_damage(error):
                raise
            self._set_aside(str(error))
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        if os.path.isdir(self._path) and not os.path.islink(self._path):
            raise Damaged("it is a directory")
        self._check()
        with suppress(FileExistsError):  # made here, with its mode: what sqlite adds beside it takes that over
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
        try:
            version = database.execute("pragma user_version").fetchone()[0]
            if version > SCHEMA:
                raise Damaged(f"it is of a newer version of xenlocal (schema {version})")
            told = database.execute("pragma quick_check(1)").fetchone()[0]
            if told != "ok":
                raise Damaged(told)
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = normal")
            database.execute(f"pragma cache_size = -{_CACHE}")
            database.executescript(_TABLES)
            database.execute(f"pragma user_version = {SCHEMA}")
        except BaseException:
            database.close()
            raise
        return database

    def _check(self) -> None:
        """Only looked at: to close a descriptor of it would drop the locks that sqlite has on it in this process."""
        for end in ("", *_BESIDE):
            own.check(f"{self._path}{end}")

    def _set_aside(self, why: str) -> None:
        """Keep one such file, for whoever wants to look; its journal belongs to it, and not to the new one."""
        path = Path(self._path)
        for old in path.parent.glob(f"{path.name}.corrupt-*"):
            if not old.is_dir():
                old.unlink()
        aside = f"{path}.corrupt-{int(time.time())}"
        for end in _BESIDE:
            Path(f"{path}{end}").unlink(missing_ok=True)
        path.rename(aside)
        log.warning("cannot use the history: %s; it is kept as %s, and a new one is begun", why, aside)

    def _write(self, database: sqlite3.Connection, batch: Sequence[Entry]) -> None:
        with _transaction(database):
            for entry in batch:
                if isinstance(entry, Deed):
                    _insert(database, "deeds", _DEEDS, _deed_row(entry))
                else:
                    _insert(database, "events", _EVENTS, _event_row(entry))
            self._written += len(batch)
            if self._written >= _PRUNE_EVERY:
                self._written = 0
                self._prune(database)

    def _prune(self, database: sqlite3.Connection) -> None:
        for table in ("deeds", "events"):
            last = f"select number from {table} order by number desc limit 1 offset {self._rows}"
            database.execute(f"delete from {table} where number <= ({last})")


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("begin immediate")
    try:
        yield
        database.execute("commit")
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("rollback")
        raise


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, Damaged) or (code is not None and code & 0xFF in _DAMAGED)


Row = tuple[object, ...]


def _insert(database: sqlite3.Connection, table: str, columns: str, row: Row) -> None:
    database.execute(f"insert into {table} ({columns}) values ({_NEXT}{', ?' * len(row)})", row)


def _select(database: sqlite3.Connection, table: str, columns: str, query: Query) -> list[tuple[object, ...]]:
    wanted, values = ["number >= ?"], [query.first, *query.targets]
    if query.targets:
        wanted.append(f"target in ({', '.join('?' * len(query.targets))})")
    if query.since is not None:
        wanted.append("wall >= ?")
        values.append(query.since)
    text = f"select {columns} from {table} where {' and '.join(wanted)} order by number desc limit ?"
    return database.execute(text, (*values, query.limit)).fetchall()


def _text(text: str) -> str:
    """What any tool or file said, in a form that the database takes."""
    return text[:_TEXT].encode("utf-8", "backslashreplace").decode()


def _deed_row(deed: Deed) -> Row:
    stamp, commands = deed.stamp, json.dumps([_text(each) for each in deed.commands])
    return (
        stamp.wall, stamp.at, stamp.boot, deed.goal, deed.verb, _text(deed.target), _text(deed.reason), deed.outcome,
        _text(deed.message), deed.seconds, commands, json.dumps(deed.edges),
    )  # fmt: skip


def _deed(row: tuple[object, ...]) -> Deed:
    number, wall, at, boot, goal, verb, target, reason, outcome, message, seconds, commands, edges = row
    return Deed(
        Stamp(_number(wall), _number(at), str(boot)), str(goal), str(verb), str(target), str(reason), str(outcome),
        str(message), _number(seconds), _words(commands), _words(edges), int(_number(number)),
    )  # fmt: skip


def _event_row(event: Event) -> Row:
    stamp = event.stamp
    return (
        stamp.wall, stamp.at, stamp.boot, _text(event.target), str(event.what), event.cause, _text(event.message),
        event.seconds, event.uuid, event.domid,
    )  # fmt: skip


def _event(row: tuple[object, ...]) -> Event:
    number, wall, at, boot, target, what, cause, message, seconds, uuid, domid = row
    return Event(
        Stamp(_number(wall), _number(at), str(boot)), str(target), What(str(what)), str(cause), str(message),
        None if seconds is None else _number(seconds), str(uuid), None if domid is None else int(_number(domid)),
        int(_number(number)),
    )  # fmt: skip


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    return value


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in json.loads(str(value)))
