"""Random days of a host: edits, words by hand, guests that end, tools that fail, a daemon that is restarted.

When the faults end, the host is as declared, or `status` says why not; then nothing changes more (rule 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.engine.rig import Daemon, Machine, conf
from xenlocal.model.history import What
from xenlocal.simulator.runner import Fault

NAMES = ("nas", "db", "web", "dev")
ORDER = {"nas": "", "db": "after = nas", "web": "needs = db", "dev": "needs = nas"}
STATES = ("running", "running", "running", "stopped", "manual", "absent")
TOOLS = ("xl list", "xl create", "xl shutdown", "xl destroy", "xenstore", "lvm", "xl info")

Event = tuple[float, str, str, str]
events = st.lists(
    st.tuples(
        st.floats(0, 100).map(lambda seconds: round(seconds, 1)),
        st.sampled_from(["edit", "edit", "end", "hand", "break", "broken", "restart", "vanish"]),
        st.sampled_from(NAMES),
        st.sampled_from(["crash", "reboot", "poweroff", "start", "stop", "restart", "destroy", *STATES, *TOOLS]),
    ),
    max_size=8,
).map(sorted)


def section(name: str, state: str) -> str:
    disk = f"[[disk xvda]]\nvolume = vg0/{name}\nsize = 1G" if name != "dev" else ""
    return conf(name, f"state = {state}", "stop_timeout = 20s", ORDER[name], disk)


class Day:
    def __init__(self, hung: str | None) -> None:
        self.machine = Machine()
        self.states = dict.fromkeys(NAMES, "running")
        self.broken = ""
        self.write()
        if hung is not None:
            self.machine.behave(hung, stop_seconds=None)

    def write(self) -> None:
        self.machine.write(*(section(name, state) for name, state in self.states.items()))

    def faults(self, argv: Sequence[str], _n: int) -> Fault | None:
        return Fault() if self.broken and self.broken in " ".join(argv) else None

    def happen(self, daemon: Daemon, what: str, name: str, detail: str) -> None:
        if what == "edit" and detail in STATES:
            self.states[name] = detail
            self.write()
            daemon.inbox.look_again()
        elif what == "end" and detail in ("crash", "reboot", "poweroff"):
            if self.machine.running.get(name) == "running":
                self.machine.dom0.schedule(0, "end", self.machine.domid(name), detail)
        elif what == "hand" and detail in ("start", "stop", "restart", "destroy"):
            daemon.ask(self.machine.dom0.now - daemon.began, detail, name)
        elif what == "break":
            self.broken = detail if detail in TOOLS else ""
        elif what == "vanish" and name in self.machine.running:
            self.machine.dom0.execute(["xl", "destroy", str(self.machine.domid(name))])
        elif what == "broken":
            self.machine.write("[domain")
            daemon.inbox.look_again()

    def live_through(self, happenings: Sequence[Event]) -> None:
        daemon, began = Daemon(self.machine, self.faults), self.machine.dom0.now
        for at, what, name, detail in happenings:
            if what == "restart":
                daemon.run(began + at - daemon.began)
                daemon = Daemon(self.machine, self.faults)
            else:
                daemon.at(began + at - daemon.began, partial(self.happen, daemon, what, name, detail))
        daemon.run(120)


@given(events, st.sampled_from([None, "db", "web"]))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_when_the_faults_end_the_host_is_as_declared_or_says_why_not(happenings: list[Event], hung: str | None) -> None:
    day = Day(hung)
    day.live_through(happenings)
    machine = day.machine
    day.broken = ""
    day.write()
    assert_alone(machine)
    Daemon(machine).run(1200)
    machine.dom0.trace.clear()
    daemon = Daemon(machine).run(1300)
    assert not machine.changes()
    status = daemon.loop.status()
    assert status is not None and not status["host"]["pending_steps"]
    for row in status["domains"]:
        up = row["observed"] == "running"
        if row["desired"] == "running":
            assert up or row["notices"], row
        elif row["desired"] in ("stopped", "absent") and machine.record(row["name"]).hand is None:
            assert row["observed"] == "off", row
    assert_alone(machine)
    assert_told(machine, daemon)


def assert_told(machine: Machine, daemon: Daemon) -> None:
    """Each domU can be explained, and each of its lives is one birth and an end (more, as the cause was learned)."""
    for name in NAMES:
        code, told = daemon.loop.why(name)
        assert code == 0 and told["sentences"][0].startswith(("off", "running", "paused")), told
        story = [event.what for event in machine.history.events(f"/{name}") if event.what in (What.BORN, What.OFF)]
        assert story[:1] in ([], [What.BORN]), story
        assert (told["state"] == "running") == (story[-1:] == [What.BORN]), (told, story)


def assert_alone(machine: Machine) -> None:
    """No disk is held twice, no domU lives twice."""
    names = [domain.name for domain in machine.dom0.state.domains]
    assert len(names) == len(set(names))
