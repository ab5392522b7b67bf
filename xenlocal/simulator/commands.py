"""argv -> the tool that answers it, and how long it takes. Nothing else knows which tools there are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xenlocal.simulator import guests, iproute, iscsi, lvm, surroundings, system, xenstore, xl
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0

_LVM_READS = ("lvs", "vgs", "fullreport")
_LVM_WRITES = ("lvcreate", "lvextend", "lvchange", "lvrename", "lvremove")
_SMALL = {"truncate": system.truncate, "losetup": system.losetup, "blockdev": system.blockdev, "tail": system.tail}
_SMALL |= {"fallocate": system.fallocate, "mv": system.mv, "rm": system.rm}
_SMALL |= {"ping": system.ping, "systemctl": system.systemctl, "sh": system.shell}
_SMALL |= {"ip": iproute.run, "xenstore-ls": xenstore.run, "xenstore-read": xenstore.read}
_SMALL |= {"xenstore-write": xenstore.write, "xenstore-list": xenstore.list_children}
_SMALL |= {"timedatectl": surroundings.timedatectl, "dpkg-query": surroundings.dpkg_query}
_SMALL |= {"lvmconfig": surroundings.lvmconfig, "pygrub": surroundings.pygrub}
_READERS = {"grep": system.grep, "debugfs": surroundings.debugfs}
_SMALL |= {"iscsiadm": iscsi.iscsiadm, "udevadm": iscsi.udevadm}


def _plain(argv: Sequence[str]) -> list[str]:
    """The tool by its bare name; `lvm lvs` is `lvs`; what only wraps another command is taken off."""
    words = list(argv)
    if not words:
        raise UnknownCommand(argv)
    words[0] = words[0].rsplit("/", 1)[-1]
    if words[0] in ("lvm", "setsid", "nohup") and len(words) > 1:
        options = 1
        while words[0] == "setsid" and words[options].startswith("-"):
            options += 1
        return _plain(words[options:])
    return words


def execute(dom0: SimulatedDom0, argv: list[str], stdin: str | None = None, scope: str = "") -> Answer:
    """Do it now. A tool's own error is an Answer with its exit status; UnknownCommand is the caller's mistake."""
    if argv[0] in dom0.state.programs:
        return Answer(status=dom0.state.programs[argv[0]].status)
    words = _plain(argv)
    try:
        if words[0] == "systemd-run":
            return system.systemd_run(dom0, words, stdin)
        if words[0] == "xl":
            return xl.run(dom0, words, scope)
        if words[0] in _LVM_READS + _LVM_WRITES:
            return lvm.run(dom0, words)
        if words[0] in _READERS:
            return _READERS[words[0]](dom0, words, stdin or "")
        if words[0] in _SMALL:
            return _SMALL[words[0]](dom0, words)
    except Refused as refusal:
        return Answer("", refusal.stderr, refusal.status)
    except (IndexError, ValueError) as error:
        raise UnknownCommand(argv, str(error)) from error
    raise UnknownCommand(argv)


def begin(dom0: SimulatedDom0, argv: Sequence[str]) -> None:
    """What a command does already at its start."""
    words = _plain(argv)
    if words[:2] == ["xl", "destroy"]:
        domain = dom0.state.domain(words[-1])
        if domain:
            guests.begin_destroy(dom0, domain)


def creates(argv: Sequence[str]) -> bool:
    """Whether it runs `xl create`."""
    return any(words == ("xl", "create") for words in itertools.pairwise(argv))


def creation(dom0: SimulatedDom0, argv: Sequence[str]) -> tuple[float, float]:
    """Seconds that an `xl create` takes, and of these the last, in which the domU exists, paused."""
    return guests.creation(dom0, argv[-1].rsplit("/", 1)[-1].removesuffix(".cfg"))


def duration(dom0: SimulatedDom0, argv: Sequence[str]) -> float:
    """Seconds that a command takes, mostly as if it succeeded: what fails, fails at its end."""
    if argv[0] in dom0.state.programs:
        return dom0.state.programs[argv[0]].seconds
    words, durations = _plain(argv), dom0.state.durations
    tool = words[0]
    if tool == "ping" and dom0.state.routes and not iproute.reachable(dom0, words[-1]):
        return float(words[words.index("-w" if "-w" in words else "-W") + 1])
    if tool == "systemd-run":
        inner = words.index("xl") if "xl" in words else 0
        return durations.other + (duration(dom0, words[inner:]) if inner else 0.0)
    if tool == "xl":
        verb = ([*words, ""])[1]
        if verb == "create":
            return creation(dom0, words)[0]
        by_verb = {"list": durations.xl_list, "info": durations.xl_list}
        return by_verb.get(verb, durations.xl_destroy if verb == "destroy" else durations.xl_change)
    if tool in _LVM_READS:
        return durations.lvm_list
    if tool in _LVM_WRITES:
        return durations.lvm_change
    if tool == "iscsiadm":
        return iscsi.seconds(dom0, words)
    if tool.startswith("xenstore-"):
        return durations.xenstore
    return durations.ip if tool == "ip" else durations.other
