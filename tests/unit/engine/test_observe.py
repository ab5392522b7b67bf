"""A look at the host ends, whatever hangs in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from xenlocal.adapters.work import ThreadWork
from xenlocal.engine.observe import Asking, look
from xenlocal.model.desired import Desired
from xenlocal.model.observed import Kept, Observed, Table, Unavailable
from xenlocal.model.trial import Trial


class Host(ThreadWork):
    """A Reader whose stat() waits for a server that is dead until `answers`, and the threads that ask it. All time is
    over by its clock as soon as nothing else is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.answers, self.asked = threading.Event(), 0
        self.looks: list[Future[None]] = []

    def submit(self, task: Callable[[], None]) -> Future[None]:
        self.looks.append(super().submit(task))
        return self.looks[-1]

    def domains(self) -> dict[int, Any]:
        return {}

    def identities(self) -> dict[str, Any]:
        return {}

    def trials(self) -> Mapping[str, Trial]:
        return {}

    def kernels(self) -> Kept:
        return Kept("/kernels")

    def paths(self, _paths: Iterable[str]) -> dict[str, Any]:
        self.asked += 1
        self.wake()
        self.answers.wait(60)
        return {}

    def now(self) -> float:
        left = [look for look in self.looks if not look.done()]
        hangs = self.asked and len(left) == 1 and not self.answers.is_set()
        return super().now() + (3600 if hangs else 0)

    storage = network = xenstore = hardware = monitors = disks_at_work = domains


def test_a_table_that_hangs_is_unknown_is_not_asked_twice_and_comes_back() -> None:
    host: Any = Host()
    asking = Asking({Table.DOMAINS, Table.PATHS}, host.now() + 60)
    seen = look(host, host, Desired(), Observed(), asking)
    assert seen.domains == {} and isinstance(seen.paths, Unavailable) and "no answer" in seen.paths.why
    again = Asking({Table.PATHS}, None, asking.pending)
    seen = look(host, host, Desired(), Observed(), again)
    assert isinstance(seen.paths, Unavailable) and host.asked == 1
    host.answers.set()
    asking.pending[Table.PATHS].result(10)
    assert look(host, host, Desired(), Observed(), again).paths == {} and host.asked == 2
