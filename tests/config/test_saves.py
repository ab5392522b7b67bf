"""Ways to save a file that every machine has: no edit is missed, and no half of one is applied. For editors see
`tests/editors`; `--saves=1000` is for a release."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from tests.config.watching import Save, beside, mark_of, run, save_and_read, text_of


def cp(path: Path, number: int) -> None:
    run("cp", beside(path, number), path)


def cp_with_everything(path: Path, number: int) -> None:
    """It gives the copy its owner and times after the text."""
    run("cp", "-a", beside(path, number), path)


def mv(path: Path, number: int) -> None:
    run("mv", "-f", beside(path, number), path)


def mv_from_another_file_system(path: Path, number: int) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        new = Path(other) / "new"
        new.write_text(text_of(number), encoding="utf-8")
        assert new.stat().st_dev != path.stat().st_dev
        run("mv", "-f", new, path)


def sed(path: Path, number: int) -> None:
    run("sed", "-i", f"s/{mark_of(number - 1)}/{mark_of(number)}/", path)


def temporary_and_rename(path: Path, number: int) -> None:
    """As Ansible does it."""
    descriptor, temporary = tempfile.mkstemp(prefix=".ansible_tmp", suffix=path.name, dir=path.parent)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text_of(number))
    os.chmod(temporary, 0o644)
    os.rename(temporary, path)


def truncate_and_write(path: Path, number: int) -> None:
    """In two pieces, cut at another place each time."""
    data = text_of(number).encode()
    place = number * 37 % len(data)
    with open(path, "wb", buffering=0) as file:
        file.write(data[:place])
        file.write(data[place:])


def write_over(path: Path, number: int) -> None:
    """Without truncating: for a moment the file is the head of the new version and the tail of the old."""
    data = text_of(number).encode()
    with open(path, "r+b", buffering=0) as file:
        for place in range(0, len(data), 512):
            file.write(data[place : place + 512])
        file.truncate()


def write_slowly(path: Path, number: int) -> None:
    """A tenth at a time, with pauses longer than a look takes."""
    data = text_of(number).encode()
    step = -(-len(data) // 10)
    with open(path, "wb", buffering=0) as file:
        for place in range(0, len(data), step):
            file.write(data[place : place + step])
            time.sleep(0.003)  # a slow writer is what this is about


def append_line_by_line(path: Path, number: int) -> None:
    """A script with `>` and `>>`: it closes the file after each line."""
    path.write_bytes(b"")
    for line in text_of(number).splitlines(keepends=True):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line)


def truncate_and_append(path: Path, number: int) -> None:
    run("sh", "-c", ': > "$2"; cat "$1" >> "$2"', "sh", beside(path, number), path)


AT_ONCE = [cp, cp_with_everything, mv, mv_from_another_file_system, sed, temporary_and_rename, truncate_and_write]
AT_ONCE += [write_over, write_slowly]
CLOSING_MEANWHILE = [append_line_by_line, truncate_and_append]


@pytest.mark.parametrize("save", AT_ONCE)
def test_a_save_that_is_one(save: Save, conf_file: Path, saves: int) -> None:
    """It is taken at once and whole, without any time of quiet."""
    save_and_read(save, conf_file, saves, quiet=0.0)


@pytest.mark.parametrize("save", CLOSING_MEANWHILE)
def test_a_save_in_pieces(save: Save, conf_file: Path, saves: int) -> None:
    """The pieces come within the time of quiet, which is longer here: a machine may be busy with tests. Each save takes
    as long, so they are fewer, but for a release."""
    save_and_read(save, conf_file, saves if saves >= 1000 else saves // 4, quiet=1.0)


@pytest.mark.parametrize("save", AT_ONCE)
def test_without_inotify(save: Save, conf_file: Path, saves: int) -> None:
    save_and_read(save, conf_file, saves // 4, poll=True, quiet=0.0)
