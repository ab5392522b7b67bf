"""PURE: (Desired, Observed, Goal, now, Memory) -> Plan. No clock, no command, no file."""

from __future__ import annotations

from xenlocal.model.desired import Desired
from xenlocal.model.memory import Memory
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.plan import Goal, Plan
from xenlocal.planner.bridges import plan_bridges
from xenlocal.planner.domains import plan_domains
from xenlocal.planner.draft import Draft
from xenlocal.planner.iscsi import plan_iscsi
from xenlocal.planner.kernels import plan_kernels
from xenlocal.planner.retirement import plan_retirement
from xenlocal.planner.shutdown import plan_shutdown
from xenlocal.planner.volumes import plan_volumes


def make_plan(desired: Desired, observed: Observed, goal: Goal, now: float, wall: float, memory: Memory) -> Plan:
    """Typed steps from observed to desired. The same input gives the same plan.

    `now` is monotonic (seconds), `wall` Unix seconds for the names of retired volumes.
    """
    draft = Draft(observed)
    if goal is Goal.SHUTDOWN:
        plan_shutdown(draft, desired, observed, memory, now)
    elif memory.shutting_down is None:
        plan_bridges(draft, desired, observed)
        plan_iscsi(draft, desired, observed, memory, now)
        plan_volumes(draft, desired, observed, memory)
        plan_domains(draft, desired, observed, memory, now)
        plan_kernels(draft, desired, observed)
        plan_retirement(draft, desired, observed, wall)
    return draft.plan(goal, _start_slots(desired, observed))


def _start_slots(desired: Desired, observed: Observed) -> int:
    """`start_parallel`; auto: up to 4, but 1 under autoballoon, when `xl create` holds a host-wide lock."""
    if desired.host.start_parallel is not None:
        return desired.host.start_parallel
    hardware = observed.hardware
    if isinstance(hardware, Unavailable) or hardware.autoballoon:
        return 1
    return max(1, min(4, hardware.dom0_vcpus))
