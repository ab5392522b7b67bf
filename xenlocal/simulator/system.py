"""The small tools of the simulated host: truncate, fallocate, losetup, blockdev, tail, grep, ping, systemd-run,
systemctl."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from xenlocal.simulator import commands, diskwork, iproute, paths, surroundings
from xenlocal.simulator.answer import Answer, Refused, UnknownCommand, split_options
from xenlocal.simulator.state import Domain, Path, Timer

if TYPE_CHECKING:
    from xenlocal.simulator.host import SimulatedDom0

_RUN_FLAGS = ("--scope", "--collect", "-G", "--quiet", "-q", "--no-block")
_RUN_VALUED = (
    "--slice",
    "--unit",
    "-u",
    "--property",
    "-p",
    "--description",
    "--on-active",
    "--timer-property",
    "--service-type",
    "--setenv",
)


def truncate(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`truncate --size=>N PATH`: creates a sparse file or grows it, never shrinks."""
    options, rest = split_options(argv, ("--no-create", "-c"), ("--size", "-s"))
    match = re.fullmatch(r">(\d+)", (options.get("--size") or options.get("-s") or [""])[0])
    if len(rest) != 1 or not match:
        raise UnknownCommand(argv, "only --size=>BYTES of one file")
    path, size = rest[0], int(match[1])
    if options.keys() & {"--no-create", "-c"} and path not in dom0.state.paths:
        return Answer()
    known = dom0.state.paths.setdefault(path, Path("file", 0))
    if known.kind != "file":
        raise Refused(f"truncate: cannot open '{path}' for writing: Is a directory\n")
    known.size = max(known.size, size)
    return Answer()


def fallocate(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`fallocate --keep-size --length N PATH`: reserves room beyond the end of a file that is there."""
    options, rest = split_options(argv, ("--keep-size",), ("--length",))
    if options.keys() != {"--keep-size", "--length"} or len(rest) != 1:
        raise UnknownCommand(argv)
    known = dom0.state.paths.get(rest[0])
    if known is None:
        raise Refused(f"fallocate: cannot open {rest[0]}: No such file or directory\n")
    known.allocated = max(known.allocated, int(options["--length"][0]))
    return Answer()


def mv(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`mv -T DIRECTORY NAME`."""
    options, rest = split_options(argv, ("-T",), ())
    if options.keys() != {"-T"} or len(rest) != 2:
        raise UnknownCommand(argv)
    below, there = _below(dom0, rest[0]), _below(dom0, rest[1])
    if not below:
        raise Refused(f"mv: cannot stat '{rest[0]}': No such file or directory\n")
    if there:
        raise Refused(f"mv: cannot move '{rest[0]}' to '{rest[1]}': Directory not empty\n")
    for path in below:
        dom0.state.paths[rest[1] + path.removeprefix(rest[0])] = dom0.state.paths.pop(path)
    return Answer()


def _below(dom0: SimulatedDom0, directory: str) -> list[str]:
    return [path for path in dom0.state.paths if path.startswith(f"{directory}/")]


def rm(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`rm -r DIRECTORY`."""
    options, rest = split_options(argv, ("-r",), ())
    if options.keys() != {"-r"} or len(rest) != 1:
        raise UnknownCommand(argv)
    below = _below(dom0, rest[0])
    if not below:
        raise Refused(f"rm: cannot remove '{rest[0]}': No such file or directory\n")
    for path in below:
        del dom0.state.paths[path]
    return Answer()


def losetup(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`losetup --noheadings --output NAME --associated FILE`, `losetup --set-capacity DEVICE` (util-linux 2.38)."""
    options, rest = split_options(argv, ("--noheadings",), ("--output", "--associated", "--set-capacity"))
    disks = [disk for domain in dom0.state.domains for disk in domain.disks if disk.loop is not None]
    if options.keys() == {"--noheadings", "--output", "--associated"} and options["--output"] == ["NAME"] and not rest:
        (path,) = options["--associated"]
        return Answer("".join(f"/dev/loop{disk.loop}\n" for disk in disks if disk.path == path))
    if options.keys() != {"--set-capacity"} or rest:
        raise UnknownCommand(argv)
    (device,) = options["--set-capacity"]
    for disk in disks:
        if f"/dev/loop{disk.loop}" == device:
            facts = paths.facts(dom0, disk.path)
            disk.capacity = facts.size.bytes if facts else disk.capacity
            return Answer()
    raise Refused(f"losetup: {device}: set capacity failed: No such device or address\n")


def tail(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`tail -n N FILE`."""
    options, rest = split_options(argv, ("-q",), ("-n", "-c"))
    if len(rest) != 1:
        raise UnknownCommand(argv)
    text = dom0.state.texts.get(rest[0])
    if text is None:
        raise Refused(f"tail: cannot open '{rest[0]}' for reading: No such file or directory\n")
    if "-c" in options:
        return Answer(text[-int(options["-c"][0]) :])
    return Answer("".join(text.splitlines(keepends=True)[-int(options["-n"][0]) :]))


def blockdev(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`blockdev --getsize64 DEVICE`, of an LV."""
    if len(argv) != 3 or argv[1] != "--getsize64":
        raise UnknownCommand(argv)
    volume = next((each for each in dom0.state.volumes if f"/dev/{each.vg}/{each.lv}" == argv[2]), None)
    if volume is None or not volume.active:
        raise Refused(f"blockdev: cannot open {argv[2]}: No such file or directory\n")
    return Answer(f"{volume.size}\n")


def grep(_dom0: SimulatedDom0, argv: list[str], stdin: str) -> Answer:
    """`grep -P -a -q -e PATTERN` of stdin."""
    if argv[1:5] != ["-P", "-a", "-q", "-e"] or len(argv) != 6:
        raise UnknownCommand(argv)
    return Answer(status=int(not any(re.search(argv[5], line) for line in stdin.split("\n"))))


def ping(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    _, rest = split_options(argv, ("-q", "-n", "-4", "-6"), ("-c", "-W", "-w", "-i", "-I"))
    if len(rest) != 1:
        raise UnknownCommand(argv)
    answered = iproute.reachable(dom0, rest[0])
    text = f"1 packets transmitted, {int(answered)} received, {0 if answered else 100}% packet loss, time 0ms\n"
    return Answer(f"PING {rest[0]}\n\n--- {rest[0]} ping statistics ---\n{text}", "", 0 if answered else 1)


def systemd_run(dom0: SimulatedDom0, argv: list[str], stdin: str | None) -> Answer:
    """A scope around a command, a transient timer, or a transient service."""
    split = next((at for at, word in enumerate(argv) if at and _starts_command(argv, at)), len(argv))
    options, rest = split_options(argv[:split], _RUN_FLAGS, _RUN_VALUED)
    command = argv[split + 1 :] if argv[split : split + 1] == ["--"] else argv[split:]
    if rest or not command:
        raise UnknownCommand(argv)
    unit = (options.get("--unit") or options.get("-u") or [""])[0]
    if "--on-active" in options:
        answer = _timer(dom0, argv, unit or f"run-{dom0.state.seq}", options["--on-active"][0], command)
        return Answer() if options.keys() & {"--quiet", "-q"} else answer
    if "--service-type" in options:
        return diskwork.begin(dom0, argv, unit, command)
    if "--scope" not in options:
        raise UnknownCommand(argv, "neither --scope nor --on-active nor --service-type")
    scope = unit if unit.endswith(".scope") or not unit else f"{unit}.scope"
    if scope and _scope_taken(dom0, scope):
        text = f"Failed to start transient scope unit: Unit {scope} was already loaded or has a fragment file.\n"
        raise Refused(text)
    return commands.execute(dom0, command, stdin, scope)


def _starts_command(argv: list[str], at: int) -> bool:
    word = argv[at]
    return word == "--" or (not word.startswith("-") and argv[at - 1] not in _RUN_VALUED)


def _scope_taken(dom0: SimulatedDom0, scope: str) -> bool:
    held: list[Domain] = [one for one in dom0.state.domains if one.monitor and one.scope == scope]
    return bool(held) or any(event.scope == scope for event in dom0.state.agenda)


def _seconds(text: str, argv: list[str]) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|sec|min|m|ms)?", text)
    if not match:
        raise UnknownCommand(argv, f"time span {text}")
    return float(match[1]) * {"m": 60, "min": 60, "ms": 0.001}.get(match[2], 1)


def _timer(dom0: SimulatedDom0, argv: list[str], unit: str, delay: str, command: list[str]) -> Answer:
    unit = unit.removesuffix(".timer").removesuffix(".service")
    if any(timer.unit == unit for timer in dom0.state.timers):
        text = f"Failed to start transient timer unit: Unit {unit}.timer was already loaded or has a fragment file.\n"
        raise Refused(text)
    due = dom0.now + _seconds(delay, argv)
    dom0.state.timers.append(Timer(unit, due, command))
    return Answer("", f"Running timer as unit: {unit}.timer\nWill run service as unit: {unit}.service\n")


_FOR_EACH = re.compile(
    r"(?P<first>.*)devices=\$\((?P<find>.*)\); for device in \$devices; do (?P<do>[^;]*) \"\$device\"; done"
)


def shell(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`sh -c 'A; B'`, with -e up to the first that fails. Of the shell's language nothing is modelled but `;`, and
    the one loop that xenlocal writes."""
    if len(argv) != 3 or argv[1] not in ("-c", "-ec", "-ce"):
        raise UnknownCommand(argv)
    loop = _FOR_EACH.fullmatch(argv[2])
    if not loop:
        return _lines(dom0, argv, argv[2])
    if argv[1] == "-c":
        raise UnknownCommand(argv, "a loop that does not end at an error")
    begun = _lines(dom0, argv, loop["first"])
    found = begun if begun.status else _lines(dom0, argv, loop["find"])
    if found.status:
        return found
    return _lines(dom0, argv, "; ".join(f"{loop['do']} {device}" for device in found.stdout.split()))


def _lines(dom0: SimulatedDom0, argv: list[str], script: str) -> Answer:
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|<>()`$")
    lexer.whitespace_split, lexer.commenters = True, ""
    lines: list[list[str]] = [[]]
    for word in lexer:
        if word == ";":
            lines.append([])
        elif word and set(word) <= set(";&|<>()`$"):
            raise UnknownCommand(argv, f"shell syntax {word}")
        else:
            lines[-1].append(word)
    answer = Answer()
    stdout = stderr = ""
    for line in lines:
        if line:
            answer = dom0.execute(line)
            stdout, stderr = stdout + answer.stdout, stderr + answer.stderr
            if answer.status and "e" in argv[1]:
                break
    return Answer(stdout, stderr, answer.status)


def systemctl(dom0: SimulatedDom0, argv: list[str]) -> Answer:
    """`systemctl stop|is-active|reset-failed UNIT...`, and `systemctl show`."""
    if argv[1:2] == ["show"]:
        return surroundings.show_units(dom0, argv)
    _, rest = split_options(argv, ("-q", "--quiet", "--no-block"), ())
    verb, units = ([*rest, ""])[0], rest[1:]
    if verb not in ("stop", "is-active", "reset-failed") or not units:
        raise UnknownCommand(argv)
    status, said, errors = 0, [], []
    for unit in units:
        active = any(f"{timer.unit}.timer" == unit for timer in dom0.state.timers) or _scope_taken(dom0, unit)
        if verb == "is-active":
            said.append("active" if active else "inactive")
            status = status if active else 3
        elif verb == "stop" and not active:
            errors.append(f"Failed to stop {unit}: Unit {unit} not loaded.")
            status = 5
        elif verb == "stop" and unit.endswith(".timer"):
            dom0.state.timers = [timer for timer in dom0.state.timers if f"{timer.unit}.timer" != unit]
        elif verb == "stop":
            for domain in dom0.state.domains:  # the monitor dies, the domU lives on without one
                domain.monitor = domain.monitor and domain.scope != unit
    return Answer("".join(f"{line}\n" for line in said), "".join(f"{line}\n" for line in errors), status)
