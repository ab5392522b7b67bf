"""A person's terminal on the machine's console. For the playground only; tests talk to the agent."""

from __future__ import annotations

import os
import select
import shlex
import socket
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from rig.machine import Machine, Result

_LEAVE = b"\x1c"  # Ctrl-\
_UNIT = "playground"
_ASK_EVERY = 1.0
"""Seconds between two questions whether it is over."""


@contextmanager
def serial_line(machine: Machine) -> Iterator[socket.socket]:
    """Turn the console of a running machine from its log file to a socket; it goes on being logged."""
    assert machine.qemu
    path = machine.work / "console.sock"
    backend = {
        "addr": {"type": "unix", "data": {"path": str(path)}},
        "server": True,
        "wait": False,
        "logfile": str(machine.work / "console.log"),
        "logappend": True,
    }
    machine.qemu.qmp("chardev-change", id="console", backend={"type": "socket", "data": backend})
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        yield line


def attach(line: socket.socket, over: Callable[[], bool]) -> None:
    """Join this terminal to `line` until `over()` (asked every second), Ctrl-\\ or the end of the machine."""
    keyboard, screen = sys.stdin.fileno(), sys.stdout.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        asked = time.monotonic()
        while True:
            ready, _, _ = select.select([keyboard, line], [], [], _ASK_EVERY)
            if keyboard in ready:
                typed = os.read(keyboard, 4096)
                if not typed or _LEAVE in typed:
                    return
                line.sendall(typed)
            if line in ready:
                said = line.recv(65536)
                if not said:
                    return
                os.write(screen, said)
            if time.monotonic() - asked >= _ASK_EVERY:
                if over():
                    return
                asked = time.monotonic()
    finally:
        termios.tcsetattr(keyboard, termios.TCSAFLUSH, before)
        print()


class Login:
    """root logged in on the console, once more after every reboot of the machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._boot = machine.link.boot
        self._term = os.environ.get("TERM", "vt220")
        self._size = os.get_terminal_size()
        self._asked: Future[Result] | None = None
        machine.run(self._begin())

    def _begin(self) -> str:
        tty_unit = ["systemd-run", "--quiet", "--collect", f"--unit={_UNIT}"]
        properties = ("StandardInput=tty", "StandardOutput=tty", "TTYPath=/dev/hvc0", "TTYReset=yes", "SendSIGHUP=yes")
        tty_unit += [f"--property={each}" for each in (*properties, "IgnoreSIGPIPE=no")]
        getty = ["/sbin/agetty", "--autologin", "root", "--noissue", "--keep-baud", "115200", "hvc0", self._term]
        size = f"stty -F /dev/hvc0 rows {self._size.lines} cols {self._size.columns}"
        return f"dmesg -n 1; {size}; {shlex.join([*tty_unit, *getty])}"

    def over(self) -> bool:
        """Whether the shell has ended. Never blocks; while the machine reboots the answer is no."""
        if self._machine.qemu is None or self._machine.qemu.process.poll() is not None:
            return True
        if self._asked is None:
            self._asked = self._machine.spawn(f"systemctl is-active -q {_UNIT}")
        if not self._asked.done():
            return False
        problem, answer, self._asked = self._asked.exception(), self._asked, None
        if problem is not None:
            return False  # it went down meanwhile
        if answer.result().rc == 0:
            return False
        if self._machine.link.boot == self._boot:
            return True
        self._boot = self._machine.link.boot
        self._asked = self._machine.spawn(self._begin())
        return False
