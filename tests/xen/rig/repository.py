"""What Debian guests are made from where there is no network: a small archive of packages."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from rig.cache import cached, key_of
from rig.sources import debian_sources, transport_options

BUILD_SECONDS = 900

PACKAGES = ("systemd-sysv", "udev", "less")
"""What a guest has beside the least there is; with what that depends on."""

MERGED = "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr"
"""As the installation has it (libexec/install): the packages have to be the same."""


def repository(suite: str) -> Path:
    """The cached directory, made from this machine's own Debian archive where it is missing (about a minute)."""

    def build(target: Path) -> None:
        sources = target.with_name(f"{target.name}.list")
        sources.write_text("\n".join(debian_sources(suite)) + "\n")
        try:
            command = ["mmdebstrap", "--mode=root", "--variant=minbase", MERGED, "--include=" + ",".join(PACKAGES)]
            command += [f"--aptopt={option}" for option in transport_options()]
            command += [
                "--skip=essential/unlink",
                f"--customize-hook=cp \"$1\"/var/cache/apt/archives/*.deb '{target}'",
            ]
            _call([*command, "--format=null", suite, "-", str(sources)], target)
        finally:
            sources.unlink()
        index = _call(["dpkg-scanpackages", "--multiversion", "."], target)
        (target / "Packages").write_bytes(index)
        # mmdebstrap takes the essential packages of what calls itself by the name of the suite, and of nothing else
        lines = [f"Suite: {suite}", f"Codename: {suite}", "SHA256:"]
        lines.append(f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages")
        (target / "Release").write_text("\n".join(lines) + "\n")

    return cached(f"packages-{suite}-{key_of([suite, *PACKAGES, MERGED])}", build)


def package(suite: str, name: str) -> Path:
    """One package of `suite`, for a scenario that installs it; cached as the archive is."""

    def build(target: Path) -> None:
        sources = target / "sources.list"
        sources.write_text("\n".join(debian_sources(suite)) + "\n")
        with tempfile.TemporaryDirectory(dir=target) as state:
            settings = [f'Dir::Etc::sourcelist "{sources}"', 'Dir::Etc::sourceparts "-"', 'APT::Sandbox::User "root"']
            settings += [f'Dir::State::lists "{state}/lists"', f'Dir::Cache "{state}/cache"', *transport_options()]
            for directory in ("lists", "cache/archives"):
                Path(state, directory, "partial").mkdir(parents=True)
            Path(state, "apt.conf").write_text("".join(f"{each};\n" for each in settings))
            for verb in (["update"], ["download", name]):
                _call(["apt-get", "-q", "-c", f"{state}/apt.conf", *verb], target)

    entry = cached(f"{name}-{suite}-{key_of([suite, name])}", build)
    (found,) = entry.glob("*.deb")
    return found


def _call(argv: list[str], directory: Path) -> bytes:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, cwd=directory, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed:\n{done.stderr.decode(errors='replace')[-4000:]}")
    return done.stdout
