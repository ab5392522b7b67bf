"""`python3 -m xenlocal`: the command line from a checkout, where no package has brought the libraries."""

from __future__ import annotations

import sys

try:
    from xenlocal.cli import program
except ModuleNotFoundError as error:
    if str(error.name).startswith("xenlocal"):
        raise
    needed = "python3-configobj python3-daemon python3-pyinotify python3-sh"
    sys.exit(f"xenlocal: {error} ({sys.executable}); with Debian's own python3, type: apt install {needed}")

program()
