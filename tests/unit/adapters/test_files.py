"""stat facts, texts, and whole-or-nothing writes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from xenlocal.adapters.files import Files, write_private
from xenlocal.model.errors import XenlocalError
from xenlocal.model.observed import PathKind
from xenlocal.model.units import Size


def test_facts(tmp_path: Path) -> None:
    image = tmp_path / "a.img"
    image.write_bytes(b"x" * 10)
    (tmp_path / "link").symlink_to(image)
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    names = ["a.img", "link", "dangling", "gone", "a.img/below", "."]
    found = Files().paths([str(tmp_path / name) for name in names])
    assert {os.path.relpath(path, tmp_path) for path in found} == {"a.img", "link", "."}
    assert found[str(tmp_path / "link")].real == str(image.resolve())
    assert found[str(image)].kind is PathKind.FILE and found[str(image)].size == Size(10)
    assert found[str(tmp_path)].kind is PathKind.OTHER


def test_block_devices(tmp_path: Path) -> None:
    node = tmp_path / "disk"
    try:
        os.mknod(node, 0o60600, os.makedev(253, 7))
    except PermissionError:
        pytest.skip("cannot make device nodes here")
    found = Files().paths([str(node)])[str(node)]
    assert (found.kind, found.device, found.size) == (PathKind.BLOCK, (253, 7), Size(0))


def test_what_cannot_be_known_raises(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(XenlocalError, match="cannot look at"):
        Files().paths([str(loop)])
    with pytest.raises(XenlocalError, match="cannot look at"):
        Files().paths(["/a\0b"])
    with pytest.raises(XenlocalError, match="cannot read"):
        Files().read_text(str(tmp_path))


def test_texts(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\xff")
    assert Files().read_text(str(tmp_path / "a")) == r"a\xff"
    assert Files().read_text(str(tmp_path / "gone")) is None


def test_reading_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    files = Files()
    assert files.read_on(str(path), "", 100) is None
    path.write_bytes(b"one\n")
    first, text = files.read_on(str(path), "", 100) or ("", "")
    assert text == "one\n" and files.read_on(str(path), first, 100) == (first, "")
    with path.open("ab") as log:
        log.write(b"two\xff\n")
    second, text = files.read_on(str(path), first, 100) or ("", "")
    assert text == "two\ufffd\n"
    assert files.read_on(str(path), "", 3) == (second, "o\ufffd\n")
    assert files.read_on(str(path), first, 0) == (second, "")
    path.write_bytes(b"cut\n")  # truncated
    assert (files.read_on(str(path), second, 100) or ("", ""))[1] == "cut\n"
    (tmp_path / "new").write_bytes(b"a rotated log, longer than before\n")
    (tmp_path / "new").rename(path)
    assert (files.read_on(str(path), second, 100) or ("", ""))[1].startswith("a rotated")
    with pytest.raises(XenlocalError, match="cannot read"):
        files.read_on(str(tmp_path), "", 1)


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "run" / "file"
    texts = {"a" * 50_000, "b" * 90_000}
    write_private(str(path), min(texts))
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for text in texts:
                write_private(str(path), text)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert all(path.read_text() in texts for _ in range(300))
    finally:
        stop.set()
        thread.join()


def test_a_failed_write_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_private(str(path), "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_private(str(path), "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("safe")
    (tmp_path / ".file.new").symlink_to(tmp_path / "victim")
    write_private(str(tmp_path / "file"), "x")
    assert (tmp_path / "victim").read_text() == "safe" and not (tmp_path / "file").is_symlink()


def test_what_the_kernel_gives_only_in_pieces_is_read() -> None:
    """Asked for 4 MiB at once, /proc/sys answers ENOMEM."""
    assert Files().read_text("/proc/sys/kernel/hostname") == f"{os.uname().nodename}\n"


def test_the_head_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    assert Files().head(str(path), 4) is None
    path.write_bytes(b"\0\xff\n345")
    assert Files().head(str(path), 4) == b"\0\xff\n3" and Files().head(str(path), 10) == b"\0\xff\n345"
    with pytest.raises(XenlocalError, match="cannot read"):
        Files().head(str(tmp_path), 4)
