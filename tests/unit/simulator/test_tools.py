"""LVM, ip and the small tools on the simulated host."""

from __future__ import annotations

import json

import pytest

from tests.unit.simulator.support import config, host, run, shell
from xenlocal.model.errors import CommandFailed, ToolMissing
from xenlocal.model.observed import PathKind
from xenlocal.simulator import xlcfg
from xenlocal.simulator.files import SimFiles
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Path

CREATE = "lvcreate --yes --wipesignatures y --zero y --addtag xenlocal --size {} --name {} vg0"


def test_a_volume_is_made_tagged_grown_renamed_and_removed() -> None:
    dom0 = host()
    run(dom0, CREATE.format("1073741825b", "a"))
    volume = dom0.state.volumes[0]
    assert (volume.size, volume.tags, volume.active) == ((1 << 30) + (4 << 20), ["xenlocal"], True)
    run(dom0, "lvextend --size 2147483648b vg0/a")
    run(dom0, "lvchange --addtag xenlocal-kept vg0/a")
    run(dom0, "lvchange --deltag xenlocal vg0/a")
    run(dom0, "lvrename vg0 a b")
    assert (volume.lv, volume.size, volume.tags) == ("b", 2 << 30, ["xenlocal-kept"])
    assert SimFiles(dom0).paths(["/dev/vg0/b", "/dev/vg0/a"])["/dev/vg0/b"].device == (253, 0)
    run(dom0, "lvremove --yes vg0/b")
    assert dom0.state.volumes == []


def test_a_directory_is_renamed_and_removed_with_what_is_in_it() -> None:
    dom0 = host()
    dom0.state.paths |= {f"/k/{each}": Path() for each in ("a/kernel", "a/ramdisk", "ab/kernel", "c/kernel")}
    run(dom0, "mv -T /k/a /k/b")
    assert SimFiles(dom0).names("/k") == ("ab", "b", "c") and SimFiles(dom0).names("/k/b") == ("kernel", "ramdisk")
    run(dom0, "rm -r /k/b")
    assert sorted(dom0.state.paths) == ["/k/ab/kernel", "/k/c/kernel"]
    for line, said in (
        ("mv -T /k/a /k/b", "cannot stat '/k/a': No such file"),
        ("mv -T /k/ab /k/c", "cannot move '/k/ab' to '/k/c': Directory not empty"),
        ("rm -r /k/a", "cannot remove '/k/a': No such file"),
    ):
        with pytest.raises(CommandFailed, match=said) as caught:
            run(dom0, line)
        assert caught.value.status == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (CREATE.format("1T", "big"), "insufficient free space"),
        (CREATE.format("4M", "web-root"), "already exists"),
        ("lvextend --size 4M vg0/web-root", "not larger than existing size"),
        ("lvextend --size 1073741824b vg0/web-root", "matches existing size"),
        ("lvextend --size 1T vg0/web-root", "insufficient free space"),
        ("lvrename vg0 none other", "not found"),
        ("lvrename vg0 web-root db-root", "already exists"),
        ("lvchange --activate y vg1/x", 'Volume group "vg1" not found'),
        ("lvremove --yes vg0/none", "Failed to find logical volume"),
    ],
)
def test_what_lvm_refuses_exits_5(line: str, said: str) -> None:
    dom0 = host("web", "db")
    with pytest.raises(CommandFailed, match=said) as caught:
        run(dom0, line)
    assert caught.value.status == 5


def test_an_inactive_volume_has_no_device_until_it_is_activated() -> None:
    dom0 = host("web")
    dom0.state.volumes[0].active = False
    files = SimFiles(dom0)
    assert files.paths(["/dev/vg0/web-root"]) == {}
    run(dom0, "lvchange --activate y vg0/web-root")
    assert files.paths(["/dev/vg0/web-root"])["/dev/vg0/web-root"].kind is PathKind.BLOCK


def test_a_bridge_is_made_and_changed() -> None:
    dom0 = host()
    shell(dom0).run(["sh", "-ec", "ip link add name br1 type bridge; ip link set dev br1 alias xenlocal"])
    run(dom0, "ip link set dev br1 type bridge stp_state 1 vlan_filtering 1")
    run(dom0, "ip link set dev eno1 master br1")
    run(dom0, "ip link set dev br1 mtu 9000 up")
    run(dom0, "ip addr add 10.9.0.1/24 dev br1")
    shown = {link["ifname"]: link for link in json.loads(run(dom0, "ip -j -d addr show"))}
    assert shown["eno1"]["master"] == "br1"
    assert shown["br1"]["ifalias"] == "xenlocal" and shown["br1"]["mtu"] == 9000
    assert shown["br1"]["linkinfo"]["info_data"]["vlan_filtering"] == 1
    assert shown["br1"]["addr_info"][0]["local"] == "10.9.0.1"
    assert json.loads(run(dom0, "ip -j route show default")) == [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eno1", "flags": []}
    ]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("ip link add name br0 type bridge", 2),
        ("ip link set dev none up", 1),
        ("ip link set dev eno1 master none", 255),
        ("ip link set dev br0 master br0", 2),
        ("ip addr add 192.0.2.10/24 dev eno1", 2),
        ("ip addr del 10.0.0.1/8 dev eno1", 2),
    ],
)
def test_what_ip_refuses(line: str, status: int) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(host(), line)
    assert caught.value.status == status


def test_the_timed_way_back_comes_unless_it_is_disarmed() -> None:
    for disarm in (False, True):
        dom0 = host()
        run(dom0, "ping -n -q -c 1 -w 5 192.0.2.1")
        back = "ip link set dev eno1 nomaster; ip link set dev eno1 up"
        arm = ["systemd-run", "--on-active=60s", "--timer-property=AccuracySec=1s", "--quiet", "--collect"]
        shell(dom0).run([*arm, "--unit=back", "/bin/sh", "-c", back])
        run(dom0, "ip link set dev eno1 master br0")
        before = dom0.now
        with pytest.raises(CommandFailed):
            run(dom0, "ping -n -q -c 1 -w 5 192.0.2.1")
        assert dom0.now - before == 5
        if disarm:
            run(dom0, "systemctl stop back.timer")
        dom0.advance(100)
        link = dom0.state.link("eno1")
        assert link is not None and link.master == ("br0" if disarm else None)


def test_an_image_file_grows_and_never_shrinks() -> None:
    dom0 = host()
    for size in (100, 50, 200):
        run(dom0, f"truncate --size=>{size} /srv/a.img")
    assert SimFiles(dom0).paths(["/srv/a.img"])["/srv/a.img"].size.bytes == 200
    run(dom0, "truncate --no-create --size=>5 /srv/none.img")
    assert SimFiles(dom0).paths(["/srv/none.img", "/boot/vmlinuz-6.1"]).keys() == {"/boot/vmlinuz-6.1"}


def test_a_running_guest_sees_a_grown_file_when_its_loop_device_is_told() -> None:
    dom0 = host()
    for name in ("a", "b"):
        dom0.state.paths[f"/srv/{name}.img"] = Path("file", 100)
        disk = f"format=raw,vdev=xvda,access=rw,target=/srv/{name}.img"
        dom0.state.texts[f"/{name}.cfg"] = config(name, uuid="", disk=[disk], vif=[])
        run(dom0, f"xl create -q /{name}.cfg")
    first, second = (domain.disks[0] for domain in dom0.state.domains)
    run(dom0, "truncate --size=>200 /srv/b.img")
    find = "losetup --noheadings --output NAME --associated /srv/{}.img"
    assert [run(dom0, find.format(name)) for name in ("a", "b", "none")] == ["/dev/loop0\n", "/dev/loop1\n", ""]
    assert second.capacity == 100
    loop = 'for device in $devices; do losetup --set-capacity "$device"; done'
    shell(dom0).run(["sh", "-ec", f"truncate '--size=>250' /srv/b.img; devices=$({find.format('b')}); {loop}"])
    assert (first.capacity, second.capacity) == (100, 250)
    with pytest.raises(CommandFailed, match="/dev/loop7: set capacity failed: No such device or address"):
        run(dom0, "losetup --set-capacity /dev/loop7")
    with pytest.raises(CommandFailed):
        shell(dom0).run(["sh", "-ec", f"devices=$(losetup --set-capacity /dev/loop7); {loop}"])


def test_faults_strike_the_command_they_are_asked_for() -> None:
    dom0 = host("web")
    struck = {
        0: Fault(5, "no"), 1: Fault(None), 2: Fault(missing=True), 3: Fault(0, rewrite=lambda text: text[:10]),
        4: Fault(1, "late", effect=True), 5: Fault(-9, effect=False),
    }  # fmt: skip
    runner = shell(dom0, lambda argv, number: struck.get(number))
    with pytest.raises(CommandFailed, match=r"exit 5.*no"):
        runner.run(["xl", "list"])
    before = dom0.now
    with pytest.raises(CommandFailed, match="timed out"):
        runner.run(["xl", "list"], timeout=30)
    assert dom0.now == before + 30
    with pytest.raises(ToolMissing):
        runner.run(["xl", "list"])
    assert runner.run(["xl", "list"]) == "Name      "
    with pytest.raises(CommandFailed, match="late"):
        runner.run(["lvrename", "vg0", "web-root", "x"])
    assert dom0.state.volumes[0].lv == "x"
    with pytest.raises(CommandFailed):
        runner.run(["lvrename", "vg0", "x", "y"])
    assert dom0.state.volumes[0].lv == "x"
    assert runner.run(["xl", "list"]).startswith("Name")


def test_a_command_that_takes_longer_than_its_timeout_has_no_effect() -> None:
    dom0 = host("web")
    with pytest.raises(CommandFailed, match="timed out"):
        shell(dom0).run(["lvrename", "vg0", "web-root", "x"], timeout=0.1)
    assert dom0.state.volumes[0].lv == "web-root" and dom0.now == 0.1


def test_xl_killed_in_the_middle_leaves_a_paused_domain_behind() -> None:
    dom0 = host("web")
    for timeout, left in ((0.3, 0), (1.0, 1)):
        with pytest.raises(CommandFailed, match="timed out"):
            shell(dom0).run(["xl", "create", "-q", "/etc/xen/web.cfg"], timeout=timeout)
        assert len(dom0.state.domains) == left
    assert dom0.now == 1.3
    dom0.advance(100)
    assert "--p---" in run(dom0, "xl list") and dom0.state.domains[0].monitor is False
    with pytest.raises(CommandFailed, match="timed out"):
        shell(dom0).run(["xl", "destroy", "1"], timeout=0.1)
    run(dom0, "xl destroy 1")
    assert dom0.state.domains == []


def test_accepted_exit_codes() -> None:
    assert shell(host()).run(["tail", "-n", "20", "/none"], ok=frozenset({0, 1})) == ""


def test_xl_cfg_is_read_as_xl_reads_it() -> None:
    text = "# c\nname='a\\'b'; memory = 0x10\nmemory=32 # again\nvif = [\n 'x',\n \"y\",\n]\nempty = []\n"
    assert xlcfg.parse(text, "f") == {"name": "a'b", "memory": 32, "vif": ["x", "y"], "empty": []}
    for bad in ("name web\n", 'name = "a\n', "a = [1\n", "a = 1 2\n", "= 1\n", "a = b\n", "a = 'x' y = 1\n", "a=[1 2]"):
        with pytest.raises(xlcfg.BadConfig):
            xlcfg.parse(bad, "f")
    assert [xlcfg.devid(name) for name in ("xvda", "xvdb", "xvda1", "sda", "hda", "xvdq")] == [
        51712, 51728, 51713, 2048, 768, 268439552,
    ]  # fmt: skip
