"""The files of the dom0 that a domU is started from, and the copies that are kept of them. Pure.

A domU is started from a copy (`adapters.kernels` makes it), and its own reboots find the same kernel again, whatever
apt has removed from the dom0 meanwhile. Copies that nobody uses are dropped.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

from xenlocal.model.actions import StageConfig, StartDomain
from xenlocal.model.desired import Desired, Domain, State
from xenlocal.model.host_actions import DropKernel
from xenlocal.model.names import COPY, is_whole_copy
from xenlocal.model.observed import Built, Kept, LiveDomain, LiveState, Observed, PathFacts, Table, Unavailable
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
    changed = max(0, *(facts[path].changed for path in paths))
    seen = [(facts[path].changed, facts[path].size.bytes, facts[path].real) for path in paths]
    return f"{_stem(paths)}.{changed:016x}-{zlib.crc32(repr(seen).encode()):08x}"


def newest(paths: tuple[str, ...], copies: frozenset[str]) -> str | None:
    """Of the copies of these files."""
    return max((each for each in copies if is_copy_of(each, paths) and is_whole_copy(each)), default=None)


def newest_copy(domain: Domain, kept: Kept) -> str | None:
    """None also where it boots from no file of the dom0."""
    return newest(boot_paths(domain), kept.copies)


def boot_paths(domain: Domain) -> tuple[str, ...]:
    return tuple(path for _, path in boot_files(domain))


def is_copy_of(copy: str, paths: tuple[str, ...]) -> bool:
    """Of these files, however they were then."""
    return bool(paths) and copy.startswith(f"{_stem(paths)}.")


def _stem(paths: tuple[str, ...]) -> str:
    name = re.sub(r"[^A-Za-z0-9_.+-]", "_", paths[0].rpartition("/")[2])
    return f"{name}.{zlib.crc32(chr(0).join(paths).encode()):08x}"


def plan_kernels(draft: Draft, desired: Desired, observed: Observed) -> None:
    if not desired.domains or isinstance(observed.domains, Unavailable):
        return
    kept = draft.table(Table.KERNELS, observed.kernels)
    if kept is None:
        return
    domains = [domain for domain in desired.domains.values() if domain.state is not State.ABSENT]
    facts = draft.table(Table.PATHS, observed.paths) if kept.copies or any(map(boot_files, domains)) else None
    trials = draft.table(Table.TRIALS, observed.trials) if kept.copies else None
    if facts is None:
        return
    for domain in domains:
        _tell(draft, domain, kept, observed, facts)
    unused = {copy for copy in kept.copies - kept.used if COPY.fullmatch(copy)}
    for domain in domains:
        unused -= _wanted(domain, kept, facts)
    if trials is None:
        return  # it may be one of those
    unused = unused.difference(*(trial.copies for trial in trials.values()))
    # a start, or an edit that is staged, may be about to use any of them
    if unused and _all_is_known(draft, kept, observed.domains, observed) and not draft.has(StartDomain, StageConfig):
        for copy in sorted(unused):
            if f"{copy}.old" not in kept.copies:  # else that has to go first
                draft.step(DropKernel(f"{kept.place}/{copy}"), "no domU uses this copy of a kernel any more")


def _wanted(domain: Domain, kept: Kept, facts: Mapping[str, PathFacts]) -> set[str | None]:
    """What its next start takes: the copy of its files as they are, or the newest one once they have gone."""
    paths = boot_paths(domain)
    now = {copy_name(paths, facts)} if paths and facts.keys() >= {*paths} else set()
    return {newest_copy(domain, kept), *now}


def _tell(draft: Draft, domain: Domain, kept: Kept, observed: Observed, facts: Mapping[str, PathFacts]) -> None:
    live = observed.by_uuid().get(domain.uuid)
    built = kept.built.get((live.domid, live.uuid), Built()) if live is not None else Built()
    if built.boots & {*boot_paths(domain)}:
        why = kept.without.get(domain.name, "none was made at its start")
        text = f"its kernel must not be removed from the dom0, or its own reboot fails: there is no copy of it ({why})"
        draft.notice(domain.target, f"{text}; `xenlocal restart {domain.name}` makes one")
    gone = missing_boot_file(domain, facts)
    if gone and newest_copy(domain, kept) is not None:
        draft.notice(domain.target, f"{gone}; it is started from the copy that is kept, until another one is named")
    elif not gone and observed.trial_of(domain.uuid) is None and _is_replaced(domain, kept, built, facts):
        text = "its kernel or ramdisk was replaced on the dom0 since its start, and its own reboot takes the former one"
        draft.notice(domain.target, f"{text}; `xenlocal restart {domain.name}` takes the new one")


def _is_replaced(domain: Domain, kept: Kept, built: Built, facts: Mapping[str, PathFacts]) -> bool:
    """Whether its own reboot takes a copy of what is declared, and that is not as it is now."""
    paths = boot_paths(domain)
    copies = {path.removeprefix(f"{kept.place}/").partition("/")[0] for path in built.boots}
    of_these = {copy for copy in copies if is_copy_of(copy, paths)}
    return bool(of_these) and copy_name(paths, facts) not in of_these


def _all_is_known(draft: Draft, kept: Kept, live: Mapping[int, LiveDomain], observed: Observed) -> bool:
    """Whether it is known of every domU what it uses, and none is just being built, of which only its monitor knows."""
    monitors = draft.table(Table.MONITORS, observed.monitors)
    alive = [each for each in live.values() if each.state is not LiveState.DYING]
    known = all((each.domid, each.uuid) in kept.built for each in alive)
    return known and monitors is not None and monitors <= {each.name for each in alive}
