"""What Debian guests are made from where there is no network: a small archive of packages."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from rig.cache import cached, key_of
from rig.sources import debian_sources, transport_options

BUILD_SECONDS = 900

PACKAGES = ("systemd-sysv", "udev")
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


def _call(argv: list[str], directory: Path) -> bytes:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, cwd=directory, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed:\n{done.stderr.decode(errors='replace')[-4000:]}")
    return done.stdout
