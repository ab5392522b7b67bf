"""RUN and STATE: nothing that somebody else may have put there is read, waited for, written through or changed."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.hostile.conftest import SOMEBODY, as_somebody
from tests.hostile.things import SECRET, THINGS, hard_link, unharmed
from tests.unit.adapters.scripted import NO_KERNELS
from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.console import Consoles
from xenlocal.adapters.files import Files, write_private
from xenlocal.adapters.history import SqliteHistory
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.process import Lock, daemonize
from xenlocal.adapters.records import FileRecords
from xenlocal.adapters.trials import Trials
from xenlocal.model.actions import StartDomain
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Event, Query, Stamp, What
from xenlocal.model.identity import Identity
from xenlocal.model.memory import Memory
from xenlocal.model.trial import Trial

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices and files of other users: needs root")

OURS = {**THINGS, "hard link": hard_link}
GOOD = '{"schema": 1, "files": [{"name": "evil.conf", "text": "[domain evil]\\nmemory = 1G\\n"}]}'
MEMORY = '{"boot": "", "memory": {"boot_done": true, "records": {}}}'
TRIALS = '{"schema": 1, "trials": []}'
EVENT = Event(Stamp(1.0, 1.0, "boot"), "domain/web", What.BORN, "", "")


def last_good(path: Path) -> object:
    return FileRecords("/nowhere", str(path.parent)).load_good()


def memory(path: Path) -> object:
    loaded = FileRecords(str(path.parent), "/nowhere", boot_id="/nowhere/boot").load_memory()
    return None if loaded == Memory() else loaded


def host_id(path: Path) -> object:
    return FileRecords("/nowhere", str(path.parent)).host_id()


def lock(path: Path) -> object:
    with Lock(str(path.parent)) as held:
        return held


def log_file(path: Path) -> object:
    with Lock(str(path.parent / "run")) as held:
        daemonize(held, str(path))
    return "in the background"


def history_read(path: Path) -> object:
    return SqliteHistory(str(path)).read(Query())


def history_write(path: Path) -> object:
    history = SqliteHistory(str(path))
    history.record((EVENT,))
    history.close()
    return None


# file -> what opens it, and what would be taken from it
READERS: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "last-good.json": (last_good, GOOD),
    "memory.json": (memory, MEMORY),
    "host-id": (host_id, "0" * 32),
    "identities.json": (lambda path: Identities(str(path.parent)).all(), '{"schema": 1, "identities": []}'),
    "trials.json": (lambda path: Trials(str(path.parent)).all(), TRIALS),
    "lock": (lock, ""),
    "daemon.log": (log_file, ""),
    "history.db": (history_read, ""),
    "history.db ": (history_write, ""),
}


@pytest.mark.parametrize(
    ("file", "kind"),  # a directory in the place of the history is set aside, as any that is damaged
    [(file, kind) for file in READERS for kind in OURS if (file, kind) != ("history.db ", "directory")],
)
def test_what_is_not_ours_is_refused(
    tmp_path: Path, file: str, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / file.strip()
    reader, text = READERS[file]
    monkeypatch.setattr("daemon.DaemonContext.open", lambda self: pytest.fail("it is opened"))
    OURS[kind](path, text)
    before = path.lstat()
    caplog.set_level(logging.WARNING, "xenlocal")
    try:
        assert reader(path) is None
        said = caplog.text
    except XenlocalError as error:
        said = str(error)
    assert f"cannot trust {path}: it " in said
    assert f"type: rm {path}" in said or f"type: rm -r {path}" in said
    after = path.lstat()
    assert (after.st_mode, after.st_uid, after.st_size) == (before.st_mode, before.st_uid, before.st_size)
    unharmed(path)


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_what_sqlite_would_open_beside_the_history(tmp_path: Path, end: str) -> None:
    history_write(tmp_path / "history.db")
    (tmp_path / f"history.db{end}").unlink(missing_ok=True)
    os.mkfifo(tmp_path / f"history.db{end}")
    with pytest.raises(XenlocalError, match=f"history.db{end}: it is not a regular file"):
        history_read(tmp_path / "history.db")


def writes(place: Path) -> Mapping[str, Callable[[], object]]:
    records = FileRecords(str(place), str(place))
    start = StartDomain("web", "uuid", "name = 'web'\n", {})
    return {
        "a file": lambda: write_private(str(place / "x"), "text"),
        "memory": lambda: records.save_memory(Memory()),
        "last good": lambda: records.save_good([ConfigFile("a.conf", "")]),
        "xl.cfg": lambda: HostActuator(
            NoRunner(), str(place.parent), False, Identities(str(place)), NO_KERNELS
        ).perform(start),
        "identities": lambda: Identities(str(place)).put(Identity("web", "uuid")),
        "trials": lambda: Trials(str(place)).put(Trial("web", "uuid", "6.1", "copy", None)),
        "lock": lambda: Lock(str(place)).__enter__(),
        "console": lambda: Consoles(LogOf(), str(place)).keep("web", "ended"),
        "history": lambda: history_write(place / "history.db"),
    }


class NoRunner:
    def run(self, argv: object, **options: object) -> str:
        raise AssertionError(f"{argv} is run")


class LogOf(Files):
    def read_on(self, path: str, place: str, limit: int) -> tuple[str, str] | None:
        return "1:5", "words"


@pytest.mark.parametrize("what", [*writes(Path("/nowhere"))])
@pytest.mark.parametrize("who", ["owner", "group", "everybody"])
def test_a_directory_that_others_can_write_to_is_not_written_to(
    tmp_path: Path, what: str, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "domains"
    place.mkdir()
    os.chown(place, SOMEBODY if who == "owner" else 0, 0)
    place.chmod({"owner": 0o755, "group": 0o770, "everybody": 0o707}[who])
    caplog.set_level(logging.WARNING, "xenlocal")
    try:
        writes(place)[what]()
        said = caplog.text
    except XenlocalError as error:
        said = str(error)
    assert f"cannot trust {place}: it " in said
    assert f"type: chown root:root {place}; chmod go-w {place}" in said
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "link to nothing", "hard link", "fifo", "socket", "device", "owner"])
def test_a_file_is_put_in_the_place_of_another_and_never_into_it(tmp_path: Path, kind: str) -> None:
    for name in ("memory.json", ".memory.json.new"):  # the second is where it is written first
        OURS[kind](tmp_path / name, "former")
        FileRecords(str(tmp_path), str(tmp_path)).save_memory(Memory())
        found = (tmp_path / "memory.json").lstat()
        assert stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
        assert (found.st_uid, found.st_nlink) == (os.geteuid(), 1)
        unharmed(tmp_path / name)
        (tmp_path / "victim").unlink(missing_ok=True)


def test_a_directory_that_is_swapped_for_a_link_while_a_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, elsewhere = tmp_path / "domains", tmp_path / "elsewhere"
    place.mkdir(0o700)
    elsewhere.mkdir(0o700)
    real = os.unlink

    def unlink(path: str, *, dir_fd: int | None = None) -> None:
        place.rename(tmp_path / "former")
        place.symlink_to(elsewhere)
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    write_private(str(place / "web.cfg"), "text")
    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "former/web.cfg").read_text() == "text"


@pytest.mark.parametrize("kind", ["fifo", "directory", "socket", "device"])
def test_a_log_that_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    THINGS[kind](tmp_path / "log", "")
    for read in (Files().read_text, lambda path: Files().read_on(path, "", 10)):
        with pytest.raises(XenlocalError, match=f"cannot .*{tmp_path}/log"):
            read(str(tmp_path / "log"))


def test_others_can_read_nothing_of_ours(open_place: Path) -> None:
    run, state = open_place / "run", open_place / "state"
    before = os.umask(0o022)
    records = FileRecords(str(run), str(state))
    with Lock(str(run)):
        pass
    records.save_memory(Memory())
    records.save_good([ConfigFile("a.conf", "")])
    Identities(str(state)).put(Identity("web", "uuid"))
    history_write(state / "history.db")
    HostActuator(Accepts(), str(run), False, Identities(str(state)), NO_KERNELS).perform(
        StartDomain("web", "uuid", "name = 'web'\n", {})
    )
    os.umask(before)
    for directory in (run, state):
        directory.chmod(0o755)  # somebody was in a hurry
    files = [path for directory in (run, state) for path in directory.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"lock", "memory.json", "last-good.json", "history.db", "web.cfg"}

    def readable() -> int:
        return sum(os.access(path, os.R_OK) or os.access(path, os.W_OK) for path in files)

    assert as_somebody(readable) == 0


class Accepts:
    def run(self, argv: object, **options: object) -> str:
        return ""


def test_the_foreign_file_is_one_that_a_link_would_have_shown(tmp_path: Path) -> None:
    """So that `unharmed` can fail."""
    THINGS["link"](tmp_path / "x", "")
    assert (tmp_path / "x").read_text() == SECRET
