"""The one way out to other programs: nothing else in xenlocal imports `sh` or `subprocess`.

`Commands.run` starts a tool with an argument list (never a shell line), waits for it and returns what it printed.
What FACTS says of `sh` is settled here once: no pty, a session of its own, an empty stdin, a fixed environment, and
nothing that only one of sh 1.14 and 2.x knows. stdout and stderr go to anonymous files in memory instead of pipes:
no reader threads, no dead end when a grandchild (the `xl` monitor) keeps a stream open, the same in both versions.

The umask of the children is the caller's: `app` sets `os.umask(0o077)` once at its start, before any thread.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import IO, Protocol

import sh

from xenlocal.model.errors import CommandFailed, ToolMissing
from xenlocal.model.text import printable

SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_LIMIT = 32 << 20  # bytes; `xenstore-ls` of 1000 domUs prints about 5 MB
_KILLED = 10.0  # seconds a killed tool has to end: one that waits for a dead disk does not
_STDERR_LIMIT = 64 << 10
_OK = frozenset({0})
_EVERY_CODE = tuple(range(256))
_PACKAGES = {
    "xl": "xen-utils-common", "xenstore-ls": "xenstore-utils", "xenstore-watch": "xenstore-utils",
    "xenstore-read": "xenstore-utils", "xenstore-write": "xenstore-utils",
    "lvm": "lvm2", "lvcreate": "lvm2", "lvextend": "lvm2", "lvchange": "lvm2", "lvrename": "lvm2",
    "lvremove": "lvm2", "blockdev": "util-linux", "fallocate": "util-linux", "ip": "iproute2", "ping": "iputils-ping",
    "systemd-run": "systemd", "systemctl": "systemd", "setpriv": "util-linux", "setsid": "util-linux",
    "dot": "graphviz", "debugfs": "e2fsprogs",
    "iscsiadm": "open-iscsi", "udevadm": "udev",
}  # fmt: skip

log = logging.getLogger("xenlocal")
logging.getLogger("sh").setLevel(logging.WARNING)  # it logs every start and end of a process at INFO

OnRun = Callable[[Sequence[str], float, int | None], None]


class Runner(Protocol):
    """Runs a tool to its end. `Commands` on a real host, the simulator's dom0 elsewhere."""

    def run(
        self, argv: Sequence[str], *, timeout: float = 60, input: str | None = None, ok: frozenset[int] = _OK
    ) -> str:
        """stdout of `argv`. `timeout` in seconds; `ok`: exit codes that are no error.

        Raises CommandFailed (another exit code, a signal, the timeout, too much output) and ToolMissing.
        """


class Stream(Protocol):
    """A tool that keeps printing lines."""

    def stop(self) -> None:
        """End it. No line is delivered after the return."""


class Streamer(Protocol):
    def stream(
        self, argv: Sequence[str], on_line: Callable[[str], None], on_start: Callable[[], None] | None = None
    ) -> Stream:
        """Hand every line (without its end) to `on_line`, in a thread of the stream's own; start the tool again
        when it ends. `on_start` is called at each start: what happened before it was not seen."""


class Commands:
    """Runs real programs. May be used from any number of threads at once.

    `search_path`: where argv[0], a bare tool name, is looked for (the administrator's PATH does not matter).
    `on_run(argv, seconds, status)` is called after every command, for counting; status None: timed out.
    """

    def __init__(
        self, search_path: str = SEARCH_PATH, on_run: OnRun | None = None, output_limit: int = OUTPUT_LIMIT
    ) -> None:
        self._search_path = search_path
        self._on_run = on_run
        self._output_limit = output_limit
        # LVM complains of every descriptor it did not open itself; ours are closed on exec anyway.
        self._environment = {"LC_ALL": "C", "PATH": search_path, "LVM_SUPPRESS_FD_WARNINGS": "1"}
        self._stuck: dict[tuple[str, ...], tuple[int, int]] = {}  # pid and pidfd of each that no kill has ended

    def run(
        self, argv: Sequence[str], *, timeout: float = 60, input: str | None = None, ok: frozenset[int] = _OK
    ) -> str:
        program = self._resolve(argv)
        self._refuse_beside_a_stuck_one(tuple(argv))
        started = time.monotonic()
        status: int | None = None
        with ExitStack() as stack:
            stdin: IO[bytes] = stack.enter_context(open(os.devnull, "rb")) if input is None else _memory(stack)
            if input is not None:
                stdin.write(input.encode())
                stdin.seek(0)
            stdout, stderr = _memory(stack), _memory(stack)
            try:
                status = self._wait(program, argv, timeout, stdin, stdout, stderr)
            finally:
                if self._on_run:
                    self._on_run(argv, time.monotonic() - started, status)
            said = printable(_text(stderr, _STDERR_LIMIT, tail=True), "\n\t")  # a guest's bytes can be in it
            if status is None or status not in ok:
                if status == 127 and argv[0] == "xl":
                    raise ToolMissing(
                        "cannot run xl: the tools of the running hypervisor are gone (exit 127). After an upgrade "
                        f"of Xen only a reboot of the dom0 brings them back: {said.strip()}"
                    )
                raise CommandFailed(argv, status, said, _text(stdout, self._output_limit))
            if stdout.seek(0, os.SEEK_END) > self._output_limit:
                raise CommandFailed(argv, status, f"it printed more than {self._output_limit} bytes")
            return _text(stdout, self._output_limit)

    def stream(
        self, argv: Sequence[str], on_line: Callable[[str], None], on_start: Callable[[], None] | None = None
    ) -> Stream:
        # setpriv: the tool gets TERM when we die, however we die; util-linux has it, Python's stdlib has not.
        program, watchdog = self._resolve(argv), self._resolve(("setpriv",))
        command = (watchdog, "--pdeathsig", "TERM", "--", program, *argv[1:])
        return _Streaming(command, self._environment, on_line, on_start)

    def _resolve(self, argv: Sequence[str]) -> str:
        for directory in self._search_path.split(":"):
            path = os.path.join(directory, argv[0])
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
        package = _PACKAGES.get(argv[0])
        hint = f"; install it with: apt install {package}" if package else ""
        raise ToolMissing(f"cannot find the program {argv[0]} in {self._search_path}{hint}")

    def _refuse_beside_a_stuck_one(self, argv: tuple[str, ...]) -> None:
        """The next one would wait for the same dead thing, as long, and stay behind as well."""
        pid, handle = self._stuck.get(argv, (0, -1))
        if not pid:
            return
        if not _ended(handle, 0):
            raise CommandFailed(argv, None, f"process {pid}, which runs it, does not even end by a kill")
        if self._stuck.pop(argv, None):
            os.close(handle)

    def _wait(
        self, program: str, argv: Sequence[str], timeout: float, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]
    ) -> int | None:
        """The exit code, negative for a signal, None for the timeout (then everything it started is killed)."""
        try:
            running = sh.Command(program)(
                *argv[1:],
                _in=stdin, _out=stdout, _err=stderr, _tty_out=False, _new_session=True, _env=self._environment,
                _cwd="/", _ok_code=_EVERY_CODE, _bg=True, _bg_exc=False,
            )  # fmt: skip
        except sh.CommandNotFound as error:
            raise ToolMissing(f"cannot find the program {program}") from error
        except (OSError, sh.ForkException) as error:
            raise CommandFailed(argv, 126, str(error)) from error
        # Not sh's own _timeout: it polls, which makes every call last 0.1 s, and it kills the tool alone.
        late = not _ends_within(running.pid, timeout)
        if late:
            _kill_session(running.pid)
            if not _ends_within(running.pid, _KILLED):
                with suppress(ProcessLookupError):  # it has ended just now
                    self._stuck[tuple(argv)] = running.pid, os.pidfd_open(running.pid)
                raise CommandFailed(argv, None, "not even a kill ends it: what it waits for is dead")
        try:
            running.wait()
            status = int(running.exit_code)
        except sh.ErrorReturnCode as error:
            status = int(error.exit_code)
        return None if late and status < 0 else status


class _Streaming:
    """The thread that starts the tool, reads it and starts it again. It blocks in read: no wake-ups when idle."""

    _RETRY_FIRST, _RETRY_LAST = 2.0, 300.0  # seconds

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        on_start: Callable[[], None] | None,
    ) -> None:
        self._command, self._environment = command, environment
        self._on_line, self._on_start = on_line, on_start
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # The parent-death signal is that of the thread which forks: it has to be the one that stays.
        self._thread = threading.Thread(target=self._run, name="xenlocal-stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            if self._process:
                self._process.terminate()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        delay = self._RETRY_FIRST
        while not self._stopped.is_set():
            started = time.monotonic()
            why = self._read_to_the_end()
            if self._stopped.is_set():
                return
            delay = self._RETRY_FIRST if time.monotonic() - started > self._RETRY_LAST else delay
            log.warning("%s ended (%s); starting it again in %.0f s", self._command[4], why, delay)
            self._stopped.wait(delay)
            delay = min(delay * 2, self._RETRY_LAST)

    def _read_to_the_end(self) -> str:
        try:
            with self._lock:
                if self._stopped.is_set():
                    return "stopped"
                process = self._process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    start_new_session=True, env=dict(self._environment), cwd="/",
                )  # fmt: skip
        except OSError as error:
            return str(error)
        with process:
            if self._on_start:
                self._on_start()
            assert process.stdout is not None
            for line in process.stdout:
                if self._stopped.is_set():
                    break
                self._on_line(line.decode("utf-8", "backslashreplace").rstrip("\n"))
            process.terminate()
        with self._lock:
            self._process = None
        return f"exit {process.returncode}"


def _memory(stack: ExitStack) -> IO[bytes]:
    return stack.enter_context(open(os.memfd_create("xenlocal", os.MFD_CLOEXEC), "w+b", buffering=0))


def _text(file: IO[bytes], limit: int, tail: bool = False) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - limit) if tail else 0)
    return file.read(limit).decode("utf-8", "backslashreplace")


def _ends_within(pid: int, seconds: float) -> bool:
    """Whether this child has ended after so many seconds. No thread waits for that: starting one costs more than the
    rest of a call."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True  # ended, and sh has waited for it
    try:
        return _ended(handle, seconds)
    finally:
        os.close(handle)


def _ended(handle: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))


def _kill_session(pid: int) -> None:
    """The tool and what it started: hotplug scripts hold host-wide locks. (The `xl` monitor has its own session.)"""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
