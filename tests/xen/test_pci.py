"""A device of the host that is a guest's own: a network card behind an IOMMU, in an hvm guest, then in a pv one; what
`check` says of each thing that is in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import SETTLE, reload, row, serial, wait_all_ready, wait_notice, write

from rig.guest import KERNEL, MACHINE, domids
from rig.image import Image
from rig.machine import Machine
from rig.package import install
from rig.qemu import Hardware
from rig.snapshot import booted

pytestmark = pytest.mark.long
CARD, MAC = "0000:00:10.0", "52:54:00:00:00:07"
GIVEN = f"pci = {CARD}\n"
HURDLE, INVALID = 5, 4
BEHIND_AN_IOMMU = Hardware(
    devices=(
        *("-machine", "q35", "-device", "intel-iommu,intremap=on,aw-bits=48"),
        *("-netdev", "user,id=lab,restrict=on", "-device", f"e1000e,netdev=lab,mac={MAC},addr=0x10"),
    )
)
# What such a guest does: it drives the card, and says so when its network (of QEMU's own, at 10.0.2.2) has answered
# through it. The files of the machine without PV drivers stand before it in the same archive.
INIT = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
exec > /dev/console 2>&1
for module in /lib/modules/*.ko; do busybox insmod "$module"; done
busybox mkdir -p /etc/acpi/PWRF && busybox cp /lib/pressed /etc/acpi/PWRF/00000080
busybox acpid -d < /dev/null &
until [ -e /sys/class/net/eth0 ]; do busybox sleep 1; done
busybox ip addr add 10.0.2.15/24 dev eth0
busybox ip link set eth0 up
until busybox ping -c 1 -W 2 10.0.2.2; do busybox sleep 1; done
while busybox sleep 1; do echo "its network answers $(busybox cat /sys/class/net/eth0/address)"; done
"""
RAMDISK = f"""
mkdir -p /srv/more/lib/modules /srv/more/sbin && cd /srv/more
for name in xen-pcifront e1000e; do modprobe --show-depends "$name"; done | sed -n 's/^insmod //p' | awk '!seen[$0]++' |
while read -r path; do n=$((n + 1)); cp "$path" "lib/modules/$((n + 10))-${{path##*/}}"; done
cp /root/init init && chmod 755 init
printf '#!/bin/busybox sh\\nbusybox poweroff -f\\n' > sbin/poweroff && chmod 755 sbin/poweroff
find . | cpio --quiet -o -H newc | cat {MACHINE} - > /srv/card
cp /boot/vmlinuz-$(uname -r) /boot/vmlinuz-rig
"""


def guest(name: str, kind: str, kernel: str, console: str) -> str:
    boot = f"kernel = {kernel}\nramdisk = /srv/card\ncmdline = console={console} quiet mitigations=off\n"
    head = f"[domain {name}]\ntype = {kind}\nmemory = 192M\n{boot}stop_timeout = 90s\n"
    return f"{head}{GIVEN}[[ready]]\ncommand = /bin/true\n"


FIRST = guest("first", "hvm", "/boot/vmlinuz-rig", "ttyS0")
SECOND = guest("second", "pv", KERNEL, "hvc0 iommu=soft")


@pytest.fixture
def host(dom0_image: Image, deb: Path, tmp_path: Path) -> Iterator[Machine]:
    """A dom0 with an IOMMU and a card to spare."""
    machine = booted(dom0_image, tmp_path, BEHIND_AN_IOMMU)
    try:
        install(machine, deb)
        yield machine
    finally:
        machine.close()


def check(m: Machine, code: int = HURDLE) -> str:
    """What `check` has to say against these files, ending with this."""
    said = m.run("xenlocal check", 120, check=False)
    assert said.rc == code, said
    return said.out + said.err


def by_hand(m: Machine, kind: str) -> str:
    """What Xen's own tool says where nobody has checked before: it makes no such guest."""
    m.put("/root/byhand.cfg", f'name="byhand"\ntype="{kind}"\nmemory=96\nkernel="{KERNEL}"\npci=["{CARD}"]\n')
    said = m.run("xl create -q /root/byhand.cfg", 120, check=False)
    assert said.rc != 0 and "byhand" not in domids(m), said
    return said.err


def drives(m: Machine, tty: str) -> None:
    """Wait until the guest at its console says that the card's network answers it."""
    m.run(f"timeout {SETTLE} grep -am1 'its network answers {MAC}' {tty}", SETTLE + 20)


def has(m: Machine, name: str) -> bool:
    """By what Xen's tools say."""
    domid = domids(m)[name]
    written = m.out(f"xenstore-read /local/domain/0/backend/pci/{domid}/0/dev-0")
    return written == CARD and CARD in m.out(f"xl pci-list {domid}")


@pytest.mark.limit(1500)
def test_a_card_that_is_the_guests_own(host: Machine) -> None:
    m = host
    m.put("/root/init", INIT)
    m.run(RAMDISK, 120)
    write(m, first=FIRST)
    said = check(m)
    assert f"{CARD} is not set aside for guests: e1000e of the dom0 drives it" in said
    assert reload(m).rc == 0
    assert "not set aside for guests" in wait_notice(m, "first", CARD)

    # ... and what to type is in it
    keep = f"xl pci-assignable-add {CARD}"
    assert f"type `modprobe xen-pciback` and `{keep}`" in said
    m.run("modprobe xen-pciback")
    too_early = by_hand(m, "pv")
    m.run(keep)
    check(m, 0)
    wait_all_ready(m, "first")
    assert has(m, "first")
    drives(m, serial(m, "first"))

    # it comes back with its guest, and nobody else's file can name it
    former = domids(m)["first"]
    m.run("xenlocal restart first", SETTLE)
    assert domids(m)["first"] != former and has(m, "first")
    drives(m, serial(m, "first"))
    write(m, second=SECOND)
    assert f"pci {CARD} is already given to domain first" in check(m, INVALID)

    # it moves to a guest of the other kind
    stopped = m.run("xenlocal stop first", SETTLE)
    assert "destroyed" not in stopped.out + stopped.err
    m.run("rm /etc/xenlocal/first.conf")
    assert reload(m).rc == 0
    wait_all_ready(m, "second")
    assert has(m, "second") and "first" not in domids(m)
    drives(m, m.out(f"xenstore-read /local/domain/{domids(m)['second']}/console/tty"))

    # ... and back: that has it until its own end
    write(m, first=FIRST, second=SECOND.replace(GIVEN, ""))
    assert reload(m).rc == 0
    assert row(m, "second")["pending"] == ["pci"]
    held = f"pci {CARD} is held by domain/second"
    refused = m.run("xenlocal start first", SETTLE, check=False)
    assert refused.rc != 0 and held in refused.out + refused.err, refused
    assert held in check(m)
    too_late = by_hand(m, "pv")
    m.run("xenlocal restart second", SETTLE)
    wait_all_ready(m, "first", "second")
    assert has(m, "first")
    drives(m, serial(m, "first"))

    # what is said here in time, xl says in the middle of a start
    assert "PCI device 0:0:10.0 is not assignable" in too_early
    assert "libxl__device_pci_add failed for PCI device 0:0:10.0" in too_late


@pytest.mark.limit(900)
def test_what_is_in_the_way(installed: Machine) -> None:
    """On a machine without an IOMMU, where no command helps: Xen's own tools say no to each step."""
    m = installed
    write(m, first=FIRST.replace("/srv/card", MACHINE).replace("/boot/vmlinuz-rig", KERNEL))
    no_iommu = "cannot give PCI devices to hvm guests: virt_caps of `xl info` does not say hvm_directio"
    said = check(m)
    assert f"pci {CARD} is not on this host" in said and no_iommu in said

    assert m.qemu
    m.qemu.qmp("device_add", driver="e1000e", id="card", addr="0x10")
    m.wait_until(f"test -e /sys/bus/pci/devices/{CARD}/driver", 60)
    said = check(m)
    assert f"{CARD} is not set aside for guests: e1000e of the dom0 drives it; that takes an IOMMU too" in said
    keep = m.run(f"modprobe xen-pciback && xl pci-assignable-add {CARD}", check=False)
    assert keep.rc != 0 and "failed to quarantine" in keep.err
    assert reload(m).rc == 0
    wait_notice(m, "first", no_iommu)
    for kind in ("hvm", "pv"):
        assert "passthrough not supported on this platform" in by_hand(m, kind)
