"""Which Debian archive to build from: the one this machine itself uses, as apt reads its own configuration."""

from __future__ import annotations

import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
"""Of package debian-archive-keyring; holds the keys of every supported release."""

POCKETS = ("", "-updates", "-security")
"""Parts of a release that the dom0 uses; backports and the like stay out."""


class NoArchive(RuntimeError):
    """This machine's apt has no Debian archive to build from."""


def debian_sources(suite: str) -> list[str]:
    """One-line apt sources for `suite`, taken from this machine's Debian entries and no other.

    apt itself parses its files (both formats) and names the origin of each, as `apt-get indextargets` prints it; third
    parties have another origin. The host's own release name is replaced by `suite`.
    """
    fields = "$(ORIGIN)|$(REPO_URI)|$(COMPONENT)|$(CODENAME)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", fields, "Identifier: Packages"],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    found: set[str] = set()
    for line in listed.splitlines():
        origin, uri, component, codename = line.split("|")
        _, dash, pocket = codename.partition("-")
        if origin == "Debian" and component == "main" and dash + pocket in POCKETS:
            found.add(f"deb [signed-by={KEYRING}] {uri} {suite}{dash}{pocket} main")
    if not found:
        raise NoArchive("apt knows no Debian archive here: configure one and run apt-get update")
    return sorted(found)


def transport_options() -> list[str]:
    """This machine's apt settings that decide whether an archive can be fetched at all (proxy, clock checks)."""
    wanted = (
        "Acquire::Check-Valid-Until",
        "Acquire::Check-Date",
        "Acquire::http::Proxy",
        "Acquire::https::Proxy",
    )
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True, timeout=60).stdout
    return [line.rstrip(";") for line in dump.splitlines() if line.split(" ")[0] in wanted]
