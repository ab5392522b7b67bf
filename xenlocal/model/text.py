"""Texts that somebody else wrote, as messages can show them."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """`text` with what a terminal or the journal would obey, or not show, written as an escape. Line ends too: a name
    must not look like a line of the log. `keep`: characters that stay."""
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)
