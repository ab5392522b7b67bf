"""A runner that knows what it will be asked, and fails on anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.trials import Trials
from xenlocal.model.observed import PathFacts

Answer = str | BaseException


class ScriptedRunner:
    """Answers `(argv, answer)` in order; an answer that is an exception is raised."""

    def __init__(self, *script: tuple[Sequence[str], Answer]) -> None:
        self.script = [(tuple(argv), answer) for argv, answer in script]
        self.ran: list[tuple[str, ...]] = []
        self.timeouts: list[float] = []

    def run(
        self, argv: Sequence[str], *, timeout: float = 60, input: str | None = None, ok: frozenset[int] = frozenset({0})
    ) -> str:
        assert self.script, f"unexpected command {list(argv)}"
        expected, answer = self.script.pop(0)
        assert tuple(argv) == expected
        self.ran.append(tuple(argv))
        self.timeouts.append(timeout)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class TextFiles:
    """A FileReader of given texts."""

    def __init__(self, texts: Mapping[str, str], lines: tuple[tuple[str, ...], ...] = ()) -> None:
        self.texts, self.lines = texts, lines

    def paths(self, paths: Iterable[str]) -> Mapping[str, PathFacts]:
        return {}

    def head(self, path: str, size: int) -> bytes | None:
        text = self.texts.get(path)
        return None if text is None else text.encode("latin-1")[:size]

    def read_on(self, path: str, place: str, limit: int) -> tuple[str, str] | None:
        text = self.texts.get(path)
        return None if text is None else (f"1:{len(text)}", text[int(place.partition(":")[2] or 0) :])

    def untrusted(self, path: str) -> str:
        return ""

    def command_lines(self) -> tuple[tuple[str, ...], ...]:
        return self.lines

    def names(self, path: str) -> tuple[str, ...]:
        return tuple(
            sorted({each[len(path) + 1 :].split("/")[0] for each in self.texts if each.startswith(f"{path}/")})
        )

    def read_text(self, path: str) -> str | None:
        return self.texts.get(path)


def _no_copy(_place: str, _name: str, _sources: Mapping[str, str], _still: Callable[[], bool]) -> None:
    raise AssertionError("nothing is to be copied here")


NO_TRIALS = Trials("/var/lib/xenlocal", read=TextFiles({}).read_text)
NO_KERNELS = Kernels("/var/lib/xenlocal", "/run/xenlocal", TextFiles({}), TextFiles({}), _no_copy, NO_TRIALS)
