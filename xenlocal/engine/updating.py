"""`xenlocal kernel NAME --update`: it begins the trial of a kernel, and has ended when that has.

`jobs` asks. All is looked at anew, since a snapshot may be minutes old, and the disk of a guest is about to be written.
"""

from __future__ import annotations

from collections.abc import Callable

from xenlocal.engine.inbox import Request
from xenlocal.engine.observe import look_at_all
from xenlocal.engine.reconcile import Cycle
from xenlocal.engine.tasks import Tools
from xenlocal.model.actions import Action
from xenlocal.model.desired import Desired, Domain
from xenlocal.model.errors import XenlocalError
from xenlocal.planner.patient import Unknown
from xenlocal.planner.update import Kernel, propose


def begin(request: Request, desired: Desired, tools: Tools, perform: Callable[[Action], None]) -> str:
    """Why it cannot be begun, or ""."""
    if len(request.names) != 1:
        return "cannot put kernels on trial: name one domU"
    domain = desired.domains[request.names[0]]
    record = tools.keeper.memory.records.get(domain.uuid)
    try:
        observed = look_at_all(tools.reader, desired)
        # after that look, since the copy is only made of a file that is as it was then: so it is what names the release
        kernel = Kernel(None, False) if domain.kernel is None else tools.reader.kernel(domain.kernel)
        proposal = propose(domain, record, observed, kernel)
        if isinstance(proposal, str):
            return f"cannot update the kernel of {domain.target}: {proposal}"
        trial = proposal.trial
        back = "" if trial.before is not None else "; no kernel that it had before is known, so it cannot go back"
        request.progress(f"{domain.target}: its kernel {trial.release} is put on trial{back}")
        perform(proposal)
    except Unknown as error:
        return f"cannot update the kernel of {domain.target}: what it takes could not be found out: {error}"
    except XenlocalError as error:
        return f"cannot update the kernel of {domain.target}: {error}"
    return ""


def goes_on(request: Request, cycle: Cycle) -> bool:
    """Whether this cycle has left steps of it that were not tried: its verdict, and the way back."""
    targets = {domain.target for name, domain in cycle.desired.domains.items() if name in request.names}
    tried = {result.step.id for result in cycle.results}
    return request.verb == "kernel" and any(
        step.action.target in targets and step.changes_host and step.id not in tried for step in cycle.plan.steps
    )


def failed(domain: Domain, cycle: Cycle) -> str:
    """Why the trial of its kernel has failed, or ""."""
    trial = cycle.observed.trial_of(domain.uuid)
    if trial is None or not trial.failed:
        return ""
    return f"with {trial.release} it {trial.failed}; it goes back to the kernel before"
