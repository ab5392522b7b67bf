"""How long a domU is given before something is done about it, in the seconds that an administrator counts."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import NOW, TCP, desired, dom, ids, learned_plan, live, memory, observed, rec
from xenlocal.model.desired import OnUnready
from xenlocal.model.memory import Memory, Off
from xenlocal.model.observed import Observed
from xenlocal.model.plan import Plan
from xenlocal.planner import xlcfg

WEB = dom("web", probe=TCP, on_unready=OnUnready.RESTART)
LIVE = observed(live(3, "web"))
LOST_READINESS = memory(
    rec("web", domid=3, born=1.0, lost=NOW, gave_up_waiting=True, probe=str(TCP), running=xlcfg.settings(WEB))
)


def made(seen: Observed, kept: Memory, passed: float) -> Plan:
    return learned_plan(desired(WEB), seen, kept, now=NOW + passed)


@pytest.mark.parametrize(
    ("seen", "kept", "grace", "step"),
    [
        (observed(), memory(rec("web", off=Off.REBOOTING, off_since=NOW)), 60, "start domain/web"),
        (observed(), memory(rec("web", off=Off.LOST, off_since=NOW)), 10, "start domain/web"),
        (LIVE, LOST_READINESS, 60, "stop domain/web"),
    ],
    ids=["its-own-reboot", "gone-for-no-reason", "not-ready-any-more"],
)
def test_each_grace_ends_when_it_is_said_to(seen: Observed, kept: Memory, grace: float, step: str) -> None:
    assert step not in ids(made(seen, kept, grace - 1))
    assert step in ids(made(seen, kept, grace))
