"""Copies of kernels on a real file system: whole or not at all, and named in the xl.cfg; or not, and that is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xenlocal.adapters.files import Files
from xenlocal.adapters.kernels import Kernels, copy_whole
from xenlocal.model.errors import XenlocalError


class Place:
    def __init__(self, at: Path) -> None:
        self.at, self.kernel, self.ramdisk = at, at / "vmlinuz", at / "initrd"
        self.kernel.write_bytes(b"\0kernel")
        self.ramdisk.write_bytes(b"ramdisk" * 1000)
        self.kernels = Kernels(str(at / "state"), str(at / "run"), Files(), Files(), copy_whole)
        self.copies = at / "state/kernels"
        (at / "run/domains").mkdir(parents=True)

    def text(self, ramdisk: bool = True) -> str:
        settings = {"name": '"web"', "kernel": f'"{self.kernel}"'}
        settings |= {"ramdisk": f'"{self.ramdisk}"'} if ramdisk else {}
        text = "# made\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()) + 'cmdline = "ro"\n'
        return self.kernels.from_copy(text, settings)

    def configure(self, name: str, text: str) -> None:
        (self.at / "run/domains" / name).write_text(text)

    def names(self) -> list[str]:
        return sorted(each.name for each in self.copies.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_copy_and_the_text_that_names_it(place: Place) -> None:
    text = place.text()
    (name,) = place.names()
    assert text == (
        f'# made\nname = "web"\nkernel = "{place.copies}/{name}/kernel"\n'
        f'ramdisk = "{place.copies}/{name}/ramdisk"\ncmdline = "ro"\n'
    )
    assert (place.copies / name / "kernel").read_bytes() == b"\0kernel"
    assert (place.copies / name / "ramdisk").read_bytes() == b"ramdisk" * 1000
    assert {each.stat().st_mode & 0o777 for each in (place.copies / name).iterdir()} == {0o600}
    assert place.copies.stat().st_mode & 0o777 == 0o700
    assert place.text() == text and place.names() == [name], "the next domU shares it"
    place.text(ramdisk=False)
    assert len(place.names()) == 2


def test_a_kernel_that_is_replaced_gets_a_copy_of_its_own(place: Place) -> None:
    before = place.text()
    place.kernel.write_bytes(b"newer")
    after = place.text()
    assert len(place.names()) == 2 and place.names()[0] in before and place.names()[1] in after


def test_a_kernel_that_has_gone_is_started_from_its_newest_copy(place: Place) -> None:
    place.text()
    os.utime(place.kernel, (2**31, 2**31))
    newest = place.text()
    place.kernel.unlink()
    assert place.text() == newest, "though the ramdisk is still there"
    place.ramdisk.unlink()
    assert place.text() == newest and len(place.names()) == 2


def test_what_boots_from_no_file_of_the_dom0(place: Place) -> None:
    assert place.kernels.from_copy("x\n", {"name": '"web"', "bootloader": '"pygrub"'}) == "x\n"
    assert not place.copies.exists()


@pytest.mark.parametrize("why", ["no room", "not there"])
def test_where_there_can_be_no_copy_it_starts_from_the_files_and_that_is_said(
    place: Place, why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_read: object, _written: object, _size: int) -> None:
        raise OSError(28, "No space left on device")

    if why == "no room":
        monkeypatch.setattr("shutil.copyfileobj", full)
    else:
        place.kernel.unlink()
    text = place.text()
    told = f"cannot copy {place.kernel} and {place.ramdisk} to {place.copies}: No space left on device"
    told = told if why == "no room" else f"there is no copy of it, nor {place.kernel}"
    assert f'\nkernel = "{place.kernel}"\nramdisk = "{place.ramdisk}"\n' in text
    assert text.endswith(f"\n# no copy of its kernel: {told}\n")
    assert f"{place.kernel} is used as it is: {told}" in caplog.text
    assert not place.copies.exists() or place.names() == []
    place.configure("web.cfg", text)
    assert place.kernels.kept().without == {"web": told}


def test_what_was_staged_before_the_last_start_says_nothing_of_it(place: Place) -> None:
    why = "# no copy of its kernel: full\n"
    for last, without in (("web.cfg", {}), ("web.next.cfg", {"web": "full"})):
        place.configure("web.cfg", "x\n")
        place.configure("web.next.cfg", why)
        os.utime(place.at / "run/domains" / last, (2**31, 2**31))
        assert place.kernels.kept().without == without
        os.utime(place.at / "run/domains" / last)


def test_what_is_no_file_is_not_waited_for(place: Place) -> None:
    place.kernel.unlink()
    os.mkfifo(place.kernel)
    assert place.text().endswith(f"cannot copy {place.kernel}: it is not a regular file\n")


def test_what_a_crash_has_left_is_made_anew(place: Place) -> None:
    place.text()
    (name,) = place.names()
    (place.copies / name).rename(place.copies / f"{name}.new")
    (place.copies / f"{name}.new/kernel").write_bytes(b"ke")
    place.text()
    assert place.names() == [name] and (place.copies / name / "kernel").read_bytes() == b"\0kernel"


def test_a_directory_that_others_can_write_to(place: Place) -> None:
    place.copies.mkdir(parents=True)
    place.copies.chmod(0o777)
    assert "cannot trust" in place.text().splitlines()[-1]


def test_which_copies_are_there_and_who_uses_them(place: Place) -> None:
    assert place.kernels.kept().copies == frozenset() and place.kernels.kept().used == {}
    first = place.text()
    place.configure("web.cfg", first)
    place.kernel.write_bytes(b"newer")
    place.configure("web.next.cfg", place.text())
    place.configure("db.cfg", 'bootloader = "pygrub"\n')
    place.configure("db.cfg.new", first)
    (place.copies / "x.new").mkdir()
    kept = place.kernels.kept()
    old, new, left = place.names()
    assert (kept.place, kept.copies, left) == (str(place.copies), frozenset({old, new, left}), "x.new")
    assert kept.used == {"web": {old, new}, "db": frozenset()} and kept.without == {}


def test_what_cannot_be_read_is_not_known(place: Place) -> None:
    (place.at / "run/domains/web.cfg").mkdir()
    with pytest.raises(XenlocalError, match="cannot read"):
        place.kernels.kept()
