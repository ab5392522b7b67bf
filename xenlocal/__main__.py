"""`python3 -m xenlocal`: the command line from a checkout."""

from __future__ import annotations

from xenlocal.cli import program

program()
