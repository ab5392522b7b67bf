"""The Debian package: built twice alike, accepted by lintian, and no script of it touches a guest."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from xenlocal import __version__

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("dh") is None, reason="needs debhelper; `make deb` installs it")


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    words = [str(word) for word in command]
    env = {**os.environ, **environment}
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that no edit comes between two builds."""
    copy = tmp_path_factory.mktemp("tree") / "xenlocal"
    leave_out = shutil.ignore_patterns(".git", ".venv", "build", "records", "xen", "unit", ".*_cache", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=leave_out, symlinks=True)
    return copy


@pytest.fixture(scope="session")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    run(tree / "tests/package/build-deb", out)
    return out


@pytest.fixture(scope="session")
def deb(built: Path) -> Path:
    (found,) = built.glob("xenlocal_*_all.deb")
    return found


@pytest.fixture(scope="session")
def content(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("content")
    run("dpkg-deb", "--raw-extract", deb, out)
    return out


def test_name_says_the_version(deb: Path) -> None:
    assert deb.name == f"xenlocal_{__version__}_all.deb"


def test_two_builds_are_identical(tree: Path, deb: Path, tmp_path: Path) -> None:
    """In another directory, in another time zone and home, from files with other times."""
    copy = tmp_path / "a checkout elsewhere"
    shutil.copytree(tree, copy, symlinks=True)
    for path in copy.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    run(
        copy / "tests/package/build-deb",
        tmp_path / "out",
        TZ="Pacific/Kiritimati",
        LC_ALL="C.UTF-8",
        HOME=str(tmp_path),
    )
    (again,) = (tmp_path / "out").glob("xenlocal_*_all.deb")
    assert again.read_bytes() == deb.read_bytes()


LINTIAN = ("lintian", "--allow-root", "--pedantic", "--display-info", "--display-experimental", "--fail-on=none")


def test_lintian_has_nothing_to_say(deb: Path) -> None:
    assert run(*LINTIAN, deb) == ""


def test_every_override_gives_its_reason_and_is_used(deb: Path) -> None:
    shown = run(*LINTIAN, "--show-overrides", deb)
    text = (ROOT / "debian/xenlocal.lintian-overrides").read_text()
    for block in re.split(r"(?<=\*\n)", text):
        if block:
            assert block.startswith("#"), block
            tag = block.splitlines()[-1].split()[1]
            assert f" {tag} " in shown, f"{tag} is overridden in vain"


def test_files_are_where_they_belong(content: Path) -> None:
    files = {
        str(path.relative_to(content)): stat.S_IMODE(path.stat().st_mode)
        for path in content.rglob("*")
        if path.is_file()
    }
    expected = {
        "etc/needrestart/conf.d/xenlocal.conf": 0o644,
        "etc/xenlocal/xenlocal.conf": 0o644,
        "usr/bin/xenlocal": 0o755,
        "usr/lib/systemd/system/xendomains.service.d/50-xenlocal.conf": 0o644,
        "usr/lib/systemd/system/xenlocal-guests.service": 0o644,
        "usr/lib/systemd/system/xenlocal.service": 0o644,
        "usr/lib/systemd/system/xenlocal.slice": 0o644,
        "usr/libexec/xenlocal/disk.sh": 0o644,
        "usr/libexec/xenlocal/install": 0o755,
        "usr/libexec/xenlocal/modules": 0o755,
        "usr/libexec/xenlocal/resize": 0o755,
        "usr/share/bash-completion/completions/xenlocal": 0o644,
        "usr/share/man/man5/xenlocal.conf.5.gz": 0o644,
        "usr/share/man/man8/xenlocal.8.gz": 0o644,
    }
    elsewhere = ("DEBIAN/", "usr/lib/python3/dist-packages/xenlocal", "usr/share/doc/xenlocal/", "usr/share/lintian/")
    assert {name: mode for name, mode in files.items() if not name.startswith(elsewhere)} == expected
    assert stat.S_IMODE((content / "etc/xenlocal").stat().st_mode) == 0o755
    assert (content / "DEBIAN/conffiles").read_text().split() == [
        "/etc/needrestart/conf.d/xenlocal.conf",
        "/etc/xenlocal/xenlocal.conf",
    ]


def test_every_module_is_in_it_and_no_test(content: Path, tree: Path) -> None:
    installed = content / "usr/lib/python3/dist-packages/xenlocal"
    assert {path.relative_to(installed) for path in installed.rglob("*.py")} == {
        path.relative_to(tree / "xenlocal") for path in (tree / "xenlocal").rglob("*.py")
    }
    assert not (installed.parent / "tests").exists()


def test_dependencies_suit_both_releases(deb: Path) -> None:
    depends = {part.strip() for part in run("dpkg-deb", "--field", deb, "Depends").split(",")}
    for library in ("configobj", "daemon", "pyinotify", "sh"):
        assert f"python3-{library}" in depends
    for tool in ("lvm2", "iproute2", "iputils-ping", "procps", "systemd", "xen-utils-common", "xenstore-utils"):
        assert tool in depends
    assert not any("pyasyncore" in part or "<<" in part for part in depends)


def scripts(content: Path) -> dict[str, str]:
    names = ("preinst", "postinst", "prerm", "postrm")
    return {name: (content / "DEBIAN" / name).read_text() for name in names if (content / "DEBIAN" / name).exists()}


def test_no_maintainer_script_touches_a_guest(content: Path) -> None:
    """The unit of the guests is enabled, started without waiting, and asked about. One place, in postrm, stops it, and
    is reached only when systemd has no ExecStop of it any more."""
    found = scripts(content)
    assert "preinst" not in found, "debhelper's preinst would stop a unit"
    for name, text in found.items():
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        assert not re.search(r"\bxl\b|xenlocal (boot|shutdown|stop|destroy)|lvremove|lvchange|ip link", code), name
        assert not re.search(r"deb-systemd-invoke[^\n]*xenlocal-guests", code), name
        stops = re.findall(r"systemctl[^\n]*\b(?:stop|restart|kill)\b[^\n]*", code)
        assert stops == (["systemctl --quiet stop xenlocal-guests.service || true"] if name == "postrm" else []), name
    purge = found["postrm"].partition("forget_guests_unit() {")[2].partition("}")[0]
    guard = '[ -z "$(systemctl show --property=ExecStop --value xenlocal-guests.service)" ] || return 0'
    assert guard in purge and purge.index(guard) < purge.index("systemctl --quiet stop")


def test_units_are_valid(content: Path) -> None:
    """As systemd itself reads them, with the installed command in place of ours."""
    units = content / "usr/lib/systemd/system"
    said = ""
    for unit in ("xenlocal.service", "xenlocal-guests.service", "xenlocal.slice"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", units / unit],
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        said += done.stdout + done.stderr
    ours = [line for line in said.splitlines() if "xenlocal" in line]
    # The command itself is not installed on the machine that runs this test.
    assert [line for line in ours if "/usr/bin/xenlocal is not executable" not in line] == []


def test_shutdown_fits_between_its_own_deadline_and_that_of_systemd(content: Path) -> None:
    unit = (content / "usr/lib/systemd/system/xenlocal-guests.service").read_text()
    found = re.search(r"^TimeoutStopSec=(\d+)min (\d+)s$", unit, flags=re.M)
    assert found and 29 * 60 < int(found[1]) * 60 + int(found[2]) < 30 * 60


def test_needrestart_reads_its_file(content: Path) -> None:
    file = content / "etc/needrestart/conf.d/xenlocal.conf"
    program = (
        f"our %nrconf; do '{file}'; die $@ if $@;"
        "print grep { 'xenlocal-guests.service' =~ $_ } keys %{$nrconf{override_rc}}"
    )
    assert "xenlocal-guests" in run("perl", "-we", program)


def test_manual_pages_render_without_a_warning(content: Path) -> None:
    for page in ("man5/xenlocal.conf.5.gz", "man8/xenlocal.8.gz"):
        done = subprocess.run(
            ["man", "--warnings", "-l", content / "usr/share/man" / page],
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0 and done.stderr == "" and "NAME" in done.stdout


def test_no_path_of_the_build_machine(content: Path, built: Path, tree: Path) -> None:
    needles = [str(path).encode() for path in (built, tree, ROOT)]
    for path in content.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(needle in data for needle in needles), path
