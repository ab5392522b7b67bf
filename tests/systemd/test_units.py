"""The units and the maintainer scripts under a real systemd: what is called, and in which order, whatever happens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.systemd.container import Container, possible

ROOT = Path(__file__).parents[2]
GUESTS = "xenlocal-guests.service"
EXPOSURE = 84  # tenths, of 100: what the units of this version reach

pytestmark = pytest.mark.skipif(not possible(), reason="needs root, to make namespaces with a systemd of its own")


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("deb")
    subprocess.run([ROOT / "tests/package/build-deb", out], check=True, timeout=300)
    (found,) = out.glob("xenlocal_*_all.deb")
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On the releases that `--suite` names, which tests/xen brings."""
    if "container" in metafunc.fixturenames:
        suites = metafunc.config.getoption("--suite", None) or ["bookworm"]
        metafunc.parametrize("container", suites, indirect=True, scope="module")


@pytest.fixture(scope="module")
def container(
    request: pytest.FixtureRequest, deb: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """Booted, xenlocal installed."""
    made = Container(tmp_path_factory.mktemp("container"), request.param)
    try:
        made.start()
        made.install(deb)
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def fresh(container: Container, deb: Path) -> None:
    """Every test begins on a host that is up, with the package installed and its boot goal done."""
    for trace in ("slow", "failing"):
        (container.root / trace).unlink(missing_ok=True)
    if container._init is None:
        container.start()
    if not (container.root / "usr/lib/systemd/system/xenlocal.service").exists():
        container.install(deb)
    container.wait(lambda: container.state(GUESTS) == "active", GUESTS)
    container.wait(lambda: container.state("xenlocal.service") == "active", "the daemon")
    if container.state("xenlocal-web.scope") != "active":
        container.monitor("web")
    container.calls()


def at_poweroff(container: Container) -> list[str]:
    container.calls()
    container.poweroff()
    return container.calls()


def test_stopping_the_guests_by_hand_is_refused(container: Container) -> None:
    for verb in ("stop", "restart"):
        done = container.run("systemctl", verb, GUESTS, check=False)
        assert done.returncode != 0 and "refused" in done.stderr
    assert container.calls() == []


def test_xendomains_has_nothing_left_to_do(container: Container) -> None:
    shown = container.run("systemctl", "show", "-p", "ExecStop,ExecReload", "xendomains.service").stdout
    assert "xendomains" not in shown


def test_stop_crash_and_restart_of_the_daemon_leave_monitors_alone(container: Container) -> None:
    container.run("systemctl", "restart", "xenlocal.service")
    container.calls()
    container.run("systemctl", "kill", "-s", "KILL", "--kill-who=main", "xenlocal.service")
    container.wait(lambda: "run begins" in container.calls(), "the daemon to come back", 30)
    container.wait(lambda: container.state("xenlocal.service") == "active", "the daemon")
    assert container.state("xenlocal-web.scope") == "active"
    assert container.state(GUESTS) == "active"


def test_poweroff_stops_guests_first_then_monitors_and_the_daemon(container: Container) -> None:
    calls = at_poweroff(container)
    assert calls[:2] == ["shutdown begins", "shutdown ends"]
    assert sorted(calls[2:]) == ["monitor is told to end", "run is told to end"]


def test_poweroff_while_the_guests_are_still_starting(container: Container) -> None:
    container.poweroff()
    container.write("/slow", "")
    container.start()
    container.wait(lambda: container.state(GUESTS) == "active", GUESTS)
    container.monitor("web")
    calls = at_poweroff(container)
    assert calls[:3] == ["boot is told to end", "shutdown begins", "shutdown ends"]
    assert "monitor is told to end" in calls[3:]


def test_poweroff_after_a_boot_that_partly_failed(container: Container) -> None:
    container.poweroff()
    container.write("/failing", "")
    container.start()
    assert container.state(GUESTS) == "active"
    assert at_poweroff(container)[:2] == ["shutdown begins", "shutdown ends"]


def test_installing_again_restarts_only_the_daemon(container: Container, deb: Path) -> None:
    container.install(deb)
    container.wait(lambda: container.state("xenlocal.service") == "active", "the daemon")
    assert container.calls() == ["run is told to end", "run begins"]
    assert container.state("xenlocal-web.scope") == "active"


def test_remove_touches_no_guest_and_installing_again_finds_all_as_it_was(container: Container, deb: Path) -> None:
    said = container.run("dpkg", "-r", "xenlocal")
    assert container.calls() == ["run is told to end"]
    assert container.state("xenlocal-web.scope") == "active"
    container.wait(lambda: container.state("xendomains.service") == "active", f"xendomains after: {said.stderr}")
    assert "xendomains" in container.run("systemctl", "show", "-p", "ExecStop", "xendomains.service").stdout
    assert container.run("systemctl", "show", "-p", "ExecStop", "--value", GUESTS).stdout.strip() == ""

    container.install(deb)
    container.wait(lambda: container.state("xenlocal.service") == "active", "the daemon")
    assert container.calls() == ["run begins"], "the unit of the guests is still active: no second boot goal"
    assert "xenlocal shutdown" in container.run("systemctl", "show", "-p", "ExecStop", GUESTS).stdout


def test_poweroff_after_a_removal_calls_nothing_that_is_gone(container: Container) -> None:
    container.run("dpkg", "-r", "xenlocal")
    assert at_poweroff(container) == ["monitor is told to end"]
    failed = container.root / "var/log/calls"
    assert "xenlocal" not in failed.read_text()


def test_purge_forgets_everything_but_the_administrators_own_files(container: Container, deb: Path) -> None:
    container.write("/etc/xenlocal/mine.conf", "")
    container.run("dpkg", "-P", "xenlocal")
    assert container.calls() == ["run is told to end"]
    assert container.state("xenlocal-web.scope") == "active"
    assert container.state(GUESTS) in ("inactive", "failed", "unknown")
    assert not (container.root / "var/lib/xenlocal").exists()
    assert (container.root / "etc/xenlocal/mine.conf").exists()
    assert container.run("ls", "/run/xenlocal", check=False).returncode != 0

    container.install(deb)
    container.wait(lambda: "boot ends" in container.calls(), "the boot goal of the new installation")


def test_save_images_or_auto_links_keep_xendomains_off_after_a_removal(container: Container) -> None:
    """Starting it would start or restore guests that nobody asked for now."""
    container.poweroff()
    container.start()
    container.write("/etc/xen/auto/old.cfg", "")
    try:
        said = container.run("dpkg", "-r", "xenlocal")
        assert "start xendomains.service" not in said.stdout
        assert "nobody will shut them down" in said.stderr
        assert container.state("xendomains.service") == "inactive"
    finally:
        (container.root / "etc/xen/auto/old.cfg").unlink()


@pytest.mark.parametrize("unit", ["xenlocal.service", GUESTS])
def test_the_units_forbid_what_can_be_forbidden_without_harm(container: Container, unit: str) -> None:
    """`systemd-analyze security` said 9.6 without any of it."""
    done = container.run("systemd-analyze", "security", f"--threshold={EXPOSURE}", unit, check=False)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_nothing_that_a_guest_would_inherit_hides_the_host(container: Container) -> None:
    """What the daemon starts takes its namespaces and privileges along for as long as the guest lives."""
    pid = container.run("systemctl", "show", "-p", "MainPID", "--value", "xenlocal.service").stdout.strip()
    spaces = [
        container.run("readlink", *(f"/proc/{who}/ns/{kind}" for kind in ("mnt", "uts", "ipc", "net", "user"))).stdout
        for who in ("1", pid)
    ]
    assert spaces[0] == spaces[1]
    assert "NoNewPrivs:\t0" in container.run("cat", f"/proc/{pid}/status").stdout
    for unit in ("xenlocal.service", GUESTS):
        shown = container.run("systemctl", "show", "-p", "DevicePolicy,DeviceAllow", unit).stdout.split()
        assert shown == ["DevicePolicy=auto"]
