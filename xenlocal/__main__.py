"""`python3 -m xenlocal`: the command line from a checkout."""

from __future__ import annotations

import sys

from xenlocal.cli import main

sys.exit(main())
