"""What the tools say that only the doctor asks, read from what the real ones print; and what cannot be understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.adapters.scripted import ScriptedRunner, TextFiles
from xenlocal.adapters import inspection
from xenlocal.adapters.inspection import (
    CLOCK,
    GROUPS,
    LVM,
    PACKAGES,
    PINNED,
    SHOW,
    UNITS,
    XEN,
    Inspector,
    parse_grub,
    parse_pinned,
)
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.inspection import Clock, Grub, IscsiRecord, LvmSettings, Pinned, Processes, Unit
from xenlocal.model.observed import PathFacts, PathKind
from xenlocal.model.units import Size
from xenlocal.planner.checkup_host import XENDOMAINS

RECORDS = Path(__file__).parents[2] / "records"
SUITES = ("bookworm", "trixie")


def asked(argv: tuple[str, ...], text: str, files: TextFiles | None = None) -> Inspector:
    return Inspector(ScriptedRunner((argv, text)), files or TextFiles({}))


def stock(name: str) -> str:
    return (RECORDS / "bookworm/stock" / name).read_text()


def test_the_hypervisor() -> None:
    xen = asked(XEN, stock("xl-info-n.txt")).xen()
    assert xen.option("dom0_mem") == "1024M,max:1024M" and xen.option("dom0_max_vcpus") is None
    assert xen.option("com1") == "115200,8n1" and xen.total == Size.mib(3071)
    assert xen.cpus == {0: 0, 1: 0} and list(xen.nodes) == [0]
    assert Size.mib(2900) < xen.nodes[0] < Size.mib(3300)


def test_several_numa_nodes() -> None:
    head, _, tail = stock("xl-info-n.txt").partition("numa_info ")
    rows = "".join(line + "\n" for line in tail.splitlines()[3:])
    two = "numa_info              :\nnode:    memsize    memfree    distances\n"
    two += "   0:     65536      12000      10,21\n   1:     65536        512      21,10\n"
    xen = asked(
        XEN, head.replace("  1:       1        0        0", "  1:       1        1        1") + two + rows
    ).xen()
    assert xen.nodes == {0: Size.mib(65536), 1: Size.mib(65536)} and set(xen.cpus) == {0, 1}


@pytest.mark.parametrize("suite", SUITES)
def test_the_vcpus_of_domains_that_are_not_pinned(suite: str) -> None:
    pinned = parse_pinned((RECORDS / suite / "running/xl-vcpu-list.txt").read_text())
    assert pinned == (Pinned("Domain-0", 2, None), *(Pinned(name, 1, None) for name in ("one", "two", "three")))


def test_the_vcpus_of_one_that_is() -> None:
    found = {each.name: each.cpus for each in asked(PINNED, stock("xl-vcpu-list.txt")).pinned()}
    assert found == {"Domain-0": None, "one": frozenset({1})}
    head = stock("xl-vcpu-list.txt").splitlines()[0]
    line = "a b                                  3 {}     -   --p       0.0  {} / all\n"
    text = f"{head}\n" + line.format(0, "0-2,5") + line.format(1, "7")
    assert parse_pinned(text) == (Pinned("a b", 2, frozenset({0, 1, 2, 5, 7})),)
    assert parse_pinned(text + line.format(2, "all")) == (Pinned("a b", 3, None),)


def test_units() -> None:
    """Those that were recorded, and for the others what systemd says of one that it does not know."""
    blocks = dict(zip(RECORDED, stock("systemctl-show.txt").split("\n\n"), strict=True))
    unknown = blocks["ssh.service"]
    text = "\n".join(blocks.get(name, unknown).rstrip("\n") + "\n" for name in UNITS)
    units = asked(SHOW, text).units()
    assert not units["xenlocal.service"].known and not units["libvirtd.service"].known
    assert units[XENDOMAINS] == Unit(True, True, True, masked=False, stops=True, stale=False)


RECORDED = ("xenlocal.service", "xenlocal-guests.service", XENDOMAINS, "ssh.service", "xen.service")


def test_the_states_of_a_unit() -> None:
    text = stock("systemctl-show.txt").split("\n\n")[2]
    text = text.replace("LoadState=loaded", "LoadState=masked") + "\nDropInPaths=/a/b.conf /c/d.conf\n"
    unit = asked(SHOW, "\n".join([text] * len(UNITS))).units()[XENDOMAINS]
    assert unit.masked and not unit.known and unit.drop_ins == ("/a/b.conf", "/c/d.conf")


def test_the_clock() -> None:
    assert asked(CLOCK, stock("timedatectl-show.txt")).clock() == Clock(
        synchronised=False, service=False, enabled=False
    )
    on = stock("timedatectl-show.txt").replace("=no", "=yes")
    assert asked(CLOCK, on).clock() == Clock(synchronised=True, service=True, enabled=True)


def test_lvm() -> None:
    found = asked(LVM, stock("lvmconfig.txt")).lvm()
    assert found == LvmSettings(("a|.*|",), ("a|.*|",), scan_lvs=False, devicesfile=False)
    text = stock("lvmconfig.txt").replace('global_filter=["a|.*|"]', 'global_filter=["r|^/dev/sdb|","a|.*|"]')
    assert asked(LVM, text.replace("scan_lvs=0", "scan_lvs=1")).lvm() == LvmSettings(
        ("r|^/dev/sdb|", "a|.*|"), ("a|.*|",), scan_lvs=True, devicesfile=False
    )
    for threshold, extends in (("99", True), ("100", False)):
        changed = text.replace("threshold=100", f"threshold={threshold}")
        assert asked(LVM, changed).lvm().extends_pools is extends


class Disks(TextFiles):
    def paths(self, paths: Any) -> Mapping[str, PathFacts]:
        return {path: PathFacts(PathKind.BLOCK, Size(0), path, (254, 16)) for path in paths if path == "/dev/vdb"}


def test_volume_groups() -> None:
    """One that LVM names and stat() does not find is left out: `[unknown]` of a group with a missing disk."""
    groups = asked(GROUPS, stock("vgs.json"), Disks({})).groups()
    assert list(groups) == ["vg0"] and groups["vg0"].size == Size(8581545984)
    assert {name: facts.device for name, facts in groups["vg0"].disks.items()} == {"/dev/vdb": (254, 16)}
    assert "/dev/vdc" in stock("vgs.json")


def test_versions() -> None:
    extra = {"major": "4\n", "minor": "17\n", "extra": ".7\n"}
    files = TextFiles({f"/sys/hypervisor/version/{part}": text for part, text in extra.items()})
    found = asked(PACKAGES, stock("dpkg-query.txt"), files).versions()
    assert found.running == "4.17.7"
    assert set(found.installed) == {
        "xen-hypervisor-4.17-amd64",
        "xen-hypervisor-common",
        "xen-utils-4.17",
        "xen-utils-common",
    }
    removed = "xen-utils-4.14 config-files 4.14.1\n"
    assert "xen-utils-4.14" not in asked(PACKAGES, removed, files).versions().installed
    with pytest.raises(XenlocalError, match="does not run on Xen"):
        asked(PACKAGES, "").versions()


def test_swap() -> None:
    text = stock("meminfo.txt")
    assert asked((), "", TextFiles({"/proc/meminfo": text})).swapped() == Size(0)
    text = "SwapTotal:  2048 kB\nSwapFree:     1024 kB\n"
    assert asked((), "", TextFiles({"/proc/meminfo": text})).swapped() == Size.mib(1)
    with pytest.raises(XenlocalError, match="swap"):
        asked((), "", TextFiles({"/proc/meminfo": "MemTotal: 1 kB\n"})).swapped()


def test_grub() -> None:
    assert asked((), "").grub() is None
    texts = {
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX="quiet"\nGRUB_CMDLINE_XEN_DEFAULT=loglvl=all # a word\n',
        "/etc/default/grub.d/xen.cfg": 'GRUB_CMDLINE_XEN="com1=115200"\n#GRUB_CMDLINE_XEN_DEFAULT="no"\n',
        "/etc/default/grub.d/zz.cfg": 'GRUB_CMDLINE_XEN_DEFAULT="${GRUB_CMDLINE_XEN_DEFAULT} dom0_mem=1G"\n',
        "/etc/default/grub.d/zz.cfg.dpkg-old": "GRUB_CMDLINE_XEN=never\n",
    }
    assert asked((), "", TextFiles(texts)).grub() == Grub(
        "com1=115200 loglvl=all dom0_mem=1G", "loglvl=all dom0_mem=1G"
    )
    assert parse_grub(stock("default-grub.txt")) == Grub("", "")
    with pytest.raises(XenlocalError, match="cannot understand"):
        parse_grub('GRUB_CMDLINE_XEN="open\n')


def test_processes() -> None:
    console = tuple(stock("xenconsoled.txt").split())
    maker = ("/usr/bin/perl", "-w", "/usr/bin/xen-create-image", "--hostname=x")
    editor = ("vim", "/etc/xen-tools/xen-tools.conf")

    def found(*lines: tuple[str, ...]) -> Processes:
        return asked((), "", TextFiles({}, lines)).processes()

    assert found(console, editor, ("",)) == Processes("")
    assert found((*console, "--log=guest"), maker) == Processes("guest", ("xen-create-image",))
    assert found() == Processes(None)


def test_the_option_of_xenconsoled() -> None:
    assert asked((), "", TextFiles({"/etc/default/xen": stock("default-xen.txt")})).console_option() == ""
    for line in ("XENCONSOLED_ARGS=--log=guest", 'XENCONSOLED_ARGS="--log=guest"  '):
        assert asked((), "", TextFiles({"/etc/default/xen": f"#XENCONSOLED_ARGS=x\n{line}\n"})).console_option() == (
            "--log=guest"
        )


def test_what_is_left_over() -> None:
    files = TextFiles(dict.fromkeys(("/var/lib/xen/save/web", "/var/lib/xen/save/.lock", "/etc/xen/auto/a.cfg"), ""))
    assert (asked((), "", files).saved(), asked((), "", files).auto()) == (("web",), ("a.cfg",))


def test_iscsi() -> None:
    at = "/etc/iscsi/nodes/iqn.x:1/192.0.2.1,3260,1"
    files = TextFiles(
        {f"{at}/default": "node.name = x\nnode.startup = automatic\n", f"{at}2/iface0": "node.name = x\n"}
    )
    assert asked((), "", files).iscsi() == (
        IscsiRecord("iqn.x:1", "192.0.2.1,3260,1", "automatic"),
        IscsiRecord("iqn.x:1", "192.0.2.1,3260,12", "manual"),
    )


def test_usb() -> None:
    at = "/sys/bus/usb/devices"
    ids = {"usb1": ("1d6b", "0002"), "1-2": ("0529", "0001"), "1-3": ("0529", "0001")}
    texts = {
        f"{at}/{name}/id{part}": f"{each}\n"
        for name, id in ids.items()
        for part, each in zip(("Vendor", "Product"), id, strict=True)
    }
    files = TextFiles({**texts, f"{at}/1-2:1.0/bInterfaceClass": "ff\n"})
    assert asked((), "", files).usb() == {"usb1", "1d6b:0002", "1-2", "1-3", "0529:0001"}
    assert asked((), "", TextFiles({})).usb() == frozenset()


def test_needrestart() -> None:
    shipped = (Path(__file__).parents[3] / "etc/needrestart/conf.d/xenlocal.conf").read_text()
    there = {"/etc/needrestart/needrestart.conf": ""}
    ours = "/etc/needrestart/conf.d/xenlocal.conf"
    answers = [asked((), "", TextFiles(texts)).needrestart() for texts in ({}, there, {**there, ours: shipped})]
    assert answers == [None, False, True]


METHODS: Mapping[tuple[str, ...], Callable[[Inspector], object]] = {
    XEN: Inspector.xen, PINNED: Inspector.pinned, SHOW: Inspector.units, CLOCK: Inspector.clock, LVM: Inspector.lvm,
    GROUPS: Inspector.groups,
}  # fmt: skip


@pytest.mark.parametrize("argv", METHODS, ids=" ".join)
@pytest.mark.parametrize(
    "text", ["", "nonsense\n", "a b c\nd\n\n\n=\n", "{}", '{"report": [{"vg": [{"vg_name": 7}]}]}']
)
def test_what_cannot_be_understood_is_an_error(argv: tuple[str, ...], text: str) -> None:
    with pytest.raises(CommandFailed):
        METHODS[argv](asked(argv, text))


@pytest.mark.parametrize(
    ("argv", "name", "cut"),
    [
        (XEN, "xl-info-n.txt", "\nnuma_info "),
        (XEN, "xl-info-n.txt", "\n  0:       0        0        0"),
        (CLOCK, "timedatectl-show.txt", "NTPSynchronized"),
        (LVM, "lvmconfig.txt", "=0\nuse_devicesfile"),
        (PINNED, "xl-vcpu-list.txt", " / all"),
        (GROUPS, "vgs.json", "vg_size"),
    ],
)
def test_an_answer_that_is_cut_off_is_an_error(argv: tuple[str, ...], name: str, cut: str) -> None:
    text = stock(name)
    assert cut in text
    with pytest.raises(CommandFailed):
        METHODS[argv](asked(argv, text[: text.index(cut)] + "\n"))


def test_packages_that_cannot_be_understood() -> None:
    with pytest.raises(CommandFailed):
        inspection.parse_packages("xen-utils-4.17 installed\n")
