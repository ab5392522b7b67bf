"""How `doctor` and `capacity` look on a terminal. Pure: data in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xenlocal.model.inspection import Severity
from xenlocal.views import table

_GIB = 1 << 30


def check(data: Mapping[str, Any]) -> str:
    """Of valid files: what would keep a domU from starting here."""
    found = _worst_first(data["findings"])
    bad = "; not every domU can start on this host as it is:" if not data["ok"] else ""
    return "\n".join([f"the configuration is valid{bad}", *found])


def doctor(data: Mapping[str, Any]) -> str:
    """The worst first; of what is well only the codes."""
    findings = data["findings"]
    lines = _worst_first(findings)
    well = [finding["code"] for finding in findings if finding["severity"] == Severity.OK]
    lines += [f"fine: {', '.join(well)}"] if well else []
    counts = [f"{data[severity]} {severity}" for severity in ("critical", "warning", "unknown") if data[severity]]
    lines += ["", ", ".join(counts) if counts else "nothing is wrong that a doctor could see"]
    return "\n".join(lines)


def _worst_first(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for severity in Severity:
        if severity is not Severity.OK:
            for finding in findings:
                if finding["severity"] == severity:
                    lines.append(f"{severity.upper() if severity is Severity.CRITICAL else severity}: {_said(finding)}")
                    lines += [f"    next: {finding['next']}"] if finding["next"] else []
    return lines


def _said(finding: Mapping[str, Any]) -> str:
    return f"{finding['code']}: {finding['text']}"


def capacity(data: Mapping[str, Any]) -> str:
    head = ["", "TOTAL", "USED", "PROMISED", "MANUAL", "FREE NOW", "FREE AFTER BOOT", "LARGEST"]
    keys = ("total", "used", "promised", "promised_manual", "free", "free_after_boot", "largest")
    rows, notes = [], []
    if data["memory"] is not None:
        rows.append(_row("memory", data["memory"], keys))
        if data["memory"]["missing"]:
            missing = _size(data["memory"]["missing"])
            notes.append(f"not all domUs with state = running can run at once: {missing} of memory are missing")
        if data["memory"]["autoballoon"]:
            notes.append("autoballoon is on: the dom0 gives memory away, so FREE NOW says little; `xenlocal doctor`")
    rows += [_row(f"volume group {group['name']}", group, keys) for group in data["groups"] or ()]
    lines = table(head, rows) if rows else []
    notes += [f"unknown: {each['table']}: {each['why']}" for each in data["unavailable"]]
    notes += ["there is no volume group"] if data["groups"] == [] else []
    if rows:
        notes.append(
            "LARGEST: one more domU (one vCPU, beside dom0_reserve) or disk that fits now and after a full boot"
        )
    return "\n".join([*lines, *([""] if lines and notes else []), *notes])


def _row(name: str, part: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    return [name, *(_size(part[key]) for key in keys)]


def _size(count: int) -> str:
    """For people: three digits or more."""
    if count >= 10 * _GIB:
        return f"{count / _GIB:.1f}G"
    return f"{count >> 20}M"
