"""The control socket: one JSON line in, progress lines and one result line out. Root only, limited in size and time.

Request: {"schema": 1, "verb": "start", "names": ["web"]}. Answers: {"progress": "..."} any number of times, then
{"code": 0, "result": {...}}. `status` is answered from the last look and never waits for a cycle.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import select
import shlex
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from xenlocal.model.errors import XenlocalError

log = logging.getLogger("xenlocal")
_LINE_LIMIT = 64 * 1024  # bytes
_ANSWER_LIMIT = 16 << 20  # bytes of one answer; the status of a thousand domUs is below one tenth of it
_SEND_TIME = 10.0  # seconds a client has for its one line, and to take each of ours
_CLIENTS = 32
_STILL_THERE = 5.0  # seconds between two looks whether a client still waits: one that is gone takes no place
_AGAIN = 1.0  # seconds until the next try where no descriptor or thread is left for a client
_FAILED, _USAGE, _BUSY = 1, 2, 75  # exit codes
_PEERCRED = struct.Struct("3i")

# verb, names, progress, ended -> None to answer through `ended`, or an answer at once
Handler = Callable[[str, tuple[str, ...], Callable[[str], None], Callable[[int, dict[str, Any]], None]], None]


class ConnectionLost(Exception):
    """The daemon took the request and went away before it answered."""


class ControlServer:
    """Listens until `close`. `handler` is called on a thread of the client and answers by calling `ended` once."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path, self._handler = path, handler
        self._slots = threading.BoundedSemaphore(_CLIENTS)
        self._closed = threading.Event()
        _remove_stale(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.listen(_CLIENTS)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError as error:
                if self._closed.is_set():
                    return
                log.debug("cannot take a control client: %s", error)
                self._closed.wait(_AGAIN)
                continue
            if not self._slots.acquire(blocking=False):
                _turn_away(client, f"{_CLIENTS} others are waiting for an answer; try again when one of them has it")
                continue
            try:
                threading.Thread(target=self._serve, args=(client,), name="control client", daemon=True).start()
            except RuntimeError as error:  # no thread is left
                self._slots.release()
                _turn_away(client, str(error))
                self._closed.wait(_AGAIN)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                self._answer(client)
        except OSError as error:
            log.debug("control client: %s", error)
        except Exception:  # a bug: the client sees that the connection ends
            log.exception("cannot answer a request; please report this")
        finally:
            self._slots.release()

    def _answer(self, client: socket.socket) -> None:
        _, uid, _ = _PEERCRED.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if uid not in (0, os.geteuid()):
            _turn_away(client, "only root may ask", _FAILED)
            return
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        try:
            asked = json.loads(_read_line(client))
            verb, names = str(asked["verb"]), tuple(str(name) for name in asked.get("names", ()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            message = f"not a request of xenlocal: one line of JSON, of at most {_LINE_LIMIT} bytes, is one"
            _turn_away(client, message, _USAGE)
            return
        client.settimeout(_SEND_TIME)
        self._handler(
            verb,
            names,
            lambda text: answers.put({"progress": text}),
            lambda code, result: answers.put({"code": code, "result": result}),
        )
        while True:
            answer = _next(answers, client)
            _send(client, answer)
            if "code" in answer:
                return


def ask(
    path: Path, verb: str, names: Sequence[str], progress: Callable[[str], None]
) -> tuple[int, dict[str, Any]] | None:
    """The daemon's answer; None when there is no daemon. Raises ConnectionLost when it goes away meanwhile, or talks
    nonsense."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except PermissionError as error:
            raise XenlocalError(f"cannot ask the daemon at {path}: only root may; type it after sudo") from error
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # turned away unheard: the answer says why
                _send(connection, {"schema": 1, "verb": verb, "names": list(names)})
            with connection.makefile("rb") as lines:
                while line := lines.readline(_ANSWER_LIMIT):
                    answer = _understood(line)
                    if not isinstance(answer, str):
                        return answer
                    progress(answer)
        except (OSError, ValueError) as error:
            raise ConnectionLost(str(error)) from error
    raise ConnectionLost("the daemon went away before it answered")


def _understood(line: bytes) -> tuple[int, dict[str, Any]] | str:
    """The result, or a word of progress. Raises ValueError for what no daemon of ours says."""
    try:
        match json.loads(line):
            case {"code": int(code), "result": dict(result)}:
                return code, result
            case {"progress": str(text)}:
                return text
    except RecursionError:
        pass
    raise ValueError("it answered something that this xenlocal does not understand")


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _turn_away(client: socket.socket, message: str, code: int = _BUSY) -> None:
    """A word that fits into the socket's buffer, to a client that need not be listening."""
    with client, suppress(OSError):
        client.settimeout(0)
        _send(client, {"code": code, "result": {"message": message, "retry": code == _BUSY}})


def _next(answers: queue.SimpleQueue[dict[str, Any]], client: socket.socket) -> dict[str, Any]:
    """Raises ConnectionError once nobody is there any more; that a client only writes no more is no sign of it."""
    while True:
        with suppress(queue.Empty):
            return answers.get(timeout=_STILL_THERE)
        poll = select.poll()
        poll.register(client, 0)
        if poll.poll(0):
            raise ConnectionError("it has gone away")


def _remove_stale(path: Path) -> None:
    """The socket of a daemon that was killed. Raises XenlocalError where something else stands there."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid not in (0, os.geteuid()):
        quoted = shlex.quote(str(path))
        raise XenlocalError(f"cannot listen at {path}: it is no socket of ours; look at it, then type: rm -r {quoted}")
    path.unlink()


def _read_line(client: socket.socket) -> bytes:
    """All of it within one time: who sends byte by byte gets no more. Raises ValueError, OSError."""
    received, until = b"", time.monotonic() + _SEND_TIME
    while not received.endswith(b"\n"):
        client.settimeout(max(0.001, until - time.monotonic()))
        part = client.recv(_LINE_LIMIT)
        received += part
        if not part or len(received) > _LINE_LIMIT:
            raise ValueError("no whole request came")
    return received
