"""Sections, keys and their lines, against ConfigObj itself; and what never reaches ConfigObj."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from configobj import ConfigObj, ConfigObjError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.config.support import WEB, complaints
from xenlocal.config.lines import MAX_BLANKS, MAX_FILE, MAX_LINE
from xenlocal.config.problems import Problems
from xenlocal.config.sections import Scan, Section, scan, unquote
from xenlocal.model.conffiles import ConfigFile

INDENT = st.sampled_from(["", "  ", "\t"])
COMMENT = st.sampled_from(["", "  # note", " #", "# [domain x]", ' # """'])
KEY = st.sampled_from(["a", "b", "memory", "x-y", "k.1"])
PLAIN = st.sampled_from(["1", "", "x y", "a, b", "a=b", "[x]", "it's", '"q # q"', "'s, t'", '"a", "b"', 'x """ y', "é"])
INSIDE = st.lists(
    st.sampled_from(["", "text", "[domain inner]", "k = v", "# no comment", "''", '"', "  deep  "]),
    min_size=1,
    max_size=4,
)
TITLE = st.sampled_from(["domain web", "domain db", "host", "disk xvda", "nic eth0", '"domain q"'])


@st.composite
def headers(draw: st.DrawFn) -> str:
    depth, blank = draw(st.sampled_from([1, 1, 2, 2, 2])), draw(st.sampled_from(["", " "]))
    return f"{draw(INDENT)}{'[' * depth}{blank}{draw(TITLE)}{blank}{']' * depth}{draw(COMMENT)}"


@st.composite
def settings_lines(draw: st.DrawFn) -> str:
    start = f"{draw(INDENT)}{draw(KEY)}{draw(st.sampled_from([' = ', '=', '  =  ']))}"
    if draw(st.booleans()):
        return start + draw(PLAIN) + draw(COMMENT)
    quotes = draw(st.sampled_from(['"""', "'''"]))
    return start + quotes + "\n".join(draw(INSIDE)) + quotes + draw(COMMENT)


NOISE = st.sampled_from(["", "   ", "# comment", "  # key = value", "\t"])
TEXTS = st.lists(st.one_of(headers(), settings_lines(), settings_lines(), NOISE), max_size=25).map(
    lambda lines: "\n".join(["[first]", *lines])
)


def scanned(text: str) -> tuple[Scan, list[str]]:
    problems = Problems()
    return scan(ConfigFile("f", text), problems), [str(problem) for problem in problems.sorted()]


def tree(section: Section) -> dict[str, Any]:
    return {
        **{key: entry.text for key, entry in section.entries.items()},
        **{part.title: tree(part) for part in section.parts},
    }


def entries(sections: list[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, int]]:
    for section in sections:
        for key, entry in section.entries.items():
            yield (*path, section.title), key, entry.line
        yield from entries(section.parts, (*path, section.title))


def unquoted(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: unquoted(value) for key, value in tree.items()}
    return unquote(tree)[0]


def in_configobj(text: list[str]) -> ConfigObj:
    return ConfigObj(text, interpolation=False, list_values=False)


@settings(max_examples=400)
@given(TEXTS)
def test_agrees_with_configobj(text: str) -> None:
    lines = text.split("\n")
    scan_result, problems = scanned(text)
    titles = [section.title for section in scan_result.sections]
    parts = [(section.title, part.title) for section in scan_result.sections for part in section.parts]
    repeated = len(set(titles)) < len(titles) or len(set(parts)) < len(parts)
    clash = any(
        part in section.entries for section in scan_result.sections for part in [p.title for p in section.parts]
    )
    try:
        whole = in_configobj(lines)
    except ConfigObjError:
        assert problems or repeated or clash
        return
    assert not problems
    ours = {section.title: tree(section) for section in scan_result.sections}
    assert unquoted(ours) == unquoted(dict(whole))
    for path, key, line in entries(list(scan_result.sections)):
        assert _has(lines[: line - 1], path, key) is False
        assert next(iter(in_configobj(_value_from(lines, line)))) == key


def _has(lines: list[str], path: tuple[str, ...], key: str) -> bool:
    try:
        section: Any = in_configobj(lines)
    except ConfigObjError as error:
        section = error.config
    for title in path:
        section = section.get(title, {})
    return key in section


def _value_from(lines: list[str], line: int) -> list[str]:
    """The fewest lines from `line` on that ConfigObj reads without error."""
    for end in range(line, len(lines) + 1):
        try:
            in_configobj(lines[line - 1 : end])
        except ConfigObjError:
            continue
        return lines[line - 1 : end]
    raise AssertionError("no value there")


def test_lines_count_through_comments_and_long_values() -> None:
    text = WEB + '\n# [domain x]\ndescription = """one\n[domain y]\nmemory = 1G\ntwo"""  # end\n\n  vcpus = 0\n'
    assert complaints(text) == ["web.conf:11: domain web: vcpus is '0'; write a whole number from 1 to 512"]


def test_a_key_after_a_long_value_that_is_repeated_is_told_at_its_own_line() -> None:
    text = WEB + 'description = """a\nb"""\nowner = 1x\ndescription = """c\nd"""\n'
    assert complaints(text) == [
        "web.conf:6: domain web: owner '1x' is not the name of a Unix user or group",
        "web.conf:7: domain web: 'description' is already set at web.conf:4",
    ]


@pytest.mark.parametrize("end", ['"""x', '"""#x', "", "'''"])
def test_triple_quotes_that_never_close_leave_the_rest_readable(end: str) -> None:
    closes = end == '"""#x'
    found = complaints(WEB + f'description = """a\nb{end}\nvcpus = 0\n')
    assert "web.conf:6: domain web: vcpus is '0'; write a whole number from 1 to 512" in found
    said = 'web.conf:4: domain web: the value of \'description\' opens """, which is not closed as it should'
    assert (said in found) is not closes


def test_a_broken_header_hides_its_own_keys_only() -> None:
    text = (
        "[domain web\nmemroy = 4G\n[[disk a]]\nsise = x\n"
        + "[domain db]\nvcpus = 0\nmemory = 1G\nkernel = /k\nneeds = web\n"
    )
    assert complaints(text) == [
        "web.conf:1: cannot read the section header '[domain web'; write [domain web]",
        "web.conf:6: domain db: vcpus is '0'; write a whole number from 1 to 512",
    ]


def test_a_damaged_section_is_not_told_that_keys_are_missing() -> None:
    assert complaints("[domain web]\nmemory 4G\nkernel /k\n") == [
        "web.conf:2: domain web: cannot read 'memory 4G'; write memory = 4G",
        "web.conf:3: domain web: cannot read 'kernel /k'; write kernel = /k",
    ]


def test_a_text_without_sections_is_one_problem() -> None:
    assert complaints("a = 1\nb = 2\nwhatever\n") == [
        "web.conf:1: 'a = 1' stands in no section; put it below [host], [domain NAME] or another"
    ]


def test_windows_line_ends_and_byte_order_mark_are_read() -> None:
    assert complaints("\ufeff" + (WEB + "vcpus = 0\n").replace("\n", "\r\n")) == [
        "web.conf:4: domain web: vcpus is '0'; write a whole number from 1 to 512"
    ]


@pytest.mark.parametrize("char", ["\x01", "\x1b", "\x7f", "\x85", "\x0b", "\u2028", "\u202e", "\ud800"])
def test_control_characters_are_refused(char: str) -> None:
    said = f"the line holds the control character U+{ord(char):04X}; remove it"
    assert complaints(WEB + f"description = a{char}b\nvcpus = 0\n") == [
        f"web.conf:4: {said}",
        "web.conf:5: domain web: vcpus is '0'; write a whole number from 1 to 512",
    ]
    assert complaints(WEB + f"[domain b{char}]\nmemroy = 1G\n") == [f"web.conf:4: {said}"]
    assert complaints(WEB + f'description = """a\n{char}\n"""\nvcpus = 0\n') == [
        f"web.conf:5: {said}",
        "web.conf:7: domain web: vcpus is '0'; write a whole number from 1 to 512",
    ]


def test_a_refused_line_is_one_problem() -> None:
    said = "the line holds the control character U+0001; remove it"
    assert complaints("x\x01\n[domain web]\nkernel = /k\nmemory = 4\x01\n") == [
        f"web.conf:1: {said}",
        f"web.conf:4: {said}",
    ]


def test_a_carriage_return_inside_a_line_is_refused() -> None:
    assert complaints(WEB + "description = a\rb\n") == [
        "web.conf:4: the line holds the control character U+000D; remove it"
    ]


def test_limits() -> None:
    comment = "#" * MAX_LINE + "\n"
    assert complaints(comment + WEB) == []
    assert complaints("#" + comment + WEB) == [
        f"web.conf:1: the line is {MAX_LINE + 1} bytes long; at most {MAX_LINE} are read"
    ]
    assert complaints("#" + "é" * (MAX_LINE // 2) + "\n") == [
        f"web.conf:1: the line is {MAX_LINE + 1} bytes long; at most {MAX_LINE} are read"
    ]
    full = ("#" * 1023 + "\n") * (MAX_FILE // 1024)
    assert complaints(full) == []
    assert complaints(full + "\n") == [
        f"web.conf: the file is {MAX_FILE + 1} bytes long; at most {MAX_FILE} are read, so divide it"
    ]
    assert complaints(WEB + "description = a" + " " * MAX_BLANKS + "b\n") == []
    assert complaints(WEB + "description = a" + " " * (MAX_BLANKS + 1) + "b\n") == [
        f"web.conf:4: the line holds more than {MAX_BLANKS} blanks in a row"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "[" * 4096,
        "[" * 2048 + "]" * 2047,
        " " * 4000 + "x",
        "x" * 4096,
        "x = " + '"a",' * 1000 + "'",
        "x = " + "' # " * 1000,
        "x =" + '"' * 4000,
        'x = """' + '""" x' * 800,
        'x = """\n' + '""" ' * 60000 + "x",
        ("x = a" + " " * 190) * 20,
        "cpus = " + "all," * 1000,
        "after = " + "a," * 2000,
        "console = " + "(" * 250,
    ],
)
def test_hostile_lines_end(line: str) -> None:
    """A whole file of the worst lines: without the limits some of these take minutes, one of them for ever."""
    for before in (WEB, WEB + "[[ready]]\n", WEB + "[[xl]]\n", ""):
        assert complaints(before + (line + "\n") * ((MAX_FILE - 100) // (len(line) + 1)))


@pytest.mark.parametrize(
    ("text", "plain", "quoted"),
    [
        ("a", "a", False),
        ('"a"', "a", True),
        ("'a'", "a", True),
        ('""', "", True),
        ("''", "", True),
        ('"', '"', False),
        ('"it\'s"', "it's", True),
        ("'a\"", "'a\"", False),
        ("'a", "'a", False),
        ('"a" and "b"', '"a" and "b"', False),
        ('""a"', '""a"', False),
        ('"a""', '"a""', False),
        ("XaX", "XaX", False),
        ("", "", False),
    ],
)
def test_one_pair_of_quotes_is_taken_off(text: str, plain: str, quoted: bool) -> None:
    assert unquote(text) == (plain, quoted)


def test_what_is_inside_three_quotes_stays_as_it_is() -> None:
    text = "[a]\nb = \"\"\"'5'\"\"\"\nc = '5'\nd = %(b)s 5%\ne = '''6\n7'''\n"
    found, problems = scanned(text)
    assert not problems
    assert {key: (entry.text, entry.quoted) for key, entry in found.sections[0].entries.items()} == {
        "b": ("'5'", True), "c": ("5", True), "d": ("%(b)s 5%", False), "e": ("6\n7", True),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("[domain XEN1]\n", ["domain XEN1"]),
        ("[ domain   web ] # [1] # two\n", ["domain web"]),
        ('["domain web"]\n', ["domain web"]),
        ('[host] # it\'s "ours"\n', ["host"]),
    ],
)
def test_headers(text: str, titles: list[str]) -> None:
    found, problems = scanned(text)
    assert ([each.title for each in found.sections], problems, found.complete) == (titles, [], True)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("[domain we[b]", "write [domain web]"),
        ("[domain we]b]", "write [domain web]"),
        ("[domain we'b]", "write [domain web]"),
        ("[domain Xen", "write [domain Xen]"),
        ("[]", "write [kind name]"),
        ("['']", "write [kind name]"),
        ("[[disk xvda", "write [[disk xvda]]"),
    ],
)
def test_a_header_that_cannot_be_read_is_told_as_it_was_probably_meant(header: str, wanted: str) -> None:
    found, problems = scanned(header + "\n")
    assert problems == [f"f:1: cannot read the section header '{header}'; {wanted}"]
    assert found.complete is header.startswith("[[")


def test_a_broken_header_of_a_section_is_not_told_of_the_one_before() -> None:
    _, problems = scanned("[domain web]\n[domain db\n[[disk xvda\n")
    assert problems[0] == "f:2: cannot read the section header '[domain db'; write [domain db]"
    assert problems[1] == "f:3: cannot read the section header '[[disk xvda'; write [[disk xvda]]"


def test_a_broken_header_of_a_part_leaves_the_other_parts_where_they_are() -> None:
    found, problems = scanned("[domain web]\n[[disk a\nsise = 1\n[[nic eth0]]\nbridge = br0\n")
    assert problems == ["f:2: domain web: cannot read the section header '[[disk a'; write [[disk a]]"]
    [web] = found.sections
    assert ([part.title for part in web.parts], web.entries, web.damaged) == (["nic eth0"], {}, False)


@pytest.mark.parametrize("depth", [3, 4])
def test_a_part_of_a_part_is_nested_too_deeply(depth: int) -> None:
    _, problems = scanned(f"[domain web]\n{'[' * depth}disk a{']' * depth}\n")
    assert problems == ["f:2: domain web: section 'disk a' is nested too deeply; write [[disk a]]"]


def test_a_part_above_every_section_belongs_to_none() -> None:
    _, problems = scanned("[[disk xvda]]\n")
    assert problems == ["f:1: [[disk xvda]] stands in no [domain NAME]; put it below one"]
    _, problems = scanned("[domain web\n[[disk xvda]]\n")
    assert problems == ["f:1: cannot read the section header '[domain web'; write [domain web]"], "its cause is told"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stop timeout = 5m", "cannot read 'stop timeout = 5m'; write key = value"),
        ("stop_timeout: 5m", "cannot read 'stop_timeout: 5m'; write stop_timeout = 5m"),
        ("Xen", "cannot read 'Xen'; write key = value"),
        ("'memory' = 1G", "cannot read ''memory' = 1G'; a key is written without quotes"),
        ('"memory" = 1G', "cannot read '\"memory\" = 1G'; a key is written without quotes"),
        ("memory = '1G", "cannot read the value of 'memory'; quotes go around all of it, or nowhere"),
        ('memory = """1G', 'the value of \'memory\' opens """, which is not closed as it should'),
        ('memory = """1G""" or 2G', 'the value of \'memory\' opens """, which is not closed as it should'),
        ("memory = \x01", "the line holds the control character U+0001; remove it"),
    ],
)
def test_a_line_that_cannot_be_read_leaves_its_section_damaged(line: str, said: str) -> None:
    """So that nobody is told that a key is missing which stands there."""
    found, problems = scanned(f"[domain web]\n{line}\n")
    [problem] = problems
    assert problem.removeprefix("f:2: ").removeprefix("domain web: ") == said
    assert (found.sections[0].damaged, found.complete) == (True, True)


def test_a_section_without_a_fault_is_whole() -> None:
    found, problems = scanned('[domain web]\nmemory = """1G""" # or 2G\n[[ready]]\n')
    assert (found.complete, problems) == (True, [])
    assert [each.damaged for each in (found.sections[0], *found.sections[0].parts)] == [False, False]
    assert found.sections[0].entries["memory"].text == "1G"
