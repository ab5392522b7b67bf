"""xenlocal on the stubbed host, as a process: `python3 -m bench.subject DIRECTORY VERB`.

The composition is that of `xenlocal.parts`; only where the tools are found differs. Without a daemon, `boot`, `apply`
and `shutdown` run the engine here, as the real command does; `floor` runs the commands of a boot and nothing else.
FORKS in the environment names a file for the number of forks.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from xenlocal import daemon
from xenlocal.adapters import xenstore
from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.command import Commands
from xenlocal.adapters.console import Consoles
from xenlocal.adapters.files import Files
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.inspection import Inspector
from xenlocal.adapters.kernels import Kernels, copy_whole
from xenlocal.adapters.probe import HostProber
from xenlocal.adapters.process import Lock
from xenlocal.adapters.trials import Trials
from xenlocal.adapters.work import ThreadWork
from xenlocal.app import App
from xenlocal.hosts import Host
from xenlocal.parts import Parts, Places


class StubbedParts(Parts):
    def __init__(self, directory: Path) -> None:
        super().__init__(Places(str(directory / "etc"), str(directory / "state"), str(directory / "run")))
        self._directory = directory

    def host(self, live: bool = True) -> Host:
        commands = Commands(search_path=str(self._directory / "bin"))
        identities = Identities(self.places.state_dir)
        state, run = self.places.state_dir, str(self._directory / "run")
        kernels = Kernels(state, run, Files(), Files(), copy_whole, Trials(state))
        return Host(
            HostReader(commands, Files(), identities, kernels),
            Inspector(commands, Files()),
            HostActuator(commands, str(self._directory / "run"), True, identities, kernels),
            HostProber(commands, Files()),
            Consoles(Files(), str(self._directory / "state" / "console")),
            ThreadWork(),
            lambda on_event: xenstore.watch(commands, on_event),
        )

    @property
    def myself(self) -> tuple[str, ...]:
        return ("env", f"PYTHONPATH={os.getcwd()}", sys.executable, "-m", "bench.subject", str(self._directory))


def run_daemon(parts: Parts) -> int:
    """Without the question whether this machine is a dom0."""
    os.umask(0o077)
    for name in (parts.places.state_dir, parts.places.run_dir):
        Path(name).mkdir(mode=0o755, exist_ok=True)
    with Lock(parts.places.run_dir):
        daemon.serve(parts)
    return 0


def run_floor(directory: Path) -> int:
    """One look and a create a domU, four at a time, through `Commands`: what no engine on top of it can beat."""
    commands = Commands(search_path=str(directory / "bin"))
    commands.run(("xl", "list", "-v"))
    files = sorted(map(str, (directory / "auto").glob("*.cfg")))
    with ThreadPoolExecutor(4) as pool:
        for created in [pool.submit(commands.run, ("xl", "create", "-q", file)) for file in files]:
            created.result()
    return 0


def _count_forks(path: str) -> None:
    """sh forks with os.fork; subprocess does not call these hooks, and here starts one thing, the event source."""
    count = [1]

    def forked() -> None:
        count[0] += 1

    os.register_at_fork(after_in_parent=forked)
    atexit.register(lambda: Path(path).write_text(str(count[0])))


def main(arguments: list[str]) -> int:
    directory, verb = Path(arguments[0]), arguments[1]
    if "FORKS" in os.environ:
        _count_forks(os.environ["FORKS"])
    if verb == "floor":
        return run_floor(directory)
    parts = StubbedParts(directory)
    if verb == "run":
        return run_daemon(parts)
    app = App(parts)
    if verb == "rehearse":
        print(json.dumps(app.rehearse("reboot", "")))
        return 0
    code, result = app.ask(verb, (), lambda _text: None)
    if code or result.get("message"):
        print(json.dumps(result.get("message", "")), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
