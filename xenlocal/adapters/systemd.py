"""systemd's side of the service: the notification socket, in the words of sd_notify(3). No library needed."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import ClassVar, TextIO

from xenlocal.adapters.sink import Sink, to_stream
from xenlocal.model.text import printable

log = logging.getLogger("xenlocal")
_PATIENCE = 2.0  # seconds for words that systemd acts upon; a status is only a sentence, and the next one comes


class SystemdNotifier:
    """Satisfies `engine.ports.Notifier`; does nothing where systemd did not start us with `Type=notify`."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._interval = _interval(environment)

    def ready(self) -> None:
        self._send("READY=1")

    def status(self, sentence: str) -> None:
        """One line: what comes after a line end would be taken for an assignment of its own."""
        self._send("STATUS=" + printable(" ".join(sentence.split())), patience=0)

    def reloading(self) -> None:
        """To be followed by `ready`. The time stamp is what `Type=notify-reload` (systemd 253) wants."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def watchdog_interval(self) -> float | None:
        """Seconds: half of WatchdogSec, as sd_watchdog_enabled(3) recommends."""
        return self._interval

    def _send(self, text: str, patience: float = _PATIENCE) -> None:
        """Gives up after `patience` seconds: while systemd reads nothing the guests are still to be looked after."""
        if not self._address:
            return
        # An address that begins with @ lives in the abstract namespace: there a NUL stands for the @.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(patience)
                channel.connect(address)
                channel.sendall(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            log.debug("cannot notify systemd: %s", error)


def _interval(environment: Mapping[str, str]) -> float | None:
    microseconds, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 2_000_000


def log_to(stream: TextIO, level: int = logging.INFO) -> None:
    """Nothing waits for `stream`. journald reads the priority from the `<N>` before a line (sd-daemon(3))."""
    handler = _Handler(Sink(to_stream(stream)))
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(level)


class _Handler(logging.Handler):
    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).split("\n"):
            self._sink.write(line)

    def close(self) -> None:
        """`logging` calls it at the end of the process."""
        self._sink.flush()
        super().close()


class _Formatter(logging.Formatter):
    """A message is one line whatever names, tools or guests put into it. The further lines of a traceback are indented:
    none of them looks like a message."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), "\n").replace("\n", "\n  ")


class _JournalFormatter(_Formatter):
    _PRIORITIES: ClassVar = {logging.ERROR: "<3>", logging.WARNING: "<4>", logging.INFO: "<6>", logging.DEBUG: "<7>"}

    def format(self, record: logging.LogRecord) -> str:
        priority = self._PRIORITIES.get(record.levelno, "<3>")
        return "\n".join(priority + line for line in super().format(record).split("\n"))
