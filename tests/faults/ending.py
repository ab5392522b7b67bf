"""How guests end: nobody's but by their own doing or a command that was judged (rule 11), and in good order and told
when the host goes down (rule 12). A part of the oracle."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tests.faults.truth import LATELY, Truth
from xenlocal.simulator.host import Trace
from xenlocal.simulator.state import Domain

ENDGAME = 16.0  # seconds before the deadline of a host shutdown, from which on nobody gets their whole time
_SCOPE = ("--scope", "--slice=xenlocal.slice", "--property=Before=xenlocal-guests.service")
_KILLERS = ("kill", "pkill", "killall", "systemctl", "loginctl", "shutdown", "poweroff", "reboot")


class Ending:
    def __init__(self, truth: Truth, say: Callable[[int, str], None]) -> None:
        self.truth, self._say = truth, say
        self._monitored: dict[int, bool] = {}
        self._told = False

    # Rule 11

    def happened(self, entry: Trace) -> None:
        words = entry.text.split()
        if entry.what in ("ended", "gone") and words[1].isdigit():
            life = self.truth.lives.get(int(words[1]))
            if life is not None and entry.what == "ended":
                life.over = self.truth.now
                here = self.truth.live(int(words[1]))  # one that ends by itself after a destroy in vain was not cut off
                life.cut_off = life.cut_off and here is not None and here.torn
            elif life is not None and life.over is None:
                self._say(11, f"{entry.text}, which neither ended by itself nor was destroyed by a command")
        self._watch_monitors()

    def _watch_monitors(self) -> None:
        for domain in self.truth.dom0.state.domains:
            if domain.released and domain.state == "running":
                if self._monitored.get(domain.domid) and not domain.monitor:
                    self._say(11, f"{domain.name} runs, and its xl monitor has been killed")
                self._monitored[domain.domid] = domain.monitor

    def by_hand(self, words: Sequence[str]) -> None:
        """What somebody does who is not xenlocal: `xl` WORDS, or whatever else (no words)."""
        self._monitored.clear()
        self.truth.disturbed = True
        if words[:1] == ["destroy"] and words[1].isdigit() and int(words[1]) in self.truth.lives:
            self.truth.lives[int(words[1])].over = self.truth.now

    def issued(self, name: str, argv: Sequence[str], words: Sequence[str]) -> None:
        """`words`: the command without what wraps it."""
        wrapper = argv[: argv.index("--")] if "--" in argv else ()
        if words[:2] == ["xl", "create"] and not (argv[0] == "systemd-run" and set(_SCOPE) <= {*wrapper}):
            self._say(11, f"{' '.join(words)}: not in a scope of its own, which outlives units and the daemon")
        own_timer = name == "systemctl" and words[1] == "stop" and words[2].startswith("xenlocal-way-back-")
        if name in _KILLERS and not own_timer:
            self._say(11, f"{' '.join(words)}: may end a domU or its monitor")

    # Rule 12

    def asked(self, domain: Domain) -> None:
        """The first request of the host shutdown to this guest. Timeouts overlap: it waits for nobody but those that
        come after it."""
        truth = self.truth
        if truth.shutdown is None or truth.disturbed or truth.lying:
            return
        followers = truth.followers(domain.name)
        ends = [each.over for each in truth.lives.values() if each.name in followers and each.over is not None]
        late = truth.now - max(truth.shutdown, domain.born, *ends)
        if late > LATELY:
            self._say(12, f"{domain.name} is asked {late:.0f} s after the last that comes after it was off")

    def begins(self) -> None:
        """Somebody asks for a host shutdown."""
        self._told = False

    def went_down(self, code: int, message: str, asked: float) -> None:
        """What systemd is told has to be what is. `asked`: when it asked, which may have been once more."""
        truth, self._told = self.truth, True
        if truth.lying or truth.shutdown is None or not truth.wishes:
            return
        deadline = max(desired.host.shutdown_deadline.seconds for _, desired in truth.wishes)
        over = max(truth.shutdown + deadline, asked + ENDGAME) + 1
        if truth.now > over:
            self._say(12, f"the shutdown ended {truth.now - over:.0f} s after its deadline of {deadline:.0f} s")
        running = [each for each in truth.dom0.state.domains if each.state in ("running", "paused")]
        if running and code == 0:
            self._say(12, f"told that every guest stopped, and {running[0].name} runs")
        forced, here, named = False, {each.domid for each in running}, set(re.split(r"[,;: ]+", message))
        for domid, life in truth.lives.items():
            if life.cut_off and domid not in here:
                forced = True
                if code == 0 or life.name not in named:
                    self._say(12, f"{life.name} was destroyed, and that is not told: {code} {message!r}")
            life.cut_off = False  # told: it is no matter of another shutdown
        if code and not (forced or running or truth.disturbed):
            self._say(12, f"every guest stopped by itself, and what is told is {code} {message!r}")
        for each in running if truth.answered.get("xl list") else ():
            if truth.lives[each.domid].asked is None and each.released and truth.now - each.born > LATELY:
                self._say(12, f"{each.name} was never asked ({message})")

    def day_is_over(self) -> None:
        if self.truth.shutdown is not None and not self._told:
            self._say(12, "the host was to go down, and nobody was told that its guests have")
