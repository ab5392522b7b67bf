"""Errors named after who must act. Their texts start with "cannot" or name the thing that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from xenlocal.model.conffiles import ConfigFile, Problem


class XenlocalError(Exception):
    """Every error xenlocal raises on purpose."""


class ConfigError(XenlocalError):
    """The administrator must edit a file. `readable`: the files beside those with these problems, which nobody has
    looked into yet: they may have more."""

    def __init__(self, problems: Sequence[Problem], readable: Sequence[ConfigFile] = ()) -> None:
        self.problems, self.readable = tuple(problems), tuple(readable)
        super().__init__("; ".join(str(problem) for problem in problems))


class ConfigUnsettled(ConfigError):
    """Nobody must act: a file is just being written, and its end may not be announced. Worth another look soon."""


class ToolMissing(XenlocalError):
    """A package must be installed."""


class NoDom0(XenlocalError):
    """The machine must be booted into Xen: nothing that is tried again helps before."""


class CommandFailed(XenlocalError):
    """A tool said no. `status` is its exit code, negative for a signal, None when it ran into its deadline. `stdout`:
    what it had printed before."""

    def __init__(self, argv: Sequence[str], status: int | None, stderr: str, stdout: str = "") -> None:
        self.argv, self.status, self.stderr, self.stdout = tuple(argv), status, stderr, stdout
        how = "timed out" if status is None else f"exit {status}"
        words = self.argv[self.argv.index("--") + 1 :] if "--" in self.argv else self.argv  # what is only wrapped
        super().__init__(f"cannot run '{' '.join(words)[:200]}' ({how}): {_shortened(stderr) or 'no message'}")


def _shortened(stderr: str) -> str:
    """One line. A tool names the cause first, libxl above all, and what it gave up in the end."""
    said = " ".join(stderr.split())
    return said if len(said) <= 500 else f"{said[:350]} ... {said[-140:]}"


class Temporary(XenlocalError):
    """Nobody must act: it is worth trying again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)
