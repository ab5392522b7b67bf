"""A declared domU that runs and is to go on: whether it does its job, and settings that the files have changed."""

from __future__ import annotations

from xenlocal.model.actions import AwaitReady, CheckReady, SetLive, StageConfig
from xenlocal.model.desired import Domain, OnUnready
from xenlocal.model.memory import Record
from xenlocal.model.observed import LiveDomain, Observed, Table
from xenlocal.model.probes import ConsoleProbe, DefaultProbe
from xenlocal.planner import xlcfg
from xenlocal.planner.cpus import hurdle_of_cpus
from xenlocal.planner.disks import hurdle_of_own_reboot
from xenlocal.planner.draft import Draft
from xenlocal.planner.holders import Claims
from xenlocal.planner.hotplug import KEYS, plan_hotplug
from xenlocal.planner.trials import copy_to_start, hurdle_of_trial

_LATE_LOOK = 15.0  # seconds between two looks at a domU that was not ready in time


def plan_readiness(draft: Draft, domain: Domain, record: Record, resync: float, now: float) -> None:
    """Is it ready, or still ready? `resync`: seconds between two questions to one that is."""
    if record.ready:
        # a console line once said stays said, and without a [[ready]] nothing was promised
        asked = not isinstance(domain.probe, DefaultProbe | ConsoleProbe)
        if asked and (record.probed is None or record.probed + resync / 2 <= now):
            restarts = domain.on_unready is OnUnready.RESTART
            draft.step(CheckReady(domain.name, domain.uuid, domain.probe, restarts), "is it still ready?")
        if asked and record.untried:
            draft.notice(domain.target, f"was ready; whether it still is {record.unready}")
    elif not record.gave_up_waiting:
        draft.step(
            AwaitReady(domain.name, domain.uuid, domain.probe, domain.start_timeout),
            "is not known to be ready yet",
        )
    else:
        # one more try at every cycle, so that those who need it go on as soon as it is ready after all
        again = AwaitReady(domain.name, domain.uuid, domain.probe, domain.start_timeout, late=True)
        draft.step(again, "was not ready in time" if record.lost is None else "was ready, and is not any more")
        draft.look_again(now + _LATE_LOOK)
        if record.lost is None:
            draft.notice(domain.target, f"is running, but was not ready after {domain.start_timeout}")


def plan_settings(
    draft: Draft,
    domain: Domain,
    record: Record,
    live: LiveDomain,
    observed: Observed,
    claims: Claims,
    keeps_identity: bool,
) -> None:
    """Change live what Xen can, stage the rest for its next reboot; nothing that would give it another identity."""
    if record.domid != live.domid:
        return  # `xl create` is still building it
    wanted = xlcfg.settings(domain)
    if not record.running:
        if record.staged is None:
            text = "was not started by xenlocal: what it runs with is not compared; edits apply at its next start"
        else:
            text = "rebooted while an edit was being staged: what it runs with is not known until it reboots once more"
        draft.notice(domain.target, text)
        if not keeps_identity or record.staged is None:
            return
        plan_hotplug(draft, domain, record, live, observed, claims)
        if record.staged != wanted:
            unsafe = hurdle_of_own_reboot(draft, domain, live, observed, claims) if domain.disks else None
            _stage(draft, domain, live, observed, "what it runs with is not known", unsafe)
        return
    pending = xlcfg.pending(domain, record.running)
    for key in xlcfg.differences(domain, record.running):
        if key in pending:
            continue
        scheduler = "credit2"
        if key in ("cpus", "cpu_weight"):
            hardware = draft.table(Table.HARDWARE, observed.hardware)
            if hardware is None:
                continue
            if key == "cpus" and (no_cpu := hurdle_of_cpus(domain, hardware)):
                draft.refuse(domain.target, no_cpu)
                continue
            scheduler = hardware.scheduler
        draft.step(
            SetLive(domain.name, domain.uuid, live.domid, key, wanted[key], scheduler),
            f"{key} is {record.running.get(key, 'not set')}, declared {wanted[key]}",
        )
    if not keeps_identity:
        return  # the refusal says what is in the way
    left = plan_hotplug(draft, domain, record, live, observed, claims)
    pending = tuple(key for key in pending if key not in KEYS or key in left)
    if pending:
        draft.notice(domain.target, f"pending until its next reboot: {', '.join(pending)}")
    if (pending or record.staged is not None) and record.staged != wanted:
        why = f"cannot be changed while it runs: {', '.join(pending)}" if pending else "an edit was taken back"
        unsafe = hurdle_of_own_reboot(draft, domain, live, observed, claims) if "disk" in pending else None
        _stage(draft, domain, live, observed, why, unsafe)


def plan_way_back(draft: Draft, domain: Domain, live: LiveDomain, observed: Observed, claims: Claims) -> None:
    """It runs a kernel that has failed its trial. One that panics and reboots again and again lives too short to be
    asked to stop, so its own reboot is to take the kernel before."""
    unsafe = hurdle_of_own_reboot(draft, domain, live, observed, claims)
    why = "its own reboot is to take the kernel before"
    _stage(draft, domain, live, observed, why, unsafe, draft.steps_of(domain.target))


def _stage(
    draft: Draft,
    domain: Domain,
    live: LiveDomain,
    observed: Observed,
    why: str,
    hurdle: str | None,
    needs: tuple[str, ...] = (),
) -> None:
    unsafe = hurdle or hurdle_of_trial(draft, domain, observed)
    if unsafe is not None:
        draft.refuse(domain.target, f"not handed over for its next reboot: {unsafe}")
        return
    config, wanted = xlcfg.render(domain), xlcfg.settings(domain)
    made = [step for disk in domain.disks for step in draft.steps_of(disk.backing.target)]
    needs += tuple(step for step in made if step.startswith(("create ", "activate ")))
    copy = copy_to_start(domain, observed)
    draft.step(StageConfig(domain.name, domain.uuid, live.domid, config, wanted, copy), why, needs=needs)


def tell_withdrawn(draft: Draft, domain: Domain, record: Record, now: float) -> None:
    until = record.may_still_stop_until
    if until is not None and now < until:
        draft.notice(domain.target, "was asked to stop before it was wanted again; if it does stop, it is started")
        draft.look_again(until)
