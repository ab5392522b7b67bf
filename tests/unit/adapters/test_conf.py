"""The configuration directory: what is trusted, what is refused by name, and what is noticed."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from xenlocal.adapters import confdir, conffiles
from xenlocal.adapters.confdir import ConfigDir, ConfigWatch, read_files
from xenlocal.config.lines import MAX_FILE
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.errors import ConfigError, ConfigUnsettled

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    directory = tmp_path / "xenlocal"
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    return directory


def put(directory: Path, name: str, text: str | bytes = "[host]\n") -> Path:
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o644)
    return path


def refused(directory: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        ConfigDir(str(directory)).read()
    assert all(problem.section == problem.key == "" for problem in caught.value.problems)
    return {os.path.basename(problem.file): f"{problem.line}: {problem.message}" for problem in caught.value.problems}


def test_reads_conf_files_in_order(conf: Path) -> None:
    put(conf, "b.conf", "ü\n")
    put(conf, "a.conf", "")
    for name in (".a.conf.swp", ".hidden.conf", "4913", "a.conf~", "a.conf.dpkg-old", "README", "a.conf.bak"):
        put(conf, name, b"\xff")
    assert ConfigDir(str(conf)).read() == (ConfigFile(f"{conf}/a.conf", ""), ConfigFile(f"{conf}/b.conf", "ü\n"))


def test_an_empty_directory_is_an_empty_configuration(conf: Path) -> None:
    assert ConfigDir(str(conf)).read() == ()


def test_a_missing_directory_is_a_problem(conf: Path) -> None:
    assert "mkdir" in refused(conf / "gone")["gone"]
    put(conf, "file")
    assert refused(conf / "file") == {"file": "0: is not a directory"}


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
def test_a_directory_that_others_write_to(conf: Path, mode: int) -> None:
    put(conf, "a.conf")
    conf.chmod(mode)
    assert f"chmod go-w {conf}" in refused(conf)["xenlocal"]


@ROOT
def test_a_directory_of_another_user(conf: Path) -> None:
    os.chown(conf, 12345, 0)
    assert f"chown root:root {conf}; chmod 755 {conf}" in refused(conf)["xenlocal"]


def test_every_offender_is_named_at_once(conf: Path) -> None:
    put(conf, "good.conf")
    (conf / "link.conf").symlink_to(conf / "good.conf")
    (conf / "dangling.conf").symlink_to("/nowhere")
    os.mkfifo(conf / "fifo.conf")
    (conf / "dir.conf").mkdir()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.bind(str(conf / "socket.conf"))
    put(conf, "group.conf").chmod(0o664)
    put(conf, "world.conf").chmod(0o646)
    put(conf, "large.conf", b"#" * (conffiles.FILE_LIMIT + 1))
    put(conf, "latin.conf", b"[host]\n# caf\xe9\n")
    found = refused(conf)
    assert set(found) == {f"{name}.conf" for name in (
        "link", "dangling", "fifo", "dir", "socket", "group", "world", "large", "latin")}  # fmt: skip
    assert found["link.conf"] == found["dangling.conf"] == "0: is a symbolic link; put the file itself there"
    assert all("regular file" in found[f"{name}.conf"] for name in ("fifo", "dir", "socket"))
    assert "its group" in found["group.conf"] and "everybody" in found["world.conf"]
    assert "262144" in found["large.conf"]
    assert found["latin.conf"].startswith("2: is not UTF-8 (byte 0xe9)")


def test_a_file_that_ends_in_the_middle_of_a_line(conf: Path) -> None:
    """Half of a list of ports, or of a volume's name, would take something away. A comment takes nothing away."""
    put(conf, "a.conf", b"[bridge br0]\nports = eno1, eno")
    put(conf, "b.conf", b"[host]\n  # b\xc3")
    put(conf, "c.conf", b"[host]\n# the end")
    put(conf, "d.conf", b"[host]\n  ")
    put(conf, "e.conf", b"\n\xe9\n")
    found = refused(conf)
    assert set(found) == {"a.conf", "b.conf", "e.conf"} and found["e.conf"].startswith("2: is not UTF-8")
    assert found["a.conf"].startswith("2: ends in the middle of a line") and "UTF-8" in found["b.conf"]


def test_the_largest_file_is_read(conf: Path) -> None:
    put(conf, "a.conf", b"#" * conffiles.FILE_LIMIT)
    (file,) = ConfigDir(str(conf)).read()
    assert len(file.text) == conffiles.FILE_LIMIT


@ROOT
def test_a_file_of_another_user(conf: Path) -> None:
    path = put(conf, "a b.conf")
    os.chown(path, 12345, 12345)
    assert f"chown root:root '{path}'; chmod 644 '{path}'" in refused(conf)["a b.conf"]


@ROOT
@pytest.mark.parametrize("owner", [0, 12345])
def test_who_runs_us_is_trusted_as_root_is(conf: Path, monkeypatch: pytest.MonkeyPatch, owner: int) -> None:
    os.chown(put(conf, "a.conf", "x\n"), owner, owner)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    (file,) = ConfigDir(str(conf)).read()
    assert file.text == "x\n"
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    if owner:
        assert "belongs to user 12345, not to root" in refused(conf)["a.conf"]


def test_a_file_that_goes_or_comes_while_the_others_are_read_makes_no_half_configuration(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(conf, "a.conf", "a\n")
    gone = put(conf, "b.conf", "b\n")
    real_open, real_read = os.open, os.read

    def open_late(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "b.conf":
            gone.unlink(missing_ok=True)
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_late)
    assert [file.text for file in ConfigDir(str(conf)).read()] == ["a\n"]

    def read_and_add(descriptor: int, count: int) -> bytes:
        if not (conf / "c.conf").exists():
            put(conf, "c.conf", "c\n")
        return real_read(descriptor, count)

    monkeypatch.setattr(os, "read", read_and_add)
    assert [file.text for file in ConfigDir(str(conf)).read()] == ["a\n", "c\n"]


@pytest.mark.parametrize("function", ["open", "read", "fstat"])
def test_a_disk_that_fails_is_a_problem_of_that_file(
    conf: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    put(conf, "a.conf", "x")
    real, calls = getattr(os, function), []

    def fail(*words: object, **more: object) -> object:
        calls.append(words)
        if function != "read" and len(calls) == 1:  # of the directory
            return real(*words, **more)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, function, fail)
    assert refused(conf) == {"a.conf": "0: cannot be read: Input/output error"}


def test_a_directory_that_cannot_be_opened_is_a_problem(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_words: object, **_more: object) -> int:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", fail)
    assert refused(conf) == {"xenlocal": "0: cannot be opened: Permission denied"}


def problem_of(directory: Path) -> Problem:
    with pytest.raises(ConfigError) as caught:
        ConfigDir(str(directory)).read()
    (problem,) = caught.value.problems
    return problem


def test_a_problem_of_the_whole_directory_has_no_line(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    assert problem_of(conf / "gone").line == 0
    conf.chmod(0o777)
    assert problem_of(conf).line == 0
    conf.chmod(0o755)
    monkeypatch.setattr(conffiles, "_is_open_for_writing", lambda _: False)  # whose lease keeps this writer waiting
    path, real = put(conf, "a.conf", "x\n"), os.read

    def read_and_append(descriptor: int, count: int) -> bytes:
        with open(path, "ab") as file:
            file.write(b"y\n")
        return real(descriptor, count)

    monkeypatch.setattr(os, "read", read_and_append)
    assert problem_of(conf).line == 0
    with pytest.raises(ConfigError) as caught:
        read_files([str(path)])
    assert [problem.line for problem in caught.value.problems] == [0]


def test_names_with_any_bytes(conf: Path) -> None:
    name = os.fsencode(conf) + b"/\xff\n\x1b[31m.conf"
    with open(name, "wb") as file:
        file.write(b"x\n")
    os.chmod(name, 0o644)
    (found,) = ConfigDir(str(conf)).read()
    assert found.name == f"{conf}/\\xff\\n\\x1b[31m.conf" and found.text == "x\n"


def test_a_file_that_never_stands_still(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system on which nobody can be kept from writing to it."""
    path = put(conf, "a.conf", "x\n")
    monkeypatch.setattr(conffiles, "_PAUSE", 0.001)
    monkeypatch.setattr(conffiles, "_QUIET", 0.0)
    monkeypatch.setattr(conffiles, "_is_open_for_writing", lambda _: False)
    real = os.read

    def read_and_append(descriptor: int, count: int) -> bytes:
        with open(path, "ab") as file:
            file.write(b"y\n")
        return real(descriptor, count)

    monkeypatch.setattr(os, "read", read_and_append)
    assert "changes while it is read" in refused(conf)["xenlocal"]


def test_a_file_that_somebody_is_writing(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conffiles, "_PAUSE", 0.001)
    monkeypatch.setattr(conffiles, "_QUIET", 0.0)
    path = put(conf, "a.conf", "[host]\n")
    with open(path, "ab"):
        assert "a.conf is open for writing by another program" in refused(conf)["xenlocal"]
        with pytest.raises(ConfigUnsettled, match="open for writing"):
            read_files([str(path)])
        monkeypatch.setattr(conffiles, "_SETTLED", 0.0)  # who keeps it open without a word does not hold it up for ever
        assert len(ConfigDir(str(conf)).read()) == 1
    monkeypatch.setattr(conffiles, "_SETTLED", 10.0)
    assert len(ConfigDir(str(conf)).read()) == 1


def test_a_file_that_changed_a_moment_ago(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next `>>` may follow; a clock that was set back does not hold it up."""
    path = put(conf, "a.conf", "[host]\n")
    monkeypatch.setattr(conffiles, "_PAUSE", 0.001)
    monkeypatch.setattr(conffiles, "_QUIET", 3600.0)
    assert "a.conf changes all the time" in refused(conf)["xenlocal"]
    assert len(read_files([str(path)])) == 1
    now = path.stat().st_ctime
    monkeypatch.setattr("time.time", lambda: now - 5)
    assert len(ConfigDir(str(conf)).read()) == 1


@pytest.mark.parametrize(("age", "waits"), [(-1.0, False), (0.0, True), (7.75, True), (8.0, False)])
@pytest.mark.parametrize("limit", ["_QUIET", "_SETTLED"])
def test_how_long_a_writer_is_waited_for(
    conf: Path, monkeypatch: pytest.MonkeyPatch, limit: str, age: float, waits: bool
) -> None:
    """From the moment of its change on, which may be this one, up to the limit; not where the clock says it is yet to
    come."""
    path = put(conf, "a.conf", "[host]\n")
    for each in ("_QUIET", "_SETTLED"):
        monkeypatch.setattr(conffiles, each, 8.0 if each == limit else 0.0)
    monkeypatch.setattr(conffiles, "_PAUSE", 0.001)
    monkeypatch.setattr("time.time", lambda: path.stat().st_ctime + age)
    with open(path, "ab"):
        if waits:
            assert "it is read when that" in refused(conf)["xenlocal"]
        else:
            assert len(ConfigDir(str(conf)).read()) == 1


def test_how_patient_it_is(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reloads waits for it: for longer than a file must be quiet, and less than a second. One that stays open
    is read after five minutes (xenlocal.conf(5))."""
    path, slept = put(conf, "a.conf", "[host]\n"), list[float]()
    monkeypatch.setattr("time.sleep", slept.append)

    def is_read(age: float) -> bool:
        monkeypatch.setattr("time.time", lambda: path.stat().st_ctime + age)
        slept.clear()
        try:
            return len(ConfigDir(str(conf)).read()) == 1
        except ConfigUnsettled:
            return False

    assert not is_read(0.0625) and 0.125 < sum(slept) < 1
    assert is_read(0.125) and not slept
    with open(path, "ab"):
        assert not is_read(299.75) and is_read(300.25)


def test_what_is_read_is_what_the_parser_takes() -> None:
    assert conffiles.FILE_LIMIT == MAX_FILE


def test_a_file_that_is_written_anew_in_its_place_while_it_is_read(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = put(conf, "a.conf", "ports = a\n"), os.read
    monkeypatch.setattr(conffiles, "_PAUSE", 0.001)
    monkeypatch.setattr(conffiles, "_is_open_for_writing", lambda _: False)

    def read_and_write(descriptor: int, count: int) -> bytes:
        found = real(descriptor, count)
        before = path.stat().st_mtime_ns
        with open(path, "r+b") as file:
            file.write(b"ports = b\n")
        os.utime(path, ns=(before + 1, before + 1))
        return found

    monkeypatch.setattr(os, "read", read_and_write)
    with pytest.raises(ConfigError, match="changes while it is read"):
        read_files([str(path)])


def test_part_of_a_file_is_never_taken_for_all_of_it(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the file system answers: more is asked for until there is nothing more."""
    path, real = put(conf, "a.conf", "[host]\n" * 8), os.read
    monkeypatch.setattr(conffiles, "_PAUSE", 0.001)
    monkeypatch.setattr(os, "read", lambda descriptor, count: real(descriptor, min(count, 10)))
    assert read_files([str(path)]) == (ConfigFile(str(path), "[host]\n" * 8),)
    answers = iter([b"[host]\n", b""] * 10)
    monkeypatch.setattr(os, "read", lambda _descriptor, _count: next(answers))
    with pytest.raises(ConfigError, match="changes while it is read"):
        read_files([str(path)])


def test_reading_leaves_no_descriptor_open(conf: Path) -> None:
    put(conf, "a.conf")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        ConfigDir(str(conf)).read()
    assert len(os.listdir("/proc/self/fd")) == before


def test_who_wants_to_write_waits_and_ends_nobody(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(conf, "a.conf", "[host]\n")
    real, opened = os.read, threading.Event()

    def open_meanwhile() -> None:
        with open(path, "ab"):
            opened.set()

    writer = threading.Thread(target=open_meanwhile)

    def read_slowly(descriptor: int, count: int) -> bytes:
        if not writer.ident:
            writer.start()
            assert not opened.wait(0.2)
        return real(descriptor, count)

    monkeypatch.setattr(os, "read", read_slowly)
    assert len(read_files([str(path)])) == 1
    writer.join(5)
    assert opened.is_set()


def test_whole_files_only_while_they_are_replaced(conf: Path) -> None:
    """Renames while we read: each result is one of the whole texts."""
    texts = ["a" * 100_000, "b" * 200_000]
    put(conf, "a.conf", texts[0])
    stop = threading.Event()

    def replace() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            put(conf, "new", texts[turn % 2]).rename(conf / "a.conf")

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(100):
            with contextlib.suppress(ConfigError):
                (file,) = ConfigDir(str(conf)).read()
                assert file.text in texts
    finally:
        stop.set()
        thread.join()


def test_which_paths_are_of_the_configuration(conf: Path) -> None:
    directory = ConfigDir(f"{conf}/../{conf.name}/")
    assert directory.path == str(conf) and directory.holds(f"{conf}/a.conf")
    assert not directory.holds(f"{conf}/a.conf~") and not directory.holds(f"{conf}/.a.conf")
    assert not directory.holds(f"{conf.parent}/a.conf") and not directory.holds("a.conf")


def test_files_for_check(conf: Path) -> None:
    path = str(put(conf, "any-name", "x\n"))
    assert read_files([path]) == (ConfigFile(path, "x\n"),)
    with pytest.raises(ConfigError) as caught:
        read_files([path, f"{conf}/gone", str(conf)])
    assert [problem.message.split(";")[0] for problem in caught.value.problems] == [
        "does not exist", "is not a regular file"]  # fmt: skip


class Watched:
    def __init__(self, path: Path) -> None:
        self.changes = threading.Semaphore(0)
        self.watch = ConfigWatch(str(path), self.changes.release, poll_seconds=0.1)

    def seen(self, timeout: float = 5) -> bool:
        """Whether a change was told; then waits until no more come."""
        if not self.changes.acquire(timeout=timeout):
            return False
        while self.changes.acquire(timeout=0.1):
            pass
        return True


@pytest.fixture
def watched(conf: Path) -> Iterator[Watched]:
    put(conf, "a.conf", "old")
    watched = Watched(conf)
    assert watched.watch.ready.wait(5)
    yield watched
    watched.watch.stop()


def test_what_is_seen(conf: Path, watched: Watched) -> None:
    assert not watched.seen(0.2)
    put(conf, "b.conf")  # as `cp` does
    assert watched.seen()
    put(conf, ".b.conf.tmp").rename(conf / "b.conf")  # sed -i, dpkg, most editors
    assert watched.seen()
    (conf / "b.conf").rename(conf / "b.conf~")  # vim: moved away, then written anew
    put(conf, "b.conf", "new")
    assert watched.seen()
    (conf / "b.conf").rename(conf / "c.conf")
    assert watched.seen()
    (conf / "c.conf").unlink()
    assert watched.seen()
    (conf / "a.conf").chmod(0o600)  # as a refusal tells the administrator to do
    assert watched.seen()


def test_what_is_not_seen(conf: Path, watched: Watched) -> None:
    for name in (".a.conf.swp", "4913", "a.conf~", "a.conf.dpkg-new"):
        put(conf, name).unlink()
    assert not watched.seen(0.3)


def test_a_renamed_directory_is_watched_again(conf: Path, watched: Watched) -> None:
    conf.rename(conf.with_name("old"))
    conf.mkdir()
    assert watched.seen()
    assert watched.watch.ready.wait(5)
    put(conf, "a.conf")
    assert watched.seen()
    put(conf.with_name("old"), "a.conf", "nobody looks here")
    assert not watched.seen(0.3)


def test_a_directory_that_went_and_came(conf: Path, watched: Watched) -> None:
    (conf / "a.conf").unlink()
    conf.rmdir()
    assert watched.seen()
    conf.mkdir()
    assert watched.seen()
    assert watched.watch.ready.wait(5)
    put(conf, "a.conf")
    assert watched.seen()


def test_without_inotify_it_polls_and_says_so_once(
    conf: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "no inotify")

    monkeypatch.setattr("xenlocal.adapters.confdir.pyinotify.WatchManager", fail)
    watched = Watched(conf)
    assert watched.seen()

    def noticed(number: int) -> bool:
        put(conf, "a.conf", "x" * number)  # a change before the thread's first look is not one
        return watched.seen(1)

    assert any(noticed(number) for number in range(1, 20))
    watched.watch.stop()
    assert len([each for each in caplog.records if "no inotify" in each.getMessage()]) == 1


def test_overflow_means_look_again(conf: Path, watched: Watched) -> None:
    handler = confdir._Handler()
    handler.process_IN_Q_OVERFLOW(None)
    assert handler.take() == (False, True)


def test_no_descriptors_are_left(conf: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        watched = Watched(conf)
        assert watched.watch.ready.wait(5)
        watched.watch.stop()
    assert len(os.listdir("/proc/self/fd")) == before
