"""What the fuzzer has found worth keeping: each file is one input of the target that its directory is named after."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import targets

CORPUS = Path(__file__).parent / "corpus"
CONFIGURATIONS = sorted((CORPUS / "configuration").iterdir())
CONTROLS = sorted((CORPUS / "control").iterdir())


@pytest.fixture(scope="module")
def control() -> Iterator[targets.Control]:
    control = targets.Control()
    yield control
    control.close()


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_configuration(path: Path) -> None:
    with targets.within_limits():
        targets.configuration(path.read_bytes())


@pytest.mark.parametrize("path", CONTROLS, ids=lambda path: path.name)
def test_control(path: Path, control: targets.Control) -> None:
    with targets.within_limits():
        control(path.read_bytes())


def test_the_corpus_is_small_and_reaches_all() -> None:
    found = [*CONFIGURATIONS, *CONTROLS]
    assert 40 < len(found) < 200 and max(path.stat().st_size for path in found) <= 1024
    assert sum(targets.configuration(path.read_bytes()) for path in CONFIGURATIONS) > 10


def test_a_target_tells(monkeypatch: pytest.MonkeyPatch, control: targets.Control) -> None:
    """The limits, and an error that nobody meant."""
    monkeypatch.setattr(targets, "SECONDS", 0.0)
    with pytest.raises(targets.Finding, match="took"), targets.within_limits():
        targets.configuration(b"[host]\n" * 1000)
    monkeypatch.setattr(targets, "MEBIBYTES", -1)
    monkeypatch.setattr(targets, "SECONDS", 60.0)
    with pytest.raises(targets.Finding, match="needed"), targets.within_limits():
        pass
    monkeypatch.setattr(targets, "read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        targets.configuration(b"")
    monkeypatch.setattr(targets, "Machine", lambda *_: 1 / 0)
    with pytest.raises(targets.Finding, match="a thread or a request fell"):
        control(b's{"verb": "apply"}\n')
