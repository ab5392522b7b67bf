"""What a domU may wait for besides other domUs: `after` and `needs` may name a bridge, a volume, an iSCSI session or a
device, and a disk may be reached by a session, so that one that comes late delays only the domUs that stand on it."""

from __future__ import annotations

from collections.abc import Iterable

from xenlocal.model.desired import BlockDevice, Disk, Domain
from xenlocal.model.iscsi import LOGGED_IN
from xenlocal.model.memory import Record
from xenlocal.model.names import Kind, Target, device
from xenlocal.model.observed import Observed, PathKind, Table, Unavailable
from xenlocal.planner.draft import Draft

_TABLES = {
    Kind.BRIDGE: Table.NETWORK,
    Kind.VOLUME: Table.STORAGE,
    Kind.DEVICE: Table.PATHS,
    Kind.ISCSI: Table.ISCSI,
}
_WHY_NO_SESSION = {LOGGED_IN: None, None: "is not logged in"}
_PAUSE, _SOON = 30.0, 10.0  # seconds until the next look at a domU that cannot start; what is awaited comes at any time


def ask_for(draft: Draft, domain: Domain, observed: Observed) -> None:
    """Every table that the things of this domU need, at once: but for the sessions of its disks, which are declared, so
    that they are asked for in any case."""
    for target in (*domain.needs_things, *domain.after_things):
        table = _TABLES[target.kind]
        draft.table(table, getattr(observed, table))


def is_there(target: Target, observed: Observed) -> bool:
    """It can be stood on now."""
    return _why_not(target, observed) is None


def hurdle_of_needs(draft: Draft, domain: Domain, observed: Observed) -> str | None:
    """Why it must not start, if something that it `needs` is not there, and no step of this plan makes it."""
    for target, why in _missing(draft, domain.needs_things, observed):
        return f"needs {target}, which {why}"
    return None


def hurdle_of_session(draft: Draft, disk: Disk, observed: Observed) -> str | None:
    """Why a disk is not to be used now, if it is reached by an iSCSI session that does not work: whoever reads from
    one that is lost waits for minutes."""
    if disk.session is None:
        return None
    why = _why_not(disk.session, observed)
    return None if why is None else f"is reached by {disk.session}, which {_with_refusal(draft, disk.session, why)}"


def hurdle_of_after(
    draft: Draft, domain: Domain, record: Record, observed: Observed, now: float
) -> tuple[str | None, str]:
    """Why it waits for what it comes `after`; and what is said of it when it has waited long enough. What is not
    known is waited for as long as it is not (DESIGN rule 7)."""
    until = (now if record.away is None else record.away) + domain.start_timeout.seconds
    for target, why in _missing(draft, domain.after_things, observed):
        if isinstance(getattr(observed, _TABLES[target.kind]), Unavailable):
            return f"waits for {target}, which {why}", ""
        if now < until:
            draft.look_again(until)
            return f"waits for {target}, which {why}; it starts without after {domain.start_timeout}", ""
        return None, f"; {target}, which it comes after, {why}, and is waited for no longer"
    return None, ""


def pause(domain: Domain, observed: Observed) -> float:
    """Seconds until the next look at a domU that cannot start: few while something is awaited that comes by itself."""
    disks = [device(disk.backing.path) for disk in domain.disks if isinstance(disk.backing, BlockDevice)]
    awaited = (*domain.needs_things, *domain.after_things, *disks, *_sessions(domain))
    return _PAUSE if all(is_there(target, observed) for target in awaited) else _SOON


def _missing(draft: Draft, targets: Iterable[Target], observed: Observed) -> Iterable[tuple[Target, str]]:
    for target in targets:
        why = _why_not(target, observed)
        # what a step of this plan makes is there after it; but a login may fail, and its disks appear only after it
        if why is not None and (target.kind is Kind.ISCSI or not draft.steps_of(target)):
            yield target, _with_refusal(draft, target, why)


def _with_refusal(draft: Draft, target: Target, why: str) -> str:
    refusal = draft.refusal(target)
    return f"{why}: {refusal}" if refusal else why


def _sessions(domain: Domain) -> tuple[Target, ...]:
    """By which its disks are reached."""
    return tuple(disk.session for disk in domain.disks if disk.session is not None)


def _why_not(target: Target, observed: Observed) -> str | None:
    table = getattr(observed, _TABLES[target.kind])
    if isinstance(table, Unavailable):
        return f"could not be looked at: {table.why}"
    if target.kind is Kind.BRIDGE:
        link = table.links.get(target.name)
        if link is None:
            return "does not exist"
        if link.kind != "bridge":
            return "is not a bridge"
        return None if link.up else "is not up"
    if target.kind is Kind.VOLUME:
        volume = table.volumes.get(tuple(target.name.split("/")))
        if volume is None:
            return "does not exist yet"
        return None if volume.active else "is not active"
    if target.kind is Kind.ISCSI:
        return _WHY_NO_SESSION.get(table.state(target.name), "is lost")
    facts = table.get(target.name)
    if facts is None:
        return "does not exist yet"
    return None if facts.kind is PathKind.BLOCK else "is not a block device"
