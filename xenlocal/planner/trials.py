"""A kernel on trial: from which copy its domU is started, and how the trial ends. Pure.

`planner.update` begins one. Its modules are on the guest's disk before it is started (`planner.preparing`). Ready, it
stays; a domU that ends before that, or is not ready in time, goes back to the kernel before, until the files name
another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xenlocal.model.actions import EndTrial, FailTrial
from xenlocal.model.desired import Domain, State
from xenlocal.model.memory import Hand, Off, Record
from xenlocal.model.observed import Built, Kept, LiveDomain, Observed, Table, Unavailable
from xenlocal.model.trial import Trial
from xenlocal.planner.draft import Draft
from xenlocal.planner.kernels import boot_paths, copy_name, is_copy_of
from xenlocal.planner.wishes import is_up

_ENDS: Mapping[Off | None, str] = {
    Off.CRASH: "crashed before it was ready",
    Off.LOST: "disappeared before it was ready",
    Off.POWEROFF: "ended by itself before it was ready",
    Off.REBOOTING: "rebooted before it was ready",
}


def copy_to_start(domain: Domain, observed: Observed) -> str | None:
    """None: no trial says which. Ask `hurdle_of_trial` first."""
    trial = observed.trial_of(domain.uuid)
    if trial is None or _is_over(trial, domain, observed):
        return None
    return trial.before if trial.failed else trial.copy


def hurdle_of_trial(draft: Draft, domain: Domain, observed: Observed) -> str | None:
    """What is not known cannot be followed: it may be the kernel that has failed that would be started."""
    if domain.kernel is None or draft.table(Table.TRIALS, observed.trials) is not None:
        return None
    assert isinstance(observed.trials, Unavailable), "the draft says so"
    return f"which kernels are on trial is not known: {observed.trials.why}"


def plan_trial(
    draft: Draft, domain: Domain, record: Record, live: LiveDomain | None, observed: Observed
) -> Trial | None:
    """The one that fails by this plan, as it was before: the way back is the next plan's."""
    trial = observed.trial_of(domain.uuid)
    if trial is None:
        return None
    trial = replace(trial, name=domain.name)  # it may have been renamed
    if _is_over(trial, domain, observed):
        draft.step(EndTrial(trial), "the files name another kernel by now")
        return None
    kept = draft.table(Table.KERNELS, observed.kernels)
    runs = _runs_from(trial, live, kept)
    meant = _is_meant(domain, record, live)
    why = trial.failed or (_why_failed(domain, record, live, runs) if meant else "")
    if trial.failed and not (meant and (runs or _is_left(trial, record, kept))):
        again = f"`xenlocal kernel {domain.name} --update`, while it is off, tries it once more"
        text = f"its kernel {trial.release} has failed its trial ({why}), so it is started from the one before"
        draft.notice(domain.target, f"{text} until the files name another; {again}")
    elif why and trial.before is None:
        draft.step(EndTrial(trial), f"{why}; there is no other kernel to go back to")
    elif why:
        draft.step(FailTrial(replace(trial, failed=why)), f"with {trial.release} it {why}")
        return trial
    elif runs and record.ready:
        draft.step(EndTrial(trial), f"it is ready with {trial.release}")
    else:
        text = f"its kernel {trial.release} is on trial"
        if trial.before is not None:
            text = f"its kernel {trial.release} is on trial: unless it is ready in time, it goes back to the one before"
        draft.notice(domain.target, text)
    return None


def _is_meant(domain: Domain, record: Record, live: LiveDomain | None) -> bool:
    """Whether it is to be on: who stops it, or has it restarted, has not waited for the end of the trial."""
    if record.hand is Hand.RESTART:
        return not is_up(live)
    return record.hand is Hand.START or (record.hand is None and domain.state is State.RUNNING)


def _is_over(trial: Trial, domain: Domain, observed: Observed) -> bool:
    """While it lasts only the names of the files count. What has failed is another kernel as soon as an upgrade has
    replaced a file, but not where that has gone: then its copy would be started."""
    paths = boot_paths(domain)
    if not is_copy_of(trial.copy, paths):
        return True
    facts = {} if isinstance(observed.paths, Unavailable) else observed.paths
    return bool(trial.failed) and facts.keys() >= {*paths} and copy_name(paths, facts) != trial.copy


def _runs_from(trial: Trial, live: LiveDomain | None, kept: Kept | None) -> bool:
    """As far as is known: whoever started it."""
    if kept is None or not is_up(live):
        return False
    return trial.copy in kept.built.get((live.domid, live.uuid), Built()).runs


def _is_left(trial: Trial, record: Record, kept: Kept | None) -> bool:
    """Whether its latest life was that of the kernel that has failed, and nothing has been done about its end: we were
    killed before the memory had it. Then `on_crash = stay-off` would keep it off."""
    ended = record.off in (Off.CRASH, Off.POWEROFF, Off.LOST) and record.hand is not Hand.RESTART
    return ended and kept is not None and kept.started.get(trial.uuid) == trial.copy


def _why_failed(domain: Domain, record: Record, live: LiveDomain | None, runs: bool) -> str:
    """ "" where it has not, or that is not known."""
    if is_up(live):
        why = f": {record.unready}" if record.unready else ""
        return f"was not ready after {domain.start_timeout}{why}" if runs and record.gave_up_waiting else ""
    if record.failures:
        return f"could not be started: {record.failure}"
    return _ENDS.get(record.off, "")
