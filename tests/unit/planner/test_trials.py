"""A kernel on trial: what its domU is started from, what waits for its modules, and how the trial ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import (
    GIB,
    TCP,
    action,
    desired,
    dom,
    edges,
    file_facts,
    ids,
    image,
    learned_plan,
    live,
    lv,
    memory,
    noticed,
    observed,
    plan,
    ready,
    rec,
    refused,
    storage,
    volume,
)
from xenlocal.model.actions import EndTrial, FailTrial, PrepareDisk, StageConfig, WatchDisk
from xenlocal.model.desired import Domain, ImageFile, LogicalVolume, OnCrash, OnPoweroff, State
from xenlocal.model.diskwork import Install, Preparation
from xenlocal.model.identity import Identity
from xenlocal.model.memory import Hand, Memory, Off
from xenlocal.model.observed import NOT_ASKED, Built, Kept, Observed, PathFacts, PathKind, Table, Unavailable, Vbd
from xenlocal.model.plan import Plan
from xenlocal.model.storage import OUR_TAG
from xenlocal.model.trial import Trial
from xenlocal.planner import memory as transitions
from xenlocal.planner import xlcfg
from xenlocal.planner.kernels import copy_name
from xenlocal.planner.preparing import MMDEBSTRAP

KERNEL = "/boot/vmlinuz-6.2"
PLACE = "/var/lib/xenlocal/kernels"
THERE = {KERNEL: file_facts(KERNEL)}
NEW, OLD = copy_name((KERNEL,), THERE), copy_name(("/boot/vmlinuz-6.1",), {"/boot/vmlinuz-6.1": file_facts("x")})
WEB = dom("web", lv("web"), kernel=KERNEL, probe=TCP, cmdline="root=/dev/xvda ro")
TRIAL = Trial("web", WEB.uuid, "6.2", NEW, OLD)
FAILED = replace(TRIAL, failed="crashed before it was ready")
TAGS = frozenset({OUR_TAG, Preparation.MODULES.mark})
MEANT = {"hand": Hand.START, "probe": str(TCP)}


def seen(*lives: Any, trial: Trial | None = TRIAL, runs: str = NEW, marked: bool = False, **tables: Any) -> Observed:
    """`runs`: the copy that domid 3 was started from."""
    one = frozenset({runs})
    kept = Kept(PLACE, frozenset({NEW, OLD}), built={(3, WEB.uuid): Built(runs=one)} if runs else {})
    tables = {"paths": THERE, "kernels": kept, "at_work": frozenset(), **tables}
    tables.setdefault("trials", {} if trial is None else {trial.uuid: trial})
    tables.setdefault("storage", storage(volume("web", tags=TAGS if marked else frozenset({OUR_TAG}))))
    return observed(*lives, **tables)


def made(look: Observed, domain: Domain = WEB, **record: Any) -> Plan:
    return plan(desired(domain), look, memory(rec("web", **{**MEANT, **record})))


def up(**record: Any) -> Memory:
    values = {**MEANT, "domid": 3, "born": 1.0, "running": xlcfg.settings(WEB), **record}
    return memory(rec("web", **values))


def running(memory: Memory, domain: Domain = WEB, **look: Any) -> Plan:
    return plan(desired(domain), seen(live(3, "web"), **look), memory)


def test_it_is_started_from_the_copy_on_trial_when_its_modules_are_there() -> None:
    one = made(seen(marked=True))
    assert ids(one) == (
        "begin installing the modules of domain/web",
        "watch domain/web",
        "start domain/web",
        "await domain/web",
    )
    begin, watch = action(one, "begin installing the modules of domain/web"), action(one, "watch domain/web")
    assert isinstance(begin, PrepareDisk) and begin.work is Preparation.MODULES
    assert begin.settings["XENLOCAL_RELEASE"] == "6.2" and begin.settings["XENLOCAL_VOLUME"] == "vg0/web"
    assert watch == WatchDisk("web", WEB.uuid, LogicalVolume("vg0", "web"), Preparation.MODULES)
    assert {"watch domain/web"} <= {*edges(one, "start domain/web")[0]}
    assert action(one, "start domain/web").copy == NEW
    told = noticed(one, "domain/web")
    assert "gets the modules of its kernel, on volume/vg0/web, before it starts" in told
    assert "its kernel 6.2 is on trial: unless it is ready in time, it goes back to the one before" in told
    begin_reason = next(step.reason for step in one.steps if step.id.startswith("begin "))
    assert begin_reason == "volume/vg0/web is to have those of the kernel on trial"
    # begun by a daemon before this one
    assert ids(made(seen(marked=True, at_work=frozenset({"modules /dev/vg0/web"}))))[0] == "watch domain/web"
    assert ids(made(seen())) == ("start domain/web", "await domain/web")


@pytest.mark.parametrize("changes", [{"readonly": True}, {"shared": True}, {"cdrom": True}])
def test_a_disk_that_is_not_its_own_any_more_gets_none(changes: dict[str, Any]) -> None:
    other = replace(WEB, disks=(replace(lv("web"), **changes),))
    assert not any(step.startswith("begin ") for step in ids(made(seen(marked=True), other)))


@pytest.mark.parametrize("cmdline", ["root=/dev/xvdb ro", "root=/dev/xvda1", "ro"])
def test_only_its_root_disk_gets_them_whatever_mark_another_has_kept_of_a_trial_before(cmdline: str) -> None:
    both = storage(volume("web", tags=TAGS), volume("root", tags=frozenset({OUR_TAG})))
    moved = replace(WEB, disks=(lv("web"), lv("root", vdev="xvdb")), cmdline=cmdline)
    assert ids(made(seen(storage=both), moved))[0] == "start domain/web"
    both = storage(volume("web", tags=TAGS), volume("root", tags=TAGS))
    begun = [step.action for step in made(seen(storage=both), moved).steps if isinstance(step.action, PrepareDisk)]
    root = [LogicalVolume("vg0", "root")] if "xvdb" in cmdline else []
    assert [each.disk for each in begun] == root


def test_one_that_was_never_installed_and_whose_disk_has_grown_gets_its_modules_last() -> None:
    tags = frozenset({OUR_TAG, *(work.mark for work in Preparation)})
    new = replace(WEB, disks=(replace(lv("web"), resize_fs=True),), install=Install(suite="bookworm"))
    paths = {**THERE, MMDEBSTRAP: file_facts(MMDEBSTRAP)}
    one = made(seen(storage=storage(volume("web", tags=tags)), paths=paths), new)
    begun = [(step.needs, step.action) for step in one.steps if isinstance(step.action, PrepareDisk)]
    works = [each.work for _, each in begun if isinstance(each, PrepareDisk)]
    assert works == [Preparation.INSTALL, Preparation.RESIZE, Preparation.MODULES]
    assert [needs for needs, _ in begun] == [(), ("watch domain/web",), ("watch domain/web 2",)]
    given = [each.settings for _, each in begun if isinstance(each, PrepareDisk)]
    own = [{"XENLOCAL_SUITE", "XENLOCAL_RELEASE"} & {*each} for each in given]
    assert own == [{"XENLOCAL_SUITE"}, set(), {"XENLOCAL_RELEASE"}]


def test_in_an_image_file() -> None:
    path = "/srv/web.img"
    mark = Preparation.MODULES.mark_of_file(path)
    there = {**THERE, path: file_facts(path), mark: file_facts(mark)}
    one = made(seen(paths=there), replace(WEB, disks=(image(path),)))
    begin = action(one, ids(one)[0])
    assert begin.disk == ImageFile(path) and "XENLOCAL_VOLUME" not in begin.settings


def test_a_mark_without_a_trial_that_lasts_means_nothing_unless_it_is_at_work() -> None:
    for trial in (None, FAILED):
        assert ids(made(seen(trial=trial, marked=True)))[0] == "start domain/web"
        one = made(seen(trial=trial, marked=True, at_work=frozenset({"modules /dev/vg0/web"})))
        assert "is being worked on, until what `systemctl list-units 'xenlocal-modules-*'`" in refused(
            one, "domain/web"
        )


def test_once_it_is_ready_the_trial_has_ended_well() -> None:
    one = running(memory(ready("web", 3, running=xlcfg.settings(WEB), probe=str(TCP))))
    assert ids(one) == ("end the trial of the kernel of domain/web", "check domain/web")
    assert one.steps[0].action == EndTrial(TRIAL)
    assert one.steps[0].reason == "it is ready with 6.2" and one.steps[0].changes_host


@pytest.mark.parametrize("runs", [OLD, ""])
def test_another_kernel_that_is_ready_or_late_proves_nothing(runs: str) -> None:
    for record in ({"ready": True}, {"gave_up_waiting": True}):
        one = running(up(**record), runs=runs)
        assert not any(isinstance(step.action, EndTrial | FailTrial) for step in one.steps)
        assert "is on trial" in noticed(one, "domain/web")
    unknown = seen(live(3, "web"), kernels=Unavailable("it hangs"))
    staged = frozenset({f"{PLACE}/{NEW}/kernel"})
    nothing = Kept(PLACE, built={(3, WEB.uuid): Built(staged, frozenset({NEW}), frozenset({OLD}))})
    for look in (unknown, seen(live(3, "web"), kernels=nothing)):
        assert "end the trial of the kernel of domain/web" not in ids(plan(desired(WEB), look, up(ready=True)))


def test_one_that_is_not_ready_in_time_has_failed() -> None:
    assert not any(isinstance(step.action, EndTrial | FailTrial) for step in running(up()).steps), "there is time yet"
    for why, said in (("port closed", "was not ready after 5m: port closed"), ("", "was not ready after 5m")):
        (step,) = running(up(gave_up_waiting=True, unready=why)).steps
        assert step.action == FailTrial(replace(TRIAL, failed=said)) and step.reason == f"with 6.2 it {said}"
        assert step.id == "end in vain the trial of the kernel of domain/web"


ENDS = {
    Off.CRASH: "crashed before it was ready",
    Off.LOST: "disappeared before it was ready",
    Off.POWEROFF: "ended by itself before it was ready",
    Off.REBOOTING: "rebooted before it was ready",
}


@pytest.mark.parametrize("off", Off)
@pytest.mark.parametrize("kind", [{}, {"on_crash": OnCrash.STAY_OFF}, {"on_poweroff": OnPoweroff.RESTART}])
def test_one_that_ends_before_has_failed_unless_somebody_has_ended_it(off: Off, kind: dict[str, Any]) -> None:
    one = made(seen(), replace(WEB, **kind), off=off, off_since=1.0)
    failed = [step.action for step in one.steps if isinstance(step.action, FailTrial)]
    assert failed == ([FailTrial(replace(TRIAL, failed=ENDS[off]))] if off in ENDS else [])
    assert not failed or "start domain/web" not in ids(one), "not from the kernel that has just failed"


def test_a_crashed_one_whose_shell_is_there_and_one_that_could_not_be_started() -> None:
    one = plan(desired(WEB), seen(live(3, "web", "crashed")), up(off=Off.CRASH, off_since=1.0))
    assert any(isinstance(step.action, FailTrial) for step in one.steps)
    one = made(seen(), failures=1, failure="the installation of its modules failed: no room", retry_at=1e9)
    (step,) = one.steps
    assert step.reason == "with 6.2 it could not be started: the installation of its modules failed: no room"


@pytest.mark.parametrize(
    ("record", "state", "judged"),
    [
        ({"hand": Hand.STOP}, State.RUNNING, False),
        ({"hand": Hand.DESTROY}, State.RUNNING, False),
        ({"hand": None}, State.RUNNING, True),
        ({"hand": None}, State.MANUAL, False),
        ({"hand": Hand.START}, State.MANUAL, True),
        ({"hand": Hand.RESTART, "hand_domid": 2}, State.RUNNING, True),
    ],
)
def test_nobody_who_is_to_be_off_is_judged(record: dict[str, Any], state: State, judged: bool) -> None:
    one = made(seen(), replace(WEB, state=state), off=Off.CRASH, off_since=1.0, **record)
    assert any(isinstance(step.action, FailTrial) for step in one.steps) is judged


def test_one_that_is_being_restarted_is_not_judged() -> None:
    one = running(up(gave_up_waiting=True, hand=Hand.RESTART, hand_domid=3))
    assert "stop domain/web" in ids(one) and not any(isinstance(step.action, FailTrial) for step in one.steps)


def test_without_a_kernel_to_go_back_to_it_ends_all_the_same() -> None:
    alone = replace(TRIAL, before=None)
    one = made(seen(trial=alone), off=Off.CRASH, off_since=1.0)
    assert one.steps[0].action == EndTrial(alone)
    assert one.steps[0].reason == "crashed before it was ready; there is no other kernel to go back to"
    assert noticed(made(seen(trial=alone)), "domain/web") == "its kernel 6.2 is on trial"


TOLD = (
    "its kernel 6.2 has failed its trial (crashed before it was ready), so it is started from the one before until the"
    " files name another; `xenlocal kernel web --update`, while it is off, tries it once more"
)


def test_what_has_failed_is_not_started_again_also_after_a_boot_and_where_its_file_has_gone() -> None:
    for paths in (THERE, {}):
        one = plan(desired(WEB), seen(trial=FAILED, paths=paths), memory())
        assert action(one, "start domain/web").copy == OLD and TOLD in noticed(one, "domain/web")
    one = running(up(ready=True), trial=FAILED, runs=OLD)
    assert not [step for step in one.steps if step.changes_host] and noticed(one, "domain/web").endswith(TOLD)
    assert "takes the former one" not in noticed(one, "domain/web"), "a restart would take no other"


def test_one_that_runs_from_it_all_the_same_goes_back_once_more() -> None:
    """It came back from a reboot of its own; or we were killed before its way back had begun."""
    assert running(up(), trial=FAILED).steps[0].action == FailTrial(FAILED)
    one = running(up(hand=Hand.RESTART, hand_domid=3), trial=FAILED)
    assert "stop domain/web" in ids(one) and action(one, "start domain/web").copy == OLD
    assert ids(running(up(hand=Hand.STOP), trial=FAILED)) == ("stop domain/web",)


def test_its_own_reboot_takes_the_kernel_before_where_it_may_live_too_short_to_be_asked_to_stop() -> None:
    way_back = "stage domain/web"
    one = running(up(hand=Hand.START), trial=FAILED)
    assert ids(one) == ("end in vain the trial of the kernel of domain/web", way_back)
    staged = action(one, way_back)
    assert isinstance(staged, StageConfig) and (staged.domid, staged.copy) == (3, OLD)
    assert staged.config == xlcfg.render(WEB) and edges(one, way_back)[0] == (ids(one)[0],), "first it is remembered"
    assert one.steps[1].reason == "its own reboot is to take the kernel before"
    unknown = running(up(hand=Hand.START), trial=FAILED, kernels=Unavailable("it hangs"))
    assert way_back not in ids(unknown) and "stage domain/web" not in ids(running(up(gave_up_waiting=True)))
    others = Vbd(4, "xvda", "/dev/vg0/web", None, True, by_qemu=True)
    held = plan(desired(WEB), seen(live(3, "web"), live(4, "x"), trial=FAILED, vbds=(others,)), up(hand=Hand.START))
    assert ids(held) == ids(one)[:1]
    assert "not handed over for its next reboot: disk xvda: volume/vg0/web is held by" in refused(held, "domain/web")


def test_nor_does_that_give_it_another_identity() -> None:
    locked = replace(WEB, hostid="locked")
    mine = {WEB.uuid: Identity("web", WEB.uuid, ("00:16:3e:00:00:01",), locked.identity.disks)}
    one = running(up(hand=Hand.START), locked, trial=FAILED, identities=mine)
    assert ids(one) == ("end in vain the trial of the kernel of domain/web",)
    assert refused(one, "domain/web").startswith("goes on running as it is: ")


@pytest.mark.parametrize("off", Off)
def test_one_whose_end_was_recorded_and_never_remembered_goes_back_all_the_same(off: Off) -> None:
    """Killed between the two. What keeps a guest off that has crashed does not keep the way back."""
    domain = replace(WEB, on_crash=OnCrash.STAY_OFF)

    def goes_back(started: str = NEW, **record: Any) -> bool:
        kept = Kept(PLACE, frozenset({NEW, OLD}), started={WEB.uuid: started, "other": NEW})
        record = {"off": off, "off_since": 1.0, "hand": Hand.START, **record}
        one = made(seen(trial=FAILED, kernels=kept), domain, **record)
        return FailTrial(FAILED) in [step.action for step in one.steps]

    assert goes_back() is (off in (Off.CRASH, Off.POWEROFF, Off.LOST)), "where it reboots, it is started anew anyway"
    assert not goes_back(OLD) and not goes_back(hand=Hand.STOP) and not goes_back(hand=Hand.RESTART, hand_domid=2)
    unknown = seen(trial=FAILED, kernels=Unavailable("it hangs"))
    assert not any(isinstance(step.action, FailTrial) for step in made(unknown, domain, off=off, off_since=1.0).steps)


def test_the_trial_of_one_that_was_renamed_is_told_by_its_new_name() -> None:
    www = replace(WEB, name="www")
    record = replace(ready("web", 3, running=xlcfg.settings(WEB), probe=str(TCP)), name="www")
    one = running(memory(record), www)
    ends = [step.action for step in one.steps if isinstance(step.action, EndTrial)]
    assert ends == [EndTrial(replace(TRIAL, name="www"))]


REPLACED = {KERNEL: PathFacts(PathKind.FILE, GIB, KERNEL, changed=7)}


@pytest.mark.parametrize(
    ("trial", "domain", "tables"),
    [
        (FAILED, WEB, {"paths": REPLACED}),
        (FAILED, replace(WEB, kernel="/boot/vmlinuz-6.3"), {}),
        (TRIAL, replace(WEB, kernel="/boot/vmlinuz-6.3"), {}),
        (TRIAL, replace(WEB, kernel=None, bootloader="pygrub"), {}),
    ],
)
def test_another_kernel_in_the_files_ends_it(trial: Trial, domain: Domain, tables: dict[str, Any]) -> None:
    there = {**THERE, "/boot/vmlinuz-6.3": file_facts("/boot/vmlinuz-6.3")}
    look = seen(trial=trial, **{"paths": there, **tables})
    one = made(look, domain)
    step = one.steps[0]
    assert step.action == EndTrial(trial) and step.reason == "the files name another kernel by now"
    assert action(one, "start domain/web").copy is None and not noticed(one, "domain/web")
    gone = plan(desired(domain), replace(look, trials={}), memory(rec("web", **MEANT)))
    assert action(gone, "start domain/web").copy is None


def test_what_is_not_known_of_its_files_does_not_end_it() -> None:
    one = made(seen(trial=FAILED, paths=Unavailable("it hangs")))
    assert not any(isinstance(step.action, EndTrial) for step in one.steps) and TOLD in noticed(one, "domain/web")


def test_while_it_lasts_a_file_that_is_replaced_does_not_end_it() -> None:
    assert action(made(seen(paths=REPLACED)), "start domain/web").copy == NEW


def test_what_is_not_known_of_trials_starts_no_kernel_of_the_dom0() -> None:
    unknown = seen(trials=Unavailable("cannot understand trials.json"))
    one = made(unknown)
    assert refused(one, "domain/web") == "which kernels are on trial is not known: cannot understand trials.json"
    other = dom("db", lv("web"), bootloader="pygrub")
    assert "start domain/db" in ids(plan(desired(other), unknown))
    assert Table.TRIALS in made(seen(trials=NOT_ASKED)).wanted
    assert Table.TRIALS not in plan(desired(other), seen(trials=NOT_ASKED, kernels=Kept(PLACE))).wanted
    edited = up(ready=True, running={**xlcfg.settings(WEB), "kernel": '"/boot/old"'})
    one = plan(desired(WEB), replace(unknown, domains={3: live(3, "web")}), edited)
    assert refused(one, "domain/web").startswith("not handed over for its next reboot: which kernels are on trial")


def test_an_edit_that_is_staged_keeps_to_the_copy_too() -> None:
    edited = up(ready=True, running={**xlcfg.settings(WEB), "type": '"pvh"'})
    for trial, copy in ((FAILED, OLD), (None, None)):
        one = plan(desired(WEB), seen(live(3, "web"), trial=trial, runs=OLD), edited)
        staged = [step.action for step in one.steps if isinstance(step.action, StageConfig)]
        assert [each.copy for each in staged] == [copy]


def test_no_copy_that_a_trial_names_is_dropped() -> None:
    other = copy_name((KERNEL,), {KERNEL: replace(THERE[KERNEL], changed=5)})
    copies = Kept(PLACE, frozenset({NEW, OLD, other}), built={(3, WEB.uuid): Built(frozenset(), frozenset({other}))})
    look = seen(live(3, "web"), kernels=copies)
    remembered = memory(ready("web", 3, running=xlcfg.settings(WEB), probe=str(TCP)))
    drops = f"drop file/{PLACE}/{OLD}"
    assert drops not in ids(learned_plan(desired(WEB), look, remembered))
    assert drops in ids(learned_plan(desired(WEB), replace(look, trials={}), remembered))
    assert drops not in ids(learned_plan(desired(WEB), replace(look, trials=Unavailable("no")), remembered))


def test_the_way_back_is_a_restart_of_what_is_there() -> None:
    gone = transitions.trial_failed(memory(rec("web", off=Off.CRASH, off_since=1.0, crashes=(1.0,))), WEB.uuid)
    record = gone.records[WEB.uuid]
    assert record.hand is Hand.START and record.off is None and record.crashes == ()
    there = transitions.trial_failed(up(gave_up_waiting=True), WEB.uuid).records[WEB.uuid]
    assert there.hand is Hand.RESTART and there.hand_domid == 3
