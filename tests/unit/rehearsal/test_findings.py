"""Everything that is to be heard of on the day it comes up, each brought about once."""

from __future__ import annotations

import builtins
import os
from dataclasses import replace

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf, listens
from tests.unit.rehearsal.support import lose_copies, rehearsed, scene_of, with_a_past
from xenlocal.model.errors import XenlocalError
from xenlocal.model.observed import Unavailable
from xenlocal.planner.rehearsal import Rehearsal, findings
from xenlocal.rehearsal import rehearse
from xenlocal.simulator import guests
from xenlocal.simulator.state import Link, Path

FOREIGN = "ffffffff-1111-1111-1111-aaaaaaaaaaaa"
DISKS = ("[[disk xvda]]", "volume = vg0/web", "size = 1G", "[[disk xvdb]]", "device = /dev/sdb")


def one_host() -> Machine:
    machine = Machine(conf("web", "ramdisk = /boot/initrd.img", *DISKS, "[[nic eth0]]", "bridge = br1"))
    state = machine.dom0.state
    state.paths |= {"/dev/sdb": Path("block", 0, "/dev/sdb", "8:16")}
    state.paths |= {"/boot/initrd.img": Path(), "/boot/vmlinuz": Path()}
    state.patterns = []
    state.links.append(Link("br1", 40, "bridge", up=True))
    machine.write("[bridge br1]\nexternal = yes", *machine.disk.files.values())
    return with_a_past(machine)


def kinds(rehearsal: Rehearsal) -> set[str]:
    return {finding.kind for finding in rehearsal.findings}


def reason(rehearsal: Rehearsal, name: str = "web") -> str:
    (fate,) = [each for each in rehearsal.fates if each.name == name]
    assert fate.meant and not fate.well and not rehearsal.well
    return fate.reason


def test_a_host_that_is_well_has_nothing_to_tell() -> None:
    foreseen = rehearsed(one_host())
    assert foreseen.well and not foreseen.findings


@pytest.mark.parametrize(("path", "what"), [("/boot/vmlinuz", "kernel"), ("/boot/initrd.img", "ramdisk")])
def test_a_kernel_or_ramdisk_that_is_gone(path: str, what: str) -> None:
    machine = one_host()
    del machine.dom0.state.paths[path]
    assert rehearsed(machine).well, "it starts from the copy that is kept"
    lose_copies(machine)
    foreseen = rehearsed(machine)
    assert reason(foreseen).startswith(f"{what} {path} does not exist (a.conf:")
    assert machine.running == {"web": "running"}


def test_an_installation_whose_time_nobody_knows() -> None:
    machine = Machine(conf("web", "[[disk xvda]]", "volume = vg0/web", "size = 1G", "[[install]]", "suite = sid"))
    foreseen = rehearsed(machine)
    told = [each.text for each in foreseen.findings if str(each.target) == "domain/web"]
    assert "how long the work on its disk takes is not known: 3 min is taken for it" in told
    assert [link.seconds for link in foreseen.phases[1].path if link.step == "watch domain/web"] == [
        pytest.approx(180, abs=2)
    ]


def test_a_device_a_volume_a_bridge_that_is_gone() -> None:
    machine = one_host()
    del machine.dom0.state.paths["/dev/sdb"]
    assert "device//dev/sdb does not exist yet" in reason(rehearsed(machine))
    machine = one_host()
    machine.dom0.state.volumes.clear()
    machine.dom0.state.groups[0].name = "vg9"
    assert "volume group vg0 does not exist" in reason(rehearsed(machine))
    machine = one_host()
    machine.dom0.state.links = [link for link in machine.dom0.state.links if link.name != "br1"]
    assert "bridge/br1" in reason(rehearsed(machine))


def test_a_saved_state() -> None:
    machine = one_host()
    machine.dom0.state.texts["/var/lib/xen/save/web"] = "memory"
    assert "a saved state of it lies in /var/lib/xen/save/web" in reason(rehearsed(machine))


def test_a_dom0_that_gives_its_memory_away() -> None:
    machine = one_host()
    machine.dom0.state.xl_conf = 'autoballoon="on"\n'
    (finding,) = [each for each in rehearsed(machine).findings if each.kind == "autoballoon"]
    assert str(finding.target) == "host/this" and "dom0_mem=4G,max:4G" in finding.text


@pytest.mark.parametrize("autoballoon", [False, True])
def test_more_memory_than_the_host_has(autoballoon: bool) -> None:
    machine = with_a_past(Machine(conf("small"), conf("big")))
    state = machine.dom0.state
    if autoballoon:
        state.xen_commandline = "placeholder"
    state.memory_mib = 2048 + 128 + 256 + 1050 if not autoballoon else 1500
    state.dom0_memory_mib -= state.memory_mib < 2048 and 1500
    machine.write(conf("small"), conf("big").replace("512M", "900M"))
    foreseen = rehearsed(machine)
    assert "memory" in kinds(foreseen) and "memory" in reason(foreseen, "small")


def test_a_monitor_that_was_killed() -> None:
    machine = one_host()
    machine.dom0.state.domains[0].monitor = False
    foreseen = rehearsed(machine)
    assert kinds(foreseen) == {"monitor"} and foreseen.well
    assert "`xenlocal restart web`" in foreseen.findings[0].text


def test_a_guest_that_cannot_be_asked_to_stop() -> None:
    machine = one_host()
    machine.behave("web", no_pv=True)
    foreseen = rehearsed(machine)
    assert kinds(foreseen) == {"stop-feature"} and foreseen.phases[0].forced == ("web",)
    assert "destroyed after stop_timeout = 5m" in foreseen.findings[0].text


def test_settings_that_are_pending() -> None:
    machine = one_host()
    files = machine.disk.files["a.conf"]
    machine.write(files.replace("[[disk xvda]]", "cmdline = quiet\n[[disk xvda]]"))
    foreseen = rehearsed(machine)
    assert kinds(foreseen) == {"pending"} and "cmdline" in foreseen.findings[0].text


def test_one_that_was_never_seen_to_start_or_stop() -> None:
    machine = Machine(conf("web"))
    (finding,) = rehearsed(machine).findings
    assert finding.kind == "durations" and "its start (5 s), its way to ready (20 s)" in finding.text
    machine = one_host()
    machine.history.entries.clear()
    assert "its stop (20 s)" in rehearsed(machine).findings[0].text


def test_one_that_hung_at_its_last_stop() -> None:
    machine = with_a_past(Machine(conf("web", "stop_timeout = 30s")))
    machine.behave("web", stop_seconds=None)
    Daemon(machine).serve("restart", "web")
    foreseen = rehearsed(machine)
    assert kinds(foreseen) == {"hung"} and foreseen.phases[0].forced == ("web",)


def test_who_is_not_meant_to_come_back_is_no_fault() -> None:
    machine = with_a_past(Machine(conf("web"), conf("tool", "state = manual")))
    Daemon(machine).serve("start", "tool")
    foreign = guests.create(machine.dom0, {"name": "theirs", "memory": 64, "uuid": FOREIGN})
    foreign.elsewhere = True
    guests.release(machine.dom0, foreign)
    machine.dom0.advance(machine.dom0.now + 60)
    foreseen = rehearsed(machine)
    assert foreseen.well
    assert [(fate.name, fate.well, fate.meant) for fate in foreseen.fates] == [
        ("theirs", False, False),
        ("tool", False, False),
        ("web", True, True),
    ]
    assert "domain/theirs" in {moment.target for moment in foreseen.phases[0].moments}


def test_one_that_waits_for_a_thing_comes_back_without_it() -> None:
    machine = with_a_past(Machine(conf("web", "after = device/dev/never", "start_timeout = 5m")))
    foreseen = rehearsed(machine)
    assert foreseen.well and 300 < foreseen.phases[1].seconds < 400


def test_those_that_share_a_disk_come_back() -> None:
    """qemu serves it: xenstore has no number of the device, and LVM says that it is open."""
    by_volume, by_path = "volume = vg0/both", "device = /dev/mapper/vg0-both"
    texts = [conf(name, "[[disk xvdb]]", way, "mode = w!") for name, way in (("one", by_volume), ("two", by_path))]
    machine = with_a_past(Machine(texts[0].replace("w!", "w!\nsize = 1G"), texts[1]))
    assert set(machine.running) == {"one", "two"}
    assert [(fate.name, fate.reason) for fate in rehearsed(machine).fates] == [("one", ""), ("two", "")]


def test_start_and_stop_of_one() -> None:
    machine = with_a_past(Machine(listens("db", 5432), conf("web", "needs = db", "state = manual")))
    start = rehearsed(machine, "start", "web")
    assert "needs domain/db" in start.fates[0].reason and not start.well  # it was never ready
    machine.behave("db", listen={"192.0.2.50:5432": 1.0})
    machine.dom0.state.domains[0].born -= 900
    Daemon(machine).run(60)
    start, stop = rehearsed(machine, "start", "web"), rehearsed(machine, "stop", "db")
    assert start.well and [each.what for each in start.phases[0].moments] == ["start", "await"]
    assert stop.well and [each.target for each in stop.phases[0].moments] == ["domain/db"]
    assert set(machine.running) == {"db"}
    with pytest.raises(XenlocalError, match="no domU named nobody"):
        rehearsed(machine, "start", "nobody")


def test_nothing_real_is_touched_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine = one_host()
    scene, before = scene_of(machine), (machine.disk.saves, len(machine.history.entries), len(machine.dom0.trace))
    caplog.clear()

    def never(*_words: object, **_more: object) -> None:
        raise AssertionError("a real file")

    monkeypatch.setattr(builtins, "open", never)
    monkeypatch.setattr(os, "open", never)
    foreseen = rehearse(scene)
    monkeypatch.undo()
    assert foreseen.well and foreseen.phases[1].moments
    assert (machine.disk.saves, len(machine.history.entries), len(machine.dom0.trace)) == before
    assert not caplog.records


def test_one_that_is_to_be_absent_has_no_fate_to_tell() -> None:
    machine = with_a_past(Machine(conf("web"), conf("old", "state = absent")))
    assert [fate.name for fate in rehearsed(machine).fates] == ["web"]


def test_a_host_whose_memory_is_not_known_is_not_said_to_have_too_little() -> None:
    scene = scene_of(with_a_past(Machine(conf("web"), conf("big").replace("512M", "900G"))))
    assert "memory" in {each.kind for each in findings(scene, frozenset({"web"}), ())}
    unknown = replace(scene, observed=replace(scene.observed, hardware=Unavailable("xl info hangs")))
    assert not findings(unknown, frozenset({"web"}), ())
    with pytest.raises(XenlocalError, match="cannot rehearse: hardware unknown: xl info hangs"):
        rehearse(unknown)
