"""What a simulated command answers, and the ways it can say no."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    stdout: str = ""
    stderr: str = ""
    status: int = 0


class UnknownCommand(AssertionError):
    """The simulator does not know this argv. A mistake of the program or a gap of the simulator, never an answer
    of a tool."""

    def __init__(self, argv: Sequence[str], why: str = "") -> None:
        super().__init__(f"the simulated dom0 does not know the command {list(argv)}" + (f": {why}" if why else ""))


class Refused(Exception):
    """The tool ends with `status` and this on stderr."""

    def __init__(self, stderr: str, status: int = 1) -> None:
        super().__init__(stderr)
        self.stderr, self.status = stderr, status


def split_options(
    argv: Sequence[str], flags: Collection[str], valued: Collection[str], start: int = 1
) -> tuple[dict[str, list[str]], list[str]]:
    """GNU-style options from argv[start:]: ({option: its values}, other arguments). An unlisted option raises
    UnknownCommand: the simulator must not pass over what it does not model."""
    options: dict[str, list[str]] = {}
    rest: list[str] = []
    index = start
    while index < len(argv):
        word = argv[index]
        index += 1
        if word == "--":
            rest += argv[index:]
            break
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            rest.append(word)
        elif name in flags and not equals:
            options.setdefault(name, []).append("")
        elif name in valued:
            if not equals:
                if index == len(argv):
                    raise UnknownCommand(argv, f"{name} without a value")
                value, index = argv[index], index + 1
            options.setdefault(name, []).append(value)
        else:
            raise UnknownCommand(argv, f"option {word}")
    return options, rest
