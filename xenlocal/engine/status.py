"""`xenlocal status` as data (JSON schema 1), and the one sentence of a cycle for the journal and systemd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from xenlocal.engine.configuration import Verdict
from xenlocal.engine.reconcile import Cycle
from xenlocal.model.clock import iso
from xenlocal.model.desired import Domain, LogicalVolume
from xenlocal.model.iscsi import LOGGED_IN
from xenlocal.model.memory import Memory, Record
from xenlocal.model.names import THIS_HOST, Kind, Target, bridge, iscsi, parse_trash_name
from xenlocal.model.names import volume as volume_target
from xenlocal.model.observed import LiveDomain, Unavailable
from xenlocal.model.plan import Goal, Notice
from xenlocal.model.storage import Storage
from xenlocal.planner import xlcfg

SCHEMA = 1


def status(
    cycle: Cycle, memory: Memory, verdict: Verdict, now: float, wall: float, foreseen: Sequence[Notice] = ()
) -> dict[str, Any]:
    """Everything `xenlocal status` shows, stable shape. `foreseen`: what a rehearsal of the host's reboot found."""
    notes = _notes(cycle, foreseen)
    clock = wall - now
    return {
        "schema": SCHEMA,
        "host": {
            "state": _host_state(memory),
            "summary": sentence(cycle, memory, verdict),
            "unavailable": [{"table": table, "why": why} for table, why in cycle.plan.unavailable],
            "pending_steps": [step.id for step in cycle.plan.steps if step.changes_host],
            "forced": list(memory.forced),
            "notices": notes.get(THIS_HOST, []),
        },
        "domains": _domains(cycle, memory, notes, clock),
        "volumes": _volumes(cycle, notes),
        "bridges": _bridges(cycle, notes),
        "iscsi": _iscsi(cycle, notes),
        "problems": [asdict(problem) for problem in verdict.problems],
    }


def trash(storage: Storage, keep: float, wall: float) -> list[dict[str, Any]]:
    """What lies in the trash of every volume group, oldest first. `keep`: trash_keep in seconds; `wall`: Unix time."""
    rows = []
    for (vg, lv), volume in storage.volumes.items():
        found = parse_trash_name(lv)
        if found is not None and volume.ours:
            since, was = found
            row = {"name": f"{vg}/{lv}", "was": f"{vg}/{was}", "size": str(volume.size), "since": iso(since)}
            rows.append({**row, "keep_until": iso(since + keep), "expired": wall > since + keep})
    return sorted(rows, key=lambda row: (str(row["since"]), str(row["name"])))


def sentence(cycle: Cycle, memory: Memory, verdict: Verdict) -> str:
    """`5 of 6 domUs as declared; domain/web: needs ...`"""
    if isinstance(cycle.observed.domains, Unavailable):
        return f"cannot see the domUs: {cycle.observed.domains.why}"
    live = {each.uuid for each in cycle.observed.domains.values() if not each.is_down}
    if cycle.plan.goal is Goal.SHUTDOWN:
        left = len(cycle.observed.domains)
        forced = f"; had to be destroyed: {', '.join(memory.forced)}" if memory.forced else ""
        return f"shutting down the guests: {left} left{forced}"
    running = sum(domain.uuid in live for domain in cycle.desired.domains.values())
    parts = [f"{running} of {len(cycle.desired.domains)} declared domUs running"]
    parts += [f"{table} unknown: {why}" for table, why in cycle.plan.unavailable]
    refusals = [f"{refusal.target}: {refusal.reason}" for refusal in cycle.plan.refusals]
    parts += refusals[:2] + ([f"{len(refusals) - 2} more refusals, see `xenlocal status`"] if len(refusals) > 2 else [])
    if verdict.problems:
        parts.append(f"the files are NOT VALID ({verdict.problems[0]}); {verdict.instead}")
    return "; ".join(parts)


def _host_state(memory: Memory) -> str:
    if memory.shutting_down is not None:
        return "shutting down"
    return "up" if memory.boot_done else "before boot"


def _notes(cycle: Cycle, foreseen: Sequence[Notice]) -> Mapping[Target, list[str]]:
    notes: dict[Target, list[str]] = {}
    for refusal in cycle.plan.refusals:
        notes.setdefault(refusal.target, []).append(refusal.reason)
    for notice in (*cycle.plan.notices, *foreseen):
        notes.setdefault(notice.target, []).append(notice.text)
    for result in cycle.bad:
        text = f"{result.step.action.verb} {result.outcome}: {result.message}"
        notes.setdefault(result.step.action.target, []).append(text)
    return notes


def _domains(cycle: Cycle, memory: Memory, notes: Mapping[Target, list[str]], clock: float) -> list[dict[str, Any]]:
    live = cycle.observed.by_uuid()
    unknown = isinstance(cycle.observed.domains, Unavailable)
    declared = {domain.uuid: domain for domain in cycle.desired.domains.values()}
    rows = []
    for uuid in sorted({*declared, *live}, key=lambda uuid: (uuid not in declared, _name(uuid, declared, live), uuid)):
        domain, here, record = declared.get(uuid), live.get(uuid), memory.records.get(uuid)
        name = _name(uuid, declared, live)
        since = None
        if record is not None:
            since = record.born if record.is_on else record.off_since
        rows.append(
            {
                "name": name,
                "desired": str(domain.state) if domain else ("orphaned" if record else "foreign"),
                "observed": "unknown" if unknown else (str(here.state) if here else "off"),
                "domid": here.domid if here else None,
                "ready": bool(record and record.ready and here),
                "since": None if since is None else iso(since + clock),
                "pending": _pending(domain, record, here),
                "notices": _told(notes.get(Target(Kind.DOMAIN, name), []), record, here, clock)
                if domain or record
                else [],
            }
        )
    return rows


def _told(notes: list[str], record: Record | None, here: LiveDomain | None, clock: float) -> list[str]:
    """The notes of the latest cycle, and why the domU is not ready, which changes while a cycle goes on."""
    if record is None or here is None or record.ready or not record.unready:
        return list(notes)
    if record.lost is not None:
        others = [note for note in notes if record.unready not in note]  # the same, without the time
        return [*others, f"was ready until {iso(record.lost + clock)}; {record.unready}"]
    return list(notes) if any(record.unready in note for note in notes) else [*notes, f"is not ready: {record.unready}"]


def _pending(domain: Domain | None, record: Record | None, here: LiveDomain | None) -> list[str]:
    if domain is None or record is None or here is None or not record.running or here.is_down:
        return []
    return list(xlcfg.pending(domain, record.running))


def _name(uuid: str, declared: Mapping[str, Domain], live: Mapping[str, LiveDomain]) -> str:
    return declared[uuid].name if uuid in declared else live[uuid].name or f"domid-{live[uuid].domid}"


def _volumes(cycle: Cycle, notes: Mapping[Target, list[str]]) -> list[dict[str, Any]]:
    rows: dict[Target, dict[str, Any]] = {}

    def row_of(target: Target, observed: str | None) -> dict[str, Any]:
        told = list(notes.get(target, ()))
        return rows.setdefault(
            target, {"name": str(target), "desired": None, "observed": observed, "domains": [], "notices": told}
        )

    for domain in cycle.desired.domains.values():
        for disk in domain.disks:
            target = disk.backing.target
            observed: str | None = None
            if isinstance(disk.backing, LogicalVolume) and not isinstance(cycle.observed.storage, Unavailable):
                present = cycle.observed.storage.volumes.get((disk.backing.vg, disk.backing.lv))
                observed = str(present.size) if present else None
                if present and present.pool:
                    pool = cycle.observed.storage.volumes.get((present.vg, present.pool))
                    users = row_of(volume_target(present.vg, present.pool), str(pool.size) if pool else None)["domains"]
                    users += [domain.name] if domain.name not in users else []
            elif not isinstance(cycle.observed.paths, Unavailable):
                facts = cycle.observed.paths.get(disk.backing.path)
                observed = (str(facts.size) if facts.size.bytes else str(facts.kind)) if facts else None
            row = row_of(target, observed)
            row["desired"] = str(disk.size) if disk.size is not None else row["desired"]
            row["domains"].append(domain.name)
    return [rows[target] for target in sorted(rows)]


def _bridges(cycle: Cycle, notes: Mapping[Target, list[str]]) -> list[dict[str, Any]]:
    network = cycle.observed.network
    rows = []
    for name in cycle.desired.bridges:
        known = not isinstance(network, Unavailable)
        ports = list(network.ports(name)) if not isinstance(network, Unavailable) else []
        there = not isinstance(network, Unavailable) and name in network.links
        rows.append(
            {
                "name": name,
                "observed": ("present" if there else "missing") if known else "unknown",
                "ports": ports,
                "notices": list(notes.get(bridge(name), ())),
            }
        )
    return rows


_SESSIONS = {LOGGED_IN: "logged in", None: "not logged in"}


def _iscsi(cycle: Cycle, notes: Mapping[Target, list[str]]) -> list[dict[str, Any]]:
    """Those declared, and those that there is something to say of though their section has vanished."""
    facts, declared = cycle.observed.iscsi, cycle.desired.iscsi
    rows = []
    for name in sorted({*declared, *(target.name for target in notes if target.kind is Kind.ISCSI)}):
        node = declared[name].node if name in declared else None
        state = "unknown"
        if node is not None and not isinstance(facts, Unavailable):
            state = _SESSIONS.get(facts.state(name), "lost")
        rows.append(
            {
                "name": name,
                "portal": None if node is None else str(node.portal),
                "target": None if node is None else node.iqn,
                "observed": state,
                "notices": list(notes.get(iscsi(name), ())),
            }
        )
    return rows
