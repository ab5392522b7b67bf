"""A file that was cut off anywhere, as a writer leaves it that ended too early, takes nothing away from a host on which
all of it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.config import realistic
from tests.config.host import HOST_ID, files_of, running, takes_away
from xenlocal.adapters.conffiles import text_of
from xenlocal.config import read
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.desired import Desired
from xenlocal.model.errors import ConfigError

CONFIGURATIONS = realistic.configurations()


def prefixes(texts: Mapping[str, str]) -> Iterator[tuple[str, Desired]]:
    """Every byte prefix of each of the files, the others being whole: where it ends, and what it says, where that is
    valid and not the same as of the prefix before."""
    for name, text in texts.items():
        others = [file for file in files_of(texts) if file.name != name]
        data, latest = text.encode(), None
        for length in range(len(data)):
            desired = valid(name, data[:length], others)
            if desired is not None and desired != latest:
                latest = desired
                yield f"{name}, the first {length} bytes", desired


def valid(name: str, data: bytes, others: list[ConfigFile]) -> Desired | None:
    text = text_of(name, data)
    if isinstance(text, Problem):
        return None
    try:
        return read([*others, ConfigFile(name, text)], HOST_ID)
    except ConfigError:
        return None


@pytest.mark.parametrize("texts", CONFIGURATIONS, ids=map(str, range(realistic.COUNT)))
def test_no_prefix_takes_anything_away(texts: Mapping[str, str]) -> None:
    host, tried = running(texts), 0
    for where, desired in prefixes(texts):
        tried += 1
        harm = [f"{where}: {step.id}, because {step.reason}" for step in host.plan(desired).steps if takes_away(step)]
        assert not harm
    assert tried


def test_the_configurations_are_of_many_kinds() -> None:
    """Else the prefixes would prove little."""
    assert len({str(texts) for texts in CONFIGURATIONS}) == realistic.COUNT
    text = "\n".join(text for texts in CONFIGURATIONS for text in texts.values())
    sections = "[defaults]", "[host]", "[bridge ", "[[ready]]", "[[xl]]", "[[nic ", "\t[[disk"
    states = "state = absent", "state = stopped", "state = manual"
    keys = "volume =", "device =", "file =", "needs =", "after =", "on_unready", "on_crash", "uuid =", "ports = none"
    for word in (*sections, *states, *keys, ", eno1", '"""', "müller", "\r\n"):
        assert word in text


def test_a_cut_in_the_middle_of_a_character_is_refused() -> None:
    cuts = 0
    for texts in CONFIGURATIONS:
        for data in (text.encode() for text in texts.values()):
            for length in range(1, len(data)):
                if data[length] & 0xC0 == 0x80:
                    cuts += 1
                    assert isinstance(text_of("a.conf", data[:length]), Problem)
    assert cuts > 100
