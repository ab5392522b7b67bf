"""What happened to a domU, as one clause of a sentence: for `why` and `history`."""

from __future__ import annotations

from collections.abc import Mapping

from xenlocal.model.clock import length
from xenlocal.model.history import Event, What
from xenlocal.model.memory import Hand, Off

ENDS: Mapping[str, str] = {
    Off.POWEROFF: "the guest powered itself off (or was asked to with `xl shutdown`, which looks the same)",
    Off.CRASH: "the guest crashed",
    Off.STOPPED: "it was shut down cleanly by xenlocal",
    Off.DESTROYED: "it was destroyed by xenlocal",
    Off.VANISHED: "somebody destroyed it with xl",
    Off.REBOOTING: "the guest reboots by itself",
    Off.LOST: "it disappeared, and nothing tells why",
    "": "it ended, and nothing is remembered of how",
}
_WORDS: Mapping[str, str] = {
    Hand.START: "`xenlocal start`",
    Hand.STOP: "`xenlocal stop`",
    Hand.RESTART: "`xenlocal restart`",
    Hand.DESTROY: "`xenlocal destroy`",
}


def told(event: Event) -> str:
    """`off: the guest crashed, 3 h 5 min after its birth`"""
    took = "" if event.seconds is None else length(event.seconds)
    because = f": {event.message}" if event.message else ""
    goal = "boot of the guests" if event.cause == "boot" else "shutdown of the guests"
    match event.what:
        case What.BORN:
            return f"born as domid {event.domid}" + (f" {event.message}" if event.message else "")
        case What.READY:
            return f"ready {took} after its birth" if took else f"ready {event.message}".strip()
        case What.UNREADY:
            return f"not ready any more{because}"
        case What.LATE:
            return f"not ready {took} after its birth; no longer waited for" + because
        case What.ASKED:
            return "asked to shut down"
        case What.OFF:
            return f"off: {ENDS.get(event.cause, event.cause)}" + (f", {took} {event.message}" if took else "")
        case What.BY_HAND:
            return f"{_WORDS.get(event.cause, event.cause)} by hand"
        case What.BEGUN:
            return f"{goal} begun"
        case What.ENDED:  # pragma: no branch - mypy proves that there is no other
            return f"{goal} ended{because}"
