"""One try of each probe, and what root must not run."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.adapters.scripted import ScriptedRunner, TextFiles
from xenlocal.adapters.command import Commands
from xenlocal.adapters.console import log_path
from xenlocal.adapters.files import Files
from xenlocal.adapters.probe import HostProber, connect
from xenlocal.adapters.trust import why_untrusted
from xenlocal.engine.ports import Guest
from xenlocal.model.errors import CommandFailed, ToolMissing, XenlocalError
from xenlocal.model.probes import CommandProbe, ConsoleProbe, PingProbe, Probe, TcpProbe

GUEST = Guest("web", 7)
PING = ("ping", "-n", "-q", "-c", "1", "-W", "2", "2001:db8::21")
TOOL = "/usr/local/sbin/db-ready"


def why_not(probe: Probe, *script: tuple[tuple[str, ...], str | Exception], tcp: str = "") -> str:
    return HostProber(ScriptedRunner(*script), TextFiles({}), lambda host, port, timeout: tcp).why_not(probe, GUEST)


def test_tcp() -> None:
    assert why_not(TcpProbe("192.0.2.1", 22)) == ""
    assert why_not(TcpProbe("2001:db8::1", 22), tcp="refuses") == "tcp [2001:db8::1]:22 refuses"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(), "refuses"),
        (TimeoutError(), "does not answer"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "cannot be reached: No route to host"),
        (ConnectionResetError(errno.ECONNRESET, "Reset"), "cannot be reached: Reset"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), None),
        (OSError(errno.EMFILE, "Too many open files"), None),
        (socket.gaierror(-3, "Temporary failure in name resolution"), None),
        (ValueError("a label is too long"), None),
    ],
)
def test_a_connection_that_could_not_be_tried_is_no_answer(
    error: Exception, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_connection(address: tuple[str, int], timeout: float) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", create_connection)
    if said is not None:
        assert connect("db", 22, 2.0) == said
        return
    with pytest.raises(XenlocalError, match="db:22 cannot be reached: "):
        connect("db", 22, 2.0)


def test_ping() -> None:
    probe = PingProbe("2001:db8::21")
    assert why_not(probe, (PING, "1 received")) == ""
    assert why_not(probe, (PING, CommandFailed(PING, 1, ""))) == "ping 2001:db8::21 does not answer"
    with pytest.raises(CommandFailed, match="Name or service not known"):
        why_not(probe, (PING, CommandFailed(PING, 2, "ping: no.such: Name or service not known")))
    with pytest.raises(CommandFailed):  # its own wait is shorter: a name server does not answer
        why_not(probe, (PING, CommandFailed(PING, None, "")))
    with pytest.raises(ToolMissing):
        why_not(probe, (PING, ToolMissing("cannot find the program ping")))


def console(pattern: str, text: str | None, mark: str = "") -> str:
    texts = {} if text is None else {log_path("web"): text}
    prober = HostProber(Commands(), TextFiles(texts))
    return prober.why_not(ConsoleProbe(pattern), Guest("web", 7, mark))


@pytest.mark.parametrize("pattern", ["^web login: $", "OK.*Postgre(?=SQL)", r"\bunits?\b", "(?i)LOGIN"])
def test_console(pattern: str) -> None:
    text = "[\x1b[0;32m  OK  \x1b[0m] Started PostgreSQL unit.\r\nDebian\r\nweb login: "
    assert console(pattern, text) == ""


def test_a_console_without_the_line() -> None:
    assert console("login:", "booting\r\n") == "console login:: no line matches since its birth"
    assert "since its birth" in console("login:", "login:", "1:6")
    assert "nothing has come to /var/log/xen/console/guest-web.log" in console("login:", "login:", "1:6")
    assert console("login:", "login: booting", "1:6") == "console login:: no line matches since its birth"
    with pytest.raises(XenlocalError, match="write XENCONSOLED_ARGS=--log=guest into /etc/default/xen"):
        console("login:", None)


def test_no_text_of_a_guest_and_no_pattern_stops_the_daemon() -> None:
    try:
        assert console("^(a|a)+$", "a" * 4000 + "!\nx").endswith("no line matches since its birth")
    except CommandFailed as error:
        assert "backtracking limit" in str(error)
    with pytest.raises(CommandFailed, match="grep"):
        console(r"\Z(?P<n>x)\u1234", "x")  # Python's, and not grep's


def test_a_host_that_could_be_an_option_is_given_to_no_command() -> None:
    with pytest.raises(ValueError, match="not a host"):
        why_not(PingProbe("-f"))


def test_command() -> None:
    probe, argv = CommandProbe((TOOL, "a b")), (TOOL, "a b")
    assert why_not(probe, (argv, "whatever it prints")) == ""
    assert why_not(probe, (argv, CommandFailed(argv, 3, "no"))) == f"command {TOOL} 'a b' exits with 3"
    assert why_not(probe, (argv, CommandFailed(argv, None, ""))) == f"command {TOOL} 'a b' has no end after 10 s"
    for status in (126, 127, -9):
        with pytest.raises(CommandFailed):
            why_not(probe, (argv, CommandFailed(argv, status, "")))


def test_a_real_command_runs_by_its_path_with_a_bare_environment(tmp_path: Path) -> None:
    prober = HostProber(Commands(), Files())
    assert prober.why_not(CommandProbe(("/usr/bin/test", "-z", "$HOME")), GUEST) == (
        "command /usr/bin/test -z '$HOME' exits with 1"
    )
    assert prober.why_not(CommandProbe(("/usr/bin/env", "-u", "PATH", "/bin/sh", "-c", "test -z $HOME")), GUEST) == ""
    mine = tmp_path / "ready"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    with pytest.raises(XenlocalError, match=f"command {mine} is not run: .*put the program where only root can write"):
        prober.why_not(CommandProbe((str(mine),)), GUEST)


def tree(links: Mapping[str, str], **modes: tuple[int, int]) -> Mapping[str, os.stat_result]:
    """Path (`_` for /) -> mode and owner."""
    found = {
        path.replace("_", "/"): os.stat_result((mode, 0, 0, 0, uid, 0, 0, 0, 0, 0))
        for path, (mode, uid) in modes.items()
    }
    return found | {path: os.stat_result((stat.S_IFLNK | 0o777, 0, 0, 0, 0, 0, 0, 0, 0, 0)) for path in links}


DIR, FILE = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
GOOD = {"_": (DIR, 0), "_a": (DIR, 0), "_a_x": (FILE, 0)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"_a_x": (FILE, 1000)}, "/a/x does not belong to root; type: chown root /a/x"),
        ({"_a_x": (FILE | 0o020, 0)}, "/a/x can be written by others than root; type: chmod go-w /a/x"),
        (
            {"_a": (DIR | 0o002, 0)},
            "/a can be written by others than root; put the program where only root can write, such as /usr/local/sbin",
        ),
        (
            {"_a": (DIR, 1000)},
            "/a does not belong to root; put the program where only root can write, such as /usr/local/sbin",
        ),
        ({"_a_x": (stat.S_IFREG | 0o644, 0)}, "/a/x is not executable; type: chmod u+x /a/x"),
        ({"_a_x": (DIR, 0)}, "/a/x is not a regular file"),
    ],
)
def test_what_root_must_not_run(changed: dict[str, tuple[int, int]], said: str) -> None:
    assert why_untrusted("/a/x", tree({}, **{**GOOD, **changed}).__getitem__) == said


def test_links_are_followed_through_directories_that_are_looked_at_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = {"/l": "a/x", "/m": "/b/l", "/b/l": "../a/x", "/loop": "loop", "/a/deep": "/a/x", "/a/dir": "../a/"}
    monkeypatch.setattr(os, "readlink", links.__getitem__)
    good = tree(links, **GOOD, _b=(DIR, 0))
    bad = tree(links, **GOOD, _b=(DIR | 0o002, 0))
    for path in ("/l", "/m", "/a/deep", "/a/dir/x", "/a/./x", "//a//x"):
        assert why_untrusted(path, good.__getitem__) == ""
    assert why_untrusted("/m", bad.__getitem__).startswith("/b can be written by others")
    assert "symbolic links" in why_untrusted("/loop", good.__getitem__)


@pytest.mark.parametrize(("links", "said"), [(40, ""), (41, "/l1 leads through more than 40 symbolic links")])
def test_so_many_links_are_followed(links: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the kernel follows."""
    found = {f"/l{number}": f"l{number + 1}" for number in range(1, links)} | {f"/l{links}": "a/x"}
    monkeypatch.setattr(os, "readlink", found.__getitem__)
    assert why_untrusted("/l1", tree(found, **GOOD).__getitem__) == said


def test_what_does_not_exist() -> None:
    assert why_untrusted("/none") == "/none: No such file or directory"
    assert why_untrusted("/none/x") == "/none/x: No such file or directory (/none)"
    assert why_untrusted("/bin/sh") == ""
