"""From the text of a file to its lines, within limits.

ConfigObj's regular expressions need time that grows with the square of a hostile line, and worse with leading
blanks (FACTS: 16 KB of `[` = 4 s), so what is too long never reaches it.
"""

from __future__ import annotations

import re

from xenlocal.config.problems import Place, Problems
from xenlocal.model.conffiles import ConfigFile

MAX_LINE = 4096  # bytes
MAX_FILE = 256 * 1024  # bytes
MAX_BLANKS = 200  # in a row, inside a line

# Everything a terminal or an xl.cfg would take for something else than text: C0 and C1 controls, DEL, lone
# surrogates, the two Unicode line ends, and the marks that reverse the order in which a line is shown.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BLANKS = re.compile(rf"\S\s{{{MAX_BLANKS + 1},}}\S")


def split(file: ConfigFile, problems: Problems) -> tuple[list[str], frozenset[int]] | None:
    """The lines, and the numbers (from 1) of those that must not be looked into. None: the file is refused."""
    place = Place(file.name, 0)
    size = len(file.text.encode("utf-8", "surrogatepass"))
    if size > MAX_FILE:
        problems.add(place, f"the file is {size} bytes long; at most {MAX_FILE} are read, so divide it")
        return None
    nul = file.text.find("\0")
    if nul >= 0:
        at = file.text.count("\n", 0, nul) + 1
        problems.add(place.at(at), "the file holds NUL bytes; it is no text, or was cut off by a crash")
        return None
    lines = [line.removesuffix("\r") for line in file.text.removeprefix("\ufeff").split("\n")]
    refused = set()
    for number, line in enumerate(lines, 1):
        why = _why_refused(line)
        if why:
            problems.add(place.at(number), why)
            refused.add(number)
    return lines, frozenset(refused)


def _why_refused(line: str) -> str | None:
    bad = _FORBIDDEN.search(line)
    if bad:
        return f"the line holds the control character U+{ord(bad[0]):04X}; remove it"
    size = len(line.encode())
    if size > MAX_LINE:
        return f"the line is {size} bytes long; at most {MAX_LINE} are read"
    if _BLANKS.search(line):
        return f"the line holds more than {MAX_BLANKS} blanks in a row"
    return None
