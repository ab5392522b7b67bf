"""A password that somebody writes into a file is refused, and shown by nothing on the way; nobody else reads a file."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from tests.hostile.daemon import WEB, Home
from tests.unit.config.support import complaints, web
from xenlocal import cli

SECRET = "Geheim42"
LINES = (
    f"vncpasswd = {SECRET}",
    f'vncpasswd = "{SECRET}"',
    f"vncpasswd: {SECRET}",
    f"vncpasswd {SECRET}",
    f'vncpasswd = "{SECRET}',
    f"vncPasswd = {SECRET}",
    f"vnc = 127.0.0.1:1,passwd={SECRET}",
    f'vfb = "type=vnc,vncpasswd={SECRET}"',
    f"vfb = type=vnc, vncpasswd={SECRET}",
    f"spicepasswd = {SECRET}",
    f"serial = tcp:127.0.0.1:1,passwd={SECRET}",
    f'serial = "password: {SECRET};"',
    f"passwd = {SECRET}",
    f"[[[vncpasswd = {SECRET}]]]",
    f"[[vncpasswd {SECRET}",
)
BELOW = ("", "[[xl]]\n", "[[disk xvda]]\nvolume = vg0/x\nsize = 1G\n")


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("line", LINES)
def test_a_password_is_refused_and_not_repeated(line: str, below: str) -> None:
    problems = complaints(f"{WEB}{below}{line}\n")
    assert problems and all(problem.startswith("web.conf:") for problem in problems)
    assert SECRET not in "".join(problems)


@pytest.mark.parametrize("line", [f"chap_secret = {SECRET}", f"chap_password = {SECRET}", f'chap_secret = "{SECRET}'])
def test_a_secret_in_place_of_its_file_is_not_repeated(line: str) -> None:
    text = f"[iscsi bay1]\nportal = 192.0.2.10\ntarget = iqn.2012-10.example:bay1\nchap_user = dom0\n{line}\n"
    problems = complaints(text)
    assert problems and SECRET not in "".join(problems)


def test_what_is_no_password_is_still_shown() -> None:
    (problem,) = complaints(f"{WEB}vcpus = Geheim42\n")
    assert SECRET in problem
    assert web("[[xl]]\nserial = pty").extra == (("serial", '"pty"'),)


@pytest.mark.parametrize("line", LINES[3:9])
def test_nothing_that_xenlocal_says_or_keeps_holds_it(
    tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    home = Home(tmp_path, web=f"{WEB}[[xl]]\n{line}\n")
    words = (["check"], ["check", "--json"], ["plan"], ["plan", "--sh"], ["plan", "--json"], ["apply"], ["status"])
    for each in (*words, ["status", "--json"], ["history"], ["history", "--json"], ["rehearse"], ["graph"]):
        cli.main(home.argv(*each)[3:])
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err + caplog.text
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.parent != home.config:
            assert SECRET.encode() not in path.read_bytes(), path


def test_nobody_else_can_read_what_is_written(tmp_path: Path) -> None:
    """[[xl]] may hold what an administrator thinks of as a secret by another name."""
    home = Home(tmp_path, web=f"{WEB}[[xl]]\nserial = {SECRET}\n")
    assert cli.main(home.argv("apply")[3:]) == 0
    holders = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    kept = {path.name for path in holders if path.parent not in (home.config, tmp_path)}
    assert {"web.cfg", "last-good.json"} <= kept
    for place in (home.run, home.state):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0, place
        for path in place.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.name == "host-id", path
