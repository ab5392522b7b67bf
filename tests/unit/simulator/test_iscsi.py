"""iscsiadm on the simulated host answers in the words of the real one (open-iscsi 2.1.8, recorded on a dom0)."""

from __future__ import annotations

import pytest

from xenlocal.simulator.answer import Answer, UnknownCommand
from xenlocal.simulator.files import SimFiles
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.iscsi import IscsiTarget, Lun

IQN = "iqn.2012-10.example:bay1"
NODE = ["iscsiadm", "-m", "node", "-T", IQN, "-p", "127.0.0.1:3260"]
WHERE = f"[iface: default, target: {IQN}, portal: 127.0.0.1,3260]"
LUN = f"/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-{IQN}-lun-1"


@pytest.fixture
def dom0() -> SimulatedDom0:
    made = SimulatedDom0()
    made.state.targets.append(IscsiTarget(IQN, "127.0.0.1", luns={"1": Lun("/dev/sda", "8:0")}))
    return made


def refused(status: int, why: str) -> Answer:
    said = f"iscsiadm: Could not login to {WHERE}.\niscsiadm: initiator reported error ({status} - {why})\n"
    return Answer(f"Logging in to {WHERE}\n", f"{said}iscsiadm: Could not log into all portals\n", status)


def test_a_record_then_a_session(dom0: SimulatedDom0) -> None:
    assert dom0.execute([*NODE, "--login"]) == Answer("", "iscsiadm: No records found\n", 21)
    added = f"New iSCSI node [tcp:[hw=,ip=,net_if=,iscsi_if=default] 127.0.0.1,3260,-1 {IQN}] added\n"
    assert dom0.execute([*NODE, "-o", "new"]) == Answer(added)
    update = ["-o", "update", "-n", "node.startup", "-v", "automatic", "-n", "node.tpgt", "-v", "1"]
    assert dom0.execute([*NODE, *update]) == Answer()
    (record,) = dom0.state.texts.values()
    assert "node.startup = automatic\nnode.tpgt = 1\n# END RECORD\n" in record and record.count("node.startup") == 1
    success = f"Logging in to {WHERE}\nLogin to {WHERE} successful.\n"
    assert SimFiles(dom0).paths([LUN]) == {}
    assert dom0.execute([*NODE, "--login"]) == Answer(success)
    again = "iscsiadm: default: 1 session requested, but 1 already present.\niscsiadm: Could not log into all portals\n"
    assert dom0.execute([*NODE, "--login"]) == Answer("", again, 15)
    assert SimFiles(dom0).paths([LUN])[LUN].device == (8, 0)
    assert SimFiles(dom0).read_text("/sys/class/iscsi_session/session1/state") == "LOGGED_IN\n"
    assert SimFiles(dom0).names("/sys/class/iscsi_connection") == ("connection1:0",)


def test_logins_that_fail(dom0: SimulatedDom0) -> None:
    dom0.execute([*NODE, "-o", "new"])
    (target,) = dom0.state.targets
    target.answers = False
    assert dom0.execute([*NODE, "--login"]) == refused(8, "connection timed out")
    target.answers, target.user, target.secret = True, "dom0", "swordfish"
    denied = refused(24, "iSCSI login failed due to authorization failure")
    assert dom0.execute([*NODE, "--login"]) == denied
    words = ("-n", "node.session.auth.username", "-v", "dom0", "-n", "node.session.auth.password", "-v")
    for secret, answer in (("wrong", denied), ("swordfish", None)):
        dom0.execute([*NODE, "-o", "update", *words, secret])
        assert dom0.execute([*NODE, "--login"]) == answer or dom0.state.sessions
    dom0.state.targets.clear()
    assert dom0.execute([*NODE, "--login"]) == refused(8, "connection timed out")


@pytest.mark.parametrize(
    "argv",
    [
        ["iscsiadm", "-m", "session"],
        ["iscsiadm", "-m", "node", "-p", "127.0.0.1:3260", "-T", IQN],
        [*NODE, "--logout"],
        [*NODE, "-o", "update", "-n", "x"],
        ["udevadm", "trigger"],
    ],
)
def test_what_xenlocal_does_not_run_is_not_known(dom0: SimulatedDom0, argv: list[str]) -> None:
    dom0.execute([*NODE, "-o", "new"])
    with pytest.raises(UnknownCommand):
        dom0.execute(argv)
