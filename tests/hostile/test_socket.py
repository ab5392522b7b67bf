"""The control socket against clients that are not xenlocal."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.conftest import as_somebody
from tests.hostile.daemon import until
from tests.hostile.things import THINGS, unharmed
from xenlocal.adapters import control
from xenlocal.adapters.control import ControlServer, ask
from xenlocal.model.errors import XenlocalError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="other users talk to it: needs root")

GARBAGE = {
    "no JSON": b"\x00\xff\xfe nonsense\n",
    "no UTF-8": b'{"verb": "\xff\xfe"}\n',
    "a nesting bomb of lists": b"[" * 60_000 + b"\n",
    "a nesting bomb of objects": b'{"a":' * 12_000 + b"\n",
    "a huge number": b'{"verb": ' + b"9" * 60_000 + b"}\n",
    "an empty line": b"\n",
    "no object": b'["verb"]\n',
    "no verb": b'{"names": []}\n',
    "names that are none": b'{"verb": "status", "names": 5}\n',
    "two lines": b'{"verb": "status"}\n{"verb": "status"}\n',
    "more than is read": b'{"verb": "' + b"x" * 70_000 + b'"}\n',
    "no end": b'{"verb": "status"}',
    "nothing": b"",
}


class Server:
    """Answers `status` at once and keeps `wait` waiting, for ever or until `let_go`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.waiting: list[Callable[[int, dict[str, Any]], None]] = []
        self.progress: list[Callable[[str], None]] = []
        self.server = ControlServer(path, self._handle)

    def _handle(
        self, verb: str, names: tuple[str, ...], progress: Callable[[str], None], ended: Callable[[int, Any], None]
    ) -> None:
        self.asked.append((verb, names))
        if verb == "wait":
            self.progress.append(progress)
            self.waiting.append(ended)
        elif verb == "bug":
            raise LookupError("a bug")
        else:
            ended(0, {"names": list(names)})

    def let_go(self) -> None:
        for ended in self.waiting:
            ended(0, {})

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.path))
        client.settimeout(60)
        return client

    def works(self) -> bool:
        return ask(self.path, "status", ["web"], lambda text: None) == (0, {"names": ["web"]})


@pytest.fixture
def server(open_place: Path) -> Iterator[Server]:
    made = Server(open_place / "control.sock")
    yield made
    made.let_go()
    made.server.close()


def answer(client: socket.socket) -> Any:
    """The last line it says before it hangs up; None for none."""
    with client, client.makefile("rb") as lines:
        said = lines.readlines()
    return json.loads(said[-1]) if said else None


def test_another_user_is_told_no_even_where_somebody_has_opened_the_door(server: Server) -> None:
    def knock() -> int:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            try:
                client.connect(str(server.path))
            except PermissionError:
                return 1
            with suppress(BrokenPipeError):  # turned away before it said a word
                client.sendall(b'{"verb": "destroy", "names": ["web"]}\n')
            return 2 if json.loads(client.recv(4096)) == {"code": 1, "result": ROOT_ONLY} else 3

    assert server.path.stat().st_mode & 0o777 == 0o600
    assert as_somebody(knock) == 1
    server.path.chmod(0o666)
    assert as_somebody(knock) == 2
    assert server.asked == []
    assert server.works()


ROOT_ONLY = {"message": "only root may ask", "retry": False}


def test_another_user_who_asks_with_xenlocal_is_told_who_may(server: Server) -> None:
    def knock() -> int:
        try:
            ask(server.path, "status", [], lambda text: None)
        except XenlocalError as error:
            return int("only root may" in str(error))
        return 0

    assert as_somebody(knock) == 1


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_gets_an_answer_and_harms_nobody(server: Server, kind: str) -> None:
    client = server.connect()
    try:
        client.sendall(GARBAGE[kind])
        client.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has read enough
    said = answer(client)
    assert said["code"] == 2
    assert "not a request of xenlocal" in said["result"]["message"]
    assert server.asked == [] and server.works()


@pytest.mark.parametrize(
    "name", ["\ud800", "a\nb", "a\x00b", "-rf", "../..", "x" * 60_000, "\u202e", "%s%n", "'; reboot"]
)
def test_any_name_arrives_as_it_is(server: Server, name: str) -> None:
    assert ask(server.path, "start", [name], lambda text: None) == (0, {"names": [name]})


def test_a_client_that_sends_byte_by_byte_has_one_time_for_all(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_SEND_TIME", 0.5)
    client = server.connect()
    gone = threading.Event()

    def drip() -> None:
        try:
            while True:
                client.sendall(b" ")
                if gone.wait(0.05):
                    return
        except OSError:
            return

    thread = threading.Thread(target=drip)
    thread.start()
    until(lambda: not thread.is_alive(), "the end of its time")
    client.close()
    assert server.works()


def test_a_client_that_says_nothing_and_one_that_reads_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_SEND_TIME", 0.5)
    silent, deaf = server.connect(), server.connect()
    deaf.sendall(b'{"verb": "wait"}\n')
    until(lambda: bool(server.progress), "the request")
    for _ in range(1000):
        server.progress[0]("x" * 10_000)
    until(lambda: serving() == 0, "both to be given up")
    silent.close()
    deaf.close()
    assert server.works()


def test_the_one_too_many_is_told_so_and_the_others_are_served(server: Server) -> None:
    clients = [server.connect() for _ in range(32)]
    for client in clients:
        client.sendall(b'{"verb": "wait"}\n')
    until(lambda: len(server.waiting) == 32, "32 requests")
    for _ in range(20):
        code, result = ask(server.path, "status", ["x" * 50_000], lambda text: None) or (0, {})
        assert code == 75 and result["retry"] and "32 others" in result["message"]
    server.let_go()
    assert [answer(client)["code"] for client in clients] == [0] * 32
    until(server.works, "a free place")


def test_one_that_went_away_keeps_no_place(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """32 administrators who pressed Ctrl-C while the host hangs: the next one is to be told what hangs."""
    monkeypatch.setattr(control, "_STILL_THERE", 0.1)
    clients = [server.connect() for _ in range(32)]
    for client in clients:
        client.sendall(b'{"verb": "wait"}\n')
    until(lambda: len(server.waiting) == 32, "32 requests")
    clients[0].shutdown(socket.SHUT_WR)  # it only has nothing more to say
    for client in clients[1:]:
        client.close()
    until(server.works, "a free place")
    server.let_go()  # all of them: which of the threads came first is not known
    assert answer(clients[0])["code"] == 0


def test_thousands_of_clients_leave_nothing_behind(server: Server) -> None:
    assert server.works()
    until(lambda: serving() == 0, "the end of the first")
    before = len(os.listdir("/proc/self/fd"))
    for number in range(3000):
        with server.connect() as client:
            if number % 3 == 1:
                client.sendall(b'{"verb": "sta')
            elif number % 3 == 2:
                client.sendall(b'{"verb": "status"}\n')
        if number % 16 == 0:
            until(lambda: serving() < 16, "the end of their threads")
    until(lambda: serving() == 0, "the end of all threads")
    until(lambda: len(os.listdir("/proc/self/fd")) <= before, "the end of all descriptors")
    assert server.works()


def serving() -> int:
    return sum(thread.name == "control client" for thread in threading.enumerate())


def test_it_listens_again_when_descriptors_were_short(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_AGAIN", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        for client in clients:
            client.connect(str(server.path))
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for client in clients:
        client.settimeout(60)
        client.sendall(b'{"verb": "status"}\n')
        assert answer(client)["code"] == 0
    assert server.works()


def test_it_goes_on_where_no_thread_can_be_had(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_AGAIN", 0.0)
    real, refused = threading.Thread.start, list[bool]()

    def start(self: threading.Thread) -> None:
        if not refused:
            refused.append(True)
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    code, result = ask(server.path, "status", [], lambda text: None) or (0, {})
    assert code == 75 and "can't start new thread" in result["message"]
    assert server.works()


def test_a_bug_is_said_and_takes_no_place(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(40):
        with pytest.raises(control.ConnectionLost):
            ask(server.path, "bug", [], lambda text: None)
    assert "please report this" in caplog.text
    until(server.works, "a free place")


def test_the_socket_of_one_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    THINGS["socket"](tmp_path / "control.sock", "")
    server = Server(tmp_path / "control.sock")
    assert server.works()
    server.server.close()
    assert not (tmp_path / "control.sock").exists()


@pytest.mark.parametrize("kind", sorted({*THINGS} - {"socket"}))
def test_somebody_elses_file_in_its_place_is_not_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "control.sock"
    THINGS[kind](path, "text")
    before = path.lstat()
    with pytest.raises(XenlocalError, match=f"cannot listen at {path}: .*type: rm -r {path}"):
        Server(path)
    assert path.lstat() == before
    unharmed(path)
