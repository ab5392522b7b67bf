"""A real Xen dom0 in QEMU, driven from pytest.

The way of a scenario: `image` builds a Debian root with Xen once per suite, `snapshot` boots it once and saves the
booted machine, `machine` resumes that on throw-away disks in about a second and runs commands in it through
`agent.py`, `journal` reads what the guests (`guests/init`) wrote about themselves on their own disks.

What a development machine needs (Debian 12 or newer, root, no KVM) is `HOST_PACKAGES`.
"""

HOST_PACKAGES = (
    "qemu-system-x86", "qemu-utils", "mmdebstrap", "e2fsprogs", "zstd", "debian-archive-keyring", "python3-pytest",
)  # fmt: skip
"""Debian packages of the development machine that the rig calls."""

SUITES = ("bookworm", "trixie")
"""Debian releases the rig can boot: Xen 4.17 and Xen 4.20."""
