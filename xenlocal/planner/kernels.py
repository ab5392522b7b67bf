"""The files of the dom0 that a domU is started from, and the copies that are kept of them. Pure.

A domU is started from a copy (`adapters.kernels` makes it), and its own reboots find the same kernel again, whatever
apt has removed from the dom0 meanwhile. Copies that nobody uses are dropped.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

from xenlocal.model.actions import DropKernel, StageConfig, StartDomain
from xenlocal.model.desired import Desired, Domain, State
from xenlocal.model.memory import Memory
from xenlocal.model.names import COPY
from xenlocal.model.observed import Kept, Observed, PathFacts, Table, Unavailable
from xenlocal.planner.draft import Draft


def boot_files(domain: Domain) -> tuple[tuple[str, str], ...]:
    """Key and path of what Xen reads from the dom0 to start it."""
    named = (("kernel", domain.kernel), ("ramdisk", domain.ramdisk), ("pvgrub", domain.pvgrub))
    return tuple((key, path) for key, path in named if path is not None)


def missing_boot_file(domain: Domain, paths: Mapping[str, PathFacts]) -> str:
    """What is said of the first that does not exist, or ""."""
    gone = (f"{key} {path} does not exist ({domain.source})" for key, path in boot_files(domain) if path not in paths)
    return next(gone, "")


def copy_name(paths: tuple[str, ...], facts: Mapping[str, PathFacts]) -> str:
    """Of a kernel and its ramdisk as they are now. It sorts by when they were last changed."""
    changed, size = max(facts[path].changed for path in paths), sum(facts[path].size.bytes for path in paths)
    return f"{_stem(paths)}.{changed:016x}-{size:x}"


def newest(paths: tuple[str, ...], copies: frozenset[str]) -> str | None:
    """Of the copies of these files."""
    return max((each for each in copies if each.startswith(f"{_stem(paths)}.") and _is_whole(each)), default=None)


def newest_copy(domain: Domain, kept: Kept) -> str | None:
    """None also where it boots from no file of the dom0."""
    paths = tuple(path for _, path in boot_files(domain))
    return newest(paths, kept.copies) if paths else None


def _stem(paths: tuple[str, ...]) -> str:
    name = re.sub(r"[^A-Za-z0-9_.+-]", "_", paths[0].rpartition("/")[2])
    return f"{name}.{zlib.crc32(chr(0).join(paths).encode()):08x}"


def _is_whole(copy: str) -> bool:
    return not copy.endswith(".new")


def plan_kernels(draft: Draft, desired: Desired, observed: Observed, memory: Memory) -> None:
    kept = draft.table(Table.KERNELS, observed.kernels) if desired.domains else None
    if kept is None:
        return
    for domain in desired.domains.values():
        if domain.state is not State.ABSENT:
            _tell(draft, domain, kept, observed)
    # a start may be about to use any of them
    if not draft.has(StartDomain, StageConfig) and _all_known(kept, observed, memory):
        wanted = {newest_copy(domain, kept) for domain in desired.domains.values() if domain.state is not State.ABSENT}
        used = frozenset[str]().union(*kept.used.values())
        for copy in sorted(kept.copies - used):
            if copy not in wanted and COPY.fullmatch(copy):
                draft.step(DropKernel(f"{kept.place}/{copy}"), "no domU uses this copy of a kernel any more")


def _tell(draft: Draft, domain: Domain, kept: Kept, observed: Observed) -> None:
    if domain.uuid in observed.by_uuid() and (why := kept.without.get(domain.name)):
        text = f"its kernel must not be removed from the dom0, or its own reboot fails: there is no copy of it ({why})"
        draft.notice(domain.target, f"{text}; once that is mended, `xenlocal restart {domain.name}`")
    if isinstance(observed.paths, Unavailable):
        return
    gone = missing_boot_file(domain, observed.paths)
    if gone and newest_copy(domain, kept) is not None:
        draft.notice(domain.target, f"{gone}; it is started from the copy that is kept, until another one is named")
    elif not gone and domain.uuid in observed.by_uuid() and _is_replaced(domain, kept, observed.paths):
        text = "its kernel or ramdisk was replaced on the dom0 since its start, and its own reboot takes the former one"
        draft.notice(domain.target, f"{text}; `xenlocal restart {domain.name}` takes the new one")


def _is_replaced(domain: Domain, kept: Kept, facts: Mapping[str, PathFacts]) -> bool:
    """Whether it uses copies of what is declared, and none of them is as that is now."""
    paths = tuple(path for _, path in boot_files(domain))
    copies = {each for each in kept.used.get(domain.name, ()) if paths and each.startswith(f"{_stem(paths)}.")}
    return bool(copies) and copy_name(paths, facts) not in copies


def _all_known(kept: Kept, observed: Observed, memory: Memory) -> bool:
    """Whether the xl.cfg of every domU of ours that is live is there to tell what it uses."""
    if isinstance(observed.domains, Unavailable):
        return False
    return all(live.name in kept.used for live in observed.domains.values() if live.uuid in memory.records)
