"""A random host, a random day and random blows, several at once: all from one number."""

from __future__ import annotations

import random
from typing import Any

from tests.faults.scenarios import BR0, _foreign, _kernel, ask, drop, end, host, lv, nic, restart, unwatched, write, xl
from tests.faults.stage import Blow, Happening, Play, Scenario
from tests.faults.strikes import COMMAND_STRIKES, DISK_STRIKES
from tests.unit.engine.rig import conf
from xenlocal.simulator.state import Host, Later

_NAMES = ("auth", "db", "dev", "nas", "web")
_STATES = ("running",) * 5 + ("stopped", "manual", "absent")
_LENGTH = 60  # commands of a usual day, among which blows fall


class _Dice:
    """One domU after the other; each stands only on those before it, so there are no circles."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.names = sorted(self.dice.sample(_NAMES, self.dice.randint(1, 4)))
        self.sections = {name: self._section(number, name) for number, name in enumerate(self.names)}
        self.states = {name: self.dice.choice(_STATES) for name in self.names}

    def maybe(self, share: float) -> bool:
        return self.dice.random() < share

    def _section(self, number: int, name: str) -> list[str]:
        lines = [f"stop_timeout = {self.dice.choice((10, 20, 60))}s", f"start_timeout = {self.dice.choice((15, 60))}s"]
        before = self.names[:number]
        for key in ("after", "needs"):
            some = [other for other in before if self.maybe(0.4)]
            lines += [f"{key} = {', '.join(some)}"] if some else []
            before = [other for other in before if other not in some]
        lines += [f"on_crash = {self.dice.choice(('stay-off', 'preserve'))}"] if self.maybe(0.2) else []
        lines += ["on_poweroff = restart"] if self.maybe(0.3) else []
        lines += ["hung_timeout = 8s"] if self.maybe(0.3) else []
        lines += [lv(name, self.dice.choice(("1G", "2G")))] if self.maybe(0.6) else []
        lines += [nic()] if self.maybe(0.4) else []
        lines += [f"[[ready]]\ntcp = 192.0.2.50:{1000 + number}"] if self.maybe(0.3) else []
        return lines

    def text(self) -> str:
        head = [BR0, "[host]\nshutdown_deadline = 3m"]
        return "\n".join(
            head + [conf(name, f"state = {self.states[name]}", *self.sections[name]) for name in self.names]
        )

    def behave(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for number, name in enumerate(self.names):
            values: dict[str, Any] = {"boot_seconds": self.dice.choice((1.0, 3.0, 8.0))}
            values["stop_seconds"] = self.dice.choice((0.5, 4.0, 15.0, None))
            values |= {"deaf": True} if self.maybe(0.1) else {}
            values |= {"write_seconds": 30.0} if self.maybe(0.2) else {}
            values |= (
                {"listen": {f"192.0.2.50:{1000 + number}": self.dice.choice((2.0, 10.0))}} if self.maybe(0.8) else {}
            )
            if self.maybe(0.2):
                values["later"] = [Later(self.dice.uniform(0.5, 90), self.dice.choice(("crash", "reboot", "poweroff")))]
            found[name] = values
        return found

    def host(self) -> Any:
        foreign, dying = self.maybe(0.2), self.maybe(0.2)

        def change(host: Host) -> None:
            if foreign:
                _foreign(host)
            host.durations.dying = 6.0 if dying else 0.0

        return change

    def trial(self, dice: random.Random, behave: dict[str, dict[str, Any]]) -> list[Happening]:
        """Of a kernel, by dice of its own, so that the day is else the one that it would be without."""
        able = [
            name for name, lines in self.sections.items() if {"[[disk", "[[ready]]"} <= set(" ".join(lines).split())
        ]
        if not able or dice.random() < 0.5:
            return []
        name, at = dice.choice(able), dice.uniform(5, 45)
        self.sections[name].insert(0, "cmdline = root=/dev/xvda")
        behave[name] |= {"install_seconds": dice.choice((2.0, 15.0))}
        behave[name] |= {"hangs_with": f".{2:016x}-"} if dice.random() < 0.4 else {}
        if dice.random() < 0.3:
            behave[name]["later"] = [Later(dice.uniform(0.5, 4), "reboot", times=dice.choice((2, 4)))]
        return [ask(at, "stop", name), host(at + 16, lambda host: _kernel(host, 2)), ask(at + 18, "kernel", name)]

    def happening(self, at: float) -> Happening:
        name = self.dice.choice(self.names)
        kind = self.dice.choice(
            ("edit", "edit", "vanish", "end", "end", "ask", "ask", "xl", "restart", "broken", "lost")
        )
        if kind == "edit":
            self.states[name] = self.dice.choice(_STATES)
            return write(at, self.text())
        if kind == "vanish":
            kept, self.names = self.names, [other for other in self.names if other != name]
            text, self.names = self.text(), kept
            return write(at, text)
        if kind == "end":
            return end(at, name, self.dice.choice(("crash", "reboot", "poweroff")))
        if kind == "ask":
            return ask(at, self.dice.choice(("start", "stop", "restart", "destroy")), name)
        if kind == "xl":
            return xl(at, self.dice.choice(("shutdown", "destroy")), name)
        if kind == "broken":
            return write(at, self.text()[: self.dice.randint(1, 200)])
        if kind == "lost":
            return host(at, lambda host: unwatched(host, name))
        return restart(at)


def random_day(seed: int) -> tuple[Scenario, list[Blow]]:
    """The same for the same number, on every machine."""
    dice = _Dice(seed)
    behave, prepare = dice.behave(), dice.host()
    trial = dice.trial(random.Random(f"trial {seed}"), behave)
    files = {"a.conf": dice.text()}
    cold = dice.maybe(0.5)
    day = [ask(0, "boot")] if cold else []
    day += [dice.happening(at) for at in sorted(dice.dice.uniform(0.5, 70) for _ in range(dice.dice.randint(0, 5)))]
    if dice.maybe(0.1):
        day.append(drop(72))
    day += trial
    day.append(write(74, dice.text()))
    if dice.maybe(0.25):
        day.append(ask(dice.dice.uniform(5, 80), "shutdown"))
    blows = [
        Blow(dice.dice.randrange(_LENGTH), dice.dice.choice(COMMAND_STRIKES)) for _ in range(dice.dice.randint(0, 4))
    ]
    blows += [Blow(dice.dice.randrange(_LENGTH // 2), dice.dice.choice(DISK_STRIKES))] if dice.maybe(0.15) else []
    return Scenario(f"random-{seed}", files, tuple(day), behave=behave, host=prepare, cold=cold), blows


def played(seed: int) -> Play:
    scenario, blows = random_day(seed)
    return Play(scenario, blows).play()
