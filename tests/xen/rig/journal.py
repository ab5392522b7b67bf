"""What a test's domU says about itself: the journal that `guests/init` keeps on the first 64 KiB of its own disk."""

from __future__ import annotations

from dataclasses import dataclass

from rig.machine import Machine

SIZE = 64 * 1024
RECORD = 128
MAGIC = b"XLJ1 "


@dataclass(frozen=True)
class Event:
    """One line of a journal. Order is by `seq`; `time` compares across domUs and the dom0 of one host."""

    seq: int
    time: float
    """Seconds of the wall clock, as the domU knew it."""
    what: str
    """`started life=N`, `disk xvda=BYTES`, `ready`, `size xvdb=BYTES`, `lost poweroff`,
    `asked poweroff`, `stopping`, `stopped`, `own poweroff`, `own crash`, `own reboot`."""


def guest_journal(m: Machine, device: str) -> list[Event]:
    """Read the journal on a block device or an image file of the dom0, whether its domU runs or not.

    A block device is read past the dom0's page cache, which blkback does not write through. A
    record is complete on the disk before the domU goes on.
    """
    direct = f"if [ -b '{device}' ]; then echo iflag=direct; fi"
    path = "/run/rig-journal.$$"
    copy = f"dd if='{device}' bs={SIZE} count=1 $({direct}) of={path} status=none"
    return parse(m.out(f"{copy} && tr '\\0' '\\n' < {path}; rc=$?; rm -f {path}; exit $rc").encode())


def parse(data: bytes) -> list[Event]:
    """The events of a journal's bytes: from record 0, up to the first that does not go on counting."""
    events: list[Event] = []
    for line in data.split(b"\n"):
        fields = line.rstrip().split(b" ", 3)
        if len(fields) == 4 and line.startswith(MAGIC) and fields[1] == str(len(events)).encode():
            events.append(Event(len(events), float(fields[2]), fields[3].decode()))
        elif line.startswith(MAGIC):
            break
    return events


def times(events: list[Event], what: str) -> list[float]:
    """When the events happened that are `what` or begin with it and a space."""
    return [event.time for event in events if event.what == what or event.what.startswith(what + " ")]
