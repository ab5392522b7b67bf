"""`xenlocal rehearse` in a process of its own: it takes some memory and seconds of a CPU, which the daemon is not to
keep, nor to have its guests wait for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xenlocal.adapters.command import Runner
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.names import THIS_HOST, Target, domain
from xenlocal.model.plan import Notice

_NICE = ("nice", "-n", "19")
_TIMEOUT = 120.0  # seconds
_NOT_ALL_WELL = 5  # exit code of `rehearse`
_SHOWN_ANYWAY = "pending"  # `status` tells it by itself
_THIN = "durations"


class Rehearser:
    """Satisfies `engine.ports.Rehearser`. `myself`: what runs this command line once more."""

    def __init__(self, runner: Runner, myself: Sequence[str]) -> None:
        self._runner, self._argv = runner, (*_NICE, *myself, "rehearse", "--json")

    def rehearse(self) -> tuple[Notice, ...]:
        try:
            text = self._runner.run(self._argv, timeout=_TIMEOUT, ok=frozenset({0, _NOT_ALL_WELL}))
            return notices(json.loads(text))
        except CommandFailed as error:
            said = error.stderr.strip().partition("\n")[0].removeprefix("xenlocal: ")
            how = f"had no end after {_TIMEOUT:.0f} s" if error.status is None else f"ended with {error.status}"
            raise XenlocalError(said if said and error.status is not None else f"`xenlocal rehearse` {how}") from error
        except (ValueError, LookupError, TypeError) as error:
            raise XenlocalError(f"cannot understand what `xenlocal rehearse` printed: {error!r}") from error


def notices(data: Mapping[str, Any]) -> tuple[Notice, ...]:
    """What of a rehearsed reboot the administrator should know today. Raises LookupError, ValueError, TypeError."""
    return tuple(sorted({*_fates(data), *_findings(data)}))


def _fates(data: Mapping[str, Any]) -> Iterator[Notice]:
    for fate in data["domains"]:
        if fate["meant"] and not fate["well"]:
            text = f"a reboot of this host would not bring it back: {fate['reason']}"
            yield Notice(domain(fate["name"]), text)
        elif fate["meant"] and fate["reason"]:
            yield Notice(domain(fate["name"]), f"after a reboot of this host it {fate['reason']}")


def _findings(data: Mapping[str, Any]) -> Iterator[Notice]:
    thin = set()
    for finding in data["findings"]:
        target = Target.parse(finding["target"])
        if finding["kind"] == _THIN:
            thin.add(target.name)
        elif finding["kind"] != _SHOWN_ANYWAY:
            yield Notice(target, finding["text"])
    if thin:
        text = f"how long a reboot would take is partly a guess, nothing was learned yet of {', '.join(sorted(thin))}"
        yield Notice(THIS_HOST, f"{text}; `xenlocal rehearse` tells what")
