"""What is done to disks before a start, on a real Xen: a Debian guest is made from packages, a raw image is copied, a
file system grows, and nothing is written over; and the Debian gets a new kernel, and is rid of a bad one."""

from __future__ import annotations

import io
import tarfile

import pytest
from lab import (
    NETWORK,
    SETTLE,
    domain,
    packed_kernel,
    reload,
    row,
    some_modules,
    wait_all_ready,
    wait_notice,
    write,
)

from rig.guest import KERNEL, domids
from rig.machine import Machine
from rig.repository import repository
from rig.wait import wait_for

pytestmark = [pytest.mark.long, pytest.mark.limit(2400)]
ADDRESS = "192.0.2.21"
JOURNAL = "journalctl -u xenlocal -o cat --no-pager"
PIECE = 256 << 10
BEGINS = 300
"""Seconds until the script has looked at the disk and has begun to unpack packages."""
INSTALLED = 1500
"""Seconds of an installation: it takes 10 minutes under emulation, 14 on a busy machine."""
BOOTED = 600
"""Seconds until a whole Debian is ready."""

# The kernel of the rig's guests has its drivers in modules; of those of the dom0 a Debian needs these few.
RAMDISK_OF_A_DEBIAN = """
mkdir -p /srv/ramdisk/bin /srv/ramdisk/dev /srv/ramdisk/root && cd /srv/ramdisk
cp /bin/busybox bin/
for name in ext4 xen-blkfront xen-netfront; do modprobe --show-depends "$name"; done | sed -n 's/^insmod //p' > found
while read -r path; do cp "$path" . && echo "/${path##*/}"; done < found > order
cat > init <<'END'
#!/bin/busybox sh
for module in $(/bin/busybox cat /order); do /bin/busybox insmod "$module"; done 2> /dev/null
/bin/busybox mount -t devtmpfs dev /dev
until [ -b /dev/xvda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 -o ro /dev/xvda /root
exec /bin/busybox switch_root /root /sbin/init
END
chmod 755 init
find . | cpio --quiet -o -H newc > /srv/initrd
"""
DISKS = """
mkdir /srv/root && echo made by hand > /srv/root/here
truncate -s 24M /srv/small.img && mkfs.ext4 -q -L small -d /srv/root /srv/small.img
lvcreate -q -y --addtag xenlocal --addtag xenlocal-install -L 32M -n taken-0 vg0
mkfs.ext4 -q -L mine /dev/vg0/taken-0
lvcreate -q -y --addtag xenlocal -L 32M -n kept-1 vg0
mkfs.ext4 -q /dev/vg0/kept-1
"""
HASH = "$6$salt$hash"
HOOK = '#!/bin/sh\necho "$XENLOCAL_NAME is hooked" > "$XENLOCAL_ROOT/etc/issue"\n'
FROM_IMAGE = "  [[install]]\n  image = /srv/small.img\n"
FROM_PACKAGES = f"""  [[install]]
  suite = bookworm
  mirror = /srv/packages.list
  packages = less
  hostname = lab-one
  address = {ADDRESS}/24
  gateway = 192.0.2.1
  dns = 192.0.2.53, 192.0.2.54
  root_password = /root/hash
  ssh_key = /root/keys
  hooks = /root/hooks
  [[ready]]
  ping = {ADDRESS}
"""


def debian(kernel: str = KERNEL) -> str:
    keys = f"kernel = {kernel}\nramdisk = /srv/initrd\ncmdline = root=/dev/xvda console=hvc0 quiet\n"
    keys += "start_timeout = 15m\nstop_timeout = 5m\n"
    return domain("debian", keys=keys, disks=("2G",), nics=("lab0",), memory="256M", parts=FROM_PACKAGES)


def kept(size: str) -> str:
    return domain("kept", parts=f"  [[disk xvdb]]\n  volume = vg0/kept-1\n  size = {size}\n  resize_fs = yes\n")


def size_of_file_system(m: Machine, disk: str) -> int:
    """In MiB."""
    facts = dict(line.split(":", 1) for line in m.out(f"dumpe2fs -h {disk}", 60).splitlines() if ":" in line)
    return int(facts["Block count"]) * int(facts["Block size"]) >> 20


def tags(m: Machine, volume: str) -> set[str]:
    return {*m.out(f"lvs --noheadings -o lv_tags {volume}", 60).strip().split(",")}


def bring_packages(m: Machine) -> None:
    """An archive that apt takes packages from, and what else the installation reads of the dom0."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        tar.add(repository("bookworm"), "packages")
    data = whole.getvalue()
    for number, start in enumerate(range(0, len(data), PIECE)):
        m.put(f"/srv/packages.tar.{number:04d}", data[start : start + PIECE])
    m.run("cat /srv/packages.tar.???? | tar -xC /srv && rm /srv/packages.tar.????", 120)
    m.put("/srv/packages.list", "deb [trusted=yes] copy:/srv/packages ./\n")
    m.put("/root/keys", "ssh-ed25519 AAAA somebody\n")
    m.put("/root/hash", f"{HASH}\n", 0o600)
    m.put("/root/hooks/greet", HOOK, 0o755)


def test_a_debian_is_installed_from_packages_and_boots(installed: Machine) -> None:
    m, unit, log = installed, "xenlocal-install-debian", "/var/log/xenlocal/install-debian.log"
    m.make_vg()
    bring_packages(m)
    m.run(f"set -e\n{RAMDISK_OF_A_DEBIAN}", 120)
    write(m, net=NETWORK, debian=debian())
    assert reload(m).rc == 0
    m.wait_until(f"grep -q 'fetches and unpacks' {log}", BEGINS)
    assert "xenlocal-install" in tags(m, "vg0/debian-0") and "debian" not in domids(m)

    # ended in the middle it begins anew, on the same disk, and without the daemon it goes on
    m.run(f"systemctl stop {unit}", 60)
    m.wait_until(f"{JOURNAL} | grep 'its installation failed' | grep -q {log}", SETTLE)
    assert "xenlocal-install" in tags(m, "vg0/debian-0") and "debian" not in domids(m)
    m.wait_until(f"systemctl is-active {unit}", BEGINS)
    began = m.out(f"systemctl show -P MainPID {unit}")
    m.run("systemctl restart xenlocal", 120)
    assert m.out(f"systemctl show -P MainPID {unit}") == began != "0"

    # seldom, so as not to take dpkg the CPU
    wait_for(lambda: m.out(f"tail -n 1 {log}").endswith("is installed"), INSTALLED, "the installation", every=10)
    assert "xenlocal-install" not in tags(m, "vg0/debian-0")
    wait_all_ready(m, "debian", timeout=BOOTED)
    assert m.out(JOURNAL).count("begin installing domain/debian:") == 2
    m.run("xenlocal stop debian", 600)
    files = "cat etc/hostname etc/issue etc/resolv.conf root/.ssh/authorized_keys && ls usr/bin/less"
    network = "grep -h -e ^Address= -e ^Gateway= etc/systemd/network/10-xenlocal.network"
    look = f"{files} && {network} && sed -n 's/^root:\\([^:]*\\):.*/\\1/p' etc/shadow"
    found = m.out(f"mount -o ro /dev/vg0/debian-0 /mnt && cd /mnt && {look}; cd / && umount /mnt", 60)
    assert found.splitlines() == [
        "lab-one", "debian is hooked", "nameserver 192.0.2.53", "nameserver 192.0.2.54", "ssh-ed25519 AAAA somebody",
        "usr/bin/less", f"Address={ADDRESS}/24", "Gateway=192.0.2.1", HASH,
    ]  # fmt: skip

    # it gets a new kernel, with the modules of dom0 as they are
    release = m.out("uname -r")
    tried = m.run("xenlocal kernel debian --update", 600, check=False)
    assert tried.rc == 1 and f"kernel {KERNEL} names no release" in tried.err, tried
    write(m, debian=debian(packed_kernel(m, KERNEL, release)))
    assert reload(m).rc == 0
    m.run("xenlocal kernel debian --update", BOOTED)
    assert row(m, "debian")["ready"] and row(m, "debian")["notices"] == []

    # a bad one is taken back
    m.run("xenlocal stop debian", 600)
    m.put("/srv/empty", "no kernel\n")
    some_modules(m, "9.9-bad")
    write(m, debian=debian(packed_kernel(m, "/srv/empty", "9.9-bad")))
    assert reload(m).rc == 0
    tried = m.run("xenlocal kernel debian --update", 600, check=False)
    assert tried.rc == 1 and "with 9.9-bad it could not be started" in tried.err, tried
    wait_all_ready(m, "debian", timeout=BOOTED)
    assert "9.9-bad has failed its trial" in wait_notice(m, "debian", "has failed its trial")
    m.run("xenlocal stop debian", 600)
    names = "find . -name '*.ko*' -printf '%P\\n' | sort"
    m.run(f"mount -o ro /dev/vg0/debian-0 /mnt && cd /mnt/usr/lib/modules/{release} && {names} > /root/given", 60)
    m.run(f"cd /lib/modules/{release} && {names} | cmp - /root/given && test -s /root/given", 60)


def test_disks_are_prepared_before_the_start(installed: Machine) -> None:
    m = installed
    m.make_vg()
    m.run(f"set -e\n{DISKS}", 120)
    mine = m.out("sha256sum < /dev/vg0/taken-0")
    filed = domain("filed", disks=(), parts=f"  [[disk xvda]]\n  file = /srv/filed.img\n  size = 32M\n{FROM_IMAGE}")
    taken = domain("taken", parts=FROM_IMAGE)
    write(m, filed=filed, taken=taken, kept=kept("64M"), free=domain("free"))
    assert reload(m).rc == 0

    # what somebody has filled is refused aloud
    told = wait_notice(m, "taken", "is not empty")
    assert "LABEL=mine" in told and "lvchange --deltag xenlocal-install vg0/taken-0" in told
    wait_all_ready(m, "filed", "kept", "free")
    assert m.out("sha256sum < /dev/vg0/taken-0") == mine and "taken" not in domids(m)
    # the guests of the rig write their journal over the first 64 KiB of their first disk
    m.run("cmp -i 1M -n 23M /srv/small.img /srv/filed.img && ! ls /srv/filed.img.xenlocal-install", 60)
    assert size_of_file_system(m, "/dev/vg0/kept-1") == 64
    assert "xenlocal-resize" not in tags(m, "vg0/kept-1")

    # it grows under a guest that runs: the file system does at its next start
    write(m, kept=kept("96M"))
    assert reload(m).rc == 0
    wait_notice(m, "kept", "type `resize2fs /dev/xvdb` inside the guest")
    assert size_of_file_system(m, "/dev/vg0/kept-1") == 64
    m.run("xenlocal restart kept", SETTLE)
    assert row(m, "kept")["ready"] and size_of_file_system(m, "/dev/vg0/kept-1") == 96
