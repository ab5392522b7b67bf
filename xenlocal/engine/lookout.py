"""Fresh looks at the domUs while something waits for a birth, a readiness or an end.

One look serves all that wait, whatever their number; nothing is looked at when nobody waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from xenlocal.engine.observe import causes, domains_or_outline, known_or_why
from xenlocal.engine.ports import Node, Reader, Work
from xenlocal.model.memory import Memory, Off
from xenlocal.model.observed import NOT_ASKED, LiveDomain, Observed, Outline, Signs, Unavailable
from xenlocal.planner.wishes import is_up

INTERVAL = 1.0  # seconds between two looks while something waits
_SOONEST = 0.2  # seconds after the former look, even when an event calls
_SHARE = 10  # a look takes at most this part of the time: on a slow or busy host it must not keep starts waiting
_LONGEST = 15.0  # seconds: however slow a look is, a guest that is waited for is not forgotten


@dataclass
class _Seen:
    """What one look finds; written on the pool, and read only when the look has ended."""

    domains: Mapping[int, LiveDomain] | Unavailable = NOT_ASKED
    nodes: Mapping[Node, str | None | Unavailable] = field(default_factory=dict)
    signs: Mapping[int, Signs] = field(default_factory=dict)
    causes: dict[str, Off | None] = field(default_factory=dict)
    outline: bool = False


class Lookout:
    def __init__(self, reader: Reader, work: Work) -> None:
        self._reader, self._work = reader, work
        self._future: Future[None] | None = None
        self._last = float("-inf")
        self._due = float("inf")
        self._pause = _SOONEST
        self._asked: set[Node] = set()
        self._stopping: set[int] = set()
        self._seen = _Seen()
        self.domains: Mapping[int, LiveDomain] | Unavailable = NOT_ASKED
        self.nodes: Mapping[Node, str | None | Unavailable] = {}
        """What the latest look found of the nodes it was asked for: None where there is none."""
        self.causes: dict[str, Off | None] = {}
        self.signs: Mapping[int, Signs] = {}
        self.outline = False
        """Whether `domains` is only what xenstore shows: no reason to destroy anything."""
        self.since = float("-inf")
        """When the look began that found all this: what came after it cannot be in it."""

    def reset(self) -> None:
        """A new plan was made from a newer look: what was seen before, or is being looked at, is no answer to
        whoever waits from now on.
        """
        self._future = None
        self._due = float("inf")
        self._asked.clear()
        self._stopping.clear()
        self.domains, self.nodes, self.causes, self.signs = NOT_ASKED, {}, {}, {}
        self.since = float("-inf")

    def call(self, *, within: float, node: Node | None = None, stopping: int | None = None, firm: bool = False) -> None:
        """Somebody waits: look again within so many seconds; at this node, or at how this domid stops, too.
        `firm`: not later than that, however slow looks are: for what was done just now, or where the life of a
        guest depends on it."""
        soonest = self._last + (_SOONEST if firm else self._pause)
        self._due = min(self._due, max(self._work.now() + within, soonest))
        if node is not None:
            self._asked.add(node)
        if stopping is not None:
            self._stopping.add(stopping)

    def poll(self, memory: Memory) -> bool:
        """Start a look that is due; True when one has just ended."""
        now = self._work.now()
        if self._future is not None:
            if not self._future.done():
                return False
            self._future.result()
            self._future = None
            self.domains, self.causes, self.since = self._seen.domains, self._seen.causes, self._last
            self.nodes, self.signs, self.outline = self._seen.nodes, self._seen.signs, self._seen.outline
            self._pause = min(max(_SOONEST, _SHARE * (now - self._last)), _LONGEST)
            return True
        if now >= self._due:
            asked, self._asked = sorted(self._asked), set()
            stopping, self._stopping = sorted(self._stopping), set()
            self._due, self._last = float("inf"), now
            seen = self._seen = _Seen()
            self._future = self._work.submit(lambda: self._look(seen, memory, asked, stopping))
        return False

    @property
    def next(self) -> float | None:
        """When `poll` has something to do; None: only when a task ends."""
        return None if self._future is not None or self._due == float("inf") else self._due

    def _look(self, seen: _Seen, memory: Memory, asked: list[Node], stopping: list[int]) -> None:
        goes_down = memory.shutting_down is not None
        domains: Any = known_or_why(partial(domains_or_outline, self._reader) if goes_down else self._reader.domains)
        seen.outline = isinstance(domains, Outline)
        domains = domains.domains if isinstance(domains, Outline) else domains
        if asked:
            found: Any = known_or_why(partial(self._reader.nodes, asked))
            seen.nodes = dict.fromkeys(asked, found) if isinstance(found, Unavailable) else found
        if not isinstance(domains, Unavailable):  # one that is on its way out would hide those behind it
            stopping = [domid for domid in stopping if domid in domains and is_up(domains[domid])]
        if stopping:
            seen.signs = self._reader.signs(stopping)
        seen.causes = causes(self._reader, memory, Observed(domains=domains), self._work.now())
        seen.domains = domains
