"""Disks and nics that come to a running guest and leave it again."""

from __future__ import annotations

import pytest
from lab import NETWORK, domain, reload, wait_all_ready, wait_notice, write

from rig.guest import bridge_ports, domids
from rig.machine import Machine
from rig.wait import wait_for

pytestmark = [pytest.mark.long, pytest.mark.every_suite]
SECOND = "  [[disk xvdb]]\n  volume = vg0/second\n  size = 16M\n"
NIC = "  [[nic eth1]]\n  bridge = lab1\n  mac = 00:16:3e:00:00:21\n"
BRIDGES = NETWORK + "[bridge lab1]\nports = none\n"
OUT = "  attached = no\n"


@pytest.fixture
def host(installed: Machine) -> Machine:
    installed.make_vg()
    return installed


def disks(m: Machine, domid: int) -> dict[str, str]:
    """Names of a guest's disks, and the state of their frontends (4: the guest has it)."""
    base = f"/local/domain/0/backend/vbd/{domid}"
    found = {}
    for devid in m.out(f"xenstore-list {base} || true").split():  # none, or half of one, while it is being made
        front, name = (m.out(f"xenstore-read {base}/{devid}/{key} || true").strip() for key in ("frontend", "dev"))
        found[name] = m.out(f"xenstore-read {front}/state || true").strip()
    return found


def guest(parts: str = "", kind: str = "pv") -> str:
    return domain("web", keys=f"type = {kind}", nics=("lab0",), parts=parts)


@pytest.mark.limit(1500)
@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_parts_come_and_go(host: Machine, kind: str) -> None:
    write(host, net=BRIDGES, web=guest(kind=kind), other=domain("other"))
    assert reload(host).rc == 0
    wait_all_ready(host, "web", "other")
    domid = domids(host)["web"]
    before = domids(host)
    assert disks(host, domid) == {"xvda": "4"}

    write(host, web=guest(NIC + SECOND, kind))
    assert reload(host).rc == 0
    wait_for(lambda: disks(host, domid) == {"xvda": "4", "xvdb": "4"}, 240, "the guest to have its second disk", 3)
    wait_for(lambda: bridge_ports(host, "lab1") == {f"vif{domid}.1"}, 240, "the guest to have its second nic", 3)
    host.run("xenlocal apply", 300)
    assert "xl " not in host.out("xenlocal plan --sh", 120), "nothing is left to do"

    # rule 1 holds for a disk that is added as for a start
    write(host, other=domain("other", parts=SECOND.replace("vg0/second", "vg0/web-0").replace("  size = 16M\n", "")))
    refused = reload(host)
    assert refused.rc != 0, "two writers are no valid configuration at all"
    write(host, other=domain("other"))

    # a section that vanished takes nothing from the guest
    write(host, web=guest(NIC, kind))
    assert reload(host).rc == 0
    wait_notice(host, "web", "xvdb is in no file any more and stays attached")
    assert disks(host, domid) == {"xvda": "4", "xvdb": "4"}

    # told so, it is taken from the guest, and may be given to another one
    write(host, web=guest(NIC + OUT + SECOND + OUT, kind), other=domain("other", parts=SECOND))
    assert reload(host).rc == 0
    wait_for(lambda: disks(host, domid) == {"xvda": "4"}, 240, "the disk to be gone", 3)
    wait_for(lambda: bridge_ports(host, "lab1") == set(), 240, "the nic to be gone", 3)
    wait_for(lambda: disks(host, before["other"]) == {"xvda": "4", "xvdb": "4"}, 240, "the other one to have it", 3)
    assert domids(host) == before

    # what was attached comes back with its own reboot
    host.run(f"xl reboot {before['other']}", 60)
    wait_for(lambda: domids(host).get("other", 0) > before["other"], 120, "other to be back", 2)
    wait_for(lambda: disks(host, domids(host)["other"]) == {"xvda": "4", "xvdb": "4"}, 120, "with its disk", 3)
    host.run("xenlocal apply", 300)
    assert "xl " not in host.out("xenlocal plan --sh", 120), "nothing is left to do"
