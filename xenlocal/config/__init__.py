"""PURE: text -> Desired, or every Problem. Alone imports configobj. See `reader` for the way of a text.

`read` is the entrance, `every_problem` the one for files of which some could not be read; `KEYS`, `SECTIONS` and
`PARTS` are the language as a table, for the man page and completion.
"""

from xenlocal.config.reader import every_problem, read
from xenlocal.config.schema import KEYS, PARTS, REQUIRED, SECTIONS, Key

__all__ = ["KEYS", "PARTS", "REQUIRED", "SECTIONS", "Key", "every_problem", "read"]
