"""What a step on its way is to the executor, how it may end, and what it works with.

`commands`, `readiness` and `stopping` are the three kinds. `poll` never blocks: it is called whenever
something may have changed, and returns how the step ended, or None. Waiting costs no thread.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from xenlocal.engine.keeper import Keeper
from xenlocal.engine.lookout import Lookout
from xenlocal.engine.ports import Actuator, Consoles, Prober, Reader, Work
from xenlocal.model.actions import Action
from xenlocal.model.errors import XenlocalError
from xenlocal.model.observed import Table
from xenlocal.model.plan import Step

FIRST_LOOK = 0.2  # seconds after a start or a request
_COMMAND_SLOTS = 16  # command probes at once, of the 64 threads of the pool


class Outcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    LATE = "late"  # not ready in time; or had to be destroyed
    BLOCKED = "blocked"  # something it needs did not succeed
    INTERRUPTED = "interrupted"  # gave way to something newer; the next plan takes it up


@dataclass(frozen=True)
class Result:
    step: Step
    outcome: Outcome
    message: str = ""
    seconds: float = 0.0
    ran: tuple[Action, ...] = ()  # what was performed for it, in order


@dataclass(frozen=True)
class Tools:
    """What tasks work with."""

    reader: Reader
    actuator: Actuator
    prober: Prober
    consoles: Consoles
    work: Work
    keeper: Keeper
    lookout: Lookout
    pending: dict[Table, Future[None]] = field(default_factory=dict)  # looks that have not ended
    command_slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_COMMAND_SLOTS))


class Task(Protocol):
    def poll(self) -> tuple[Outcome, str] | None: ...
    @property
    def next(self) -> float | None:
        """When to poll again although nothing happened."""

    @property
    def runs_command(self) -> bool:
        """Whether a command is under way, which is never interrupted."""

    @property
    def ran(self) -> Sequence[Action]:
        """What was performed for it so far, in order."""


def told(error: BaseException) -> str:
    """An error in words for the administrator."""
    return str(error) if isinstance(error, XenlocalError) else f"internal error: {error!r}"
