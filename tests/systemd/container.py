"""A Debian with its real systemd as PID 1 in namespaces of its own: seconds, no hypervisor. For the units and the
maintainer scripts; `xl` and Xen are missing, so the installed command is replaced by one that writes down its calls.

The root is that of the rig (tests/xen), packages of xen included, so that dpkg finds every dependency.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from rig.root import root_tar

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_START = r"""
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs
mkdir sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -o bind,ro proc/sys proc/sys
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
touch dev/console
mount -t tmpfs -o mode=755 tmpfs run
hostname dom0
pivot_root . mnt
umount -l /mnt
exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init systemd.unit=multi-user.target
"""

# Stands for the dom0's /proc/xen/capabilities, which a container cannot have: the units are told not to ask for it, and
# the maintainer scripts' question is answered.
_GREP = """#!/bin/sh
case "$*" in *" /proc/xen/capabilities") exit 0 ;; esac
exec /bin/grep "$@"
"""

_FAKE = """#!/bin/bash
# What the units call, instead of xenlocal.
say() { echo "$*" >> /var/log/calls; }
say "$1 begins"
trap 'say "$1 is told to end"; exit 0' TERM
case $1 in
run) systemd-notify --ready --pid=$$; while :; do sleep 1000 & wait $!; done ;;
boot) [ ! -e /slow ] || { sleep 1000 & wait $!; }; [ ! -e /failing ] || exit 5 ;;
shutdown) sleep 1 ;;
monitor) while :; do sleep 1000 & wait $!; done ;;
esac
say "$1 ends"
"""


class Container:
    """One root on disk; `start` and `poweroff` as often as wanted."""

    def __init__(self, directory: Path, suite: str = "bookworm") -> None:
        self.root = directory / "root"
        self.root.mkdir()
        self._init: subprocess.Popen[bytes] | None = None
        leave_out = ("./boot", "./usr/lib/modules", "./var/cache/apt", "./usr/lib/firmware")
        command = [
            "tar",
            "-C",
            str(self.root),
            "-xf",
            str(root_tar(suite)),
            *(f"--exclude={path}" for path in leave_out),
        ]
        subprocess.run(command, check=True, timeout=300)
        self.write("/usr/local/bin/grep", _GREP, 0o755)
        self.write("/usr/local/lib/fake", _FAKE, 0o755)
        for unit in ("xenlocal", "xenlocal-guests"):
            self.write(f"/etc/systemd/system/{unit}.service.d/test.conf", "[Unit]\nConditionPathExists=\n")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def start(self) -> None:
        """Boot; returns when multi-user.target is reached."""
        spaces = ("--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup", "--net")
        command = ["unshare", *spaces, "bash", "-c", _START, "start", str(self.root)]
        self._init = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait(lambda: self.state("multi-user.target") == "active", "multi-user.target", 60)

    def poweroff(self) -> None:
        self.run("systemctl", "poweroff", check=False)
        assert self._init is not None
        self._init.wait(60)
        self._init = None

    def close(self) -> None:
        """End it, if a test left it running."""
        if self._init is not None:
            self._init.send_signal(signal.SIGKILL)  # --kill-child takes the whole container along
            self._init.wait(30)

    def _pid(self) -> int:
        assert self._init is not None
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        return int(children[0])

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", "-t", str(self._pid()), "-a", "env", "-i", f"PATH={_PATH}", "HOME=/root", "LC_ALL=C"]
        done = subprocess.run(
            [*inside, "DEBIAN_FRONTEND=noninteractive", *command], capture_output=True, text=True, timeout=120
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def state(self, unit: str) -> str:
        try:
            return self.run("systemctl", "is-active", unit, check=False).stdout.strip()
        except (IndexError, OSError):
            return "not up yet"

    def calls(self) -> list[str]:
        """How the units called the command since the last time this was asked."""
        log = self.root / "var/log/calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            time.sleep(0.1)

    def install(self, deb: Path) -> str:
        """dpkg -i, with the command replaced."""
        target = self.root / "root" / deb.name
        target.write_bytes(deb.read_bytes())
        if not (self.root / "usr/bin/xenlocal.distrib").exists():
            self.run("dpkg-divert", "--quiet", "--local", "--rename", "--add", "/usr/bin/xenlocal")
        self.write("/usr/bin/xenlocal", _FAKE, 0o755)
        done = self.run("dpkg", "-i", f"/root/{deb.name}")
        return done.stdout + done.stderr

    def monitor(self, name: str) -> None:
        """What xenlocal starts for a domU: a process in a scope of its own (adapters/argv.py)."""
        options = [
            "--scope",
            "--collect",
            "--quiet",
            "--slice=xenlocal.slice",
            "--property=Before=xenlocal-guests.service",
        ]
        line = f"systemd-run {' '.join(options)} --unit=xenlocal-{name} /usr/local/lib/fake monitor >/dev/null 2>&1 &"
        self.run("bash", "-c", line)
        self.wait(lambda: "monitor begins" in self.calls(), f"the monitor of {name}")
        assert self.state(f"xenlocal-{name}.scope") == "active"


def possible() -> bool:
    return os.geteuid() == 0
