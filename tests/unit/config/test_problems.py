"""How problems are shown: short, and without secrets."""

import pytest

from tests.unit.config.support import WEB, complaints, problems
from xenlocal.config.problems import Place, Problems, clip, nearest


def test_a_text_is_shortened_where_it_is_too_long() -> None:
    assert (clip("x" * 60), clip("x" * 61), clip("xyz", 2)) == ("x" * 60, "x" * 59 + "…", "x…")


def test_what_is_shown_of_long_names_and_messages() -> None:
    name = "x" * 400
    [found, *_] = problems(f"[domain {name}]\nmemory = 1G\nkernel = /k\n")
    assert found.section == "domain " + "x" * 112 + "…"
    [found] = problems(f"{WEB}{'k' * 100} = 1\n")
    assert found.key == "k" * 59 + "…"
    collected = Problems()
    collected.add(Place("f", 1), "m" * 500)
    collected.add(Place("f", 2), "m" * 501)
    assert [each.message for each in collected.sorted()] == ["m" * 500, "m" * 499 + "…"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("vncpasswd 'top secret'", "cannot read 'vncpasswd …'; write vncpasswd = …"),
        ("passwd: secret", "cannot read 'passwd: …'; write passwd = …"),
        ("PASSWORD secret", "cannot read 'PASSWORD …'; write PASSWORD = …"),
        ("password issecret", "cannot read 'password …'; write password = …"),
        ("password: is", "cannot read 'password: …'; write password = …"),
    ],
)
def test_what_follows_a_password_is_not_shown(line: str, shown: str) -> None:
    assert complaints(f"{WEB}{line}\n") == [f"web.conf:4: domain web: {shown}"]


def test_no_word_of_ours_is_taken_for_a_password() -> None:
    told = complaints(f"{WEB}[[install]]\nimage = /a.img\nroot_password =\n")
    assert "web.conf:6: domain web / install: root_password has no value; write one, or remove the line" in told
    told = complaints(f"{WEB}[[install]]\nimage = /a.img\nroot_password = /h\n")
    wrong = "root_password is not for a raw image, which is written as it is; remove it"
    assert f"web.conf:6: domain web / install: {wrong}" in told


def test_what_a_terminal_would_obey_is_shown_as_an_escape() -> None:
    collected = Problems()
    collected.add(Place("f", 1, "a\x1b[2Jb"), "c\nd\u202e", "e\t")
    [found] = collected.sorted()
    assert (found.section, found.message, found.key) == (r"a\x1b[2Jb", r"c\nd\u202e", r"e\t")


def test_a_place_names_its_section_only_where_there_is_one() -> None:
    collected = Problems()
    collected.add(Place("f", 3).at(7), "said")
    collected.add(Place("f", 3, "host").at(8), "said")
    assert [str(each) for each in collected.sorted()] == ["f:7: said", "f:8: host: said"]
    assert [each.key for each in collected.sorted()] == ["", ""]


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("memroy", ("memory", "maxmem"), "memory"),
        ("MEMORY", ("memory",), "memory"),
        ("xyz", ("memory",), None),
        ("db", (), None),
        ("web1", ("web2", "web3"), "web3"),
        ("web1", ("web3", "web2"), "web3"),
    ],
)
def test_what_was_probably_meant(word: str, known: tuple[str, ...], meant: str | None) -> None:
    """The same whatever order they come in."""
    assert nearest(word, known) == meant
