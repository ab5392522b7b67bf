"""What memory the host has for domUs, and whether those of the files fit into it: what a rehearsal, `doctor` and
`capacity` say is one answer.

Pure. Where xl does not answer nothing is said here: who asks says that it is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable

from xenlocal.model.desired import Desired, State
from xenlocal.model.observed import Hardware, LiveDomain, Observed, Unavailable
from xenlocal.model.units import Size
from xenlocal.planner.hurdles import memory_needed

DOM0_LEAST = Size.mib(512)  # what the dom0 keeps at least when it gives memory away (autoballoon)


def promised(desired: Desired, state: State) -> Size:
    """Memory that the domUs of this state need together, with Xen's own share."""
    return total(memory_needed(domain) for domain in desired.domains.values() if domain.state is state)


def total(sizes: Iterable[Size]) -> Size:
    return Size(sum(size.bytes for size in sizes))


def for_domains(hardware: Hardware, live: Iterable[LiveDomain], reserve: Size) -> Size:
    """What a host that has just booted has for all domUs together, beside dom0_reserve."""
    if hardware.autoballoon:
        return Size(max(hardware.total.bytes - DOM0_LEAST.bytes, 0))
    held = total(each.memory for each in live)
    return Size(max(hardware.free.bytes + held.bytes - reserve.bytes, 0))


def too_small(desired: Desired, observed: Observed) -> str:
    """What is to be said where not all domUs with state = running fit; "" where they do, or nobody knows."""
    hardware = observed.hardware
    if isinstance(hardware, Unavailable) or isinstance(observed.domains, Unavailable):
        return ""
    need = promised(desired, State.RUNNING)
    there = for_domains(hardware, observed.by_uuid().values(), desired.host.dom0_reserve)
    if need <= there:
        return ""
    return (
        f"the domUs with state = running need {rounded(need)} of memory together, and {rounded(there)} are there"
        " for them: not all can run at once"
    )


AUTOBALLOON = (
    "autoballoon is on, since Xen was booted without dom0_mem= or /etc/xen/xl.conf says so: the dom0 gives"
    " memory away at every start, so domUs are started one at a time, and whether the next one fits is not"
    " known before"
)


def grub_line(options: str = "dom0_mem=4G,max:4G") -> str:
    """What gives Xen these options at its next boot, on Debian."""
    return f'GRUB_CMDLINE_XEN_DEFAULT="{options}" in /etc/default/grub, `update-grub`, and a reboot'


def rounded(size: Size) -> Size:
    """To whole MiB, for people."""
    return Size(size.bytes >> 20 << 20)
