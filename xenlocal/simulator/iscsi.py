"""iSCSI on the simulated host: `iscsiadm` and `udevadm settle`, the targets out on the network, the kernel's sessions.

What iscsiadm prints, with which status it ends and how long it takes: tests/records/bookworm/iscsi.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xenlocal.model.desired import Desired
from xenlocal.model.iscsi import LOGGED_IN, IscsiFacts, Node
from xenlocal.model.observed import PathFacts, PathKind
from xenlocal.model.units import Size
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0
    from xenlocal.simulator.state import Host

_RECORDS = "/etc/iscsi/nodes"
_LOGIN_TIMEOUT = 17.0  # seconds after which `--login` gave up, with login_timeout = 15 and one try
_AUTH = "node.session.auth."


@dataclass
class Lun:
    real: str  # /dev/sdX
    device: str  # "major:minor"


@dataclass
class IscsiTarget:
    """Out on the network. `luns`: by number."""

    iqn: str
    address: str
    port: int = 3260
    answers: bool = True  # iscsid goes on trying alike where nobody listens and where nothing comes back
    user: str = ""  # of CHAP; "": none is asked for
    secret: str = ""
    luns: dict[str, Lun] = field(default_factory=dict)

    @property
    def portal(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def path(self, lun: str) -> str:
        return f"/dev/disk/by-path/ip-{self.address}:{self.port}-iscsi-{self.iqn}-lun-{lun}"


@dataclass
class IscsiSession:
    number: int
    iqn: str
    address: str
    port: int
    state: str = "LOGGED_IN"  # | FAILED | FREE


def session_of(dom0: SimulatedDom0, target: IscsiTarget) -> IscsiSession | None:
    name = (target.iqn, target.address, target.port)
    return next((each for each in dom0.state.sessions if (each.iqn, each.address, each.port) == name), None)


def sysfs(dom0: SimulatedDom0) -> dict[str, str]:
    """Path -> text of what the kernel shows of sessions."""
    texts: dict[str, str] = {}
    for each in dom0.state.sessions:
        session = f"/sys/class/iscsi_session/session{each.number}"
        connection = f"/sys/class/iscsi_connection/connection{each.number}:0"
        texts |= {f"{session}/targetname": f"{each.iqn}\n", f"{session}/state": f"{each.state}\n"}
        texts |= {f"{connection}/persistent_address": f"{each.address}\n"}
        texts |= {f"{connection}/persistent_port": f"{each.port}\n"}
    return texts


def seconds(dom0: SimulatedDom0, argv: list[str]) -> float:
    """That an `iscsiadm` takes."""
    if "--login" not in argv:
        return dom0.state.durations.other
    target = _target(dom0, *_node(argv))
    return dom0.state.durations.other if target is not None and target.answers else _LOGIN_TIMEOUT


def udevadm(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`udevadm settle --timeout=N`: the links of the disks are there at once."""
    if argv[1:] != ["settle", "--timeout=10"]:
        raise UnknownCommand(argv)
    return Answer()


def iscsiadm(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`iscsiadm -m node -T TARGET -p PORTAL`, and `-o new`, `-o update -n NAME -v VALUE...` or `--login`."""
    iqn, portal = _node(argv)
    rest, record = argv[7:], _record(iqn, portal)
    if rest == ["-o", "new"]:
        dom0.state.texts[record] = _new(iqn, portal)
        address, _, port = portal.rpartition(":")
        where = f"{address.strip('[]')},{port},-1"
        return Answer(f"New iSCSI node [tcp:[hw=,ip=,net_if=,iscsi_if=default] {where} {iqn}] added\n")
    if record not in dom0.state.texts:
        raise Refused("iscsiadm: No records found\n", 21)
    if rest == ["--login"]:
        return _login(dom0, iqn, portal, dom0.state.texts[record])
    if rest[:2] != ["-o", "update"] or not rest[2:] or {*rest[2::4]} != {"-n"} or {*rest[4::4]} != {"-v"}:
        raise UnknownCommand(argv)
    for key, value in zip(rest[3::4], rest[5::4], strict=True):
        dom0.state.texts[record] = _updated(dom0.state.texts[record], key, value)
    return Answer()


def _node(argv: list[str]) -> tuple[str, str]:
    if argv[1:3] != ["-m", "node"] or argv[3::2][:2] != ["-T", "-p"]:
        raise UnknownCommand(argv)
    return argv[4], argv[6]


def _record(iqn: str, portal: str) -> str:
    address, _, port = portal.rpartition(":")
    return f"{_RECORDS}/{iqn}/{address.strip('[]')},{port}"


def _new(iqn: str, portal: str) -> str:
    """In short: what is set by default, and what is looked at here."""
    lines = ["# BEGIN RECORD 2.1.8", f"node.name = {iqn}", "node.tpgt = -1", "node.startup = manual"]
    lines += ["node.session.initial_login_retry_max = 8", f"{_AUTH}authmethod = None", f"{_AUTH}chap_algs = MD5"]
    address, _, port = portal.rpartition(":")
    lines += [f"node.conn[0].address = {address.strip('[]')}", f"node.conn[0].port = {port}", "# END RECORD"]
    return "\n".join(lines) + "\n"


def _updated(text: str, key: str, value: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith(f"{key} = ")]
    return "\n".join([*lines[:-1], f"{key} = {value}", lines[-1]]) + "\n"


def _target(dom0: SimulatedDom0, iqn: str, portal: str) -> IscsiTarget | None:
    return next((each for each in dom0.state.targets if (each.iqn, each.portal) == (iqn, portal)), None)


def _login(dom0: SimulatedDom0, iqn: str, portal: str, record: str) -> Answer:
    target = _target(dom0, iqn, portal)
    if target is not None and session_of(dom0, target) is not None:
        said = "iscsiadm: default: 1 session requested, but 1 already present.\n"
        raise Refused(f"{said}iscsiadm: Could not log into all portals\n", 15)
    address, _, port = portal.rpartition(":")
    which = f"[iface: default, target: {iqn}, portal: {address.strip('[]')},{port}]"
    status, why = 8, "connection timed out"
    if target is not None and target.answers:
        if _is_accepted(target, record):
            number = 1 + max((each.number for each in dom0.state.sessions), default=0)
            dom0.state.sessions.append(IscsiSession(number, iqn, target.address, target.port))
            return Answer(f"Logging in to {which}\nLogin to {which} successful.\n")
        status, why = 24, "iSCSI login failed due to authorization failure"
    said = f"iscsiadm: Could not login to {which}.\niscsiadm: initiator reported error ({status} - {why})\n"
    return Answer(f"Logging in to {which}\n", f"{said}iscsiadm: Could not log into all portals\n", status)


def _is_accepted(target: IscsiTarget, record: str) -> bool:
    lines = dict(line.split(" = ", 1) for line in record.splitlines() if " = " in line)
    said = (lines.get(f"{_AUTH}username", ""), lines.get(f"{_AUTH}password", ""))
    return not target.user or said == (target.user, target.secret)


def disk(dom0: SimulatedDom0, path: str) -> PathFacts | None:
    """Of a session, working or lost, by the name that udev gives it."""
    for target in dom0.state.targets:
        for number, lun in target.luns.items():
            if path in (target.path(number), lun.real) and session_of(dom0, target) is not None:
                major, _, minor = lun.device.partition(":")
                return PathFacts(PathKind.BLOCK, Size(0), lun.real, (int(major), int(minor)))
    return None


def seed_iscsi(
    state: Host,
    desired: Desired,
    facts: IscsiFacts,
    paths: dict[str, PathFacts],
    number: Callable[[tuple[int, int]], str],
) -> None:
    """From a real host, for a rehearsal. A target with a working session is taken to answer after a reboot too, with
    the disks that are seen now, which are taken out of `paths`; of the others nobody knows. What a secret is does not
    matter there. `number`: of a device as the simulated host has it."""
    for count, (node, word) in enumerate(sorted(facts.sessions.items()), 1):
        target = IscsiTarget(node.iqn, node.portal.address, node.portal.port, answers=word == LOGGED_IN)
        for path, seen in list(paths.items()):
            if Node.of_disk(path) == node and seen.device is not None:
                target.luns[path.rpartition("-lun-")[2]] = Lun(seen.real, number(seen.device))
                del paths[path]
        state.targets.append(target)
        state.sessions.append(IscsiSession(count, node.iqn, node.portal.address, node.portal.port, word))
    for node in facts.records:
        state.texts[_record(node.iqn, str(node.portal))] = _new(node.iqn, str(node.portal))
    for each in desired.iscsi.values():
        if each.chap is not None:
            state.texts[each.chap.secret] = "rehearsed\n"
