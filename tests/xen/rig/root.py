"""The Debian root of a dom0 as a tar file: packages only, nothing of the rig in it, so that it is rarely rebuilt."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rig.cache import cached, key_of
from rig.sources import debian_sources, transport_options

BUILD_SECONDS = 1200

DOM0_PACKAGES = (
    "systemd-sysv", "udev", "dbus", "linux-image-amd64", "xen-system-amd64", "initramfs-tools", "kmod", "procps",
    "e2fsprogs", "lvm2", "ifupdown", "iproute2", "iputils-ping", "bridge-utils", "busybox-static", "socat",
    "zstd", "xz-utils", "qemu-system-xen", "grub-xen-host", "mmdebstrap",
    "open-iscsi", "tgt", "thin-provisioning-tools", "lvm2-lockd", "sanlock",
    "python3", "python3-sh", "python3-configobj", "python3-pyinotify", "python3-daemon", "python3-rich",
)  # fmt: skip
"""What a dom0 of a test has installed: Xen with its tools, the dependencies of the package under test, what it may call
(iSCSI, thin pools, shared VGs, installation), and a target for iSCSI."""

# A dom0 that boots from one virtio disk needs none of the drivers of real machines in its initrd, and unpacks a small
# one several seconds faster under emulation. Written before initramfs-tools is installed, so that it is built once.
_SMALL_INITRD = """
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
echo MODULES=list > "$1/etc/initramfs-tools/conf.d/rig"
printf '%s\\n' virtio_pci virtio_blk virtio_console ext4 > "$1/usr/share/initramfs-tools/modules.d/rig"
"""

_LEAVE_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


def root_tar(suite: str) -> Path:
    """The cached root of `suite`, built from this machine's own Debian archive where it is missing (about 90 s)."""

    def build(target: Path) -> None:
        sources = target / "sources.list"
        sources.write_text("\n".join(debian_sources(suite)) + "\n")
        command = ["mmdebstrap", "--mode=root", "--variant=apt", "--include=" + ",".join(DOM0_PACKAGES)]
        command += [f"--aptopt={option}" for option in transport_options()]
        command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEAVE_OUT]
        command += [f"--essential-hook={_SMALL_INITRD}", suite, str(target / "root.tar"), str(sources)]
        with open(target / "build.log", "w") as log:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=BUILD_SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"mmdebstrap failed:\n{(target / 'build.log').read_text()[-4000:]}")

    entry = cached(f"root-{suite}-{key_of([suite, *DOM0_PACKAGES, _SMALL_INITRD, *_LEAVE_OUT])}", build)
    return entry / "root.tar"
