"""`doctor` and `capacity`: look at everything once, ask the planner what it means, and tell it as data (JSON schema 1).

With `app` and `rehearsal` part of the composition. Nothing here changes anything, and the daemon is not asked: what is
wrong with the host is to be known also where no daemon runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, fields
from functools import partial
from typing import Any

from xenlocal.adapters.inspection import Inspector
from xenlocal.engine.observe import known_or_why, look_at_all
from xenlocal.model.desired import Desired
from xenlocal.model.inspection import Capacity, Code, Facts, Severity
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.units import Size
from xenlocal.parts import Parts
from xenlocal.planner.capacity import capacity
from xenlocal.planner.checkup_guests import GUEST_CODES
from xenlocal.planner.doctor import diagnose
from xenlocal.planner.patient import Patient

SCHEMA = 1
ALL = tuple(field.name for field in fields(Facts))
BOOTING = ("menus", "kernels", "modules")  # of what the files declare
STARTING = (*BOOTING, "usb")
_NOT_ASKED = Unavailable("nobody has asked")
_NOT_WELL = (Severity.CRITICAL, Severity.WARNING, Severity.UNKNOWN)


def examine(what: str, parts: Parts) -> dict[str, Any]:
    """`what`: doctor, capacity, or check: what would keep a domU of the files from starting, and no more."""
    configuration, host = parts.configuration(), parts.host(live=False)
    configuration.load(keep=False)
    desired, reader, inspector = configuration.in_force, host.reader, host.inspector
    if what == "capacity":
        domains, storage, hardware = (known_or_why(call) for call in (reader.domains, reader.storage, reader.hardware))
        observed = Observed(domains=domains, storage=storage, hardware=hardware)
        return _capacity_data(capacity(desired, observed, known_or_why(inspector.groups)))
    verdict = configuration.verdict
    observed = look_at_all(reader, desired)
    facts = look(inspector, desired, observed, STARTING if what == "check" else ALL)
    patient = Patient(desired, observed, facts, verdict.problems, verdict.instead)
    findings = diagnose(patient, GUEST_CODES if what == "check" else tuple(Code))
    count = Counter(finding.severity for finding in findings)
    return {
        "schema": SCHEMA,
        "ok": not any(count[severity] for severity in _NOT_WELL),
        **{str(severity): count[severity] for severity in _NOT_WELL},
        "findings": [asdict(finding) for finding in findings],
    }


def look(inspector: Inspector, desired: Desired, observed: Observed, wanted: Collection[str] = ALL) -> Facts:
    """Every fact that is wanted, one after the other in the calling thread."""
    calls = {name: getattr(inspector, name) for name in wanted}
    calls |= {"menus": partial(inspector.menus, desired), "kernels": partial(inspector.kernels, desired)}
    calls |= {"modules": partial(inspector.modules, desired, observed)}
    return Facts(**{name: known_or_why(calls[name]) if name in wanted else _NOT_ASKED for name in ALL})


def _capacity_data(found: Capacity) -> dict[str, Any]:
    """Sizes in bytes; what could not be found out is null, and `unavailable` says why."""
    memory, groups = found.memory, found.groups
    parts = {"memory": memory, "groups": groups}
    unknown = {name: part.why for name, part in parts.items() if isinstance(part, Unavailable)}
    return {
        "schema": SCHEMA,
        "ok": not unknown,
        "memory": None if isinstance(memory, Unavailable) else _plain(memory),
        "groups": None if isinstance(groups, Unavailable) else [_plain(group) for group in groups],
        "unavailable": [{"table": name, "why": why} for name, why in unknown.items()],
    }


def _plain(part: Any) -> dict[str, Any]:
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return {key: value.bytes if isinstance(value, Size) else value for key, value in values.items()}
