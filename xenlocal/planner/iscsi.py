"""iSCSI sessions: logged in to where one is declared and missing; one that is lost is told of, and left to open-iscsi.

Nothing is ever logged out: a session whose section has vanished (a file cut off, DESIGN rule 6) stays, and so does one
that nobody seems to use, since that cannot be known from outside.
"""

from __future__ import annotations

from collections.abc import Mapping

from xenlocal.model.desired import Desired, Iscsi
from xenlocal.model.host_actions import LogIn
from xenlocal.model.iscsi import LOGGED_IN, IscsiFacts, Node
from xenlocal.model.memory import Login, Memory
from xenlocal.model.names import iscsi as iscsi_target
from xenlocal.model.observed import Observed, Table
from xenlocal.planner.draft import Draft
from xenlocal.planner.wishes import is_up

_OFTEN, _SOON = 60.0, 10.0  # seconds until the next look: no event tells of a session that goes or comes back
LOST = "its session is lost: open-iscsi reconnects by itself, and `iscsiadm -m session -P 1` tells how far it is"


def plan_iscsi(draft: Draft, desired: Desired, observed: Observed, memory: Memory, now: float) -> None:
    declared = {str(each.node) for each in desired.iscsi.values()}
    vanished = {key: login for key, login in memory.logins.items() if login.done and key not in declared}
    if not desired.iscsi and not vanished:
        return
    facts = draft.table(Table.ISCSI, observed.iscsi)
    if facts is None:
        return
    for each in desired.iscsi.values():
        state = facts.sessions.get(each.node)
        if state is None:
            _plan_login(draft, each, facts, memory.logins.get(str(each.node)), now)
            continue
        draft.look_again(now + (_OFTEN if state == LOGGED_IN else _SOON))
        if state != LOGGED_IN:
            draft.notice(each.target, LOST)
            _tell_guests(draft, desired, observed, each)
    _tell_vanished(draft, vanished, facts)


def _plan_login(draft: Draft, wanted: Iscsi, facts: IscsiFacts, login: Login | None, now: float) -> None:
    if login is not None and login.retry_at is not None and now < login.retry_at:
        # no figure that changes with every try: a refusal is said once per change
        text = f"the last login failed: {login.failure}; it is tried again after a pause"
        draft.refuse(wanted.target, text, login.retry_at)
        return
    reason = f"is declared in {wanted.source} and not logged in"
    draft.step(LogIn(wanted.name, wanted.node, wanted.chap, wanted.node in facts.records), reason)


def _tell_guests(draft: Draft, desired: Desired, observed: Observed, lost: Iscsi) -> None:
    live = observed.by_uuid()
    for domain in desired.domains.values():
        disks = [disk.vdev for disk in domain.disks if disk.session == lost.target]
        if disks and is_up(live.get(domain.uuid)):
            text = f"its {', '.join(disks)} waits for {lost.target}, whose session is lost; the guest is left as it is"
            draft.notice(domain.target, text)


def _tell_vanished(draft: Draft, vanished: Mapping[str, Login], facts: IscsiFacts) -> None:
    nodes: dict[str, Node] = {str(node): node for node in facts.sessions}
    for key, login in vanished.items():
        if key in nodes:
            node = nodes[key]
            text = (
                f"its section is gone from the files: the session to {node} stays as it is; when nobody uses its disks"
                f" any more, `iscsiadm -m node -T {node.iqn} -p {node.portal} --logout` ends it"
            )
            draft.notice(iscsi_target(login.name), text)
