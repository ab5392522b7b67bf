"""The small laboratory of the demo: what its files say, and how its guests behave."""

from __future__ import annotations

GIB = 1 << 30
LICENCE_MAC = "00:16:3e:5a:01:02"
AFTER = {"auth": {"nas"}, "db": {"nas"}, "web": {"auth", "db"}, "build": {"web"}}
"""Who starts only once these are ready, as the files below say it."""

_KERNEL = "kernel = /boot/vmlinuz-6.1.0-xen\nramdisk = /boot/initrd.img-6.1.0-xen\ncmdline = root=/dev/xvda ro\n"


def _domain(name: str, keys: str, size: str, nic: str = "") -> str:
    disk = f"  [[disk xvda]]\n  volume = vg0/{name}-root\n  size = {size}\n"
    return f"[domain {name}]\n{keys}\n{_KERNEL}{disk}  [[nic eth0]]\n  bridge = lab0\n{nic}"


FILES = {
    "net": "[bridge lab0]\nports = none            # an internal network: xenlocal makes it\n",
    "nas": _domain("nas", "memory = 2G", "100G") + "  [[ready]]\n  tcp = 192.0.2.11:2049   # its NFS server answers\n",
    "auth": _domain("auth", "memory = 1G\nafter = nas", "10G"),
    "db": _domain("db", "memory = 4G\nneeds = nas", "40G"),
    "web": _domain("web", "memory = 1G\nneeds = db\nafter = auth", "10G"),
    "licence": _domain("licence", "memory = 512M", "5G", f"  mac = {LICENCE_MAC}   # its licence is bound to it\n"),
}

NEW = _domain("build", "memory = 1G\nafter = web", "20G")

MISTAKE = (
    "[domain wiki]\nmemroy = 1G\nkernel = /boot/vmlinuz-6.1.0-xen\n  [[disk xvda]]\n  volume = vg0/wiki\n  size = 20\n"
)

GUESTS = (
    ("listen", "nas", "192.0.2.11:2049", "4"),
    *(("guest", name, "--stop", "4") for name in FILES if name != "net"),
)
"""Arguments of the simulator, in simulated seconds (one takes a fifth of a real one)."""
