"""Thin volumes, volume groups that several dom0s see, and disks that two guests share, on a real LVM."""

from __future__ import annotations

import pytest
from lab import domain, reload, row, volume, wait_all_ready, wait_notice, wait_off, whats, write

from rig.guest import domids
from rig.machine import Machine
from rig.wait import wait_for

pytestmark = [pytest.mark.long]
THIN = "  [[disk xvdb]]\n  volume = vg0/thin\n  size = {}\n  pool = thin0\n"
FULL = "  [[disk xvdc]]\n  file = /srv/full.img\n  size = 8M\n  allocate = full\n"
SHARED = "  [[disk xvdb]]\n  volume = vg0/both\n  size = 16M\n  mode = w!\n"
RETAG = "lvchange --deltag xenlocal.host=elsewhere --addtag xenlocal.host=dom0 vg0/web-0"
LOCKING = (
    "sed -i 's/.*use_lvmlockd = .*/\tuse_lvmlockd = 1/' /etc/lvm/lvm.conf;"
    "sed -i 's/^local {/local {\\n\\thost_id = 1/' /etc/lvm/lvmlocal.conf;"
    "pgrep -x sanlock || sanlock daemon -w 0; systemctl start lvmlockd"
)
DISK = "/dev/mapper/vg1-lvmlock"
# What lvmlockd of a second host would do, by sanlock alone: a lease of that host, written to the disk.
SECOND_HOST = (
    f"sanlock direct acquire_id -s lvm_vg1:2:{DISK}:0;"
    " lease=lvm_vg1:$(lvs --noheadings -o lv_uuid vg1/db | tr -d ' ')"
    f":{DISK}:$(lvs --noheadings -o lv_lockargs vg1/db | tr -d ' ' | sed 's/.*://');"
)


@pytest.fixture
def host(installed: Machine) -> Machine:
    installed.make_vg()
    return installed


def lvs(m: Machine, field: str, lv: str) -> str:
    return m.out(f"lvs --noheadings --nosuffix --units m -o {field} {lv}").strip()


def settled(m: Machine) -> None:
    m.run("xenlocal apply", 300, check=False)
    assert m.run("xenlocal plan --detailed-exitcode", 120, check=False).rc == 0, "nothing is left to do"


@pytest.mark.every_suite
@pytest.mark.limit(1200)
def test_a_thin_volume_is_made_grown_and_used(host: Machine) -> None:
    write(host, web=domain("web", parts=THIN.format("64M") + FULL))
    assert reload(host).rc == 0
    missing = wait_notice(host, "web", "there is no thin pool vg0/thin0")
    host.run(missing.partition(" type")[2].partition(": ")[2].replace("100G", "32M") + " --yes", 60)
    wait_all_ready(host, "web")
    assert (lvs(host, "pool_lv", "vg0/thin"), lvs(host, "lv_size", "vg0/thin")) == ("thin0", "64.00")
    assert lvs(host, "lv_tags", "vg0/thin") == "xenlocal,xenlocal.host=dom0"
    assert host.out("stat -c '%s %b' /srv/full.img").split() == [str(8 << 20), str((8 << 20) // 512)]

    write(host, web=domain("web", parts=THIN.format("96M") + FULL.replace("8M", "12M")))
    assert reload(host).rc == 0
    wait_for(lambda: f"size xvdb={96 << 20}" in whats(host, "web"), 120, "web to see its thin disk grown", 1)
    wait_for(lambda: f"size xvdc={12 << 20}" in whats(host, "web"), 120, "web to see its file grown", 1)
    assert host.out("stat -c %b /srv/full.img").strip() == str((12 << 20) // 512)
    settled(host)

    # a pool that is full, by a volume that is none of ours
    host.run("lvcreate --yes -V 32M --thinpool thin0 --name other vg0")
    host.run("dd if=/dev/zero of=/dev/vg0/other bs=64k count=500 oflag=direct", 60)  # 97.7 % of the pool
    host.run("xenlocal apply", 120, check=False)
    assert "more than 80 % full" in volume(host, "vg0/thin0")["notices"][0]
    refused = host.run("xenlocal restart web", 120, check=False)
    assert refused.rc != 0 and "its thin pool vg0/thin0 is full" in refused.out + refused.err
    assert "web" in domids(host), "and it goes on"


@pytest.mark.limit(1200)
def test_a_volume_of_another_dom0_is_left_alone_until_it_is_taken_over(host: Machine) -> None:
    host.run("lvcreate --yes --addtag xenlocal --addtag xenlocal.host=elsewhere --size 32M --name web-0 vg0")
    write(host, web=domain("web"), db=domain("db"))
    assert reload(host).rc == 0
    assert RETAG in wait_notice(host, "web", "belongs to the dom0 elsewhere")
    assert "nothing keeps two hosts from changing it at once" in wait_notice(host, "db", "also in use by the dom0")
    assert host.run("lvs vg0/db-0", check=False).rc != 0 and not domids(host).keys() & {"web", "db"}
    host.run(RETAG)
    wait_all_ready(host, "web", "db")
    settled(host)


@pytest.mark.limit(1500)
def test_a_shared_group_is_refused_and_under_lvmlockd_exclusive(installed: Machine) -> None:
    host = installed
    host.run("vgcreate -q vg0 /dev/vdb")
    host.run(LOCKING)
    host.run("vgcreate --yes --shared vg1 /dev/vdc", 300)
    host.run("sed -i 's/use_lvmlockd = 1/use_lvmlockd = 0/' /etc/lvm/lvm.conf")
    db = domain("db", disks=()) + "  [[disk xvda]]\n  volume = vg1/db\n  size = 32M\n"
    write(host, db=db)
    assert reload(host).rc == 0
    assert "use_lvmlockd = 1" in wait_notice(host, "db", "volume group vg1 does not exist or is not visible")
    assert "db" not in domids(host)

    host.run("sed -i 's/use_lvmlockd = 0/use_lvmlockd = 1/' /etc/lvm/lvm.conf")
    wait_all_ready(host, "db")
    assert lvs(host, "lv_active_exclusively", "vg1/db") == "active exclusively"
    assert "LK LV ex" in host.out("lvmlockctl -i")

    # off for good: another host may have it
    write(host, db=db.replace("memory", "state = stopped\nmemory", 1))
    assert reload(host).rc == 0
    wait_off(host, "db")
    wait_for(lambda: "LK LV un" in host.out("lvmlockctl -i"), 120, "the volume to be let go of", 3)
    host.run(SECOND_HOST + "sanlock direct acquire -r $lease -i 2 -g 1", 120)
    write(host, db=db)
    reload(host)
    assert "lvchange -an vg1/db" in wait_notice(host, "db", "another host has vg1/db active")
    assert "db" not in domids(host)
    host.run(SECOND_HOST.partition(";")[2] + "sanlock direct release -r $lease -i 2 -g 1", 120)
    wait_all_ready(host, "db")
    assert lvs(host, "lv_active_exclusively", "vg1/db") == "active exclusively"

    # without its locks nothing in it is changed
    host.run("xenlocal stop db", 240)
    host.run("lvchange -an vg1/db; vgchange --lockstop vg1", 120)
    host.run("xenlocal start db", 240, check=False)
    assert "vgchange --lockstart vg1" in wait_notice(host, "db", "the locks of vg1 are not started")


@pytest.mark.limit(1200)
def test_two_guests_share_a_disk_where_both_say_so(host: Machine) -> None:
    write(host, a=domain("a", parts=SHARED), b=domain("b", parts=SHARED.replace("  mode = w!\n", "")))
    one_sided = reload(host)
    assert one_sided.rc != 0 and "mode = w! is for all that share it" in host.run("xenlocal check", check=False).out
    write(host, b=domain("b", parts=SHARED))
    assert reload(host).rc == 0
    wait_all_ready(host, "a", "b")
    shares = host.out("xenstore-ls -f /local/domain/0/backend/qdisk").splitlines()
    assert sum(line.endswith('params = "aio:/dev/vg0/both"') for line in shares) == 2
    assert sum(line.endswith('mode = "w"') for line in shares) == 2
    settled(host)

    before = domids(host)
    host.run("xenlocal restart a", 300)
    wait_all_ready(host, "a", "b")
    after = domids(host)
    assert after["b"] == before["b"] and after["a"] > before["a"]
    # a third one that does not share it gets nothing, though it comes by another name
    write(host, c=domain("c", parts="  [[disk xvdb]]\n  device = /dev/disk/by-id/dm-name-vg0-both\n"))
    assert reload(host).rc == 0
    assert "is held by domain/" in wait_notice(host, "c", "dm-name-vg0-both")
    assert row(host, "c")["observed"] == "off"
