"""What xenlocal is measured against: Debian's own xendomains, upstream's, and the floor.

Both scripts come from Debian's packages, unpacked below `build`. Only the paths in them are changed; `xl` is the stub.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.stubs import StubHost

Start = tuple[list[str], dict[str, str]]
"""A command and its environment."""
Way = Callable[[StubHost], Start]
_COMMON = "xen-utils-common"
_UPSTREAM_TOOLS = re.compile(r"xen-utils-(\d+)\.(\d+)")
"""The package of a version of Xen: /usr/lib/xen-VERSION/bin holds upstream's script, which Debian does not use."""


def unpacked(build: Path, package: str) -> Path:
    """A package of Debian, unpacked below `build`, not installed. Downloaded with apt where missing."""
    target = build / package
    if not (target / "usr").is_dir():
        build.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", package], check=True, cwd=build, timeout=300)
        newest = max(build.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)
        subprocess.run(["dpkg-deb", "-x", str(newest), str(target)], check=True, timeout=60)
        newest.unlink()
    return target


def version(build: Path) -> str:
    """Of Debian's script: what the changelog in its package says."""
    text = subprocess.run(
        ["zcat", *map(str, unpacked(build, _COMMON).glob("usr/share/doc/xen-utils-common/changelog.Debian.gz"))],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    found = re.match(r"\S+ \(([^)]+)\)", text)
    return found[1] if found else "unknown"


def _with_upstreams_script(build: Path) -> Path:
    """The newest package of this release that has it, unpacked."""
    names = subprocess.run(
        ["apt-cache", "pkgnames", "xen-utils-"], check=True, capture_output=True, text=True, timeout=60
    )
    versions = [found for name in names.stdout.split() if (found := _UPSTREAM_TOOLS.fullmatch(name))]
    newest = max(versions, key=lambda found: (int(found[1]), int(found[2])))
    return unpacked(build, newest[0])


def xendomains(host: StubHost, build: Path, verb: str = "start", patience: int = 300) -> Start:
    """Debian's. `patience`: seconds it waits for each guest that is to stop."""
    package = unpacked(build, _COMMON)
    helpers = _helpers(host)
    defaults = (package / "etc/default/xendomains").read_text()
    settings = f"XENDOMAINS_AUTO={host.auto}\nXENDOMAINS_SAVE=\nXENDOMAINS_STOP_MAXWAIT={patience}\n"
    (helpers / "defaults").write_text(f"{defaults}\n{settings}")
    changed = {
        "/proc/xen/privcmd": "/dev/null",
        "/etc/default/xendomains": str(helpers / "defaults"),
        "/usr/lib/xen-common/bin": str(package / "usr/lib/xen-common/bin"),
    }
    script = _changed(package / "etc/init.d/xendomains", helpers / "xendomains", changed)
    (helpers / "xen").write_text((package / "usr/sbin/xen").read_text())
    (helpers / "xen").chmod(0o755)
    return ["bash", script, verb], {"PATH": f"{host.path}:{helpers}:{os.defpath}", "LC_ALL": "C"}


def upstream(host: StubHost, build: Path) -> Start:
    """Upstream's `xendomains start`, without its pause of 5 s after each domU."""
    helpers = _helpers(host)
    (helpers / "hotplugpath.sh").write_text(f"sbindir={host.path}\nbindir={host.path}\nXEN_LOCK_DIR={host.directory}\n")
    (helpers / "upstream-defaults").write_text(f"XENDOMAINS_AUTO={host.auto}\n")
    changed = {
        "/proc/xen/privcmd": "/dev/null",
        "/etc/xen/scripts/hotplugpath.sh": str(helpers / "hotplugpath.sh"),
        "/etc/default/xendomains": str(helpers / "upstream-defaults"),
    }
    original = next(_with_upstreams_script(build).glob("usr/lib/xen-*/bin/xendomains"))
    script = _changed(original, helpers / "upstream-xendomains", changed)
    return ["bash", script, "start"], {"PATH": f"{host.path}:{os.defpath}", "LC_ALL": "C"}


def _helpers(host: StubHost) -> Path:
    made = host.directory / "helpers"
    made.mkdir(exist_ok=True)
    return made


def _changed(original: Path, copy: Path, paths: Mapping[str, str]) -> str:
    script = original.read_text()
    for old, new in paths.items():
        assert old in script, f"{old} is not in this xendomains"
        script = script.replace(old, new)
    copy.write_text(script)
    return str(copy)


def floor(host: StubHost) -> Start:
    """One look and a create a domU, four at a time: nobody can start them with less."""
    script = 'xl list -v >/dev/null; printf "%s\\n" "$0"/*.cfg | xargs -n 1 -P 4 xl create -q'
    return ["bash", "-c", script, str(host.auto)], {"PATH": f"{host.path}:{os.defpath}", "LC_ALL": "C"}
