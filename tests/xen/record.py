#!/usr/bin/env python3
"""Write down what real tools print on a real dom0, for the simulator and the parsers: tests/records/SUITE/STATE/*.

Usage: python3 tests/xen/record.py SUITE. Run it again when a suite's packages change; nothing in a record is edited.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rig.guest import Guest, create
from rig.image import image
from rig.machine import Machine
from rig.snapshot import resumed
from rig.wait import Overdue

RECORDS = Path(__file__).parents[1] / "records"

COMMANDS = {
    "xl-list.txt": "xl list",
    "xl-list-v.txt": "xl list -v",
    "xl-list-l.json": "xl list -l",
    "xl-info.txt": "xl info",
    "xl-vcpu-list.txt": "xl vcpu-list",
    "xl-sched-credit2.txt": "xl sched-credit2",
    "xenstore-ls-f.txt": "xenstore-ls -f",
    "lvs.json": "lvs --reportformat json --units b --nosuffix "
    "-o vg_name,lv_name,lv_uuid,lv_size,lv_attr,lv_tags,lv_device_open,lv_path,pool_lv,origin",
    "vgs.json": "vgs --reportformat json --units b --nosuffix "
    "-o vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_attr",
    "ip-link.json": "ip -j -d link",
    "ip-addr.json": "ip -j -d addr",
    "ip-route.json": "ip -j route show default",
    "bridge-link.json": "bridge -j -d link",
    "bridge-vlan.json": "bridge -j vlan",
}
DOCTOR = {
    "xl-info-n.txt": "xl info -n",
    "xl-vcpu-list.txt": "xl vcpu-list",
    "systemctl-show.txt": "systemctl show "
    "--property=Id,LoadState,UnitFileState,ActiveState,DropInPaths,NeedDaemonReload,ExecStop "
    "xenlocal.service xenlocal-guests.service xendomains.service ssh.service xen.service",
    "timedatectl-show.txt": "timedatectl show",
    "lvmconfig.txt": "lvm lvmconfig --type full "
    "devices/global_filter devices/filter devices/scan_lvs devices/use_devicesfile "
    "activation/thin_pool_autoextend_threshold",
    "vgs.json": "lvm vgs --reportformat json --units b --nosuffix -o vg_name,vg_size,pv_name",
    "dpkg-query.txt": "dpkg-query --show --showformat '${Package} ${db:Status-Status} ${Version}\\n' "
    "'xen-hypervisor-*' 'xen-utils-*'",
    "meminfo.txt": "cat /proc/meminfo",
    "default-xen.txt": "cat /etc/default/xen",
    "default-grub.txt": "cat /etc/default/grub; ls -l /etc/default/grub.d",
    "xenconsoled.txt": "tr '\\0' ' ' < /proc/$(pgrep -x xenconsoled)/cmdline",
    "xen-directories.txt": "ls -la /etc/xen/auto /var/lib/xen/save /var/log/xen /etc/needrestart /etc/iscsi",
}
"""What `xenlocal doctor` asks of a stock dom0."""

WATCH = "stdbuf -oL xenstore-watch @introduceDomain @releaseDomain"
STAMP = 'while read -r line; do echo "$(date +%s.%N) $line"; done'
PRESERVE: dict[str, str | int] = dict.fromkeys(("on_poweroff", "on_crash"), "preserve")


def guest(name: str, number: int, **how: object) -> Guest:
    """A domU with two disks and a vif."""
    options = {"ip": f"192.0.2.{20 + number}/24"} | dict(how.pop("options", {}))  # type: ignore[call-overload]
    vif = f"mac=00:16:3e:00:00:0{number},bridge=br0"
    disks = (f"/dev/vg0/{name}-root", f"/dev/vg0/{name}-data")
    return Guest(name, disks=disks, vifs=(vif,), options=options, **how)  # type: ignore[arg-type]


def up(m: Machine, guest: Guest) -> int:
    """Create it and wait until its kernel can be asked to stop."""
    domid = create(m, guest)
    m.wait_until(f'[ "$(xenstore-read /local/domain/{domid}/control/feature-poweroff)" = 1 ]', 120)
    return domid


def save(m: Machine, suite: str, state: str, commands: dict[str, str] = COMMANDS) -> None:
    """One file a command; a command that fails leaves its exit code and messages beside its output."""
    for name, command in commands.items():
        result = m.run(command, check=False)
        write(suite, state, name, result.out)
        if result.rc or result.err:
            write(suite, state, f"{name}.stderr", f"exit {result.rc}\n{result.err}")
    print(f"{suite}: {state}", flush=True)


def write(suite: str, state: str, name: str, text: str) -> None:
    path = RECORDS / suite / state / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def volumes(m: Machine) -> None:
    """A VG with LVs for three domUs, tagged ones, a foreign one, one that is not active, and two bridges."""
    m.make_vg()
    names = [f"{name}-{disk}" for name in ("one", "two", "three") for disk in ("root", "data")]
    for name in names:
        m.run(f"lvcreate -q -y -Wy -n {name} -L 64M --addtag xenlocal vg0")
    m.run("lvcreate -q -y -n foreign -L 32M vg0; lvcreate -q -y -n asleep -L 32M --addtag xenlocal vg0")
    m.run("lvchange -an vg0/asleep; lvchange --addtag retired.2026-01-02 vg0/three-data")
    m.make_port("eno1")
    m.run("ip link add br0 type bridge; ip link set dev br0 alias xenlocal; ip link set br0 up")
    m.run("ip addr add 192.0.2.1/24 dev br0; ip link set eno1 master br0; ip link add br9 type bridge")
    m.run("ip route add default via 192.0.2.254")


def quiet_states(m: Machine, suite: str) -> None:
    """empty, volumes, running, paused."""
    save(m, suite, "empty")
    volumes(m)
    save(m, suite, "volumes")
    for made in (guest("one", 1), guest("two", 2, options={"listen": "5432"}), guest("three", 3, type="pvh")):
        up(m, made)
    save(m, suite, "running")
    m.run("xl pause two")
    save(m, suite, "paused")


def stock(m: Machine, suite: str) -> None:
    """A dom0 as Debian leaves it, with a VG and a domU whose CPU is pinned."""
    m.make_vg()
    create(m, Guest("one"))
    m.run("xl vcpu-pin one all 1")
    save(m, suite, "stock", DOCTOR)


def ends(m: Machine, suite: str) -> None:
    """poweredoff, crashed, and what the watch of xenstore says during every birth and death."""
    volumes(m)
    watch = m.spawn(f"timeout 500 {WATCH} | {STAMP}", timeout=600)
    said = [mark(m, "create one")]
    up(m, guest("one", 1, keys=PRESERVE))
    said.append(mark(m, "shutdown one (on_poweroff=preserve)"))
    m.run("xl shutdown -w one")
    save(m, suite, "poweredoff")
    said.append(mark(m, "destroy one"))
    m.run("xl destroy one")
    said.append(mark(m, "create two (crashes by itself, on_crash=preserve)"))
    create(m, guest("two", 2, keys=PRESERVE, options={"then": "crash:3"}))
    m.wait_until("xl list two | grep -q -e '--.*c- '", 120)
    save(m, suite, "crashed")
    said.append(mark(m, "create three (reboots by itself after 5 s), destroy it later"))
    create(m, guest("three", 3, options={"then": "reboot:5"}))
    m.wait_until("xenstore-read /local/domain/$(xl domid three)/control/feature-poweroff", 120)
    rows = "for n in $(seq 90); do date +%s.%N; xl list 2>&1 | tail -n +4; xenstore-list /vm 2>&1 | paste -sd' '; done"
    write(suite, "rebooting", "xl-list-in-a-row.txt", m.out(rows, 200))
    said.append(mark(m, "destroy three"))
    rows = "xl destroy three & for n in $(seq 20); do date +%s.%N; xl list 2>&1 | tail -n +3; done; wait"
    write(suite, "dying", "xl-list-in-a-row.txt", m.out(rows, 200))
    said.append(mark(m, "the end"))
    m.run("pkill -x xenstore-watch")
    lines = watch.result(120).out.splitlines() + said
    write(suite, "births-and-deaths", "xenstore-watch.txt", "\n".join(sorted(lines)) + "\n")
    print(f"{suite}: births and deaths", flush=True)


def mark(m: Machine, what: str) -> str:
    return f"{m.out('date +%s.%N')} # {what}"


def experiments(m: Machine, suite: str) -> None:
    """Every command of EXPERIMENTS with exit code, time and both outputs, in the words of the tools."""
    volumes(m)
    up(m, guest("one", 1, memory=128, keys={"maxmem": 160, "vcpus": 1, "maxvcpus": 2}))
    for name, keys in VARIANTS.items():
        m.put(f"/root/{name}.cfg", guest(*keys[0], **keys[1]).config())  # type: ignore[arg-type]
    lines = []
    for command in (Path(__file__).parent / "experiments.txt").read_text().splitlines():
        if not command or command.startswith("#"):
            lines.append(command)
            continue
        began = time.monotonic()
        lines.append(f"$ {command}")
        try:
            result = m.run(command, timeout=120, check=False)
        except Overdue as problem:
            lines.append(f"[{problem}]")
            continue
        lines.append(f"[exit {result.rc}, {time.monotonic() - began:.2f} s]")
        lines += [f"{result.out.rstrip()}"] * bool(result.out) + [f"stderr: {result.err.rstrip()}"] * bool(result.err)
    write(suite, ".", "experiments.txt", "\n".join(lines) + "\n")
    print(f"{suite}: experiments", flush=True)


VARIANTS: dict[str, tuple[tuple[str, int], dict[str, object]]] = {
    "one": (("one", 1), {"memory": 160}),
    "no-disk": (("none", 4), {}),
    "no-memory": (("two", 2), {"memory": 8000}),
    "no-kernel": (("two", 2), {"keys": {"kernel": "/srv/guest/nothing"}}),
    "two": (("two", 2), {}),
}


def main() -> None:
    suite = sys.argv[1]
    scenes: list[Callable[[Machine, str], None]] = [quiet_states, stock, ends, experiments]
    chosen = [scene for scene in scenes if scene.__name__ in sys.argv[2:] or not sys.argv[2:]]
    for scene in chosen:
        with tempfile.TemporaryDirectory() as work:
            machine = resumed(image(suite), Path(work))
            try:
                scene(machine, suite)
            finally:
                machine.close()


if __name__ == "__main__":
    main()
