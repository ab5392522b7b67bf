"""What the kernel and open-iscsi keep in files, the login, and the one way of a secret."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from tests.unit.adapters.scripted import NO_KERNELS, Answer, ScriptedRunner, TextFiles
from xenlocal.adapters import own
from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.command import Commands
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.iscsi import ChapRecords, read_iscsi, read_records, with_chap
from xenlocal.model.errors import CommandFailed, ToolMissing, XenlocalError
from xenlocal.model.host_actions import LogIn
from xenlocal.model.inspection import IscsiRecord
from xenlocal.model.iscsi import Chap, IscsiFacts, Node, Portal

IQN, SECRET = "iqn.2012-10.example:bay1", "swordfish-1234"
NODE, SIX = Node(IQN, Portal("192.0.2.10")), Node(IQN, Portal("fd00::1", 860))
CHAP = Chap("dom0", "/etc/xenlocal/bay1.secret")
PLAIN = f"/etc/iscsi/nodes/{IQN}/192.0.2.10,3260"
FOUND = f"/var/lib/iscsi/nodes/{IQN}/192.0.2.10,3260,1/default"
# As open-iscsi 2.1.8 of Debian 12 writes it, cut short.
RECORD = f"""# BEGIN RECORD 2.1.8
node.name = {IQN}
node.tpgt = -1
node.startup = manual
node.session.auth.authmethod = None
node.session.auth.chap_algs = MD5
node.conn[0].address = 192.0.2.10
node.conn[0].startup = manual
# END RECORD
"""


def sysfs(number: int, node: Node, state: str = "LOGGED_IN") -> dict[str, str]:
    session, connection = f"/sys/class/iscsi_session/session{number}", f"connection{number}:0"
    return {
        f"{session}/targetname": f"{node.iqn}\n",
        f"{session}/state": f"{state}\n",
        f"/sys/class/iscsi_connection/{connection}/persistent_address": f"{node.portal.address}\n",
        f"/sys/class/iscsi_connection/{connection}/persistent_port": f"{node.portal.port}\n",
    }


def test_sessions_and_records() -> None:
    files = TextFiles({**sysfs(1, NODE), **sysfs(12, SIX, "FAILED"), FOUND: RECORD})
    assert read_iscsi(files) == IscsiFacts({NODE: "LOGGED_IN", SIX: "FAILED"}, frozenset({NODE}))
    assert read_iscsi(TextFiles({})) == IscsiFacts({})


def test_of_two_sessions_to_one_node_one_that_works_is_enough() -> None:
    for states in (("FAILED", "LOGGED_IN"), ("LOGGED_IN", "FAILED")):
        texts = {path: text for number, state in enumerate(states) for path, text in sysfs(number, NODE, state).items()}
        assert read_iscsi(TextFiles(texts)).sessions == {NODE: "LOGGED_IN"}


@pytest.mark.parametrize("gone", list(sysfs(1, NODE)))
def test_a_session_that_is_just_coming_or_going_is_none(gone: str) -> None:
    texts = sysfs(1, NODE)
    del texts[gone]
    assert read_iscsi(TextFiles({**texts, "/sys/class/iscsi_connection/other/x": ""})).sessions == {}


def test_what_cannot_be_read_is_unknown() -> None:
    class Broken(TextFiles):
        def names(self, path: str) -> tuple[str, ...]:
            raise XenlocalError("cannot look at it: EIO")

    with pytest.raises(XenlocalError, match="EIO"):
        read_iscsi(Broken({}))


def test_records_are_files_or_directories() -> None:
    """The first as `-o new` makes it, the second as a discovery does."""
    files = TextFiles({PLAIN: RECORD, FOUND: RECORD.replace("startup = manual", "startup = automatic", 1)})
    assert read_records(files) == (
        IscsiRecord(IQN, "192.0.2.10,3260", "manual"),
        IscsiRecord(IQN, "192.0.2.10,3260,1", "automatic"),
    )
    assert [IscsiRecord(IQN, text, "").node for text in ("fd00::1,860", "192.0.2.10", "a,b")] == [SIX, None, None]


def test_the_secret_goes_into_every_record_of_the_node_and_once() -> None:
    other = PLAIN.replace("192.0.2.10", "192.0.2.11")
    files = TextFiles({PLAIN: RECORD, FOUND: RECORD, other: RECORD})
    written: dict[str, str] = {}
    records = ChapRecords(files, lambda path: {CHAP.secret: f"{SECRET}\n"}[path], written.__setitem__)
    records.put(NODE, CHAP)
    assert written.keys() == {PLAIN, FOUND}
    lines = written[PLAIN].splitlines()
    assert lines[0] == "# BEGIN RECORD 2.1.8" and lines[-1] == "# END RECORD"
    assert lines[-4:-1] == [
        "node.session.auth.authmethod = CHAP",
        "node.session.auth.username = dom0",
        f"node.session.auth.password = {SECRET}",
    ]
    assert [line for line in RECORD.splitlines() if line not in lines] == ["node.session.auth.authmethod = None"]
    assert with_chap(written[PLAIN], "dom0", SECRET) == written[PLAIN]
    files.texts, before = {PLAIN: written[PLAIN]}, dict(written)
    written.clear()
    records.put(NODE, CHAP)
    assert written == {} and before


@pytest.mark.parametrize("bad", ["", "\n", "two words\n", "one\ntwo\n", "x" * 256, "caf\u00e9\n"])
def test_a_file_with_no_secret_is_refused_and_not_quoted(bad: str) -> None:
    with pytest.raises(XenlocalError, match="has to hold the secret alone") as error:
        ChapRecords(TextFiles({PLAIN: RECORD}), lambda path: bad, lambda path, text: None).put(NODE, CHAP)
    assert not bad.strip() or bad.strip() not in str(error.value)


def test_a_record_that_is_not_there_or_cannot_be_written() -> None:
    def full(path: str, text: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(XenlocalError, match="cannot find the record of iqn.2012-10.example:bay1 at 192.0.2.10:3260"):
        ChapRecords(TextFiles({}), lambda path: SECRET, full).put(NODE, CHAP)
    with pytest.raises(XenlocalError, match="cannot write .*192.0.2.10,3260: No space left on device"):
        ChapRecords(TextFiles({PLAIN: RECORD}), lambda path: SECRET, full).put(NODE, CHAP)


def test_whose_the_file_of_a_secret_is_and_who_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "bay1.secret"
    with pytest.raises(XenlocalError, match="it does not exist; write the secret into it, mode 600"):
        own.read_secret(str(path))
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    assert own.read_secret(str(path)) == f"{SECRET}\n"
    for mode in (0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(XenlocalError, match=f"others than its owner can read it; type: chmod 600 {path}"):
            own.read_secret(str(path))
    path.chmod(0o600)
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(XenlocalError, match="cannot trust"):
            own.read_secret(str(tmp_path / name))


# What iscsiadm 2.1.8 printed.
WHERE = f"[iface: default, target: {IQN}, portal: 192.0.2.10,3260]"
TIMED_OUT = (
    f"iscsiadm: Could not login to {WHERE}.\niscsiadm: initiator reported error (8 - connection timed out)\n"
    "iscsiadm: Could not log into all portals\n"
)
LOGIN = ("iscsiadm", "-m", "node", "-T", IQN, "-p", "192.0.2.10:3260", "--login")
SETTLE = ("udevadm", "settle", "--timeout=10")


def actuator(runner: ScriptedRunner, chap: ChapRecords | None = None) -> HostActuator:
    return HostActuator(runner, "/run/xenlocal", False, Identities("/var/lib/xenlocal"), NO_KERNELS, chap=chap)


def failed(status: int | None, said: str) -> Answer:
    return CommandFailed(LOGIN, status, said)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (failed(8, TIMED_OUT), f"^cannot log in to {IQN} at 192.0.2.10:3260: connection timed out$"),
        (
            failed(24, TIMED_OUT.replace("8 - connection timed out", "24 - authorization failure")),
            ": authorization failure; chap_user and what is in the file chap_secret have to be those of the target$",
        ),
        (failed(None, "no end after 45 s"), "timed out"),
        (failed(1, "iscsiadm: something new"), "something new"),
        (ToolMissing("cannot find the program iscsiadm"), "cannot find the program iscsiadm"),
    ],
)
def test_a_login_that_fails_says_why_in_short(error: Answer, text: str) -> None:
    runner = ScriptedRunner((LOGIN, error))
    with pytest.raises(XenlocalError, match=text):
        actuator(runner).perform(LogIn("bay1", NODE))
    assert runner.timeouts in ([], [45.0])


def test_a_disk_that_udev_has_not_named_in_time_is_no_failed_login(caplog: pytest.LogCaptureFixture) -> None:
    actuator(ScriptedRunner((LOGIN, ""), (SETTLE, CommandFailed(SETTLE, 1, "")))).perform(LogIn("bay1", NODE))
    assert "iscsi/bay1: its disks may appear later" in caplog.text


def test_the_secret_is_in_its_place_before_the_login_and_in_no_command() -> None:
    files = TextFiles({PLAIN: RECORD})
    order: list[str] = []
    chap = ChapRecords(files, lambda path: SECRET, lambda path, text: order.append(f"write {path}"))

    class Runner(ScriptedRunner):
        def run(self, argv, **values):  # type: ignore[no-untyped-def]
            order.append(" ".join(argv[-2:]))
            return ""

    login = LogIn("bay1", NODE, CHAP, known=False)
    actuator(Runner(), chap).perform(login)
    assert order == ["-o new", "-v 15", f"write {PLAIN}", "192.0.2.10:3260 --login", "settle --timeout=10"]
    with pytest.raises(XenlocalError, match="cannot read /etc/xenlocal/bay1.secret"):
        actuator(ScriptedRunner()).perform(LogIn("bay1", NODE, CHAP))


def test_by_hand_the_shell_reads_the_file() -> None:
    lines = actuator(ScriptedRunner()).script(LogIn("bay1", NODE, Chap("dom0", "/etc/a b"), known=False))
    assert [line.split()[-1] for line in lines] == ["new", "15", "b')\"", "--login", "--timeout=10"]
    assert lines[2].endswith("-n node.session.auth.password -v \"$(cat '/etc/a b')\"")
    assert shlex.split(lines[2])[:9] == [*LOGIN[:7], "-o", "update"]


def test_what_to_install_where_there_is_no_open_iscsi() -> None:
    with pytest.raises(ToolMissing, match="apt install open-iscsi"):
        Commands(search_path="/nowhere").run(LOGIN)
