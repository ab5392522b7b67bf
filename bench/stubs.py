"""A host of stubs: N domUs with two volumes each, one bridge, and tools that cost as little as a process can.

They are dash scripts of builtins only, so one call is one process, and every call is a line of `log`. What they print
is what the simulator prints for such a host; domUs that are created are appended to it.
"""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from xenlocal.adapters.lvm import REPORT
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.state import Host, Link, Volume, small_host

MIB, GIB = 1 << 20, 1 << 30

_TOOLS = {
    "xl": r"""
case $1 in
    list)
        [ "$2" != -l ] || exec cat "$S/long" "$S/end"
        exec cat "$S/list" ;;
    info) exec cat "$S/info" ;;
    domid) [ -e "$S/name/$2" ] ;;
    create)
        dry=
        for word; do case $word in --dryrun) dry=yes ;; -*) ;; *) file=$word ;; esac; done
        while read -r key _ value; do
            value=${value#\"} value=${value%\"}
            case $key in name) name=$value ;; uuid) uuid=$value ;; esac
        done <"$file"
        info="\"c_info\": {\n                \"name\": \"$name\",\n                \"uuid\": \"$uuid\"\n            }"
        if [ "$dry" ]; then
            printf "{$info}\n"
            exit
        fi
        : >"$S/name/$name"
        entry="\"domid\": $$,\n        \"config\": {\n            $info\n        }"
        printf ",\n    {\n        $entry\n    }" >>"$S/long"
        store=
        for disk in 51712:root 51728:data; do
            back=/local/domain/0/backend/vbd/$$/${disk%:*}
            dev="params = \"/dev/vg0/$name-${disk#*:}\"\n$back/mode = \"w\"\n$back/physical-device = \"fd:0\""
            store="$store$back = \"\"\n$back/$dev\n"
        done
        printf "$store" >>"$S/store"
        line="128     1     -b----       1.0 $uuid        -                -"
        printf '%-40s %5d   %s\n' "$name" $$ "$line" >>"$S/list"
        echo @introduceDomain 1<>"$S/events" ;;
    destroy)
        flock "$S/gone" sed -i "/^[^ ]*  *$2 /d" "$S/list"
        flock "$S/gone" sed -i "\|^/local/domain/0/backend/vbd/$2/|d" "$S/store"
        echo @releaseDomain 1<>"$S/events" ;;
esac
""",
    "xenstore-ls": 'exec cat "$S/store"\n',
    "xenstore-read": "for path; do case $path in /tool/*) exit 1 ;; esac; echo 1; done\n",
    "xenstore-watch": 'while read -r line; do echo "$line"; done <>"$S/events"\n',
    "lvm": 'exec cat "$S/lvm"\n',
    "ip": 'exec cat "$S/ip"\n',
    "systemd-run": 'while [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n',
    "systemctl": "",
    "tail": "",
}


@dataclass(frozen=True)
class StubHost:
    """`path`: for PATH and for `Commands`. `etc`, `state`, `run`: xenlocal's directories. `auto`: of xendomains."""

    directory: Path
    names: tuple[str, ...]

    @property
    def path(self) -> str:
        return str(self.directory / "bin")

    @property
    def etc(self) -> Path:
        return self.directory / "etc"

    @property
    def auto(self) -> Path:
        return self.directory / "auto"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def calls(self) -> list[str]:
        """Every call since the last one of this."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines

    def domain(self, name: str, weight: int = 256, stop_timeout: int = 300) -> str:
        """A domU as xenlocal's file."""
        keys = (
            f"memory = 128M\nkernel = {self.directory}/vmlinuz\ncpu_weight = {weight}\nstop_timeout = {stop_timeout}s\n"
        )
        return (
            f"[domain {name}]\n{keys}"
            f"  [[disk xvda]]\n  volume = vg0/{name}-root\n  size = 1G\n"
            f"  [[disk xvdb]]\n  volume = vg0/{name}-data\n  size = 1G\n  [[nic eth0]]\n  bridge = br0\n"
        )

    def write_file(self, name: str, text: str) -> None:
        """A file of the configuration, as an editor writes it."""
        self.prepare_file(name, text).rename(self.etc / f"{name}.conf")

    def prepare_file(self, name: str, text: str) -> Path:
        """The same but for the last step, the rename."""
        path = self.etc / f".{name}.conf.new"
        path.write_text(text)
        path.chmod(0o644)
        return path


def make(directory: Path, count: int) -> StubHost:
    """An idle host with `count` domUs declared, for xenlocal and for xendomains alike. Replaces what was there."""
    shutil.rmtree(directory, ignore_errors=True)
    host = StubHost(directory, tuple(f"u{number:04}" for number in range(count)))
    for path in (directory, directory / "bin", host.etc, host.auto, directory / "name"):
        path.mkdir(parents=True)
        path.chmod(0o755)
    _write_tools(host)
    _write_answers(host)
    (directory / "vmlinuz").write_text("")
    host.log.write_text("")
    host.write_file("net", "[bridge br0]\nexternal = yes\n")
    for number, name in enumerate(host.names):
        host.write_file(name, host.domain(name))
        uuid = f"00000000-0000-4000-8000-{number:012}"
        text = f'name = "{name}"\nuuid = "{uuid}"\nmemory = 128\nkernel = "{directory}/vmlinuz"\n'
        text += f'disk = [ "phy:/dev/vg0/{name}-root,xvda,w", "phy:/dev/vg0/{name}-data,xvdb,w" ]\n'
        text += 'vif = [ "bridge=br0" ]\n'
        (host.auto / f"{name}.cfg").write_text(text)
    return host


def _write_tools(host: StubHost) -> None:
    head = f'#!/bin/sh\nS={shlex.quote(str(host.directory))}\necho "${{0##*/}} $*" >>"$S/log"\n'
    for name, body in _TOOLS.items():
        tool = Path(host.path, name)
        tool.write_text(head + body)
        tool.chmod(0o755)
    for name in ("cat", "flock", "sed", "setpriv"):
        found = shutil.which(name)
        assert found, f"{name} is missing"
        Path(host.path, name).symlink_to(found)
    os.mkfifo(host.directory / "events", 0o600)


def _write_answers(host: StubHost) -> None:
    state: Host = small_host()
    state.memory_mib = 1 << 20
    state.groups[0].size = 1 << 42
    names = [f"{name}-{kind}" for name in host.names for kind in ("root", "data")]
    state.volumes = [Volume("vg0", name, GIB, number, tags=["xenlocal"]) for number, name in enumerate(names)]
    state.links.append(Link("br0", 3, kind="bridge", up=True, alias=""))
    dom0 = SimulatedDom0(state)
    answers = {
        "list": ("xl", "list", "-v"),
        "info": ("xl", "info"),
        "lvm": REPORT,
        "ip": ("ip", "-j", "-d", "addr", "show"),
        "store": ("xenstore-ls", "-f", "/local/domain/0"),
    }
    # the beginning and the end of `xl list -l`, in its own layout: upstream's xendomains reads it line by line
    (host.directory / "long").write_text('[\n    {\n        "domid": 0,\n        "config": {\n        }\n    }')
    (host.directory / "end").write_text("\n]\n")
    (host.directory / "gone").write_text("")
    for name, argv in answers.items():
        (host.directory / name).write_text(dom0.execute(argv).stdout)
