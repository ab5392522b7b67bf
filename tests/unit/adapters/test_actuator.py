"""HostActuator: files before commands, time limits, scripts, and the way back of a bridge."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.adapters.scripted import NO_KERNELS, Answer, ScriptedRunner
from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.identities import Identities
from xenlocal.model import actions as act
from xenlocal.model import host_actions as host_act
from xenlocal.model.desired import ImageFile, LogicalVolume
from xenlocal.model.errors import CommandFailed, Temporary, ToolMissing, XenlocalError
from xenlocal.model.identity import Identity
from xenlocal.model.units import Duration, Size

UUID = "00000000-0000-4000-8000-000000000001"
RUN = "/run/xenlocal"
FAILED = CommandFailed(["x"], 1, "no")


def actuator(runner: ScriptedRunner, written: dict[str, str] | None = None, systemd: bool = False) -> HostActuator:
    clock = iter(range(0, 10000, 3))
    written = {} if written is None else written
    return HostActuator(
        runner, RUN, systemd, Identities("/var/lib/xenlocal"), NO_KERNELS,
        write=written.__setitem__, unique=lambda: "k1", clock=lambda: float(next(clock)), pause=lambda seconds: None,
    )  # fmt: skip


def test_start_writes_the_configuration_first() -> None:
    written: dict[str, str] = {}
    runner = ScriptedRunner((("xl", "create", "-q", f"{RUN}/domains/web.cfg"), ""))
    actuator(runner, written).perform(act.StartDomain("web", UUID, "name = 'web'\n"))
    assert written == {f"{RUN}/domains/web.cfg": "name = 'web'\n"}
    assert runner.timeouts == [600.0]


@pytest.mark.parametrize(("within", "timeout"), [(None, 600.0), (Duration(60), 57.0), (Duration(900), 600.0)])
def test_a_destroy_has_the_time_that_the_host_has(within: Duration | None, timeout: float) -> None:
    runner = ScriptedRunner((("xl", "destroy", "3"), ""))
    actuator(runner).perform(act.DestroyDomain("web", UUID, 3, "destroy", within))
    assert runner.timeouts == [timeout]


def test_a_scope_gets_the_time_of_what_it_runs() -> None:
    start = act.StartDomain("web", UUID, "")
    (line,) = actuator(ScriptedRunner(), systemd=True).script(start)[2:]
    assert "--unit=xenlocal-web-by-hand" in line
    runner = ScriptedRunner((shlex.split(line.replace("by-hand", "k1")), ""))
    actuator(runner, systemd=True).perform(start)
    assert runner.timeouts == [600.0]


def test_stops_at_the_first_failure() -> None:
    trash = "xenlocal-trash.1.a"
    runner = ScriptedRunner((("lvchange", "--addtag", "xenlocal-kept", f"vg0/{trash}"), FAILED))
    with pytest.raises(CommandFailed):
        actuator(runner).perform(host_act.RestoreVolume("vg0", "a", trash))


def test_an_unsafe_action_runs_nothing() -> None:
    with pytest.raises(XenlocalError, match="cannot purge volume/vg0/data"):
        actuator(ScriptedRunner()).perform(host_act.PurgeVolume("vg0", "data"))
    (line,) = actuator(ScriptedRunner()).script(host_act.PurgeVolume("vg0", "data"))
    assert line.startswith("# cannot purge")


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "domains").write_text("in the way")
    host = HostActuator(ScriptedRunner(), str(tmp_path), False, Identities(str(tmp_path)), NO_KERNELS)
    with pytest.raises(XenlocalError, match="cannot write"):
        host.perform(act.StartDomain("web", UUID, ""))


def test_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "run/domains/web.cfg"
    runner = ScriptedRunner((("xl", "create", "-q", str(path)), ""))
    HostActuator(runner, str(tmp_path / "run"), False, Identities(str(tmp_path)), NO_KERNELS).perform(
        act.StartDomain("web", UUID, "secret")
    )
    assert path.read_text() == "secret" and path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["web.cfg"]


def test_script_of_a_start_can_be_run_by_a_shell(tmp_path: Path) -> None:
    host = HostActuator(ScriptedRunner(), str(tmp_path / "run dir"), False, Identities(str(tmp_path)), NO_KERNELS)
    text = "name = 'web'\nextra = \"$(reboot) `x` \\\\\"\nXENLOCAL-END\n"
    lines = host.script(act.StartDomain("web", UUID, text))
    assert lines[-1] == f"xl create -q '{tmp_path}/run dir/domains/web.cfg'"
    subprocess.run(["sh", "-e"], input="\n".join(lines[:-1]), text=True, check=True)
    path = tmp_path / "run dir/domains/web.cfg"
    assert path.read_text() == text and path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("lvs", "marked", "lv_goes_on", "file_goes_on"),
    [
        ("echo xenlocal,xenlocal-install", True, False, False),
        ("echo xenlocal", False, True, True),
        ("exit 5", False, False, True),
    ],
)
def test_script_of_an_installation_ends_where_that_has_failed(
    tmp_path: Path, lvs: str, marked: bool, lv_goes_on: bool, file_goes_on: bool
) -> None:
    """By hand as well, nothing starts from a half-installed disk. The unit is over when it is asked a second time."""
    asks = 'echo "$@" >>asked; [ "$(wc -l <asked)" = 1 ]'
    for name, text in {"lvs": lvs, "systemctl": asks, "sleep": "echo slept"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    disk = ImageFile(str(tmp_path / "a b.img"))
    if marked:
        Path(f"{disk.path}.xenlocal-install").touch()
    host = HostActuator(ScriptedRunner(), str(tmp_path), True, Identities(str(tmp_path)), NO_KERNELS)
    for backing, goes_on in ((LogicalVolume("vg0", "web"), lv_goes_on), (disk, file_goes_on)):
        (tmp_path / "asked").unlink(missing_ok=True)
        lines = ["set -e", *host.script(act.WatchDisk("w+b", UUID, backing)), "echo starts"]
        path = f"{tmp_path}:/usr/bin:/bin"
        done = subprocess.run(
            ["/bin/sh", "-c", "\n".join(lines)],
            env={"PATH": path}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (tmp_path / "asked").read_text() == "--quiet is-active xenlocal-install-w\\x2bb\n" * 2
        assert (done.returncode == 0, "starts" in done.stdout) == (goes_on, goes_on)
        assert ("see /var/log/xenlocal/install-w+b.log" in done.stderr) == (not goes_on and lvs != "exit 5")


BACK = host_act.ChangeBridge("br0", mtu=1500)
CHANGE = host_act.ChangeBridge("br0", mtu=1400, way_back=BACK, gateway="192.0.2.1")
PING = (("ping", "-n", "-q", "-c", "1", "-w", "5", "192.0.2.1"), "")
NO_PING = (PING[0], FAILED)
MTU = ("ip", "link", "set", "dev", "br0", "mtu")
ARM: tuple[tuple[str, ...], Answer] = ((
    "systemd-run", "--on-active=60s", "--timer-property=AccuracySec=1s", "--quiet", "--collect",
    "--unit=xenlocal-way-back-br0", "/bin/sh", "-c", "ip link set dev br0 mtu 1500",
), "")  # fmt: skip
LO: dict[str, object] = {"ifname": "lo", "flags": ["UP"], "mtu": 65536, "addr_info": []}
KIND = {"info_kind": "bridge", "info_data": {"stp_state": 0, "vlan_filtering": 0}}
BR0 = {**LO, "ifname": "br0", "mtu": 1500, "linkinfo": KIND}
LOOK = (("ip", "-j", "-d", "addr", "show"), json.dumps([LO, BR0]))
DISARM = (("systemctl", "stop", "xenlocal-way-back-br0.timer"), "")


def test_way_back_is_armed_before_and_disarmed_after() -> None:
    runner = ScriptedRunner(PING, LOOK, ARM, ((*MTU, "1400"), ""), NO_PING, PING, DISARM)
    actuator(runner, systemd=True).perform(CHANGE)
    assert not runner.script


def test_a_way_back_to_what_is_no_more_is_not_armed() -> None:
    """Such as by the timer of an earlier one, which came while the gateway was asked: it would cut the host off."""
    runner = ScriptedRunner(PING, (LOOK[0], json.dumps([LO, {**BR0, "mtu": 1400}])))
    with pytest.raises(Temporary, match="has changed since it was looked at"):
        actuator(runner, systemd=True).perform(CHANGE)
    assert not runner.script


def test_a_change_with_a_way_back_is_over_before_that_comes() -> None:
    """A command that hangs, and takes effect when the way back has come and gone, would stay for good."""
    runner = ScriptedRunner(PING, LOOK, ARM, ((*MTU, "1400"), ""), PING, DISARM)
    actuator(runner, systemd=True).perform(CHANGE)
    armed, changed = runner.timeouts[2:4]
    assert armed == 120.0 and 1 <= changed <= 15


def test_way_back_is_taken_when_the_gateway_is_gone() -> None:
    runner = ScriptedRunner(PING, LOOK, ARM, ((*MTU, "1400"), ""), *[NO_PING] * 10, ((*MTU, "1500"), ""), DISARM)
    with pytest.raises(Temporary, match="was taken back"):
        actuator(runner, systemd=True).perform(CHANGE)
    assert not runner.script


def test_way_back_is_taken_when_the_change_fails() -> None:
    runner = ScriptedRunner(PING, LOOK, ARM, ((*MTU, "1400"), FAILED), ((*MTU, "1500"), ""), DISARM)
    with pytest.raises(CommandFailed):
        actuator(runner, systemd=True).perform(CHANGE)
    assert not runner.script


def test_the_timer_stays_when_the_way_back_fails() -> None:
    runner = ScriptedRunner(PING, LOOK, ARM, ((*MTU, "1400"), FAILED), ((*MTU, "1500"), FAILED))
    with pytest.raises(CommandFailed):
        actuator(runner, systemd=True).perform(CHANGE)
    assert not runner.script


def test_nothing_is_changed_when_the_gateway_does_not_answer_before() -> None:
    runner = ScriptedRunner(*[NO_PING] * 2)
    with pytest.raises(Temporary, match="before the change"):
        actuator(runner, systemd=True).perform(CHANGE)
    assert not runner.script


def test_nothing_is_changed_when_the_way_back_cannot_be_armed() -> None:
    runner = ScriptedRunner(PING, LOOK, (ARM[0], FAILED))
    with pytest.raises(CommandFailed):
        actuator(runner, systemd=True).perform(CHANGE)
    assert not runner.script


def test_grow_of_a_file() -> None:
    script = (
        "truncate --no-create '--size=>9' /a; devices=$(losetup --noheadings --output NAME --associated /a); "
        'for device in $devices; do losetup --set-capacity "$device"; done'
    )
    actuator(ScriptedRunner((("sh", "-ec", script), ""))).perform(host_act.ResizeFile("/a", Size(9), "grow"))


STOP = act.StopDomain("web", UUID, 5, Duration(60))
READ, WRITE = (
    ("xenstore-read", "/local/domain/5/vm"),
    ("xenstore-write", "/local/domain/5/control/shutdown", "poweroff"),
)
ASK = ("xl", "shutdown", "-F", "5")
HUNG = CommandFailed(ASK, None, "")


def test_xenstore_asks_where_xl_hangs_and_nobody_waits_for_long() -> None:
    runner = ScriptedRunner((ASK, HUNG), (READ, f"/vm/{UUID}\n"), (WRITE, ""))
    actuator(runner).perform(STOP)
    assert not runner.script and sum(runner.timeouts) <= 40


@pytest.mark.parametrize(
    "rest", [((READ, "/vm/another\n"),), ((READ, HUNG),), ((READ, f"/vm/{UUID}\n"), (WRITE, ToolMissing("no")))]
)
def test_what_xl_said_is_told_where_xenstore_does_not_ask_either(rest: tuple[tuple[tuple[str, ...], Any], ...]) -> None:
    runner = ScriptedRunner((ASK, ToolMissing("no xl")), *rest)
    with pytest.raises(ToolMissing, match="no xl"):
        actuator(runner).perform(STOP)
    assert not runner.script


def test_an_identity_is_kept_in_a_file_of_our_own_and_forgotten_again(tmp_path: Path) -> None:
    store = Identities(str(tmp_path))
    host = HostActuator(ScriptedRunner(), str(tmp_path), False, store, NO_KERNELS)
    lic, web = Identity("lic", UUID, ("00:16:3e:00:00:01",), ("volume/vg0/lic",)), Identity("web", "other")
    assert store.all() == {}
    host.perform(act.LockIdentity(web))
    host.perform(act.LockIdentity(lic))
    assert Identities(str(tmp_path)).all() == {UUID: lic, "other": web}
    host.perform(act.UnlockIdentity(web))
    assert Identities(str(tmp_path)).all() == {UUID: lic}
    assert host.script(act.LockIdentity(lic)) == (
        f"# to lock domain/lic is no command: {tmp_path}/identities.json is xenlocal's own",
    )


_OTHER_TYPES = (
    '{"name": 1, "uuid": "u", "macs": [], "disks": []}',
    '{"name": "a", "uuid": "u", "macs": "ab", "disks": []}',
)
_NEWER = '{"schema": 2, "identities": []}'
_BROKEN = (
    "", "[]", "{}", _NEWER, "[" * 100_000,
    *(f'{{"schema": 1, "identities": [{each}]}}' for each in ("{}", *_OTHER_TYPES)),
)  # fmt: skip


@pytest.mark.parametrize("text", _BROKEN, ids=range(len(_BROKEN)))
def test_identities_that_cannot_be_understood_are_not_none(tmp_path: Path, text: str) -> None:
    store = Identities(str(tmp_path))
    (tmp_path / "identities.json").write_text(text)
    (tmp_path / "identities.json").chmod(0o600)
    for ask in (store.all, lambda: store.put(Identity("a", "u")), lambda: store.forget("u")):
        with pytest.raises(XenlocalError, match="cannot understand .*identities.json"):
            ask()
    assert (tmp_path / "identities.json").read_text() == text
    (tmp_path / "identities.json").chmod(0o622)
    with pytest.raises(XenlocalError, match="cannot trust"):
        store.all()
