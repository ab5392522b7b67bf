"""What becomes of the output of `xenlocal rehearse`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.adapters.scripted import Answer, ScriptedRunner
from xenlocal.adapters.rehearser import Rehearser
from xenlocal.model.errors import CommandFailed, XenlocalError

EMPTY: dict[str, Any] = {"domains": [], "findings": []}
ARGV = ("nice", "-n", "19", "me", "rehearse", "--json")


def fate(name: str, well: bool, meant: bool, reason: str) -> dict[str, Any]:
    return {"name": name, "well": well, "meant": meant, "reason": reason}


def finding(target: str, kind: str, text: str) -> dict[str, Any]:
    return {"target": target, "kind": kind, "text": text}


def rehearsed(answer: Answer | dict[str, Any]) -> list[str]:
    text = json.dumps(answer) if isinstance(answer, dict) else answer
    found = Rehearser(ScriptedRunner((ARGV, text)), ("me",)).rehearse()
    return [f"{notice.target}: {notice.text}" for notice in found]


def test_who_would_not_come_back_and_who_not_as_meant() -> None:
    fates = [
        fate("db", True, True, ""),
        fate("web", False, True, "kernel /boot/x does not exist"),
        fate("late", True, True, "comes up, but is not ready after 5m"),
        fate("off", False, False, "state = stopped"),
    ]
    assert rehearsed({**EMPTY, "domains": fates}) == [
        "domain/late: after a reboot of this host it comes up, but is not ready after 5m",
        "domain/web: a reboot of this host would not bring it back: kernel /boot/x does not exist",
    ]


def test_findings_but_what_status_says_by_itself_and_the_thin_ones_in_one_line() -> None:
    findings = [
        finding("host/this", "memory", "too much"),
        finding("domain/a", "monitor", "is gone"),
        finding("domain/a", "pending", "vcpus"),
        finding("domain/a", "durations", "nothing was learned"),
        finding("domain/a", "durations", "how long the work on its disk takes is not known"),
        finding("domain/b", "durations", "nothing was learned"),
    ]
    assert rehearsed({**EMPTY, "findings": findings}) == [
        "domain/a: is gone",
        "host/this: how long a reboot would take is partly a guess, nothing was learned yet of a, b;"
        " `xenlocal rehearse` tells what",
        "host/this: too much",
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (CommandFailed(ARGV, 1, "xenlocal: cannot rehearse: storage unknown: lvm hangs\n"), "cannot rehearse: storage"),
        (CommandFailed(ARGV, -9, ""), "`xenlocal rehearse` ended with -9"),
        (CommandFailed(ARGV, None, "no end after 120 s"), "`xenlocal rehearse` had no end after 120 s"),
        ("", "cannot understand what `xenlocal rehearse` printed"),
        ("[1]", "cannot understand"),
        ('{"domains": [{}], "findings": []}', "cannot understand"),
        ('{"domains": [], "findings": [{"target": "moon/x", "kind": "memory", "text": ""}]}', "cannot understand"),
    ],
)
def test_what_cannot_be_known_is_said(answer: Answer, why: str) -> None:
    with pytest.raises(XenlocalError) as error:
        rehearsed(answer)
    assert why in str(error.value)
