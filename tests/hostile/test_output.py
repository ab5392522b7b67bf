"""The log and the terminal: they obey nobody but us, and nobody waits for them."""

from __future__ import annotations

import io
import logging
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.hostile.daemon import WEB, Home, running, until
from xenlocal import cli, views
from xenlocal.adapters.sink import Sink, to_stream
from xenlocal.adapters.systemd import SystemdNotifier, log_to
from xenlocal.app import App
from xenlocal.model.actions import DestroyDomain
from xenlocal.model.names import domain
from xenlocal.model.plan import Goal, Plan, Refusal, Step
from xenlocal.parts import Parts, Places

EVIL = "web\n<2>kernel: panic\r\x1b[2J\x1b]0;title\x07\u202egnp\u2028\x85\x9b1m\udcff"
log = logging.getLogger("xenlocal")


def logged(monkeypatch: pytest.MonkeyPatch, journal: bool) -> list[str]:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1") if journal else monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    log_to(stream)
    log.warning("refused: %s", EVIL)
    try:
        raise ValueError(EVIL)
    except ValueError:
        log.exception("cannot go on with %s", EVIL)
    (handler,) = [each for each in log.handlers if type(each).__module__ == "xenlocal.adapters.systemd"]
    handler.close()
    return stream.getvalue().split("\n")[:-1]


@pytest.mark.parametrize("journal", [True, False])
def test_a_message_is_one_line_and_holds_no_control_character(monkeypatch: pytest.MonkeyPatch, journal: bool) -> None:
    lines = logged(monkeypatch, journal)
    assert all(line.isprintable() for line in lines)
    assert "refused: web\\n<2>kernel: panic\\r\\x1b[2J" in lines[0]
    assert "cannot go on with web\\n" in lines[1] and "Traceback" in lines[2]
    assert all(line.removeprefix("<3>").startswith("  ") for line in lines[2:])
    assert not journal or [line[:3] for line in lines] == ["<4>", *["<3>"] * (len(lines) - 1)]


def test_what_systemd_is_told_is_one_assignment(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).status(f"{EVIL}\nMAINPID=1")
        text = heard.recv(4096).decode()
    assert text.startswith("STATUS=web <2>kernel") and text.isprintable()


def test_the_terminal_is_told_nothing_that_it_obeys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = Refusal(domain("web"), EVIL)
    step = Step("destroy domain/web", DestroyDomain("web", "uuid", 3, "destroy"), EVIL)
    plan = Plan(Goal.CONVERGE, (step,), (refusal,), unavailable=(("domains", EVIL),))
    monkeypatch.setattr(App, "plan", lambda self: (plan, {step.id: ("xl destroy 3",)}))
    monkeypatch.setattr(App, "ask", lambda self, verb, names, progress: (progress(EVIL), (1, {"message": EVIL}))[1])
    monkeypatch.setattr(App, "why", lambda self, name: {"name": "web", "sentences": [EVIL]})
    for words in (["plan"], ["plan", "--sh"], ["apply"], ["why", "web"]):
        cli.main(["--run-dir", str(tmp_path), *words])
        said = capsys.readouterr()
        assert all(line.isprintable() for line in f"{said.out}{said.err}".split("\n"))
        assert "kernel: panic" in f"{said.out}{said.err}"


def test_a_reason_ends_no_comment_of_the_script() -> None:
    """`plan --sh` is run as root."""
    evil = "it is so\nrm -rf /\r\nrm -rf /"
    step = Step("destroy domain/web", DestroyDomain("web", "uuid", 3, "reap"), evil)
    plan = Plan(Goal.CONVERGE, (step,), (Refusal(domain("web"), evil),), unavailable=(("domains", evil),))
    lines = views.plan_sh(plan, {step.id: ("xl destroy 3",)}).splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["set -e", "xl destroy 3"]


def test_nobody_waits_for_a_stream_that_is_not_read_and_what_is_lost_is_counted() -> None:
    read, write = os.pipe()
    with open(write, "w") as stream:
        sink = Sink(to_stream(stream), lines=10)
        for number in range(5000):
            sink.write(f"{number:04} " + "x" * 1000)
        sink.flush(patience=0.01)
        seen, reached = bytearray(), threading.Event()

        def drain() -> None:
            while part := os.read(read, 65536):
                seen.extend(part)
                if b"the last" in seen:
                    reached.set()

        reader = threading.Thread(target=drain)
        reader.start()

        def goes_on() -> bool:
            sink.write("the last")
            return reached.is_set()

        until(goes_on, "the stream to go on")
        sink.flush()
    reader.join(30)
    os.close(read)
    lines = seen.decode().splitlines()
    numbers = [int(line[:4]) for line in lines if line[:4].isdecimal()]
    lost = [int(line.split()[0][1:]) for line in lines if "are missing here" in line]
    assert numbers == sorted(numbers) and 10 <= len(numbers) < 200
    assert sum(lost) >= 5000 - len(numbers)


@pytest.mark.parametrize("kind", ["nobody reads", "closed", "full disk"])
def test_a_stream_that_takes_nothing_harms_nobody(kind: str) -> None:
    if kind == "full disk":
        stream = open("/dev/full", "w")  # noqa: SIM115 - closed at the end
    else:
        read, write = os.pipe()
        os.close(read)
        stream = open(write, "w")  # noqa: SIM115 - closed at the end
        if kind == "closed":
            stream.close()
    sink = Sink(to_stream(stream))
    for _ in range(3):
        sink.write("x")
    sink.flush()
    assert sink._queue.empty()
    stream.close()


def test_work_without_a_daemon_does_not_wait_for_its_reader(tmp_path: Path) -> None:
    """`xenlocal shutdown` on a host whose console is stopped."""
    home = Home(tmp_path, web=WEB)
    places = Places(str(home.config), str(home.state), str(home.run), str(tmp_path / "host.json"))
    stopped = threading.Event()

    def progress(text: str) -> None:
        stopped.wait()

    code, _ = App(Parts(places)).ask("apply", (), progress)
    stopped.set()
    assert code in (0, 5)


def test_the_daemon_goes_on_while_nobody_reads_its_log(tmp_path: Path) -> None:
    home = Home(tmp_path, web=WEB)
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(write, True)
    with running(home, stderr=write) as daemon:
        (home.config / "web.conf").write_text("nonsense\n" * 2000)
        assert home.call("reload").returncode == 4
        assert home.call("status").returncode == 0
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("shell", ["<&- >&- 2>&-", "2>/dev/full"])
def test_the_daemon_lives_without_its_streams(tmp_path: Path, shell: str) -> None:
    home = Home(tmp_path, web=WEB)
    with running(home, shell=shell) as daemon:
        (home.config / "web.conf").write_text("nonsense\n")
        assert home.call("reload").returncode == 4
        assert (home.run / "lock").read_text() == f"{daemon.pid}\n"
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
