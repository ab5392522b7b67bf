"""A machine without PV drivers, as a Windows may be: qemu is its device model, and it hears only its power button."""

from __future__ import annotations

import json

import pytest
from bootable import sector
from lab import NETWORK, reload, serial, wait_all_ready, wait_notice, write

from rig.guest import MACHINE, domids
from rig.machine import Machine

# Says what it is served, on the dom0: the greeting of VNC, and which kinds of authentication it offers (RFC 6143).
RFB = """
import socket
with socket.create_connection(("127.0.0.1", 5907), 20) as screen:
    hello = screen.recv(12)
    screen.sendall(hello)
    kinds = screen.recv(1)[0]
    print(hello.decode().strip(), *screen.recv(kinds))
"""
NO_PASSWORD = 1


def machine(name: str, stop: str, keys: str = "") -> str:
    cmdline = f"console=ttyS0 quiet nopv mitigations=off xl.stop={stop}"
    boot = f"kernel = /boot/vmlinuz-rig\nramdisk = {MACHINE}\ncmdline = {cmdline}\n"
    disk = f"[[disk xvda]]\nvolume = vg0/{name}\nsize = 32M\n[[disk hdc]]\ncdrom = /srv/some.iso\n"
    head = f"[domain {name}]\ntype = hvm\nmemory = 192M\nstop_timeout = 90s\n"
    return head + boot + keys + disk + "[[nic eth0]]\nbridge = lab0\n"


@pytest.mark.long
@pytest.mark.limit(1800)
def test_a_machine_without_pv_drivers(installed: Machine) -> None:
    m = installed
    m.make_vg()
    m.run("cp /boot/vmlinuz-$(uname -r) /boot/vmlinuz-rig && head -c 1M /dev/zero > /srv/some.iso")
    write(m, net=NETWORK, win=machine("win", "clean", "vnc = 127.0.0.1:7\n"), deaf=machine("deaf", "deaf"))
    assert reload(m).rc == 0
    wait_all_ready(m, "win", "deaf", timeout=600)

    # it is what was declared
    assert m.out('xl list -l win | grep -o \'"type": "hvm"\'').strip() == '"type": "hvm"'
    m.put("/root/rfb.py", RFB)
    greeting, kinds = m.out("python3 /root/rfb.py", 60).strip().rsplit(" ", 1)
    assert greeting.startswith("RFB 003") and kinds == str(NO_PASSWORD), "which is why it is on loopback only"
    port = m.out("bridge -o link show | grep -c 'master lab0'").strip()
    assert int(port) >= 4, "an emulated nic and a PV one of each"
    assert "127.0.0.1:5907" in m.out("ss -ltn") and ":5907" not in m.out("ss -ltn").replace("127.0.0.1:5907", "")

    # a rehearsal says that nobody knows whether they can be asked at all
    rehearsal = json.loads(m.run("xenlocal rehearse --json", 300, check=False).out)
    assert "without PV drivers" in json.dumps(rehearsal)

    # a kernel that knows nothing of Xen boots slowly here, and only then there is somebody to hear
    tty = m.out(f"xenstore-read /local/domain/{domids(m)['win']}/serial/0/tty").strip()
    m.run(f"timeout 600 grep -am1 'machine up' {tty}", 620)

    # the power button, and a clean end of the one that listens to it
    ended = m.run("xenlocal stop win", 200)
    assert ended.rc == 0 and "destroyed" not in ended.out + ended.err
    assert "win" not in domids(m)
    forced = m.run("xenlocal stop deaf", 400)
    assert "was destroyed: it was not off" in forced.out + forced.err
    assert "press the power button of it" in m.out("journalctl -b -u xenlocal -o cat")
    assert "deaf" not in domids(m)

    # what it needs is named before it is started
    m.run("mv /usr/libexec/xen-qemu-system-i386 /root/away")
    m.run("xenlocal start win", 200, check=False)
    assert "apt install qemu-system-xen" in wait_notice(m, "win", "xen-qemu-system-i386 is missing")


def from_image(name: str, stop_timeout: str) -> str:
    disk = f"[[disk xvda]]\nvolume = vg0/{name}\nsize = 32M\n[[install]]\nimage = /srv/{name}.img\n"
    head = f"[domain {name}]\ntype = hvm\nmemory = 64M\nstop_timeout = {stop_timeout}\n"
    return f"{head}{disk}[[ready]]\ncommand = /bin/true\n"


@pytest.mark.long
@pytest.mark.limit(1200)
def test_one_is_installed_from_an_image_boots_its_disk_and_is_stopped_by_its_power_button(installed: Machine) -> None:
    m = installed
    m.make_vg()
    for name in ("win", "deaf"):
        m.put(f"/srv/{name}.img", sector(f"this is {name}", looks=name == "win"))
        m.run(f"truncate -s 1M /srv/{name}.img")
    write(m, win=from_image("win", "90s"), deaf=from_image("deaf", "10s"))
    assert reload(m).rc == 0
    wait_all_ready(m, "win", "deaf", timeout=300)
    for name in ("win", "deaf"):
        m.run(f"cmp -n 1048576 /srv/{name}.img /dev/vg0/{name}")
        m.run(f"timeout 120 grep -am1 'this is {name}' {serial(m, name)}", 140)

    ended = m.run("xenlocal stop win", 200)
    assert "destroyed" not in ended.out + ended.err and "win" not in domids(m)
    forced = m.run("xenlocal stop deaf", 200)
    assert "was destroyed: it was not off" in forced.out + forced.err and "deaf" not in domids(m)
