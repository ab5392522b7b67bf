"""Files that are no text."""

import pytest

from tests.unit.config.support import complaints
from xenlocal.config import lines


@pytest.mark.parametrize(
    ("text", "line"), [("\0", 1), ("\n\0", 2), ("\0\n\0", 1), ("[host]\n\nresync = 1m\n\0\0\n", 4)]
)
def test_a_file_with_nul_bytes_is_refused_at_the_first(text: str, line: int) -> None:
    assert complaints(text) == [f"web.conf:{line}: the file holds NUL bytes; it is no text, or was cut off by a crash"]


def test_limits_are_those_of_the_man_page() -> None:
    assert (lines.MAX_FILE, lines.MAX_LINE, lines.MAX_BLANKS) == (256 * 1024, 4096, 200)
    assert complaints(f"#{' ' * 200}.\n") == complaints(f"{' ' * 300}\n") == complaints(f"# x{' ' * 300}\n") == []
    assert complaints(f"# x{' ' * 201}x\n") == ["web.conf:1: the line holds more than 200 blanks in a row"]
