"""Lock, daemon, threads and time, systemd's socket, the TCP probe."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from xenlocal.adapters.probe import connect
from xenlocal.adapters.process import Busy, Lock
from xenlocal.adapters.systemd import SystemdNotifier
from xenlocal.adapters.work import ThreadWork
from xenlocal.model.errors import XenlocalError


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    with Lock(run), pytest.raises(Busy, match=str(os.getpid())) as caught:
        Lock(run).__enter__()
    assert caught.value.pid == os.getpid()
    with Lock(run) as lock:
        assert (tmp_path / "run/lock").read_text() == f"{os.getpid()}\n"
        assert not os.get_inheritable(lock.fileno())
    with pytest.raises(ValueError):
        lock.fileno()


def test_a_lock_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(XenlocalError, match="symbolic link.*type: rm "):
        Lock(str(tmp_path)).__enter__()


DAEMON = """
import os, sys
from xenlocal.adapters.process import Busy, Lock, daemonize
try:
    with Lock(sys.argv[1]) as lock:
        os.pipe()
        print("before", flush=True)
        daemonize(lock, sys.argv[1] + "/log")
        mask = os.umask(0)
        descriptors = sorted(map(int, os.listdir("/proc/self/fd")))[:-1]
        print("daemon", os.getppid() != int(sys.argv[2]), os.getcwd(), oct(mask), descriptors, flush=True)
        print("err", file=sys.stderr, flush=True)
        sys.stdin.read()
        os.mkfifo(sys.argv[1] + "/end")
        open(sys.argv[1] + "/end").read()
except Busy as busy:
    sys.exit(f"busy {busy.pid}")
"""


def test_daemonize(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DAEMON, str(tmp_path), str(os.getpid())]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    first = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True)
    assert first.stdout == "before\n" and first.stderr == ""
    try:
        wait_for(lambda: (tmp_path / "end").exists())
        pid = int((tmp_path / "lock").read_text())
        assert pid not in (os.getpid(), 0)
        second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
        assert second.returncode == 1 and second.stderr == f"busy {pid}\n"
        log = (tmp_path / "log").read_text()
        assert "daemon True / 0o77 [0, 1, 2, 3]" in log and "err\n" in log
    finally:
        with open(tmp_path / "end", "w"):
            pass
    wait_for(lambda: is_free(tmp_path))  # the daemon says so before the kernel does
    assert (tmp_path / "lock").read_text() == ""


def is_free(directory: Path) -> bool:
    try:
        with Lock(str(directory)):
            return True
    except Busy:
        return False


def wait_for(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def work() -> ThreadWork:
    return ThreadWork()


def test_wait_ends_at_its_time(work: ThreadWork) -> None:
    until = work.now() + 0.05
    work.wait(until)
    assert 0 <= work.now() - until < 1
    work.wait(until)  # already over


def test_wake_before_and_during_wait(work: ThreadWork) -> None:
    work.wake()
    work.wake()
    work.wait(None)
    timer = threading.Timer(0.05, work.wake)
    timer.start()
    started = work.now()
    work.wait(None)
    assert work.now() - started < 1
    work.wait(work.now() + 0.02)  # no wake-up is left


def test_the_end_of_a_task_wakes(work: ThreadWork) -> None:
    done = threading.Event()
    future = work.submit(done.set)
    work.wait(work.now() + 5)
    assert done.is_set() and future.result(1) is None

    def fail() -> None:
        raise XenlocalError("x")

    failed = work.submit(fail)
    work.wait(work.now() + 5)
    assert isinstance(failed.exception(1), XenlocalError)


def test_wake_from_a_signal_handler_is_never_lost(work: ThreadWork) -> None:
    """Signals that arrive at any moment of `wait`: each wait returns long before its time."""
    former = signal.signal(signal.SIGUSR1, lambda number, frame: work.wake())
    try:
        for _ in range(300):
            timer = threading.Timer(0.0005, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            work.wait(work.now() + 5)
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, former)


def test_close(work: ThreadWork) -> None:
    work.submit(lambda: None)
    work.close()
    work.wake()
    work.close()


def test_wall_is_unix_time(work: ThreadWork) -> None:
    assert abs(work.wall() - time.time()) < 5


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"@xenlocal-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name.replace("@", "\0", 1) if abstract else name)
        channel.settimeout(5)
        notifier = SystemdNotifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
        notifier.ready()
        notifier.status("3 domUs run\nREADY=1 ü")
        notifier.watchdog()
        notifier.stopping()
        said = [channel.recv(4096).decode() for _ in range(4)]
        assert said == ["READY=1", "STATUS=3 domUs run READY=1 ü", "WATCHDOG=1", "STOPPING=1"]
        before = time.monotonic_ns() // 1000
        notifier.reloading()
        first, _, second = channel.recv(4096).decode().partition("\n")
        assert first == "RELOADING=1" and int(second.removeprefix("MONOTONIC_USEC=")) >= before
        assert notifier.watchdog_interval() == 15.0


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    SystemdNotifier({}).ready()
    SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_a_systemd_that_reads_nothing_does_not_hold_us_up(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(path)
        notifier = SystemdNotifier({"NOTIFY_SOCKET": path})
        ended = threading.Event()

        def fill() -> None:
            for _ in range(2000):  # more than net.unix.max_dgram_qlen
                notifier.status("x")
            notifier.watchdog()
            ended.set()

        threading.Thread(target=fill, daemon=True).start()
        assert ended.wait(10)
        channel.settimeout(1)
        assert channel.recv(100) == b"STATUS=x"
        notifier.ready()
        channel.settimeout(0)
        kept = []
        with suppress(BlockingIOError):
            while True:
                kept.append(channel.recv(100))
        assert kept[-1] == b"READY=1"


@pytest.mark.parametrize(
    ("environment", "interval"),
    [({}, None), ({"WATCHDOG_USEC": "0"}, None), ({"WATCHDOG_USEC": "x"}, None),
     ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
     ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 1.0)],
)  # fmt: skip
def test_watchdog_interval(environment: dict[str, str], interval: float | None) -> None:
    assert SystemdNotifier(environment).watchdog_interval() == interval


def test_tcp_probe() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connect("127.0.0.1", port, 2) == ""
    assert connect("127.0.0.1", port, 2) == "refuses"
    with pytest.raises(XenlocalError, match="tcp no-such-host.invalid:80 cannot be reached: "):
        connect("no-such-host.invalid", 80, 2)
    assert connect("127.0.0.1", 70000, 2) != ""
