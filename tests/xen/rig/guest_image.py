"""The domU of the tests: the dom0's kernel as a plain ELF, and an initramfs of busybox, two drivers and scripts."""

from __future__ import annotations

import gzip
import io
import lzma
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).parent / "guests"

MODULES = ("drivers/block/xen-blkfront.ko", "drivers/net/xen-netfront.ko")
"""Neither needs another module, in Debian 12 or 13 (modules.dep)."""

MACHINE_MODULES = ("drivers/acpi/button.ko", "drivers/input/evdev.ko")
"""Of a machine without PV drivers: its power button. Neither needs another module."""

DIRECTORIES = ("bin", "dev", "lib", "lib/modules", "proc", "run", "sbin", "sys")


def unpacked_kernel(image: bytes) -> bytes:
    """The ELF inside a bzImage, found by the magic of its compression; `xl create` of it saves 6 s under emulation."""
    for magic, unpack in (
        (b"\xfd7zXZ\x00", _unxz),
        (b"\x28\xb5\x2f\xfd", _unzstd),
        (b"\x1f\x8b\x08\x00", _gunzip),
    ):
        start = image.find(magic)
        if start >= 0 and (elf := unpack(image[start:])).startswith(b"\x7fELF"):
            return elf
    raise ValueError("no known compressed ELF inside the kernel image")


def _unxz(data: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(data)


def _gunzip(data: bytes) -> bytes:
    with gzip.open(io.BytesIO(data)) as file:
        return file.read(1 << 30)


def _unzstd(data: bytes) -> bytes:
    """zstd stops with an error at the bytes behind the frame, after it wrote the whole frame."""
    return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, timeout=60, check=False).stdout


def initramfs(root: Path, release: str) -> bytes:
    """A cpio archive (newc, not compressed: unpacked at once) from the busybox and the modules under `root`."""
    scripts = {"init": "init", "lib/uevent": "uevent", "sbin/poweroff": "shutdown", "sbin/reboot": "shutdown"}
    return _archive(root, release, scripts, MODULES)


def machine(root: Path, release: str) -> bytes:
    """The same for a machine without PV drivers."""
    return _archive(root, release, {"init": "machine", "lib/pressed": "pressed"}, MACHINE_MODULES)


def _archive(root: Path, release: str, scripts: dict[str, str], modules: tuple[str, ...]) -> bytes:
    entries = [(name, 0o40755, b"") for name in DIRECTORIES]
    entries.append(("bin/busybox", 0o100755, (root / "bin/busybox").read_bytes()))
    entries.append(("lib/journal.sh", 0o100644, (SCRIPTS / "journal.sh").read_bytes()))
    entries += [(place, 0o100755, (SCRIPTS / script).read_bytes()) for place, script in scripts.items()]
    for module in modules:
        entries.append((f"lib/modules/{Path(module).name}", 0o100644, _module(root, release, module)))
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_cpio(number, *entry) for number, entry in enumerate(entries, start=1))


def _module(root: Path, release: str, name: str) -> bytes:
    """A kernel module, decompressed: Debian 13 ships them as .ko.xz, which busybox insmod does not read."""
    path = root / "lib/modules" / release / "kernel" / name
    packed = path.with_name(path.name + ".xz")
    return lzma.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()


def _cpio(inode: int, name: str, mode: int, data: bytes) -> bytes:
    """One entry in the "new ASCII" format (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
