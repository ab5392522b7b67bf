"""Every key and name of the language, and every verb, with values that would like to be something else.

Each is refused with file and line, or arrives as what it is: one argument, one value of an xl.cfg; never as an option,
a second argument, or a statement of its own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.daemon import WEB, Home
from xenlocal import cli
from xenlocal.adapters import argv
from xenlocal.adapters.host import HostReader
from xenlocal.config import KEYS, Key, read
from xenlocal.model.actions import (
    Action,
    AttachDevice,
    BeginTrial,
    DetachDevice,
    PrepareDisk,
    StageConfig,
    StartDomain,
)
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.desired import Bridge, Desired, Domain, ImageFile, LogicalVolume
from xenlocal.model.diskwork import Preparation
from xenlocal.model.errors import ConfigError
from xenlocal.model.host_actions import (
    ActivateVolume,
    ChangeBridge,
    CreateVolume,
    GrowVolume,
    PurgeVolume,
    ResizeFile,
    RestoreVolume,
    RetireVolume,
)
from xenlocal.model.names import trash_name
from xenlocal.model.observed import LiveDomain, LiveState, Observed
from xenlocal.model.probes import CommandProbe, ConsoleProbe, PingProbe
from xenlocal.model.trial import Trial
from xenlocal.model.units import Size
from xenlocal.planner import preparing, xlcfg
from xenlocal.simulator.xlcfg import parse

EVIL = (
    "-x", "--help", "-", "--", "=", "a=b", "on_crash=destroy", "a;b", "a b", "a,b", ",", "a\tb", "a\rb", "a\x00b",
    'a"b', "a'b", "a\\", "a\\nb", "`id`", "$(id)", "$IFS", "%n", "%s%n", "a|b", "a&b", "a>b", "*", "~root", "#x",
    "[x]", "]", "{x}", "\x1b[2J", "\x7f", "\x85", "a\u2028b", "\u202egnp", "a\u200fb", "\u2066x", "a\u061cb", "\xfc",
    "\u0430dmin", "\uff41", "\U0001f4e6", "\ufeffx", "..", ".", "/", "../../etc/passwd", "a/../b", "x" * 300,
    "x" * 4000, "none", "0", "-1", "1e9", "0x7fffffff", "Domain-0", "/etc/passwd -rf", "/dev/../etc/passwd",
    "/dev/sda;reboot", "/dev/sda --force", "/dev//sda", "/tmp/a=b", "/tmp/a,b", "vg0/-x", "-vg/x", "vg0/..",
    "vg0/x;y", "vg0/x y", "vg0/xenlocal-trash.1.x", "vg0/@x", "@vg/x", "br0 up", "br0;id", "-c1.example.org",
    "host -w1", "10.0.0.1;id", "127.0.0.1:22;id", "[::1%eth0]:22", "::1%-x", "/bin/sh -c 'rm -rf /'",
    "/bin/true -x --help = ; $(id)", "(a+)+$", "-e .", "--file=/etc/shadow", "data/../control", "data/x;y",
    "00:16:3e:00:00:01,script=/tmp/x", "256M;x", "1h -x", "all,^0 -x",
)  # fmt: skip
BENIGN = {"domain": "web", "bridge": "br0", "disk": "xvda", "nic": "eth0"}
HOST_ID = "0" * 32


def written(value: str) -> Iterator[str]:
    """As a file can hold it: bare, in quotes of each kind, and over several lines."""
    yield value
    yield f'"{value}"'
    yield f"'{value}'"
    yield f'"""{value}\nkernel = /tmp/evil\n"""'


def whole(section: str, line: str, **titles: str) -> str:
    """A configuration that is valid with nothing in `line`, which stands in a section of this kind."""
    name = {**BENIGN, **titles}
    lines = {"domain": ["memory = 1G", "kernel = /boot/vmlinuz"], "nic": ["bridge = br0"], "disk": [], "bridge": []}
    where = {kind: [line, *own] if kind == section else own for kind, own in lines.items()}
    if section == "domain":  # none is given twice
        where["domain"] = [line, *(own for own in lines["domain"] if own.split()[0] != line.split("=")[0].strip())]
    if section == "nic" and line.startswith("bridge"):
        where["nic"] = [line]
    disk = where["disk"]
    if not any(each.startswith(("volume", "device", "file")) for each in disk):
        disk = [*disk, "volume = vg0/web-root"]
    if not any(each.startswith("size") for each in disk) and not any(each.startswith("device") for each in disk):
        disk = [*disk, "size = 1G"]
    parts = [f"[bridge {name['bridge']}]", *where["bridge"], f"[domain {name['domain']}]", *where["domain"]]
    parts += [f"[[disk {name['disk']}]]", *disk, f"[[nic {name['nic']}]]", *where["nic"]]
    if section in ("ready", "xl"):
        parts += [f"[[{section}]]", line]
    if section in ("host", "defaults"):
        parts = [f"[{section}]", line, *parts]
    return "\n".join([*parts, ""])


def accepted(text: str) -> Desired | None:
    """None where it is refused: aloud, at a line of the file, in words that a terminal can show."""
    try:
        return read([ConfigFile("web.conf", text)], HOST_ID)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file == "web.conf" and problem.line > 0
            assert str(problem).isprintable() and len(str(problem)) < 1000
        return None


def actions_of(domain: Domain) -> Iterator[Action]:
    settings, size = xlcfg.settings(domain), Size.parse("1G")
    yield StartDomain(domain.name, domain.uuid, xlcfg.render(domain), settings)
    yield StageConfig(domain.name, domain.uuid, 3, xlcfg.render(domain), settings)
    for key, things in (("disk", domain.disks), ("vif", domain.nics)):
        for thing in things:
            spec = xlcfg.part(thing)
            yield AttachDevice(domain.name, domain.uuid, 3, key, spec)
            yield DetachDevice(domain.name, domain.uuid, 3, key, spec)
    for disk in domain.disks:
        if isinstance(disk.backing, LogicalVolume):
            vg, lv = disk.backing.vg, disk.backing.lv
            trash = trash_name(lv, 1e9)
            yield from (CreateVolume(vg, lv, size, "dom0"), GrowVolume(vg, lv, size), ActivateVolume(vg, lv))
            yield from (RetireVolume(vg, lv, trash), RestoreVolume(vg, lv, trash), PurgeVolume(vg, trash))
        elif isinstance(disk.backing, ImageFile):
            yield from (ResizeFile(disk.backing.path, size), ResizeFile(disk.backing.path, size, "grow"))
        if isinstance(disk.backing, LogicalVolume | ImageFile):
            trial = Trial(domain.name, domain.uuid, "6.1", "copy", None)
            yield BeginTrial(trial, disk.backing, ())
            for work in Preparation:
                given = preparing._settings(domain, disk, work, Observed(trials={domain.uuid: trial}))
                yield PrepareDisk(domain.name, domain.uuid, disk.backing, given, work)


def change_of(bridge: Bridge) -> Action:
    ports = bridge.ports or ()
    back = ChangeBridge(bridge.name, remove_ports=ports, remove_address=bridge.address, mtu=1500)
    return ChangeBridge(
        bridge.name, True, ports, (), bridge.address, bridge.mtu, bridge.stp, bridge.vlan_filtering, True, back,
        "192.0.2.1",
    )  # fmt: skip


def lines_of(desired: Desired) -> list[Sequence[str]]:
    """Every command that this configuration can lead to. Raises ValueError where one cannot be run after all."""
    context = argv.Context("/run/xenlocal", True, "0123")
    actions = [*map(change_of, desired.bridges.values())]
    for domain in desired.domains.values():
        actions += actions_of(domain)
    lines: list[Sequence[str]] = [line for action in actions for line in argv.commands(action, context)]
    for domain in desired.domains.values():
        match domain.probe:
            case PingProbe(host):
                lines.append(argv.ping(host))
            case ConsoleProbe(pattern):
                lines.append(argv.grep(pattern))
            case CommandProbe(words):
                lines.append(words)
    return lines


OPTION_WITH_VALUE = re.compile(r"--(unit|description)=[A-Za-z0-9_.,+\\ -]+|--size=>\d+|--setenv=XENLOCAL_[A-Z_]+=.*")
KNOWN_OPTIONS = (
    "-q", "-F", "-n", "-c", "-w", "-W", "-P", "-a", "-e", "-ec", "--yes", "--wipesignatures", "--zero", "--addtag",
    "--size", "--name", "--activate", "--getsize64", "--deltag", "--scope", "--collect", "--quiet",
    "--slice=xenlocal.slice", "--property=Before=xenlocal-guests.service", "--", "--no-create", "--on-active=60s",
    "--timer-property=AccuracySec=1s",
    "--service-type=exec", "--property=PrivateMounts=yes", "--property=TimeoutStopSec=10s",
    "--property=TimeoutStopSec=5min", "--property=RuntimeMaxSec=2h", "--property=RuntimeMaxSec=infinity",
    "--noheadings", "--output", "--associated", "--set-capacity",
)  # fmt: skip


def check_line(line: Sequence[str]) -> None:
    """No word but those that are written in `argv` is an option; and what a shell sees, it reads the same way."""
    for before, word in zip(("", *line), line, strict=False):
        assert "\0" not in word and "\n" not in word, line
        if before == "-e":
            continue  # the pattern of grep, whatever it looks like
        if word.startswith("-"):
            assert word in KNOWN_OPTIONS or OPTION_WITH_VALUE.fullmatch(word), line
        if before in ("-ec", "-c") and line[0] in ("sh", "systemd-run"):
            parts = re.split(r"; |\$\(|\)", word)
            for part in parts:
                words = shlex.split(part)
                if not part.startswith(("for ", "do ", "done", "devices=")):
                    check_line(words)


def check_accepted(desired: Desired) -> None:
    for domain in desired.domains.values():
        settings, config = xlcfg.settings(domain), parse(xlcfg.render(domain), "web.cfg")
        assert list(config) == list(settings), "a statement of its own"
        for key in ("name", "uuid", "kernel", "ramdisk", "cmdline"):
            wanted = getattr(domain, key)
            assert config.get(key) == (wanted if wanted else None), key
        assert len(config["disk"]) == len(domain.disks) and len(config["vif"]) == len(domain.nics)
        for text, disk in zip(config["disk"], domain.disks, strict=True):
            assert text.endswith(f"target={disk.backing.path}") and text.count("=") - disk.backing.path.count("=") == 4
        for text, nic in zip(config["vif"], domain.nics, strict=True):
            assert text == f"mac={nic.mac}, bridge={nic.bridge}"
        for line in lines_of(Desired(domains={domain.name: domain})):
            if not (isinstance(domain.probe, CommandProbe) and line == domain.probe.argv):
                check_line(line)
    for line in lines_of(Desired(bridges=desired.bridges)):
        check_line(line)


def check(text: str) -> bool:
    desired = accepted(text)
    if desired is None:
        return False
    check_accepted(desired)
    return True


def test_what_is_not_hostile_is_accepted() -> None:
    """So that a refusal below is of the value, not of what stands around it."""
    for section, line in {
        "domain": "description = x", "bridge": "mtu = 1500", "disk": "mode = w", "nic": "mac = 00:16:3e:00:00:01",
        "ready": "ping = 192.0.2.1", "xl": "localtime = 1", "host": "resync = 1h", "defaults": "vcpus = 1",
    }.items():  # fmt: skip
        assert check(whole(section, line)), section


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.section}-{key.name}")
def test_every_key(key: Key) -> None:
    for value in EVIL:
        for text in written(value):
            check(whole(key.section, f"{key.name} = {text}"))


@pytest.mark.parametrize("kind", BENIGN)
def test_every_title(kind: str) -> None:
    for value in EVIL:
        for text in written(value):
            check(whole("domain", "", **{kind: text}))


@pytest.mark.parametrize(
    "key", ["timer_mode", "serial", "cpuid", "ioports", "-x", "a b", "a;b", "on_crash", "a=b", "ü", "A"]
)
def test_what_is_passed_on(key: str) -> None:
    for value in EVIL:
        for text in written(value):
            check(whole("xl", f"{key} = {text}"))


def test_a_command_probe_arrives_word_by_word() -> None:
    """Its words are the administrator's own, options too; no shell sees them."""
    desired = accepted(whole("ready", """command = /bin/echo -n '; reboot' $(id) "a b" --x=y"""))
    assert desired is not None
    assert desired.domains["web"].probe == CommandProbe(("/bin/echo", "-n", "; reboot", "$(id)", "a b", "--x=y"))


def test_units_have_names_that_systemd_takes_for_nothing_else() -> None:
    for name in ("a+b", "a.b-c_d", "x" * 63):
        text = whole("domain", "", domain=name)
        assert accepted(text) is not None
        for line in lines_of(read([ConfigFile("web.conf", text)], HOST_ID)):
            for unit in (word.removeprefix("--unit=") for word in line if word.startswith("--unit=")):
                assert re.fullmatch(r"[A-Za-z0-9_.\\-]{1,200}", unit) and "/" not in unit and "@" not in unit


VERBS: Mapping[str, Callable[[str], Sequence[str]]] = {
    "status": lambda name: ["status", "--", name],
    "check": lambda name: ["check", "--", name],
    "start": lambda name: ["start", "--", name],
    "stop": lambda name: ["stop", "--", "web", name],
    "restart": lambda name: ["restart", "--", name],
    "destroy": lambda name: ["destroy", "--yes", "--", name],
    "skip": lambda name: ["skip", "--", name],
    "kernel": lambda name: ["kernel", "--update", "--", name],
    "unlock": lambda name: ["unlock", "--", name],
    "console": lambda name: ["console", "--", name],
    "log": lambda name: ["log", "--", name],
    "trash purge": lambda name: ["trash", "purge", "--yes", "--", name],
    "trash restore": lambda name: ["trash", "restore", "--", name],
    "why": lambda name: ["why", "--", name],
    "history": lambda name: ["history", "--", name],
    "rehearse": lambda name: ["rehearse", f"--start={name}"],
    "rehearse stop": lambda name: ["rehearse", f"--stop={name}"],
}
NAMES = (
    "-x", "", "--help", "a=b", "a;b", "a\nb", "\x1b[2J", "\u202egnp", "\udcff", "..", "../../etc/passwd", "/",
    "x" * 4000, "%s%n", "vg0/-x", "vg0/xenlocal-trash.1.x", "vg0/xenlocal-trash.999999999999.x", "domain/web",
    "host/this", "domain/", "0",
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb(tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows no such name, or does nothing; and says so in words that a terminal can show."""
    home = Home(tmp_path, web=WEB)
    for name in NAMES:
        try:
            code = cli.main(home.argv(*VERBS[verb](name))[3:])
        except SystemExit as error:  # told by argparse that it is no name
            code = int(error.code or 0)
        said = capsys.readouterr()
        assert code in (0, 1, 2, 3, 4, 6), (name, code)
        assert code or verb == "history"
        shown = f"{said.out}{said.err}"
        assert shown and all(line.isprintable() for line in shown.split("\n")), (name, shown)
        assert "Traceback" not in shown and "internal error" not in shown, (name, shown)
    assert cli.main(home.argv("status")[3:]) == 0


def test_console_is_given_a_number_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[Any] = []
    live = {
        n: LiveDomain(n, name, f"uuid{n}", LiveState.RUNNING, Size.parse("1G"), 1)
        for n, name in ((3, "-x"), (4, "web; reboot"))
    }
    monkeypatch.setattr(HostReader, "domains", lambda self: live)
    monkeypatch.setattr("os.execvp", lambda file, words: run.append((file, words)))
    home = Home(tmp_path)
    for name in ("-x", "web; reboot", "web"):
        cli.main([*(word for word in home.argv()[3:] if "simulate" not in word), "console", "--", name])
    assert run == [("xl", ["xl", "console", "3"]), ("xl", ["xl", "console", "4"])]
