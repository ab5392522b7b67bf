"""What the scenarios declare: files of /etc/xenlocal for the rig's guests, and how to ask for their outcome."""

from __future__ import annotations

import json
from typing import Any

from rig.guest import KERNEL, RAMDISK, cmdline, domids
from rig.journal import Event, guest_journal, times
from rig.machine import Machine, Result
from rig.wait import wait_for

SETTLE = 480
"""Seconds a change may take under emulation: `xl create` alone takes 8 s there when idle, a minute on a busy one."""
ASK_EVERY = 5
"""Seconds between two questions to `xenlocal status`: to start Python takes seconds there."""

NETWORK = "[bridge lab0]\nports = none\naddress = 192.0.2.1/24\n"

# A bzImage as Documentation/arch/x86/boot.rst has it, as far as Xen and xenlocal read it: its header names a release,
# and what is packed into it is unpacked in seconds; that of Debian takes minutes under emulation.
_PACK = """
import gzip, struct, sys
source, release, path = sys.argv[1:]
data = gzip.compress(open(source, "rb").read(), 1)
head = bytearray(1024)
head[0x1f1], head[0x1fe:0x200], head[0x202:0x206] = 1, b"\\x55\\xaa", b"HdrS"
head[0x206:0x208], head[0x20e:0x210], head[0x211] = struct.pack("<H", 0x20c), struct.pack("<H", 0x100), 1
head[0x248:0x250] = struct.pack("<II", 0, len(data))
head[0x300:0x300 + len(release)] = release.encode()
open(path, "wb").write(bytes(head) + data)
"""


def domain(
    name: str,
    *,
    keys: str = "",
    disks: tuple[str, ...] = ("32M",),
    nics: tuple[str, ...] = (),
    options: dict[str, str] | None = None,
    parts: str = "",
    memory: str = "96M",
) -> str:
    """A `[domain]` on vg0/NAME-0, vg0/NAME-1, ... of the sizes in `disks`; its journal is on the first."""
    settings = {
        "memory": memory, "kernel": KERNEL, "ramdisk": RAMDISK, "cmdline": cmdline(**(options or {})),
        "start_timeout": "2m", "stop_timeout": "1m",
    }  # fmt: skip
    settings |= {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in keys.splitlines())}
    lines = [f"[domain {name}]", *(f"{key} = {value}" for key, value in settings.items())]
    for number, size in enumerate(disks):
        vdev = f"xvd{chr(ord('a') + number)}"
        lines += [f"  [[disk {vdev}]]", f"  volume = vg0/{name}-{number}", f"  size = {size}"]
    for number, bridge in enumerate(nics):
        lines += [f"  [[nic eth{number}]]", f"  bridge = {bridge}"]
    return "\n".join(lines) + "\n" + parts


def write(m: Machine, **files: str) -> None:
    """Files of /etc/xenlocal, NAME=text."""
    for name, text in files.items():
        m.put(f"/etc/xenlocal/{name}.conf", text)


def reload(m: Machine) -> Result:
    return m.run("systemctl reload xenlocal", 120, check=False)


def status(m: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(m.out("xenlocal status --json", 120))
    return found


def row(m: Machine, name: str) -> dict[str, Any]:
    """A domU's line of `xenlocal status`; {} as long as that knows of none."""
    return next((each for each in status(m)["domains"] if each["name"] == name), {})


def volume(m: Machine, name: str) -> dict[str, Any]:
    return next(each for each in status(m)["volumes"] if each["name"] == f"volume/{name}")


def wait_all_ready(m: Machine, *names: str, timeout: float = SETTLE) -> None:
    """`xenlocal apply` waits inside the dom0: to ask again and again from here would keep its CPUs busy."""

    def all_ready() -> bool:
        m.run("xenlocal apply", timeout, check=False)
        rows = {each["name"]: each for each in status(m)["domains"]}
        return all(rows[name]["ready"] for name in names)

    wait_for(all_ready, timeout, f"{', '.join(names)} ready", ASK_EVERY)


def wait_off(m: Machine, name: str, timeout: float = SETTLE) -> None:
    wait_for(lambda: row(m, name)["observed"] == "off", timeout, f"{name} off", ASK_EVERY)


def wait_notice(m: Machine, name: str, part: str, timeout: float = SETTLE) -> str:
    """Wait until a notice of this domU contains `part`; returns it."""
    found: list[str] = []

    def noticed() -> bool:
        found[:] = [text for text in row(m, name).get("notices", ()) if part in text]
        return bool(found)

    wait_for(noticed, timeout, f"a notice of {name} with {part!r}", ASK_EVERY)
    return found[0]


def serial(m: Machine, name: str) -> str:
    """The dom0's end of the serial port of an hvm guest, whose console it is."""
    return m.out(f"xenstore-read /local/domain/{domids(m)[name]}/serial/0/tty")


def journal(m: Machine, name: str) -> list[Event]:
    return guest_journal(m, f"/dev/vg0/{name}-0")


def when(m: Machine, name: str, what: str) -> float:
    """When this last happened to the guest, by its own journal."""
    return times(journal(m, name), what)[-1]


def whats(m: Machine, name: str) -> list[str]:
    return [event.what for event in journal(m, name)]


def packed_kernel(m: Machine, source: str, release: str) -> str:
    """The path of a kernel that names this release."""
    m.put("/srv/pack.py", _PACK)
    path = f"/srv/boot/{release}"
    m.run(f"mkdir -p /srv/boot && python3 /srv/pack.py {source} {release} {path}", 120)
    return path


def some_modules(m: Machine, release: str) -> None:
    """... of a kernel that the dom0 does not boot."""
    place = f"/lib/modules/{release}"
    m.run(f"mkdir -p {place}/kernel && touch {place}/modules.dep {place}/kernel/some.ko")
