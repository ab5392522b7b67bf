"""The host's end of the agent in the dom0: requests by number, answers as futures, boots as they are announced."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from concurrent.futures import Future
from typing import Any


class LinkLost(RuntimeError):
    """The dom0 went away (reboot, power off, kill) before it answered."""


class Link:
    """A two-way line to `rig/agent.py`. `peer` is for QEMU; requests may be made from several threads."""

    def __init__(self) -> None:
        self._ours, self.peer = socket.socketpair()
        self._numbers = itertools.count(1)
        self._pending: dict[int, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self.boot = ""
        """boot_id of the dom0's kernel, as the agent of that boot said it; empty until then."""
        threading.Thread(target=self._listen, daemon=True, name="agent link").start()

    def request(self, verb: str, **arguments: Any) -> Future[dict[str, Any]]:
        """Send a request; its answer is the future's result."""
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            number = next(self._numbers)
            self._pending[number] = future
            self._ours.sendall(json.dumps({"id": number, "verb": verb, **arguments}).encode() + b"\n")
        return future

    def close(self) -> None:
        """Hang up: whoever waits for an answer learns that there is none."""
        with self._lock:
            self._ours.shutdown(socket.SHUT_RDWR)
        self.peer.close()

    def _listen(self) -> None:
        with self._ours.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"{"):
                    self._take(json.loads(line))
        self._lose("the line is closed")

    def _take(self, message: dict[str, Any]) -> None:
        number = message.pop("id")
        if number == 0:
            self.boot = message["boot"]
            self._lose("the dom0 has booted anew")
        elif future := self._pending.pop(number, None):
            future.set_result(message)

    def _lose(self, why: str) -> None:
        with self._lock:
            lost, self._pending = self._pending, {}
        for future in lost.values():
            future.set_exception(LinkLost(why))
