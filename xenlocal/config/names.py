"""Which names are safe: they become arguments of xl, lvm and ip, and fields of xl.cfg (FACTS).

Each function returns the name as it is used, or raises ValueError with a sentence for the administrator.
"""

from __future__ import annotations

import re

from xenlocal.config.problems import clip
from xenlocal.model.desired import LogicalVolume
from xenlocal.model.names import trash_name

_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NIC = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,30}")
_VDEV = re.compile(r"(?:xvd[a-z]{1,2}|sd[a-p]|hd[a-d])(?:[1-9][0-9]?)?")
_VDEV_NEAR = re.compile(r"(?:xvd[a-z]+|sd[a-z]+|hd[a-z]+)[0-9]*")
_LVM = re.compile(r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]*")
_LVM_RESERVED = re.compile(r"^(snapshot|pvmove)")
_LVM_INTERNAL = re.compile(
    "_(cdata|cmeta|corig|cpool|cvol|iorig|mimage|mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|vpool|wcorig)"
)
_PATH = re.compile(r"[A-Za-z0-9/._:+@%~-]+")
_MAX_DOMAIN = 63
_MAX_INTERFACE = 15  # IFNAMSIZ less the final NUL
_MAX_LV = 90  # leaves room for the prefix of the trash
_MAX_DEVICE_MAPPER = 127  # DM_NAME_LEN less the final NUL
_MAX_PATH = 1023
_LAST_SECOND = 9_999_999_999  # of those with as many digits as today: the year 2286


def domain(name: str) -> str:
    shown = clip(name)
    if not _DOMAIN.fullmatch(name):
        raise ValueError(
            f"'{shown}' is not a name for a domU; use letters, digits and . _ + -, first a letter or a digit"
        )
    if len(name) > _MAX_DOMAIN:
        raise ValueError(f"the name '{shown}' is {len(name)} characters long; at most {_MAX_DOMAIN} are possible")
    if name.isdigit():
        raise ValueError(f"xl takes the name '{shown}' for a domid; write it with a letter, such as vm{shown}")
    if name.lower() in ("domain-0", "dom0", "none"):
        raise ValueError(f"a domU cannot be called '{shown}'; give it another name")
    return name


def interface(name: str) -> str:
    """The name of a network interface: the rules of the kernel, less what `ip` could misread."""
    shown = clip(name)
    if len(name) > _MAX_INTERFACE:
        raise ValueError(f"'{shown}' is {len(name)} characters long; an interface name has at most {_MAX_INTERFACE}")
    if not _INTERFACE.fullmatch(name):
        raise ValueError(f"'{shown}' is not an interface name; use letters, digits and . _ -, such as eno1")
    if name.isdigit():
        raise ValueError(f"'{shown}' would be taken for a number; write it with a letter, such as br{shown}")
    if name in ("lo", "all", "default", "none"):
        raise ValueError(f"'{shown}' is reserved by the kernel or by xenlocal; take another name")
    if name.startswith(("vif", "tap")):
        raise ValueError(f"'{shown}' is a name of the guests' own interfaces (vif*, tap*); leave those to Xen")
    return name


def nic(name: str) -> str:
    if not _NIC.fullmatch(name):
        raise ValueError(f"'{clip(name)}' is not a name for a nic; write one such as eth0")
    return name


def vdev(name: str) -> str:
    """The name under which a guest sees a disk."""
    if _VDEV.fullmatch(name):
        return name
    if _VDEV_NEAR.fullmatch(name):
        raise ValueError(f"disk '{clip(name)}' is beyond what Xen can number; write xvda and so on")
    raise ValueError(f"'{clip(name)}' is not a disk name of a guest; write one such as xvda, sda or hda")


def volume(text: str) -> LogicalVolume:
    """`VG/LV` by the rules of LVM, short enough to be renamed to the trash one day."""
    shown = clip(text)
    if text.startswith("/"):
        plain = unmapped(text)
        better = plain.removeprefix("/dev/") if re.fullmatch(r"/dev/(?!mapper/)[^/]+/[^/]+", plain) else "vg0/web-root"
        raise ValueError(f"volume '{shown}' is not VG/LV; write {clip(better)}")
    vg, _, lv = text.partition("/")
    if not lv or "/" in lv:
        raise ValueError(f"volume '{shown}' is not VG/LV; write one such as vg0/web-root")
    _lvm_name("volume group", vg)
    _lv_name("volume", lv)
    if lv.startswith("xenlocal-trash."):
        raise ValueError(f"'{clip(lv)}' is a retired volume; bring it back with `xenlocal trash restore`, then name it")
    if len(lv) > _MAX_LV:
        raise ValueError(f"the volume name '{shown}' is {len(lv)} characters long; at most {_MAX_LV} are possible")
    mapped = f"{vg}-{trash_name(lv, _LAST_SECOND)}".replace("-", "--")
    if len(mapped) - 1 > _MAX_DEVICE_MAPPER:
        raise ValueError(f"'{shown}' is too long for the device mapper once it is retired; shorten it")
    return LogicalVolume(vg, lv)


def unmapped(path: str) -> str:
    """/dev/VG/LV for /dev/mapper/VG-LV, and any other path as it is."""
    mapped = re.fullmatch(r"/dev/mapper/((?:[^-]|--)+)-((?:[^-]|--)+)", path)
    return "/dev/" + "/".join(part.replace("--", "-") for part in mapped.groups()) if mapped else path


def pool(text: str) -> str:
    """The name of a thin pool, without its group."""
    if "/" in text:
        raise ValueError(f"pool '{clip(text)}' lies in the group of the volume; write {clip(text.split('/')[-1])}")
    _lv_name("thin pool", text)
    return text


def _lv_name(what: str, name: str) -> None:
    _lvm_name(what, name)
    if _LVM_RESERVED.search(name) or _LVM_INTERNAL.search(name):
        raise ValueError(f"LVM keeps volume names such as '{clip(name)}' to itself; take another")


def _lvm_name(what: str, name: str) -> None:
    if not _LVM.fullmatch(name) or name in (".", ".."):
        raise ValueError(f"'{clip(name)}' is not a name for a {what}; use letters, digits and . _ + -, but not - first")


def path(text: str) -> str:
    """An absolute, normalised path that an xl disk specification can hold."""
    shown = clip(text)
    if not text.startswith("/"):
        raise ValueError(f"path '{shown}' is not absolute; write it from / on")
    if not _PATH.fullmatch(text):
        bad = next(char for char in text if not _PATH.fullmatch(char))
        raise ValueError(f"path '{shown}' holds {bad!r}, which an xl.cfg cannot carry; rename or link it")
    parts = text.split("/")[1:]
    if ".." in parts:
        raise ValueError(f"path '{shown}' holds '..'; write where it really leads")
    if "" in parts or "." in parts:
        tidy = "/" + "/".join(part for part in parts if part not in ("", "."))
        raise ValueError(f"path '{shown}' is not in its shortest form; write {clip(tidy)}")
    if len(text) > _MAX_PATH:
        raise ValueError(f"path '{shown}' is {len(text)} characters long; at most {_MAX_PATH} are possible")
    return text


def device_path(text: str) -> str:
    if not path(text).startswith("/dev/"):
        raise ValueError(f"device '{clip(text)}' does not lie in /dev; write file = for an image file")
    return text


def image_path(text: str) -> str:
    """Of what is in a drive: a file, also where the disc is in one of the host's own."""
    if path(text).startswith("/dev/"):
        raise ValueError(f"cdrom '{clip(text)}' is no file; copy the disc into one: `dd if={clip(text)} of=FILE.iso`")
    return file_path(text)


def file_path(text: str) -> str:
    if path(text).startswith(("/dev/", "/proc/", "/sys/", "/run/")):
        raise ValueError(f"file '{clip(text)}' is no place for an image file; write device = for a device")
    return text
