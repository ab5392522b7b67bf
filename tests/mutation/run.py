"""Runs the tests against each mutant, each in a process of its own that is forked from one with everything loaded.

A mutant in a function becomes the code of that function in the child (`Warm`); one in what runs at import needs a child
that has imported nothing of xenlocal yet (`cold`). Which tests are run is told by a first run of all of them under
coverage: those that reach the mutated lines, the quick and near ones first, until one fails. What a module's own tests
kill is tried with no others in the process: it is smaller, and forked the sooner.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NoReturn

import coverage
import pytest

from tests.mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
# What tests a mutant, in this order: the modules' own tests are a hundred times as quick.
OWN: Mapping[str, tuple[str, ...]] = {
    "xenlocal/planner/": ("tests/unit/planner",),
    "xenlocal/config/": ("tests/unit/config",),
    "xenlocal/adapters/": tuple(f"tests/unit/adapters/test_{name}.py" for name in ("argv", "conf", "probe")),
}
NEAR = tuple(place for places in OWN.values() for place in places)
FAR = ("tests/unit/engine", "tests/unit/app", "tests/unit/rehearsal")
_OWN_SECONDS, _OTHER_SECONDS = 3.0, 10.0  # of CPU: the first of its tests that take no longer together
_SLACK = 10  # seconds of CPU that a mutant may take beside three times what the tests took
_WALL = 120  # seconds after which one that waits is ended
_MEMORY = 2 << 30
_OPTIONS = (
    "-o",
    "addopts=--import-mode=importlib",
    "-p",
    "no:terminal",
    "-p",
    "no:cacheprovider",
    "--capture=no",
    "--assert=plain",
)
_KILLED, _SURVIVED, _NOT_APPLIED, _NO_TESTS = 3, 0, 4, 5


def own_tests(path: str) -> tuple[str, ...]:
    return next(tests for prefix, tests in OWN.items() if path.startswith(prefix))


@dataclass(frozen=True)
class Reach:
    """Which tests reach which line, and how long each takes. Tests are node ids, in the order they are collected."""

    lines: Mapping[str, Mapping[int, Sequence[str]]]
    seconds: Mapping[str, float]

    def of(self, path: str, lines: range) -> set[str]:
        return {test for line in lines for test in self.lines.get(path, {}).get(line, ())}

    def of_file(self, path: str) -> set[str]:
        return {test for tests in self.lines.get(path, {}).values() for test in tests}

    def own(self, tests: set[str], path: str) -> list[str]:
        """Those of the module's own that are tried first."""
        return self._first({test for test in tests if test.startswith(own_tests(path))}, path, _OWN_SECONDS)

    def others(self, tests: set[str], path: str) -> list[str]:
        """Those that are tried on what the former leave."""
        return self._first(tests - set(self.own(tests, path)), path, _OTHER_SECONDS)

    def _first(self, tests: set[str], path: str, seconds: float) -> list[str]:
        """The ones named after the module, then the quick ones; not all where that would take too long: what
        everything runs through is not often noticed by what was not written for it."""
        found: list[str] = []
        left, named = seconds, f"/test_{Path(path).stem}.py"

        def rank(test: str) -> tuple[bool, float, str]:
            return named not in test, self.seconds.get(test, 0.0), test

        for test in sorted(tests, key=rank):
            left -= self.seconds.get(test, 0.0)
            if left >= 0 or not found:
                found.append(test)
        return found


@dataclass(frozen=True)
class Verdict:
    """`by`: the test that failed. `killed` by nobody: it ran out of time."""

    id: str
    killed: bool
    by: str
    seconds: float


Record = Callable[[Verdict], None]


def in_child(work: Callable[[Callable[[bytes], None]], int], cpu: float) -> tuple[int | None, str]:
    """Exit status and what the child told; None where it was ended because it took too long or too much."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _be_the_child(lambda: work(lambda told: _tell(writing, told)), cpu)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return (os.WEXITSTATUS(status) if os.WIFEXITED(status) else None), told.decode()


def _tell(descriptor: int, told: bytes) -> None:
    os.write(descriptor, told)


def _be_the_child(work: Callable[[], int], cpu: float) -> NoReturn:
    status = 70
    try:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1) if os.environ.get("MUTATION_DEBUG") else (0, 1, 2):
            os.dup2(nothing, descriptor)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_WALL)
        signal.setitimer(signal.ITIMER_PROF, cpu)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.RLIM_INFINITY))
        status = work()
    finally:
        os._exit(status)


class FirstFailure:
    """Ends the process at the first test that fails, and tells which it was."""

    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self.tell = tell

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Before pytest makes a report of it: that takes longer than most tests."""
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            self.tell(item.nodeid.encode())
            os._exit(_KILLED)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.tell(b"collection")
            os._exit(_KILLED)


class Warm:
    """Inside of one run of pytest, with every test collected and every module imported. `last`: the module's own tests
    have been tried, and what survives has survived; else it is left, as what cannot be tried here is."""

    def __init__(
        self, mutants: Sequence[Mutant], hints: Mapping[str, str], data: Path, record: Record, last: bool
    ) -> None:
        self.mutants, self.hints, self.data, self.record, self.last = mutants, hints, data, record, last
        self.left: list[Mutant] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests could not be collected")
        items = {item.nodeid: item for item in session.items}
        reach = _reach(self.data, items)
        functions = _functions()
        gc.collect()
        gc.freeze()  # what is there now is never looked at again, so the children share its memory
        for number, mutant in enumerate(self.mutants, 1):
            found = reach.of(mutant.path, mutant.lines)
            tests = (reach.others if self.last else reach.own)(found, mutant.path)
            if not tests:
                self.left.append(mutant)
                continue
            if mutant.id in self.hints and self.hints[mutant.id] in items:
                tests.insert(0, self.hints[mutant.id])
            verdict = self._try(mutant, [items[test] for test in tests], reach, functions)
            if verdict is None or not (verdict.killed or self.last):
                self.left.append(mutant)
            else:
                self.record(verdict)
            if number % 100 == 0:
                print(f"{number} of {len(self.mutants)}", flush=True)
        return True

    def _try(
        self, mutant: Mutant, items: list[pytest.Item], reach: Reach, functions: Mapping[str, list[FunctionType]]
    ) -> Verdict | None:
        def work(tell: Callable[[bytes], None]) -> int:
            mutant.apply()
            if not _swap(mutant, functions.get(mutant.path, [])):
                return _NOT_APPLIED
            manager = items[0].config.pluginmanager
            manager.unregister(self)
            manager.register(FirstFailure(tell))
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            return _SURVIVED

        begun = time.monotonic()
        cpu = 3 * sum(reach.seconds.get(item.nodeid, 0.0) for item in items) + _SLACK
        status, by = in_child(work, cpu)
        if status == _NOT_APPLIED:
            return None
        if status not in (None, _KILLED, _SURVIVED):
            raise AssertionError(f"{mutant.id}: a child ended with {status}")
        return Verdict(mutant.id, status != _SURVIVED, by, time.monotonic() - begun)


def _reach(data: Path, items: Mapping[str, pytest.Item]) -> Reach:
    """From a run of all tests, or from an earlier one of the same."""
    if not data.exists():
        print(f"which of {len(items)} tests reach which line", flush=True)
        status, told = in_child(lambda tell: _measure(data, items, tell), 3600)
        if status != 0:
            raise AssertionError(f"the tests do not even pass as they are: {told}")
    found = json.loads(data.read_text("utf-8"))
    names = found["tests"]
    lines = {
        path: {int(line): [names[number] for number in numbers] for line, numbers in each.items()}
        for path, each in found["lines"].items()
    }
    return Reach(lines, found["seconds"])


def _measure(data: Path, items: Mapping[str, pytest.Item], tell: Callable[[bytes], None]) -> int:
    signal.alarm(3600)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # it notes all of them
    measured = coverage.Coverage(data_file=None, source=[str(ROOT / "xenlocal")], branch=False, config_file=False)
    listed = list(items.values())
    listed[0].config.pluginmanager.register(FirstFailure(tell))
    seconds = {}
    measured.start()
    for item, following in zip(listed, [*listed[1:], None], strict=True):
        measured.switch_context(item.nodeid)
        begun = time.process_time()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        seconds[item.nodeid] = time.process_time() - begun
    measured.stop()
    told = measured.get_data()
    number = {name: index for index, name in enumerate(items)}
    lines = {
        os.path.relpath(path, ROOT): {
            line: [number[test] for test in tests if test in number]
            for line, tests in told.contexts_by_lineno(path).items()
        }
        for path in told.measured_files()
    }
    data.write_text(json.dumps({"tests": list(items), "seconds": seconds, "lines": lines}), "utf-8")
    return 0


def _functions() -> dict[str, list[FunctionType]]:
    """Every function there is, by the file that it comes from: also closures, and those below a decorator."""
    found: dict[str, list[FunctionType]] = {}
    prefix = str(ROOT) + os.sep
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(prefix):
            found.setdefault(thing.__code__.co_filename.removeprefix(prefix), []).append(thing)
    return found


def _swap(mutant: Mutant, functions: Sequence[FunctionType]) -> bool:
    """Give the functions of the module the code of the mutant. False where it cannot be done."""
    new = {_key(code): code for code in _codes(mutant.code())}
    swapped = False
    for function in functions:
        code = new.get(_key(function.__code__))
        if code is None or code == function.__code__:
            continue
        if code.co_freevars != function.__code__.co_freevars:
            return False
        function.__code__ = code
        swapped = True
    return swapped


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutated module instead of its file."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.name = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, ROOT / self.mutant.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(self.mutant.code(), module.__dict__)


class _Only:
    """Of what is collected, these tests, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.order = {test: number for number, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order), key=lambda item: self.order[item.nodeid]
        )


def cold(mutant: Mutant, hint: str | None, reach: Reach) -> Verdict:
    """For one that takes effect while modules are imported."""
    tests = _tests_of_import(mutant, reach)
    near, far = reach.own(tests, mutant.path), reach.others(tests, mutant.path)
    if hint in tests:
        near.insert(0, hint)
    begun = time.monotonic()
    by = ""
    for chosen in (near[:1] if hint else [], near, far):
        if not chosen:
            continue
        status, by = in_child(_cold_work(mutant, chosen), 3 * sum(reach.seconds.get(test, 0.0) for test in chosen) + 30)
        if status not in (None, _KILLED, _SURVIVED):
            raise AssertionError(f"{mutant.id}: a child ended with {status}")
        if status != _SURVIVED:
            return Verdict(mutant.id, True, by, time.monotonic() - begun)
    return Verdict(mutant.id, False, "", time.monotonic() - begun)


def _cold_work(mutant: Mutant, tests: Sequence[str]) -> Callable[[Callable[[bytes], None]], int]:
    def work(tell: Callable[[bytes], None]) -> int:
        mutant.apply()
        sys.meta_path.insert(0, _Finder(mutant))
        files = sorted({test.split("::")[0] for test in tests})
        try:
            status = pytest.main([*_OPTIONS, *files], plugins=[FirstFailure(tell), _Only(tests)])
        except BaseException as error:
            tell(repr(error).encode())
            return _KILLED
        return _SURVIVED if status == 0 else _KILLED

    return work


def _tests_of_import(mutant: Mutant, reach: Reach) -> set[str]:
    """Those that run a function in which a name stands that the statement binds; without any, all that run the file."""
    found: set[str] = set()
    for path in reach.lines:
        if path.startswith(("xenlocal/planner", "xenlocal/config", "xenlocal/adapters", "xenlocal/engine")):
            for number, line in enumerate((ROOT / path).read_text("utf-8").split("\n"), 1):
                if any(name in line for name in mutant.names):
                    found |= reach.of(path, range(number, number + 1))
    return found or reach.of_file(mutant.path) or set(reach.seconds)


def warm_up() -> None:
    """Before xenlocal is imported: what every child needs. Property tests find what they find at once and the same each
    time; that their example is a small one matters to nobody here."""
    import hypothesis

    profile = hypothesis.settings(
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.register_profile("mutation", profile)
    hypothesis.settings.load_profile("mutation")


def run(
    paths: Sequence[str], chosen: Callable[[str], bool], hints: Mapping[str, str], data: Path, record: Record
) -> None:
    """Try each mutant of these files that is chosen by its id."""
    warm_up()
    mutants = [mutant for path in paths for mutant in mutants_of(path, (ROOT / path).read_text("utf-8"))]
    mutants = [mutant for mutant in mutants if chosen(mutant.id)]
    left = [mutant for mutant in mutants if mutant.scope]
    for number, (prefix, tests) in enumerate(OWN.items()):
        own = [mutant for mutant in left if mutant.path.startswith(prefix)]
        others = [mutant for mutant in left if not mutant.path.startswith(prefix)]
        left = others + (_warm(own, tests, hints, data.with_suffix(f".{number}.json"), record) if own else [])
    cold_ones = [mutant for mutant in mutants if not mutant.scope]
    if left or cold_ones:
        cold_ones += _warm(left, (*NEAR, *FAR), hints, data, record, last=True)
        reach = _reach(data, {})
        for mutant in cold_ones:
            record(cold(mutant, hints.get(mutant.id), reach))


def _warm(
    mutants: Sequence[Mutant],
    tests: Sequence[str],
    hints: Mapping[str, str],
    data: Path,
    record: Record,
    last: bool = False,
) -> list[Mutant]:
    """Those of the mutants that are left."""
    left_file = data.with_suffix(".left")
    child = os.fork()
    if not child:
        status = 70
        try:
            warm = Warm(mutants, hints, data, record, last)
            status = int(pytest.main([*_OPTIONS, *tests], plugins=[warm]))
            left_file.write_text(json.dumps([mutant.id for mutant in warm.left]), "utf-8")
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status:
        raise AssertionError("pytest itself failed")
    left = set(json.loads(left_file.read_text("utf-8")))
    return [mutant for mutant in mutants if mutant.id in left]
