"""`make playground`: a real Xen dom0 in QEMU, the package installed, a few domUs, and a root prompt on the terminal.

The prompt is the machine's own console (Xen's, on the emulated serial line), so everything works as on a real one.
Without a terminal, or with CMD, the text of CMD or of stdin runs there as one script, and its exit code is ours.
Nothing of it outlives this process: the disks are overlays in a temporary directory.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from rig import SUITES
from rig.guest import KERNEL, RAMDISK, cmdline
from rig.image import image
from rig.machine import Machine
from rig.package import install
from rig.snapshot import resumed
from rig.terminal import Login, attach, serial_line

START_SECONDS = 600
SCRIPT_SECONDS = 1800
_COMMON = f"kernel = {KERNEL}\nramdisk = {RAMDISK}\nmemory = 96M\nstop_timeout = 30s\n"
_NIC = "  [[nic eth0]]\n  bridge = lab0\n"


def _disk(name: str) -> str:
    return f"  [[disk xvda]]\n  volume = vg0/{name}-root\n  size = 32M\n"


def _boots(address: str = "", listen: str = "") -> str:
    options = {"ip": f"{address}/24"} if address else {}
    return f"cmdline = {cmdline(**options, **({'listen': listen} if listen else {}))}\n"


FILES = {
    "net": "[bridge lab0]\nports = none    # internal; the dom0 has an address\naddress = 192.0.2.1/24\n",
    "nas": f"[domain nas]\n{_COMMON}{_boots('192.0.2.11', '2049')}{_disk('nas')}{_NIC}"
    "  [[ready]]\n  tcp = 192.0.2.11:2049    # what needs it starts once this answers\n",
    "db": f"[domain db]\n{_COMMON}{_boots('192.0.2.12')}needs = nas\n{_disk('db')}{_NIC}",
    "web": f"[domain web]\ntype = pvh\n{_COMMON}{_boots('192.0.2.13')}after = db\n{_disk('web')}{_NIC}",
    "licence": f"[domain licence]\n{_COMMON}{_boots('192.0.2.14')}{_disk('licence')}{_NIC}"
    "  mac = 00:16:3e:5a:01:02  # for ever\n",
}
WELCOME = """
This is the console of a real Xen dom0 (emulated: some ten times slower than hardware). Try:
    xenlocal                    xl list                     journalctl -u xenlocal
    sed -i 's/32M/64M/' /etc/xenlocal/db.conf      an edit is followed as soon as it is saved
    xenlocal stop db            xenlocal console web
`exit` ends the machine; so does Ctrl-\\ whatever happens. Nothing is kept.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="playground", description=__doc__, allow_abbrev=False)
    parser.add_argument("--deb", type=Path, required=True, help="the package to install")
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0], help="Debian release of the dom0")
    parser.add_argument("--command", default="", help="a shell script to run there instead of a prompt")
    arguments = parser.parse_args()
    interactive = not arguments.command and sys.stdin.isatty() and sys.stdout.isatty()
    script = arguments.command or ("" if interactive else sys.stdin.read())
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that disks and QEMU go then, too
    with tempfile.TemporaryDirectory(prefix="xenlocal-playground-") as work:
        _say("resuming a dom0 (the first time it is built, some minutes; one QEMU at a time on this machine)")
        machine = resumed(image(arguments.suite), Path(work))
        try:
            _prepare(machine, arguments.deb)
            return _prompt(machine) if interactive else _run(machine, script)
        finally:
            machine.close()


def _say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def _prepare(machine: Machine, deb: Path) -> None:
    """The package, a volume group, the files; until the domUs run."""
    _say(f"apt install ./{deb.name}")
    install(machine, deb)
    machine.make_vg()
    # under emulation two creates at once can take the hotplug scripts longer than the 40 s that libxl gives them
    machine.run("sed -i 's/^#start_parallel = .*/start_parallel = 1/' /etc/xenlocal/xenlocal.conf")
    _say(f"writing {', '.join(f'/etc/xenlocal/{name}.conf' for name in FILES)}")
    for name, text in FILES.items():
        machine.put(f"/etc/xenlocal/{name}.conf", text)
    _say("xenlocal apply: the daemon has begun by itself; this waits until it is through (a minute or two)")
    result = machine.run("xenlocal apply", START_SECONDS, check=False)
    sys.stderr.write(result.err)
    if result.rc != 0:  # going on: to look into it is what the prompt is for
        _say(f"not everything is as declared (exit {result.rc}); `xenlocal status` tells more")


def _run(machine: Machine, script: str) -> int:
    _say("running the script")
    result = machine.run(script, SCRIPT_SECONDS, check=False)
    sys.stdout.write(result.out)
    sys.stdout.flush()
    sys.stderr.write(result.err)
    return result.rc


def _prompt(machine: Machine) -> int:
    """A login of root on the console, joined to this terminal until its shell ends or the machine does."""
    with serial_line(machine) as line:
        login = Login(machine)
        print(WELCOME)
        attach(line, login.over)
    return 0


if __name__ == "__main__":
    sys.exit(main())
