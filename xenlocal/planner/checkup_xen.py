"""The doctor's checks of Xen: its memory, its CPUs, its version. Pure; see `planner.doctor`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from xenlocal.model.desired import State
from xenlocal.model.inspection import Code, Finding, Grub, Pinned, Severity, Xen
from xenlocal.model.units import Size
from xenlocal.planner.cpus import cpu_set, ranges
from xenlocal.planner.hurdles import memory_needed
from xenlocal.planner.patient import Patient, known
from xenlocal.planner.room import AUTOBALLOON, grub_line, rounded, too_small

LARGE = Size(128 * 10**9)  # from here on a dom0 without limits is a danger: Xen shows a little less than was bought
_FEW_CPUS, _MANY_CPUS = 4, 32  # as many as a dom0 uses; a host so large that it needs some more
_MUCH_SWAP = Size.mib(64)  # what lies there from the boot on does no harm
_OWN_MEMORY = ((LARGE, "8G"), (Size.mib(32 << 10), "4G"), (Size.mib(8 << 10), "2G"), (Size(0), "1G"))


def _severity(xen: Xen) -> Severity:
    return Severity.CRITICAL if xen.total >= LARGE else Severity.WARNING


def dom0_mem(patient: Patient) -> Iterator[Finding]:
    xen = known(patient.facts.xen)
    value = xen.option("dom0_mem")
    if value is None:
        text = (
            f"Xen was booted without dom0_mem= on a host of {rounded(xen.total)}: the dom0 begins with all memory,"
            " keeps tables for all of it for ever, and gives it away at every start of a domU"
        )
        yield Finding(Code.DOM0_MEM, _severity(xen), text, _next_boot(patient, xen))
    elif "max:" not in value:
        text = f"dom0_mem={value} has no max: the dom0 keeps tables for all memory of the host, and may grow into it"
        yield Finding(Code.DOM0_MEM, Severity.WARNING, text, _next_boot(patient, xen))


def dom0_vcpus(patient: Patient) -> Iterator[Finding]:
    xen = known(patient.facts.xen)
    if xen.option("dom0_max_vcpus") is None and len(xen.cpus) > _FEW_CPUS:
        text = (
            f"Xen was booted without dom0_max_vcpus=: the dom0 has a vCPU on each of the {len(xen.cpus)} CPUs and"
            " competes with every guest"
        )
        yield Finding(Code.DOM0_VCPUS, _severity(xen), text, _next_boot(patient, xen))


def _next_boot(patient: Patient, xen: Xen) -> str:
    """One line with all that is missing, so that no two findings contradict each other."""
    wanted = []
    value = xen.option("dom0_mem")
    if value is None:
        size = next(size for least, size in _OWN_MEMORY if xen.total >= least)
        wanted.append(f"dom0_mem={size},max:{size}")
    elif "max:" not in value:
        wanted.append(f"dom0_mem={value},max:{value.removeprefix('min:')}")
    if xen.option("dom0_max_vcpus") is None and len(xen.cpus) > _FEW_CPUS:
        wanted.append(f"dom0_max_vcpus={_FEW_CPUS if len(xen.cpus) < _MANY_CPUS else 2 * _FEW_CPUS}")
    grub = patient.facts.grub
    if grub is None:
        return f"add {' '.join(wanted)} to Xen's command line where this host boots it from, and a reboot"
    if isinstance(grub, Grub):
        if all(option in grub.options.split() for option in wanted):
            return "/etc/default/grub has it already: `update-grub`, and a reboot"
        replaced = tuple(f"{option.partition('=')[0]}=" for option in wanted)
        kept = [word for word in grub.default.split() if not word.startswith(replaced)]
        return grub_line(" ".join([*kept, *wanted]))
    return f"{grub_line(' '.join(wanted))}; what that line has now could not be read, and is to stay ({grub.why})"


def autoballoon(patient: Patient) -> Iterator[Finding]:
    if known(patient.observed.hardware).autoballoon:
        xen = known(patient.facts.xen)
        off = 'autoballoon="off" in /etc/xen/xl.conf'
        what = off if xen.option("dom0_mem") is not None else _next_boot(patient, xen)
        yield Finding(Code.AUTOBALLOON, Severity.WARNING, AUTOBALLOON, what)


def dom0_swap(patient: Patient) -> Iterator[Finding]:
    swapped = known(patient.facts.swapped)
    if swapped >= _MUCH_SWAP:
        text = f"{rounded(swapped)} of the dom0's memory lie in its swap: it has too little, and all guests wait for it"
        what = "`vmstat 5` shows whether it goes on (si, so); then a larger dom0_mem=, or less that runs in the dom0"
        yield Finding(Code.DOM0_SWAP, Severity.WARNING, text, what)


def memory(patient: Patient) -> Iterator[Finding]:
    known(patient.observed.hardware)
    known(patient.observed.domains)
    text = too_small(patient.desired, patient.observed)
    if text:
        what = "`xenlocal capacity` shows the figures; lower memory =, or state = manual for some"
        yield Finding(Code.MEMORY, Severity.CRITICAL, text, what)


def pinning(patient: Patient) -> Iterator[Finding]:
    xen = known(patient.facts.xen)
    pinned = _pinned(patient, xen)
    for name, cpus in sorted(pinned.items()):
        if beyond := cpus - xen.cpus.keys():
            text = f"domain/{name} is to run on CPU {ranges(beyond)}, and this host has {ranges(xen.cpus.keys())}"
            yield Finding(Code.PINNING, Severity.WARNING, text, f"mend cpus = in [domain {name}]")
    shared: dict[frozenset[str], set[int]] = {}
    for cpu in xen.cpus:
        names = frozenset(name for name, cpus in pinned.items() if cpu in cpus)
        if len(names) > 1:
            shared.setdefault(names, set()).add(cpu)
    if shared:
        each = (f"CPU {ranges(cpus)} by {', '.join(sorted(names))}" for names, cpus in shared.items())
        text = f"domains that are pinned share CPUs: {'; '.join(each)}"
        yield Finding(
            Code.PINNING, Severity.WARNING, text, "give each CPUs of its own (cpus =), or none; `xl vcpu-list`"
        )


def numa(patient: Patient) -> Iterator[Finding]:
    xen = known(patient.facts.xen)
    if len(xen.nodes) < 2:
        return
    for name, cpus in sorted(_pinned(patient, xen).items()):
        nodes = {xen.cpus[cpu] for cpu in cpus if cpu in xen.cpus}
        if len(nodes) > 1:
            text = f"{name} is pinned to CPUs of {len(nodes)} NUMA nodes: half of its memory is far from each of them"
            what = "pin it within one node (cpus =); `xl info -n` shows which CPUs those are"
            yield Finding(Code.NUMA, Severity.WARNING, text, what)
    largest = max(xen.nodes.values())
    for name, domain in patient.desired.domains.items():
        if domain.state in (State.RUNNING, State.MANUAL) and memory_needed(domain) > largest:
            text = f"domain/{name} needs more memory than a NUMA node has ({rounded(largest)}): it spreads over several"
            yield Finding(Code.NUMA, Severity.INFO, text)


def _pinned(patient: Patient, xen: Xen) -> Mapping[str, frozenset[int]]:
    """Domain -> the CPUs it is pinned to, now or, where it is off, by the files."""
    live: Mapping[str, Pinned] = {each.name: each for each in known(patient.facts.pinned)}
    found = {name: each.cpus for name, each in live.items() if each.cpus is not None}
    for name, domain in patient.desired.domains.items():
        if name not in live and domain.cpus is not None and domain.state in (State.RUNNING, State.MANUAL):
            cpus = cpu_set(domain.cpus, frozenset(xen.cpus))
            if cpus != xen.cpus.keys():
                found[name] = cpus
    return found


_SERIES = re.compile(r"xen-hypervisor-(\d+\.\d+)-.*")
_VERSION = re.compile(r"(\d+\.\d+)\.(\d+)(-pre|-rc\d*)?")


def versions(patient: Patient) -> Iterator[Finding]:
    """Debian's xl runs the tools of the running series of Xen, and ends with 127 where they are gone."""
    facts = known(patient.facts.versions)
    running = _VERSION.match(facts.running)
    if running is None:
        yield _version(Severity.UNKNOWN, f"cannot understand the version of the running hypervisor, {facts.running!r}")
        return
    series = running[1]
    if f"xen-utils-{series}" not in facts.installed:
        text = f"the running Xen is {facts.running}, and its tools are not installed: xl ends with 127"
        yield _version(Severity.CRITICAL, text, f"`apt install xen-utils-{series}`, or reboot into the new Xen")
    there = {match[1]: name for name in facts.installed if (match := _SERIES.fullmatch(name))}
    for other in sorted(there.keys() - {series}):
        if f"xen-utils-{other}" not in facts.installed:
            text = f"{there[other]} is installed without xen-utils-{other}: after the next boot xl may end with 127"
            yield _version(Severity.CRITICAL, text, f"`apt install xen-utils-{other}`")
        else:
            text = f"Xen {other} is installed beside the running {series}: the next boot may bring that one"
            yield _version(Severity.INFO, text, "`xenlocal rehearse` before it")
    installed = _VERSION.match(facts.installed[there[series]]) if series in there else None
    # between two releases Xen calls itself by the next one, and Debian by the last one
    fitting = {int(running[2]), int(running[2]) - 1} if running[3] else {int(running[2])}
    if installed is not None and int(installed[2]) not in fitting:
        text = f"the running Xen is {facts.running}, and {installed[0]} is installed: it was upgraded since the boot"
        yield _version(Severity.WARNING, text, "a reboot of the host; `xenlocal rehearse` shows what that would do")


def _version(severity: Severity, text: str, what: str = "`xl info`; `dpkg -l 'xen-*'`") -> Finding:
    return Finding(Code.VERSIONS, severity, text, what)
