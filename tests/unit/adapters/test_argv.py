"""The very commands of every action, and what the mapping refuses."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from xenlocal.adapters.argv import (
    Context,
    ask_through_xenstore,
    commands,
    config_file,
    end_look,
    take_look,
)
from xenlocal.adapters.bridging import arm, verify
from xenlocal.adapters.checked import unit_escape
from xenlocal.model import actions as act
from xenlocal.model import host_actions as host_act
from xenlocal.model.actions import Action
from xenlocal.model.desired import ImageFile, LogicalVolume
from xenlocal.model.diskwork import Preparation
from xenlocal.model.identity import Identity
from xenlocal.model.iscsi import Chap, Node, Portal
from xenlocal.model.names import trash_name
from xenlocal.model.probes import DefaultProbe
from xenlocal.model.trial import Trial
from xenlocal.model.units import Duration, Size

CONTEXT = Context("/run/xenlocal", systemd=True, unique="k1")
TRASH = trash_name("web-root", 1700000000)
UUID = "00000000-0000-4000-8000-000000000001"

IQN = "iqn.2012-10.example:bay1"
DISK = "format=raw, vdev=xvdb, access=rw, target=/dev/vg0/data"
NIC = "mac=00:16:3e:00:00:01, bridge=br0"
COPY = "/var/lib/xenlocal/kernels/vmlinuz-6.1.0-49-amd64.0a1b2c3d.00000000000000ff-80c0ffee"
TRIAL = Trial("web", UUID, "6.1", "new", "old")
EXPECTED: list[tuple[Action, list[str]]] = [
    (
        host_act.CreateVolume("vg0", "web-root", Size.mib(8), "dom0"),
        [
            "lvcreate --yes --wipesignatures y --addtag xenlocal --addtag xenlocal.host=dom0 --zero y --size 8388608b"
            " --name web-root vg0"
        ],
    ),
    (
        host_act.CreateVolume("vg0", "web-root", Size.mib(8), "dom0.example", "thin0"),
        [
            "lvcreate --yes --wipesignatures y --addtag xenlocal --addtag xenlocal.host=dom0.example --thinpool thin0"
            " --virtualsize 8388608b --name web-root vg0"
        ],
    ),
    (host_act.CreateVolume("vg0", "a", Size(513), "dom0"), [
        "lvcreate --yes --wipesignatures y --addtag xenlocal --addtag xenlocal.host=dom0 --zero y --size 1024b"
        " --name a vg0"]),
    (host_act.GrowVolume("vg0", "web-root", Size.mib(8)), ["lvextend --size 8388608b vg0/web-root"]),
    (host_act.GrowVolume("vg0", "a", Size(1024), resize=True),
        ["lvchange --addtag xenlocal-resize vg0/a", "lvextend --size 1024b vg0/a"]),
    (act.PrepareDisk("web", UUID, ImageFile("/a.img"), {}, Preparation.RESIZE),
        ["systemd-run --collect --quiet --slice=xenlocal.slice --unit=xenlocal-resize-web "
         "'--description=Growth of a file system of domU web by xenlocal' --service-type=exec "
         "--property=Before=xenlocal-guests.service --property=PrivateMounts=yes --property=TimeoutStopSec=5min "
         "--property=RuntimeMaxSec=infinity "
         "-- /usr/libexec/xenlocal/resize web /a.img"]),
    (host_act.ResizeFile("/a.img", Size.mib(1), "grow", work=Preparation.RESIZE), [shlex.join(("sh", "-ec",
        "truncate '--size=>0' /a.img.xenlocal-resize; truncate --no-create '--size=>1048576' /a.img; "
        "devices=$(losetup --noheadings --output NAME --associated /a.img); "
        'for device in $devices; do losetup --set-capacity "$device"; done'))]),
    (host_act.ActivateVolume("vg0", "web-root"),
        ["lvchange --activate ey vg0/web-root", "blockdev --getsize64 /dev/vg0/web-root"]),
    (host_act.DeactivateVolume("vg0", "web-root"), ["lvchange --activate n vg0/web-root"]),
    (
        host_act.RetireVolume("vg0", "web-root", TRASH),
        ["lvchange --activate n vg0/web-root", f"lvrename vg0 web-root {TRASH}"],
    ),
    (
        host_act.RestoreVolume("vg0", "web-root", TRASH),
        [
            f"lvchange --addtag xenlocal-kept vg0/{TRASH}",
            f"lvrename vg0 {TRASH} web-root",
            "lvchange --activate ey vg0/web-root",
        ],
    ),
    (host_act.UntagVolume("vg0", "a", ("xenlocal-kept", "x")), ["lvchange --deltag xenlocal-kept --deltag x vg0/a"]),
    (host_act.PurgeVolume("vg0", TRASH), [f"lvremove --yes vg0/{TRASH}"]),
    (host_act.ResizeFile("/srv/a.img", Size.mib(1)), ["truncate '--size=>1048576' /srv/a.img"]),
    (host_act.ResizeFile("/srv/a.img", Size.mib(1), full=True), [
        "truncate '--size=>0' /srv/a.img", "fallocate --keep-size --length 1048576 /srv/a.img",
        "truncate '--size=>1048576' /srv/a.img"]),
    (host_act.ResizeFile("/srv/a.img", Size.mib(1), "grow", full=True), [shlex.join(("sh", "-ec",
        "fallocate --keep-size --length 1048576 /srv/a.img; "
        "truncate --no-create '--size=>1048576' /srv/a.img; "
        "devices=$(losetup --noheadings --output NAME --associated /srv/a.img); "
        'for device in $devices; do losetup --set-capacity "$device"; done'))]),
    (host_act.ResizeFile("/srv/a b.img", Size.mib(1), "grow"), [shlex.join(("sh", "-ec",
        "truncate --no-create '--size=>1048576' '/srv/a b.img'; "
        "devices=$(losetup --noheadings --output NAME --associated '/srv/a b.img'); "
        'for device in $devices; do losetup --set-capacity "$device"; done'))]),
    (
        host_act.ChangeBridge("br0", create=True, add_ports=("eno1",), add_address="10.9.0.1/24", mtu=9000, stp=True,
                         vlan_filtering=False, up=True),
        [
            "sh -ec 'ip link add name br0 type bridge; ip link set dev br0 alias xenlocal'",
            "ip link set dev br0 type bridge stp_state 1 vlan_filtering 0",
            "ip link set dev eno1 master br0",
            "ip link set dev eno1 up",
            "ip link set dev br0 mtu 9000",
            "ip addr add 10.9.0.1/24 dev br0",
            "ip link set dev br0 up",
        ],
    ),
    (host_act.CreateVolume("vg0", "a", Size(512), "dom0", install=True), [
        "lvcreate --yes --wipesignatures y --addtag xenlocal --addtag xenlocal.host=dom0 --addtag xenlocal-install"
        " --zero y --size 512b --name a vg0"]),
    (host_act.ResizeFile("/srv/a b.img", Size.mib(1), work=Preparation.INSTALL), [
        "truncate '--size=>0' '/srv/a b.img.xenlocal-install'", "truncate '--size=>1048576' '/srv/a b.img'"]),
    (
        act.PrepareDisk("w+b", UUID, LogicalVolume("vg0", "web"), {"XENLOCAL_SUITE": "sid", "XENLOCAL_DNS": "a b"}),
        ["systemd-run --collect --quiet --slice=xenlocal.slice '--unit=xenlocal-install-w\\x2bb' "
         "'--description=Installation of domU w+b by xenlocal' --service-type=exec "
         "--property=Before=xenlocal-guests.service --property=PrivateMounts=yes "
         "--property=TimeoutStopSec=10s --property=RuntimeMaxSec=2h '--setenv=XENLOCAL_DNS=a b' "
         "--setenv=XENLOCAL_SUITE=sid -- /usr/libexec/xenlocal/install w+b /dev/vg0/web"],
    ),
    (act.WatchDisk("web", UUID, LogicalVolume("vg0", "web")), []),
    (
        host_act.ChangeBridge("br0", add_ports=("eno2",), gateway="192.0.2.1",
                         way_back=host_act.ChangeBridge("br0", remove_ports=("eno2",), remove_address="10.0.0.1/8")),
        [
            "systemd-run --on-active=60s --timer-property=AccuracySec=1s --quiet --collect "
            "--unit=xenlocal-way-back-br0 /bin/sh -c "
            "'ip addr del 10.0.0.1/8 dev br0; ip link set dev eno2 nomaster'",
            "ip link set dev eno2 master br0",
            "ip link set dev eno2 up",
            "ping -n -q -c 1 -w 5 192.0.2.1",
            "systemctl stop xenlocal-way-back-br0.timer",
        ],
    ),
    (host_act.LogIn("bay1", Node(IQN, Portal("192.0.2.10"))),
        [f"iscsiadm -m node -T {IQN} -p 192.0.2.10:3260 --login", "udevadm settle --timeout=10"]),
    (host_act.LogIn("bay1", Node(IQN, Portal("fd00::1", 3261)), Chap("dom0", "/etc/s"), known=False), [
        f"iscsiadm -m node -T {IQN} -p '[fd00::1]:3261' -o new",
        f"iscsiadm -m node -T {IQN} -p '[fd00::1]:3261' -o update -n node.startup -v manual"
        " -n node.session.initial_login_retry_max -v 1 -n 'node.conn[0].timeo.login_timeout' -v 15",
        f"iscsiadm -m node -T {IQN} -p '[fd00::1]:3261' --login",
        "udevadm settle --timeout=10",
    ]),
    (
        act.StartDomain("web", UUID, "x"),
        ["systemd-run --scope --collect --quiet --slice=xenlocal.slice --unit=xenlocal-web-k1 "
         "'--description=domU web, started by xenlocal' --property=Before=xenlocal-guests.service -- "
         "xl create -q /run/xenlocal/domains/web.cfg"],
    ),
    (host_act.ChangeBridge("fifteen-letters", up=True), ["ip link set dev fifteen-letters up"]),
    (act.AwaitReady("web", UUID, DefaultProbe(), Duration(1)), []),
    (act.CheckReady("web", UUID, DefaultProbe()), []),
    (act.StopDomain("web", UUID, 5, Duration(1)), ["xl shutdown -F 5"]),
    (act.NudgeDomain("web", UUID, 5), ["xl sysrq 5 s"]),
    (act.NudgeDomain("web", UUID, 5, hvm=True), ["xl trigger 5 power"]),
    (act.DestroyDomain("web", UUID, 5, "reap"), ["xl destroy 5"]),
    (act.SetLive("web", UUID, 5, "memory", "512"), ["xl mem-set 5 512m"]),
    (act.SetLive("web", UUID, 5, "vcpus", "3"), ["xl vcpu-set 5 3"]),
    (act.SetLive("web", UUID, 5, "cpus", "2-5,^3"), ["xl vcpu-pin 5 all '2-5,^3'"]),
    (act.SetLive("web", UUID, 5, "cpu_weight", "300"), ["xl sched-credit2 -d 5 -w 300"]),
    (act.SetLive("web", UUID, 5, "cpu_weight", "300", "credit"), ["xl sched-credit -d 5 -w 300"]),
    (act.StageConfig("web", UUID, 5, "x"), ["xl config-update 5 /run/xenlocal/domains/web.next.cfg"]),
    (act.AttachDevice("web", UUID, 5, "disk", DISK), [f"xl block-attach 5 '{DISK}'"]),
    (act.AttachDevice("web", UUID, 5, "vif", NIC), ["xl network-attach 5 mac=00:16:3e:00:00:01 bridge=br0"]),
    (act.DetachDevice("web", UUID, 5, "disk", DISK), ["xl block-detach 5 xvdb"]),
    (act.DetachDevice("web", UUID, 5, "vif", NIC), ["xl network-detach 5 00:16:3e:00:00:01"]),
    (host_act.DropKernel(COPY), [f"mv -T {COPY} {COPY}.old", f"rm -r {COPY}.old"]),
    (host_act.DropKernel(f"{COPY}.old"), [f"rm -r {COPY}.old"]),
    (host_act.DropKernel(f"{COPY}.new"), [f"rm -r {COPY}.new"]),
    (act.BeginTrial(TRIAL, LogicalVolume("vg0", "web"), ("/k",)), ["lvchange --addtag xenlocal-modules vg0/web"]),
    (act.BeginTrial(TRIAL, ImageFile("/a.img"), ("/k",)), ["truncate '--size=>0' /a.img.xenlocal-modules"]),
    (act.FailTrial(TRIAL), []),
    (act.EndTrial(TRIAL), []),
    (act.LockIdentity(Identity("web", UUID)), []),
    (act.UnlockIdentity(Identity("web", UUID)), []),
]  # fmt: skip


@pytest.mark.parametrize(("action", "lines"), EXPECTED, ids=lambda value: getattr(value, "verb", ""))
def test_commands(action: Action, lines: list[str]) -> None:
    assert [shlex.join(line) for line in commands(action, CONTEXT)] == lines


def test_every_action_has_an_expectation() -> None:
    assert {type(action) for action, _ in EXPECTED} == set(get_args(Action))


def test_without_systemd_xl_is_called_directly() -> None:
    context = Context("/run/xenlocal", systemd=False, unique="k1")
    start = act.StartDomain("web", UUID, "x")
    assert commands(start, context) == (("xl", "create", "-q", "/run/xenlocal/domains/web.cfg"),)


def test_without_systemd_nothing_is_installed() -> None:
    context = Context("/run/xenlocal", systemd=False, unique="k1")
    with pytest.raises(ValueError, match="without systemd"):
        commands(act.PrepareDisk("web", UUID, LogicalVolume("vg0", "web"), {}), context)


REFUSED: list[Action] = [
    act.BeginTrial(TRIAL, LogicalVolume("vg0", "-x"), ()),
    act.BeginTrial(TRIAL, ImageFile("a.img"), ()),
    act.PrepareDisk("-x", UUID, LogicalVolume("vg0", "web"), {}),
    act.PrepareDisk("web", UUID, ImageFile("a.img"), {}),
    act.PrepareDisk("web", UUID, ImageFile("/a.img"), {"XENLOCAL_DNS": "a\nPATH=/tmp"}),
    host_act.PurgeVolume("vg0", "web-root"),
    host_act.PurgeVolume("vg0", "xenlocal-trash.x.web-root"),
    host_act.PurgeVolume("vg0", "xenlocal-trash.1.a --force"),
    host_act.RetireVolume("vg0", "web-root", "other"),
    host_act.RestoreVolume("vg0", "web-root", "other"),
    host_act.CreateVolume("vg0", "-f", Size(512), "dom0"),
    host_act.CreateVolume("vg0", "a", Size(512), "(none)"),
    host_act.CreateVolume("vg0", "a", Size(512), "dom0", "-f"),
    host_act.DeactivateVolume("vg0", "--all"),
    host_act.CreateVolume("--config=x", "a", Size(512), "dom0"),
    host_act.GrowVolume("vg0", "a b", Size(512)),
    host_act.GrowVolume("vg0", "a/b", Size(512)),
    host_act.ActivateVolume("", "a"),
    host_act.UntagVolume("vg0", "a", ("-x",)),
    host_act.DropKernel("/var/lib/xenlocal/kernels/.."),
    host_act.DropKernel("/var/lib/xenlocal/kernels"),
    host_act.DropKernel("/boot/vmlinuz-6.1.0-49-amd64"),
    host_act.DropKernel(f"{COPY}/../../history.db"),
    host_act.DropKernel(COPY.replace("kernels", "console")),
    host_act.ResizeFile("relative", Size(1)),
    host_act.ResizeFile("--reference=/etc/passwd", Size(1)),
    host_act.ChangeBridge("br0", add_ports=("-x",)),
    host_act.ChangeBridge("br0; reboot", create=True),
    host_act.ChangeBridge("a-name-that-is-too-long", create=True),
    host_act.ChangeBridge("sixteen-letters1", up=True),
    host_act.ChangeBridge("br0", add_address="10.0.0.1/24 dev lo"),
    host_act.ChangeBridge("br0", mtu=1400, way_back=host_act.ChangeBridge("br0", mtu=1500)),
    host_act.ChangeBridge("br0", mtu=1400, way_back=host_act.ChangeBridge("br0", mtu=1500), gateway="-f"),
    act.StartDomain("../x", UUID, ""),
    act.StartDomain("-x", UUID, ""),
    act.StopDomain("web", UUID, 0, Duration(1)),
    act.DestroyDomain("Domain-0", UUID, 0, "reap"),
    act.NudgeDomain("web", UUID, 0),
    act.SetLive("web", UUID, 5, "memory", "1G"),
    act.SetLive("web", UUID, 5, "vcpus", "-1"),
    act.SetLive("web", UUID, 5, "cpus", "-f"),
    act.SetLive("web", UUID, 5, "cpu_weight", "3", "rtds"),
    act.SetLive("web", UUID, 5, "kernel", "/x"),
    act.AttachDevice("web", UUID, 0, "disk", DISK),
    act.AttachDevice("web", UUID, 5, "disk", DISK.replace("/dev", "dev")),
    act.AttachDevice("web", UUID, 5, "disk", DISK.replace("rw", "w!")),
    act.AttachDevice("web", UUID, 5, "disk", f"{DISK}, script=/x"),
    act.AttachDevice("web", UUID, 5, "vif", f"{NIC}, script=/x"),
    act.DetachDevice("web", UUID, 5, "disk", "vdev=--force"),
    act.DetachDevice("web", UUID, 0, "vif", NIC),
]


@pytest.mark.parametrize("action", REFUSED, ids=repr)
def test_refusals(action: Action) -> None:
    with pytest.raises(ValueError):
        commands(action, CONTEXT)


def test_the_first_domu_of_a_host_is_one_and_its_dom0_is_none() -> None:
    assert commands(act.DestroyDomain("web", UUID, 1, "reap"), CONTEXT) == (("xl", "destroy", "1"),)


def test_the_file_that_is_written_is_the_one_that_xl_reads() -> None:
    start, stage = act.StartDomain("web", UUID, "now"), act.StageConfig("web", UUID, 5, "later")
    for action in (start, stage):
        path, text = config_file(action, CONTEXT)
        assert commands(action, CONTEXT)[0][-1] == path and text == action.config
    assert config_file(start, CONTEXT)[0] != config_file(stage, CONTEXT)[0]  # what it was born with stays as it is


def test_who_it_is_is_read_before_it_is_asked_through_xenstore() -> None:
    read, write = ask_through_xenstore(act.StopDomain("web", UUID, domid=7, timeout=Duration(300)))
    assert shlex.join(read) == "xenstore-read /local/domain/7/vm"
    assert shlex.join(write) == "xenstore-write /local/domain/7/control/shutdown poweroff"


def test_no_way_back_is_armed_where_nothing_could_prove_the_change() -> None:
    action = host_act.ChangeBridge("br0", mtu=1400, way_back=host_act.ChangeBridge("br0", mtu=1500))
    with pytest.raises(ValueError, match="no gateway is known"):
        arm(action, systemd=True)


def test_a_way_back_needs_systemd() -> None:
    action = host_act.ChangeBridge(
        "br0", mtu=1400, way_back=host_act.ChangeBridge("br0", mtu=1500), gateway="192.0.2.1"
    )
    with pytest.raises(ValueError, match="timed way back"):
        commands(action, Context("/run/xenlocal", systemd=False, unique="k"))


def test_a_change_is_proved_where_there_is_a_way_back_and_never_by_nothing() -> None:
    assert verify(host_act.ChangeBridge("br0", mtu=1400, gateway="192.0.2.1")) == ()
    with pytest.raises(ValueError, match="'' is not an address"):
        verify(host_act.ChangeBridge("br0", mtu=1400, way_back=host_act.ChangeBridge("br0", mtu=1500)))


def test_unit_escape() -> None:
    assert unit_escape("a.b_c-d+e@é") == r"a.b_c-d\x2be\x40\xc3\xa9"


def test_truncate_creates_and_grows_and_never_shrinks(tmp_path: Path) -> None:
    image = tmp_path / "a.img"
    for size, expected in ((20, 20), (10, 20), (40, 40)):
        (line,) = commands(host_act.ResizeFile(str(image), Size(size)), CONTEXT)
        subprocess.run(line, check=True)
        assert image.stat().st_size == expected
    (line,) = commands(host_act.ResizeFile(str(tmp_path / "gone.img"), Size(5), "grow"), CONTEXT)
    subprocess.run(line, check=True)
    assert not (tmp_path / "gone.img").exists()


@pytest.mark.parametrize(
    ("room", "how"), [(Size.mib(256), "--size 268435456b"), (None, "--setactivationskip n")], ids=["thick", "thin"]
)
def test_a_volume_is_looked_at_by_a_snapshot_that_nobody_can_write_to(room: Size | None, how: str) -> None:
    """A thin one needs no room of its own, and is off unless that is asked for."""
    assert shlex.join(take_look("vg0", "web", room)) == (
        f"lvcreate --yes --snapshot --permission r --addtag xenlocal-look {how} --name xenlocal-look.web vg0/web"
    )
    assert shlex.join(end_look("vg0", "xenlocal-look.web")) == "lvremove --yes vg0/xenlocal-look.web"


def test_no_snapshot_is_removed_but_one_that_was_made_to_look_at_it() -> None:
    for wrong in ("web", "xenlocal-trash.1.web", "-xenlocal-look.web", "xenlocal-look.web/x"):
        with pytest.raises(ValueError, match="snapshot|name"):
            end_look("vg0", wrong)
