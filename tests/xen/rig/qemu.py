"""One QEMU process: its command line, its monitor (QMP), its end. Knows nothing of what runs inside."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from rig.cache import cache_dir
from rig.image import Image
from rig.wait import wait_for

# console=hvc0 is Xen's console, which Xen puts on com1; the getty there would only disturb the log.
_KERNEL = "root=/dev/vda rw console=hvc0 mitigations=off quiet systemd.mask=serial-getty@hvc0.service"


@dataclass(frozen=True)
class Hardware:
    """The machine QEMU emulates. Drives keep their size in a snapshot, so it is part of the snapshot's key."""

    memory: int = 3072
    """MiB of the host."""
    dom0: int = 1024
    """MiB of the dom0; what is left is for domUs."""
    cpus: int = 2
    spares: tuple[str, ...] = ("4G", "4G")
    """Sizes of the empty disks /dev/vdb, /dev/vdc, ..."""
    devices: tuple[str, ...] = ()
    """Further arguments of QEMU, before those of all other devices."""


@cache
def qemu_version() -> str:
    """First line of `--version`: a saved state is only good for the QEMU that saved it."""
    command = ["qemu-system-x86_64", "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()[0]


def overlay(disk: Path, base: Path | None, size: str = "") -> Path:
    """A qcow2 disk on top of `base` (raw or qcow2 by its name), or an empty one of `size`."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2"]
    if base:
        command += ["-b", str(base), "-F", "raw" if base.suffix == ".img" else "qcow2"]
    command += [str(disk)] + ([size] if size else [])
    subprocess.run(command, check=True, timeout=60)
    return disk


def my_turn() -> IO[str]:
    """Wait for the other QEMUs of this machine: side by side each takes longer than one after the other, and libxl
    gives up on a device after 40 s. Closing what is returned lets the next one go; so does the end of the process."""
    turn = open(cache_dir() / ".qemu.lock", "w")  # noqa: SIM115 - the caller closes it

    def taken() -> bool:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    wait_for(taken, 3600, "the other QEMUs of this machine to end", every=0.5)
    return turn


class Qemu:
    """A running QEMU with its monitor connected."""

    def __init__(
        self,
        image: Image,
        hardware: Hardware,
        disks: list[Path],
        work: Path,
        agent: socket.socket,
        incoming: str = "",
    ) -> None:
        """Start it. `agent` is our end's peer of the dom0's virtio-serial port; `incoming` a state to resume from."""
        self.events: list[dict[str, Any]] = []
        self._turn = my_turn()
        ours, theirs = socket.socketpair()
        fds = (agent.fileno(), theirs.fileno())
        argv = ["setpriv", "--pdeathsig", "KILL", "--", "qemu-system-x86_64"]
        argv += ["-accel", "tcg,thread=multi", "-cpu", "qemu64,+svm,+npt", "-smp", str(hardware.cpus)]
        argv += [
            "-m",
            str(hardware.memory),
            "-nodefaults",
            "-display",
            "none",
            "-nic",
            "none",
            "-rtc",
            "base=utc",
        ]
        argv += hardware.devices
        argv += ["-kernel", image.file("xen")]
        argv += ["-append", f"com1=115200,8n1 console=com1 dom0_mem={hardware.dom0}M,max:{hardware.dom0}M"]
        argv += ["-initrd", f"{image.file('vmlinuz')} {_KERNEL},{image.file('initrd.img')}"]
        argv += [
            "-chardev",
            f"file,id=console,path={work / 'console.log'},append=on",
            "-serial",
            "chardev:console",
        ]
        argv += ["-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,fd={fds[0]}"]
        argv += ["-device", "virtserialport,chardev=agent,name=rig.agent"]
        argv += ["-chardev", f"socket,id=qmp,fd={fds[1]}", "-mon", "chardev=qmp,mode=control"]
        for disk in disks:
            argv += ["-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe,discard=unmap"]
        argv += ["-incoming", incoming] if incoming else []
        with open(work / "qemu.log", "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds)
        theirs.close()
        ours.settimeout(120)
        self._socket = ours
        self._lines = ours.makefile("rb")
        try:
            self._lines.readline()
            self.qmp("qmp_capabilities")
        except BaseException:
            self.kill()
            raise

    def qmp(self, execute: str, **arguments: Any) -> Any:
        """One monitor command; events that come before its answer are kept in `events`."""
        request = {"execute": execute, **({"arguments": arguments} if arguments else {})}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while line := self._lines.readline():
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise RuntimeError(f"QMP {execute}: {message['error']['desc']}")
            else:
                return message["return"]
        raise RuntimeError(f"QEMU ended during QMP {execute}")

    def resume(self) -> None:
        """Let a restored machine go on, once its state is loaded."""
        wait_for(
            lambda: self.qmp("query-status")["status"] != "inmigrate" or None,
            120,
            "the saved state to load",
            0.02,
        )
        self.qmp("cont")

    def save_state(self, state: Path) -> None:
        """Freeze the machine and write its memory and devices to `state`; its disks then belong to that state."""
        self.qmp("stop")
        self.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.qmp("migrate", uri=f"exec:cat > '{state}'")

        def saved() -> bool:
            status = self.qmp("query-migrate").get("status")
            if status in ("failed", "cancelled"):
                raise RuntimeError(f"saving the machine's state {status}")
            return bool(status == "completed")

        wait_for(saved, 300, "the machine's state to be saved")
        self.qmp("quit")
        self.process.wait(60)
        self.close()

    def wait_exit(self, timeout: float) -> None:
        """Wait until the machine powered itself off."""
        self.process.wait(timeout)
        self.close()

    def kill(self) -> None:
        """End this QEMU, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)
        self.close()

    def close(self) -> None:
        self._turn.close()
        self._lines.close()
        self._socket.close()
