"""The package under test, in the dom0 as an administrator would handle it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from rig.machine import Machine, Result

APT = "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confold"
APT_SECONDS = 300


def install(m: Machine, deb: Path) -> Result:
    """`apt-get install ./package.deb`: install, upgrade or reinstall. Dependencies are in the image (rig/root.py)."""
    m.put(f"/root/{deb.name}", deb.read_bytes())
    return m.run(f"{APT} install --reinstall --allow-downgrades /root/{deb.name}", APT_SECONDS)


def remove(m: Machine, package: str = "xenlocal", purge: bool = False) -> Result:
    """`apt-get remove` or `purge`."""
    return m.run(f"{APT} {'purge' if purge else 'remove'} {package}", APT_SECONDS)


def with_version(deb: Path, version: str, directory: Path) -> Path:
    """The same package under another version, to upgrade to; written into `directory`."""
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(["dpkg-deb", "-R", str(deb), unpacked], check=True, timeout=60)
        control = Path(unpacked, "DEBIAN", "control")
        lines = control.read_text().splitlines()
        control.write_text("".join(f"Version: {version}\n" if x.startswith("Version:") else f"{x}\n" for x in lines))
        other = directory / f"{deb.name.split('_')[0]}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "-b", unpacked, str(other)], check=True, capture_output=True, timeout=60)
    return other
