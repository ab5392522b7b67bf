"""Parts that come to a running guest and leave it, through all layers."""

from __future__ import annotations

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from tests.unit.engine.test_identity import notices
from xenlocal.simulator.runner import Fault

BR0 = "[bridge br0]\nexternal = yes"
ROOT = ("[[disk xvda]]", "volume = vg0/root", "size = 1G", "[[nic eth0]]", "bridge = br0")
DATA = ("[[disk xvdb]]", "volume = vg0/data", "size = 1G")
ETH1 = ("[[nic eth1]]", "bridge = br0", "mac = 00:16:3e:00:00:21")
OUT = "attached = no"


def running(*parts: str) -> Machine:
    machine = Machine(BR0, conf("web", *ROOT, *parts))
    Daemon(machine).run(30)
    assert machine.running == {"web": "running"}
    machine.dom0.trace.clear()
    return machine


def has(machine: Machine) -> tuple[list[str], list[str]]:
    (domain,) = machine.dom0.state.domains
    return [disk.vdev for disk in domain.disks], [nic.mac for nic in domain.nics]


def test_parts_that_are_added_are_attached_and_stay_over_a_reboot_of_the_guest() -> None:
    machine = running()
    machine.write(BR0, conf("web", *ROOT, *DATA, *ETH1))
    daemon = Daemon(machine).run(30)
    domid = machine.domid("web")
    assert has(machine)[0] == ["xvda", "xvdb"] and has(machine)[1][1] == "00:16:3e:00:00:21"
    assert [text for text in machine.changes() if text.startswith("xl ")] == [  # one after the other
        f"xl block-attach {domid} format=raw, vdev=xvdb, access=rw, target=/dev/vg0/data",
        f"xl network-attach {domid} mac=00:16:3e:00:00:21 bridge=br0",
    ]
    assert notices(daemon, "web") == ""
    machine.dom0.schedule(0, "end", domid, "reboot")
    machine.dom0.advance(machine.dom0.now + 20)
    machine.dom0.trace.clear()
    daemon = Daemon(machine).run(30)
    assert machine.domid("web") != domid and has(machine)[0] == ["xvda", "xvdb"] and machine.changes() == []
    Daemon(machine).serve("restart", "web")
    assert has(machine) == (["xvda", "xvdb"], has(machine)[1]) and len(has(machine)[1]) == 2


def test_a_cut_file_takes_nothing_and_one_word_does() -> None:
    machine = running(*DATA, *ETH1)
    machine.write(BR0, conf("web", *ROOT))
    daemon = Daemon(machine).run(30)
    assert has(machine)[0] == ["xvda", "xvdb"] and "xvdb is in no file any more" in notices(daemon, "web")
    machine.write(BR0, conf("web", *ROOT, *DATA, OUT, *ETH1, OUT))
    daemon = Daemon(machine).run(30)
    assert has(machine)[0] == ["xvda"] and len(has(machine)[1]) == 1 and notices(daemon, "web") == ""
    assert sorted(volume.lv for volume in machine.dom0.state.volumes) == ["data", "root"]
    machine.dom0.trace.clear()
    Daemon(machine).run(30)
    assert machine.changes() == []


def test_a_disk_goes_from_one_guest_to_the_other() -> None:
    other = ("[[disk xvda]]", "volume = vg0/other", "size = 1G")
    machine = Machine(BR0, conf("web", *ROOT, *DATA), conf("db", *other))
    Daemon(machine).run(30)
    machine.write(BR0, conf("web", *ROOT, *DATA, OUT), conf("db", *other, *DATA))
    Daemon(machine).run(30)
    found = {domain.name: [disk.vdev for disk in domain.disks] for domain in machine.dom0.state.domains}
    assert found == {"web": ["xvda"], "db": ["xvda", "xvdb"]}


def test_a_guest_that_uses_a_disk_keeps_it() -> None:
    machine = running(*DATA)
    machine.dom0.state.behaviour("web").mounted.append("xvdb")
    machine.write(BR0, conf("web", *ROOT, *DATA, OUT))
    Daemon(machine).run(60)
    assert has(machine)[0] == ["xvda", "xvdb"] and machine.running == {"web": "running"}
    deeds = [deed for deed in machine.history.deeds() if deed.verb == "detach"]
    assert deeds and all("libxl_device_disk_remove failed" in deed.message for deed in deeds)
    assert not [text for text in machine.changes() if "force" in text]
    machine.dom0.state.behaviour("web").mounted.clear()
    Daemon(machine).run(60)
    assert has(machine)[0] == ["xvda"]


def test_a_failed_attach_is_tried_again() -> None:
    machine = running()
    machine.write(BR0, conf("web", *ROOT, *DATA))
    Daemon(machine, fail("block-attach", fault=Fault(stderr="busy"), times=2)).run(120)
    assert has(machine)[0] == ["xvda", "xvdb"]
