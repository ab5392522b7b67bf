"""Files that are no text."""

import pytest

from tests.unit.config.support import complaints


@pytest.mark.parametrize(
    ("text", "line"), [("\0", 1), ("\n\0", 2), ("\0\n\0", 1), ("[host]\n\nresync = 1m\n\0\0\n", 4)]
)
def test_a_file_with_nul_bytes_is_refused_at_the_first(text: str, line: int) -> None:
    assert complaints(text) == [f"web.conf:{line}: the file holds NUL bytes; it is no text, or was cut off by a crash"]
