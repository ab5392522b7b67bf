"""Look at the host: one command a table, in parallel; a table that cannot be had becomes `Unavailable`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from xenlocal.engine.ports import LastWords, Reader, Work
from xenlocal.model.desired import BlockDevice, Desired, ImageFile, State
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Memory, Off
from xenlocal.model.names import Kind
from xenlocal.model.observed import Observed, Table, Unavailable
from xenlocal.planner.hurdles import save_image
from xenlocal.planner.memory import names_of_monitor, unexplained

log = logging.getLogger("xenlocal")
_CAUSES = {LastWords.REBOOT: Off.REBOOTING, LastWords.DESTROYED: Off.VANISHED, LastWords.UNKNOWN: Off.LOST}


def look(
    reader: Reader,
    work: Work,
    desired: Desired,
    observed: Observed,
    tables: Iterable[Table],
    until: float | None = None,
) -> Observed:
    """`observed` with these tables asked anew, in parallel. What has not answered by `until` is unknown."""
    calls: dict[Table, Callable[[], Any]] = {
        Table.DOMAINS: reader.domains,
        Table.STORAGE: reader.storage,
        Table.NETWORK: reader.network,
        Table.PATHS: partial(reader.paths, declared_paths(desired)),
        Table.XENSTORE: reader.xenstore,
        Table.HARDWARE: reader.hardware,
        Table.MONITORS: reader.monitors,
    }
    found: dict[str, Any] = {}

    def ask(table: Table) -> None:
        found[table] = known_or_why(calls[table])

    futures = [work.submit(partial(ask, table)) for table in sorted(tables)]
    while not all(future.done() for future in futures) and (until is None or work.now() < until):
        work.wait(until)
    late = Unavailable("no answer before shutdown_deadline was over")
    return replace(observed, **{str(table): found.get(table, late) for table in tables})


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
        paths |= {path for path in (domain.kernel, domain.ramdisk) if path is not None}
        paths |= {disk.backing.path for disk in domain.disks if isinstance(disk.backing, BlockDevice)}
        paths |= {each.name for each in (*domain.needs_things, *domain.after_things) if each.kind is Kind.DEVICE}
        paths.add(save_image(domain.name))
    return tuple(sorted(paths))


def causes(reader: Reader, memory: Memory, observed: Observed) -> dict[str, Off]:
    """Why domUs are gone that we did not stop: their monitors' last words. No command when none is."""
    found = {}
    for uuid in unexplained(memory, observed):
        name, *_ = names_of_monitor(memory.records[uuid], observed)
        words = known_or_why(partial(reader.last_words, name))
        found[uuid] = Off.LOST if isinstance(words, Unavailable) else _CAUSES[words]
    return found
