"""A machine with UEFI firmware: not started where that is missing, with the package to install; with nothing to boot it
comes to the shell of the firmware."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import SETTLE, reload, serial, wait_all_ready, wait_notice, write

from rig.machine import Machine
from rig.repository import package

WIN = "[domain win]\ntype = hvm\nfirmware = uefi\nmemory = 256M\nstop_timeout = 5s\n[[ready]]\ncommand = /bin/true\n"


def bring(m: Machine, content: Path, place: str, work: Path) -> None:
    """A file of this machine to `place` in the dom0, by a disk: many megabytes take minutes on the agent's line."""
    disk = work / "plugged.img"
    disk.write_bytes(content.read_bytes() + bytes(-content.stat().st_size % 512))
    assert m.qemu
    file = {"driver": "file", "filename": str(disk), "read-only": True}
    m.qemu.qmp("blockdev-add", **{"driver": "raw", "node-name": "plugged", "file": file, "read-only": True})
    m.qemu.qmp("device_add", driver="virtio-blk-pci", id="plugged", drive="plugged", serial="plugged")
    m.wait_until("test -b /dev/disk/by-id/virtio-plugged", 60)
    m.run(f"head -c {content.stat().st_size} /dev/disk/by-id/virtio-plugged > {place}")


@pytest.mark.long
@pytest.mark.limit(1200)
def test_a_machine_with_uefi(installed: Machine, suite: str, tmp_path: Path) -> None:
    m = installed
    write(m, win=WIN)
    said = m.run("xenlocal check", 120, check=False)
    assert said.rc == 5 and "domain/win cannot start: /usr/share/ovmf/OVMF.fd is missing" in said.out, said
    assert reload(m).rc == 0
    assert "type: apt install ovmf" in wait_notice(m, "win", "/usr/share/ovmf/OVMF.fd is missing")

    bring(m, package(suite, "ovmf"), "/root/ovmf.deb", tmp_path)
    m.run("dpkg -i /root/ovmf.deb", 300)
    m.run("xenlocal check", 120)
    wait_all_ready(m, "win")

    # nothing to boot: the shell answers who types at it
    tty = serial(m, "win")
    typed = f"while kill -0 $! 2> /dev/null; do printf 'ver\\r' > {tty}; sleep 2; done"
    m.run(f"timeout {SETTLE} grep -aqm1 'UEFI Interactive Shell' {tty} & {typed}; wait $!", SETTLE + 20)
