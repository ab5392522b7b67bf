"""A dom0 that follows its files: scenarios 2 and 3 of the proof. Order is read from the guests' own journals."""

from __future__ import annotations

import pytest
from lab import NETWORK, domain, reload, row, status, volume, wait_all_ready, wait_off, whats, when, write

from rig.guest import bridge_ports, domids
from rig.machine import Machine
from rig.wait import wait_for

pytestmark = pytest.mark.every_suite


@pytest.fixture
def host(installed: Machine) -> Machine:
    installed.make_vg()
    return installed


def four_files(m: Machine) -> None:
    write(
        m,
        net=NETWORK + "[bridge lab1]\nports = none\n",
        nas=domain(
            "nas",
            nics=("lab0",),
            options={"ip": "192.0.2.11/24", "listen": "2049:5"},
            parts="[[ready]]\ntcp = 192.0.2.11:2049\n",
        ),
        db=domain("db", keys="needs = nas\ncritical = yes", nics=("lab0",)),
        web=domain("web", keys="after = db\ntype = pvh", disks=("32M", "48M"), nics=("lab0", "lab1")),
    )


def test_four_files_become_a_host(host: Machine) -> None:
    four_files(host)
    result = reload(host)
    assert result.rc == 0, result.err
    wait_all_ready(host, "nas", "db", "web")

    ids = domids(host)
    assert bridge_ports(host, "lab0") == {f"vif{ids[name]}.0" for name in ("nas", "db", "web")}
    assert bridge_ports(host, "lab1") == {f"vif{ids['web']}.1"}
    sizes = host.out("lvs --noheadings --nosuffix --units m -o lv_name,lv_size,lv_tags vg0").split()
    wanted = {"db-0": "32.00", "nas-0": "32.00", "web-0": "32.00", "web-1": "48.00"}
    assert sizes == [word for name, size in wanted.items() for word in (name, size, "xenlocal,xenlocal.host=dom0")]
    config = host.out("cat /run/xenlocal/domains/web.cfg")
    for number in (0, 1):
        path = f"/local/domain/0/backend/vif/{ids['web']}/{number}"
        mac = host.out(f"xenstore-read {path}/mac").strip()
        assert mac.startswith("00:16:3e:") and f"mac={mac}, bridge=lab{number}" in config
    assert host.out("stat -c %a /run/xenlocal/domains/web.cfg").strip() == "600"
    assert when(host, "nas", "ready") < when(host, "db", "started") < when(host, "web", "started")
    assert status(host)["host"]["pending_steps"] == []
    scopes = host.out("systemctl list-units --no-legend --plain 'xenlocal-*.scope' | wc -l").strip()
    assert scopes == "3"


IMAGE = "  [[disk xvdb]]\n  file = /srv/new.img\n  size = {}\n"


@pytest.mark.limit(900)
def test_edits(host: Machine) -> None:
    four_files(host)
    assert reload(host).rc == 0
    wait_all_ready(host, "nas", "db", "web")
    before = domids(host)

    # grow is seen inside the running guest; a shrink in the same edit is refused and reported, the rest is applied
    write(
        host,
        web=domain("web", keys="after = db\ntype = pvh", disks=("32M", "64M"), nics=("lab0", "lab1")),
        db=domain("db", keys="needs = nas\ncritical = yes", disks=("16M",), nics=("lab0",)),
        new=domain("new", parts=IMAGE.format("32M")),
    )
    assert reload(host).rc == 0
    wait_all_ready(host, "new")
    wait_for(lambda: f"size xvdb={64 << 20}" in whats(host, "web"), 60, "web to see its second disk grown", 0.5)
    assert "never shrunk" in volume(host, "vg0/db-0")["notices"][0]
    assert host.out("lvs --noheadings --nosuffix --units m -o lv_size vg0/db-0").strip() == "32.00"
    assert {name: domids(host)[name] for name in before} == before

    # a syntax error and a truncated file change nothing, and reload fails naming file and line
    host.put("/etc/xenlocal/bad.conf", "[domain oops]\nmemory = 20\n")
    result = reload(host)
    assert result.rc != 0 and "bad.conf:2" in host.out("journalctl -u xenlocal -n 20 --no-pager -o cat")
    assert host.run("xenlocal check", check=False).rc == 4
    host.run("rm /etc/xenlocal/bad.conf")
    # (cut off within a value; a cut between two lines still reads, and stops or removes nothing either)
    host.run("sed '/size = 64M/,$d' /etc/xenlocal/web.conf > /run/cut && printf '  size = 6' >> /run/cut")
    host.run("cat /run/cut > /etc/xenlocal/web.conf")
    result = reload(host)
    assert result.rc != 0 and "web.conf:" in host.out("journalctl -u xenlocal -n 20 --no-pager -o cat")
    assert {name: domids(host)[name] for name in before} == before

    # a vanished file leaves its domU running, orphaned
    host.run("rm /etc/xenlocal/web.conf")
    assert reload(host).rc == 0
    wait_for(lambda: row(host, "web")["desired"] == "orphaned", 60, "web orphaned", 5)
    assert domids(host)["web"] == before["web"]

    # an image file grows as a volume does
    write(host, new=domain("new", parts=IMAGE.format("64M")))
    assert reload(host).rc == 0
    wait_for(lambda: f"size xvdb={64 << 20}" in whats(host, "new"), 60, "new to see its image file grown", 0.5)

    # stopped stops cleanly; absent retires the LV; the trash gives it back with its data
    write(host, new=domain("new", keys="state = stopped"))
    assert reload(host).rc == 0
    wait_off(host, "new")
    assert whats(host, "new")[-2:] == ["asked poweroff", "stopped"]
    write(host, new=domain("new", keys="state = absent"))
    assert reload(host).rc == 0
    host.wait_until("lvs --noheadings -o lv_name vg0 | grep -q 'xenlocal-trash.*new-0'", 60)
    host.run("! lvs vg0/new-0")
    name = host.out("xenlocal trash list | awk '/new-0/ {print $1}'").strip()
    host.run(f"xenlocal trash restore {name}", 120)
    assert whats(host, "new")[-2:] == ["asked poweroff", "stopped"]
    write(host, new=domain("new"))
    assert reload(host).rc == 0
    wait_all_ready(host, "new")
    assert "started life=2" in whats(host, "new")
    assert "stopped" in whats(host, "new")
