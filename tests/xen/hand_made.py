"""A host made by hand: files in /etc/xen/auto and Debian's own xendomains, as it is installed, with its own settings.

`take_over` hands the same machine to xenlocal afterwards.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from lab import NETWORK, journal, reload, wait_all_ready, write

from rig.guest import Guest, domids, wait_ready
from rig.machine import Machine
from rig.package import install

SCRIPT = "SYSTEMCTL_SKIP_REDIRECT=1 /etc/init.d/xendomains"
"""Run here, not by systemd, for its own exit code; what it does is the same."""
SAVED = "/var/lib/xen/save"
TIME = 10
"""Seconds that a guest is given to stop, by both: XENDOMAINS_STOP_MAXWAIT (300 as installed) and stop_timeout."""


@dataclass(frozen=True)
class Ran:
    """A command that starts or stops all guests."""

    rc: int
    seconds: float
    said: str

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, exit {self.rc}"


def ran(m: Machine, command: str, timeout: float = 300) -> Ran:
    began = time.monotonic()
    result = m.run(command, timeout, check=False)
    return Ran(result.rc, time.monotonic() - began, result.out + result.err)


def guest(name: str, *vifs: str, **options: str) -> Guest:
    return Guest(name, disks=(f"/dev/vg0/{name}-0",), vifs=vifs, options=options)


def declare(m: Machine, *guests: Guest) -> None:
    """Their volumes, and a file each where xendomains looks."""
    for each in guests:
        m.run(f"lvcreate -q -y -Wy -n {each.name}-0 -L 32M vg0")
        m.put(f"/etc/xen/auto/{each.name}.cfg", each.config())


def started(m: Machine, *guests: Guest) -> None:
    """By xendomains, and ready by their own word."""
    declare(m, *guests)
    assert xendomains(m, "start").rc == 0
    for each in guests:
        wait_ready(m, each)


def configure(m: Machine, **settings: str) -> None:
    """Lines of /etc/default/xendomains, without their XENDOMAINS_."""
    lines = "".join(f"XENDOMAINS_{key}={value}\n" for key, value in settings.items())
    m.put("/etc/default/xendomains", m.get("/etc/default/xendomains").decode() + lines)


def xendomains(m: Machine, verb: str) -> Ran:
    return ran(m, f"{SCRIPT} {verb}")


def shutdown(m: Machine) -> Ran:
    """What xenlocal-guests.service does when the host goes down."""
    return ran(m, "xenlocal shutdown")


def names(found: list[str] | dict[str, int]) -> str:
    """For the table."""
    return ", ".join(sorted(found)) or "nobody"


def asked(m: Machine, *among: str) -> list[str]:
    """Those that a shutdown request reached, by their own journals."""
    return [name for name in among if any(event.what.startswith("asked") for event in journal(m, name))]


def stopped(m: Machine, *among: str) -> list[str]:
    """Those that ended by themselves, by the last line of their own journals."""
    return [name for name in among if journal(m, name)[-1].what == "stopped"]


def clear(m: Machine) -> None:
    """No guest, no file, no saved state and no volume is left of the host made by hand."""
    m.run("rm -f /etc/xen/auto/*")
    for domid in domids(m).values():
        m.run(f"xl destroy {domid}")
    m.run(f"rm -f {SAVED}/*")
    m.wait_until('lvremove -q -f -y vg0 && [ -z "$(lvs --noheadings vg0)" ]', 60)


def heal_xl(m: Machine) -> None:
    m.run("for xl in /usr/lib/xen-*/bin/xl.real; do [ ! -e $xl ] || mv $xl ${xl%.real}; done")


def take_over(m: Machine, deb: Path, **domains: str) -> None:
    """xenlocal with these domUs, all of them ready."""
    clear(m)
    install(m, deb)
    write(m, net=NETWORK, **domains)
    result = reload(m)
    assert result.rc == 0, result.err
    wait_all_ready(m, *domains)
