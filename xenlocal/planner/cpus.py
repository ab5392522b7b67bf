"""Pinning, `cpus = 2-5,^3`: which CPUs it means on this host, and what is said where that is none. Pure."""

from __future__ import annotations

from collections.abc import Collection

from xenlocal.model.desired import Domain
from xenlocal.model.observed import Hardware


def hurdle_of_cpus(domain: Domain, hardware: Hardware) -> str | None:
    """Xen passes over CPUs that it has not, and refuses what names no other: `xl create` fails, `xl vcpu-pin` too."""
    every = frozenset(range(hardware.cpus))
    if domain.cpus is None or not cpu_set(domain.cpus, every).isdisjoint(every):
        return None
    return (
        f"cpus = {domain.cpus} leaves it none of this host's CPUs ({len(every)}: {ranges(every)});"
        f" write cpus = {ranges(every)}, or some of these ({domain.source})"
    )


def cpu_set(text: str, every: frozenset[int]) -> frozenset[int]:
    """`2-5,7`, `all,^3`, as xl reads it. The text is valid."""
    chosen: set[int] = set()
    for item in text.split(","):
        if item == "all":
            chosen |= every
            continue
        first, _, last = item.removeprefix("^").partition("-")
        span = set(range(int(first), int(last or first) + 1))
        chosen = chosen - span if item.startswith("^") else chosen | span
    return frozenset(chosen)


def ranges(cpus: Collection[int]) -> str:
    """`0-3,7`"""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and parts[-1][1] == cpu - 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
