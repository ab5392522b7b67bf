"""Editors, rsync and dpkg, as they really save: no edit is missed, and no half of one is applied.

`--saves=1000` is for a release: an hour and more.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.config.watching import PATIENCE, Save, beside, mark_of, run, save_and_read, text_of


def vim(*options: str) -> Save:
    def save(path: Path, number: int) -> None:
        change = f"%s/{mark_of(number - 1)}/{mark_of(number)}/"
        run("vim", "-es", "-u", "NONE", "-i", "NONE", *options, "-c", change, "-c", "wq", path)

    return save


def emacs(*settings: str) -> Save:
    """`save-buffer`, with its backup files and locks."""

    def save(path: Path, number: int) -> None:
        edit = f'(while (search-forward "{mark_of(number - 1)}" nil t) (replace-match "{mark_of(number)}"))'
        forms = [f'(find-file "{path}")', *settings, edit, "(save-buffer)"]
        # --batch makes no backups of its own accord
        run("emacs", "--batch", "-Q", "--eval", f"(progn (setq make-backup-files t) {' '.join(forms)})")

    return save


def nano(path: Path, number: int) -> None:
    """Its keys on a terminal: M-R old RETURN new RETURN A, then it saves as it leaves."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "vt100"
        os.execvp("nano", ["nano", "--ignorercfiles", "--saveonexit", str(path)])
    try:
        _until(terminal, path.name)
        os.write(terminal, b"\x1br")
        _until(terminal, "Search")
        os.write(terminal, f"{mark_of(number - 1)}\r".encode())
        _until(terminal, "Replace with")
        os.write(terminal, f"{mark_of(number)}\r".encode())
        _until(terminal, "this instance?")
        os.write(terminal, b"a")
        _until(terminal, "Replaced")
        os.write(terminal, b"\x18")
        _until(terminal, None)
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert status == 0


def _until(terminal: int, wanted: str | None) -> None:
    """Until the screen shows it; None: until the program has ended."""
    shown, deadline = "", time.monotonic() + PATIENCE
    while wanted is None or wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nano does not show {wanted!r}, but {shown[-500:]!r}"
        try:
            part = os.read(terminal, 65536)
        except OSError:  # it has closed the terminal
            part = b""
        if not part:
            assert wanted is None, f"nano has ended and shows {shown[-500:]!r}"
            return
        shown += re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]", "", part.decode(errors="replace"))


def rsync(*options: str) -> Save:
    def save(path: Path, number: int) -> None:
        # within one second the times are the same, so they tell nothing
        run("rsync", "--times", "--ignore-times", *options, beside(path, number), path)

    return save


@pytest.mark.parametrize(
    "save",
    [
        pytest.param(vim(), id="vim"),
        pytest.param(vim("-c", "set backup backupcopy=yes"), id="vim-in-place"),
        pytest.param(vim("-c", "set backup backupcopy=no writebackup"), id="vim-rename"),
        pytest.param(emacs(), id="emacs"),
        pytest.param(emacs("(setq backup-by-copying t)"), id="emacs-in-place"),
        pytest.param(nano, id="nano"),
        pytest.param(rsync(), id="rsync"),
        pytest.param(rsync("--inplace", "--no-whole-file"), id="rsync-in-place"),
    ],
)
def test_editor(save: Save, conf_file: Path, saves: int) -> None:
    save_and_read(save, conf_file, saves)


class Dpkg:
    """A package with one conffile, in a root of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.tree = root, root.parent / "tree"
        for directory in ("updates", "info", "triggers"):
            (root / "var/lib/dpkg" / directory).mkdir(parents=True)
        for name in ("status", "available"):
            (root / "var/lib/dpkg" / name).touch()
        self.conf = root / "etc/xenlocal/guests.conf"
        (self.tree / "DEBIAN").mkdir(parents=True)
        (self.tree / "DEBIAN").chmod(0o755)  # dpkg-deb refuses what a strict umask makes of it
        (self.tree / "etc/xenlocal").mkdir(parents=True)

    def install(self, number: int, answer: str) -> None:
        """Version `number`; `answer` to the question what becomes of a conffile that was edited: new or old."""
        control = (
            f"Package: conf\nVersion: {number + 1}\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: d\n"
        )
        (self.tree / "DEBIAN/control").write_text(control)
        (self.tree / "DEBIAN/conffiles").write_text("/etc/xenlocal/guests.conf\n")
        (self.tree / "etc/xenlocal/guests.conf").write_text(text_of(number), encoding="utf-8")
        made = self.root.parent / "conf.deb"
        fake = [] if os.geteuid() == 0 else ["fakeroot"]
        quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        for words in (
            ["dpkg-deb", "--root-owner-group", "-Znone", "-b", self.tree, made],
            ["dpkg", f"--root={self.root}", f"--force-conf{answer}", "--force-not-root", "-i", made],
        ):
            subprocess.run([*fake, *words], check=True, timeout=PATIENCE, **quiet)  # type: ignore[call-overload]


def test_dpkg_takes_the_new_conffile(tmp_path: Path, conf_file: Path, saves: int) -> None:
    """An administrator has edited it, and answers that the package's one be taken."""
    dpkg = Dpkg(tmp_path / "root")
    dpkg.install(0, "new")

    def save(path: Path, number: int) -> None:
        if number % 2:
            path.write_text(text_of(number), encoding="utf-8")
        else:
            dpkg.install(number, "new")

    save_and_read(save, dpkg.conf, 2 * saves)


def test_dpkg_keeps_the_old_conffile(tmp_path: Path, conf_file: Path, saves: int) -> None:
    """... and answers that the own one be kept: the package's lies beside it, and is none."""
    dpkg = Dpkg(tmp_path / "root")
    dpkg.install(10**6, "old")

    def save(path: Path, number: int) -> None:
        dpkg.install(10**6 + number, "old")
        path.write_text(text_of(number), encoding="utf-8")

    save_and_read(save, dpkg.conf, saves)
    assert dpkg.conf.with_name("guests.conf.dpkg-dist").exists()
