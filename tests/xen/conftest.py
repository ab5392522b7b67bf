"""Fixtures of the scenarios on a real Xen: a dom0 of one's own, the package under test, a hard limit on every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from comparison import Comparison
from hand_made import SAVED, clear, heal_xl

from rig import SUITES
from rig.image import Image, image
from rig.machine import Machine
from rig.package import install as install_deb
from rig.package import remove
from rig.snapshot import booted, resumed, snapshot
from rig.wait import Overdue

LIMIT = 600
"""Seconds a test may take where it does not say `@pytest.mark.limit(seconds)`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--suite", choices=SUITES, action="append", help="Debian release of the dom0; may be repeated")
    parser.addoption("--deb", default=os.environ.get("XENLOCAL_DEB"), help="package under test (or XENLOCAL_DEB)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "limit(seconds): a hard time limit for this test")
    config.addinivalue_line("markers", "long: only in `make test-all`, which may take hours on two cores")
    config.addinivalue_line("markers", "every_suite: runs on trixie too where asked for; the others on bookworm")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A scenario runs on each suite asked for; on others than the first only where it says so."""
    if "suite" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--suite") or SUITES[:1]
        everywhere = metafunc.definition.get_closest_marker("every_suite")
        suites = [suite for suite in SUITES if suite in wanted and (everywhere or suite == SUITES[0])]
        metafunc.parametrize("suite", suites, indirect=True, scope="session")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """Cut a test off at its limit, wherever it waits."""
    mark = item.get_closest_marker("limit")
    seconds = float(mark.args[0]) if mark else LIMIT

    def ring(signum: int, frame: FrameType | None) -> None:
        raise Overdue(f"the test's own limit of {seconds:g} s is over")

    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """A failure shows what the host and the package said."""
    report = (yield).get_result()
    if call.when != "call" or not report.failed:
        return
    for name, machine in getattr(item, "funcargs", {}).items():
        if isinstance(machine, Machine):
            report.sections.append((f"{name}: console", machine.console()[-4000:]))
            report.sections.append((f"{name}: journal and xl list", _told(machine)))


def _told(machine: Machine) -> str:
    if machine.qemu is None or machine.qemu.process.poll() is not None:
        return "the machine is off"
    ask = "timeout 20 journalctl --no-pager -n 150 -u 'xenlocal*'; timeout 10 xl list; timeout 10 xenlocal status;"
    ask += "tail -n 8 /var/log/xen/xl-*.log"
    try:
        result = machine.run(ask, timeout=60, check=False)
    except Exception as problem:  # a report of a failure must not fail; it says why it is empty
        return f"could not be had: {problem!r}"
    return result.out + result.err


@pytest.fixture(scope="session")
def suite(request: pytest.FixtureRequest) -> str:
    """Debian release of the dom0 (see pytest_generate_tests)."""
    return str(request.param)


@pytest.fixture(scope="session")
def dom0_image(suite: str) -> Image:
    """The dom0's image, built at first use, with its booted snapshot."""
    made = image(suite)
    snapshot(made)
    return made


@pytest.fixture
def dom0(dom0_image: Image, tmp_path: Path) -> Iterator[Machine]:
    """A booted dom0 as the snapshot has it; nothing that a test does to it outlives the test."""
    machine = resumed(dom0_image, tmp_path)
    yield machine
    machine.close()


@pytest.fixture
def fresh_dom0(dom0_image: Image, tmp_path: Path) -> Iterator[Machine]:
    """A dom0 that has just booted from power-off (half a minute and more)."""
    machine = booted(dom0_image, tmp_path)
    yield machine
    machine.close()


@pytest.fixture(scope="session")
def deb(request: pytest.FixtureRequest) -> Path:
    """The package under test."""
    given = request.config.getoption("--deb")
    if not given or not Path(given).is_file():
        pytest.fail(f"no package to test: --deb or XENLOCAL_DEB is {given!r}; build the .deb first")
    return Path(given)


@pytest.fixture
def installed(dom0: Machine, deb: Path) -> Machine:
    """`dom0` with the package under test installed."""
    install_deb(dom0, deb)
    return dom0


@pytest.fixture(scope="module")
def machine_made_by_hand(dom0_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One for all scenarios of a module about peers: each is short, and puts the host back before it begins."""
    m = resumed(dom0_image, tmp_path_factory.mktemp("peers"))
    m.make_vg()
    m.run("cp /etc/default/xendomains /root/ && mkdir -p /etc/xen/auto")
    yield m
    m.close()


@pytest.fixture
def by_hand(machine_made_by_hand: Machine) -> Machine:
    """A host made by hand, as it was before the first scenario: xenlocal was never there."""
    m = machine_made_by_hand
    if m.run("dpkg-query -s xenlocal", check=False).rc == 0:
        remove(m, purge=True)
    heal_xl(m)
    m.run("rm -rf /run/xl-list-fails /run/xenlocal /etc/xenlocal && cp /root/xendomains /etc/default/")
    m.run(f"! mountpoint -q {SAVED} || umount {SAVED}")
    m.run("[ ! -e /sys/class/net/lab0 ] || ip link del lab0")
    clear(m)
    return m


_FIGURES: dict[str, str] = {}
_COMPARISON = Comparison()


@pytest.fixture
def figures(suite: str) -> dict[str, str]:
    """Measured values, name -> value; printed side by side at the end of the run."""
    return _FIGURES


@pytest.fixture
def compare() -> Comparison:
    """What happened under xendomains and under xenlocal, side by side at the end of the run."""
    return _COMPARISON


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := _COMPARISON.lines():
        terminalreporter.section("peers (emulated: only ratios of times mean anything)")
        for line in lines:
            terminalreporter.write_line(line)
    if _FIGURES:
        terminalreporter.section("figures (emulated: only their ratios mean anything)")
        for name, value in _FIGURES.items():
            terminalreporter.write_line(f"{name}: {value}")
