"""What every test leaves as it found it; and what the tests of saving a configuration share: how often, and where."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """`xenlocal run`, and what works without a daemon, set up the log of a process of their own."""
    log = logging.getLogger("xenlocal")
    level, handlers = log.level, list(log.handlers)
    yield
    log.setLevel(level)
    log.handlers[:] = handlers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--saves", type=int, default=20, help="how often each program saves a configuration (20)")


@pytest.fixture(scope="session")
def saves(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--saves"))


@pytest.fixture
def conf_file(tmp_path: Path) -> Iterator[Path]:
    """Of a directory of its own. Nothing is logged: every accepted configuration is a line of the journal."""
    (tmp_path / "xenlocal").mkdir(mode=0o755)
    logging.disable()
    yield tmp_path / "xenlocal" / "guests.conf"
    logging.disable(logging.NOTSET)
