"""All files together: whatever order they come in, and where some of them could not be read."""

import pytest

from tests.unit.config.support import HOST_ID, domain
from xenlocal.config import every_problem, read
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.errors import ConfigError

LOST = Problem("m.conf", 0, "", "", "cannot be read: Input/output error")


def test_of_two_declarations_the_one_in_the_later_file_is_told() -> None:
    texts = [ConfigFile("b.conf", domain("web")), ConfigFile("a.conf", "\n" + domain("web"))]
    for files in (texts, texts[::-1]):
        with pytest.raises(ConfigError) as error:
            read(files, HOST_ID)
        assert [str(each) for each in error.value.problems] == ["b.conf:1: domain web: already declared at a.conf:2"]


def beside(*texts: str) -> list[str]:
    """Every problem where m.conf could not be read and these could."""
    files = [ConfigFile(name, text) for name, text in zip(("a.conf", "z.conf"), texts, strict=False)]
    return [str(each) for each in every_problem(ConfigError([LOST], files), HOST_ID)]


def test_files_that_can_be_read_are_checked_beside_those_that_cannot() -> None:
    wrong = "[host]\nresync = 1s\n"
    assert beside(wrong, wrong) == [
        "a.conf:2: host: resync is 1s; write at least 10s",
        "m.conf: cannot be read: Input/output error",
        "z.conf:1: host: already declared at a.conf:1",
        "z.conf:2: host: resync is 1s; write at least 10s",
    ]
    assert beside(domain("a")) == beside() == ["m.conf: cannot be read: Input/output error"]


def test_what_a_file_that_could_not_be_read_may_declare_is_not_missed() -> None:
    waits = "[domain a]\nafter = db, bridge/br9, iscsi/bay9\nneeds = auth\n[[nic eth0]]\nbridge = br0\n"
    assert beside(waits) == ["m.conf: cannot be read: Input/output error"], "it may hold [defaults] too"


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("bridge", "[bridge] has no name; write one such as [bridge br0]"),
        ("iscsi", "[iscsi] has no name; write one such as [iscsi bay1]"),
        ("domain", "[domain] has no name; write one such as [domain web]"),
        ("host x", "[host] takes no name; write [host]"),
        ("defaults x", "[defaults] takes no name; write [defaults]"),
        ("nic eth0", "[nic eth0] is a part of a domain; write [[nic eth0]] below a [domain NAME]"),
        ("xl", "[xl] is a part of a domain; write [[xl]] below a [domain NAME]"),
        ("hosts", "unknown section [hosts]; did you mean [host]?"),
        ("iscsy bay1", "unknown section [iscsy bay1]; did you mean [iscsi bay1]?"),
        (
            "web",
            "unknown section [web]; write [host], [defaults], [bridge NAME], [iscsi NAME] or [domain NAME]",
        ),
    ],
)
def test_headers_of_sections(title: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        read([ConfigFile("f", f"[{title}]\n")], HOST_ID)
    assert [str(each) for each in error.value.problems] == [f"f:1: {title}: {said}"]
