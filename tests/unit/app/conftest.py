"""What the tests through the whole command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.app.support import new_host


@pytest.fixture
def host(tmp_path: Path) -> list[str]:
    """The global options of a host of one's own."""
    return new_host(tmp_path)
