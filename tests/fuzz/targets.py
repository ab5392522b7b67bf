"""What the fuzzer calls, and what `test_corpus` replays: any bytes at all, and only errors that were meant to be.

Each target raises for whatever must not be: the fuzzer keeps the bytes, and so should `corpus`.
"""

from __future__ import annotations

import contextlib
import queue
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.unit.engine.rig import Daemon, Machine, conf
from tests.unit.planner import build
from xenlocal.adapters import argv
from xenlocal.adapters.control import ConnectionLost, ControlServer, ask
from xenlocal.config import read
from xenlocal.engine.inbox import Request
from xenlocal.model.actions import StageConfig, StartDomain
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.desired import BlockDevice, Desired
from xenlocal.model.errors import ConfigError
from xenlocal.model.observed import Observed
from xenlocal.planner import xlcfg
from xenlocal.simulator import xlcfg as xl

SECONDS = 2.0  # of the processor, for one input
MEBIBYTES = 256  # by which one input may raise what the process ever needed
FILE_END = b"\xff"  # in no UTF-8: what comes after it is in another file
_CONTEXT = argv.Context("/run/xenlocal", True, "1")


class Finding(Exception):
    """Something that must not be."""


@contextlib.contextmanager
def within_limits() -> Iterator[None]:
    began, before = time.process_time(), _peak()
    yield
    took, more = time.process_time() - began, _peak() - before
    if took > SECONDS:
        raise Finding(f"took {took:.1f} s")
    if more > MEBIBYTES:
        raise Finding(f"needed {more} MiB")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def configuration(data: bytes) -> bool:
    """Reader, schema, planner, xl.cfg writer and the commands. Returns whether it was valid."""
    texts = [part.decode("utf-8", "replace") for part in data.split(FILE_END)]
    files = [ConfigFile(f"{number}.conf", text) for number, text in enumerate(texts)]
    try:
        desired = read(files, "host")
    except ConfigError as error:
        if not error.problems or any(not str(problem).isprintable() for problem in error.problems):
            raise Finding("a refusal that cannot be read") from error
        return False
    for domain in desired.domains.values():
        settings = xlcfg.settings(domain)
        if list(xl.parse(xlcfg.render(domain), "xl.cfg")) != list(settings):
            raise Finding("the xl.cfg has other statements than were written")
    for step in build.plan(desired, _bare(desired)).steps:
        for words in argv.commands(step.action, _CONTEXT):
            if any("\0" in word or "\n" in word for word in words):
                raise Finding(f"a command with a strange word: {words}")
        if isinstance(step.action, StartDomain | StageConfig):
            argv.config_file(step.action, _CONTEXT)
    return True


def _bare(desired: Desired) -> Observed:
    """A host that has what nobody makes: kernels and given devices; so that everything else is to be made."""
    domains = desired.domains.values()
    boots = [path for domain in domains for path in (domain.kernel, domain.ramdisk) if path]
    devices = [
        disk.backing.path for domain in domains for disk in domain.disks if isinstance(disk.backing, BlockDevice)
    ]
    paths = {path: build.file_facts(path) for path in boots}
    paths |= {path: build.block_facts(path, number=(8, number)) for number, path in enumerate(sorted(set(devices)))}
    ports = sorted({port for bridge in desired.bridges.values() for port in bridge.ports or ()} - {*desired.bridges})
    return build.observed(paths=paths, network=build.network(*map(build.link, ports)))


class Control:
    """Both ends of the control protocol, each with a stranger at the other end."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.path = Path(self._directory.name) / "socket"
        self._strange = self.path.with_name("strange")
        self._server = ControlServer(self.path, self._watched)
        self._stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._stranger.bind(str(self._strange))
        self._stranger.listen(4)
        self._to_say: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._fallen: list[BaseException] = []
        self._before = threading.excepthook
        threading.excepthook = self._fall
        threading.Thread(target=self._be_strange, name="strange daemon", daemon=True).start()

    def close(self) -> None:
        self._server.close()
        self._to_say.put(None)
        self._stranger.close()
        threading.excepthook = self._before
        self._directory.cleanup()

    def __call__(self, data: bytes) -> None:
        """The first byte says who is the stranger."""
        (self.client if data[:1] == b"c" else self.server)(data[1:])
        if self._fallen:
            raise Finding("a thread or a request fell") from self._fallen.pop()

    def server(self, data: bytes) -> None:
        """A stranger asks the daemon."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(str(self.path))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it had heard enough
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    def client(self, data: bytes) -> None:
        """The command line asks a strange daemon."""
        self._to_say.put(data)
        with contextlib.suppress(ConnectionLost):
            answer = ask(self._strange, "status", (), lambda text: _must_be(str, text))
            if answer is None:
                raise Finding("there was somebody, but nobody was found")
            _must_be(int, answer[0])
            _must_be(dict, answer[1])

    def _be_strange(self) -> None:
        while (data := self._to_say.get()) is not None:
            connection, _ = self._stranger.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                connection.sendall(data)

    def _watched(self, *request: Any) -> None:
        """The server itself only logs what its handler raises."""
        try:
            _handle(*request)
        except Exception as error:
            self._fallen.append(error)
            raise

    def _fall(self, about: threading.ExceptHookArgs) -> None:
        if about.exc_value is not None:
            self._fallen.append(about.exc_value)


def _must_be(kind: type, value: object) -> None:
    if not isinstance(value, kind):
        raise Finding(f"{value!r} is no {kind.__name__}")


def _handle(
    verb: str,
    names: tuple[str, ...],
    progress: Callable[[str], None],
    ended: Callable[[int, dict[str, Any]], None],
) -> None:
    """A daemon of a small host, of which each request is the first."""
    daemon = Daemon(Machine("[bridge br0]", conf("web", "[[nic eth0]]", "bridge = br0"), conf("db", "state = manual")))
    if verb == "why":
        daemon.loop.serve(Request("apply"))
        ended(*daemon.loop.why(names[0] if names else ""))
        daemon.end()
    else:
        request = daemon.serve(verb, *names)
        progress(daemon.notes.said[-1] if daemon.notes.said else "")
        ended(request.code, request.result)
