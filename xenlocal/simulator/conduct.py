"""How a guest behaves while it lives, as its `state.Behaviour` says: what it answers, writes and obeys, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from xenlocal.simulator.state import Behaviour, Domain

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0


def request(dom0: SimulatedDom0, domain: Domain, what: str = "poweroff") -> None:
    """A PV shutdown or reboot request in control/shutdown. A PV guest that is still booting hears it when it has
    booted."""
    domain.requested = what
    booted = max(0.0, domain.born + domain.boot_seconds - dom0.now)
    behaviour = dom0.state.behaviour(domain.name)
    if domain.state == "running" and not behaviour.deaf and comes_up(behaviour, domain):
        dom0.schedule(booted + dom0.state.durations.acknowledge, "heard", domain.domid, what)


def press_power_button(dom0: SimulatedDom0, domain: Domain) -> None:
    """ACPI: obeyed by a guest that has booted, lost else."""
    seconds = dom0.state.behaviour(domain.name).stop_seconds
    booted = dom0.now >= domain.born + domain.boot_seconds
    if domain.type == "hvm" and booted and seconds is not None and domain.state == "running":
        dom0.schedule(seconds, "end", domain.domid, "poweroff")


def heard(dom0: SimulatedDom0, domain: Domain, what: str) -> None:
    """Its kernel acknowledges at once, whatever becomes of the request."""
    behaviour = dom0.state.behaviour(domain.name)
    domain.requested = ""
    dom0.note("heard", f"{domain.name} {domain.domid} {what}")
    if domain.lost < behaviour.loses:
        domain.lost += 1
    elif domain.heard is None:
        domain.heard = dom0.now
        if behaviour.stop_seconds is not None:
            dom0.schedule(behaviour.stop_seconds, "end", domain.domid, what)


def sectors_written(dom0: SimulatedDom0, domain: Domain) -> int:
    """wr_sect of each of its disks: 8 sectors a second while it writes."""
    behaviour = dom0.state.behaviour(domain.name)
    since, until = (domain.born, dom0.now) if behaviour.busy else (domain.heard, dom0.now)
    if since is None:
        return 0
    seconds = until - since if behaviour.busy else min(until - since, behaviour.write_seconds)
    return 8 * int(seconds)


def say(dom0: SimulatedDom0, domain: Domain, line: str) -> None:
    """The guest writes a line to its console; xenconsoled logs it where it was told to."""
    if dom0.state.console_log:
        path = f"/var/log/xen/console/guest-{domain.name}.log"
        dom0.state.texts[path] = dom0.state.texts.get(path, "") + f"{line}\r\n"


def stoppable(dom0: SimulatedDom0, domain: Domain) -> bool:
    """Its control/feature-poweroff is "1"."""
    lived_until = dom0.now if domain.ended is None else domain.ended
    booted = domain.released and lived_until >= domain.born + domain.boot_seconds
    behaviour = dom0.state.behaviour(domain.name)
    return booted and not behaviour.no_pv and comes_up(behaviour, domain)


def comes_up(behaviour: Behaviour, domain: Domain) -> bool:
    """With the kernel that it was made with."""
    return not behaviour.hangs_with or behaviour.hangs_with not in str(domain.config.get("kernel", ""))


def accepts(dom0: SimulatedDom0, host: str, port: int) -> bool:
    """Whether a running guest listens on that address by now."""
    return _by_now(dom0, f"{host}:{port}", lambda behaviour: behaviour.listen)


def answers(dom0: SimulatedDom0, host: str) -> bool | None:
    """Whether the guest that has this address answers a ping by now; None where no guest has it."""
    if not any(host in behaviour.answer for behaviour in dom0.state.behaviours.values()):
        return None
    return _by_now(dom0, host, lambda behaviour: behaviour.answer)


def _by_now(dom0: SimulatedDom0, key: str, times: Callable[[Behaviour], dict[str, float]]) -> bool:
    return any(
        domain.state == "running" and key in times(behaviour) and dom0.now >= domain.born + times(behaviour)[key]
        for domain in dom0.state.domains
        if (behaviour := dom0.state.behaviours.get(domain.name)) and comes_up(behaviour, domain)
    )
