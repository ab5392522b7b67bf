"""A kernel on trial: from which copy its domU is started, and how the trial ends. Pure.

`planner.update` begins one. Its modules are on the guest's disk before it is started (`planner.preparing`). Ready, it
stays; a domU that ends before that, or is not ready in time, goes back to the kernel before, until the files name
another one.
"""

from __future__ import annotations

from dataclasses import replace

from xenlocal.model.actions import EndTrial, FailTrial
from xenlocal.model.desired import Domain, State
from xenlocal.model.memory import Hand, Off, Record
from xenlocal.model.observed import Kept, LiveDomain, Observed, Table, Unavailable
from xenlocal.model.trial import Trial
from xenlocal.planner.draft import Draft
from xenlocal.planner.kernels import boot_paths, copy_name, is_copy_of
from xenlocal.planner.wishes import is_up

_ENDS = {
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
    why = observed.trials.why if isinstance(observed.trials, Unavailable) else ""
    return f"which kernels are on trial is not known: {why}"


def plan_trial(draft: Draft, domain: Domain, record: Record, live: LiveDomain | None, observed: Observed) -> bool:
    """Whether it fails by this plan: the way back is the next one's."""
    trial = observed.trial_of(domain.uuid)
    if trial is None:
        return False
    trial = replace(trial, name=domain.name)  # it may have been renamed
    if _is_over(trial, domain, observed):
        draft.step(EndTrial(trial), "the files name another kernel by now")
        return False
    kept = draft.table(Table.KERNELS, observed.kernels)
    runs = _runs_from(trial, live, kept)
    meant = _is_meant(domain, record, live)
    why = trial.failed or (_why_failed(domain, record, live, runs) if meant else "")
    if trial.failed and not (meant and (runs or _is_left(trial, record, live, kept))):
        again = f"`xenlocal kernel {domain.name} --update`, while it is off, tries it once more"
        text = f"its kernel {trial.release} has failed its trial ({why}), so it is started from the one before"
        draft.notice(domain.target, f"{text} until the files name another; {again}")
    elif why and trial.before is None:
        draft.step(EndTrial(trial), f"{why}; there is no other kernel to go back to")
    elif why:
        draft.step(FailTrial(replace(trial, failed=why)), f"with {trial.release} it {why}")
        return True
    elif runs and record.ready:
        draft.step(EndTrial(trial), f"it is ready with {trial.release}")
    else:
        text = f"its kernel {trial.release} is on trial"
        if trial.before is not None:
            text = f"its kernel {trial.release} is on trial: unless it is ready in time, it goes back to the one before"
        draft.notice(domain.target, text)
    return False


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
    facts = observed.paths
    if not trial.failed or isinstance(facts, Unavailable) or not facts.keys() >= {*paths}:
        return False
    return copy_name(paths, facts) != trial.copy


def _runs_from(trial: Trial, live: LiveDomain | None, kept: Kept | None) -> bool:
    """As far as is known: whoever started it."""
    if kept is None or not is_up(live):
        return False
    built = kept.built.get((live.domid, live.uuid))
    return built is not None and any(path.startswith(f"{kept.place}/{trial.copy}/") for path in built.boots)


def _is_left(trial: Trial, record: Record, live: LiveDomain | None, kept: Kept | None) -> bool:
    """Whether its latest life was that of the kernel that has failed, and nothing has been done about its end: we were
    killed before the memory had it. Then `on_crash = stay-off` would keep it off."""
    if kept is None or is_up(live) or record.hand is Hand.RESTART:
        return False
    return record.off in (Off.CRASH, Off.POWEROFF, Off.LOST) and kept.started.get(trial.uuid) == trial.copy


def runs_what_failed(domain: Domain, live: LiveDomain | None, observed: Observed) -> bool:
    """And its own reboot would take that again."""
    trial = observed.trial_of(domain.uuid)
    if trial is None or not trial.failed or isinstance(observed.kernels, Unavailable):
        return False
    return not _is_over(trial, domain, observed) and _runs_from(trial, live, observed.kernels)


def _why_failed(domain: Domain, record: Record, live: LiveDomain | None, runs: bool) -> str:
    """ "" where it has not, or that is not known."""
    if is_up(live):
        late = runs and record.gave_up_waiting and not record.ready
        why = f": {record.unready}" if record.unready else ""
        return f"was not ready after {domain.start_timeout}{why}" if late else ""
    if record.failures:
        return f"could not be started: {record.failure}"
    return _ENDS.get(record.off, "") if record.off is not None else ""
