"""A step that waits until a domU does its job, proved by its probe."""

from __future__ import annotations

from concurrent.futures import Future

from xenlocal.engine.lookout import INTERVAL
from xenlocal.engine.tasks import Outcome, Tools
from xenlocal.model.actions import AwaitReady
from xenlocal.model.desired import TcpProbe
from xenlocal.model.memory import Record
from xenlocal.model.observed import Unavailable
from xenlocal.planner import memory as transitions

_PROBE_EVERY = 0.5  # seconds between two attempts to connect
_PROBE_TIMEOUT = 2.0
_APPEARS = 30.0  # seconds within which a domU that was started has to be seen


class Readiness:
    def __init__(self, action: AwaitReady, tools: Tools) -> None:
        self._action, self._tools = action, tools
        self._attempt: Future[None] | None = None
        self._accepted = False
        self._begun = tools.work.now()
        self._probe_at: float | None = None
        self.next: float | None = None
        self.runs_command = False

    def poll(self) -> tuple[Outcome, str] | None:
        record = self._record()
        now = self._tools.work.now()
        if record.ready:
            return Outcome.DONE, ""
        if record.off is not None:
            return Outcome.FAILED, "ended before it was ready"
        if record.domid is None or record.born is None:
            return self._not_there(now)
        if self._is_ready(record, now):
            self._tools.keeper.update(lambda memory: memory.change(record.uuid, ready=True, gave_up_waiting=False))
            return Outcome.DONE, f"ready {now - record.born:.0f} s after its birth"
        deadline = record.born + self._action.timeout.seconds
        if now >= deadline and self._attempt is None:
            self._tools.keeper.update(lambda memory: memory.change(record.uuid, gave_up_waiting=True))
            return Outcome.LATE, f"not ready after start_timeout = {self._action.timeout}"
        # past the deadline only an attempt under way is waited for: one more, for a domU that was late before
        self.next = None if now >= deadline else min(self._probe_at or deadline, deadline)
        return None

    def _not_there(self, now: float) -> tuple[Outcome, str] | None:
        """`xl create` has ended well, and yet no look shows the domU. One that began before the end of that time says
        nothing: on a slow host a look and the pause after it take longer.
        """
        lookout = self._tools.lookout
        lookout.call(within=INTERVAL)
        until = self._begun + min(_APPEARS, self._action.timeout.seconds)
        self.next = until if now < until else None
        if now < until or lookout.since < until or isinstance(lookout.domains, Unavailable):
            return None
        why = "it was started, and gone before anybody saw it"
        uuid = self._action.uuid
        self._tools.keeper.update(lambda memory: transitions.start_failed(memory, uuid, why, now))
        return Outcome.FAILED, why

    def _record(self) -> Record:
        return self._tools.keeper.memory.records[self._action.uuid]

    def _is_ready(self, record: Record, now: float) -> bool:
        probe = self._action.probe
        assert record.domid is not None and record.born is not None
        if isinstance(probe, TcpProbe):
            return self._connects(probe, now)
        self._tools.lookout.call(within=INTERVAL, unready=record.domid)
        self._probe_at = record.born + probe.after.seconds
        return record.domid in self._tools.lookout.stoppable or now >= self._probe_at

    def _connects(self, probe: TcpProbe, now: float) -> bool:
        if self._attempt is not None:
            if not self._attempt.done():
                return False
            self._attempt, self._probe_at = None, now + _PROBE_EVERY
        if self._accepted:
            return True
        if self._probe_at is None or now >= self._probe_at:
            self._probe_at = None
            self._attempt = self._tools.work.submit(lambda: self._try(probe))
        return False

    def _try(self, probe: TcpProbe) -> None:
        self._accepted = self._tools.prober.accepts(probe.host, probe.port, _PROBE_TIMEOUT)
