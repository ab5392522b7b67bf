"""iSCSI targets that come late, ask for a secret, go away and come back: only the domUs on them wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from xenlocal.simulator.iscsi import IscsiSession, IscsiTarget, Lun
from xenlocal.simulator.runner import Fault

IQN = "iqn.2012-10.example:bay1"
DISK = f"/dev/disk/by-path/ip-192.0.2.10:3260-iscsi-{IQN}-lun-3"
BAY1 = f"[iscsi bay1]\nportal = 192.0.2.10\ntarget = {IQN}\n"
SECRET = "/etc/xenlocal/bay1.secret"
CHAP = f"{BAY1}chap_user = dom0\nchap_secret = {SECRET}\n"
DB = conf("db", "[[disk xvda]]", f"device = {DISK}")


def bay1(**values: Any) -> IscsiTarget:
    return IscsiTarget(IQN, "192.0.2.10", luns={"3": Lun("/dev/sdb", "8:16")}, **values)


def machine(*texts: str, **values: Any) -> Machine:
    made = Machine(*texts)
    made.dom0.state.targets.append(bay1(**values))
    return made


def answers(made: Machine) -> Callable[[], None]:
    def change() -> None:
        made.dom0.state.targets[0].answers = True

    return change


def lines(made: Machine) -> list[str]:
    return [text for text in made.changes() if text.startswith("iscsiadm")]


def test_a_target_is_logged_in_to_and_its_domu_started() -> None:
    made = machine(BAY1, DB, conf("free"))
    Daemon(made).run(30)
    assert made.running == {"db": "running", "free": "running"}
    node = f"iscsiadm -m node -T {IQN} -p 192.0.2.10:3260"
    assert lines(made) == [
        f"{node} -o new",
        f"{node} -o update -n node.startup -v manual -n node.session.initial_login_retry_max -v 1"
        " -n node.conn[0].timeo.login_timeout -v 15",
        f"{node} --login",
    ]
    assert made.moments("born")["db"] < 1010
    made.dom0.trace.clear()
    Daemon(made).run(30)
    assert made.changes() == []


def test_a_target_that_comes_late_delays_only_the_domu_on_it() -> None:
    made = machine(BAY1, DB, conf("free"), conf("log", "after = iscsi/bay1", "start_timeout = 20s"), answers=False)
    daemon = Daemon(made)
    boot = daemon.ask(0, "boot")
    daemon.at(100, answers(made))
    daemon.run(200)
    born = made.moments("born")
    assert born["free"] < 1005 and 1020 <= born["log"] < 1060 and 1100 <= born["db"] < 1100 + 60 + 15
    assert boot.code == 5 and f"device/{DISK} is reached by iscsi/bay1, which is not logged in" in str(boot.result)
    assert sum(line.endswith("-o new") for line in lines(made)) == 1, "a record that is there stays as it is"


def test_one_that_swallows_packets_holds_nobody_else_up_and_is_tried_less_and_less() -> None:
    made = machine(BAY1, DB, conf("free"), answers=False)
    daemon = Daemon(made)
    daemon.run(600)
    assert made.running == {"free": "running"} and made.moments("born")["free"] < 1005
    tried = [each.at for each in made.dom0.trace if each.text.endswith("--login")]
    assert 6 <= len(tried) <= 11 and tried[1] - tried[0] < 30 < 60 <= tried[-1] - tried[-2]
    status = daemon.loop.status()
    assert status is not None
    (row,) = status["iscsi"]
    assert row["observed"] == "not logged in" and row["portal"] == "192.0.2.10:3260" and row["target"] == IQN
    assert f"cannot log in to {IQN} at 192.0.2.10:3260: connection timed out; it is tried again" in row["notices"][0]
    assert "iscsi/bay1" in status["domains"][0]["notices"][0]


def test_chap_from_a_file_that_only_open_iscsi_gets_to_see() -> None:
    made = machine(CHAP, DB, user="dom0", secret="swordfish-1234")
    texts = made.dom0.state.texts
    texts[SECRET] = "guessed-it-1234\n"
    daemon = Daemon(made)
    daemon.at(30, lambda: texts.update({SECRET: "swordfish-1234\n"}))
    daemon.run(120)
    assert made.running == {"db": "running"} and made.moments("born")["db"] > 1030
    (record,) = [path for path in texts if path.startswith("/etc/iscsi/nodes/")]
    assert {path for path, text in texts.items() if "swordfish" in text} == {SECRET, record}
    assert "guessed" not in texts[record] and "node.session.auth.username = dom0\n" in texts[record]
    said = [str(made.history.entries), str(daemon.loop.status()), str(made.disk.memory), str(made.dom0.trace)]
    assert "authorization failure" in said[0] and not any("swordfish" in each or "guessed" in each for each in said)


def test_a_secret_that_cannot_be_had_is_told() -> None:
    made = machine(CHAP, DB, user="dom0", secret="swordfish-1234")
    daemon = Daemon(made)
    daemon.run(20)
    status = daemon.loop.status()
    assert status is not None and f"cannot read {SECRET}: it does not exist" in str(status["iscsi"])
    assert not any(line.endswith("--login") for line in lines(made))


def test_a_session_that_is_lost_starts_nothing_and_stops_nothing() -> None:
    made = machine(BAY1, DB, conf("free"))
    session = made.dom0.state.sessions

    def lost() -> None:
        session[0].state = "FAILED"

    def seen() -> None:
        status = daemon.loop.status()
        assert status is not None and status["iscsi"][0]["observed"] == "lost"

    daemon = Daemon(made)
    daemon.at(30, lost)
    daemon.at(95, seen)
    daemon.edit(100, BAY1, DB, conf("free"), conf("late", "needs = iscsi/bay1"))
    restart = daemon.ask(120, "restart", "db")
    daemon.run(150)
    assert made.running == {"db": "running", "free": "running"} and made.order("heard") == []
    status = daemon.loop.status()
    assert status is not None and status["iscsi"][0]["observed"] == "lost"
    assert "open-iscsi reconnects by itself" in status["iscsi"][0]["notices"][0]
    notices = {row["name"]: str(row["notices"]) for row in status["domains"]}
    assert "xvda waits for iscsi/bay1, whose session is lost" in notices["db"]
    assert "not restarted, and goes on running" in notices["db"] and restart.code == 1
    assert "needs iscsi/bay1, which is lost" in notices["late"] and "[]" in notices["free"]

    session[0].state = "LOGGED_IN"
    Daemon(made).run(60)
    assert set(made.running) == {"db", "free", "late"} and made.order("heard") == ["db"]


def test_a_section_that_vanished_logs_nothing_out() -> None:
    made = machine(BAY1, DB)
    Daemon(made).run(30)
    made.write(DB)
    daemon = Daemon(made).run(30)
    status = daemon.loop.status()
    assert status is not None
    (row,) = status["iscsi"]
    assert (row["name"], row["observed"], row["portal"]) == ("bay1", "unknown", None)
    assert f"`iscsiadm -m node -T {IQN} -p 192.0.2.10:3260 --logout` ends it" in row["notices"][0]
    assert len(made.dom0.state.sessions) == 1 and not any("logout" in line for line in lines(made))
    assert made.disk.memory.logins
    made.dom0.state.sessions.clear()
    status = Daemon(made).run(30).loop.status()
    assert status is not None and status["iscsi"] == []
    assert not made.disk.memory.logins, "there is nothing left to tell of"


def test_a_session_of_somebody_else_is_used_and_nothing_is_run() -> None:
    made = machine(BAY1, DB)
    made.dom0.state.sessions.append(IscsiSession(1, IQN, "192.0.2.10", 3260))
    Daemon(made).run(30)
    assert made.running == {"db": "running"} and lines(made) == []


def test_a_host_without_open_iscsi_is_told_what_to_install() -> None:
    made = machine(BAY1, DB, conf("free"))
    daemon = Daemon(made, fail("iscsiadm", fault=Fault(missing=True)))
    daemon.run(20)
    status = daemon.loop.status()
    assert status is not None and "cannot find the program iscsiadm" in str(status["iscsi"])
    assert made.running == {"free": "running"}


def test_a_login_that_another_one_was_faster_with_has_not_failed() -> None:
    made = machine(BAY1, DB)
    text = "iscsiadm: default: 1 session requested, but 1 already present.\n"
    daemon = Daemon(made, fail("--login", fault=Fault(15, text, effect=True), times=1))
    daemon.run(30)
    assert made.running == {"db": "running"}
    assert [deed.outcome for deed in made.history.deeds() if deed.target == "iscsi/bay1"] == ["done"]
