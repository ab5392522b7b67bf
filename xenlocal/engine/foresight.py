"""What a reboot of the host would bring to light, known beforehand: a rehearsal whenever something has changed.

It runs beside the loop and decides nothing; what it finds are notices of `status`.
"""

from __future__ import annotations

import logging
import threading

from xenlocal.engine.ports import Rehearser, Work
from xenlocal.engine.reconcile import Cycle
from xenlocal.model.desired import Desired
from xenlocal.model.errors import XenlocalError
from xenlocal.model.names import THIS_HOST
from xenlocal.model.observed import Observed
from xenlocal.model.plan import Notice

log = logging.getLogger("xenlocal")
_DAY = 86_400.0  # seconds: not every cause shows in what a cycle looks at; that an xl monitor was killed does not


class Foresight:
    """`notices` may be read by any thread; it is replaced, never changed."""

    def __init__(self, rehearser: Rehearser, work: Work) -> None:
        self._rehearser, self._work = rehearser, work
        self._lock = threading.Lock()
        self._latest: tuple[Desired, Observed] | None = None
        self._rehearsed: tuple[Desired, Observed] | None = None
        self._when = 0.0  # monotonic seconds, of what was rehearsed
        self._running = False
        self.notices: tuple[Notice, ...] = ()

    def after(self, cycle: Cycle) -> None:
        """A cycle is over. Returns at once; a rehearsal that is under way is followed by another where it has to be."""
        with self._lock:
            self._latest = (cycle.desired, cycle.observed)
            known = self._latest == self._rehearsed and self._work.now() < self._when + _DAY
            if known or self._running:
                return
            self._running = True
        self._work.submit(self._rehearse)

    def _rehearse(self) -> None:
        while True:
            with self._lock:
                scene = self._latest
            found, known = self._found()
            for notice in sorted({*found} - {*self.notices}):
                log.warning("%s: %s", notice.target, notice.text)
            self.notices = found
            with self._lock:
                # what is unknown is asked again after the next cycle
                self._rehearsed, self._when = scene if known else None, self._work.now()
                if self._latest == scene:
                    self._running = False
                    return

    def _found(self) -> tuple[tuple[Notice, ...], bool]:
        """And whether it is known. That it could not be rehearsed is said too: unknown is not well."""
        try:
            return tuple(self._rehearser.rehearse()), True
        except XenlocalError as error:
            why = str(error)
        except Exception as error:
            log.exception("cannot rehearse; please report this")
            why = f"internal error: {error!r}"
        return (Notice(THIS_HOST, f"what a reboot of this host would do is unknown: {why}"),), False
