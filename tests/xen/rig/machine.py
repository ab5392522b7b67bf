"""`Machine`: one emulated Xen host and what a test does with it."""

from __future__ import annotations

import base64
import re
import shlex
import time
import warnings
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from rig.image import Image
from rig.link import Link, LinkLost
from rig.qemu import Hardware, Qemu, overlay
from rig.wait import Overdue, wait_for

BOOT_SECONDS = 300
_STUCK = re.compile(r"BUG: soft lockup[^\r\n]*|rcu\S* (?:self-)?detected stall[^\r\n]*")
"""What the dom0's kernel says of a processor that does not get on, or that it got no time of."""

GRACE = 30
"""Seconds the agent itself may need on a busy machine, on top of a command's own time."""


@dataclass(frozen=True)
class Result:
    """What a command in the dom0 gave."""

    rc: int
    out: str
    err: str


class CommandError(AssertionError):
    """A command in the dom0 failed where the test counted on it."""

    def __init__(self, command: str, result: Result) -> None:
        super().__init__(f"exit {result.rc} of: {command}\n{result.out[-2000:]}{result.err[-2000:]}")
        self.result = result


class Machine:
    """One host. `boot` or `resume` it; `close` always. Its disks are overlays in `work`, thrown away at the end."""

    def __init__(self, image: Image, work: Path, hardware: Hardware | None = None, frozen: Path | None = None) -> None:
        """`frozen` is a snapshot's directory to resume from; without it the disks are those of a new image."""
        self.image, self.work, self.hardware = image, work, hardware or Hardware()
        names = ["root", *(f"spare{number}" for number in range(len(self.hardware.spares)))]
        self.disks = [work / f"{name}.qcow2" for name in names]
        for disk, size in zip(self.disks, ["", *self.hardware.spares], strict=True):
            base = frozen / disk.name if frozen else None if size else image.directory / "root.img"
            overlay(disk, base, "" if frozen else size)
        self.frozen = frozen
        self.link = Link()
        self.qemu: Qemu | None = None

    # life

    def boot(self, timeout: float = BOOT_SECONDS) -> None:
        """Start the machine from its disks and wait until systemd has finished the boot. An emulated dom0 may hang in
        it on a busy machine: one whose kernel says so, and whose agent never came, is booted once more."""
        said = len(self.console())
        self._start()
        try:
            self._booted("", timeout)
        except Overdue:
            stuck = _STUCK.search(self.console()[said:])
            if stuck is None or self.link.boot:
                raise
            warnings.warn(f"booted once more: no agent within {timeout:g} s, and {stuck[0]!r}", stacklevel=2)
            self._hang_up()
            self._start()
            self._booted("", timeout)

    def resume(self) -> None:
        """Start the machine where its snapshot was taken, with today's time."""
        assert self.frozen, "this machine was made without a snapshot"
        self._start(f"exec:cat '{self.frozen / 'state'}'")
        assert self.qemu
        self.qemu.resume()
        self.run(f"date -u -s @{time.time():.3f}", timeout=60)

    def reboot(self, timeout: float = BOOT_SECONDS) -> float:
        """`systemctl reboot` inside; wait for the next boot to finish. Seconds from the command to the new kernel."""
        began, former = time.monotonic(), self.link.boot
        self.spawn("systemctl reboot", timeout=timeout)
        return self._booted(former, timeout) - began

    def poweroff(self, timeout: float = BOOT_SECONDS) -> float:
        """`systemctl poweroff` inside; wait for the machine to be off. Returns the seconds; `boot` again works."""
        began = time.monotonic()
        self.spawn("systemctl poweroff", timeout=timeout)
        assert self.qemu
        self.qemu.wait_exit(timeout)
        self._hang_up()
        return time.monotonic() - began

    def close(self) -> None:
        """End this machine's QEMU and throw its disks away; the console log stays."""
        self._hang_up()
        for disk in self.disks:
            disk.unlink(missing_ok=True)

    def _start(self, incoming: str = "") -> None:
        assert self.qemu is None, "already running"
        self.qemu = Qemu(self.image, self.hardware, self.disks, self.work, self.link.peer, incoming)

    def _hang_up(self) -> None:
        if self.qemu:
            self.qemu.kill()
        self.link.close()
        self.qemu, self.link = None, Link()

    def _booted(self, former: str, timeout: float) -> float:
        """Wait for an agent of another boot than `former`, then for the end of that boot; when the agent came."""
        deadline = time.monotonic() + timeout

        def announced() -> bool:
            if self.qemu is None or self.qemu.process.poll() is not None:
                raise LinkLost(f"QEMU is not running:\n{(self.work / 'qemu.log').read_text()[-2000:]}")
            return self.link.boot not in ("", former)

        wait_for(announced, timeout, "the agent of a new boot")
        came = time.monotonic()
        left = deadline - came
        state = self.run("systemctl is-system-running --wait", timeout=left, check=False).out.strip()
        if state not in ("running", "degraded"):
            raise Overdue(f"the dom0 ended its boot in state {state!r}:\n{self.console()[-2000:]}")
        return came

    # hands

    def spawn(self, command: str, timeout: float = 60) -> Future[Result]:
        """Run a shell command without waiting for it."""
        outer: Future[Result] = Future()

        def done(inner: Future[dict[str, object]]) -> None:
            if problem := inner.exception():
                outer.set_exception(problem)
                return
            reply = inner.result()
            if "problem" in reply:
                outer.set_exception(RuntimeError(f"agent: {reply['problem']}"))
            elif reply["rc"] is None:
                said = f"{reply['out']}{reply['err']}"[-2000:]
                outer.set_exception(Overdue(f"killed after {timeout:g} s: {command}\n{said}"))
            else:
                outer.set_result(Result(int(str(reply["rc"])), str(reply["out"]), str(reply["err"])))

        self.link.request("run", command=command, timeout=timeout).add_done_callback(done)
        return outer

    def run(self, command: str, timeout: float = 60, check: bool = True) -> Result:
        """Run a shell command in the dom0, killed after `timeout` seconds.

        :raises CommandError: where `check` and its exit code is not 0. :raises Overdue: it took too long.
        """
        result = self.spawn(command, timeout).result(timeout + GRACE)
        if check and result.rc != 0:
            raise CommandError(command, result)
        return result

    def out(self, command: str, timeout: float = 60) -> str:
        """What a command that must succeed prints, without the last newline."""
        return self.run(command, timeout).out.removesuffix("\n")

    def put(self, path: str, data: bytes | str, mode: int = 0o644) -> None:
        """Write a file whole (temp and rename), making its directory."""
        content = base64.b64encode(data.encode() if isinstance(data, str) else data).decode()
        self._file("put", path=path, mode=mode, data=content)

    def get(self, path: str) -> bytes:
        """A file's content."""
        return base64.b64decode(str(self._file("get", path=path)["data"]))

    def _file(self, verb: str, **arguments: object) -> dict[str, object]:
        reply = self.link.request(verb, **arguments).result(60 + GRACE)
        if "problem" in reply:
            raise OSError(f"{verb} {arguments['path']}: {reply['problem']}")
        return reply

    def wait_until(self, condition: str, timeout: float = 60) -> None:
        """Wait for a shell condition to hold; asked again every 0.2 s inside the dom0.

        :raises Overdue: with the condition's last output.
        """
        loop = f"until rig_said=$( {{ {condition}\n}} 2>&1 ); do sleep 0.2; done"
        give_up = f"timeout {timeout:g} bash -c {shlex.quote(loop)}"
        if self.run(give_up, timeout + GRACE, check=False).rc != 0:
            last = self.run(condition, check=False)
            raise Overdue(f"waited {timeout:g} s for: {condition}\nat last exit {last.rc}: {last.out}{last.err}")

    def console(self) -> str:
        """All that Xen and the dom0's console said, over every boot of this machine."""
        log = self.work / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def make_vg(self, name: str = "vg0") -> None:
        """A volume group over all spare disks."""
        disks = " ".join(f"/dev/vd{chr(ord('b') + number)}" for number in range(len(self.hardware.spares)))
        self.run(f"vgcreate -q {name} {disks}")

    def make_port(self, name: str) -> None:
        """A stand-in for a physical network port: a dummy device that is up."""
        self.run(f"ip link add {name} type dummy && ip link set {name} up")
