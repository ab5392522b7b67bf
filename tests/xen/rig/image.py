"""A bootable dom0: the root of `root.py` with the agent and the guests in it, as a raw disk, and what QEMU boots."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rig import guest_image
from rig.cache import cache_dir, cached, key_of
from rig.root import root_tar

HERE = Path(__file__).parent
BUILD_SECONDS = 600
ROOT_SIZE = "4G"

_QUIET = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer", "dpkg-db-backup.timer",
          "systemd-firstboot.service", "e2scrub_reap.service")  # fmt: skip
"""Units that would only blur a measurement."""

_ON_DEMAND = ("tgt.service", "lvmlockd.service", "lvmlocks.service", "sanlock.service", "wdmd.service")
"""What one scenario starts and the others must not have."""


@dataclass(frozen=True)
class Image:
    """Files that QEMU boots: `directory` holds root.img (raw ext4), xen (ELF), vmlinuz and initrd.img."""

    suite: str
    key: str
    directory: Path
    release: str
    """The kernel's release, as of `uname -r`."""

    def file(self, name: str) -> str:
        return str(self.directory / name)


def image(suite: str) -> Image:
    """The cached dom0 of `suite`, built where it is missing (about 20 s on top of the root)."""
    tar = root_tar(suite)
    inputs = [HERE / "agent.py", HERE / "rig-agent.service", *sorted((HERE / "guests").iterdir())]
    key = key_of([tar.parent.name, HERE / "image.py", HERE / "guest_image.py", *inputs])
    directory = cached(f"dom0-{suite}-{key}", lambda target: _build(tar, target))
    facts = json.loads((directory / "image.json").read_text())
    return Image(suite, key, directory, facts["release"])


def _build(tar: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".unpack.", dir=cache_dir()) as unpacked:
        root = Path(unpacked)
        root.chmod(0o755)
        _call("tar", "--numeric-owner", "--xattrs", "-xpf", tar, "-C", root)
        release = _extract_boot_files(root, target)
        _lay_in(root, release, (target / "vmlinuz").read_bytes())
        _call(
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-E",
            "lazy_itable_init=1",
            "-d",
            root,
            target / "root.img",
            ROOT_SIZE,
        )
    (target / "image.json").write_text(json.dumps({"release": release}))


def _call(*argv: str | Path) -> None:
    subprocess.run([str(part) for part in argv], check=True, stdin=subprocess.DEVNULL, timeout=BUILD_SECONDS)


def _extract_boot_files(root: Path, target: Path) -> str:
    """Copy out what QEMU loads itself; its multiboot loader wants the hypervisor as an ELF, not gzipped."""
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    (xen,) = (root / "boot").glob("xen-*.gz")
    release = kernel.name.removeprefix("vmlinuz-")
    with gzip.open(xen) as packed, open(target / "xen", "wb") as plain:
        shutil.copyfileobj(packed, plain)
    shutil.copy(kernel, target / "vmlinuz")
    shutil.copy(root / f"boot/initrd.img-{release}", target / "initrd.img")
    return release


def _lay_in(root: Path, release: str, kernel: bytes) -> None:
    """Make the root a dom0 of the rig: no password, a name, the agent, the guests."""
    _write(root / "etc/fstab", "/dev/vda / ext4 errors=remount-ro 0 1\n")
    _write(root / "etc/hostname", "dom0\n")
    _write(root / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 dom0\n")
    _write(root / "etc/network/interfaces", "auto lo\niface lo inet loopback\n")
    _write(root / "etc/resolv.conf", "")
    _write(root / "etc/machine-id", "")
    shadow = root / "etc/shadow"
    shadow.write_text(shadow.read_text().replace("root:*:", "root::", 1))
    units = root / "etc/systemd/system"
    for unit in _QUIET:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for wanted in (link for unit in _ON_DEMAND for link in units.glob(f"*/{unit}")):
        wanted.unlink()
    (root / "opt/rig").mkdir()
    shutil.copy(HERE / "agent.py", root / "opt/rig/agent.py")
    shutil.copy(HERE / "rig-agent.service", units)
    (units / "sysinit.target.wants").mkdir(exist_ok=True)
    (units / "sysinit.target.wants/rig-agent.service").symlink_to("../rig-agent.service")
    guest = root / "srv/guest"
    guest.mkdir(parents=True)
    (guest / "vmlinux").write_bytes(guest_image.unpacked_kernel(kernel))
    (guest / "initrd").write_bytes(guest_image.initramfs(root, release))
    (guest / "machine").write_bytes(guest_image.machine(root, release))


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o644)
