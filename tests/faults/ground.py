"""What guests stand on: volumes, files, bridges and iSCSI sessions, which only what a file declares may change, and
never to the worse (rules 2, 4, 6 and 9). A part of the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.faults.truth import Truth, keeps, paths_of, trials
from xenlocal.adapters.diskwork import PROGRAMS
from xenlocal.model.desired import State
from xenlocal.model.diskwork import Preparation
from xenlocal.model.names import parse_trash_name
from xenlocal.model.observed import OUR_ALIAS
from xenlocal.model.storage import OUR_TAG, OWNER_TAG
from xenlocal.simulator import diskwork
from xenlocal.simulator.state import Link, Volume

_LVM = ("lvcreate", "lvextend", "lvchange", "lvrename", "lvremove", "lvreduce", "lvresize")
_MARKS = tuple(f".{work.mark}" for work in Preparation)


class Ground:
    def __init__(self, truth: Truth, say: Callable[[int, str], None]) -> None:
        self.truth, self._say = truth, say
        self._held: dict[str, str] = {}  # what was on each disk
        self._way_back: dict[str, Link] = {}  # the links as they were when a way back was set

    def issued(self, name: str, argv: Sequence[str], words: list[str]) -> None:
        if argv[0] == "systemd-run" and "--on-active=60s" in argv:
            self._way_back = {link.name: replace(link) for link in self.truth.dom0.state.links}
        elif name in _LVM:
            self._lvm(name, words)
        elif name == "ip":
            self._ip(words)
        elif name == "iscsiadm":
            self._iscsi(words)
        elif name == "truncate":
            self._file(words)
        elif name in ("mv", "rm"):
            self._copy(words)
        elif words[0] in PROGRAMS.values():
            self._works(words[0], words[1], words[2])

    def happened(self) -> None:
        """Rule 2: an installation leaves alone what somebody else has put on a disk; rule 1: and what a domain has."""
        state = self.truth.dom0.state
        for path, before in self._held.items():
            if before not in ("", diskwork.UNFINISHED) and state.holds.get(path, "") != before:
                self._say(2, f"{path} held {before}, and is written over")
        self._held = dict(state.holds)
        for event in diskwork.at_work(self.truth.dom0):
            if self.truth.holds(event.config["disk"]):
                self._say(1, f"{event.config['disk']} is worked on for {event.detail}, and a domain holds it")

    def _works(self, program: str, name: str, path: str) -> None:
        truth, declared = self.truth, self.truth.declared(name)
        if truth.goes_down:
            self._say(12, f"{program} begins for {name} while the host shuts down")
        resizes = any(disk.resize_fs and disk.backing.path == path for each in declared for disk in each.disks)
        installs = any(each.install and each.disks[0].backing.path == path for each in declared)
        if program == PROGRAMS[Preparation.MODULES]:
            if not any(each["name"] == name and not each["failed"] for each in trials(truth.dom0.state)):
                self._say(6, f"{program} begins for {name} on {path}, and no kernel of it is on trial")
        elif not (resizes if program == PROGRAMS[Preparation.RESIZE] else installs):
            self._say(6, f"{program} begins for {name} on {path}, and no valid file says so")

    def _iscsi(self, words: list[str]) -> None:
        """Nothing is logged out, nothing but what a file declares is logged in to, and no record is made anew."""
        nodes = {(each.node.iqn, str(each.node.portal)) for one in self.truth.lately() for each in one.iscsi.values()}
        if "--logout" in words or "delete" in words:
            self._say(6, f"{' '.join(words)}: nobody is logged out")
        if (words[4], words[6]) not in nodes:
            self._say(4, f"{' '.join(words)}: no file declares that target")
        made = any(path.startswith("/etc/iscsi/nodes/") for path in self.truth.dom0.state.texts)
        if words[-1] == "new" and made:
            self._say(4, f"{' '.join(words)} overwrites a record")

    def _lvm(self, name: str, words: list[str]) -> None:
        truth, text = self.truth, " ".join(words)
        if name in ("lvreduce", "lvresize"):
            self._say(2, f"{text}: may shrink")
            return
        if name == "lvcreate":
            path = f"/dev/{words[-1]}/{words[words.index('--name') + 1]}"
            if not any(keeps(each, path) for each in truth.lately()):
                self._say(6, f"{text}: nobody declares it")
            self._alone(words[-1], text)
            return
        vg, lv = words[1:3] if name == "lvrename" else words[-1].split("/", 1)
        volume = truth.dom0.state.volume(vg, lv)
        if name == "lvremove":
            if not any(word.verb == "trash purge" and f"{vg}/{lv}" in word.names for word in truth.words):
                self._say(2, f"{text}: nobody asked for that")
            if parse_trash_name(lv) is None:
                self._say(2, f"{text}: is not in the trash")
        if volume is None:
            return
        if OUR_TAG not in volume.tags:
            self._say(4, f"{text}: a foreign volume")
        if strangers(volume, truth.dom0.state.name):
            self._say(4, f"{text}: a volume of another dom0")
        if "--activate" not in words:
            self._alone(vg, text)
        elif words[words.index("--activate") + 1] == "n":
            self._lets_go(vg, lv, text)
        if name == "lvextend" and int(words[2].rstrip("b")) < volume.size:
            self._say(2, f"{text}: would shrink")
        if name == "lvrename" and parse_trash_name(words[3]) is not None:
            self._retires(vg, lv, text)

    def _alone(self, vg: str, text: str) -> None:
        """No group is changed that another dom0 has volumes in, unless lvmlockd keeps the two apart."""
        state = self.truth.dom0.state
        group = state.group(vg)
        others = any(each.vg == vg and strangers(each, state.name) for each in state.volumes)
        if others and group is not None and not group.locks:
            self._say(4, f"{text}: another dom0 uses the group, and nothing keeps the two apart")

    def _lets_go(self, vg: str, lv: str, text: str) -> None:
        """Of a volume that no guest here has or is to have; one that is retired is no such thing."""
        group, path = self.truth.dom0.state.group(vg), f"/dev/{vg}/{lv}"
        users = [each for one in self.truth.lately() for each in one.domains.values() if path in paths_of(each)]
        if any(each.state is State.ABSENT for each in users):
            return
        if all(each.state is State.RUNNING for each in users):
            self._say(6, f"{text}: no domU that has it is to be off")
        if group is not None and not group.locks:
            self._say(6, f"{text}: nobody else can want it")

    def _retires(self, vg: str, lv: str, text: str) -> None:
        truth, path = self.truth, f"/dev/{vg}/{lv}"
        wishes = truth.lately()
        if all(keeps(each, path) for each in wishes):
            self._say(6, f"{text}: {', '.join(keeps(wishes[0], path))} has it")
        absent = [each for one in wishes for each in one.domains.values() if each.state is State.ABSENT]
        if not any(path in paths_of(each) for each in absent):
            self._say(6, f"{text}: no domU that has it is absent")
        if truth.holds(path):
            self._say(1, f"{text}: a domain still holds it")

    def _ip(self, words: list[str]) -> None:
        if words[1].startswith("-") or words[2:3] == ["show"]:
            return
        truth, text, state = self.truth, " ".join(words), self.truth.dom0.state
        if "del" in words and words[1] == "link":
            self._say(9, f"{text}: no link is ever deleted")
        bridges = {name for each in truth.lately() for name, bridge in each.bridges.items() if not bridge.external}
        ports = {port for each in truth.lately() for bridge in each.bridges.values() for port in bridge.ports or ()}
        device = words[words.index("dev") + 1] if "dev" in words else words[words.index("name") + 1]
        link = state.link(device)
        if device.startswith(("vif", "tap")):
            self._say(9, f"{text}: the port of a guest")
        if words[1:3] == ["link", "add"]:
            if device not in bridges:
                self._say(4, f"{text}: no such bridge is declared")
            return
        if link is None:
            return
        taken_off = "nomaster" in words and state.link(link.master or "") is not None and link.master in bridges
        if device in bridges:
            if link.alias != OUR_ALIAS and "alias" not in words:
                self._say(4, f"{text}: a foreign bridge")
        elif device not in ports and not taken_off and not self._goes_back(device, words):
            self._say(4, f"{text}: no bridge of ours, nor a port of one")
        touched = {device, link.master or "", words[words.index("master") + 1] if "master" in words else ""}
        routes = {route.link for route in state.routes}
        routes |= {each.lower for each in state.links if each.name in routes and each.lower}
        if touched & routes and not any(timer.unit.startswith("xenlocal-way-back-") for timer in state.timers):
            if not self._goes_back(device, words):
                self._say(9, f"{text}: carries the default route, and no way back is set")

    def _goes_back(self, device: str, words: list[str]) -> bool:
        """Whether this makes a link what it was before the latest way back was set."""
        link = self._way_back.get(device)
        if link is None or words[1] != "link":
            return link is not None and words[2] == "del"
        key, value = words[5], words[-1]
        if key == "type":
            now = {"stp_state": link.stp, "vlan_filtering": link.vlan_filtering}
            return all(now[name] == (wanted == "1") for name, wanted in zip(words[7::2], words[8::2], strict=True))
        return {
            "up": link.up,
            "nomaster": link.master is None,
            "master": link.master == value,
            "mtu": str(link.mtu) == value,
        }[key]

    def _file(self, words: list[str]) -> None:
        size = next(word.split("=", 1)[1] for word in words if word.startswith("--size="))
        if not size.startswith(">"):
            self._say(2, f"{' '.join(words)}: may shrink")
        path = next((words[-1].removesuffix(end) for end in _MARKS if words[-1].endswith(end)), words[-1])
        if not any(keeps(each, path) for each in self.truth.lately()):
            self._say(4, f"{' '.join(words)}: nobody declares it")

    def _copy(self, words: list[str]) -> None:
        """Of all files only a copy of a kernel is removed, and none from which a domU is, or may be, built."""
        state, path = self.truth.dom0.state, words[2]
        if not path.startswith("/var/lib/xenlocal/kernels/"):
            self._say(4, f"{' '.join(words)}: no copy of a kernel")
        configs = [config for domain in state.domains for config in (domain.config, domain.staged or {})]
        configs += [event.config for event in state.agenda]  # of a guest that is about to be back from its own reboot
        boots = {str(config.get(key)) for config in configs for key in ("kernel", "ramdisk")}
        creating = "".join(state.texts[each] for each in self.truth.dom0.creating)
        if f'"{path}/' in creating or any(each.startswith(f"{path}/") for each in boots):
            self._say(7, f"{' '.join(words)}: a domU is built from it")


def strangers(volume: Volume, host: str) -> list[str]:
    """The dom0s that its tags name, unless this one is among them."""
    owners = [tag.removeprefix(OWNER_TAG) for tag in volume.tags if tag.startswith(OWNER_TAG)]
    return [] if host in owners else owners
