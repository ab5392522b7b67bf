"""All that the checks of the doctor look at, and how they say that a part of it is not known. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from xenlocal.model.conffiles import Problem
from xenlocal.model.desired import Desired
from xenlocal.model.inspection import Facts
from xenlocal.model.observed import Observed, Unavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Patient:
    """`desired`: the configuration in force; `problems`: of the files as they are now, where that is another one."""

    desired: Desired
    observed: Observed
    facts: Facts
    problems: Sequence[Problem] = ()
    instead: str = ""


class Unknown(Exception):
    """A check needs a fact that could not be had; its text says why."""


def known(fact: T | Unavailable) -> T:
    """Raises Unknown."""
    if isinstance(fact, Unavailable):
        raise Unknown(fact.why)
    return fact
