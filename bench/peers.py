"""What xenlocal is measured against: Debian's own xendomains, and the floor."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from bench.stubs import StubHost

_PACKAGE = "xen-utils-common"


def unpacked(build: Path) -> Path:
    """Debian's package with xendomains, unpacked below `build`, not installed. Downloaded with apt where missing."""
    target = build / _PACKAGE
    if not (target / "etc/init.d/xendomains").is_file():
        build.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", _PACKAGE], check=True, cwd=build, timeout=300)
        newest = max(build.glob(f"{_PACKAGE}_*.deb"), key=lambda path: path.stat().st_mtime)
        subprocess.run(["dpkg-deb", "-x", str(newest), str(target)], check=True, timeout=60)
        newest.unlink()
    return target


def version(build: Path) -> str:
    """Of the script: what the changelog in its package says."""
    text = subprocess.run(
        ["zcat", *map(str, unpacked(build).glob("usr/share/doc/xen-utils-common/changelog.Debian.gz"))],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    found = re.match(r"\S+ \(([^)]+)\)", text)
    return found[1] if found else "unknown"


def xendomains(host: StubHost, build: Path) -> tuple[list[str], dict[str, str]]:
    """Command and environment of `xendomains start` on the stubs. Only the paths in it are changed; its helper
    programs are those of the package, `xl` is the stub."""
    package = unpacked(build)
    helpers = host.directory / "helpers"
    helpers.mkdir(exist_ok=True)
    script = (package / "etc/init.d/xendomains").read_text()
    defaults = (package / "etc/default/xendomains").read_text()
    for old, new in (
        ("/proc/xen/privcmd", "/dev/null"),
        ("/etc/default/xendomains", str(helpers / "defaults")),
        ("/usr/lib/xen-common/bin", str(package / "usr/lib/xen-common/bin")),
    ):
        assert old in script, f"{old} is not in this xendomains"
        script = script.replace(old, new)
    (helpers / "defaults").write_text(f"{defaults}\nXENDOMAINS_AUTO={host.auto}\nXENDOMAINS_SAVE=\n")
    (helpers / "xendomains").write_text(script)
    (helpers / "xen").write_text((package / "usr/sbin/xen").read_text())
    (helpers / "xen").chmod(0o755)
    path = f"{host.path}:{helpers}:{os.defpath}"
    return ["bash", str(helpers / "xendomains"), "start"], {"PATH": path, "LC_ALL": "C"}


def floor(host: StubHost) -> tuple[list[str], dict[str, str]]:
    """One look and a create a domU, four at a time: nobody can start them with less."""
    script = 'xl list -v >/dev/null; printf "%s\\n" "$0"/*.cfg | xargs -n 1 -P 4 xl create -q'
    return ["bash", "-c", script, str(host.auto)], {"PATH": f"{host.path}:{os.defpath}", "LC_ALL": "C"}
