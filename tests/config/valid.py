"""Hypothesis: any valid configuration, over the whole language.

`VALUES` says what can be written for a key where nothing else depends on it; `test_valid` fails when a key of the
schema is never drawn. What hangs together, such as memory and maxmem, is drawn together.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from hypothesis import strategies as st

Text = st.SearchStrategy[str]
_WORD = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
_PLAIN = st.text(string.ascii_letters + string.digits + "._+-", max_size=20)
_NAME = st.builds(str.__add__, st.sampled_from(string.ascii_letters), _PLAIN)
_PATH_PART = st.text(string.ascii_letters + string.digits + "._:+@%~-", min_size=1, max_size=30)
_PATH = st.lists(_PATH_PART.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4).map("/".join)
_ADDRESS = st.ip_addresses(v=4, network="192.0.2.0/24").map(str)
_MIB = st.integers(4, 1 << 24)
_OWN_ADDRESS = "192.0.2.21/24"


def _number(low: int, high: int) -> Text:
    return st.integers(low, high).map(str)


def _duration(low: int, high: int) -> Text:
    return st.one_of(_number(low, high).map("{}s".format), _number(-(-low // 60), high // 60).map("{} m".format))


def _mib(count: int) -> Text:
    """One of the ways to write so many MiB."""
    ways = [f"{count}M", f"{count}MiB", f"{count << 10}K", f"{count} m"]
    ways += [f"{count >> 10}G", f"{count >> 10}.0GB"] if count % 1024 == 0 else []
    return st.sampled_from(ways)


def _list(items: Text, most: int = 3) -> Text:
    return st.lists(items, min_size=1, max_size=most, unique=True).map(", ".join)


_SIZE = st.integers(1, 1 << 20).flatmap(_mib)
_TIME = _duration(60, 36000)
_CPU = st.integers(0, 4095)
_DESCRIPTION = st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="\"'#\u202a"), max_size=60)
_CMDLINE = st.text([char for char in map(chr, range(32, 127)) if char not in "\"'\\;#"], max_size=200)
_BOOLEAN = st.sampled_from(("yes", "no"))

# (section, key) -> what may stand for it where nothing else depends on it; the others are drawn in `configurations`.
VALUES: dict[tuple[str, str], Text] = {
    ("host", "shutdown_deadline"): _duration(1, 1740),
    ("host", "start_parallel"): _number(1, 64) | st.just("auto"),
    ("host", "dom0_reserve"): st.integers(0, 4096).flatmap(_mib),
    ("host", "trash_keep"): _number(1, 300).map("{}d".format),
    ("host", "resync"): _duration(10, 36000),
    ("bridge", "external"): _BOOLEAN,
    ("bridge", "address"): st.integers(1, 254).map("10.9.0.{}/24".format) | st.just("2001:db8::1/64"),
    ("bridge", "mtu"): _number(68, 65535),
    ("bridge", "stp"): _BOOLEAN,
    ("bridge", "vlan_filtering"): _BOOLEAN,
    ("iscsi", "portal"): _ADDRESS | st.just("[2001:db8::7]:860") | _ADDRESS.map("{}:3261".format),
    ("domain", "description"): _DESCRIPTION,
    # one of the first two, since xl refuses a domU that is pinned to none of the CPUs of its host
    ("domain", "cpus"): st.one_of(
        st.just("all"), _CPU.map("all,^{}".format), _list(_CPU.map(str), 5).map("1, {}".format),
        st.builds("{}-{}".format, st.sampled_from((0, 1)), st.integers(1, 4095)),
    ),
    ("domain", "cpu_weight"): _number(1, 65535),
    ("domain", "uuid"): st.uuids(version=4).map(str),
    ("domain", "was"): st.uuids(version=4).map(lambda found: f"was-{found}"),
    ("domain", "start_timeout"): _TIME,
    ("domain", "on_poweroff"): st.sampled_from(("stay-off", "restart")),
    ("domain", "on_crash"): st.sampled_from(("restart", "stay-off", "preserve")),
    ("domain", "on_unready"): st.sampled_from(("report", "restart")),
    ("domain", "critical"): _BOOLEAN,
    ("domain", "hostid"): st.just("locked"),
    ("domain", "owner"): st.builds(str.__add__, st.sampled_from("abc_"), _WORD),
    ("domain", "group"): st.builds(str.__add__, st.sampled_from("abc_"), _WORD),
    ("domain", "cmdline"): _CMDLINE,
    ("disk", "mode"): st.sampled_from(("r", "w", "w!")),
    ("disk", "pool"): _WORD.map("thin{}".format),
    ("disk", "allocate"): st.sampled_from(("full", "sparse")),
    ("disk", "attached"): st.sampled_from(("yes", "no")),
    ("nic", "attached"): st.sampled_from(("yes", "no")),
    ("disk", "size"): _SIZE,
    ("ready", "tcp"): st.builds("{}:{}".format, _ADDRESS | _WORD.map("a{}.example".format), st.integers(1, 65535)),
    ("ready", "ping"): _ADDRESS | st.just("2001:db8::7"),
    ("ready", "console"): st.sampled_from(("login:", "^ready [0-9]+$", "(a|b)*c", "Büro")),
    ("ready", "xenstore"): _WORD.map("data/{}".format),
    ("ready", "command"): _PATH.map("/{} --quiet 'two words'".format),
}  # fmt: skip

# Of these a section has one, or none, and who wants it writes it.
ALONE = ("tcp", "ping", "console", "xenstore", "command", "size", "cmdline", "pci", "usb", "pool", "allocate")

# What xl takes for these, of what [[xl]] passes on; the others would be errors of xl, which is not the question.
XL: dict[str, Text] = {
    "max_grant_frames": _number(4, 512),
    "max_event_channels": _number(64, 4096),
    "rtc_timeoffset": _number(0, 86400),
    "localtime": _number(0, 1),
    "tsc_mode": st.sampled_from(("native", "always_emulate", "default")).map('"{}"'.format),
    "nomigrate": _number(0, 1),
    "ioports": _list(st.integers(16, 255).map("{:x}".format), 3).map(lambda text: text + ","),
}


class _Writer:
    """Draws, and remembers which keys were written."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.keys: set[tuple[str, str]] = set()

    def one(self, items: Sequence[str]) -> str:
        return self.draw(st.sampled_from(items))

    def perhaps(self) -> bool:
        return self.draw(st.booleans())

    def section(self, kind: str, head: str, lines: list[tuple[str, str]]) -> str:
        """The given keys, and any other of `VALUES` for the kind, in any order."""
        given = {key for key, _ in lines}
        for (section, key), value in VALUES.items():
            if section == kind and key not in given and key not in ALONE and self.perhaps():
                lines.append((key, self.draw(value)))
        self.keys |= {(kind, key) for key, _ in lines}
        return self.written(head, [(key, self.quoted(value)) for key, value in lines])

    def written(self, head: str, lines: list[tuple[str, str]]) -> str:
        blank, equals = self.one(("", "  ", "\t")), self.one((" = ", "=", "  =  "))
        lines = self.draw(st.permutations(lines))
        return f"{blank}{head}\n" + "".join(f"{blank}{key}{equals}{value}\n" for key, value in lines)

    def quoted(self, value: str) -> str:
        marks = [mark for mark in "'\"" if mark not in value]
        mark = self.one(marks if {*"#'\""} & {*value} else ["", *marks])
        return f"{mark}{value}{mark}"


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, frozenset[tuple[str, str]]]:
    """The text, and the (section, key) that are in it."""
    writer = _Writer(draw)
    bridges = draw(st.lists(_WORD.map("b{}".format), min_size=1, max_size=3, unique=True))
    text = writer.section("host", "[host]", []) if writer.perhaps() else ""
    if writer.perhaps():
        keys = draw(
            st.lists(st.sampled_from(("description", "on_crash", "critical", "owner", "cpu_weight")), unique=True)
        )
        text += writer.written("[defaults]", [(key, writer.quoted(draw(VALUES["domain", key]))) for key in keys])
    for number, name in enumerate(bridges):
        ports = writer.one(("none", f"e{number}x", f"e{number}x, e{number}y", f"e{number}x,"))
        text += writer.section("bridge", f"[bridge {name}]", [("ports", ports)])
    if writer.perhaps():
        node = [("portal", draw(VALUES["iscsi", "portal"])), ("target", f"iqn.2012-10.example:{draw(_WORD)}")]
        chap = [("chap_user", draw(_WORD)), ("chap_secret", f"/etc/{draw(_PATH)}")] if writer.perhaps() else []
        text += writer.section("iscsi", "[iscsi bay1]", [*node, *chap])
    names = draw(st.lists(_NAME.filter(_is_free), min_size=1, max_size=4, unique_by=str.lower))
    states: dict[str, str] = {}
    for name in names:
        text += _domain(writer, name, states, bridges)
    return text, frozenset(writer.keys)


def _is_free(name: str) -> bool:
    return name.lower() not in ("none", "dom0", "domain-0")


def _domain(writer: _Writer, name: str, states: dict[str, str], bridges: Sequence[str]) -> str:
    draw, number = writer.draw, len(states)
    state = writer.one(("running", "running", "manual", "stopped", "absent"))
    memory, vcpus = draw(_MIB), draw(st.integers(1, 512))
    lines = [("memory", draw(_mib(memory))), ("state", state), *_boot(writer, number)]
    if writer.perhaps():
        lines.append(("maxmem", draw(st.integers(memory, 1 << 24).flatmap(_mib))))
    if writer.perhaps():
        lines += [("vcpus", str(vcpus)), ("maxvcpus", str(draw(st.integers(vcpus, 512))))]
    if writer.perhaps():
        stop = draw(st.integers(1, 3000))
        lines += [("stop_timeout", f"{stop}s"), ("hung_timeout", draw(_duration(1, stop)) if stop > 60 else "1s")]
        lines += [("stop_max", f"{stop + draw(st.integers(0, 3000))}s")]
    things = [f"bridge/{bridges[0]}", "volume/vg9/any", "device/dev/sdz"]
    befores = {"after": [*states, *things], "needs": [each for each in states if states[each] == "running"] + things}
    for key, before in befores.items():
        if writer.perhaps():
            lines.append((key, draw(_list(st.sampled_from(before))) if writer.perhaps() else "none"))
    hvm = ("type", "hvm") in lines
    if ("type", "pvh") not in lines and writer.perhaps():
        lines = [line for line in lines if not hvm or line[0] != "maxmem"]
        # a device has one guest
        lines.append(("pci", draw(_list(st.integers(0, 7).map(f"{number:02x}:1f.{{}}".format), 3))))
    if hvm and writer.perhaps():
        product = draw(st.from_regex("[0-9a-f]{4}", fullmatch=True))
        lines.append(("usb", f"{number:04x}:{product}, 1-{number}.{draw(st.integers(1, 9))}"))
    text = writer.section("domain", f"[domain {name}]", lines)
    states[name] = state
    nics = draw(st.integers(0, 2))
    install = _install(writer, hvm, nics > 0) if writer.perhaps() else []
    if install:
        what = [("volume", f"vg0/root{number}"), ("size", draw(VALUES["disk", "size"])), ("mode", "w")]
        text += writer.section("disk", "[[disk xvdz]]", [*what, ("attached", "yes")])
    if ("bootloader", "pygrub") in lines:
        text += writer.section("disk", "[[disk xvdy]]", [("device", f"/dev/disk/by-id/boot{number}")])
    # of an hvm guest xvdc and hdc are one drive
    names = ("xvda", "xvdb", "xvdaa", "xvdd1" if hvm else "xvdc1", "sda", "hdc")
    for vdev in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
        text += _disk(writer, f"{number}{vdev}", vdev, hvm)
    for nic in range(nics):
        # the declared MAC of a nic must be nobody else's
        mac = f"00:16:3e:{number:02x}:{nic:02x}:{draw(st.integers(0, 255)):02X}"
        given = [("bridge", writer.one(bridges))] + ([("mac", mac)] if writer.perhaps() else [])
        if ("address", _OWN_ADDRESS) in install:
            given.append(("attached", "yes"))
        text += writer.section("nic", f"[[nic eth{nic}]]", given)
    if install:
        text += writer.section("install", "[[install]]", install)
    if writer.perhaps():
        key = writer.one([key for section, key in VALUES if section == "ready" and not (hvm and key == "console")])
        text += writer.section("ready", "[[ready]]", [(key, draw(VALUES["ready", key]))])
    if writer.perhaps():
        keys = draw(st.lists(st.sampled_from(sorted(XL)), min_size=1, max_size=4, unique=True))
        text += writer.written("[[xl]]", [(key, draw(XL[key])) for key in keys])
    return text


def _install(writer: _Writer, hvm: bool, nic: bool) -> list[tuple[str, str]]:
    way = "raw" if hvm else writer.one(("raw", "tar", "suite"))
    if way == "raw":
        return [("image", f"/srv/{writer.draw(_WORD)}.raw")]  # it is written as it is
    lines = [("image", f"/srv/{writer.draw(_WORD)}.tar.xz")]
    if way == "suite":
        lines = [("suite", writer.one(("bookworm", "trixie"))), ("packages", writer.one(("ssh", "ssh, e2fsprogs")))]
        lines.append(("mirror", writer.one(("http://deb.example/debian", "/etc/xen/packages.list"))))
    if nic:
        lines += [("address", _OWN_ADDRESS), ("gateway", "192.0.2.1"), ("dns", "192.0.2.2, 192.0.2.3")]
    files = [("ssh_key", "/root/keys"), ("root_password", "/root/hash"), ("hooks", "/root/hooks")]
    return [*lines, *files, ("hostname", writer.draw(_WORD.map("h{}".format)))]


def _boot(writer: _Writer, number: int) -> list[tuple[str, str]]:
    screen = [("vnc", f"127.0.0.1:{number}")] if writer.perhaps() else []
    way = writer.one(("kernel", "kernel", "kernel", "bootloader", "pvgrub", "firmware", "disk"))
    cmdline = [("cmdline", writer.draw(_CMDLINE))] if writer.perhaps() else []
    ramdisk = [("ramdisk", "/boot/" + writer.draw(_PATH))] if writer.perhaps() else []
    match way:
        case "kernel":
            kind = [("type", writer.one(("pvh", "pvh", "pv", "hvm")))] if writer.perhaps() else []
            return [("kernel", "/boot/" + writer.draw(_PATH)), *kind, *cmdline, *ramdisk]
        case "bootloader":
            return [("bootloader", "pygrub"), *cmdline]
        case "pvgrub":
            return [("pvgrub", "/usr/" + writer.draw(_PATH))]
        case "firmware":
            return [("type", "hvm"), ("firmware", writer.one(("bios", "uefi"))), *screen]
    return [("type", "hvm"), *cmdline, *screen]


def _disk(writer: _Writer, unique: str, vdev: str, hvm: bool) -> str:
    if hvm and vdev == "hdc":
        return writer.section("disk", f"[[disk {vdev}]]", [("cdrom", "/srv/a.iso"), ("mode", "r")])
    kind = writer.one(("volume", "device", "file"))
    end = f"{unique}{writer.draw(_PLAIN)}"
    value = {"volume": f"vg0/lv{end}", "device": f"/dev/disk/by-id/d{end}", "file": f"/srv/xen/f{end}"}[kind]
    sized = [("size", writer.draw(VALUES["disk", "size"]))] if kind != "device" and writer.perhaps() else []
    how = {"volume": ["pool"], "file": ["allocate"]}.get(kind, [])
    made = [(key, writer.draw(VALUES["disk", key])) for key in how if writer.perhaps()]
    if sized and writer.perhaps():
        made += [("resize_fs", "yes"), ("mode", "w")]
    elif hvm and vdev in ("xvda", "xvdb", "xvdd1"):  # emulated, and writable
        made += [("mode", writer.one(("w", "w!")))]
    return writer.section("disk", f"[[disk {vdev}]]", [(kind, value), *sized, *made])
