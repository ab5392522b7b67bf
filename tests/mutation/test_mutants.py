"""The faults that are tried are those that are meant: a mutation test of nothing would pass too."""

from __future__ import annotations

import pytest

from tests.mutation.__main__ import listed
from tests.mutation.mutants import mutants_of

CODE = '''
__all__ = ["guard"]
LIMIT = 5.0

def guard(a, b=True):
    """Says no."""
    if a > 3 and not b:
        return "not yet, and why"
    for each in sorted(a):
        each.go(by="xl")
        continue
    return min(a, b)

class Case:
    word: str = "on"

    def also(self):
        match self.word:
            case "on" if self:
                self.done = {"a": 1}
'''

EXPECTED = [
    "import: `5.0` to `11.0`",
    "import: `True` to `False`",
    "guard: always `a > 3 and (not b)`",
    "guard: never `a > 3 and (not b)`",
    "guard: `a > 3 and (not b)` to `a > 3 or not b`",
    "guard: `a > 3 and (not b)` to `not b`",
    "guard: `a > 3 and (not b)` to `a > 3`",
    "guard: `a > 3` to `a >= 3`",
    "guard: `a > 3` to `a <= 3`",
    "guard: `3` to `4`",
    "guard: `not b` to `b`",
    "guard: `return 'not yet, and why'` to `return None`",
    "guard: `sorted(a)` to `list(a)`",
    "guard: without `each.go(by='xl')`",
    "guard: `each.go(by='xl')` without by",
    "guard: `'xl'` to `'XXxl'`",
    "guard: without `continue`",
    "guard: `return min(a, b)` to `return None`",
    "guard: `min(a, b)` to `max(a, b)`",
    "import: `'on'` to `'XXon'`",
    "Case.also: always `self`",
    "Case.also: never `self`",
    "Case.also: without `self.done = {'a': 1}`",
    "Case.also: `{'a': 1}` to `{}`",
    "Case.also: `'a'` to `'XXa'`",
    "Case.also: `1` to `2`",
]


def test_what_can_be_wrong() -> None:
    assert [mutant.id.removeprefix("x.py: ") for mutant in mutants_of("x.py", CODE)] == EXPECTED


@pytest.mark.parametrize(
    ("text", "call", "answer"),
    [
        ("", "guard(4, False)", "not yet, and why"),
        ("guard: never `a > 3 and (not b)`", "guard(4, False)", None),
        ("guard: `a > 3` to `a >= 3`", "guard(3, False)", "not yet, and why"),
        ("guard: `3` to `4`", "guard(4, False)", None),
        ("guard: `a > 3 and (not b)` to `a > 3`", "guard(4, True)", "not yet, and why"),
        ("import: `True` to `False`", "guard(4)", "not yet, and why"),
        ("import: `5.0` to `11.0`", "LIMIT", 11.0),
    ],
)
def test_a_mutant_behaves_as_its_name_says(text: str, call: str, answer: object) -> None:
    found = [each for each in mutants_of("x.py", CODE) if each.id == f"x.py: {text}"]
    code: object = CODE
    if text:
        found[0].apply()
        code = found[0].code()
    names: dict[str, object] = {}
    exec(code, names)  # type: ignore[arg-type]
    try:
        result = eval(call, names)
    except TypeError:  # it went past the guard
        result = None
    assert result == answer


def test_equal_changes_of_one_function_are_told_apart_and_lines_are_no_part_of_a_name() -> None:
    text = "def f(a):\n    return a == 1 or a == 1\n"
    ids = [mutant.id for mutant in mutants_of("x.py", text)]
    assert len(ids) == len(set(ids)) and "x.py: f: `1` to `2` (no. 2)" in ids
    assert ids == [mutant.id for mutant in mutants_of("x.py", "# a line\n\n" + text)]


def test_lines_that_coverage_leaves_out_are_left_out_here_too() -> None:
    assert not mutants_of("x.py", "def f():\n    raise ValueError(1)  # pragma: no cover - why\n")


def test_the_list_of_survivors_is_read() -> None:
    assert listed("# a remark\n\nx.py: f: `1` to `2`\n    It is\n    the same.\ny.py: g: z\n") == {
        "x.py: f: `1` to `2`": "It is the same.",
        "y.py: g: z": "",
    }
