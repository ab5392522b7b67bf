"""`xenlocal kernel NAME --update`: modules, a start on trial, and the way back of a kernel that does not come up."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, fail
from tests.unit.engine.test_killed import daemon_killed, kill_at_command
from xenlocal.engine.inbox import Request
from xenlocal.model.actions import Action
from xenlocal.model.diskwork import Preparation
from xenlocal.model.memory import Hand, Memory
from xenlocal.planner import memory as transitions
from xenlocal.planner.update import Kernel
from xenlocal.simulator.state import Later, Path

KERNEL, DISK, TRIALS = "/boot/vmlinuz", "/dev/vg0/web", "/var/lib/xenlocal/trials.json"
ROOT = "[[disk xvda]]\nvolume = vg0/web\nsize = 4G"
READY = "start_timeout = 60s\nstop_timeout = 20s\ncmdline = root=/dev/xvda ro"
LISTEN: dict[str, Any] = {"listen": {"192.0.2.50:1": 2.0}}


def web(*lines: str) -> str:
    return conf("web", READY, *lines, ROOT, "[[ready]]", "tcp = 192.0.2.50:1")


def stamp(changed: int) -> str:
    """What the name of its copy has of the age of a kernel."""
    return f".{changed:016x}-"


def machine(*lines: str, **behaviour: Any) -> Machine:
    """With the first kernel it has run, and is off; now there is another."""
    made = Machine(web(*lines), conf("db", "state = manual"))
    made.dom0.state.paths[KERNEL] = Path("file", 8 << 20, changed=1)
    made.behave("web", **LISTEN)
    daemon = Daemon(made)
    daemon.ask(0, "start", "web")
    daemon.ask(20, "stop", "web")
    daemon.run(60)
    assert not made.running and stamp(1) in kernel_of(made)
    made.dom0.state.paths[KERNEL] = Path("file", 8 << 20, changed=2)
    made.behave("web", **{**LISTEN, **behaviour})
    return made


def kernel_of(machine: Machine) -> str:
    """What the xl.cfg of its latest start says."""
    text = machine.dom0.state.texts["/run/xenlocal/domains/web.cfg"]
    return next(line for line in text.splitlines() if line.startswith("kernel = "))


def trial(machine: Machine) -> dict[str, Any]:
    """What is recorded; nothing where there is none."""
    trials = json.loads(machine.dom0.state.texts.get(TRIALS, '{"trials": []}'))["trials"]
    return trials[0] if trials else {}


def marked(machine: Machine) -> bool:
    return any(Preparation.MODULES.mark in each.tags for each in machine.dom0.state.volumes)


def update(machine: Machine, seconds: float = 600, *faults: Any) -> tuple[Request, list[str]]:
    daemon = Daemon(machine, *faults)
    told = list[str]()
    request = Request("kernel", ("web",), progress=told.append)
    daemon.at(1, lambda: daemon.inbox.ask(request))
    daemon.run(seconds)
    return request, told


def test_one_that_comes_up_stays() -> None:
    made = machine()
    request, told = update(made)
    assert (request.code, request.result["message"]) == (0, "")
    assert made.running["web"] == "running" and stamp(2) in kernel_of(made)
    assert trial(made) == {} and not marked(made)
    assert made.dom0.state.surroundings.modules[DISK] == ["6.1.0-49-amd64"] * 2, "by the script"
    assert told[0] == "domain/web: its kernel 6.1.0-49-amd64 is put on trial"
    (work,) = [each.text for each in made.dom0.trace if "/usr/libexec/xenlocal/modules web /dev/vg0/web" in each.text]
    assert "--setenv=XENLOCAL_RELEASE=6.1.0-49-amd64" in work and "--unit=xenlocal-modules-web" in work
    deeds = [(each.verb, each.outcome) for each in made.history.deeds() if each.target == "domain/web"]
    assert [each for each in deeds if "trial" in each[0]] == [
        ("put on trial the kernel of", "done"),
        ("end the trial of the kernel of", "done"),
    ]
    copies = {path for path in made.dom0.state.paths if path.startswith("/var/lib/xenlocal/kernels/")}
    assert not any(stamp(1) in each for each in copies), "the one before is not needed any more"


BACK = "with 6.1.0-49-amd64 it {}; it goes back to the kernel before"


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ({"hangs_with": stamp(2)}, "was not ready after 1m: tcp 192.0.2.50:1 refuses"),
        ({"later": [Later(1.0, "crash")]}, "crashed before it was ready"),
        ({"later": [Later(1.0, "poweroff")]}, "ended by itself before it was ready"),
        ({"later": [Later(1.0, "reboot")]}, "rebooted before it was ready"),
        ({"install_fails": 1}, "could not be started: the installation of its modules failed: E: it failed;"),
    ],
    ids=["hangs", "crashes", "ends", "reboots", "modules"],
)
@pytest.mark.parametrize("lines", [(), ("on_crash = stay-off",), ("state = manual",)])
def test_one_that_does_not_goes_back_by_itself(behaviour: dict[str, Any], why: str, lines: tuple[str, ...]) -> None:
    made = machine(*lines, **deepcopy(behaviour))
    request, _ = update(made)
    assert request.code == 1 and BACK.format(why).partition(";")[0] in request.result["message"]
    assert made.running["web"] == "running" and stamp(1) in kernel_of(made)
    assert trial(made)["failed"].startswith(why) and made.record("web").ready
    notices = str(Daemon(made).tools.reader.trials())
    assert why in notices


def test_one_that_panics_and_reboots_again_and_again_takes_the_kernel_before_by_its_own_reboot() -> None:
    """Each life ends long before it has been asked to stop for `stop_timeout`."""
    made = machine(later=[Later(1.0, "reboot", times=2)])
    update(made)
    (now,) = made.dom0.state.domains
    assert stamp(1) in now.config["kernel"] and made.record("web").ready
    assert trial(made)["failed"] == "rebooted before it was ready"
    deeds = [each.verb for each in made.history.deeds() if each.target == "domain/web"]
    assert deeds.count("stop") == 1 and deeds[-1] == "stage", "the one before the trial"


@pytest.mark.parametrize("what", ["crash", "poweroff"])
def test_one_killed_between_the_record_of_a_failure_and_the_memory_goes_back_all_the_same(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    made = machine("on_crash = stay-off", later=[Later(1.0, what)])
    with monkeypatch.context() as patched:
        patched.setattr(transitions, "trial_failed", lambda *_, **__: daemon_killed())
        daemon = Daemon(made)
        daemon.ask(1, "kernel", "web")
        assert daemon.run_until_killed(600)
    assert trial(made)["failed"] and made.running.get("web") != "running"
    Daemon(made).run(100)
    assert made.running["web"] == "running" and stamp(1) in kernel_of(made)


def test_what_has_failed_is_not_booted_by_the_next_boot_but_may_be_tried_once_more() -> None:
    made = machine(hangs_with=stamp(2))
    update(made)
    made.dom0.state.domains.clear()
    for volume in made.dom0.state.volumes:
        volume.opened = False
    made.dom0.state.texts = {path: each for path, each in made.dom0.state.texts.items() if path == TRIALS}
    made.disk.memory = Memory()
    daemon = Daemon(made)
    daemon.ask(0, "boot")
    daemon.run(60)
    assert made.running["web"] == "running" and stamp(1) in kernel_of(made)
    made.behave("web", **LISTEN)
    daemon = Daemon(made)
    daemon.ask(0, "stop", "web")
    daemon.run(60)
    request, _ = update(made)
    assert request.code == 0 and stamp(2) in kernel_of(made) and trial(made) == {}


def test_another_file_ends_what_has_failed() -> None:
    made = machine(hangs_with=stamp(2))
    update(made)
    made.dom0.state.paths[KERNEL] = Path("file", 8 << 20, changed=3)
    daemon = Daemon(made)
    restart = daemon.ask(1, "restart", "web")
    daemon.run(100)
    assert restart.code == 0 and stamp(3) in kernel_of(made) and trial(made) == {}


def test_without_a_kernel_before_it_is_said_and_what_comes_up_is_kept() -> None:
    made = machine()
    made.dom0.state.paths[KERNEL] = Path("file", 8 << 20, changed=1)
    request, told = update(made)
    assert request.code == 0 and told[0].endswith("; no kernel that it had before is known, so it cannot go back")
    made = machine(later=[Later(1.0, "crash")])
    made.dom0.state.paths[KERNEL] = Path("file", 8 << 20, changed=1)
    request, _ = update(made)
    assert trial(made) == {} and stamp(1) in kernel_of(made) and made.running["web"] == "running"


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (("nobody",), 3, "no domU named nobody is declared; declared are: db, web"),
        (("db",), 1, "cannot update the kernel of domain/db: it boots no kernel of the dom0 whose modules are on"),
        (("web",), 1, "cannot update the kernel of domain/web: it is not off; type: xenlocal stop web"),
    ],
)
def test_what_is_refused(names: tuple[str, ...], code: int, message: str) -> None:
    made = machine()
    daemon = Daemon(made)
    daemon.ask(0, "start", "web")
    request = daemon.ask(20, "kernel", *names)
    daemon.run(30)
    assert request.code == code and message in request.result["message"] and trial(made) == {} and not marked(made)


@pytest.mark.parametrize("names", [(), ("db", "web"), ("web", "web")])
def test_one_at_a_time_whatever_comes_by_the_socket(names: tuple[str, ...]) -> None:
    made = machine()
    daemon = Daemon(made)
    request = daemon.ask(1, "kernel", *names)
    daemon.run(10)
    assert (request.code, request.result["message"]) == (1, "cannot put kernels on trial: name one domU")
    assert trial(made) == {} and not marked(made)


def test_what_is_absent_or_boots_no_kernel_or_while_the_host_goes_down() -> None:
    for text, message in (
        (web("state = absent"), "cannot start web: state = absent; change the file first"),
        (
            web().replace("kernel = /boot/vmlinuz", "bootloader = pygrub").replace("cmdline = root=/dev/xvda ro", ""),
            "boots",
        ),
    ):
        made = machine()
        made.write(text)
        request, _ = update(made, 20)
        assert request.code == 1 and message in request.result["message"] and trial(made) == {}
    made = machine()
    daemon = Daemon(made)
    daemon.ask(0, "shutdown")
    request = daemon.ask(5, "kernel", "web")
    daemon.run(10)
    assert request.code == 1 and request.result["message"] == "cannot do that: the host is shutting down"


def test_what_cannot_be_found_out_or_done_begins_nothing() -> None:
    made = machine()
    daemon = Daemon(made, fail("xenstore-ls"))
    request = daemon.ask(0, "kernel", "web")
    daemon.run(10)
    assert "what it takes could not be found out: " in request.result["message"] and trial(made) == {}
    made.dom0.state.full = True
    request, _ = update(made, 10)
    assert "No space left on device" in request.result["message"] and trial(made) == {} and not marked(made)
    made.dom0.state.full = False
    request, _ = update(made, 10, fail("lvchange --addtag"))
    assert request.code == 1 and "lvchange" in request.result["message"] and trial(made) == {}


def test_a_kernel_that_is_replaced_between_the_look_and_the_copy_is_not_tried() -> None:
    made = machine()
    daemon = Daemon(made)
    actuator = daemon.tools.actuator
    perform = actuator.perform

    def late(action: Action) -> None:
        made.dom0.state.paths[KERNEL] = Path("file", 8 << 20, changed=5)
        perform(action)

    actuator.perform = late  # type: ignore[method-assign]
    request = daemon.ask(1, "kernel", "web")
    daemon.run(10)
    assert f"{KERNEL} has just changed" in request.result["message"] and trial(made) == {} and not marked(made)


def test_a_kernel_that_is_replaced_when_its_release_has_just_been_read_is_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be of another release, and the modules of the former one no use to it."""
    made = machine()
    daemon = Daemon(made)
    kernel = daemon.tools.reader.kernel

    def late(path: str) -> Kernel:
        found = kernel(path)
        made.dom0.state.paths[KERNEL] = Path("file", 8 << 20, changed=5)
        return found

    monkeypatch.setattr(daemon.tools.reader, "kernel", late)
    request = daemon.ask(1, "kernel", "web")
    daemon.run(10)
    assert f"{KERNEL} has just changed" in request.result["message"] and trial(made) == {}


def test_one_that_cannot_be_started_yet_says_why_and_goes_on_when_it_can() -> None:
    made = machine()
    made.dom0.state.texts["/var/lib/xen/save/web"] = "an image"
    request, _ = update(made, 30)
    assert request.code == 1 and "a saved state of it lies in" in request.result["message"]
    assert trial(made)["failed"] == "" and marked(made)
    del made.dom0.state.texts["/var/lib/xen/save/web"]
    Daemon(made).run(300)
    assert made.running["web"] == "running" and stamp(2) in kernel_of(made) and trial(made) == {}


def test_a_word_to_stop_it_holds_and_the_trial_waits() -> None:
    made = machine(hangs_with=stamp(2))
    daemon = Daemon(made)
    request = daemon.ask(1, "kernel", "web")
    daemon.ask(200, "stop", "web")
    daemon.run(300)
    assert "web" not in made.running and made.record("web").hand is Hand.STOP
    assert request.finished and trial(made)["failed"] == ""


@pytest.mark.parametrize("hangs_with", ["", stamp(2)])
def test_a_daemon_that_is_killed_at_any_command_comes_to_the_same_end(hangs_with: str) -> None:
    for number in range(1, 60, 3):
        made = machine(hangs_with=hangs_with)
        daemon = Daemon(made)
        kill_at_command(daemon, number)
        daemon.ask(1, "kernel", "web")
        assert daemon.run_until_killed(600) or not hangs_with
        began = bool(trial(made))
        Daemon(made).run(600)
        if began and made.record("web").hand is Hand.START:
            failed = trial(made).get("failed", "")
            assert (stamp(1) if hangs_with else stamp(2)) in kernel_of(made), number
            assert made.running["web"] == "running" and bool(failed) is bool(hangs_with), number
            assert marked(made) is False, number


def test_a_record_that_cannot_be_written_is_tried_again() -> None:
    made = machine()
    daemon = Daemon(made)
    trials = daemon.tools.actuator._kernels.trials  # type: ignore[attr-defined]
    real, left = trials._write, [1]

    def write(path: str, text: str) -> None:
        if text.count("release") == 0 and left.pop():
            left.append(0)
            raise OSError(28, "No space left on device")
        real(path, text)

    trials._write = write
    request = daemon.ask(1, "kernel", "web")
    daemon.run(600)
    assert request.finished and trial(made) == {} and made.running["web"] == "running"
