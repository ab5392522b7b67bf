"""Copies of kernels on a real file system: whole or not at all, and named in the xl.cfg; or not, and that is said."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest

from tests.unit.adapters.scripted import NO_TRIALS, TextFiles
from xenlocal.adapters.files import Files
from xenlocal.adapters.kernels import Kernels, copy_whole
from xenlocal.adapters.trials import Trials
from xenlocal.model.errors import XenlocalError
from xenlocal.model.observed import Built
from xenlocal.planner.kernels import copy_name


class Place:
    def __init__(self, at: Path) -> None:
        self.at, self.kernel, self.ramdisk = at, at / "vmlinuz", at / "initrd"
        self.kernel.write_bytes(b"\0kernel")
        self.ramdisk.write_bytes(b"ramdisk" * 1000)
        self.kernels = Kernels(
            str(at / "state"), str(at / "run"), Files(), Files(), copy_whole, Trials(str(at / "state"))
        )
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


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_what_changes_while_it_is_copied_is_no_copy(place: Place, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the name of one kernel would stand for the text of another, or for the half of it."""

    def meanwhile(read: IO[bytes], written: IO[bytes], _size: int) -> None:
        written.write(read.read())
        place.kernel.unlink(missing_ok=True)
        if how == "replaced":
            place.kernel.write_bytes(b"newer")

    monkeypatch.setattr("shutil.copyfileobj", meanwhile)
    last = place.text().splitlines()[-1]
    assert last.startswith("# no copy of its kernel: ") and place.names() == []
    assert "changed meanwhile" in last if how == "replaced" else f"nor {place.kernel}" in last


@pytest.mark.parametrize("what", ["read-only", "a file"])
def test_a_state_directory_that_takes_no_copy(place: Place, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(_path: str, _mode: int) -> None:
        raise OSError(30, "Read-only file system")

    if what == "a file":
        (place.at / "state").write_text("")
    else:
        place.copies.mkdir(parents=True, mode=0o700)
        monkeypatch.setattr(os, "mkdir", read_only)
    last = place.text().splitlines()[-1]
    assert last.startswith("# no copy of its kernel: cannot ") and f'kernel = "{place.kernel}"' in place.text()


def test_a_link_is_followed_and_where_it_leads_to_is_what_counts(place: Place) -> None:
    """As /vmlinuz is one."""
    other, link = place.at / "vmlinuz-2", place.at / "link"
    other.write_bytes(b"\1kernel")
    os.utime(other, ns=(os.stat(place.kernel).st_mtime_ns,) * 2)
    link.symlink_to(place.kernel)
    place.kernel = link
    place.text()
    (first,) = place.names()
    link.unlink()
    link.symlink_to(other)
    text = place.text()
    (second,) = {*place.names()} - {first}
    assert (place.copies / second / "kernel").read_bytes() == b"\1kernel" and second in text
    assert (place.copies / first / "kernel").read_bytes() == b"\0kernel"


def test_the_same_by_hand(place: Place) -> None:
    """Shell commands that make the copy which a start makes; none where it is there."""
    place.kernel = place.at / "a kernel"
    place.kernel.write_bytes(b"\0kernel")
    settings = {"kernel": f'"{place.kernel}"', "ramdisk": f'"{place.ramdisk}"'}
    text = "#\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
    (line,), by_hand = place.kernels.by_hand(text, settings)
    for _ in range(2):
        subprocess.run(["sh", "-e", "-c", line], check=True, timeout=60)
    assert place.kernels.from_copy(text, settings) == by_hand and len(place.names()) == 1
    (name,) = place.names()
    assert (place.copies / name / "ramdisk").read_bytes() == place.ramdisk.read_bytes()
    assert place.kernels.by_hand(text, settings) == ((), by_hand)
    place.kernel.unlink()
    assert place.kernels.by_hand(text, settings) == ((), by_hand), "what is printed still finds a kernel"
    (place.copies / name).rename(place.at / "gone")
    (said,), same = place.kernels.by_hand(text, settings)
    assert said == f"# {place.kernel} is used as it is: there is no copy of it, nor {place.kernel}" and same == text
    assert place.kernels.by_hand("x\n", {"bootloader": '"pygrub"'}) == ((), "x\n")


def test_a_trial_says_which_copy_and_no_other_is_taken_for_it(place: Place) -> None:
    """The kernel before may have had no ramdisk."""
    place.text(ramdisk=False)
    (old,) = place.names()
    settings = {"kernel": f'"{place.kernel}"', "ramdisk": f'"{place.ramdisk}"'}
    text = "#\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()) + 'cmdline = "ro"\n'
    said = f'#\ncmdline = "ro"\nkernel = "{place.copies}/{old}/kernel"\n'
    assert place.kernels.from_copy(text, settings, old) == said
    assert place.kernels.by_hand(text, settings, old) == ((), said) and place.names() == [old]
    (place.copies / old).rename(place.at / "gone")
    for ask in (place.kernels.from_copy, place.kernels.by_hand):
        with pytest.raises(XenlocalError, match=f"{old} is not there any more"):
            ask(text, settings, old)
    assert place.kernels.from_copy("x\n", {"bootloader": '"pygrub"'}, old) == "x\n"


def test_from_which_copy_each_was_started_the_last_time(place: Place) -> None:
    """By UUID: another domU may have the name by now, and one that was renamed has an xl.cfg of each name."""
    place.text(ramdisk=False)
    place.kernel.write_bytes(b"another one")
    place.text(ramdisk=False)
    one, two = place.names()

    def configure(file: str, name: str, uuid: str, copy: str) -> None:
        words = {"name": name, "uuid": uuid, "kernel": f"{place.copies}/{copy}/kernel"}
        place.configure(file, "".join(f'{key} = "{value}"\n' for key, value in words.items()))

    configure("web.cfg", "web", "u-1", one)
    configure("web.next.cfg", "web", "u-1", two)
    configure("db.next.cfg", "db.next", "u-2", two)
    place.configure("odd.cfg", f'name = "odd"\nkernel = "{place.copies}/{one}/kernel"\n')
    assert place.kernels.kept().started == {"u-1": one, "u-2": two}
    configure("www.cfg", "www", "u-1", two)
    os.utime(place.at / "run/domains/web.cfg", ns=(1, 1))
    assert place.kernels.kept().started == {"u-1": two, "u-2": two}
    os.utime(place.at / "run/domains/www.cfg", ns=(0, 0))
    assert place.kernels.kept().started == {"u-1": one, "u-2": two}


def test_a_copy_is_made_for_a_trial_unless_the_files_are_others_by_now(place: Place) -> None:
    paths = (str(place.kernel), str(place.ramdisk))
    name = copy_name(paths, Files().paths(paths))
    place.kernels.make(paths, name)
    place.kernels.make(paths, name)
    assert place.names() == [name]
    place.kernel.write_bytes(b"another one")
    with pytest.raises(XenlocalError, match="has just changed"):
        place.kernels.make(paths, name)


def test_what_a_kernel_is(place: Place) -> None:
    place.kernel.write_bytes(bytes(0x202) + b"HdrS" + bytes(8) + b"\x20\0" + bytes(0x10) + b"6.1.0-49 (x) #1\0")
    assert place.kernels.release(str(place.kernel)) == "6.1.0-49"
    assert place.kernels.release(str(place.ramdisk)) is None and place.kernels.release("/none") is None


@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_damaged_copy_is_made_anew(place: Place, how: str) -> None:
    text = place.text()
    (name,) = place.names()
    ramdisk = place.copies / name / "ramdisk"
    if how == "gone":
        ramdisk.unlink()
    else:
        ramdisk.write_bytes(b"ram")
    assert place.text() == text and ramdisk.read_bytes() == place.ramdisk.read_bytes()
    assert {each.name for each in (place.copies / name).iterdir()} == {"kernel", "ramdisk"} and place.names() == [name]


def test_nothing_is_started_from_a_damaged_copy(place: Place) -> None:
    place.text()
    (name,) = place.names()
    (place.copies / name / "ramdisk").unlink()
    place.kernel.unlink()
    assert place.text().endswith(f"kernel: {place.copies}/{name} is damaged, and there is no {place.kernel}\n")


def test_a_directory_that_others_can_write_to(place: Place) -> None:
    place.copies.mkdir(parents=True)
    place.copies.chmod(0o777)
    assert "cannot trust" in place.text().splitlines()[-1]


def test_which_copies_are_there_and_who_uses_them(place: Place) -> None:
    assert place.kernels.kept().copies == frozenset() and place.kernels.kept().named == frozenset()
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
    assert kept.named == {old, new} and kept.without == {} and kept.built == {}


JSON = """{
    "c_info": {
        "type": "pv",
        "name": "web"
    },
    "b_info": {
        "kernel": "/state/kernels/k.1/kernel",
        "cmdline": "ro ramdisk=\\"/x\\"",
        "ramdisk": "/state/kernels/k.1/ramdisk"
    },
    "disks": [{"pdev_path": "/dev/vg0/web"}]
}
"""
UUID = "43534377-815a-43ec-93c7-5f643b6b214d"
FILE = f"/var/lib/xen/userdata-d.1.{UUID}.libxl-json"


def built(**texts: str) -> Mapping[tuple[int, str], Built]:
    """What is known of domUs where libxl keeps these, by domid and kind."""
    names = {f"/var/lib/xen/userdata-d.{key[1:].replace('_', f'.{UUID}.', 1)}": text for key, text in texts.items()}
    names = {name.replace("libxl", "libxl-json"): text for name, text in names.items()}
    others = {"/var/lib/xen/save/web": "x", f"/var/lib/xen/userdata-n.7.{UUID}.libxl-json": JSON}
    return Kernels("/state", "/run", TextFiles({**names, **others}), TextFiles({}), copy_whole, NO_TRIALS).kept().built


def test_from_what_libxl_builds_a_domu_anew() -> None:
    boots = {f"/state/kernels/k.1/{key}" for key in ("kernel", "ramdisk")}
    assert built(_1_libxl=JSON) == {(1, UUID): Built(frozenset(boots), frozenset({"k.1"}), frozenset({"k.1"}))}
    bare = {(0, UUID): Built(), (12, UUID): Built()}
    assert built(_0_libxl="{}", _12_libxl='{"b_info": {"bootloader": "pygrub"}}') == bare
    staged = '# made\nkernel = "/boot/k"\nramdisk=\'/state/kernels/k.2/ramdisk\'\ncmdline = "x"\n'
    (known,) = built(_1_libxl=JSON, _1_xl=staged).values()
    whole = Built(frozenset({"/boot/k"}), frozenset({"k.1", "k.2"}), frozenset({"k.1"}))
    assert known == whole, "what was staged counts, all is in use, and it runs from what it was made of"


def test_what_libxl_does_not_tell_is_not_known() -> None:
    """As while it makes a domU, or once it has taken it apart; a file that is empty says nothing."""
    assert built() == {} and built(_1_xl="kernel = '/boot/k'\n") == {} and built(_1_libxl="") == {}


def test_what_cannot_be_read_is_not_known(place: Place) -> None:
    (place.at / "run/domains/web.cfg").mkdir()
    with pytest.raises(XenlocalError, match="cannot read"):
        place.kernels.kept()
