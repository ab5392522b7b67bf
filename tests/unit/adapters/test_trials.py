"""STATE/trials.json, and what the actuator does with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.adapters.scripted import ScriptedRunner, TextFiles
from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.files import Files
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.kernels import Kernels, copy_whole
from xenlocal.adapters.trials import Trials
from xenlocal.model.actions import BeginTrial, EndTrial, FailTrial, StartDomain
from xenlocal.model.desired import LogicalVolume
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.trial import Trial
from xenlocal.planner.kernels import copy_name
from xenlocal.planner.update import Kernel, list_of_modules

NEW, OLD = (f"vmlinuz-6.{each}.0a1b2c3d.{each:016x}-0a1b2c3d" for each in (2, 1))
TRIAL = Trial("web", "u-web", "6.1", NEW, OLD)
ALONE = Trial("db", "u-db", "6.1", NEW, None, "crashed")
MARK = ("lvchange", "--addtag", "xenlocal-modules", "vg0/web")


class Place:
    def __init__(self, at: Path) -> None:
        self.at, self.kernel, self.trials = at, at / "vmlinuz", Trials(str(at / "state"))
        self.kernel.write_bytes(b"kernel")
        self.paths = (str(self.kernel),)
        self.copy = copy_name(self.paths, Files().paths(self.paths))

    def actuator(self, *script: tuple[tuple[str, ...], str | Exception]) -> HostActuator:
        state, run = str(self.at / "state"), str(self.at / "run")
        kernels = Kernels(state, run, Files(), Files(), copy_whole, self.trials)
        return HostActuator(ScriptedRunner(*script), run, True, Identities(state), kernels)

    def begin(self, copy: str | None = None) -> BeginTrial:
        trial = replace(TRIAL, copy=self.copy if copy is None else copy)
        return BeginTrial(trial, LogicalVolume("vg0", "web"), self.paths)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_is_kept_of_trials(place: Place) -> None:
    assert place.trials.all() == {}
    for trial in (TRIAL, ALONE, replace(TRIAL, failed="crashed")):
        place.trials.put(trial)
    again = Trials(str(place.at / "state"))
    assert again.all() == {"u-web": replace(TRIAL, failed="crashed"), "u-db": ALONE}
    again.forget("u-web")
    assert place.trials.all() == {"u-db": ALONE} and Path(again.path).stat().st_mode & 0o777 == 0o600


def broken() -> list[str]:
    row: Mapping[str, object] = {"name": "a", "uuid": "u", "release": "6", "copy": NEW, "before": None, "failed": ""}
    rows = [{}, {**row, "copy": None}, {**row, "release": 6}, {key: row[key] for key in row if key != "failed"}]
    odd = ("", "..", "../../boot/x", f"{NEW}.new", f'{NEW}"\nkernel = "/x', f"{NEW}\n", f"../{NEW}")
    rows += [{**row, key: each} for key in ("copy", "before") for each in odd]
    rows += [{**row, "release": each} for each in ("", "..", "../etc", "6 1", "-x", "6\n")]
    texts = ["", "[]", "{}", "[" * 100_000, *(json.dumps({"schema": 1, "trials": [each]}) for each in rows)]
    return [*texts, json.dumps({"schema": 2, "trials": []}), json.dumps({"trials": [row]})]


@pytest.mark.parametrize("text", broken(), ids=range(len(broken())))
def test_what_cannot_be_understood_is_not_none(place: Place, text: str) -> None:
    path = Path(place.trials.path)
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    for ask in (place.trials.all, lambda: place.trials.put(TRIAL), lambda: place.trials.forget("u")):
        with pytest.raises(XenlocalError, match="cannot understand .*trials.json .*remove it"):
            ask()
    assert path.read_text() == text


def test_what_cannot_be_written_is_said(place: Place) -> None:
    def full(_path: str, _text: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(XenlocalError, match="cannot write .*trials.json: No space left on device"):
        Trials(str(place.at / "state"), write=full).put(TRIAL)


def test_a_trial_is_recorded_when_the_copy_and_the_mark_are_there_and_ends(place: Place) -> None:
    begin = place.begin()
    place.actuator((MARK, "")).perform(begin)
    assert place.trials.all() == {"u-web": begin.trial}
    assert (place.at / "state/kernels" / place.copy / "kernel").read_bytes() == b"kernel"
    failed = replace(begin.trial, failed="crashed")
    place.actuator().perform(FailTrial(failed))
    assert place.trials.all() == {"u-web": failed}
    place.actuator().perform(EndTrial(failed))
    assert place.trials.all() == {}


def test_what_fails_on_the_way_leaves_nothing_that_a_start_would_follow(place: Place) -> None:
    with pytest.raises(XenlocalError, match="has just changed"):
        place.actuator().perform(place.begin("another"))
    with pytest.raises(CommandFailed):
        place.actuator((MARK, CommandFailed(MARK, 5, "no such LV"))).perform(place.begin())
    assert place.trials.all() == {}


def test_by_hand(place: Place) -> None:
    host, path = place.actuator(), place.trials.path
    assert host.script(FailTrial(TRIAL)) == (
        f"# to end in vain the trial of the kernel of domain/web is no command: {path} is xenlocal's own",
    )
    assert host.script(EndTrial(TRIAL))[0].startswith("# to end the trial of the kernel of domain/web is no command")
    assert host.script(place.begin()) == ("lvchange --addtag xenlocal-modules vg0/web",)
    settings = {"kernel": f'"{place.kernel}"'}
    start = StartDomain("web", "u-web", f'#\nkernel = "{place.kernel}"\n', settings, "gone")
    (said,) = host.script(start)
    assert said.startswith("# cannot start domain/web: ") and said.endswith(": xenlocal kernel NAME --update")
    with pytest.raises(XenlocalError, match="gone is not there any more"):
        host.perform(start)


def test_what_the_kernel_of_a_domu_is(place: Place) -> None:
    header = "\0" * 0x202 + "HdrS" + "\0" * 8 + "\x20\0" + "\0" * 0x10
    files = TextFiles({"/k": f"{header}6.1 (x)\0", "/odd": "x"})
    kernels = Kernels("/state", "/run", files, files, copy_whole, place.trials)
    reader = HostReader(ScriptedRunner(), files, Identities("/state"), kernels)
    assert reader.kernel("/k") == Kernel("6.1", False) and reader.kernel("/odd") == Kernel(None, False)
    there = Files().paths([str(place.kernel)])
    files.paths = lambda paths: {path: there[str(place.kernel)] for path in paths}  # type: ignore[method-assign]
    assert reader.kernel("/k") == Kernel("6.1", True) and list_of_modules("6.1") == "/lib/modules/6.1/modules.dep"
    place.trials.put(TRIAL)
    assert reader.trials() == {"u-web": TRIAL}
