"""The parsers on what a real dom0 printed (tests/records), cut short everywhere, and on hostile input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.unit.adapters.scripted import NO_KERNELS, ScriptedRunner, TextFiles
from xenlocal.adapters import iproute, lvm, xenstore, xl
from xenlocal.adapters.files import Files
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.engine.ports import LastWords
from xenlocal.model.actions import WatchDisk
from xenlocal.model.desired import LogicalVolume
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.observed import LiveState, PathFacts, PathKind, PciUse, Signs, Vif
from xenlocal.model.storage import Fill
from xenlocal.model.units import Size

RECORDS = Path(__file__).parents[2] / "records"


def records(*names: str) -> list[Path]:
    return sorted(path for name in names for path in RECORDS.glob(f"*/*/{name}") if path.stat().st_size)


def text_of(path: Path) -> str:
    return path.read_text("utf-8", "backslashreplace")


def shown(path: object) -> str:
    return "/".join(path.parts[-3:]) if isinstance(path, Path) else "no record"


HEADER = (
    "Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            "
    "Reason-Code\tSecurity Label\n"
)
DOM0 = (
    "Domain-0                                     0  1024     2     r-----     193.3 "
    "00000000-0000-0000-0000-000000000000        -                -\n"
)
UUID = "f130e59b-4c17-4704-9c41-c71cee800397"


def line(name: str, domid: int = 7, state: str = "-b----", reason: str = "-") -> str:
    return f"{name:<40} {domid:>5} {96:>5} {1:>5}     {state}  {8.2:>8.1f} {UUID} {reason:>8} {'-':>16}\n"


@pytest.mark.parametrize("path", records("xl-list-v.txt"), ids=shown)
def test_recorded_lists(path: Path) -> None:
    text = text_of(path)
    dom0_vcpus, domains = xl.parse_list(text)
    assert dom0_vcpus == 2
    assert len(domains) == text.count("\n") - 2
    assert all(domain.name.isalnum() and domain.memory == Size.mib(96) for domain in domains.values())
    expected = {
        "crashed": {LiveState.CRASHED},
        "poweredoff": {LiveState.SHUTDOWN},
        "paused": {LiveState.RUNNING, LiveState.PAUSED},
        "running": {LiveState.RUNNING},
    }
    if path.parent.name in expected:
        assert {domain.state for domain in domains.values()} == expected[path.parent.name]


def never_partial(text: str, parse: Callable[[str], object], whole_lines: bool) -> None:
    """Every prefix raises or gives the whole; where the format has no end mark, prefixes of whole lines may pass."""
    complete = parse(text)
    for length in range(len(text)):
        prefix = text[:length]
        if whole_lines and prefix.endswith("\n"):
            continue
        try:
            assert parse(prefix) == complete, f"cut off after {length} characters"
        except XenlocalError:
            pass


@pytest.mark.parametrize("path", records("xl-list-v.txt"), ids=shown)
def test_cut_off_lists_raise(path: Path) -> None:
    never_partial(text_of(path), xl.parse_list, whole_lines=True)


@pytest.mark.parametrize("path", records("xl-info.txt")[:1], ids=shown)
def test_cut_off_info_raises(path: Path) -> None:
    never_partial(text_of(path), lambda text: {key: xl.parse_info(text)[key] for key in xl._NEEDED}, whole_lines=True)


@pytest.mark.parametrize("path", records("xenstore-ls-f.txt")[:1], ids=shown)
def test_cut_off_xenstore_raises(path: Path) -> None:
    never_partial(text_of(path)[-4000:].partition("\n")[2], lambda text: _stores(text), whole_lines=True)


def _stores(text: str) -> object:
    return xenstore.parse('/local/domain/0 = ""\n' + text)


@pytest.mark.parametrize("path", records("ip-addr.json")[:1], ids=shown)
def test_cut_off_json_raises(path: Path) -> None:
    never_partial(text_of(path), iproute.parse_links, whole_lines=False)


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("r-----", "-", LiveState.RUNNING),
        ("------", "-", LiveState.RUNNING),
        ("--p---", "-", LiveState.PAUSED),
        ("-bp---", "-", LiveState.PAUSED),
        ("---s--", "0", LiveState.SHUTDOWN),
        ("--ps--", "0", LiveState.SHUTDOWN),
        ("---sc-", "3", LiveState.CRASHED),
        ("---s--", "3", LiveState.CRASHED),
        ("---s--", "4", LiveState.CRASHED),
        ("---s--", "1", LiveState.DYING),
        ("---s--", "5", LiveState.DYING),
        ("---s--", "2", LiveState.PAUSED),
        ("---s--", "ffffffff", LiveState.SHUTDOWN),
        ("--psc-", "3", LiveState.CRASHED),
        ("--pscd", "3", LiveState.DYING),
        ("-----d", "-", LiveState.DYING),
    ],
)
def test_states(state: str, reason: str, expected: LiveState) -> None:
    (domain,) = xl.parse_list(HEADER + DOM0 + line("web", state=state, reason=reason)).domains.values()
    assert domain.state == expected and domain.is_down == (expected in (LiveState.SHUTDOWN, LiveState.CRASHED))


@pytest.mark.parametrize("name", ["a b", "12 34  56", "x" * 63, "Domain-0", "r----- 1.0 -", "ü"])
def test_strange_names(name: str) -> None:
    (domain,) = xl.parse_list(HEADER + DOM0 + line(name)).domains.values()
    assert (domain.name, domain.domid, domain.uuid, domain.vcpus) == (name, 7, UUID, 1)


def test_null_is_no_name() -> None:
    assert xl.parse_list(HEADER + DOM0 + line("(null)")).domains[7].name == ""


@pytest.mark.parametrize(
    "text",
    ["", "\n", HEADER, DOM0, HEADER + line("web"), "x\n" + HEADER + DOM0, HEADER + DOM0 + "libxl: error\n",
     HEADER + DOM0 + line("a") + line("b"), HEADER + DOM0 + "\n", HEADER + DOM0[:-1]],
)  # fmt: skip
def test_lists_that_are_none(text: str) -> None:
    with pytest.raises(CommandFailed):
        xl.parse_list(text)


@pytest.mark.parametrize("path", records("xl-info.txt"), ids=shown)
def test_recorded_info(path: Path) -> None:
    reader = xl.XlReader(ScriptedRunner((("xl", "info"), text_of(path))), TextFiles({}), dom0_cpus=lambda: 3)
    hardware = reader.hardware()
    assert hardware.total >= Size.mib(1500) and hardware.free < hardware.total
    assert hardware.scheduler == "credit2" and not hardware.autoballoon and hardware.dom0_vcpus == 3
    assert hardware.cpus == 2
    assert {"pv", "hvm"} <= hardware.capabilities


def test_dom0_vcpus_come_from_its_line() -> None:
    info = text_of(records("xl-info.txt")[0])
    runner = ScriptedRunner((("xl", "list", "-v"), HEADER + DOM0), (("xl", "info"), info))
    reader = xl.XlReader(runner, TextFiles({}), dom0_cpus=lambda: 64)
    reader.domains()
    assert reader.hardware().dom0_vcpus == 2


@pytest.mark.parametrize(
    ("conf", "commandline", "expected"),
    [
        ("", "", True),
        ("", "placeholder dom0_mem=1G,max:1G", False),
        ("", "no-dom0_mem=1", True),
        ('autoballoon="auto"', "dom0_mem=1G", False),
        ("#autoballoon=1", "dom0_mem=1G", False),
        ("autoballoon=1", "dom0_mem=1G", True),
        (' autoballoon = "off" # x', "", False),
        ("autoballoon=0\nlockfile='/x'", "", False),
        ("autoballoon=perhaps", "", True),
    ],
)
def test_autoballoon(conf: str, commandline: str, expected: bool) -> None:
    assert xl.autoballoon(conf, commandline) is expected


@pytest.mark.parametrize("text", ["", "total_memory : 1\n", text_of(records("xl-info.txt")[0]).replace("3071", "x")])
def test_info_that_is_none(text: str) -> None:
    with pytest.raises(CommandFailed):
        xl.XlReader(ScriptedRunner((("xl", "info"), text)), TextFiles({})).hardware()


REBOOT = (
    "Waiting for domain three (domid 3) to die [pid 99]\n"
    "Domain 3 has shut down, reason code 1 0x1\n"
    "Action for shutdown reason code 1 is restart\n"
)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", LastWords.UNKNOWN),
        (REBOOT, LastWords.REBOOT),
        (REBOOT + "Domain 3 needs to be cleaned up: destroying the domain\nDone. Rebooting now\n", LastWords.REBOOT),
        (REBOOT + "Done. Rebooting now\nlibxl: error: no memory\n", LastWords.REBOOT),
        (REBOOT + "Done. Rebooting now\nWaiting for domain three (domid 4) to die [pid 99]\n", LastWords.UNKNOWN),
        (REBOOT + "Waiting for domain three (domid 4) to die\nDomain 4 has been destroyed.\n", LastWords.DESTROYED),
        ("Action for shutdown reason code 0 is preserve\nDomain 4 has been destroyed.\n", LastWords.DESTROYED),
        ("Action for shutdown reason code 0 is preserve\n", LastWords.UNKNOWN),
    ],
)
def test_last_words(log: str, words: LastWords) -> None:
    runner = ScriptedRunner((("tail", "-n", "20", "/var/log/xen/xl-three.log"), log))
    assert xl.XlReader(runner, TextFiles({})).last_words("three") == words


@pytest.mark.parametrize("path", records("xenstore-ls-f.txt"), ids=shown)
def test_recorded_xenstore(path: Path) -> None:
    store = xenstore.parse(text_of(path))
    domains = xl.parse_list(text_of(path.parent / "xl-list-v.txt")).domains
    assert {vbd.domid for vbd in store.vbds} == set(domains)
    assert all(vbd.writable and vbd.device and vbd.vdev.startswith("xvd") for vbd in store.vbds)
    assert all(vbd.params.startswith("/dev/vg0/") for vbd in store.vbds)


def test_devices_of_the_host_that_guests_have() -> None:
    """As libxl writes them (libxl_pci.c); what else stands there is no device."""
    at = "/local/domain/0/backend/pci/5/0"
    text = store(f'{at}/num_devs = "2"', f'{at}/dev-0 = "0000:03:00.0"', f'{at}/dev-1 = "0000:04:00.1"',
                 f'{at}/vdev-0 = "0000:00:00.00"', f'{at}/opts-0 = "msitranslate=0"', f"{at}/dev-2:")  # fmt: skip
    assert xenstore.parse(text).pci == (PciUse(5, "0000:03:00.0"), PciUse(5, "0000:04:00.1"))


def store(*lines: str) -> str:
    return "".join(f"{each}\n" for each in ('/local/domain/0 = ""', *lines))


def test_a_guest_cannot_make_up_lines() -> None:
    text = store(
        r'/local/domain/5/data/x = "\n/local/domain/0/backend/vbd/9/51712 = \"\""',
        '/local/domain/5/data/y = "a" = "b""',
        '/local/domain/5/control/feature-poweroff = "1 "',
        f'/local/domain/5/control/shutdown = "{"x" * 2000}"',
        '/local/domain/6/control/shutdown = "poweroff"',
        '/local/domain/6/control/feature-poweroff = "1"',
        '/local/domain/0/control/feature-poweroff = "1"',
        "/local/domain/6/data/unreadable:",
        '/local/domain/6/data/control/feature-poweroff = "1"',
    )
    found = xenstore.parse(text)
    assert found.vbds == ()


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_nics_and_what_their_guest_has_taken(suite: str) -> None:
    found = xenstore.parse(text_of(RECORDS / suite / "running" / "xenstore-ls-f.txt"))
    assert found.vifs and all(vif.bridge == "br0" and len(vif.mac) == 17 and vif.connected for vif in found.vifs)
    assert {vif.domid for vif in found.vifs} <= {vbd.domid for vbd in found.vbds if vbd.connected}
    base = "/local/domain/0/backend/vif/5/1"
    half = f'{base} = ""\n{base}/mac = "00:16:3E:00:00:01"\n{base}/state = "2"\n'
    assert xenstore.parse(half).vifs == (Vif(5, 1, "00:16:3e:00:00:01", "", False),)


def missing(paths: Sequence[str], number: int, printed: str) -> CommandFailed:
    said = f"xenstore-read: couldn't read path {paths[number]}\n"
    return CommandFailed(("xenstore-read", *paths), 1, said, printed)


@pytest.mark.parametrize(
    "answer",
    [
        CommandFailed((), 1, "xenstore-read: xs_open: Connection refused\n"),
        CommandFailed((), 1, ""),
        CommandFailed((), 1, "xenstore-read: couldn't read path /local/domain/5/data/b\n"),  # and a is not printed
        CommandFailed((), 2, "xenstore-read: couldn't read path /local/domain/3/data/a\n"),
        CommandFailed((), -15, ""),
        "1\n",
        "1\n2\n3\n",
    ],
)
def test_a_node_that_could_not_be_read_is_not_taken_for_missing(answer: str | Exception) -> None:
    nodes = [(3, "data/a"), (5, "data/b")]
    paths = [f"/local/domain/{domid}/{path}" for domid, path in nodes]
    with pytest.raises(CommandFailed):
        xenstore.XenstoreReader(ScriptedRunner((("xenstore-read", *paths), answer))).nodes(nodes)


def test_nodes_are_read_at_once_and_again_behind_each_that_is_not_there() -> None:
    nodes = [(3, "data/a"), (5, "data/b"), (9, "data/c"), (9, "data/d")]
    paths = [f"/local/domain/{domid}/{path}" for domid, path in nodes]
    first = missing(paths, 1, "1\n")
    runner = ScriptedRunner((("xenstore-read", *paths), first), (("xenstore-read", *paths[2:]), "\na\\nb\n"))
    found = xenstore.XenstoreReader(runner).nodes(nodes)
    assert found == {nodes[0]: "1", nodes[1]: None, nodes[2]: "", nodes[3]: "a\\nb"}
    assert xenstore.XenstoreReader(ScriptedRunner()).nodes([]) == {}


def test_signs_of_guests_that_stop() -> None:
    paths = tuple(f"/local/domain/{domid}/control/shutdown" for domid in (3, 5, 9))
    texts = {
        "/sys/bus/xen-backend/devices/vbd-3-51712/statistics/wr_sect": "80\n",
        "/sys/bus/xen-backend/devices/vbd-3-51728/statistics/wr_sect": "8\n",
        "/sys/bus/xen-backend/devices/vbd-9-51712/statistics/rd_sect": "1\n",
        "/sys/bus/xen-backend/devices/vif-5-0/statistics/wr_sect": "1\n",
        "/sys/bus/xen-backend/devices/vbd-77-51712/statistics/wr_sect": "1\n",
    }
    runner = ScriptedRunner((("xenstore-read", *paths), missing(paths, 2, "poweroff\n\n")))
    assert HostReader(runner, TextFiles(texts), Identities("/var/lib/xenlocal"), NO_KERNELS).signs((3, 5, 9)) == {
        3: Signs(True, 88),
        5: Signs(False, None),
        9: Signs(None, None),
    }
    runner = ScriptedRunner((("xenstore-read", paths[0]), CommandFailed(("xenstore-read",), None, "")))
    assert HostReader(runner, TextFiles(texts), Identities("/var/lib/xenlocal"), NO_KERNELS).signs((3,)) == {
        3: Signs(None, 88)
    }


class _Elsewhere(Files):
    """The log of an installation lies in a directory of the test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read_on(self, path: str, place: str, limit: int) -> tuple[str, str] | None:
        return super().read_on(str(self._directory / Path(path).name), place, limit)


def test_why_an_installation_has_failed_is_told_whatever_its_log_is(tmp_path: Path) -> None:
    reader = HostReader(ScriptedRunner(), _Elsewhere(tmp_path), Identities("/var/lib/xenlocal"), NO_KERNELS)
    watch, log = WatchDisk("web", UUID, LogicalVolume("vg0", "web")), tmp_path / "install-web.log"
    assert reader.words_of_work(watch) == "it has left no word; see journalctl -u xenlocal-install-web"
    log.write_bytes(b"verbose hook\n" * 500_000 + b"E: no \xff room\n\n")
    assert reader.words_of_work(watch) == "E: no \ufffd room; the whole is in /var/log/xenlocal/install-web.log"
    log.unlink()
    log.mkdir()
    assert reader.words_of_work(watch) == f"cannot read {log}: Is a directory"


def test_backends_of_every_kind_and_half_made_ones() -> None:
    base = "/local/domain/0/backend"
    found = xenstore.parse(store(
        f'{base}/qdisk/3/51728/params = "aio:/srv/xen/a b\\\\c.img"',
        f'{base}/qdisk/3/51728/dev = "xvdb"',
        f'{base}/qdisk/3/51728/mode = "r"',
        f'{base}/vbd/4/51712 = ""',
        f'{base}/vbd3/4/51728/physical-device = "fd:1a"',
        f'{base}/vif/4/0/dev = "xvda"',
    ))  # fmt: skip
    half, other, image = sorted(found.vbds, key=lambda vbd: (-vbd.domid, vbd.vdev))
    assert (image.params, image.writable, image.device) == (r"/srv/xen/a b\c.img", False, None)
    assert (half.vdev, half.params, half.writable) == ("51712", "", True)
    assert other.device == (253, 26)


@pytest.mark.parametrize(
    "text", ["", "\n", '/local/domain/5/name = "x"\n', '/local/domain/0 = "', store("xenstore-ls: error"), store("")]
)
def test_xenstores_that_are_none(text: str) -> None:
    with pytest.raises(CommandFailed):
        xenstore.parse(text)


@pytest.mark.parametrize(
    ("escaped", "text"), [(r"a\tb\n\\", "a\tb\n\\"), (r"\x1b\001", "\x1b\x01"), (r"\xc3\xa9", "é"), (r"\xff", r"\xff")]
)
def test_unescape(escaped: str, text: str) -> None:
    assert xenstore.unescape(escaped) == text


VOLUME = {
    "vg_name": "vg0", "lv_name": "a", "lv_size": "8388608", "lv_active": "active", "lv_device_open": "open",
    "lv_tags": "xenlocal,x", "lv_kernel_major": "253", "lv_kernel_minor": "0", "pool_lv": "", "lv_layout": "linear",
    "data_percent": "", "metadata_percent": "", "lv_health_status": "",
}  # fmt: skip
GROUP = {"vg_name": "vg0", "vg_free": "100", "vg_extent_size": "4194304", "vg_lock_type": ""}


def report(*parts: tuple[dict[str, str], list[dict[str, str]]]) -> str:
    listed = [{"vg": [group], "pv": [{"pv_name": "/dev/x"}], "lv": volumes, "pvseg": [], "seg": []}
              for group, volumes in parts]  # fmt: skip
    return json.dumps({"report": listed}, indent=2) + "\n"


def test_storage() -> None:
    idle = {**VOLUME, "lv_name": "b", "lv_active": "", "lv_device_open": "unknown", "lv_tags": "",
            "lv_kernel_major": "-1", "lv_kernel_minor": "-1"}  # fmt: skip
    text = report((GROUP, [VOLUME, idle]), ({**GROUP, "vg_name": "empty"}, []))
    found = lvm.LvmReader(
        ScriptedRunner((lvm.REPORT, text)), TextFiles({"/proc/sys/kernel/hostname": "dom0\n"})
    ).storage()
    assert found.host == "dom0" and set(found.groups) == {"vg0", "empty"} and found.groups["vg0"].extent == Size.mib(4)
    a, b = found.volumes["vg0", "a"], found.volumes["vg0", "b"]
    assert (a.active, a.opened, a.device, a.ours, a.size) == (True, True, (253, 0), True, Size.mib(8))
    assert (b.active, b.opened, b.device, b.ours) == (False, False, None, False)
    never_partial(text, lvm.parse, whole_lines=False)


@pytest.mark.parametrize("state", ["FAILED", "FREE", "LOGGED_IN"])
def test_storage_is_unknown_while_a_disk_keeps_everybody_waiting(state: str) -> None:
    session, connection = "/sys/class/iscsi_session/session1", "/sys/class/iscsi_connection/connection1:0"
    files = TextFiles(
        {
            f"{session}/targetname": "iqn.x:1\n",
            f"{session}/state": f"{state}\n",
            f"{connection}/persistent_address": "192.0.2.1\n",
            f"{connection}/persistent_port": "3260\n",
        }
    )
    reader = lvm.LvmReader(ScriptedRunner((lvm.REPORT, report())), files)
    if state == "FAILED":
        with pytest.raises(XenlocalError, match=r"LVM would hang on the disks of iqn.x:1 at 192.0.2.1:3260"):
            reader.storage()
    else:
        assert not reader.storage().groups


def test_no_volume_group_is_known() -> None:
    found = lvm.parse('  {\n      "report": [\n      ]\n  }\n')
    assert not found.groups and not found.volumes


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"report": null}', '{"report": [{}]}', report(({"vg_name": "vg0"}, [])),
     report((GROUP, [{**VOLUME, "lv_active": "unknown"}])), report((GROUP, [{**VOLUME, "lv_size": "8m"}])),
     report((GROUP, []), (GROUP, [])), report((GROUP, [{**VOLUME, "lv_layout": "thin,pool", "data_percent": "x"}]))],
)  # fmt: skip
def test_reports_that_are_none(text: str) -> None:
    with pytest.raises(CommandFailed):
        lvm.parse(text)


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("fullreport-*.json")), ids=shown)
def test_recorded_reports(path: Path) -> None:
    """Printed by `lvm.REPORT` on the rig's dom0: one group, one volume made by us, restored from the trash."""
    found = lvm.parse(text_of(path))
    assert set(found.groups) == {"vg0"} and found.groups["vg0"].extent == Size.mib(4)
    volume = found.volumes["vg0", "web-root"]
    assert (volume.size, volume.active, volume.opened, volume.device) == (Size.mib(96), True, False, (253, 0))
    assert volume.ours and volume.owners == {"dom0"} and (volume.pool, volume.fill) == ("", None)
    assert found.groups["vg0"].locks == ""
    never_partial(text_of(path), lvm.parse, whole_lines=False)


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("thin-and-shared-*.json")), ids=shown)
def test_recorded_thin_pools_and_shared_groups(path: Path) -> None:
    """A thin pool, itself not active, with a volume that is; a group under lvmlockd with a volume of another dom0."""
    found = lvm.parse(text_of(path), "dom0")
    thin, pool = found.volumes["vg0", "t1"], found.volumes["vg0", "thin0"]
    assert (thin.pool, thin.fill, thin.active) == ("thin0", None, True)
    assert (pool.pool, pool.active) == ("", False)
    assert pool.fill is not None and (pool.fill.data, pool.fill.health) == (25.0, "")
    assert pool.fill.metadata is not None and 5 < pool.fill.metadata < 20
    assert (found.groups["vg0"].locks, found.groups["vg1"].locks) == ("", "sanlock")
    theirs, ours = found.volumes["vg1", "s1"], found.volumes["vg1", "s2"]
    assert found.strangers(theirs) == ("other",) and found.strangers(ours) == ()
    never_partial(text_of(path), lvm.parse, whole_lines=False)


@pytest.mark.parametrize(
    ("percents", "wanted"), [(("", ""), (None, None)), (("0.00", ""), (0.0, None)), (("100.00", "1.5"), (100.0, 1.5))]
)
def test_how_full_a_pool_is_may_not_be_known(
    percents: tuple[str, str], wanted: tuple[float | None, float | None]
) -> None:
    row = {**VOLUME, "lv_layout": "thin,pool", "lv_health_status": "out_of_data"}
    row |= dict(zip(("data_percent", "metadata_percent"), percents, strict=True))
    found = lvm.parse(report((GROUP, [row]))).volumes["vg0", "a"]
    assert found.fill == Fill(*wanted, "out_of_data")


def test_a_group_of_the_lock_type_none_is_no_shared_one() -> None:
    assert lvm.parse(report(({**GROUP, "vg_lock_type": "none"}, []))).groups["vg0"].locks == ""


@pytest.mark.parametrize("path", records("ip-addr.json"), ids=shown)
def test_recorded_links(path: Path) -> None:
    links = iproute.parse_links(text_of(path))
    assert links["lo"].addresses[0] == "127.0.0.1/8" and links["lo"].stp is None
    if "br0" in links:
        bridge = links["br0"]
        assert (bridge.kind, bridge.alias, bridge.up, bridge.stp, bridge.vlan_filtering) == (
            "bridge", "xenlocal", True, False, False)  # fmt: skip
        assert not links["br9"].up and links["br9"].alias == ""
        assert links["eno1"].master == "br0" and bridge.mtu == 1500
    assert all(link.kind == "vif" for name, link in links.items() if name.startswith("vif"))


ROUTE = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "br0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "br0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "ppp0\t00000000\t00000000\t0001\t0\t0\t9\t00000000\t0\t0\t0\n"
    "*\t00000000\t00000000\t0200\t0\t0\t9\t00000000\t0\t0\t0\n"
)
ROUTE6 = (
    f"{'0' * 32} 00 {'0' * 32} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 br0\n"
    f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"
    f"fe80{'0' * 28} 40 {'0' * 32} 00 {'0' * 32} 00000100 00000001 00000000 00000001 br0\n"
)


def test_network() -> None:
    links = text_of(records("ip-addr.json")[0])
    script = (("ip", "-j", "-d", "addr", "show"), links)
    files = TextFiles({iproute.ROUTES4: ROUTE, iproute.ROUTES6: ROUTE6})
    network = iproute.IpReader(ScriptedRunner(script), files).network()
    assert network.default_links == {"br0", "ppp0"}
    assert network.gateways == ("192.0.2.1", "fe80::1%br0")
    alone = iproute.IpReader(ScriptedRunner(script), TextFiles({iproute.ROUTES4: ROUTE})).network()
    assert alone.gateways == ("192.0.2.1",)
    with pytest.raises(XenlocalError, match="/proc"):
        iproute.IpReader(ScriptedRunner(script), TextFiles({})).network()


@pytest.mark.parametrize("text", ["", "x\n", "Iface\nbr0\n", "Iface\nbr0\tzz\t0\t0\t0\t0\t0\t0\n"])
def test_routes_that_are_none(text: str) -> None:
    with pytest.raises(XenlocalError):
        iproute.default_routes4(text)


@pytest.mark.parametrize("text", ["", "[]", "[{}]", "{}", "null", '[{"ifname":"lo"}]', "[1]"])
def test_links_that_are_none(text: str) -> None:
    with pytest.raises(CommandFailed):
        iproute.parse_links(text)


def test_every_table_costs_one_command() -> None:
    state = RECORDS / "bookworm" / "running"
    files = TextFiles({iproute.ROUTES4: ROUTE})
    for name, answer, ask in [
        (("xl", "list", "-v"), text_of(state / "xl-list-v.txt"), HostReader.domains),
        (("xl", "info"), text_of(state / "xl-info.txt"), HostReader.hardware),
        (("xenstore-ls", "-f", "/local/domain/0"), text_of(state / "xenstore-ls-f.txt"), HostReader.xenstore),
        (("ip", "-j", "-d", "addr", "show"), text_of(state / "ip-addr.json"), HostReader.network),
        (lvm.REPORT, report((GROUP, [VOLUME])), HostReader.storage),
    ]:  # fmt: skip
        runner = ScriptedRunner((name, answer))
        ask(HostReader(runner, files, Identities("/var/lib/xenlocal"), NO_KERNELS))
        assert runner.ran == [name]


def test_who_has_an_xl_create_at_work_on_it() -> None:
    create = ("/usr/lib/xen-4.17/bin/xl", "create", "-q")
    lines = (
        (*create, "/run/xenlocal/domains/web.cfg"),
        ("/usr/bin/systemd-run", "--scope", "--unit=x", "--", "xl", "create", "-q", "/run/xenlocal/domains/db.cfg"),
        (*create, "/root/mine.cfg"),
        ("grep", "create", "/run/xenlocal/domains/none.cfg"),
        ("",),
    )
    reader = xl.XlReader(ScriptedRunner(), TextFiles({}, lines))
    assert reader.monitors() == {"web", "db"}


def test_a_leased_address_is_told_from_one_that_was_given() -> None:
    mine = '{"family":"inet","local":"10.9.0.1","prefixlen":24}'
    lease = '{"family":"inet6","local":"2001:db8::5","prefixlen":64,"dynamic":true}'
    head = '"flags":[],"mtu":1500'
    text = f'[{{"ifname":"lo",{head},"addr_info":[]}},{{"ifname":"br0",{head},"addr_info":[{mine},{lease}]}}]'
    link = iproute.parse_links(text)["br0"]
    assert (link.addresses, link.leased) == (("10.9.0.1/24", "2001:db8::5/64"), ("2001:db8::5/64",))


def test_what_is_done_to_which_disks_is_told_by_each_of_their_names() -> None:
    class Links(TextFiles):
        def paths(self, paths: Iterable[str]) -> Mapping[str, PathFacts]:
            here = {"/dev/vg0/web": "/dev/dm-3", "/srv/db.img": "/srv/db.img"}
            return {path: PathFacts(PathKind.FILE, Size(0), here[path]) for path in paths if path in here}

    lines = (
        ("/bin/sh", "/usr/libexec/xenlocal/resize", "web", "/dev/vg0/web"),
        ("/usr/libexec/xenlocal/install", "db", "/srv/db.img"),
        ("/bin/sh", "/usr/libexec/xenlocal/modules", "x", "/srv/gone.img"),
        ("vi", "/usr/libexec/xenlocal/install"),
        ("less", "/usr/libexec/xenlocal/install", "a", "b", "c"),
        ("/bin/bash", "-x", "/usr/libexec/xenlocal/install", "db", "/srv/other.img"),
    )
    reader = HostReader(ScriptedRunner(), Links({}, lines), Identities("/var/lib/xenlocal"), NO_KERNELS)
    assert reader.disks_at_work() == {
        "resize /dev/vg0/web",
        "resize /dev/dm-3",
        "install /srv/db.img",
        "modules /srv/gone.img",
    }
