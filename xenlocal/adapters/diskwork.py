"""The unit in which a disk of a domU is installed into, its file system grows, or gets modules: how it is begun (PURE),
and what /proc and its log tell of it.

What it runs is a script of the package, in `libexec`. It outlives the daemon, and a host that goes down ends it; the
mark of the disk then says that it has to begin anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from xenlocal.adapters import checked
from xenlocal.model.actions import PrepareDisk, WatchDisk
from xenlocal.model.desired import LogicalVolume
from xenlocal.model.diskwork import Preparation

PROGRAMS = {work: f"/usr/libexec/xenlocal/{work}" for work in Preparation}
LAST_WORDS = 4096  # bytes; of the end of a log that a hook can make as long as it likes

Argv = tuple[str, ...]

# resize2fs is let finish, however large the file system: one that is killed damages it
_LONGEST = {Preparation.INSTALL: "2h", Preparation.RESIZE: "infinity", Preparation.MODULES: "2h"}
_STOP = {Preparation.INSTALL: "10s", Preparation.RESIZE: "5min", Preparation.MODULES: "10s"}
_WHAT = {
    Preparation.INSTALL: "Installation",
    Preparation.RESIZE: "Growth of a file system",
    Preparation.MODULES: "Installation of modules",
}


def unit_of(domain: str, work: Preparation) -> str:
    return f"xenlocal-{work}-{checked.unit_escape(domain)}"


def begin(action: PrepareDisk) -> Argv:
    """Returns when the script has begun (`exec`), which is when it can be seen in /proc. Its mounts are its own and
    vanish with it. It is killed with all that it started, so that no two are at work on one disk. When the host goes
    down, that comes after the shutdown of the guests has begun (FACTS: `Before=` turns round then): else it would look
    like a failure, and a kernel on trial would be given up for it."""
    settings = (f"--setenv={checked.setting(f'{key}={value}')}" for key, value in sorted(action.settings.items()))
    return (
        "systemd-run", "--collect", "--quiet", "--slice=xenlocal.slice", f"--unit={unit_of(action.name, action.work)}",
        f"--description={_WHAT[action.work]} of domU {checked.name(action.name)} by xenlocal", "--service-type=exec",
        "--property=Before=xenlocal-guests.service", "--property=PrivateMounts=yes",
        f"--property=TimeoutStopSec={_STOP[action.work]}",
        f"--property=RuntimeMaxSec={_LONGEST[action.work]}",
        *settings, "--", PROGRAMS[action.work], checked.name(action.name), checked.path(action.disk.path),
    )  # fmt: skip


def watch_by_hand(action: WatchDisk) -> tuple[str, ...]:
    """Shell commands. They end a script where the mark is still there: nothing starts from a half-installed disk."""
    unit = shlex.quote(unit_of(action.name, action.work))
    wait = f"while systemctl --quiet is-active {unit}; do sleep 2; done"
    said = shlex.quote(f"{action.work} of {action.name} has failed: see {action.work.log_of(action.name)}")
    give_up = f"echo {said} >&2; exit 1"
    if isinstance(action.disk, LogicalVolume):
        tags = f"tags=$(lvs --noheadings -o lv_tags {checked.lv(action.disk.vg, action.disk.lv)})"
        return (wait, tags, f"case $tags in *{action.work.mark}*) {give_up};; esac")
    mark = shlex.quote(checked.path(action.work.mark_of_file(action.disk.path)))
    return (wait, f"[ ! -e {mark} ] || {{ {give_up}; }}")


def disks_at_work(command_lines: Iterable[tuple[str, ...]]) -> frozenset[tuple[Preparation, str]]:
    """Of the argument lists of all processes: what is done, and to which disk."""
    return frozenset(
        (work, words[at + 2])
        for words in command_lines
        for at in (0, 1)  # the kernel puts the interpreter before a script
        for work, program in PROGRAMS.items()
        if len(words) == at + 3 and words[at] == program
    )


def last_line(text: str, action: WatchDisk) -> str:
    """Why it has failed, as far as its log tells."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return f"it has left no word; see journalctl -u {unit_of(action.name, action.work)}"
    return f"{lines[-1][:300]}; the whole is in {action.work.log_of(action.name)}"
