"""Virtual time: tasks overlap, everything happens at its own moment, and the same input gives the same trace."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from tests.unit.simulator.support import config, host, run
from xenlocal.model.errors import CommandFailed
from xenlocal.simulator.coding import from_json, to_json
from xenlocal.simulator.files import SimFiles, SimTcp
from xenlocal.simulator.host import SimulatedDom0, Trace
from xenlocal.simulator.runner import Fault, SimRunner
from xenlocal.simulator.state import Later, Route, small_host
from xenlocal.simulator.work import Abandoned, Idle, VirtualWork


def world(*names: str) -> tuple[SimulatedDom0, VirtualWork, SimRunner]:
    dom0 = host(*names)
    work = VirtualWork(dom0)
    return dom0, work, SimRunner(dom0, work)


def start(work: VirtualWork, runner: SimRunner, name: str) -> Future[None]:
    return work.submit(lambda: runner.run(["xl", "create", "-q", f"/etc/xen/{name}.cfg"]) and None)


def test_tasks_overlap_and_each_end_wakes_the_waiter() -> None:
    dom0, work, runner = world("a", "b", "c")
    futures = [start(work, runner, name) for name in "abc"]
    work.wait(100)
    assert work.now() == 2.0 and [future.done() for future in futures] == [True, False, False]
    work.wait(100)
    work.wait(100)
    assert work.now() == 2.0 and all(future.done() for future in futures)
    assert [domain.born for domain in dom0.state.domains] == [2.0, 2.0, 2.0]


def test_a_task_sees_what_others_did_before_its_moment_and_nothing_later() -> None:
    _, work, runner = world("a")
    seen: list[tuple[float, int]] = []

    def look() -> None:
        for _ in range(30):
            seen.append((round(work.now(), 3), runner.run(["xl", "list"]).count("\n") - 2))
            work.sleep(0.2)

    work.submit(look)
    start(work, runner, "a")
    while len(seen) < 30:
        work.wait(100)
    assert all(count == (at + 0.05 >= 0.5) for at, count in seen)


def test_a_command_of_the_waiting_thread_lets_the_others_go_on() -> None:
    dom0, work, runner = world("a")
    future = start(work, runner, "a")
    dom0.state.durations.xl_list = 3.0
    assert "a   " in runner.run(["xl", "list"])
    assert future.done() and work.now() == 3.0


def test_wait_ends_at_its_time_at_a_wake_and_at_events_only_where_they_are_watched() -> None:
    dom0, work, _ = world("a")
    dom0.state.behaviour("a").later = [Later(10, "poweroff")]
    run(dom0, "xl create -q /etc/xen/a.cfg")
    work.wait(5)
    assert work.now() == 5
    work.wake()
    work.wait(100)
    assert work.now() == 5
    stop = dom0.watch(work.wake)
    work.wait(100)  # the new watch itself
    work.wait(100)
    assert work.now() == 12.0
    stop()
    work.wait(100)
    assert work.now() == 100


def test_the_xenstore_watch_tells_of_births_shutdowns_and_deaths() -> None:
    dom0, _, runner = world("a")
    lines: list[str] = []
    watch = runner.stream(["xenstore-watch", "@introduceDomain", "@releaseDomain"], lines.append)
    assert lines == ["@introduceDomain", "@releaseDomain"]
    run(dom0, "xl create -q /etc/xen/a.cfg")
    run(dom0, "xl destroy 1")
    assert len(lines) == 4
    watch.stop()
    run(dom0, "xl create -q /etc/xen/a.cfg")
    assert len(lines) == 4


def test_a_loop_that_polls_gets_on() -> None:
    _, work, runner = world("a")
    future = start(work, runner, "a")
    while not future.done():
        work.wait(work.now())
    assert work.now() >= 2.0


def test_nothing_left_to_wait_for_is_an_error_not_a_hang() -> None:
    _, work, _ = world()
    with pytest.raises(Idle):
        work.wait(None)


def test_a_failed_task_hands_its_error_to_who_asks_and_a_result_can_be_waited_for() -> None:
    _, work, runner = world("a")
    failed = work.submit(lambda: runner.run(["xl", "destroy", "9"]) and None)
    with pytest.raises(CommandFailed):
        failed.result()
    assert start(work, runner, "a").result() is None


def test_closing_abandons_tasks_where_they_stand() -> None:
    dom0, work, runner = world("a", "b")

    def both() -> None:
        runner.run(["xl", "create", "-q", "/etc/xen/a.cfg"])
        runner.run(["xl", "create", "-q", "/etc/xen/b.cfg"])

    future = work.submit(both)
    work.wait(3)
    work.close()
    assert [(domain.name, domain.state) for domain in dom0.state.domains] == [("a", "running"), ("b", "paused")]
    dom0.advance(10)  # what was killed is the task; its `xl create` has a scope of its own and goes on
    assert [domain.state for domain in dom0.state.domains] == ["running", "running"]
    assert isinstance(future.exception(), Abandoned)


def story() -> tuple[list[Trace], str]:
    """Parallel starts, a fault, a reboot, a crash, a stop."""
    dom0 = host("a", "b", "c", "d")
    dom0.state.behaviour("b").later = [Later(7.5, "reboot")]
    dom0.state.behaviour("c").later = [Later(4.0, "crash")]
    work = VirtualWork(dom0)
    runner = SimRunner(dom0, work, faults=lambda argv, number: Fault() if number == 3 else None)
    dom0.watch(work.wake)
    futures = [start(work, runner, name) for name in "abcd"]
    while not all(future.done() for future in futures):
        work.wait(None)
        runner.run(["xl", "list", "-v"])
    work.submit(lambda: runner.run(["xl", "shutdown", "-F", "1"]) and None)
    while work.now() < 40:
        work.wait(work.now() + 7)
        runner.run(["xenstore-ls", "-f", "/local/domain"])
    return dom0.trace, to_json(dom0.state)


def test_the_same_input_gives_the_same_trace() -> None:
    assert story() == story()


def test_the_state_survives_json() -> None:
    _, text = story()
    assert to_json(from_json(text)) == text
    assert from_json("{}").memory_mib == small_host().memory_mib


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "expected an object"),
        ('{"nonsense": 1}', "unknown key 'nonsense'"),
        ('{"cpus": "4"}', "host.cpus: '4' is not int"),
        ('{"cpus": true}', "host.cpus"),
        ('{"domains": [{"domid": 1}]}', r"host.domains\[0\]"),
        ('{"volumes": 3}', "host.volumes"),
    ],
)
def test_a_state_that_is_none_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_json(text)


def test_a_guest_listens_some_time_after_its_birth() -> None:
    dom0, work, runner = world("a")
    dom0.state.behaviour("a").listen["192.0.2.21:80"] = 6.0
    tcp = SimTcp(dom0, work)
    runner.run(["xl", "create", "-q", "/etc/xen/a.cfg"])
    assert tcp.connect("192.0.2.21", 80, 1)
    dom0.advance(8.0)
    assert tcp.connect("192.0.2.21", 80, 1) == ""
    assert tcp.connect("192.0.2.21", 81, 1)
    run(dom0, "xl destroy 1")
    assert tcp.connect("192.0.2.21", 80, 1)


def test_files_that_are_read() -> None:
    dom0 = host()
    dom0.state.routes.append(Route("br0", "2001:db8::1"))
    files = SimFiles(dom0)
    assert "eno1\t00000000\t010200C0\t0003" in str(files.read_text("/proc/net/route"))
    assert str(files.read_text("/proc/net/ipv6_route")).endswith("     br0\n")
    assert files.read_text("/etc/xen/xl.conf") == "" and files.read_text("/none") is None
    dom0.state.texts["/x"] = config("x")
    assert files.read_text("/x") == config("x")
