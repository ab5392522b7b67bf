"""A host seen through the adapters, seeded into a second one and seen again: the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf
from tests.unit.rehearsal.support import scene_of
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.trials import Trials
from xenlocal.engine.observe import look_at_all
from xenlocal.model.errors import XenlocalError
from xenlocal.model.observed import Table, Unavailable
from xenlocal.planner.learned import Learned
from xenlocal.simulator import guests
from xenlocal.simulator.files import SimFiles
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.iscsi import IscsiTarget, Lun
from xenlocal.simulator.runner import SimRunner
from xenlocal.simulator.seed import seed
from xenlocal.simulator.state import Group, Link, Path, Route, Volume

IQN = "iqn.2012-10.example:bay1"
BAY = f"/dev/disk/by-path/ip-192.0.2.10:3260-iscsi-{IQN}-lun-3"
FOREIGN = "ffffffff-1111-1111-1111-aaaaaaaaaaaa"


def a_host_with_everything() -> Machine:
    machine = Machine(
        "[bridge br0]\nports = none",
        conf("web", "vcpus = 2", "maxvcpus = 4", "maxmem = 1G", "[[disk xvda]]", "volume = vg0/web-root", "size = 3G",
             "[[nic eth0]]", "bridge = br0"),
        conf("nfs", "[[disk xvda]]", "file = /srv/nfs.img", "size = 5G"),
        conf("lun", "[[disk xvda]]", "device = /dev/disk/by-path/lun-3", "mode = r"),
        conf("crashed", "on_crash = preserve"),
        f"[iscsi bay1]\nportal = 192.0.2.10\ntarget = {IQN}\nchap_user = dom0\nchap_secret = /etc/bay1.secret",
        conf("bay", "[[disk xvda]]", f"device = {BAY}"),
    )  # fmt: skip
    machine.dom0.state.targets.append(IscsiTarget(IQN, "192.0.2.10", luns={"3": Lun("/dev/sdc", "8:32")}))
    machine.dom0.state.texts["/etc/bay1.secret"] = "swordfish\n"
    state = machine.dom0.state
    state.groups.append(Group("vg1", 40 << 30, 1 << 20))
    state.volumes += [Volume("vg1", "mounted", 1 << 30, 7, opened=True), Volume("vg1", "off", 2 << 30, 8, active=False)]
    state.volumes.append(Volume("vg0", "xenlocal-trash.1700000000.old", 1 << 30, 9, tags=["xenlocal", "xenlocal-kept"]))
    state.next_minor = 10
    state.paths["/dev/disk/by-path/lun-3"] = Path("block", 0, "/dev/sdb", "8:16")
    state.links.append(Link("eno1.7", 50, "vlan", mtu=1400, up=True, lower="eno1", addresses=["198.51.100.2/24"]))
    state.links[-1].leased = ["198.51.100.2/24"]
    state.links.append(Link("br9", 51, "bridge", stp=True, vlan_filtering=True, alias="by hand"))
    state.links.append(Link("eno2", 52, master="br9"))
    state.routes += [Route("eno1.7"), Route("eno1", "2001:db8::1")]
    state.next_link = 53
    Daemon(machine).run(60)
    foreign = guests.create(machine.dom0, {"name": "theirs", "memory": 300, "uuid": FOREIGN})
    foreign.elsewhere = True
    guests.release(machine.dom0, foreign)
    crashed = state.domain("crashed")
    assert crashed is not None
    guests.end(machine.dom0, crashed, "crash")
    return machine


def test_a_seeded_host_looks_like_the_one_it_was_seeded_from() -> None:
    scene = scene_of(a_host_with_everything())
    dom0 = SimulatedDom0(seed(scene))
    files = SimFiles(dom0)
    trials = Trials("/var/lib/xenlocal", read=files.read_text, write=files.write)
    kernels = Kernels("/var/lib/xenlocal", "/run/xenlocal", files, files, files.copy, trials)
    reader = HostReader(SimRunner(dom0), files, Identities("/var/lib/xenlocal", read=files.read_text), kernels)
    again = look_at_all(reader, scene.desired)
    for table in Table:
        assert getattr(again, table) == getattr(scene.observed, table), table
    assert len(scene.observed.by_uuid()) == 6 and not scene.observed.why_unavailable()


@pytest.mark.parametrize("table", list(Table))
def test_what_is_unknown_cannot_be_rehearsed(table: Table) -> None:
    scene = scene_of(Machine(conf("web")))
    unknown = replace(scene, observed=replace(scene.observed, **{str(table): Unavailable("no answer")}))
    with pytest.raises(XenlocalError, match=f"cannot rehearse: {table} unknown: no answer"):
        seed(unknown)


def test_guests_behave_as_was_learned_and_as_usual_where_nothing_was() -> None:
    scene = scene_of(Machine(conf("web"), conf("new")))
    state = seed(replace(scene, learned={"web": Learned(7.0, 31.0, 12.0), "old": Learned(hung=True)}))
    web, new = state.behaviours["web"], state.behaviours["new"]
    assert web.create_seconds == pytest.approx(7, abs=0.1) and web.boot_seconds == pytest.approx(31, abs=0.5)
    assert web.stop_seconds == pytest.approx(12, abs=0.6)
    assert new.create_seconds == pytest.approx(5, abs=0.1) and new.boot_seconds == pytest.approx(20, abs=0.5)
    assert new.stop_seconds == pytest.approx(20, abs=0.6)
