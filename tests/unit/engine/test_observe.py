"""A look at the host ends, whatever hangs in it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from xenlocal.adapters.work import ThreadWork
from xenlocal.engine.observe import Asking, look
from xenlocal.model.desired import Desired
from xenlocal.model.observed import Observed, Table, Unavailable


class Reader:
    """Whose stat() waits for a server that is dead until `answers`."""

    def __init__(self) -> None:
        self.answers, self.asked = threading.Event(), 0

    def domains(self) -> dict[int, Any]:
        return {}

    def paths(self, _paths: Iterable[str]) -> dict[str, Any]:
        self.asked += 1
        self.answers.wait(60)
        return {}

    storage = network = xenstore = hardware = monitors = domains


def test_a_table_that_hangs_is_unknown_is_not_asked_twice_and_comes_back() -> None:
    reader: Any = Reader()
    work = ThreadWork()
    asking = Asking({Table.DOMAINS, Table.PATHS}, work.now() + 0.1)
    seen = look(reader, work, Desired(), Observed(), asking)
    assert seen.domains == {} and isinstance(seen.paths, Unavailable) and "no answer" in seen.paths.why
    again = Asking({Table.PATHS}, None, asking.pending)
    seen = look(reader, work, Desired(), Observed(), again)
    assert isinstance(seen.paths, Unavailable) and reader.asked == 1
    reader.answers.set()
    asking.pending[Table.PATHS].result(10)
    assert look(reader, work, Desired(), Observed(), again).paths == {} and reader.asked == 2
