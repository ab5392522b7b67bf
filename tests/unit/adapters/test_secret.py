"""A password is read only out of a file that nobody else reads or writes, and no message quotes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xenlocal.adapters import secret
from xenlocal.model.errors import XenlocalError


def put(path: Path, text: str = "Gar1on!\n", mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_it_is_the_first_line(tmp_path: Path) -> None:
    assert secret.read(put(tmp_path / "pw", "Gar1on!\nof the laboratory\n")) == "Gar1on!"


@pytest.mark.parametrize(("mode", "words"), [(0o640, "chmod 600"), (0o604, "chmod 600"), (0o620, "can be written by")])
def test_others_may_neither_read_nor_write_it(tmp_path: Path, mode: int, words: str) -> None:
    with pytest.raises(XenlocalError, match=words):
        secret.read(put(tmp_path / "pw", mode=mode))


@pytest.mark.parametrize("text", ["", "\n", "nine-char\n", 'a"b\n', "a\\b\n", "a b\n", "ä\n", "a\0b\n"])
def test_what_vnc_or_xl_would_take_for_something_else_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(XenlocalError, match="1 to 8 ASCII") as caught:
        secret.read(put(tmp_path / "pw", text))
    assert text.strip() == "" or text.strip() not in str(caught.value)


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(XenlocalError, match="not a regular file"):
        secret.read(str(tmp_path / "fifo"))
    (tmp_path / "link").symlink_to(put(tmp_path / "pw"))
    for name in ("link", "missing"):
        with pytest.raises(XenlocalError, match=f"cannot read the password in .*{name}"):
            secret.read(str(tmp_path / name))
