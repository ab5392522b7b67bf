"""`doctor` and `capacity` through the whole command line, on a simulated dom0."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.app.support import declare, state_of
from xenlocal.adapters.argv import end_look, take_look
from xenlocal.adapters.modules import DEBUGFS
from xenlocal.cli import main
from xenlocal.inspection import examine, look
from xenlocal.model.desired import Desired
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.inspection import Code
from xenlocal.model.observed import Observed
from xenlocal.parts import Parts, Places
from xenlocal.planner.checkup_guests import GUEST_CODES
from xenlocal.planner.checkup_modules import SNAPSHOT_ROOM
from xenlocal.simulator.runner import Fault, SimRunner

TEXT = """
[domain web]
memory = 1G
kernel = /boot/vmlinuz
cpus = 2-3
  [[disk xvda]]
  volume = vg0/web
  size = 10G
  [[disk xvdb]]
  device = /dev/sdx
[domain tool]
state = manual
memory = 2G
kernel = /boot/vmlinuz
"""
COMMANDS = 12
"""However many domUs there are; beside these, for each that runs on an LV and boots a kernel of the dom0:"""
A_SNAPSHOT = ("lvcreate", "debugfs", "lvremove")


@pytest.fixture
def host(host: list[str]) -> list[str]:
    """The global options of a host that has booted."""
    declare(host, TEXT)
    change(host, lambda state: state["paths"].update({"/dev/sdx": {"kind": "block", "device": "8:80"}}))
    assert main([*host, "boot"]) == 0
    return host


def change(host: list[str], how: Callable[[dict[str, Any]], object]) -> None:
    """By hand, in the FILE of --simulate."""
    path = state_of(host)
    state = (
        json.loads(path.read_text()) if path.exists() else {"paths": {}, "groups": [{"name": "vg0", "size": 1 << 39}]}
    )
    how(state)
    path.write_text(json.dumps(state))


def findings(host: list[str], capsys: pytest.CaptureFixture[str], code: int) -> set[tuple[str, str]]:
    """Code and severity of each that is not well."""
    capsys.readouterr()
    assert main([*host, "doctor", "--json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == 1 and data["ok"] == (code == 0)
    assert {each["code"] for each in data["findings"]} == set(Code)
    found = [(each["code"], each["severity"]) for each in data["findings"] if each["severity"] != "ok"]
    for severity in ("critical", "warning", "unknown"):
        assert data[severity] == [how for _, how in found].count(severity)
    return set(found)


def test_a_host_that_is_well(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert findings(host, capsys, 0) == {("guest-clock", "info")}
    assert main([*host, "doctor"]) == 0
    said = capsys.readouterr().out
    assert "info: guest-clock: unknown from here: by how much the clocks of the 1 guests" in said
    assert "fine: config, dom0-mem, " in said and "nothing is wrong that a doctor could see" in said


def everything_wrong(state: dict[str, Any]) -> None:
    around = state["surroundings"]
    around |= {"nodes": 2, "swapped_mib": 100, "synchronised": False, "scan_lvs": True}
    around["units"] = {
        "xenlocal.service": {"active": "failed"},
        "xendomains.service": {"file": "generated", "stops": True, "stale": True},
        "libvirtd.socket": {},
    }
    around["packages"] = {"xen-utils-4.20": "4.20.1"}
    state |= {"xen_commandline": "placeholder", "memory_mib": 1 << 17, "console_log": False, "cpus": 6}
    state["domains"][0]["pinned"] = "0,5"
    state["texts"]["/var/lib/xen/save/web"] = "memory"
    state["texts"]["/etc/xen/auto/web.cfg"] = ""
    state["texts"]["/etc/needrestart/needrestart.conf"] = ""
    state["texts"]["/etc/default/grub"] = 'GRUB_CMDLINE_XEN_DEFAULT="loglvl=all"\n'
    state["paths"]["/dev/sdx1"] = {"kind": "block", "device": "8:81", "real": "/dev/sdx1"}
    state["groups"].append({"name": "inner", "size": 1 << 30, "disk": "/dev/sdx1"})


def test_a_host_on_which_nothing_is_well(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    change(host, everything_wrong)
    found = findings(host, capsys, 1)
    critical = {
        Code.DOM0_MEM, Code.DOM0_VCPUS, Code.VERSIONS, Code.SAVE_IMAGE, Code.XENDOMAINS, Code.UNITS, Code.LVM_FILTER,
    }  # fmt: skip
    assert {code for code, severity in found if severity == "critical"} == critical
    assert {code for code, severity in found if severity == "warning"} == {
        Code.AUTOBALLOON, Code.DOM0_SWAP, Code.NUMA, Code.UNITS, Code.AUTO_LINK, Code.TOOLSTACK, Code.NEEDRESTART,
        Code.LVM_FILTER, Code.CLOCK, Code.CONSOLE_LOG,
    }  # fmt: skip
    assert main([*host, "doctor"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("CRITICAL: dom0-mem: ")
    line = 'GRUB_CMDLINE_XEN_DEFAULT="loglvl=all dom0_mem=8G,max:8G dom0_max_vcpus=4" in /etc/default/grub'
    assert f"    next: {line}" in said
    assert 'next: `vgchange -an inner`; global_filter = [ "r!^/dev/sdx(-part|p)?[0-9]*$!" ]' in said


def test_files_that_are_not_valid_are_a_finding(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(host[0].partition("=")[2], "a.conf").write_text("[domain web\n")
    assert findings(host, capsys, 5) == {("config", "warning"), ("guest-clock", "info")}


def test_what_cannot_be_looked_at_is_unknown(
    host: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def strike(_self: SimRunner, argv: Sequence[str], **_options: Any) -> str:
        raise CommandFailed(argv, None, "")

    monkeypatch.setattr(SimRunner, "run", strike)
    unknown = {code for code, severity in findings(host, capsys, 5) if severity == "unknown"}
    files_only = {
        Code.CONFIG, Code.DOM0_SWAP, Code.SAVE_IMAGE, Code.AUTO_LINK, Code.NEEDRESTART, Code.CONSOLE_LOG,
        Code.BOOT_FILES, Code.KERNEL_MEMORY,
    }  # fmt: skip
    # no disk of the files is on iSCSI, none has a menu, and all domUs are pv guests without devices of the host
    idle = {Code.ISCSI, Code.BOOT_MENU, Code.GUEST_TYPE, Code.PCI, Code.IOMMU, Code.USB}
    assert unknown == set(Code) - files_only - idle
    assert main([*host, "capacity", "--json"]) == 5
    data = json.loads(capsys.readouterr().out)
    assert data["memory"] is None and data["groups"] is None
    assert [each["table"] for each in data["unavailable"]] == ["memory", "groups"]
    assert main([*host, "capacity"]) == 5
    assert "unknown: memory: " in capsys.readouterr().out


def test_a_constant_number_of_commands_that_change_nothing(tmp_path: Path, host: list[str]) -> None:
    parts = Parts(Places(*(option.partition("=")[2] for option in host)))
    ran: list[tuple[str, ...]] = []
    real = parts.host(live=False)
    sim: Any = real.inspector._runner
    sim._on_run = lambda argv, _seconds, _status: ran.append(tuple(argv))

    class Known(Parts):
        def host(self, live: bool) -> Any:
            return real

    before = sim.dom0.state.domains, sim.dom0.state.volumes, len(sim.dom0.trace)
    data = examine("doctor", Known(parts.places))
    assert data["ok"] and len(ran) == COMMANDS + len(A_SNAPSHOT)
    assert examine("capacity", Known(parts.places))["ok"] and len(ran) == COMMANDS + len(A_SNAPSHOT) + 4
    assert [argv for argv in ran if argv[0] in A_SNAPSHOT] == [
        take_look("vg0", "web", SNAPSHOT_ROOM),
        (*DEBUGFS, "/dev/vg0/xenlocal-look.web"),
        end_look("vg0", "xenlocal-look.web"),
    ]
    assert {argv[:2] for argv in ran if argv[0] not in A_SNAPSHOT} == {
        ("xl", "list"), ("xl", "info"), ("xl", "vcpu-list"), ("lvm", "fullreport"), ("lvm", "vgs"),
        ("lvm", "lvmconfig"), ("ip", "-j"), ("xenstore-ls", "-f"), ("systemctl", "show"), ("timedatectl", "show"),
        ("dpkg-query", "--show"),
    }  # fmt: skip
    assert (sim.dom0.state.domains, sim.dom0.state.volumes) == before[:2]


def test_one_command_that_fails_leaves_the_rest_known(host: list[str]) -> None:
    parts = Parts(Places(*(option.partition("=")[2] for option in host)))
    real = parts.host(live=False)
    sim: Any = real.inspector._runner
    sim.faults = lambda argv, _number: Fault() if argv[0] == "timedatectl" else None
    facts = look(real.inspector, Desired(), Observed())
    assert "timedatectl" in getattr(facts.clock, "why", "")
    unknown = [name for name in vars(facts) if hasattr(getattr(facts, name), "why")]
    assert unknown == ["clock"]


def test_check_says_what_would_not_start_here(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*host, "check"]) == 0
    assert "the configuration is valid\n" in capsys.readouterr().out
    declare(host, TEXT.replace("kernel = /boot/vmlinuz\ncpus = 2-3", "bootloader = pygrub"))
    assert main([*host, "check"]) == 5
    said = capsys.readouterr().out
    assert said.startswith("the configuration is valid; not every domU can start on this host as it is:\n")
    assert "CRITICAL: boot-menu: domain/web cannot boot from its disk xvda, volume/vg0/web: pygrub says: " in said
    assert "fine" not in said and "dom0-mem" not in said
    assert main([*host, "check", "--json"]) == 5
    data = json.loads(capsys.readouterr().out)
    assert data["ok"] and data["problems"] == []
    assert [each["code"] for each in data["findings"]] == list(GUEST_CODES)
    assert main([*host, "check", str(Path(host[0].partition("=")[2], "a.conf"))]) == 0
    assert capsys.readouterr().out.endswith("the configuration is valid\n")
    change(host, lambda state: state["surroundings"].update(menus={"/dev/vg0/web": "root=/dev/xvda ro"}))
    assert main([*host, "check"]) == 0
    assert "boots from its disk xvda, volume/vg0/web with: root=/dev/xvda ro" in capsys.readouterr().out
    declare(host, TEXT + "[domain")
    assert main([*host, "check", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_check_says_which_modules_a_guest_would_miss(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whether it runs or not; and nothing is left of the look."""
    change(host, lambda state: state["surroundings"].update(modules={"/dev/vg0/web": ["6.1.0-18-amd64"]}))
    for verb in ("start", "stop"):
        assert main([*host, verb, "web"]) == 0
        assert main([*host, "check"]) == 5
        assert (
            "warning: modules: domain/web has no modules at its next start: its kernel /boot/vmlinuz is 6.1.0-49-amd64,"
            " and /lib/modules of its disk xvda, volume/vg0/web, has 6.1.0-18-amd64"
        ) in capsys.readouterr().out
        assert [each["lv"] for each in json.loads(state_of(host).read_text())["volumes"]] == ["web"]


def test_check_looks_at_no_host_that_is_not_there(
    host: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For anybody on any machine; and for root on a dom0 of Xen."""
    real = host[:-1]

    def looks(_self: Parts, live: bool) -> None:
        raise XenlocalError(f"it looks, {live}")

    monkeypatch.setattr(Parts, "host", looks)
    for uid, xen, dom0, seen in (
        (1000, "/", True, False),
        (0, "/no-xen", True, False),
        (0, "/", False, False),
        (0, "/", True, True),
    ):
        monkeypatch.setattr("xenlocal.parts._XEN", xen)
        monkeypatch.setattr("os.geteuid", lambda uid=uid: uid)
        monkeypatch.setattr("xenlocal.hosts.is_dom0", lambda dom0=dom0: dom0)
        assert main([*real, "check"]) == (1 if seen else 0)
        assert ("it looks, False" in capsys.readouterr().err) == seen


def test_capacity(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main([*host, "capacity", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    gib = 1 << 30
    assert data["groups"] == [
        {
            "name": "vg0", "total": 512 * gib, "used": 10 * gib, "promised": 10 * gib, "promised_manual": 0,
            "free": 502 * gib, "free_after_boot": 502 * gib, "largest": 502 * gib,
        }
    ]  # fmt: skip
    memory = data["memory"]
    assert (memory["promised"], memory["promised_manual"]) == ((1024 + 9) << 20, (2048 + 9) << 20)
    assert main([*host, "capacity"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()[:3] == ["TOTAL", "USED", "PROMISED"]
    assert said[2].split() == ["volume", "group", "vg0", "512.0G", "10.0G", "10.0G", "0M", "502.0G", "502.0G", "502.0G"]
    change(host, lambda state: state.update(memory_mib=3000, xl_conf='autoballoon="on"\n'))
    Path(host[0].partition("=")[2], "a.conf").write_text(TEXT.replace("memory = 1G", "memory = 9G"))
    assert main([*host, "capacity"]) == 0
    told = capsys.readouterr().out
    assert "not all domUs with state = running can run at once" in told and "autoballoon is on" in told
