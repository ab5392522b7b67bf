"""How things look on a terminal, and the JSON shapes of `check` and `plan`. Pure: data in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xenlocal.model.clock import length, moment
from xenlocal.model.conffiles import Problem
from xenlocal.model.plan import Goal, Plan
from xenlocal.model.text import printable


def problem(data: Mapping[str, Any]) -> str:
    """`web.conf:7: domain web: unknown key ...`"""
    return str(Problem(data["file"], data["line"], data["section"], data["key"], data["message"]))


def check(data: Mapping[str, Any]) -> str:
    problems = data["problems"]
    if not problems:
        return "the configuration is valid"
    lines = [problem(each) for each in problems]
    return "\n".join(
        [*lines, f"{len(lines)} problem{'s' if len(lines) > 1 else ''}; nothing of these files is applied"]
    )


def plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "schema": 1,
        "goal": str(plan.goal),
        "steps": [
            {
                "id": step.id,
                "verb": step.action.verb,
                "target": str(step.action.target),
                "reason": step.reason,
                "needs": sorted({*step.needs, *step.after}),
            }
            for step in plan.steps
        ],
        "refusals": [{"target": str(refusal.target), "reason": refusal.reason} for refusal in plan.refusals],
        "unavailable": [{"table": table, "why": why} for table, why in plan.unavailable],
    }


def plan(data: Mapping[str, Any]) -> str:
    lines = []
    for number, step in enumerate(data["steps"], 1):
        lines.append(f"{number:3}. {step['verb']} {step['target']}: {step['reason']}")
        if step["needs"]:
            lines.append(f"     once done: {', '.join(step['needs'])}")
    lines += [f"refused: {refusal['target']}: {refusal['reason']}" for refusal in data["refusals"]]
    lines += [f"unknown: {table['table']}: {table['why']}" for table in data["unavailable"]]
    nothing = "no guest is left to stop" if data["goal"] == Goal.SHUTDOWN else "the host is as the files say"
    return "\n".join(lines) or f"{nothing}; nothing to do"


def plan_sh(plan: Plan, scripts: Mapping[str, Sequence[str]]) -> str:
    """A shell script that does by hand what `apply` would do, step by step."""
    parts = ["#!/bin/sh\nset -e\n"]
    for step in plan.steps:
        parts.append(f"\n# {printable(f'{step.id}: {step.reason}')}\n")
        parts.append("".join(line + "\n" for line in scripts[step.id]))
    for table, why in plan.unavailable:
        parts.append(f"\n# unknown: {printable(' '.join(f'{table}: {why}'.split()))}\n")
    for refusal in plan.refusals:
        parts.append(f"\n# refused: {printable(' '.join(f'{refusal.target}: {refusal.reason}'.split()))}\n")
    return "".join(parts)


def status(data: Mapping[str, Any]) -> str:
    lines = [f"host: {data['host']['state']}; {data['host']['summary']}"]
    lines += [problem(each) for each in data["problems"]]
    rows = [
        [
            row["name"],
            row["desired"],
            row["observed"],
            "-" if row["domid"] is None else str(row["domid"]),
            "yes" if row["ready"] else "-",
            row["since"] or "-",
        ]
        for row in data["domains"]
    ]
    if rows:
        lines += ["", *table(["DOMAIN", "DESIRED", "OBSERVED", "DOMID", "READY", "SINCE"], rows)]
    notes = [f"host: {note}" for note in data["host"]["notices"]]
    notes += [
        f"{kind}{row['name']}: {note}"
        for kind, part in (("domain/", "domains"), ("", "volumes"), ("bridge/", "bridges"), ("iscsi/", "iscsi"))
        for row in data[part]
        for note in row["notices"]
    ]
    if notes:
        lines += ["", *dict.fromkeys(notes)]
    return "\n".join(lines)


def one_domain(data: Mapping[str, Any]) -> str:
    lines = []
    for row in data["domains"]:
        lines.append(f"domain/{row['name']}")
        for key in ("desired", "observed", "domid", "ready", "since"):
            value = row[key]
            shown = "-" if value is None else ("yes" if value else "no") if isinstance(value, bool) else value
            lines.append(f"  {key:9} {shown}")
        lines += [f"  {note}" for note in row["notices"]]  # what is pending is one of them
        for volume in data["volumes"]:
            if row["name"] in volume["domains"]:
                notes = "".join(f"; {note}" for note in volume["notices"])
                lines.append(f"  {volume['name']} {volume['observed'] or 'missing'}{notes}")
    return "\n".join(lines)


def trash(data: Mapping[str, Any]) -> str:
    rows = [[row["name"], row["was"], row["size"], row["since"], row["keep_until"]] for row in data["trash"]]
    if not rows:
        return "the trash is empty"
    return "\n".join(table(["VOLUME", "WAS", "SIZE", "SINCE", "KEPT UNTIL"], rows))


def history(data: Mapping[str, Any]) -> str:
    """One line an entry, and below an action the commands it ran."""
    rows = data["entries"]
    width = max((len(row["target"]) for row in rows), default=0)
    lines = []
    for row in rows:
        text = row["text"] if row["kind"] == "event" else _deed(row)
        lines.append(f"{moment(row['unix'])}  {row['target'].ljust(width)}  {text}")
        lines += [f"{' ' * (23 + width)}$ {line}" for line in _shown(row.get("commands", ()))]
    return "\n".join(lines) or "nothing is recorded"


def why(data: Mapping[str, Any]) -> str:
    first, *rest = data["sentences"]
    return "\n".join([f"domain/{data['name']}: {first}", *(f"  {sentence}" for sentence in rest)])


def blame(data: Mapping[str, Any]) -> str:
    took = "it has not come to its end" if data["seconds"] is None else length(data["seconds"])
    lines = [f"{data['goal']} of the guests, {moment(data['unix'])}: {took}"]
    lines += [data["message"]] if data["message"] else []
    if not data["path"]:
        return "\n".join([*lines, "nothing had to be done"])
    path = [
        [
            length(link["begin"]),
            length(link["seconds"]),
            length(link["waited"]) if link["waited"] >= 0.1 else "-",
            link["step"],
        ]
        for link in data["path"]
    ]
    lines += ["", "what the end waited for:", *table(["BEGAN AFTER", "TOOK", "IDLE BEFORE", "STEP"], path)]
    rows = [
        [part["name"], length(part["begin"]), length(part["seconds"]), _usual(part["usual"]), part["result"]]
        for part in data["domains"]
    ]
    lines += ["", *table(["DOMAIN", "BEGAN AFTER", "TOOK", "USUALLY", "RESULT"], rows)] if rows else []
    lines += ["", f"had to be destroyed: {', '.join(data['forced'])}"] if data["forced"] else []
    return "\n".join(lines)


def rehearsal(data: Mapping[str, Any]) -> str:
    lines = ["nothing is touched: this is played on a simulated host, with the times learned on this one"]
    for phase in data["phases"]:
        lines += ["", f"{phase['name']}: {length(phase['seconds'])}"]
        rows = [
            [_second(part["begin"]), _second(part["end"]), part["target"], part["what"], part["result"]]
            for part in phase["timeline"]
        ]
        lines += table(["FROM", "TO", "OBJECT", "WHAT", "RESULT"], rows) if rows else ["nothing has to be done"]
        path = [f"{link['step']} ({length(link['seconds'])})" for link in phase["path"]]
        lines += [f"its end waits for: {', then '.join(path)}"] if path else []
        lines += [f"had to be destroyed: {', '.join(phase['forced'])}"] if phase["forced"] else []
    lines += ["", *_fates(data["what"], data["domains"])]
    lines += ["", *(f"{finding['target']}: {finding['text']}" for finding in data["findings"])]
    return "\n".join(lines)


def _fates(what: str, domains: Sequence[Mapping[str, Any]]) -> list[str]:
    verb, never = {
        "reboot": ("come back", "stays off"),
        "start": ("be on and ready", ""),
        "stop": ("be off", ""),
    }[what]
    meant = [fate for fate in domains if fate["meant"]]
    well = [fate["name"] for fate in meant if fate["well"]]
    lines = [f"{len(well)} of {len(meant)} domUs would {verb}" + (f": {', '.join(well)}" if well else "")]
    lines += [f"would NOT {verb}: domain/{fate['name']}: {fate['reason']}" for fate in meant if not fate["well"]]
    lines += [f"domain/{fate['name']}: {fate['reason']}" for fate in meant if fate["well"] and fate["reason"]]
    lines += [f"{never}: domain/{fate['name']}: {fate['reason']}" for fate in domains if not fate["meant"]]
    return lines


def _second(seconds: float) -> str:
    return f"{seconds:.1f} s".rjust(8)


def graph(data: Mapping[str, Any]) -> str:
    """Each below what it waits for; one that waits for several shows what follows it only once."""
    rows = {row["name"]: row for row in data["domains"]}
    followers: dict[str, list[tuple[str, str]]] = {}
    for name, row in rows.items():
        for other in dict.fromkeys((*row["needs"], *row["after"])):
            followers.setdefault(other, []).append((name, "needs" if other in row["needs"] else "after"))
    shown: set[str] = set()

    def below(name: str, indent: str) -> list[str]:
        lines = []
        for follower, how in followers.get(name, []):
            again = follower in shown and follower in followers
            lines.append(f"{indent}{_titled(rows[follower])} ({how} {name})" + (" ..." if again else ""))
            if not again:
                shown.add(follower)
                lines += below(follower, f"{indent}  ")
        return lines

    lines = []
    things = sorted(followers.keys() - rows.keys())
    for name in (*things, *(name for name, row in rows.items() if not row["needs"] and not row["after"])):
        lines += [_titled(rows[name]) if name in rows else name, *below(name, "  ")]
    return "\n".join(lines) or "no domU is declared"


def _titled(row: Mapping[str, Any]) -> str:
    return str(row["name"]) if row["state"] == "running" else f"{row['name']}, {row['state']}"


def _usual(seconds: float | None) -> str:
    return "-" if seconds is None else length(seconds)


def _shown(commands: Sequence[str]) -> list[str]:
    """Without the file that is written first, and what each command is only wrapped in."""
    files = [number for number, line in enumerate(commands, 1) if "\n" in line]
    return [line.partition(" -- ")[2] or line for line in commands[max(files, default=0) :]]


def _deed(row: Mapping[str, Any]) -> str:
    took = length(row["seconds"])
    how = f"{row['outcome']}, {took}" if row["outcome"] == "done" else f"{row['outcome'].upper()} after {took}"
    return f"{row['what']}: {row['reason']}; {how}" + (f": {row['message']}" if row["message"] else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *rows)
    ]
