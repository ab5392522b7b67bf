"""domUs that a test makes by hand, as an administrator would with `xl`; the package under test is not asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rig.journal import guest_journal, times
from rig.machine import Machine
from rig.wait import wait_for

KERNEL = "/srv/guest/vmlinux"
"""In the dom0: its own kernel as an ELF, for PV and PVH."""
RAMDISK = "/srv/guest/initrd"
"""In the dom0: the initramfs of `guests/`."""

MACHINE = "/srv/guest/machine"
"""In the dom0: the initramfs of a machine without PV drivers (`guests/machine`)."""


@dataclass(frozen=True)
class Guest:
    """A domU of the tests. `options` are those of `guests/init` without their `xl.`, such as {"stop": "hang"}."""

    name: str
    type: Literal["pv", "pvh"] = "pv"
    memory: int = 96
    disks: tuple[str, ...] = ()
    """Block devices or image files of the dom0: the domU's xvda, xvdb, ...; its journal is on the first."""
    vifs: tuple[str, ...] = ()
    """Specifications of xl.cfg, such as "mac=00:16:3e:00:00:01,bridge=br0"."""
    options: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str | int] = field(default_factory=dict)
    """Further keys of xl.cfg, such as {"on_poweroff": "preserve"}."""

    def config(self) -> str:
        """This domU as xl.cfg text."""
        disks = [
            f"format=raw,vdev=xvd{chr(ord('a') + number)},access=rw,target={target}"
            for number, target in enumerate(self.disks)
        ]
        settings = {
            "name": self.name, "type": self.type, "memory": self.memory, "vcpus": 1,
            "kernel": KERNEL, "ramdisk": RAMDISK, "cmdline": cmdline(**self.options),
            "disk": disks, "vif": list(self.vifs), **self.keys,
        }  # fmt: skip
        return "".join(f"{key} = {_literal(value)}\n" for key, value in settings.items())


def _literal(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'


def cmdline(**options: str) -> str:
    """The kernel command line that tells `guests/init` what to do."""
    return " ".join(["console=hvc0", "quiet", *(f"xl.{key}={value}" for key, value in options.items())])


def create(m: Machine, guest: Guest, timeout: float = 120) -> int:
    """`xl create` it, its monitor in a scope of its own; returns its domid."""
    path = f"/etc/xen/{guest.name}.cfg"
    m.put(path, guest.config())
    m.run(f"systemd-run -q --scope --collect --unit=rig-{guest.name} xl create -q {path}", timeout)
    return int(m.out(f"xl domid {guest.name}"))


def wait_ready(m: Machine, guest: Guest, timeout: float = 120) -> None:
    """Wait until its journal says `ready` in this life: `guests/init` is through."""
    awaited = len(times(guest_journal(m, guest.disks[0]), "started")) or 1
    wait_for(
        lambda: len(times(guest_journal(m, guest.disks[0]), "ready")) >= awaited,
        timeout,
        f"{guest.name} ready",
        0.5,
    )


def domids(m: Machine) -> dict[str, int]:
    """Names and domids of all domUs that `xl list` shows; one that is just dying has no name, and is none."""
    rows = [line.split() for line in m.out("xl list").splitlines()[1:]]
    return {row[0]: int(row[1]) for row in rows if row[1] != "0" and row[0] != "(null)"}


def states(m: Machine) -> dict[str, str]:
    """Names of all domUs and the letters of their state, such as "b" or "s", dashes left out."""
    rows = [line.split() for line in m.out("xl list").splitlines()[1:]]
    return {row[0]: row[4].replace("-", "") for row in rows if row[1] != "0"}


def bridge_ports(m: Machine, bridge: str) -> set[str]:
    """Names of the devices in a bridge."""
    return set(m.out(f"ls /sys/class/net/{bridge}/brif").split())
