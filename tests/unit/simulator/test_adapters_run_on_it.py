"""The real adapters on the simulated host: every action does what it says, every table is read without complaint.

And the simulated answers have the shape of the recorded ones, so that a parser which fits one fits the other.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.simulator.support import config, host, run
from xenlocal.adapters import xenstore
from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.files import Files
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.iscsi import ChapRecords
from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.trials import Trials
from xenlocal.engine.ports import LastWords
from xenlocal.model import storage
from xenlocal.model.actions import Action, DestroyDomain, NudgeDomain, SetLive, StageConfig, StartDomain, StopDomain
from xenlocal.model.errors import Temporary, XenlocalError
from xenlocal.model.host_actions import (
    ActivateVolume,
    ChangeBridge,
    CreateVolume,
    DeactivateVolume,
    GrowVolume,
    PurgeVolume,
    ResizeFile,
    RestoreVolume,
    RetireVolume,
    UntagVolume,
)
from xenlocal.model.names import trash_name
from xenlocal.model.observed import LiveState, Observed, PathKind, Signs, Vbd
from xenlocal.model.units import Duration, Size
from xenlocal.simulator.files import SimFiles
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.runner import SimRunner
from xenlocal.simulator.state import Fill, Group, Later, Link, Volume
from xenlocal.simulator.work import VirtualWork

RECORDS = Path(__file__).parents[2] / "records"
UUID = "00000001-2222-3333-4444-555555555555"
GIB = Size(1 << 30)


class Joined:
    """Reader and actuator on one simulated host."""

    def __init__(self, dom0: SimulatedDom0, run_dir: Path, systemd: bool = True) -> None:
        self.dom0, self.work = dom0, VirtualWork(dom0)
        self.runner = SimRunner(dom0, self.work)
        files = SimFiles(dom0)
        identities = Identities("/var/lib/xenlocal", read=files.read_text, write=files.write)
        kernels = Kernels("/var/lib/xenlocal", str(run_dir), files, Files(), files.copy, Trials(str(run_dir)))
        self.reader = HostReader(self.runner, files, identities, kernels)
        numbers = iter(range(1000))
        self.actuator = HostActuator(
            self.runner, str(run_dir), systemd, identities, kernels, unique=lambda: str(next(numbers)),
            clock=self.work.now, pause=self.work.sleep, chap=ChapRecords(files, files.secret, files.write),
        )  # fmt: skip

    def do(self, *actions: Action) -> None:
        for action in actions:
            self.actuator.perform(action)
        assert self.dom0.unknown == []

    def start(self, name: str = "web", **keys: object) -> None:
        self.do(StartDomain(name, UUID, config(name, uuid=UUID, **keys)))


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return Joined(host("web"), tmp_path)


def test_an_empty_host_is_read_in_full(tmp_path: Path) -> None:
    reader = Joined(SimulatedDom0(), tmp_path).reader
    assert reader.domains() == {}
    assert reader.storage().groups["vg0"].free == Size(500 << 30)
    network = reader.network()
    assert network.default_links == {"eno1"} and network.gateways == ("192.0.2.1",)
    assert reader.xenstore().vbds == ()
    hardware = reader.hardware()
    assert (hardware.total, hardware.dom0_vcpus, hardware.scheduler) == (Size(16 << 30), 4, "credit2")
    assert not hardware.autoballoon and "pv" in hardware.capabilities
    assert reader.paths(["/boot/vmlinuz", "/none"])["/boot/vmlinuz"].kind is PathKind.FILE


def test_a_host_without_dom0_mem_balloons(joined: Joined) -> None:
    joined.dom0.state.xen_commandline = "placeholder"
    assert joined.reader.hardware().autoballoon


def test_a_life(joined: Joined) -> None:
    free = joined.reader.hardware().free
    joined.start(maxmem=1024, maxvcpus=2)
    live = joined.reader.domains()[1]
    assert (live.name, live.uuid, live.state, live.memory) == ("web", UUID, LiveState.RUNNING, Size.mib(512))
    assert joined.reader.hardware().free < free
    store = joined.reader.xenstore()
    assert store.vbds == (Vbd(1, "xvda", "/dev/vg0/web-root", (253, 0), True),)
    able = "control/feature-poweroff"
    assert joined.reader.nodes([(1, able)]) == {(1, able): ""}
    assert joined.reader.storage().volumes["vg0", "web-root"].opened
    assert joined.reader.network().ports("br0") == ("vif1.0",)
    assert joined.reader.network().links["vif1.0"].kind == "vif"
    for key, value in (("memory", "1024"), ("vcpus", "2"), ("cpus", "0-1"), ("cpu_weight", "300")):
        joined.do(SetLive("web", UUID, 1, key, value))
    joined.do(StageConfig("web", UUID, 1, config("web", memory=600)))
    joined.work.sleep(5)
    assert joined.reader.nodes([(7, able), (1, able)]) == {(7, able): None, (1, able): "1"}
    assert joined.reader.signs([1, 7]) == {1: Signs(False, 0), 7: Signs()}
    joined.do(NudgeDomain("web", UUID, 1))
    joined.dom0.state.behaviour("web").write_seconds = 9
    joined.dom0.state.behaviour("web").stop_seconds = 4
    joined.do(StopDomain("web", UUID, 1, Duration(60)))
    assert joined.reader.signs([1]) == {1: Signs(True, 0)}
    joined.work.sleep(2.5)
    assert joined.reader.signs([1]) == {1: Signs(False, 16)}
    joined.work.sleep(3)
    assert joined.reader.domains()[1].state is LiveState.SHUTDOWN
    assert joined.reader.last_words("web") is LastWords.UNKNOWN
    joined.do(DestroyDomain("web", UUID, 1, "reap"))
    assert joined.reader.domains() == {} and joined.reader.xenstore().vbds == ()


def test_what_the_monitor_says_last(joined: Joined) -> None:
    joined.dom0.state.behaviour("web").later = [Later(5, "reboot")]
    joined.start()
    assert joined.reader.last_words("web") is LastWords.UNKNOWN
    joined.work.sleep(6)
    assert joined.reader.domains() == {} and joined.reader.last_words("web") is LastWords.REBOOT
    joined.work.sleep(10)
    assert joined.reader.domains()[2].uuid == UUID
    run(joined.dom0, "xl destroy 2")
    assert joined.reader.last_words("web") is LastWords.DESTROYED
    assert joined.reader.last_words("never-was") is LastWords.UNKNOWN


def test_a_crash_and_a_dying_domain(joined: Joined) -> None:
    joined.dom0.state.behaviour("web").later = [Later(5, "crash")]
    joined.dom0.state.durations.dying = 3
    joined.start()
    joined.work.sleep(6)
    assert joined.reader.domains()[1].state is LiveState.CRASHED
    joined.do(DestroyDomain("web", UUID, 1, "reap"))
    dying = joined.reader.domains()[1]
    assert dying.state is LiveState.DYING and dying.name == "" and len(joined.reader.xenstore().vbds) == 1


def test_volumes(joined: Joined) -> None:
    trash = trash_name("a", 1_700_000_000)
    joined.do(CreateVolume("vg0", "a", GIB, "dom0"), GrowVolume("vg0", "a", Size(2 << 30)))
    assert joined.reader.storage().volumes["vg0", "a"].owners == {"dom0"}
    joined.do(RetireVolume("vg0", "a", trash))
    assert joined.reader.storage().volumes["vg0", trash].size == Size(2 << 30)
    joined.do(RestoreVolume("vg0", "a", trash))
    assert joined.reader.storage().volumes["vg0", "a"].tags == {"xenlocal", "xenlocal.host=dom0", "xenlocal-kept"}
    joined.do(UntagVolume("vg0", "a", ("xenlocal-kept",)), RetireVolume("vg0", "a", trash), PurgeVolume("vg0", trash))
    joined.dom0.state.volumes[0].active = False
    assert not joined.reader.storage().volumes["vg0", "web-root"].active
    joined.do(ActivateVolume("vg0", "web-root"))
    volumes = joined.reader.storage().volumes
    assert volumes.keys() == {("vg0", "web-root")} and volumes["vg0", "web-root"].device == (253, 0)
    joined.do(ResizeFile("/srv/a.img", GIB), ResizeFile("/srv/a.img", Size(5 << 30), verb="grow"))
    assert joined.reader.paths(["/srv/a.img"])["/srv/a.img"].size == Size(5 << 30)


def test_thin_volumes(joined: Joined) -> None:
    state, trash = joined.dom0.state, trash_name("t", 1_700_000_000)
    state.volumes.append(Volume("vg0", "thin0", 4 << 30, 7, active=False, fill=Fill(25.0)))
    assert joined.reader.storage().volumes["vg0", "thin0"].fill == storage.Fill(None, None)
    free = joined.reader.storage().groups["vg0"].free
    joined.do(CreateVolume("vg0", "t", GIB, "dom0", "thin0"), GrowVolume("vg0", "t", Size(1 << 50)))
    found = joined.reader.storage()
    assert found.groups["vg0"].free == free and found.volumes["vg0", "t"].size == Size(1 << 50)
    assert found.volumes["vg0", "t"].pool == "thin0" and found.volumes["vg0", "thin0"].fill == storage.Fill(25.0, 10.0)
    joined.do(RetireVolume("vg0", "t", trash), PurgeVolume("vg0", trash))
    pool = state.volume("vg0", "thin0")
    assert pool is not None and pool.fill is not None
    pool.fill.data, pool.active = 100.0, True
    for where, said in (
        ("none", "Pool none not found in Volume group vg0"),
        ("web-root", "Logical volume vg0/web-root is not a thin pool"),
        ("thin0", "free space in thin pool vg0/thin0 reached threshold"),
    ):
        with pytest.raises(XenlocalError, match=said):
            joined.do(CreateVolume("vg0", "t", GIB, "dom0", where))


def test_groups_under_lvmlockd(joined: Joined) -> None:
    state = joined.dom0.state
    state.groups.append(Group("vg1", 10 << 30, locks="sanlock"))
    joined.do(CreateVolume("vg1", "a", GIB, "dom0"), DeactivateVolume("vg1", "a"))
    assert joined.reader.storage().groups["vg1"].locks == "sanlock"
    volume, trash = state.volume("vg1", "a"), trash_name("a", 1_700_000_000)
    assert volume is not None and not volume.active
    volume.elsewhere = True
    changes = (ActivateVolume("vg1", "a"), GrowVolume("vg1", "a", Size(2 << 30)), RetireVolume("vg1", "a", trash))
    for change in changes:
        with pytest.raises(XenlocalError, match="another host has vg1/a active; .* type there: lvchange -an vg1/a$"):
            joined.do(change)
    volume.elsewhere = False
    joined.do(ActivateVolume("vg1", "a"))
    state.groups[-1].started = False
    for each in (*changes, CreateVolume("vg1", "b", GIB, "dom0")):
        with pytest.raises(XenlocalError, match="the locks of vg1 are not started, .* vgchange --lockstart vg1$"):
            joined.do(each)


def test_files_that_are_not_sparse(joined: Joined) -> None:
    joined.do(ResizeFile("/srv/a.img", GIB, full=True))
    path = joined.dom0.state.paths["/srv/a.img"]
    assert (path.size, path.allocated) == (GIB.bytes, GIB.bytes)
    joined.do(ResizeFile("/srv/a.img", Size(2 << 30), "grow", full=True))
    assert (path.size, path.allocated) == (2 << 30, 2 << 30)
    with pytest.raises(XenlocalError, match="cannot open /srv/none: No such file"):
        joined.do(ResizeFile("/srv/none", GIB, "grow", full=True))
    assert "/srv/none" not in joined.dom0.state.paths


def test_a_disk_that_qemu_serves(joined: Joined) -> None:
    spec = "format=raw, vdev=xvda, backendtype=qdisk, access=rw, target=/dev/vg0/web-root"
    joined.start(disk=[spec])
    (vbd,) = joined.reader.xenstore().vbds
    assert vbd == Vbd(1, "xvda", "/dev/vg0/web-root", None, True, by_qemu=True)
    assert joined.reader.storage().volumes["vg0", "web-root"].opened
    other = config("b", uuid=UUID.replace("1", "2"), disk=[spec])
    joined.do(StartDomain("b", UUID.replace("1", "2"), other))
    assert len(joined.reader.xenstore().vbds) == 2 and joined.reader.signs([1])[1].sectors is None


def test_bridges(joined: Joined) -> None:
    joined.dom0.state.links.append(Link("eno2", 9, up=False))
    joined.do(
        ChangeBridge("br1", create=True, add_ports=("eno2",), add_address="10.9.0.1/24", mtu=9000, stp=True,
                     vlan_filtering=True, up=True)
    )  # fmt: skip
    network = joined.reader.network()
    link = network.links["br1"]
    assert (link.alias, link.mtu, link.stp, link.vlan_filtering, link.up) == ("xenlocal", 9000, True, True, True)
    assert link.addresses == ("10.9.0.1/24",) and network.ports("br1") == ("eno2",)
    joined.do(ChangeBridge("br1", remove_ports=("eno2",)))
    assert joined.reader.network().ports("br1") == ()


def test_a_change_that_cuts_the_dom0_off_is_taken_back(joined: Joined) -> None:
    back = ChangeBridge("br0", remove_ports=("eno1",))
    change = ChangeBridge("br0", add_ports=("eno1",), way_back=back, gateway="192.0.2.1")
    with pytest.raises(Temporary):
        joined.do(change)
    assert joined.reader.network().ports("br0") == () and joined.dom0.state.timers == []
    joined.do(ChangeBridge("br0", mtu=1400, way_back=ChangeBridge("br0", mtu=1500), gateway="192.0.2.1"))
    assert joined.dom0.state.timers == []


def test_without_systemd(tmp_path: Path) -> None:
    joined = Joined(host("web"), tmp_path, systemd=False)
    joined.start()
    assert joined.reader.domains()[1].name == "web"


def test_failures_arrive_as_errors(joined: Joined) -> None:
    with pytest.raises(XenlocalError, match="failed to stat"):
        joined.start(disk=["format=raw,vdev=xvda,access=rw,target=/dev/vg0/none"])
    with pytest.raises(XenlocalError, match="insufficient free space"):
        joined.do(CreateVolume("vg0", "big", Size(1 << 50), "dom0"))


def test_the_watch_calls_at_every_event(joined: Joined) -> None:
    events: list[float] = []
    stream = xenstore.watch(joined.runner, lambda: events.append(joined.work.now()))
    joined.start()
    run(joined.dom0, "xl destroy 1")
    stream.stop()
    assert len(events) == 4


def test_a_hostile_guest_breaks_no_line(joined: Joined) -> None:
    joined.start()
    joined.dom0.state.domains[0].extra = {"data/x": 'a"\n/local/domain/9/control/feature-poweroff = "1"\\\udcff\t'}
    store = joined.reader.xenstore()
    assert len(store.vbds) == 1


# The shape of the records.


def recorded(suite: str, name: str) -> str:
    return (RECORDS / suite / "running" / name).read_text("utf-8")


SUITES = pytest.mark.parametrize("suite", ["bookworm", "trixie"])


@pytest.fixture
def running(joined: Joined) -> Joined:
    joined.start()
    joined.work.sleep(10)
    return joined


def _widths(line: str) -> list[tuple[int, str]]:
    """Where each column ends, and what kind of thing stands in it."""
    return [
        (match.end(), re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "N", match.group()))
        for match in re.finditer(r"\S+", line)
    ]


@SUITES
@pytest.mark.parametrize("name", ["xl-list.txt", "xl-list-v.txt"])
def test_xl_list_has_the_recorded_columns(running: Joined, suite: str, name: str) -> None:
    real = recorded(suite, name).splitlines()
    ours = run(running.dom0, "xl list -v" if "-v" in name else "xl list").splitlines()
    assert ours[0] == real[0]
    assert [end for end, _ in _widths(ours[1])] == [end for end, _ in _widths(real[1])]
    assert [end for end, _ in _widths(ours[2])][1:] == [end for end, _ in _widths(real[2])][1:]


@SUITES
def test_xl_info_has_the_recorded_keys(running: Joined, suite: str) -> None:
    def keys(text: str) -> list[str]:
        return [line.partition(":")[0] for line in text.splitlines()]

    missing = set(keys(recorded(suite, "xl-info.txt"))) ^ set(keys(run(running.dom0, "xl info")))
    assert {key.strip() for key in missing} <= {"xen_changeset", "build_id"}


@SUITES
def test_xenstore_has_recorded_nodes_and_values(running: Joined, suite: str) -> None:
    def nodes(text: str) -> set[str]:
        return {re.sub(r"/\d+(?=/|$)", "/N", line.split(" = ")[0]) for line in text.splitlines()}

    ours = run(running.dom0, "xenstore-ls -f /local/domain")
    assert nodes(ours) <= nodes(recorded(suite, "xenstore-ls-f.txt"))
    assert all(re.fullmatch(r'/\S+ = ".*"', line) for line in ours.splitlines())


def _keys_of(value: Any, at: str = "") -> set[str]:
    if isinstance(value, dict):
        return {path for key, inner in value.items() for path in {f"{at}.{key}", *_keys_of(inner, f"{at}.{key}")}}
    if isinstance(value, list):
        return {path for inner in value for path in _keys_of(inner, f"{at}[]")}
    return set()


@SUITES
@pytest.mark.parametrize(("name", "line"), [("ip-addr.json", "ip -j -d addr show"), ("xl-list-l.json", "xl list -l")])
def test_json_has_only_recorded_keys(running: Joined, suite: str, name: str, line: str) -> None:
    own = {"[].config.on_poweroff", "[].config.on_crash"}  # ours are not the defaults
    assert _keys_of(json.loads(run(running.dom0, line))) - own <= _keys_of(json.loads(recorded(suite, name)))


@SUITES
def test_lvs_is_printed_as_recorded(running: Joined, suite: str) -> None:
    real = recorded(suite, "lvs.json")
    (row,) = [line for line in real.splitlines() if '"one-root"' in line]
    fields = ",".join(json.loads(row.strip().rstrip(",")))
    ours = run(running.dom0, f"lvs --units b --nosuffix --reportformat json -o {fields}")
    (own,) = [line for line in ours.splitlines() if '"web-root"' in line]

    def shape(text: str) -> str:
        return re.sub(r'"(\w{6}-[\w-]+|\d+|/dev/\S+|(?:web|one)-root)"', '"X"', text.rstrip(","))

    assert shape(own) == shape(row)
    end = re.search(r"\n +]\n +}\n +]\n", real)  # Debian 13 prints a log after it
    assert ours.splitlines()[:4] == real.splitlines()[:4] and end and end.group() in ours


def test_observed_takes_all_tables(running: Joined) -> None:
    reader = running.reader
    observed = Observed(
        reader.domains(), reader.storage(), reader.network(), reader.paths([]), reader.xenstore(), reader.hardware()
    )
    assert observed.why_unavailable() == {}
