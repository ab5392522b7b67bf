"""Every section and key of the language, once: its parser, its default, its help.

The man page is compared with this table by a test, and defaults with those of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from xenlocal.config import guest_values as guest
from xenlocal.config import identity, iscsi_values, names, values
from xenlocal.config import install_values as install
from xenlocal.config.values import Parser, checked, choice, duration, integer
from xenlocal.model.desired import Firmware, GuestType, OnCrash, OnPoweroff, OnUnready, State
from xenlocal.model.units import Duration, Size

_SECOND = Duration(1)
_DEADLINE = Duration(29 * 60)


@dataclass(frozen=True)
class Key:
    """One key. `default` is what an administrator would write for it: "" is nothing, REQUIRED is an error.

    `supported` False: valid, but this version cannot do it yet. `shared` False: makes no sense in [defaults].
    """

    section: str
    name: str
    parse: Parser
    default: str
    help: str
    supported: bool = True
    shared: bool = True
    may_be_empty: bool = False


REQUIRED = "required"

# Kinds of sections at the top, whether they have a name, and of the parts of a domain.
SECTIONS: Mapping[str, bool] = MappingProxyType(
    {"host": False, "defaults": False, "bridge": True, "iscsi": True, "domain": True}
)
PARTS: Mapping[str, bool] = MappingProxyType({"disk": True, "nic": True, "ready": False, "install": False, "xl": False})


def _host() -> tuple[Key, ...]:
    deadline = duration(_SECOND, _DEADLINE, ": systemd forces the reboot at 30 minutes")
    resync, reserve = duration(Duration(10)), values.size(Size(0), Size.mib(1))
    return (
        Key("host", "shutdown_deadline", deadline, "25m", "time for all domUs together to shut down"),
        Key("host", "start_parallel", values.parallel, "auto", "how many domUs are created at once"),
        Key("host", "dom0_reserve", reserve, "256M", "memory of Xen that is never given to domUs"),
        Key("host", "trash_keep", duration(_SECOND), "14d", "how long a retired volume can come back"),
        Key("host", "resync", resync, "10m", "look again at least this often"),
    )


def _bridge() -> tuple[Key, ...]:
    boolean, mtu = values.boolean, integer(68, 65535)
    return (
        Key("bridge", "ports", values.interfaces, "", "physical ports; none: an internal network"),
        Key("bridge", "external", boolean, "no", "made by something else: checked, never changed"),
        Key("bridge", "address", values.address, "", "the dom0's own address, with prefix length"),
        Key("bridge", "mtu", mtu, "", "largest packet in bytes"),
        Key("bridge", "stp", boolean, "", "spanning tree protocol"),
        Key("bridge", "vlan_filtering", boolean, "", "keep VLANs apart"),
    )


def _iscsi() -> tuple[Key, ...]:
    return (
        Key("iscsi", "portal", iscsi_values.portal, REQUIRED, "where the target is reached: ADDRESS or ADDRESS:PORT"),
        Key("iscsi", "target", iscsi_values.target, REQUIRED, "its name, such as iqn.2012-10.example:bay1"),
        Key("iscsi", "chap_user", iscsi_values.user, "", "name by which this host proves who it is"),
        Key("iscsi", "chap_secret", iscsi_values.secret, "", "file that holds the secret of that name"),
    )


def _domain() -> tuple[Key, ...]:
    positive, timeout, path = integer(1, 512), duration(_SECOND), checked(names.path)
    uuid = checked(identity.parse_uuid)
    types, states = choice(*GuestType), choice(*State)
    poweroff, crash, unready = choice(*OnPoweroff), choice(*OnCrash), choice(*OnUnready)
    return (
        Key("domain", "description", values.description, "", "what it is for", may_be_empty=True),
        Key("domain", "type", types, "pv", "kind of guest: pv, pvh or hvm"),
        Key("domain", "state", states, "running", "running, manual, stopped or absent"),
        Key("domain", "memory", values.memory, REQUIRED, "memory it starts with"),
        Key("domain", "maxmem", values.memory, "", "up to which its memory can be raised while it runs"),
        Key("domain", "vcpus", positive, "1", "virtual CPUs it starts with"),
        Key("domain", "maxvcpus", positive, "", "up to which they can be raised while it runs"),
        Key("domain", "cpus", values.cpus, "", "physical CPUs it may use: 2-5,7 or all,^0"),
        Key("domain", "cpu_weight", integer(1, 65535), "", "share of a busy CPU; Xen's own default is 256"),
        Key("domain", "uuid", uuid, "", "derived from host and name when not given", shared=False),
        Key(
            "domain",
            "was",
            checked(names.domain),
            "",
            "the name it was first declared by",
            shared=False,
        ),
        Key("domain", "kernel", path, "", "kernel on the dom0, for a pv or pvh guest"),
        Key("domain", "ramdisk", path, "", "its initial ramdisk"),
        Key("domain", "cmdline", values.cmdline, "", "its command line", may_be_empty=True),
        Key("domain", "bootloader", choice("pygrub"), "", "pygrub: read the kernel from the guest's own disk"),
        Key("domain", "pvgrub", path, "", "a GRUB for Xen guests, on the dom0, which boots what the disk says"),
        Key("domain", "firmware", choice(*Firmware), "bios", "of an hvm guest: bios or uefi"),
        Key("domain", "after", values.references, "none", "start later than these are ready, stop before them"),
        Key("domain", "needs", values.references, "none", "the same, and do not start unless they are ready"),
        Key("domain", "start_timeout", timeout, "5m", "time to become ready"),
        Key("domain", "stop_timeout", timeout, "5m", "time to shut down, then it is destroyed"),
        Key("domain", "hung_timeout", timeout, "", "the same, of a guest that neither hears the request nor writes"),
        Key("domain", "stop_max", timeout, "", "the same, of a guest that has heard it and goes on writing"),
        Key("domain", "on_poweroff", poweroff, "stay-off", "the guest powered itself off: stay-off or restart"),
        Key("domain", "on_crash", crash, "restart", "restart with back-off, stay-off or preserve"),
        Key("domain", "on_unready", unready, "report", "was ready and is not any more: report or restart"),
        Key("domain", "critical", values.boolean, "no", "the host is not well without it"),
        Key("domain", "hostid", choice("locked"), "", "locked: who it is to its licences never changes", shared=False),
        Key("domain", "vnc", guest.vnc, "", "screen of an hvm guest: ADDRESS:DISPLAY", shared=False),
        Key("domain", "pci", guest.pci, "", "PCI devices given to the guest", shared=False),
        Key("domain", "usb", guest.usb, "", "USB devices given to an hvm guest", shared=False),
        Key("domain", "owner", guest.account, "", "Unix user who may handle it", False),
        Key("domain", "group", guest.account, "", "Unix group that may handle it", False),
    )


def _parts() -> tuple[Key, ...]:
    device, file = checked(names.device_path), checked(names.file_path)
    return (
        Key("disk", "volume", checked(names.volume), "", "LVM logical volume: VG/LV"),
        Key("disk", "device", device, "", "a given block device, only awaited and used"),
        Key("disk", "file", file, "", "one raw file on the dom0"),
        Key("disk", "cdrom", checked(names.image_path), "", "an ISO image on the dom0, as a drive of an hvm guest"),
        Key("disk", "size", values.disk_size, "", "created if absent, grown if smaller, never shrunk"),
        Key("disk", "resize_fs", values.boolean, "no", "grow its ext file system with it, before a start"),
        Key("disk", "pool", checked(names.pool), "", "thin pool of its volume group that the volume is made in"),
        Key(
            "disk",
            "allocate",
            choice("full", "sparse"),
            "sparse",
            "a file takes its size at once, or as it fills",
        ),
        Key("disk", "mode", choice("w", "r", "w!"), "w", "w: writable, r: read-only, w!: several domUs write to it"),
        Key("disk", "attached", values.boolean, "yes", "no: not given to the guest, and taken from one that runs"),
        Key("nic", "bridge", checked(names.interface), REQUIRED, "bridge it is a port of"),
        Key("nic", "mac", checked(identity.parse_mac), "", "derived from the UUID and the nic's name"),
        Key("nic", "attached", values.boolean, "yes", "no: not given to the guest, and taken from one that runs"),
        Key("ready", "tcp", guest.tcp, "", "HOST:PORT accepts a connection"),
        Key("ready", "ping", guest.ping, "", "HOST answers a ping"),
        Key("ready", "console", guest.console, "", "a line of the console matches this"),
        Key("ready", "xenstore", guest.xenstore, "", "the guest has written this key below its data/"),
        Key("ready", "command", guest.command, "", "this command on the dom0 succeeds"),
    )


def _install() -> tuple[Key, ...]:
    path = checked(names.path)
    return (
        Key("install", "suite", install.suite, "", "release of Debian, such as bookworm"),
        Key("install", "image", install.image, "", "raw or tar image on the dom0, instead of a suite"),
        Key("install", "mirror", install.mirror, "", "URL of an archive of Debian, or a file of apt sources"),
        Key("install", "packages", install.packages, "none", "what is installed beside the least there is"),
        Key("install", "hostname", install.hostname, "", "the name of the domU when not given"),
        Key("install", "address", install.address, "dhcp", "of the first nic, with prefix length, or dhcp"),
        Key("install", "gateway", install.gateway, "", "default route of a guest with a fixed address"),
        Key("install", "dns", install.dns, "none", "addresses of name servers"),
        Key("install", "ssh_key", install.ssh_key, "", "file of public keys that may log in as root"),
        Key("install", "root_password", install.root_password, "locked", "locked, or a file with its hash"),
        Key("install", "hooks", path, "", "directory of programs that run at the end"),
    )


KEYS: tuple[Key, ...] = (*_host(), *_bridge(), *_iscsi(), *_domain(), *_parts(), *_install())


def keys_of(section: str) -> Mapping[str, Key]:
    """The keys of a kind of section by name; none for `xl`, which passes others on."""
    return _BY_SECTION.get(section, {})


_BY_SECTION: Mapping[str, Mapping[str, Key]] = MappingProxyType(
    {
        **{kind: {key.name: key for key in KEYS if key.section == kind} for kind in {key.section for key in KEYS}},
        "defaults": {key.name: key for key in KEYS if key.section == "domain"},
    }
)
