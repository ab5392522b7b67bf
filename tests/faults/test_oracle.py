"""The oracle sees what it is there for: xenlocal is broken in one place, and the rule that this goes against tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.faults.stage import Blow, Play
from tests.faults.strikes import tool
from tests.faults.sweep import BY_NAME
from tests.unit.engine.rig import Daemon
from xenlocal import planner
from xenlocal.adapters import argv as mapping
from xenlocal.adapters import bridging, checked
from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.xenstore import XenstoreReader
from xenlocal.engine import preparing as waiting
from xenlocal.engine import settling, stopping
from xenlocal.engine.inbox import Request
from xenlocal.engine.reconcile import Cycle
from xenlocal.model.actions import StopDomain
from xenlocal.model.desired import Desired
from xenlocal.model.errors import XenlocalError
from xenlocal.model.host_actions import DropKernel, RetireVolume
from xenlocal.model.memory import Memory
from xenlocal.model.observed import Network, Observed, XenStore
from xenlocal.model.storage import Storage
from xenlocal.model.units import Duration
from xenlocal.planner import disks, domains, hurdles, preparing, shutdown, volumes, xlcfg
from xenlocal.planner import memory as transitions
from xenlocal.planner.draft import Draft
from xenlocal.planner.holders import Claims
from xenlocal.planner.ladder import Rung
from xenlocal.simulator import diskwork, guests


@dataclass(frozen=True)
class Break:
    rule: int
    scenario: str
    where: object
    name: str
    instead: Callable[..., Any]
    struck: str = ""  # the tool whose first command is struck
    strike: str = "exit-1"
    says: str = ""


def _removes(action: Any, context: mapping.Context) -> Any:
    if isinstance(action, RetireVolume):
        return (("lvremove", "--yes", f"{action.vg}/{action.lv}"),)
    return _commands(action, context)


def _removes_the_kernel(action: Any, context: mapping.Context) -> Any:
    return (("rm", "-r", "/boot/vmlinuz"),) if isinstance(action, DropKernel) else _commands(action, context)


def _stops_orphans(draft: Draft, desired: Desired, observed: Observed, memory: Memory) -> None:
    declared = {domain.uuid for domain in desired.domains.values()}
    for uuid, live in observed.by_uuid().items():
        if uuid in memory.records and uuid not in declared:
            draft.step(StopDomain(live.name, uuid, live.domid, Duration(60)), "its section is gone")


def _empty_for_unknown(self: XenstoreReader) -> XenStore:
    try:
        return _xenstore(self)
    except XenlocalError:
        return XenStore(())


def _without_a_scope(action: Any, context: mapping.Context) -> Any:
    return tuple(argv[argv.index("--") + 1 :] if "xl" in argv else argv for argv in _commands(action, context))


def _in_the_scope_of_its_unit(action: Any, context: mapping.Context) -> Any:
    found = _commands(action, context)
    return tuple(tuple(word for word in argv if not word.startswith("--property=Before=")) for argv in found)


def _takes_monitors_along(self: Daemon) -> None:
    """As KillMode=control-group would, of a unit that they are in."""
    for domain in self.machine.dom0.state.domains:
        domain.monitor = False
    _end(self)


def _takes_guests_along(self: Daemon) -> None:
    _end(self)
    for domain in list(self.machine.dom0.state.domains):
        guests.destroy(self.machine.dom0, domain)


def _one_after_the_other(before: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    names = sorted(before)
    return {name: tuple(names[max(number - 1, 0) : number]) for number, name in enumerate(names)}


def _never_settles(*_args: Any) -> None: ...


def _forgets_some(draft: Draft, desired: Desired, observed: Observed, memory: Memory, now: float) -> None:
    seen = {domid: live for domid, live in observed.domains.items() if live.name != "g0"}  # type: ignore[union-attr]
    _plan(draft, desired, replace(observed, domains=seen), memory, now)


def _tells(code: int, message: str) -> Callable[..., None]:
    """Once there is nothing left to do."""

    def settle(request: Request, cycle: Cycle, *_args: Any) -> None:
        if not cycle.plan.steps:
            request.finish(code, message=message)

    return settle


_commands, _xenstore, _end = mapping.commands, XenstoreReader.xenstore, Daemon.end
_plan = shutdown.plan_shutdown
BREAKS = (
    Break(1, "boot-disk-held-by-a-foreign-domu", disks, "_held", lambda *_: None),
    Break(1, "disk-shared-by-one-that-was-started-without", Claims, "bars", lambda *_: False),
    Break(4, "volume-of-another-dom0-taken-over", Storage, "strangers", lambda *_: (), says="to another dom0"),
    Break(4, "volume-of-another-dom0-taken-over", volumes, "hurdles_of_groups", lambda _: {}, says="uses the group"),
    Break(2, "edit-absent", mapping, "commands", _removes),
    Break(3, "stop-a-hung-guest", stopping, "decide", lambda case, now: (Rung.DESTROY, now)),
    Break(4, "foreign-domu", checked, "domid", lambda _domid: "1"),
    Break(5, "boot-chain", domains, "_prerequisites", lambda *_: ((), (), None)),
    Break(5, "shutdown-chain", shutdown, "ends_and_shells", lambda _steps: ((), ())),
    Break(6, "section-vanishes", domains, "_tell_orphans", _stops_orphans),
    Break(7, "boot-inactive-volume", XenstoreReader, "xenstore", _empty_for_unknown, struck="xenstore-ls"),
    Break(7, "kernel-replaced-in-place", Kernels, "_copies", lambda *_: frozenset(), says="is built from it"),
    Break(4, "kernel-replaced-in-place", mapping, "commands", _removes_the_kernel, says="no copy of a kernel"),
    Break(2, "first-installation-into-what-somebody-has-filled", diskwork, "_why_not", lambda *_: "", says="held xfs"),
    Break(6, "first-installation", domains, "plan_preparation", lambda *_: None, says="still to be installed into"),
    Break(6, "first-installation-that-no-file-asks-for-any-more", preparing, "_hurdle_of_other", lambda *_: None),
    Break(6, "kernel-that-fails-its-trial", domains, "copy_to_start", lambda *_: None, says="has failed its trial"),
    Break(1, "kernel-on-trial", waiting, "why_not", lambda *_: "", says="which is worked on"),
    Break(8, "boot-diamond", transitions, "retry_delay", lambda _failures: 1e9, struck="xl create"),
    Break(8, "boot-diamond", xlcfg, "differences", lambda *_: ("memory",)),
    Break(9, "bridge-of-the-default-route", Network, "carries_default_route", lambda *_: False),
    Break(10, "boot-over-saved-state", hurdles, "_paths", lambda *_: None),
    Break(
        11,
        "bridge-of-the-default-route",
        bridging,
        "disarm",
        lambda _action: (("systemctl", "stop", "xenlocal-web.scope"),),
    ),
    Break(11, "boot-diamond", mapping, "commands", _without_a_scope),
    Break(11, "boot-diamond", mapping, "commands", _in_the_scope_of_its_unit),
    Break(11, "daemon-restarts-at-rest", Daemon, "end", _takes_monitors_along, says="has been killed"),
    Break(11, "daemon-restarts-at-rest", Daemon, "end", _takes_guests_along, says="nor was destroyed"),
    Break(12, "shutdown-chain", settling, "_settle_shutdown", _never_settles, says="nobody was told"),
    Break(12, "shutdown-chain", settling, "_settle_shutdown", _tells(5, "had to be destroyed: web"), says="by itself"),
    Break(
        12,
        "shutdown-hung",
        settling,
        "_settle_shutdown",
        _tells(5, "had to be destroyed: webserver"),
        says="web was destroyed",
    ),
    Break(12, "shutdown-all-hung", shutdown, "without_circles", _one_after_the_other, says="is asked"),
    Break(12, "shutdown-all-hung", planner, "plan_shutdown", _forgets_some, says="g0 was never asked"),
    Break(
        12, "shutdown-hung", settling, "_settle_shutdown", lambda request, *_: request.finish(0, message="all is well")
    ),
    Break(
        12,
        "shutdown-hung-beside-a-slow-one",
        settling,
        "has_to_end",
        lambda *_: None,
        struck="xl destroy",
        strike="hangs-from-now",
    ),
)


@pytest.mark.parametrize("each", BREAKS, ids=lambda each: f"{each.rule}-{each.name}")
def test_a_broken_rule_is_seen(each: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = BY_NAME[each.scenario]
    plain = Play(scenario).play()
    assert not plain.broken
    blows = [Blow(number, each.strike) for number, argv in enumerate(plain.argvs) if tool(argv) == each.struck][:1]
    assert len(blows) == bool(each.struck)
    monkeypatch.setattr(each.where, each.name, each.instead)
    broken = Play(scenario, blows).play().broken
    assert any(text.startswith(f"rule {each.rule} ") and each.says in text for text in broken), broken
