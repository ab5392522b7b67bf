"""What the tools print that only the doctor asks: as the recorded ones, and read back by the adapter as it was set."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.simulator.support import config, host, run, shell
from xenlocal.adapters.inspection import CLOCK, GROUPS, LVM, PACKAGES, SHOW, Inspector
from xenlocal.model.inspection import Clock, LvmSettings, Pinned, Processes
from xenlocal.model.units import Size
from xenlocal.simulator.answer import UnknownCommand
from xenlocal.simulator.files import SimFiles
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.state import Group
from xenlocal.simulator.surroundings import Unit

STOCK = Path(__file__).parents[2] / "records/bookworm/stock"


def recorded(name: str) -> str:
    return (STOCK / name).read_text()


def inspector(dom0: SimulatedDom0) -> Inspector:
    return Inspector(shell(dom0), SimFiles(dom0))


def keys(text: str, mark: str) -> list[str]:
    return [line.partition(mark)[0].strip() for line in text.splitlines() if mark in line]


def test_the_hypervisor_with_its_nodes() -> None:
    dom0 = host()
    dom0.state.cpus = 2
    assert keys(run(dom0, "xl info -n"), ":") == keys(recorded("xl-info-n.txt"), ":")
    dom0.state.cpus, dom0.state.surroundings.nodes = 6, 2
    xen = inspector(dom0).xen()
    assert xen.cpus == {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
    assert xen.nodes == {0: Size.mib(8192), 1: Size.mib(8192)} and xen.option("dom0_mem") == "2048M,max:2048M"


def test_vcpus() -> None:
    dom0 = host("web")
    dom0.state.texts["/etc/xen/web.cfg"] = config("web", vcpus=2)
    run(dom0, "xl create -q /etc/xen/web.cfg")
    run(dom0, "xl vcpu-pin web all 1-2")
    lines, real = run(dom0, "xl vcpu-list").splitlines(), recorded("xl-vcpu-list.txt").splitlines()
    assert lines[0] == real[0]
    columns = re.compile(r"\S+ +\d+ +\d+ +\d+   \S{3} +[\d.]+  ")
    ends = {match.end() for line in (*lines[1:], *real[1:]) if (match := columns.match(line))}
    assert len(ends) == 1
    assert inspector(dom0).pinned() == (Pinned("Domain-0", 4, None), Pinned("web", 2, frozenset({1, 2})))


def test_units() -> None:
    dom0 = host()
    real = recorded("systemctl-show.txt").split("\n\n")
    units = shell(dom0).run(SHOW).split("\n\n")
    shown = [key for key in keys(real[3], "=") if key != "Id"]
    assert keys(units[SHOW.index("libvirtd.service") - 3], "=") == shown
    assert keys(units[1], "=") == ["ExecStop", *shown] == [key for key in keys(real[2], "=") if key != "Id"]
    dom0.state.surroundings.units = {"xenlocal.service": Unit("masked", "failed", stale=True)}
    found = inspector(dom0).units()
    assert found["xenlocal.service"].masked and found["xenlocal.service"].stale
    assert not found["xendomains.service"].known


def test_the_clock() -> None:
    dom0 = host()
    assert set(keys(shell(dom0).run(CLOCK), "=")) <= set(keys(recorded("timedatectl-show.txt"), "="))
    dom0.state.surroundings.synchronised = dom0.state.surroundings.ntp = False
    assert inspector(dom0).clock() == Clock(synchronised=False, service=True, enabled=False)


def test_lvm() -> None:
    dom0 = host()
    assert shell(dom0).run(LVM) == recorded("lvmconfig.txt")
    around = dom0.state.surroundings
    around.global_filter, around.scan_lvs, around.devicesfile = ["r|x|", "a|.*|"], True, True
    around.autoextend = 80
    assert inspector(dom0).lvm() == LvmSettings(("r|x|", "a|.*|"), ("a|.*|",), True, True, extends_pools=True)
    dom0.state.groups.append(Group("inner", 1 << 30, disk="/dev/vdx"))
    rows = json.loads(shell(dom0).run(GROUPS))["report"][0]["vg"]
    assert [sorted(row) for row in rows] == [sorted(row) for row in json.loads(recorded("vgs.json"))["report"][0]["vg"]]
    assert rows[0] == {"vg_name": "inner", "vg_size": str(1 << 30), "pv_name": "/dev/vdx"}


def test_packages() -> None:
    dom0 = host()
    installed = [line for line in recorded("dpkg-query.txt").splitlines() if " installed " in line]
    lines = shell(dom0).run(PACKAGES).splitlines()
    assert set(lines) <= set(installed) and len(lines) == 3
    dom0.state.surroundings.packages = {"xen-utils-4.20": "4.20.1"}
    assert inspector(dom0).versions().installed == {"xen-utils-4.20": "4.20.1"}


def test_files_and_processes() -> None:
    dom0 = host()
    dom0.state.surroundings.swapped_mib = 100
    dom0.state.texts |= {"/etc/xen/auto/web.cfg": "", "/var/lib/xen/save/web/x": "", "/var/lib/xen/savey": ""}
    looked = inspector(dom0)
    assert (looked.swapped(), looked.auto(), looked.saved()) == (Size.mib(100), ("web.cfg",), ("web",))
    assert looked.processes() == Processes("guest")
    dom0.state.console_log = False
    assert looked.processes() == Processes("") and looked.versions().running == "4.17.7"


@pytest.mark.parametrize(
    "line",
    [
        "xl info -x", "xl vcpu-list web", "timedatectl status", "systemctl show xen.service",
        "dpkg-query --show xen-utils-*", "lvm lvmconfig devices/scan_lvs",
    ],
)  # fmt: skip
def test_what_the_simulator_does_not_know(line: str) -> None:
    with pytest.raises(UnknownCommand):
        run(host(), line)


def test_modules_on_a_disk() -> None:
    """As debugfs 1.47 prints it; how xenlocal reads that is in tests/unit/adapters/test_modules.py."""
    dom0 = host()
    requests = "ls -p /\nls -p /lib/modules\n"
    make = "lvcreate --yes --wipesignatures y --zero y --size 4194304b --name web vg0"
    run(dom0, make)
    dom0.state.surroundings.modules["/dev/vg0/web"] = ["5.10"]
    said = dom0.execute(["debugfs", "-c", "-f", "-", "/dev/vg0/web"], requests)
    assert said.status == 0 and "/15/040755/0/0/5.10//\n" in said.stdout
    take = "lvcreate --yes --snapshot --permission r --addtag xenlocal-look --size 4194304b --name look vg0/web"
    run(dom0, take)
    assert dom0.execute(["debugfs", "-c", "-f", "-", "/dev/vg0/look"], requests) == said
    assert dom0.execute(take.split()).status == 5, "it is there"
    dom0.state.surroundings.modules["/dev/vg0/web"] = []
    for disk in ("/dev/vg0/web", "/dev/vg0/gone"):
        said = dom0.execute(["debugfs", "-c", "-f", "-", disk], requests)
        assert said.status == 0 and "/13/" not in said.stdout and "Filesystem not open" in said.stderr
    for argv, stdin in (("debugfs -c -f - /dev/vg0/web", ""), ("debugfs -w -f - /dev/vg0/web", requests)):
        with pytest.raises(UnknownCommand):
            dom0.execute(argv.split(), stdin)


def test_snapshots_as_xenlocal_makes_them_and_no_others() -> None:
    dom0 = host()
    run(dom0, "lvcreate --yes --wipesignatures y --zero y --size 4194304b --name web vg0")
    for wrong in (
        "lvcreate --yes --snapshot --permission rw --size 4194304b --name look vg0/web",
        "lvcreate --yes --snapshot --permission r --name look vg0/web",
        "lvcreate --yes --snapshot --permission r --setactivationskip n --name look vg0/web",
    ):
        with pytest.raises(UnknownCommand):
            run(dom0, wrong)
