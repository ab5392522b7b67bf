"""What happened in one scenario under Debian's xendomains and under xenlocal: the table of `make peers`."""

from __future__ import annotations

import textwrap
from itertools import zip_longest

HEAD = ("scenario", "xendomains: what happened", "xenlocal: what happened")
WIDTHS = (34, 46, 46)
MISSING = "(not known: the scenario failed before)"


class Comparison:
    """Rows in the order in which their scenarios ran."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, str]] = {}

    def tell(self, scenario: str, *, xendomains: str = "", xenlocal: str = "") -> None:
        """One side, or both."""
        row = self._rows.setdefault(scenario, {})
        row |= {key: text for key, text in (("xendomains", xendomains), ("xenlocal", xenlocal)) if text}

    def lines(self) -> list[str]:
        """For a terminal; nothing where nothing was told."""
        if not self._rows:
            return []
        cells = [
            (scenario, row.get("xendomains", MISSING), row.get("xenlocal", MISSING))
            for scenario, row in self._rows.items()
        ]
        rule = "-+-".join("-" * width for width in WIDTHS)
        return [line for row in (HEAD, *cells) for line in (*_wrapped(row), rule)]


def _wrapped(row: tuple[str, ...]) -> list[str]:
    columns = [textwrap.wrap(cell, width) for cell, width in zip(row, WIDTHS, strict=True)]
    return [
        " | ".join(part.ljust(width) for part, width in zip(parts, WIDTHS, strict=True)).rstrip()
        for parts in zip_longest(*columns, fillvalue="")
    ]
