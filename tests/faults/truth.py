"""What is true on the simulated host, and what was asked of the daemon: what the oracle judges by.

Nothing here is the daemon's own view: neither its memory, nor its plan, nor what it saw.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from xenlocal import config
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.desired import Desired, ImageFile, LogicalVolume, State
from xenlocal.model.desired import Domain as Declared
from xenlocal.model.errors import ConfigError
from xenlocal.model.probes import CommandProbe, ConsoleProbe, DefaultProbe, PingProbe, TcpProbe, XenstoreProbe
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.state import Domain, Host

_BY_HAND = ("start", "stop", "restart", "destroy", "kernel")
LATELY = 20.0  # seconds: by so much what the daemon knows may be older than what is


@lru_cache(maxsize=4096)
def understood(files: tuple[tuple[str, str], ...]) -> Desired | None:
    """What these files say; None where they are not valid."""
    try:
        return config.read(tuple(ConfigFile(name, text) for name, text in files), "host")
    except ConfigError:
        return None


def trials(state: Host) -> list[dict[str, Any]]:
    """Kernels on trial, and those that have failed."""
    text = state.texts.get("/var/lib/xenlocal/trials.json", '{"trials": []}')
    found: list[dict[str, Any]] = json.loads(text)["trials"]
    return found


@dataclass
class Life:
    """One domid. `asked`: when it was first asked to stop; `cut_off`: a destroy was begun while its guest ran."""

    name: str
    uuid: str
    asked: float | None = None
    cut_off: bool = False
    ready_until: float | None = None  # the last moment at which it was ready, once it has ended
    over: float | None = None  # when it ended by itself, or a command that ends it was begun


@dataclass
class Word:
    """One request of an administrator or of systemd, accepted or not."""

    at: float
    verb: str
    names: tuple[str, ...]


@dataclass
class Truth:
    """`wishes`: each valid configuration since the beginning, with the moment from which it counted; `lied`: when an
    answer was last falsified that looked whole; `forgot`: when a daemon began that could not know what was last."""

    dom0: SimulatedDom0
    wishes: list[tuple[float, Desired]] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    lives: dict[int, Life] = field(default_factory=dict)
    shutdown: float | None = None  # since when the host is asked to go down
    booted: bool = True
    lied: float | None = None
    forgot: float = float("-inf")
    unread: set[float] = field(default_factory=set)  # moments of wishes that a file which is not valid soon replaced
    disturbed: bool = False  # something was struck, or somebody else had a hand in it
    answered: dict[str, bool] = field(default_factory=dict)  # by tool: whether its last answer was one

    @property
    def now(self) -> float:
        return self.dom0.state.now

    @property
    def lying(self) -> bool:
        return self.lied is not None

    @property
    def goes_down(self) -> bool:
        """The host is asked to go down, and the daemon can know it."""
        return self.shutdown is not None and self.forgot < self.shutdown

    def wrote(self, files: dict[str, str]) -> None:
        """The files are these now. What is not valid counts for nothing, but hides what it replaces."""
        desired = understood(tuple(sorted(files.items()))) if files else None
        if desired is not None:
            self.wishes.append((self.now, desired))
        elif self.wishes and self.now <= self.wishes[-1][0] + LATELY:
            self.unread.add(self.wishes[-1][0])

    @property
    def desired(self) -> Desired:
        return self.wishes[-1][1] if self.wishes else Desired()

    def lately(self) -> list[Desired]:
        """The configurations by which the daemon may act now."""
        found, until = [self.desired], float("inf")
        for (at, _), (_, old) in reversed([*zip(self.wishes[1:], self.wishes, strict=False)]):
            until = until if at in self.unread else at
            if self.now <= until + LATELY:
                found.append(old)
        return found

    def declared(self, name: str) -> list[Declared]:
        return [each.domains[name] for each in self.lately() if name in each.domains]

    def declares(self, domain: Domain) -> list[Declared]:
        """The sections by which this domU may be judged now, whatever its name is by now."""
        return [each for one in self.lately() for each in one.domains.values() if each.uuid == domain.uuid]

    def ever(self, uuid: str) -> list[Declared]:
        return [each for _, desired in self.wishes for each in desired.domains.values() if each.uuid == uuid]

    def is_ours(self, uuid: str) -> bool:
        return bool(self.ever(uuid))

    def asked(self, verb: str, names: tuple[str, ...]) -> None:
        """Somebody asks the daemon for something."""
        self.words.append(Word(self.now, verb, names))
        if verb == "shutdown" and self.shutdown is None:
            self.shutdown = self.now
            for domid, life in self.lives.items():
                here = self.live(domid)
                life.cut_off = life.cut_off and here is not None and here.state != "dying"
        elif verb == "boot":
            if not self.booted or self.shutdown is not None:  # asked for once more it forgets nothing: it only goes on
                self.words = [word for word in self.words if word.verb not in _BY_HAND]
            self.shutdown, self.booted = None, True
        elif verb == "apply":
            self.booted = True
        elif verb == "start" and self.shutdown is None:  # a request to stop is withdrawn
            for life in self.lives.values():
                if life.name in names and self._may_be_started(life.name):
                    life.asked = None

    def _may_be_started(self, name: str) -> bool:
        """Else to start it is refused, and what was asked of its guest before stands."""
        return all(each.state is not State.ABSENT for each in self.declared(name))

    def asked_for(self, domain: Domain, *verbs: str) -> bool:
        """By the name that it has on the host, or one that a file gives it."""
        names = {domain.name, *(each.name for each in self.ever(domain.uuid))}
        return any(word.verb in verbs and names & {*word.names} for word in self.words)

    def last_word(self, name: str) -> Word | None:
        words = [word for word in self.words if name in word.names and word.verb in _BY_HAND]
        return words[-1] if words else None

    def live(self, domid: int) -> Domain | None:
        return next((each for each in self.dom0.state.domains if each.domid == domid), None)

    def named(self, name: str) -> list[Domain]:
        return [each for each in self.dom0.state.domains if each.name == name and each.state in ("running", "paused")]

    def born(self, domain: Domain) -> None:
        """It lives, or is there when the day begins: then it may have ended already."""
        over = self.now if domain.torn or domain.state not in ("running", "paused") else None
        self.lives[domain.domid] = Life(domain.name, domain.uuid, over=over)

    def ended(self, domid: int) -> None:
        life, domain = self.lives.get(domid), self.live(domid)
        if life is not None and life.ready_until is None and domain is not None:
            life.ready_until = self.now if self._ready_at(domain) <= self.now else float("-inf")

    def is_ready(self, domain: Domain) -> bool:
        return domain.state == "running" and self._ready_at(domain) <= self.now

    def was_ready_lately(self, name: str) -> bool:
        """It is ready, or was so shortly before."""
        if any(self.is_ready(each) for each in self.named(name)):
            return True
        ends = [life.ready_until for life in self.lives.values() if life.name == name and life.ready_until is not None]
        return any(self.now <= end + LATELY for end in ends)

    def _ready_at(self, domain: Domain) -> float:
        """When its probe is answered in this life."""
        return min((self._answers_at(domain, each) for each in self.ever(domain.uuid)), default=float("inf"))

    def _answers_at(self, domain: Domain, declared: Declared) -> float:
        behaviour, never = self.dom0.state.behaviour(domain.name), float("inf")
        match declared.probe:
            case TcpProbe(host, port):
                after = behaviour.listen.get(f"{host}:{port}", never)
            case PingProbe(host):
                after = behaviour.answer.get(host, never)
            case XenstoreProbe(key):
                after = behaviour.write.get(key, 0.0 if domain.extra.get(key, "0") not in ("0", "") else never)
            case ConsoleProbe(pattern):
                times = [when for line, when in behaviour.say.items() if re.search(pattern, line)]
                after = min(times, default=never)
            case CommandProbe(words):
                program = self.dom0.state.programs.get(words[0])
                after = never if program is None or program.status else 0.0
            case DefaultProbe(least):
                after = least.seconds if behaviour.no_pv else min(least.seconds, domain.boot_seconds)
        return domain.born + after

    def followers(self, name: str) -> set[str]:
        """Names of all that come after this domU, whatever is between."""
        before = {each.name: each.predecessors for _, desired in self.wishes for each in desired.domains.values()}
        found: set[str] = set()
        waiting = [name]
        while waiting:
            one = waiting.pop()
            more = {other for other, names in before.items() if one in names} - found
            found |= more
            waiting += more
        return found

    def holds(self, path: str, other_than: str = "") -> list[Domain]:
        """Domains that have this backing, dying ones too."""
        return [
            each
            for each in self.dom0.state.domains
            if each.uuid != other_than and any(disk.path == path for disk in each.disks)
        ]


def paths_of(declared: Declared) -> list[str]:
    return [disk.backing.path for disk in declared.disks]


def keeps(desired: Desired, path: str) -> list[str]:
    """Names of the domUs that are not to vanish and have this volume or file."""
    return [
        each.name
        for each in desired.domains.values()
        if each.state is not State.ABSENT
        and any(disk.backing.path == path for disk in each.disks if isinstance(disk.backing, LogicalVolume | ImageFile))
    ]


def words_of(argv: Sequence[str]) -> list[str]:
    """The command itself, without what only wraps it."""
    return list(argv[argv.index("--") + 1 :] if "--" in argv else argv)
