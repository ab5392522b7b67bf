"""PURE: text -> Desired, or every Problem. Alone imports configobj. See `reader` for the way of a text.

`read` is the entrance; `KEYS`, `SECTIONS` and `PARTS` are the language as a table, for the man page and completion.
"""

from xenlocal.config.reader import read
from xenlocal.config.schema import KEYS, PARTS, REQUIRED, SECTIONS, Key

__all__ = ["KEYS", "PARTS", "REQUIRED", "SECTIONS", "Key", "read"]
