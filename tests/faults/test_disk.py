"""Our own files on a disk that is full, broken or read-only: what was there stays, and the error is one of ours."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from xenlocal.adapters.records import FileRecords
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Memory

CALLS = ("open", "fchmod", "fsync", "replace")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", CALLS)
def test_what_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    (tmp_path / "boot_id").write_text("boot-1\n")
    records = FileRecords(str(tmp_path / "run"), str(tmp_path / "state"), boot_id=str(tmp_path / "boot_id"))
    before = (ConfigFile("a.conf", "# before"),)
    records.save_memory(Memory(boot_done=True))
    records.save_good(before)

    def struck(*_args: object, **_more: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"xenlocal.adapters.files.os.{call}", struck)
    with pytest.raises(XenlocalError, match=os.strerror(number)):
        records.save_memory(Memory())
    with pytest.raises(XenlocalError, match=os.strerror(number)):
        records.save_good(())
    monkeypatch.undo()
    assert records.load_memory() == Memory(boot_done=True) and records.load_good() == before
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["last-good.json", "memory.json"]
