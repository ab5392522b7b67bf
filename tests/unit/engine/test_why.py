"""One cause is injected; the first sentence of `why` names it where it can be known, and says what is unknown else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.engine.rig import Daemon, Faults, Machine, Paper, conf, fail, listens
from xenlocal.model.errors import XenlocalError
from xenlocal.model.history import Entry, Query
from xenlocal.model.memory import Memory
from xenlocal.simulator.runner import Fault
from xenlocal.simulator.state import Domain, Later, Path

DISK = ("[[disk xvda]]", "volume = vg0/web", "size = 1G")
NIC, BR0 = ("[[nic eth0]]", "bridge = br0"), "[bridge br0]\nexternal = yes\n"
OTHER = "99999999-0000-0000-0000-000000000000"


class Host:
    """One domU `web`, perhaps others, a daemon on it, and what is asked in the end."""

    def __init__(self, *lines: str, faults: Faults | None = None, others: tuple[str, ...] = ()) -> None:
        self.machine = Machine(conf("web", *lines), *others)
        self.faults = faults
        self.daemon = Daemon(self.machine, faults)
        self.seconds = 60.0

    def until(self, seconds: float) -> Host:
        self.seconds = seconds
        return self

    def at(self, seconds: float, what: Callable[[], object]) -> Host:
        self.daemon.at(seconds, what)
        return self

    def ends(self, seconds: float, how: str, name: str = "web") -> Host:
        return self.at(seconds, lambda: self.machine.dom0.schedule(0, "end", self.machine.domid(name), how))

    def xl(self, seconds: float, verb: str, name: str = "web") -> Host:
        return self.at(seconds, lambda: self.machine.dom0.execute(["xl", verb, str(self.machine.domid(name))]))

    def ask(self, seconds: float, verb: str, *names: str) -> Host:
        self.daemon.ask(seconds, verb, *(names or ("web",)))
        return self

    def why(self, name: str = "web") -> list[str]:
        self.daemon.run(self.seconds)
        code, data = self.daemon.loop.why(name)
        assert code == 0
        return list(data["sentences"])


def crashing(times: int, *lines: str) -> Host:
    host = Host(*lines)
    host.machine.behave("web", later=[Later(5.0, "crash", times)])
    return host


def behaving(*lines: str, **values: Any) -> Host:
    host = Host(*lines)
    host.machine.behave("web", **values)
    return host


def in_haste() -> Host:
    others = "[host]\nshutdown_deadline = 1m", conf("nas", "stop_timeout = 5m")
    host = Host("after = nas", "stop_timeout = 5m", others=others)
    host.machine.behave("web", stop_seconds=None)
    return host.ask(20, "shutdown")


def save_image() -> Host:
    host = Host()
    host.machine.dom0.state.paths["/var/lib/xen/save/web"] = Path("file", 5)
    return host


def foreign() -> Host:
    host = Host()
    host.machine.dom0.state.domains.append(Domain(77, "web", OTHER))
    return host


def no_kernel() -> Host:
    host = Host()
    host.machine.dom0.state.patterns.clear()
    return host


def not_booted() -> Host:
    host = Host()
    host.machine.disk.memory = Memory()
    host.daemon = Daemon(host.machine)
    return host


def inactive() -> Host:
    host = Host(*DISK).xl(20, "destroy")

    def deactivate() -> None:
        volume = host.machine.dom0.state.volumes[0]
        volume.active, volume.tags = False, []

    return host.at(15, deactivate).ask(40, "start")


def vanished_volume() -> Host:
    return Host("[[disk xvda]]", "volume = vg0/web")


def orphan() -> Host:
    host = Host(others=(conf("db"),))
    host.daemon.edit(20, conf("db"))
    return host


def lost() -> Host:
    host = Host()

    def vanish() -> None:
        host.machine.dom0.state.texts.clear()
        host.machine.dom0.state.domains.clear()
        host.daemon.inbox.host_event()

    return host.at(55, vanish)


def full() -> Host:
    host = Host()
    host.machine.dom0.state.domains.append(Domain(77, "big", OTHER, memory_kib=13_600 << 10))
    return host


def no_longer_ready() -> Host:
    host = Host("[[ready]]", "tcp = 192.0.2.50:80", others=("[host]\nresync = 1m",))
    host.machine.behave("web", listen={"192.0.2.50:80": 1.0})
    return host.at(40, host.machine.dom0.state.behaviour("web").listen.clear).until(150)


CAUSES: dict[str, tuple[Callable[[], Host], str]] = {
    "powered itself off": (
        lambda: Host().ends(30, "poweroff"),
        "off since 22:30: the guest powered itself off (on_poweroff",
    ),
    "crashed, back-off": (
        lambda: crashing(9).until(45),
        "the guest crashed 3 times within an hour (on_crash = restart); it is started after a pause",
    ),
    "crashed, cap": (lambda: crashing(9).until(900), "the guest crashed 5 times within an hour and stays off"),
    "crashed, stay-off": (lambda: crashing(1, "on_crash = stay-off"), "the guest crashed (on_crash = stay-off)"),
    "crashed, preserved": (lambda: crashing(1, "on_crash = preserve"), "is kept for you to look at"),
    "stopped by hand": (lambda: Host().ask(30, "stop"), "stopped by hand until `xenlocal start web`"),
    "destroyed, then stopped by hand": (
        lambda: Host().ask(30, "destroy").ask(40, "stop"),
        "stopped by hand until `xenlocal start web` or the next boot; before that: it was destroyed by xenlocal",
    ),
    "destroyed by hand": (lambda: Host().ask(30, "destroy"), "destroyed by hand; off until `xenlocal start web`"),
    "state = stopped": (lambda: Host("state = stopped"), "off: state = stopped in a.conf:1"),
    "state = manual": (lambda: Host("state = manual"), "off: state = manual: started by hand only"),
    "state = absent": (lambda: Host("state = absent"), "off: state = absent in a.conf:1"),
    "manual and powered off": (
        lambda: behaving("state = manual", later=[Later(40.0, "poweroff")]).ask(1, "start"),
        "the guest powered itself off",
    ),
    "destroyed with xl": (lambda: Host().xl(30, "destroy"), "destroyed by somebody with xl, not by xenlocal"),
    "had not stopped in time": (
        lambda: behaving("stop_timeout = 10s", stop_seconds=None).ask(30, "stop"),
        "it had not stopped within stop_timeout = 10s and was destroyed",
    ),
    "was hung": (
        lambda: behaving("hung_timeout = 12s", *DISK, deaf=True).ask(30, "stop"),
        "it had not stopped within hung_timeout = 12s (no acknowledgement, quiet disks) and was destroyed",
    ),
    "wrote for ever": (
        lambda: behaving("stop_timeout = 9s", "stop_max = 14s", *DISK, stop_seconds=None, busy=True).ask(30, "stop"),
        "it had not stopped within stop_max = 14s and was destroyed",
    ),
    "wrote for a while": (
        lambda: behaving("stop_timeout = 9s", *DISK, stop_seconds=None, write_seconds=5.0).ask(30, "stop"),
        "it had not stopped within stop_timeout = 9s nor 10 s after its last write and was destroyed",
    ),
    "had but a share of its time": (
        in_haste,
        "it had not stopped within stop_timeout = 5m, of which shutdown_deadline left it 22.5s, and was destroyed",
    ),
    "xl create fails": (
        lambda: Host(faults=fail("xl create", fault=Fault(stderr="libxl: no way"))),
        "the last start failed: cannot run 'xl create -q /run/xenlocal/domains/web.cfg' (exit 1): libxl: no way",
    ),
    "needs one that is not ready": (
        lambda: Host("needs = db", others=(listens("db", 80, "start_timeout = 20s"),)),
        "needs domain/db, which is not ready after 20s",
    ),
    "needs one that is off": (
        lambda: Host("needs = db", others=(conf("db", "needs = nas"), conf("nas", "state = manual"))),
        "needs domain/db, which waits for domain/nas: is off: state = manual: started by hand only",
    ),
    "volume missing": (vanished_volume, "volume/vg0/web does not exist, and without size = ... it is not created"),
    "volume group missing": (
        lambda: Host("[[disk xvda]]", "volume = nowhere/web", "size = 1G"),
        "volume/nowhere/web volume group nowhere does not exist or is not visible",
    ),
    "volume inactive": (inactive, "volume/vg0/web is not active; is used as it is, but not activated"),
    "volume cannot be made": (
        lambda: Host(*DISK, faults=fail("lvcreate", fault=Fault(stderr="no extents"))),
        "it waits for volume/vg0/web: create failed at 22:",
    ),
    "device missing": (lambda: Host("[[disk xvda]]", "device = /dev/sdx"), "device//dev/sdx does not exist yet"),
    "bridge missing": (
        lambda: Host("[[nic eth0]]", "bridge = br9", others=("[bridge br9]\nexternal = yes\n",)),
        "nic eth0: bridge/br9 ",
    ),
    "not enough memory": (full, "needs 521M of memory with Xen's own share, and "),
    "saved image": (save_image, "a saved state of it lies in /var/lib/xen/save/web"),
    "kernel missing": (no_kernel, "off: kernel /boot/vmlinuz does not exist (a.conf:1)"),
    "foreign domU of its name": (foreign, f"another domU of this name is live (domid 77, UUID {OTHER})"),
    "storage unknown": (
        lambda: Host(*DISK, faults=fail("lvm fullreport", fault=Fault(stderr="no locks"))),
        "the host's storage could not be found out (cannot run 'lvm fullreport",
    ),
    "domUs unknown": (
        lambda: Host(faults=fail("xl list", fault=Fault(stderr="no xenstore"))),
        "unknown whether it runs: cannot run 'xl list",
    ),
    "one of two tables unknown": (
        lambda: Host(*DISK, *NIC, others=(BR0,), faults=fail("lvm", "ip -", fault=Fault(stderr="no locks"))),
        "the host's storage could not be found out (cannot run 'lvm fullreport",
    ),
    "not ready yet": (
        lambda: Host("[[ready]]", "tcp = 192.0.2.50:80"),
        "running since 22:30 (domid 1), not known to be ready yet: tcp 192.0.2.50:80 refuses",
    ),
    "waits for one that is not ready yet": (
        lambda: Host("needs = db", others=(listens("db", 80),)),
        "off: it waits until domain/db is ready",
    ),
    "not ready in time": (
        lambda: Host("start_timeout = 20s", "[[ready]]", "tcp = 192.0.2.50:80"),
        "running since 22:30 (domid 1), but it was not ready within start_timeout = 20s: tcp 192.0.2.50:80 refuses",
    ),
    "not ready any more": (
        no_longer_ready,
        "running since 22:30 (domid 1), but it is not ready any more since 22:31: tcp 192.0.2.50:80 refuses",
    ),
    "section vanished, running": (orphan, "its section is gone from the files: left as it is"),
    "section vanished, destroyed": (
        lambda: orphan().xl(40, "destroy"),
        "no section of the files names it, so it is not started; it ended, and nothing is remembered of how",
    ),
    "boot goal not run": (not_booted, "off: domUs are left alone until the boot goal has run"),
    "nothing tells": (lost, "disappeared once (nothing tells why)"),
    "host shuts down": (lambda: Host().ask(30, "shutdown"), "the host is shutting down"),
    "reboots": (
        lambda: Host().ends(58, "reboot"),
        "reboots by itself; it is started if it is not back 60 s after it went",
    ),
    "asked to stop": (
        lambda: behaving(stop_seconds=None).ask(30, "stop"),
        "asked to shut down since 22:30, destroyed at 22:35 unless it has ended",
    ),
    "paused": (lambda: Host().xl(30, "pause").ask(40, "start"), "paused since"),
}


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("cause", CAUSES)
def test_the_first_sentence_names_the_cause(cause: str) -> None:
    inject, words = CAUSES[cause]
    assert words in inject().why()[0]


def test_the_chain_of_needs_ends_with_what_to_type() -> None:
    host = Host("needs = db", others=(conf("db", "needs = nas, x"), conf("nas", "state = manual"), conf("x")))
    root = "needs domain/nas, which is off: state = manual: started by hand only"
    assert host.why() == [
        "off: needs domain/db, which waits for domain/nas: is off: state = manual: started by hand only",
        f"domain/web needs domain/db, which is off: {root}",
        f"domain/db {root}",
        "start it with `xenlocal start nas`",
    ]


def test_what_is_behind_a_start_that_fails_is_told_from_the_history() -> None:
    host = Host()

    def break_it() -> None:
        host.daemon.runner.faults = fail("xl create", fault=Fault(stderr="no memory"))

    first, *rest = host.at(29, break_it).ends(30, "crash").why()
    assert first.startswith("off since 22:30: the last start failed: cannot run 'xl create") and "no memory" in first
    assert rest[0].startswith("its last life ended at 22:30: the guest crashed, 28 s after its birth")
    assert rest[1:3] == ["2 starts in a row have failed", "it is tried again at 22:31"]
    assert rest[3].startswith("`xenlocal start web` tries at once") and len(rest) == 4


def test_an_end_that_nobody_saw_is_unknown() -> None:
    host = Host("state = manual").ask(1, "start")
    host.daemon.run(30)
    host.machine.dom0.state.domains.clear()  # the host loses power
    host.machine.disk.memory, host.machine.boot = Memory(boot_done=True), "second"
    host.daemon = Daemon(host.machine)
    first, second, *_ = host.why()
    assert first == "off: state = manual: started by hand only"
    assert second.startswith("how its life since 22:30 ended is unknown")


def test_one_that_runs_as_declared_says_so() -> None:
    assert Host().why() == ["running since 22:30 (domid 1), ready", "state = running in a.conf:1"]


def test_a_foreign_domu_and_a_name_that_nobody_knows() -> None:
    host = Host()
    host.machine.dom0.state.domains.append(Domain(77, "theirs", OTHER))
    assert host.why("theirs") == ["running (domid 77), foreign: no section has this name"]
    assert host.daemon.loop.why("nobody")[0] == 3


def test_a_history_that_cannot_be_read_costs_only_what_it_would_have_told() -> None:
    class Unreadable(Paper):
        def read(self, query: Query) -> tuple[Entry, ...]:
            raise XenlocalError("cannot read history.db: disk I/O error")

    host = Host()
    host.machine.history = Unreadable()
    host.daemon = Daemon(host.machine)
    first, *_, last = host.ends(30, "poweroff").why()
    assert "the guest powered itself off" in first
    assert last == "what happened before is unknown: cannot read history.db: disk I/O error"


def test_before_the_first_look_nothing_is_told() -> None:
    code, told = Host().daemon.loop.why("web")
    assert code == 1 and "first look" in told["message"]
