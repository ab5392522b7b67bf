"""The rules of DESIGN section 4 as one judge of every single step, independent of the planner.

`issued` is called before each external command, with the host as it truly is at that moment; `happened` after every
entry of the trace. Nothing is raised where it happens, since the engine is built to survive errors: what is broken is
noted in `broken`, and whoever plays a day asks for it at the end.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from tests.faults.ending import ENDGAME, Ending
from tests.faults.ground import Ground, strangers
from tests.faults.strikes import tool
from tests.faults.truth import LATELY, Truth, trials, words_of
from xenlocal.model.desired import Disk, LogicalVolume, OnCrash, State
from xenlocal.model.desired import Domain as Declared
from xenlocal.model.diskwork import Preparation
from xenlocal.model.iscsi import Node
from xenlocal.simulator import diskwork, xlcfg
from xenlocal.simulator.host import Trace
from xenlocal.simulator.state import Domain

_NEVER = ("save", "restore", "migrate", "migrate-receive", "rename", "reboot")
_LOOKS = ("list", "info", "domid", "uptime", "vcpu-list")
_FOREIGN_STOP = 300.0


class Oracle:
    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.broken: list[str] = []
        self.ending = Ending(truth, self.say)
        self.ground = Ground(truth, self.say)

    def say(self, rule: int, text: str) -> None:
        self.broken.append(f"rule {rule} at {self.truth.now:.2f}: {text}")

    # What happened on the host

    def happened(self, entry: Trace) -> None:
        truth = self.truth
        if entry.what == "born":
            domid = int(entry.text.split()[1])
            domain = truth.live(domid)
            if domain is not None:
                truth.born(domain)
        elif entry.what in ("ended", "gone") and entry.text.split()[1].isdigit():
            truth.ended(int(entry.text.split()[1]))
        elif entry.what == "unknown":
            self.say(0, f"a command that the simulated host does not know: {entry.text}")
        self.ending.happened(entry)
        self._one_writer()
        self.ground.happened()

    def _one_writer(self) -> None:
        """Rule 1: no volume is writable in two domains that exist."""
        held: dict[str, Domain] = {}
        for domain in self.truth.dom0.state.domains:
            for disk in domain.disks:
                for key in {disk.path, disk.device or disk.path}:
                    other = held.get(key)
                    if other is not None and other is not domain and (disk.writable or _writes(other, key)):
                        if not (self._shares(other, disk.path) and self._shares(domain, disk.path)):
                            self.say(1, f"{key} is writable in domid {other.domid} and {domain.domid}")
                    held[key] = domain

    def _shares(self, domain: Domain, path: str) -> bool:
        """It runs with the disk as one that it shares, and a file has said of it, by `mode = w!`, that it may."""
        told = (disk for each in self.truth.ever(domain.uuid) for disk in each.disks)
        served = all(disk.by_qemu for disk in domain.disks if disk.path == path)
        return served and any(disk.shared and disk.backing.path == path for disk in told)

    # What the daemon is about to do

    def issued(self, argv: Sequence[str]) -> None:
        words = words_of(argv)
        name = words[0].rsplit("/", 1)[-1]
        self.truth.answered[tool(argv)] = False  # until it is
        self.ending.issued(name, argv, words)
        self.ground.issued(name, argv, words)
        if name == "sh":
            for line in words[2].split("; "):
                if not line.startswith(("devices=", "for ", "do ", "done")):
                    self.issued(shlex.split(line))
        elif name == "xl":
            self._xl(words)
        elif name == "xenstore-write":
            self._asks(int(words[1].split("/")[3]), words)
        elif name in ("dd", "mkfs", "brctl", "losetup") and "--set-capacity" not in words:
            self.say(2, f"{' '.join(words)}: never run by xenlocal")

    def _xl(self, words: list[str]) -> None:
        verb = words[1]
        if verb in _NEVER:
            self.say(10, f"xl {verb} is never run")
        elif verb == "create":
            self._starts(words[-1])
        elif verb in ("shutdown", "sysrq", "trigger"):
            self._asks(int(words[-1] if verb == "shutdown" else words[2]), words)
        elif verb == "destroy":
            self._destroys(int(words[2]))
        elif verb not in _LOOKS:
            if verb in ("block-detach", "network-detach"):
                self._detaches(int(words[2]), words[3:])
            domid = int(words[words.index("-d") + 1] if "-d" in words else words[2])
            domain = self.truth.live(domid)
            if domain is not None and not self.truth.is_ours(domain.uuid):
                self.say(4, f"{' '.join(words)} changes a foreign domU")
            if domain is not None and not self.truth.declares(domain):
                self.say(6, f"{' '.join(words)} changes one whose section has vanished")

    def _detaches(self, domid: int, words: list[str]) -> None:
        """Only what a file says is not attached, and never by force."""
        domain = self.truth.live(domid)
        told = self.truth.declares(domain) if domain is not None else []
        names = {thing.vdev if isinstance(thing, Disk) else thing.mac for one in told for thing in one.unplugged}
        if domain is not None and (len(words) != 1 or words[0] not in names):
            self.say(6, f"{' '.join(words)} is taken from {domain.name}, and no file says so")

    def _starts(self, path: str) -> None:
        truth, name = self.truth, path.rsplit("/", 1)[-1].removesuffix(".cfg")
        declared = truth.declared(name)
        config = xlcfg.parse(truth.dom0.state.texts.get(path, ""), path)
        if not declared:
            self.say(6, f"{name} is started, and no valid file declares it")
            return
        uuid, state = str(config.get("uuid")), truth.dom0.state
        if truth.goes_down:
            self.say(12, f"{name} is started while the host shuts down")
        self._is_wanted(name, declared)
        if f"/var/lib/xen/save/{name}" in state.paths:
            self.say(10, f"{name} is started over its saved state")
        if not truth.lying:
            if any(each.uuid == uuid for each in state.domains if each.state != "dying"):
                self.say(1, f"{name} is started while it lives")
            if truth.named(name):
                self.say(4, f"{name} is started beside another domU of its name")
            if any(each.what == "reborn" and each.detail == name for each in state.agenda):
                self.say(1, f"{name} is started while its monitor creates it anew")
            self._order_of_start(name, declared)
        for disk in xlcfg.disks(config):
            volume = next((each for each in state.volumes if f"/dev/{each.vg}/{each.lv}" == disk.path), None)
            if volume is not None and strangers(volume, state.name):
                self.say(4, f"{name} is started on {disk.path}, which belongs to another dom0")
            for other in truth.holds(disk.path, uuid):
                held = next(each for each in other.disks if each.path == disk.path)
                since = truth.now - other.born
                told = any(each.shared and each.backing.path == disk.path for one in declared for each in one.disks)
                if told and disk.by_qemu and self._shares(other, disk.path):
                    continue
                if (disk.writable or held.writable) and since > LATELY:
                    self.say(1, f"{name} is started on {disk.path}, which domid {other.domid} holds")
            if any(event.config["disk"] == disk.path for event in diskwork.at_work(truth.dom0)):
                self.say(1, f"{name} is started on {disk.path}, which is worked on")
            if diskwork.is_marked(truth.dom0, disk.path, Preparation.INSTALL) and not truth.lying:
                self.say(6, f"{name} is started on {disk.path}, which is still to be installed into")
        self._no_kernel_that_failed(name, str(config.get("kernel", "")))
        self._nothing_lost(name, declared)
        self._nothing_unknown(name, declared)

    def _no_kernel_that_failed(self, name: str, kernel: str) -> None:
        for each in trials(self.truth.dom0.state):
            if each["name"] == name and each["failed"] and f"/{each['copy']}/" in kernel:
                self.say(6, f"{name} is started from {kernel}, which has failed its trial: {each['failed']}")

    def _nothing_lost(self, name: str, declared: list[Declared]) -> None:
        """A session that has been lost for a while is not started on."""
        working = {each.iqn for each in self.truth.dom0.state.sessions if each.state == "LOGGED_IN"}
        for disk in declared[-1].disks:
            node = Node.of_disk(disk.backing.path)
            if disk.session is not None and node is not None and node.iqn not in working:
                self.say(7, f"{name} is started, and {disk.session} is not logged in")

    def _is_wanted(self, name: str, declared: list[Declared]) -> None:
        truth, word = self.truth, self.truth.last_word(name)
        running = any(each.state is State.RUNNING for each in declared)
        edited = max((at for at, _ in truth.wishes), default=0.0)
        if word is not None and word.verb in ("stop", "destroy") and word.at >= edited and truth.now > word.at + LATELY:
            self.say(6, f"{name} is started although it was stopped by hand")
        elif not running and not (word is not None and word.verb in ("start", "restart", "kernel")):
            self.say(6, f"{name} is started, which no file and no word asks for")
        if not truth.booted and word is None:
            self.say(5, f"{name} is started before the boot of the guests")

    def _order_of_start(self, name: str, declared: list[Declared]) -> None:
        """Rule 5. What it comes `after` and is just coming up has to be ready; what it `needs` has to be."""
        truth = self.truth
        for other in sorted({each for one in declared for each in one.needs}):
            if all(other in one.needs for one in declared) and not truth.was_ready_lately(other):
                self.say(5, f"{name} is started, and {other}, which it needs, is not ready")
        for other in sorted({each for one in declared for each in one.after}):
            if not all(other in one.after for one in declared) or truth.was_ready_lately(other):
                continue
            word = truth.last_word(other)
            refused = word is not None and word.verb == "kernel" and truth.now < word.at + LATELY  # while it is on
            if word is not None and (word.verb in ("stop", "destroy") or refused):
                continue  # nobody waits for what is to be off by hand
            for live in truth.named(other):
                patience = min((each.start_timeout.seconds for each in truth.ever(live.uuid)), default=0.0)
                own = any(each.uuid == live.uuid for each in truth.declared(other))
                if own and live.released and LATELY < truth.now - live.born < patience - 1:
                    self.say(5, f"{name} is started before {other}, which it comes after, is ready")

    def _nothing_unknown(self, name: str, declared: list[Declared]) -> None:
        """Rule 7: each table that a start rests on was had the last time it was asked for."""
        needed = ["xl info"]
        if all(each.disks for each in declared):
            needed.append("xenstore-ls")
            if all(any(isinstance(disk.backing, LogicalVolume) for disk in each.disks) for each in declared):
                needed.append("lvm fullreport")
        if all(each.nics for each in declared):
            needed.append("ip show")
        for each in needed:
            if not self.truth.answered.get(each, False):
                self.say(7, f"{name} is started, and the last `{each}` gave no answer")

    def _asks(self, domid: int, words: list[str]) -> None:
        """A request to stop, or a nudge: harmless to who is gone."""
        truth, domain = self.truth, self.truth.live(domid)
        if domain is None:
            return
        life = truth.lives[domid]
        first, life.asked = life.asked is None, truth.now if life.asked is None else life.asked
        if first and domain.state == "running":
            self.ending.asked(domain)
        if not truth.is_ours(domain.uuid):
            if truth.shutdown is None or (words[:2] != ["xl", "shutdown"] and words[0] != "xenstore-write"):
                self.say(4, f"{' '.join(words)} names a foreign domU")
            return
        if truth.shutdown is None:
            self._is_to_end(domain, " ".join(words))
        if first and domain.state == "running":
            self._order_of_stop(domain)

    def _is_to_end(self, domain: Domain, what: str) -> None:
        """Rule 6: only a file that says so, or a word, ends a domU."""
        truth, declared = self.truth, self.truth.declares(domain)
        by_word = truth.asked_for(domain, "stop", "restart", "destroy", "shutdown", "kernel")
        by_file = any(each.state in (State.STOPPED, State.ABSENT) for each in declared)
        unready = any(each.on_unready == "restart" for each in declared) and not truth.is_ready(domain)
        if not (by_word or by_file or unready):
            self.say(6, f"`{what}` ends {domain.name}, which no file and no word asks for")

    def _order_of_stop(self, domain: Domain) -> None:
        """Rule 5, the reverse: at host shutdown all that come after it are off; else those that are to be off too."""
        truth = self.truth
        if truth.lying or self._in_endgame(self._chain(domain.name)):
            return
        for name in sorted(truth.followers(domain.name)):
            for other in truth.named(name):
                off_too = all(each.state in (State.STOPPED, State.ABSENT) for each in truth.declared(name))
                own = truth.is_ours(other.uuid) and truth.now - other.born > LATELY
                if own and (truth.shutdown is not None or (off_too and truth.declared(name) and not truth.words)):
                    self.say(5, f"{domain.name} is asked to stop before {name}, which comes after it, is off")

    def _in_endgame(self, own: float = 0.0) -> bool:
        """The host has to go down: no time is left for order. `own`: what a guest and those it stands on take."""
        truth = self.truth
        if truth.shutdown is None:
            return False
        deadline = min(desired.host.shutdown_deadline.seconds for _, desired in truth.wishes)
        share = min(1.0, (deadline - ENDGAME) / max(self._longest_chain(), 1.0))
        return truth.now >= truth.shutdown + deadline - ENDGAME - own * share

    def _destroys(self, domid: int) -> None:
        truth, domain = self.truth, self.truth.live(domid)
        if domid in truth.lives:
            truth.lives[domid].over = truth.now
        if domain is None or domain.state == "dying":
            return
        if not truth.is_ours(domain.uuid):
            self.say(4, f"xl destroy {domid} names a foreign domU")
            return
        declared = truth.declares(domain)
        by_word = truth.asked_for(domain, "destroy", "skip")
        if domain.state == "crashed":
            kept = declared and all(
                each.on_crash is OnCrash.PRESERVE and each.state is not State.STOPPED for each in declared
            )
            words = truth.asked_for(domain, "start", "stop", "restart", "destroy")
            if kept and truth.shutdown is None and not words and State.ABSENT not in {each.state for each in declared}:
                self.say(3, f"{domain.name} has crashed, is to be kept, and is destroyed")
            return
        if domain.state == "shutdown" and domain.reason != "reboot":
            return
        life = truth.lives[domid]
        life.cut_off = domain.reason == ""
        if by_word:
            return
        if life.asked is None:
            self.say(3, f"{domain.name} is destroyed and was never asked to stop")
            return
        if truth.shutdown is None:
            self._is_to_end(domain, f"xl destroy {domid}")
        passed, own = truth.now - life.asked, self._own_time(domain)
        if passed < own - 0.5 and not self._in_endgame():
            self.say(3, f"{domain.name} is destroyed {passed:.1f} s after it was asked; its own time is {own:.1f} s")

    def _own_time(self, domain: Domain) -> float:
        """The least that it has: of all configurations by which it may be judged, and with its share of a host
        shutdown whose deadline is too short for all."""
        asked = self.truth.lives[domain.domid].asked or 0.0
        silent = float("inf") if domain.requested else 0.0  # one that lost the request has taken it all the same
        if domain.heard is not None:
            silent = domain.heard - asked
        patience = [each.patience for each in self.truth.ever(domain.uuid)]
        own = min(each.hung if silent > each.hung else each.stop for each in patience)
        if self.truth.shutdown is None:
            return own
        deadline = min(desired.host.shutdown_deadline.seconds for _, desired in self.truth.wishes)
        tied = {domain.name, *self.truth.followers(domain.name)}
        tied |= {other for name in tied for other in self._stands_on(name)}
        tied |= {name for other in tied for name in self.truth.followers(other)}
        # what the host has lost before it could be asked is lost to it and to those it stands on
        left = self.truth.shutdown + deadline - max(self.truth.lives[domain.domid].asked or 0.0, self.truth.shutdown)
        short = max(map(self._chain, tied)) > deadline - 2 * ENDGAME or self._chain(domain.name) > left - 2 * ENDGAME
        return 5.0 if short else own

    def _stands_on(self, name: str) -> set[str]:
        names = {each for _, desired in self.truth.wishes for each in desired.domains}
        return {other for other in names if name in self.truth.followers(other)}

    def _longest_chain(self) -> float:
        """Of the stop timeouts that stand one behind the other."""
        names = {each.name for _, desired in self.truth.wishes for each in desired.domains.values()}
        return max(map(self._chain, names), default=0.0)

    def _chain(self, name: str, seen: frozenset[str] = frozenset()) -> float:
        """Seconds that this one and those it stands on have to stop, one after the other: the most of all
        configurations, since a stop that has begun keeps the share that it was given."""
        declared: dict[str, list[Declared]] = {}
        for _, desired in self.truth.wishes:
            for each in desired.domains.values():
                declared.setdefault(each.name, []).append(each)
        if name not in declared:
            return _FOREIGN_STOP
        seen |= {name}  # two configurations may say the opposite
        before = {other for each in declared[name] for other in each.predecessors if other in declared} - seen
        own = max(each.patience.stop for each in declared[name])
        return own + max((self._chain(other, seen) for other in before), default=0.0)

    # What the host has answered

    def answered(self, argv: Sequence[str], good: bool) -> None:
        self.truth.answered[tool(argv)] = good


def _writes(domain: Domain, key: str) -> bool:
    return any(disk.writable for disk in domain.disks if key in (disk.path, disk.device))
