"""command.py with real small programs: exit codes, time limits, output, descriptors, threads."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from xenlocal.adapters import command
from xenlocal.adapters.command import Commands
from xenlocal.model.errors import CommandFailed, ToolMissing


@pytest.fixture
def commands() -> Commands:
    return Commands()


def tool(directory: Path, name: str, body: str) -> Commands:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return Commands(search_path=f"{directory}:/usr/bin:/bin")


def test_returns_stdout_alone(commands: Commands) -> None:
    assert commands.run(["sh", "-c", "echo out; echo err >&2"]) == "out\n"


def test_arguments_arrive_untouched(commands: Commands) -> None:
    arguments = ["a b", "*", "$HOME", "", "-x", "--y=z", "é", "a\nb"]
    assert commands.run(["printf", "[%s]", *arguments]) == "".join(f"[{each}]" for each in arguments)


def test_environment_and_stdin_are_fixed(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XENLOCAL_SECRET", "x")
    said = commands.run(["env"])
    assert "LC_ALL=C\n" in said and "SECRET" not in said
    assert commands.run(["cat"]) == ""
    assert commands.run(["cat"], input="hello") == "hello"
    assert commands.run(["sh", "-c", "test -t 0 || test -t 1 || test -t 2 || echo no"]) == "no\n"


def test_failure_carries_argv_status_and_stderr(commands: Commands) -> None:
    with pytest.raises(CommandFailed, match=r"exit 3.*it broke") as caught:
        commands.run(["sh", "-c", "echo it broke >&2; exit 3"])
    assert caught.value.status == 3 and caught.value.argv[0] == "sh"


def test_codes_that_are_no_error(commands: Commands) -> None:
    assert commands.run(["sh", "-c", "echo x; exit 1"], ok=frozenset({0, 1})) == "x\n"


def test_signal_is_negative(commands: Commands) -> None:
    with pytest.raises(CommandFailed) as caught:
        commands.run(["sh", "-c", "kill -TERM $$"])
    assert caught.value.status == -15


def test_control_characters_of_stderr_are_shown(commands: Commands) -> None:
    with pytest.raises(CommandFailed) as caught:
        commands.run(["sh", "-c", "printf 'a\\033[31m' >&2; exit 1"])
    assert "\x1b" not in str(caught.value) and "\\x1b" in str(caught.value)


def test_missing_tool_names_the_package(commands: Commands, tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="no-such-tool"):
        commands.run(["no-such-tool"])
    with pytest.raises(ToolMissing, match="apt install lvm2"):
        Commands(search_path=str(tmp_path)).run(["lvm", "fullreport"])


def test_xl_127_says_reboot(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="only a reboot"):
        tool(tmp_path, "xl", "exit 127").run(["xl", "list"])


def test_script_without_interpreter_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("#!/no/such/interpreter\n")
    (tmp_path / "bad").chmod(0o755)
    with pytest.raises((CommandFailed, ToolMissing)):
        Commands(search_path=str(tmp_path)).run(["bad"])


def test_timeout_kills_the_whole_session(commands: Commands, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(CommandFailed, match="timed out") as caught:
        commands.run(["sh", "-c", f"echo partial >&2; sleep infinity & echo $! >{mark}; wait"], timeout=0.5)
    assert caught.value.status is None and "partial" in str(caught.value)
    await_end(int(mark.read_text()))


def test_beside_one_that_no_kill_ends_no_second_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_kill_session", lambda _pid: None)  # as a process that waits for a dead disk takes it
    monkeypatch.setattr(command, "_KILLED", 0.01)
    commands = tool(tmp_path, "looks", f"echo $$ >>{tmp_path}/pids; while test -e {tmp_path}/dead; do sleep 0.02; done")
    (tmp_path / "dead").touch()
    with pytest.raises(CommandFailed, match="not even a kill ends it"):
        commands.run(["looks"], timeout=1)
    (pid,) = (tmp_path / "pids").read_text().split()
    with pytest.raises(CommandFailed, match=f"process {pid}, which runs it, does not even end by a kill"):
        commands.run(["looks"], timeout=60)
    held = len(os.listdir("/proc/self/fd"))
    (tmp_path / "dead").unlink()
    await_end(int(pid))
    assert commands.run(["looks"]) == "" and len((tmp_path / "pids").read_text().split()) == 2
    assert len(os.listdir("/proc/self/fd")) == held - 1


def test_daemon_that_keeps_the_streams_does_not_hold_us(commands: Commands) -> None:
    pid = int(commands.run(["sh", "-c", "setsid sleep 60 & echo $!"]))
    assert _alive(pid)  # it has not been waited for, nor ended
    os.kill(pid, signal.SIGKILL)


def test_big_output(commands: Commands) -> None:
    assert len(commands.run(["head", "-c", "8000000", "/dev/zero"])) == 8000000
    with pytest.raises(CommandFailed, match="more than 1000 bytes"):
        Commands(output_limit=1000).run(["head", "-c", "1001", "/dev/zero"])


def test_bytes_that_are_no_text_are_escaped(commands: Commands) -> None:
    assert commands.run(["printf", "\\377x"]) == "\\xffx"


def test_no_descriptor_or_thread_leaks(commands: Commands) -> None:
    commands.run(["true"])
    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(200):
        if number % 4:
            commands.run(["true"])
        else:
            with pytest.raises(CommandFailed):
                commands.run(["false"])
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() < threads + 5  # of other tests of this process some may still be there


def test_many_threads() -> None:
    seen: list[int | None] = []
    commands = Commands(on_run=lambda argv, seconds, status: seen.append(status))
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda n: commands.run(["echo", str(n)]), range(80)))
    assert said == [f"{n}\n" for n in range(80)]
    assert seen == [0] * 80


def test_stream_delivers_lines_at_once_and_stops(tmp_path: Path) -> None:
    commands = tool(tmp_path, "ticker", f"echo $$ >{tmp_path}/pid; echo one; echo two; exec sleep infinity")
    lines: list[str] = []
    seen = threading.Event()

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "two":
            seen.set()

    stream = commands.stream(["ticker"], on_line)
    assert seen.wait(5)
    stream.stop()
    await_end(int((tmp_path / "pid").read_text()))
    assert lines == ["one", "two"]


def test_stream_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xenlocal.adapters.command._Streaming._RETRY_FIRST", 0.01)
    starts = threading.Semaphore(0)
    stream = tool(tmp_path, "ender", "echo bye").stream(["ender"], lambda line: None, starts.release)
    assert all(starts.acquire(timeout=5) for _ in range(3))
    stream.stop()


def await_end(pid: int) -> None:
    """Of what does not end by itself."""
    deadline = time.monotonic() + 10
    while _alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().split(")")[1].split()[0] not in ("Z", "X")
    except OSError:
        return False
