"""A small simulated host and the commands that tests type on it."""

from __future__ import annotations

from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.runner import Faults, SimRunner
from xenlocal.simulator.state import Link, Volume, small_host

WEB = "11111111-2222-3333-4444-555555555555"


def config(name: str, /, **keys: object) -> str:
    """An xl.cfg with one disk and one nic."""
    settings: dict[str, object] = {
        "name": name, "uuid": WEB, "type": "pv", "memory": 512, "kernel": "/boot/vmlinuz",
        "ramdisk": "/boot/initrd.img",
        "disk": [f"format=raw,vdev=xvda,access=rw,target=/dev/vg0/{name}-root"],
        "vif": ["mac=00:16:3e:00:00:01,bridge=br0"],
        "on_poweroff": "preserve", "on_crash": "preserve", "on_reboot": "restart", **keys,
    }  # fmt: skip
    lines = []
    for key, value in settings.items():
        if isinstance(value, list):
            text = "[" + ", ".join(f'"{item}"' for item in value) + "]"
        else:
            text = str(value) if isinstance(value, int) else f'"{value}"'
        lines.append(f"{key} = {text}\n")
    return "".join(lines)


def host(*names: str) -> SimulatedDom0:
    """With br0, and for each name an LV and an xl.cfg at /etc/xen/NAME.cfg."""
    state = small_host()
    state.links.append(Link("br0", state.next_link, "bridge", up=True))
    state.next_link += 1
    for minor, name in enumerate(names):
        state.volumes.append(Volume("vg0", f"{name}-root", 1 << 30, minor, tags=["xenlocal"]))
        own = f"{minor + 1:08x}{WEB[8:]}"
        state.texts[f"/etc/xen/{name}.cfg"] = config(name, uuid=own)
    state.next_minor = len(names)
    return SimulatedDom0(state)


def shell(dom0: SimulatedDom0, faults: Faults | None = None) -> SimRunner:
    """A runner with no scheduler."""
    return SimRunner(dom0, faults=faults)


def run(dom0: SimulatedDom0, line: str) -> str:
    """A command line split at blanks; a failure raises."""
    return SimRunner(dom0).run(line.split())


def states(dom0: SimulatedDom0) -> dict[str, str]:
    return {domain.name: domain.state for domain in dom0.state.domains}
