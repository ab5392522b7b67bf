"""The parts of one xenlocal, joined for the places that the command line names: what `app` and `daemon` work with."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xenlocal.adapters.conffiles import ConfigFiles
from xenlocal.adapters.records import FileRecords
from xenlocal.engine.configuration import Configuration
from xenlocal.engine.foresight import Foresight
from xenlocal.engine.inbox import Inbox
from xenlocal.engine.keeper import Keeper
from xenlocal.engine.lookout import Lookout
from xenlocal.engine.loop import Loop
from xenlocal.engine.ports import History, Notifier
from xenlocal.engine.recorder import Recorder
from xenlocal.engine.tasks import Tools

if TYPE_CHECKING:
    from xenlocal.adapters.history import SqliteHistory
    from xenlocal.hosts import Host

_XEN = "/proc/xen"


@dataclass(frozen=True)
class Places:
    """The global options of the command line."""

    config_dir: str
    state_dir: str
    run_dir: str
    simulate: str | None = None


class Parts:
    def __init__(self, places: Places) -> None:
        self.places = places
        self.run_dir = Path(places.run_dir)
        self.socket = self.run_dir / "control.sock"
        self.records = FileRecords(places.run_dir, places.state_dir)

    def host(self, live: bool) -> Host:
        from xenlocal import hosts  # here: who only asks the daemon does without the adapters of the host

        if self.places.simulate is not None:
            return hosts.simulated(self.places.simulate, self.places.run_dir, self.places.state_dir, live)
        return hosts.real(self.places.run_dir, self.places.state_dir)

    @property
    def sees_host(self) -> bool:
        """Whether there is a dom0 here that we may look at."""
        if self.places.simulate is not None:
            return True
        if os.geteuid() != 0 or not os.path.exists(_XEN):
            return False
        from xenlocal import hosts  # here: `check` is quick where there is no host

        return hosts.is_dom0()

    def history(self) -> SqliteHistory:
        from xenlocal.adapters.history import SqliteHistory  # here: `plan` and `check` do without sqlite

        return SqliteHistory(os.path.join(self.places.state_dir, "history.db"))

    def configuration(self) -> Configuration:
        return Configuration(ConfigFiles(self.places.config_dir), self.records, self.records.host_id())

    def loop(
        self, host: Host, notifier: Notifier, history: History, foresight: Foresight | None = None
    ) -> tuple[Loop, Inbox]:
        inbox = Inbox(host.work.wake, host.work.now)
        recorder = Recorder(history, host.work, host.actuator.script, self.records.boot())
        made = tools_for(host, Keeper(self.records, recorder.remembered))
        return Loop(self.configuration(), made, inbox, notifier, recorder, foresight), inbox

    @property
    def myself(self) -> tuple[str, ...]:
        """What runs this very command line once more, from a checkout too; a verb and its options follow."""
        code = str(Path(__file__).parents[1])
        places = {"config": self.places.config_dir, "state": self.places.state_dir, "run": self.places.run_dir}
        options = [f"--{kind}-dir={os.path.abspath(place)}" for kind, place in places.items()]
        if self.places.simulate is not None:
            options.append(f"--simulate={os.path.abspath(self.places.simulate)}")
        return ("env", f"PYTHONPATH={code}", sys.executable, "-m", "xenlocal", *options)


def tools_for(host: Host, keeper: Keeper) -> Tools:
    lookout = Lookout(host.reader, host.work)
    return Tools(host.reader, host.actuator, host.prober, host.consoles, host.work, keeper, lookout)
