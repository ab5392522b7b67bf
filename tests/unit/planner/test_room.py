"""Whether all domUs that are to run fit into this host's memory, and what is said where they do not."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import desired, dom, hardware, live, observed
from xenlocal.model.desired import State
from xenlocal.model.observed import Hardware, Unavailable
from xenlocal.model.units import Size
from xenlocal.planner.room import for_domains, too_small

SHARE = 8 + 1  # MiB that Xen needs beside a domU of one vCPU
WANT = desired(dom("a"), dom("b"), dom("hand", state=State.MANUAL), dom("off", state=State.STOPPED))
NEED = 2 * (1024 + SHARE) + 256  # with dom0_reserve


@pytest.mark.parametrize(("free", "fits"), [(NEED, True), (NEED + 1, True), (NEED - 1, False), (0, False)])
def test_they_fit_to_the_last_mib_or_that_is_said(free: int, fits: bool) -> None:
    there = max(free - 256, 0)
    text = (
        f"the domUs with state = running need 2066M of memory together, and {Size.mib(there)} are there for them:"
        " not all can run at once"
    )
    assert too_small(WANT, observed(hardware=hardware(Size.mib(free)))) == ("" if fits else text)


def test_what_runs_now_gives_its_memory_back_at_a_boot() -> None:
    lives = (live(1, "a"), live(2, "hand"), live(3, "foreign", memory=Size.mib(512)))
    assert for_domains(hardware(Size.mib(300)), lives, Size.mib(256)) == Size.mib(44 + 2 * 1024 + 512)
    assert too_small(WANT, observed(*lives, hardware=hardware(Size.mib(300)))) == ""


def test_what_is_said_is_in_whole_mib() -> None:
    odd = hardware(Size(Size.mib(NEED).bytes - 1))
    assert "and 2065M are there" in too_small(WANT, observed(hardware=odd))


def test_no_host_has_less_than_nothing() -> None:
    assert for_domains(hardware(Size.mib(100)), (), Size.mib(256)) == Size(0)
    tiny = Hardware(Size.mib(511), Size(0), 1, 1, "credit2", autoballoon=True)
    assert for_domains(tiny, (), Size(0)) == Size(0)


def test_a_dom0_that_gives_way_keeps_what_it_needs_itself() -> None:
    balloons = Hardware(Size.mib(4096), Size(0), 1, 1, "credit2", autoballoon=True)
    assert for_domains(balloons, (live(1, "a"),), Size.mib(256)) == Size.mib(4096 - 512)


@pytest.mark.parametrize("table", ["hardware", "domains"])
def test_where_nobody_knows_nothing_is_said(table: str) -> None:
    assert too_small(WANT, observed(**{"hardware": hardware(Size(0)), table: Unavailable("hangs")})) == ""
