"""The control socket: one JSON line in, progress lines and one result line out. Root only, limited in size and time.

Request: {"schema": 1, "verb": "start", "names": ["web"]}. Answers: {"progress": "..."} any number of times, then
{"code": 0, "result": {...}}. `status` is answered from the last look and never waits for a cycle.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

log = logging.getLogger("xenlocal")
_LINE_LIMIT = 64 * 1024  # bytes
_ANSWER_LIMIT = 16 << 20  # bytes of one answer; the status of a thousand domUs is below one tenth of it
_SEND_TIME = 10.0  # seconds a client has for its one line, and to take each of ours
_CLIENTS = 32
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
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.listen(_CLIENTS)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return  # closed
            if not self._slots.acquire(blocking=False):
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), name="control client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(_SEND_TIME)
                self._answer(client)
        except (OSError, ValueError) as error:
            log.debug("control client: %s", error)
        finally:
            self._slots.release()

    def _answer(self, client: socket.socket) -> None:
        _, uid, _ = _PEERCRED.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if uid not in (0, os.geteuid()):
            _send(client, {"code": 1, "result": {"message": "only root may ask"}})
            return
        line = _read_line(client)
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        try:
            asked = json.loads(line)
            verb, names = str(asked["verb"]), tuple(str(name) for name in asked.get("names", ()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            _send(client, {"code": 2, "result": {"message": "not a request of xenlocal"}})
            return
        self._handler(
            verb,
            names,
            lambda text: answers.put({"progress": text}),
            lambda code, result: answers.put({"code": code, "result": result}),
        )
        while True:
            answer = answers.get()
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
        try:
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


def _read_line(client: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        part = client.recv(_LINE_LIMIT)
        received += part
        if not part or len(received) > _LINE_LIMIT:
            raise ValueError("no whole request came")
    return received
