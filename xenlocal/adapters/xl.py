"""What `xl` says: the domains, the hardware, and what a monitor wrote last.

Format of `xl list -v`: tools/xl/xl_list.c of Xen 4.17 to 4.20, a header and a line a domain, columns separated by
blanks except for the name, which may hold any character, so a line is read from its right end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from xenlocal.adapters.command import Runner
from xenlocal.adapters.files import FileReader
from xenlocal.engine.ports import LastWords
from xenlocal.model.errors import CommandFailed
from xenlocal.model.observed import Hardware, LiveDomain, LiveState
from xenlocal.model.units import Size

XL_CONF = "/etc/xen/xl.conf"
LOG_DIRECTORY = "/var/log/xen"
_LIST = ("xl", "list", "-v")
_INFO = ("xl", "info")
_LOOK = 30.0  # seconds; with xenstored dead it hangs for ever, and the shutdown of the host cannot wait for long
_HEADER = re.compile(r"Name +ID +Mem VCPUs\s+State\s+Time\(s\) +UUID +Reason-Code\s+Security Label *")
_LINE = re.compile(
    r"(?P<name>.*?) +(?P<domid>\d+) +(?P<memory>\d+) +(?P<vcpus>\d+) +(?P<state>[r-][b-][p-][s-][rscw?-][d-])"
    r" +\d+\.\d +(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) +(?P<reason>-|[0-9a-f]+) +\S+ *"
)
# Reasons of a shutdown, hexadecimal (xen/include/public/sched.h).
_REBOOT, _SUSPEND, _CRASH, _WATCHDOG, _SOFT_RESET = "1", "2", "3", "4", "5"


class XlReader:
    """`runner` runs xl and tail; `files` reads xl.conf. `dom0_cpus()`: the dom0's own CPUs, which `xl info` does not
    tell; the Domain-0 line of the last `domains()` is preferred."""

    def __init__(self, runner: Runner, files: FileReader, dom0_cpus: Callable[[], int | None] = os.cpu_count) -> None:
        self._runner, self._files, self._dom0_cpus = runner, files, dom0_cpus
        self._dom0_vcpus: int | None = None

    def domains(self) -> Mapping[int, LiveDomain]:
        """Every domain but dom0, by domid. Raises CommandFailed, ToolMissing."""
        dom0_vcpus, domains = parse_list(self._runner.run(_LIST, timeout=_LOOK))
        self._dom0_vcpus = dom0_vcpus
        return domains

    def hardware(self) -> Hardware:
        """Memory in bytes (xl prints MiB). Raises CommandFailed, ToolMissing, XenlocalError."""
        info = parse_info(self._runner.run(_INFO, timeout=60))
        return Hardware(
            total=Size.mib(_number(info, "total_memory")),
            free=Size.mib(_number(info, "free_memory")),
            cpus=_number(info, "max_cpu_id") + 1,
            dom0_vcpus=self._dom0_vcpus or self._dom0_cpus() or 1,
            scheduler=info["xen_scheduler"],
            autoballoon=autoballoon(self._files.read_text(XL_CONF) or "", info["xen_commandline"]),
            capabilities=frozenset(info.get("virt_caps", "").split()),
        )

    def monitors(self) -> frozenset[str]:
        """An `xl create` stays as the monitor of its domU, under the same command line: it creates, and after a
        guest's reboot creates anew (xl_vmcontrol.c, create_domain()). Raises XenlocalError."""
        # systemd-run becomes the `xl create` as soon as systemd has made the scope
        ours = ("xl", "systemd-run")
        configs = [line[-1] for line in self._files.command_lines() if "create" in line and line[0].endswith(ours)]
        return frozenset(found[1] for path in configs if (found := _CONFIG.fullmatch(path)))

    def last_words(self, name: str) -> LastWords:
        """From the log of the `xl` monitor of the domU `name`. A log that is missing says nothing."""
        log = f"{LOG_DIRECTORY}/xl-{name}.log"
        return parse_log(self._runner.run(("tail", "-n", "20", log), timeout=10, ok=frozenset({0, 1})))


class _Listing(NamedTuple):
    dom0_vcpus: int
    domains: Mapping[int, LiveDomain]


def parse_list(text: str) -> _Listing:
    """`xl list -v`. Raises CommandFailed unless the header, Domain-0 and every line are understood.

    A text cut off within a line is noticed. One cut off after a whole line is not, by the text: xl prints no end
    mark. That it exited with 0 and all it wrote arrived is then what stands for it.
    """
    lines = text.split("\n")
    if not _HEADER.fullmatch(lines[0]):
        raise CommandFailed(_LIST, 0, f"its output does not begin with the header: {lines[0]!r}")
    if lines.pop():
        raise CommandFailed(_LIST, 0, "its output ends within a line")
    dom0_vcpus: int | None = None
    domains = {}
    for line in lines[1:]:
        match = _LINE.fullmatch(line)
        if not match:
            raise CommandFailed(_LIST, 0, f"cannot understand its line {line!r}")
        domid = int(match["domid"])
        if domid == 0:
            dom0_vcpus = int(match["vcpus"])
        elif domid in domains:
            raise CommandFailed(_LIST, 0, f"it lists domid {domid} twice")
        else:
            domains[domid] = _domain(domid, match)
    if dom0_vcpus is None:
        raise CommandFailed(_LIST, 0, "it does not list Domain-0")
    return _Listing(dom0_vcpus, MappingProxyType(domains))


def _domain(domid: int, match: re.Match[str]) -> LiveDomain:
    return LiveDomain(
        domid=domid,
        name="" if match["name"] == "(null)" else match["name"],
        uuid=match["uuid"],
        state=_state(match["state"], match["reason"]),
        memory=Size.mib(int(match["memory"])),
        vcpus=int(match["vcpus"]),
    )


def _state(letters: str, reason: str) -> LiveState:
    """A guest that ended in order to reboot is about to be destroyed by its monitor: no shell of ours to reap.
    One that is suspended is being saved or migrated by hand: alive, and not to be reaped either."""
    if "d" in letters:
        return LiveState.DYING
    if "s" in letters:
        if reason in (_REBOOT, _SOFT_RESET):
            return LiveState.DYING
        if reason == _SUSPEND:
            return LiveState.PAUSED
        return LiveState.CRASHED if "c" in letters or reason in (_CRASH, _WATCHDOG) else LiveState.SHUTDOWN
    if "c" in letters:
        return LiveState.CRASHED
    return LiveState.PAUSED if "p" in letters else LiveState.RUNNING


_CONFIG = re.compile(r".*/domains/([^/]+)\.cfg")  # as argv.config_file names it
_NEEDED = ("total_memory", "free_memory", "max_cpu_id", "xen_scheduler", "xen_commandline")


def parse_info(text: str) -> Mapping[str, str]:
    """`xl info`: lines of `key : value`. Raises CommandFailed where one that is needed is missing."""
    if not text.endswith("\n"):
        raise CommandFailed(_INFO, 0, "its output ends within a line")
    pairs = (line.partition(":") for line in text.splitlines())
    info = {key.strip(): value.strip() for key, colon, value in pairs if colon}
    missing = [key for key in _NEEDED if key not in info]
    if missing:
        raise CommandFailed(_INFO, 0, f"it does not say {', '.join(missing)}")
    return info


def _number(info: Mapping[str, str], key: str) -> int:
    if not info[key].isdecimal():
        raise CommandFailed(_INFO, 0, f"its {key} is no number: {info[key]!r}")
    return int(info[key])


_AUTOBALLOON = re.compile(r"""^\s*autoballoon\s*=\s*["']?(\w+)["']?\s*(?:[;#].*)?$""", re.MULTILINE)
_DOM0_MEM = re.compile(r"(?:^| )dom0_mem=\S")


def autoballoon(xl_conf: str, xen_commandline: str) -> bool:
    """Whether dom0 gives memory away at `xl create`. tools/xl/xl.c: `auto`, the default and what xl falls back to,
    means yes unless Xen was booted with dom0_mem=."""
    said = _AUTOBALLOON.findall(xl_conf)
    if said and said[-1] in ("on", "1"):
        return True
    if said and said[-1] in ("off", "0"):
        return False
    return not _DOM0_MEM.search(xen_commandline)


_WORDS = (
    (re.compile(r"Waiting for domain .* to die"), LastWords.UNKNOWN),  # it runs again, and then no more was said
    (re.compile(r"Done\. Rebooting now"), LastWords.REBOOT),
    (re.compile(r"Action for shutdown reason code \d+ is (?:restart|soft-reset)"), LastWords.REBOOT),
    (re.compile(r"Domain \d+ has been destroyed\."), LastWords.DESTROYED),
    (re.compile(r"Done\. Exiting now"), LastWords.UNKNOWN),
    (re.compile(r"Action for shutdown reason code \d+ is"), LastWords.UNKNOWN),
)


def parse_log(text: str) -> LastWords:
    """The last line of xl-NAME.log that means something (tools/xl/xl_vmcontrol.c); error messages are passed over."""
    for line in reversed(text.splitlines()):
        for pattern, words in _WORDS:
            if pattern.match(line):
                return words
    return LastWords.UNKNOWN
