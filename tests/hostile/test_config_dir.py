"""The configuration directory: what is read as configuration is only what root has written there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.conftest import SOMEBODY
from tests.hostile.things import THINGS, unharmed
from xenlocal.adapters.conffiles import ConfigFiles
from xenlocal.model.conffiles import Problem
from xenlocal.model.errors import ConfigError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices and files of other users: needs root")

TEXT = "[host]\nresync = 1h\n"
TYPE = {"owner": "type: chown root:root", "group": "type: chmod go-w", "everybody": "type: chmod go-w"}


def problems(directory: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        ConfigFiles(str(directory)).read()
    assert [file.name for file in caught.value.readable] == [str(directory / "good.conf")]
    return caught.value.problems


@pytest.fixture
def config(tmp_path: Path) -> Path:
    directory = tmp_path / "conf"
    directory.mkdir(0o755)
    (directory / "good.conf").write_text(TEXT)
    return directory


@pytest.mark.parametrize("kind", THINGS)
def test_what_is_no_file_of_roots_is_a_problem(config: Path, kind: str) -> None:
    path = config / "x.conf"
    THINGS[kind](path, TEXT)
    (problem,) = problems(config)
    assert problem.file == str(path)
    assert TYPE.get(kind, "put the file itself there" if "link" in kind else "write a plain file") in problem.message
    unharmed(path)


@pytest.mark.parametrize("owner", [0, SOMEBODY])
def test_one_that_has_another_name_elsewhere_counts_where_only_root_can_write_to_it(config: Path, owner: int) -> None:
    """Backups and version control make hard links; in a directory of root's nobody else can."""
    elsewhere = config.parent / "elsewhere"
    elsewhere.write_text(TEXT)
    os.chown(elsewhere, owner, 0)
    os.link(elsewhere, config / "x.conf")
    if owner == 0:
        assert [file.text for file in ConfigFiles(str(config)).read()] == [TEXT, TEXT]
    else:
        (problem,) = problems(config)
        assert problem.file == str(config / "x.conf") and f"belongs to user {SOMEBODY}" in problem.message


@pytest.mark.parametrize("kind", THINGS)
def test_one_that_is_swapped_after_the_directory_was_listed(
    config: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config / "x.conf"
    path.write_text(TEXT)
    swap_before_open(monkeypatch, path, lambda: THINGS[kind](path, TEXT))
    (problem,) = problems(config)
    assert problem.file == str(path)
    unharmed(path)


@pytest.mark.parametrize("kind", THINGS)
def test_one_that_is_swapped_after_it_was_opened(config: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened is read, or all is read again; never half of each."""
    path = config / "x.conf"
    path.write_text(TEXT)
    real, done = os.fstat, list[bool]()

    def fstat(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if not done and os.path.exists(path) and os.path.samestat(found, os.lstat(path)):
            done.append(True)
            path.unlink()
            THINGS[kind](path, TEXT)
        return found

    monkeypatch.setattr(os, "fstat", fstat)
    (problem,) = problems(config)
    assert done and problem.file == str(path)
    unharmed(path)


def test_a_directory_that_is_swapped_while_it_is_read(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read is one directory, the one that was looked at."""

    def swap() -> None:
        config.rename(config.parent / "former")
        config.mkdir(0o777)
        os.chown(config, SOMEBODY, SOMEBODY)
        (config / "good.conf").write_text("[domain evil]\nmemory = 1G\n")

    (config / "x.conf").write_text(TEXT)
    swap_before_open(monkeypatch, config / "x.conf", swap, unlink=False)
    assert {file.text for file in ConfigFiles(str(config)).read()} == {TEXT}
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        ConfigFiles(str(config)).read()


@pytest.mark.parametrize("kind", [*sorted(THINGS.keys() - {"directory"}), "missing"])
def test_a_directory_that_is_none_of_roots(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "conf"
    if kind in ("owner", "group", "everybody"):
        path.mkdir()
        os.chown(path, SOMEBODY if kind == "owner" else 0, 0)
        path.chmod({"owner": 0o755, "group": 0o775, "everybody": 0o757}[kind])
    elif kind != "missing":
        THINGS[kind](path, TEXT)
    with pytest.raises(ConfigError) as caught:
        ConfigFiles(str(path)).read()
    assert caught.value.problems[0].file == str(path)


def swap_before_open(
    monkeypatch: pytest.MonkeyPatch, path: Path, swap: Callable[[], None], unlink: bool = True
) -> None:
    real, done = os.open, list[bool]()

    def opened(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not done and name == path.name:
            done.append(True)
            if unlink:
                path.unlink()
            swap()
        return real(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", opened)
