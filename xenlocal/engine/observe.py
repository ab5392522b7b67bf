"""Look at the host: one command a table, in parallel; a table that cannot be had becomes `Unavailable`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from xenlocal.engine.ports import LastWords, Reader, Work
from xenlocal.model.desired import BlockDevice, Desired, ImageFile, State
from xenlocal.model.diskwork import Preparation
from xenlocal.model.errors import ToolMissing, XenlocalError
from xenlocal.model.iscsi import IscsiFacts
from xenlocal.model.memory import Memory, Off
from xenlocal.model.names import Kind
from xenlocal.model.observed import LiveDomain, Observed, Outline, Table, Unavailable
from xenlocal.planner.hurdles import needed_packages, save_images
from xenlocal.planner.kernels import boot_files
from xenlocal.planner.looks import names_of_monitor, unexplained
from xenlocal.planner.pci import device_paths
from xenlocal.planner.preparing import MMDEBSTRAP

_LONGEST = 90.0  # seconds of one look; half of the time after which systemd takes the daemon for dead

log = logging.getLogger("xenlocal")
_CAUSES = {LastWords.REBOOT: Off.REBOOTING, LastWords.DESTROYED: Off.VANISHED, LastWords.UNKNOWN: Off.LOST}


@dataclass(frozen=True)
class Asking:
    """Which tables to ask; when to give up; and what former looks still wait for: that is not asked once more, since
    each would cost a thread for as long as it hangs. `outline`: where xl cannot tell of the domains, xenstore is to."""

    tables: Iterable[Table]
    until: float | None = None
    pending: dict[Table, Future[None]] = field(default_factory=dict)
    outline: bool = False


def look(reader: Reader, work: Work, desired: Desired, observed: Observed, asking: Asking) -> Observed:
    """`observed` with tables asked anew, in parallel. One that does not answer in time is unknown: each tool has a
    limit of its own, but a stat() on a dead NFS server has none."""
    calls = _calls(reader, desired)
    if asking.outline:
        calls[Table.DOMAINS] = partial(domains_or_outline, reader)
    found: dict[str, Any] = {}

    def ask(table: Table) -> None:
        found[table] = known_or_why(calls[table])

    began = work.now()
    until = began + _LONGEST if asking.until is None else min(began + _LONGEST, asking.until)
    pending, tables = asking.pending, sorted(asking.tables)
    hanging = {table for table in tables if table in pending and not pending[table].done()}
    pending |= {table: work.submit(partial(ask, table)) for table in tables if table not in hanging}
    while not all(pending[table].done() for table in tables if table not in hanging) and work.now() < until:
        work.wait(until)
    late = Unavailable(f"no answer after {work.now() - began:.0f} s")
    hangs = Unavailable("a look before this one still has no answer")
    answers = {table: found.get(table, hangs if table in hanging else late) for table in tables}
    domains = answers.get(Table.DOMAINS)
    if Table.DOMAINS in answers:
        observed = replace(observed, xl=domains.xl if isinstance(domains, Outline) else None)
    if isinstance(domains, Outline):
        answers[Table.DOMAINS] = domains.domains
    return replace(observed, **{str(table): answer for table, answer in answers.items()})


def domains_or_outline(reader: Reader) -> Mapping[int, LiveDomain] | Outline:
    """For the shutdown of the host, which has to go on where xl is gone. One that fails or hangs is asked again: it
    knows more, and where xenstored does not answer, xenstore would hang as well. Raises XenlocalError."""
    try:
        return reader.domains()
    except ToolMissing as error:
        try:
            return Outline(reader.outline(), Unavailable(str(error)))
        except XenlocalError as other:
            raise XenlocalError(f"{error}; nor could xenstore be read: {other}") from error


def look_at_all(reader: Reader, desired: Desired) -> Observed:
    """Every table, one after the other in the calling thread."""
    found = {str(table): known_or_why(call) for table, call in _calls(reader, desired).items()}
    return Observed(**found)


def _calls(reader: Reader, desired: Desired) -> dict[Table, Callable[[], Any]]:
    return {
        Table.DOMAINS: reader.domains,
        Table.STORAGE: reader.storage,
        Table.NETWORK: reader.network,
        Table.PATHS: partial(reader.paths, declared_paths(desired)),
        Table.XENSTORE: reader.xenstore,
        Table.HARDWARE: reader.hardware,
        Table.MONITORS: reader.monitors,
        Table.IDENTITIES: reader.identities,
        Table.KERNELS: reader.kernels,
        Table.TRIALS: reader.trials,
        Table.AT_WORK: reader.disks_at_work,
        Table.ISCSI: partial(_iscsi, reader, desired),
    }


def _iscsi(reader: Reader, desired: Desired) -> IscsiFacts:
    return replace(reader.iscsi(), declared={each.name: each.node for each in desired.iscsi.values()})


def known_or_why(call: Callable[[], Any]) -> Any:
    """What the reader says, or Unavailable. Even a fault of our parser must not look like an empty host."""
    try:
        return call()
    except XenlocalError as error:
        return Unavailable(str(error))
    except Exception as error:  # a bug: say it with its traceback, and go on knowing nothing
        log.exception("cannot read an answer of the host; please report this")
        return Unavailable(f"internal error: {error!r}")


def declared_paths(desired: Desired) -> tuple[str, ...]:
    """Every path whose existence decides something."""
    paths = set()
    for domain in desired.domains.values():
        paths |= {disk.backing.path for disk in domain.disks if isinstance(disk.backing, ImageFile)}
        if domain.state is State.ABSENT:
            continue
        paths |= {path for _, path in boot_files(domain)} | {path for path, _ in needed_packages(domain)}
        paths |= {disk.backing.path for disk in domain.disks if isinstance(disk.backing, BlockDevice)}
        paths |= {each.name for each in (*domain.needs_things, *domain.after_things) if each.kind is Kind.DEVICE}
        paths |= {*save_images(domain), *device_paths(domain)}
        if domain.install is not None:
            paths |= {path for _, path in domain.install.files}
            paths.add(MMDEBSTRAP)
        files = [disk.backing.path for disk in domain.disks if isinstance(disk.backing, ImageFile)]
        paths |= {work.mark_of_file(path) for path in files for work in Preparation}
    return tuple(sorted(paths))


def causes(reader: Reader, memory: Memory, observed: Observed, now: float) -> dict[str, Off | None]:
    """Why domUs are gone that we did not stop: their monitors' last words; None where those cannot be read. No
    command when none is."""
    found: dict[str, Off | None] = {}
    for uuid in unexplained(memory, observed, now):
        name, *_ = names_of_monitor(memory.records[uuid], observed)
        words = known_or_why(partial(reader.last_words, name))
        found[uuid] = None if isinstance(words, Unavailable) else _CAUSES[words]
    return found
