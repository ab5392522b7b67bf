"""What each declared domU should be now: on, off or left alone, and why, in one sentence.

The order of authority: the host's own shutdown (not here: `planner.shutdown`), a word by hand, the files,
what the guest did itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeGuard

from xenlocal.model.desired import Domain, OnCrash, OnPoweroff, OnUnready, State
from xenlocal.model.memory import Hand, Off, Record
from xenlocal.model.observed import LiveDomain, LiveState
from xenlocal.planner.memory import CRASH_CAP, LOST_GRACE, REBOOT_GRACE, UNREADY_GRACE, crash_delay


class Want(StrEnum):
    ON = "on"
    OFF = "off"
    LEAVE = "leave"
    RESTART = "restart"  # off where it is live, then on
    DESTROY = "destroy"


@dataclass(frozen=True)
class Wish:
    want: Want
    reason: str
    not_before: float | None = None  # to start it: wait until then
    meanwhile: str = ""  # what to say while it waits, where `reason` is not true yet
    notice: bool = False  # the reason is something the administrator should see in `status`


def is_up(live: LiveDomain | None) -> TypeGuard[LiveDomain]:
    """Whether its guest runs (or is paused): not only a shell, and not on its way out."""
    return live is not None and not live.is_down and live.state is not LiveState.DYING


def wish(domain: Domain, record: Record, live: LiveDomain | None, now: float) -> Wish:
    """The one decision about a domU. Pure: everything it depends on is in the arguments."""
    by_hand = _by_hand(domain, record, live, now)
    if by_hand is not None:
        return by_hand
    if domain.state is State.STOPPED or domain.state is State.ABSENT:
        return Wish(Want.OFF, f"state = {domain.state} in {domain.source}")
    if is_up(live):
        unready = domain.state is State.RUNNING and _not_ready_any_more(domain, record, now)
        return unready or Wish(Want.LEAVE, "is running")
    if domain.state is State.MANUAL:
        if record.off is Off.CRASH and domain.on_crash is OnCrash.PRESERVE:
            return _after_a_crash(domain, record, now)
        # OFF: the shell of an ended guest is cleared away, whoever started it
        return Wish(Want.OFF, "state = manual: started by hand only")
    return _after_its_end(domain, record, now)


def _by_hand(domain: Domain, record: Record, live: LiveDomain | None, now: float) -> Wish | None:
    if domain.state is State.ABSENT or record.hand is None:
        return None
    if record.hand is Hand.STOP:
        return Wish(Want.OFF, f"stopped by hand until `xenlocal start {domain.name}` or the next boot", notice=True)
    if record.hand is Hand.DESTROY:
        meant = live is not None and live.domid == record.hand_domid
        return Wish(
            Want.DESTROY if meant else Want.OFF,
            f"destroyed by hand; off until `xenlocal start {domain.name}` or the next boot",
            notice=True,
        )
    if record.hand is Hand.RESTART:
        if live is None and record.off is Off.REBOOTING:
            return _after_its_end(domain, record, now)
        if live is None or live.domid == record.hand_domid:
            return Wish(Want.RESTART, "restarted by hand", record.retry_at)
        # else the life that was asked for is being built, and not born yet
    if is_up(live):
        unready = _not_ready_any_more(domain, record, now)
        if unready is not None:
            return unready
        text = f"started by hand, until `xenlocal stop {domain.name}` or the next boot"
        return Wish(Want.LEAVE, text, notice=domain.state is not State.RUNNING)
    return _after_its_end(domain, record, now)


def _after_its_end(domain: Domain, record: Record, now: float) -> Wish:
    """state = running (or started by hand), and the guest is off or only its shell is left."""
    start_it = f"start it with `xenlocal start {domain.name}`"
    since = record.off_since if record.off_since is not None else now
    stay_off = Want.OFF  # reaps the shell
    if record.off is Off.POWEROFF:
        if domain.on_poweroff is OnPoweroff.STAY_OFF:
            return Wish(stay_off, f"the guest powered itself off (on_poweroff = stay-off); {start_it}", notice=True)
        return _again(domain, record, since, "powered itself off", "on_poweroff = restart")
    if record.off in (Off.CRASH, Off.LOST):
        return _after_a_crash(domain, record, since)
    if record.off is Off.VANISHED:
        return Wish(Want.LEAVE, f"destroyed by somebody with xl, not by xenlocal; {start_it}", notice=True)
    if record.off is Off.REBOOTING:
        return Wish(
            Want.ON,
            "did not come back from its own reboot",
            _later(since + REBOOT_GRACE, record.retry_at),
            f"reboots by itself; it is started if it is not back {REBOOT_GRACE:.0f} s after it went",
        )
    why = "started by hand" if record.hand is Hand.START else f"state = {domain.state} in {domain.source}"
    return Wish(Want.ON, why, record.retry_at)


def _after_a_crash(domain: Domain, record: Record, since: float) -> Wish:
    start_it = f"start it with `xenlocal start {domain.name}`"
    if record.off is Off.LOST:
        found = _again(domain, record, since, "disappeared", "nothing tells why")
        return replace(found, not_before=_later(since + LOST_GRACE, found.not_before))
    if domain.on_crash is OnCrash.PRESERVE:
        return Wish(
            Want.LEAVE,
            f"the guest crashed and is kept for you to look at (on_crash = preserve); {start_it}",
            notice=True,
        )
    if domain.on_crash is OnCrash.STAY_OFF:
        return Wish(Want.OFF, f"the guest crashed (on_crash = stay-off); {start_it}", notice=True)
    return _again(domain, record, since, "crashed", "on_crash = restart")


def _not_ready_any_more(domain: Domain, record: Record, now: float) -> Wish | None:
    """on_unready = restart, for one that was ready: after a grace in which it may recover, later each time, and not
    for ever. Only what was proved once can be lost, so one that never became ready is not restarted."""
    if domain.on_unready is not OnUnready.RESTART or record.lost is None:
        return None
    lost, count = "was ready, and is not any more", len(record.crashes)
    if count >= CRASH_CAP:
        hint = f"`xenlocal restart {domain.name}` restarts it"
        text = f"{lost}; it is left running, since it has ended so or crashed {count} times within an hour; {hint}"
        return Wish(Want.LEAVE, text, notice=True)
    if record.untried:
        return Wish(Want.LEAVE, f"{lost}; it is left running while its probe {record.unready}", notice=True)
    if now < record.lost + UNREADY_GRACE + crash_delay(count):
        return Wish(Want.LEAVE, f"{lost}; restarted after a pause (on_unready = restart)", notice=True)
    return Wish(Want.RESTART, f"{lost} (on_unready = restart)")


def _again(domain: Domain, record: Record, since: float, how: str, declared: str) -> Wish:
    """Start it once more, later each time, and not for ever."""
    count = len(record.crashes)
    if count >= CRASH_CAP:
        return Wish(
            Want.OFF,
            f"the guest {how} {count} times within an hour and stays off; start it with `xenlocal start {domain.name}`",
            notice=True,
        )
    times = "once" if count <= 1 else f"{count} times within an hour"
    last = record.crashes[-1] if record.crashes else since
    return Wish(Want.ON, f"the guest {how} {times} ({declared})", _later(last + crash_delay(count), record.retry_at))


def _later(when: float, other: float | None) -> float:
    return when if other is None else max(when, other)
