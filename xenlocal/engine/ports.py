"""What the engine needs of the world, as Protocols. `app` joins them to adapters or to the simulator.

Every reader raises `CommandFailed`, `ToolMissing` or another `XenlocalError` when it cannot know; `observe`
turns that into `Unavailable`. None returns an empty table for an answer it did not get.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from xenlocal.model.actions import Action, WatchDisk
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.history import Entry, Query
from xenlocal.model.identity import Identity
from xenlocal.model.iscsi import IscsiFacts
from xenlocal.model.memory import Memory
from xenlocal.model.observed import Hardware, Kept, LiveDomain, Network, PathFacts, Signs, XenStore
from xenlocal.model.plan import Notice
from xenlocal.model.probes import Probe
from xenlocal.model.storage import Storage
from xenlocal.model.trial import Trial
from xenlocal.planner.update import Kernel

Node = tuple[int, str]
"""A domid and a path below its own directory in xenstore: (7, "data/xenlocal/ready")."""


@dataclass(frozen=True)
class Guest:
    """One life of a domU, whose readiness is in question."""

    name: str
    domid: int
    console: str = ""  # the place in its console's log where this life begins


class Rehearser(Protocol):
    def rehearse(self) -> Sequence[Notice]:
        """What a reboot of this host would bring to light. Takes some seconds. Raises XenlocalError."""


class LastWords(StrEnum):
    """What the `xl` monitor of a vanished domU wrote last (/var/log/xen/xl-NAME.log)."""

    REBOOT = "reboot"  # it is about to create the domU anew, or tried to
    DESTROYED = "destroyed"  # somebody destroyed it
    UNKNOWN = "unknown"


class Reader(Protocol):
    """Looks at the host; one method a table of `Observed`, one command each."""

    def domains(self) -> Mapping[int, LiveDomain]: ...
    def outline(self) -> Mapping[int, LiveDomain]:
        """The domains as far as xenstore shows them, without xl: enough to ask them to stop, and to see who has. Some
        commands."""

    def storage(self) -> Storage: ...
    def network(self) -> Network: ...
    def paths(self, paths: Iterable[str]) -> Mapping[str, PathFacts]: ...
    def xenstore(self) -> XenStore: ...
    def hardware(self) -> Hardware: ...
    def monitors(self) -> frozenset[str]:
        """Names of domUs for which an `xl create` of ours is at work or on watch. No command."""

    def identities(self) -> Mapping[str, Identity]:
        """What `hostid = locked` has recorded, by UUID. No command."""

    def kernels(self) -> Kept:
        """Copies of kernels. No command."""

    def trials(self) -> Mapping[str, Trial]:
        """Kernels on trial, and those that have failed, by UUID. No command."""

    def kernel(self, path: str) -> Kernel:
        """What a file of the dom0 that a domU boots is. No table: only a trial asks. No command."""

    def iscsi(self) -> IscsiFacts:
        """Sessions and records. No command."""

    def disks_at_work(self) -> frozenset[str]:
        """What is done to which disks, as `Preparation.key_of` has it. No command."""

    def words_of_work(self, action: WatchDisk) -> str:
        """Why such work has failed, as far as its log tells. No command."""

    def nodes(self, nodes: Sequence[Node]) -> Mapping[Node, str | None]:
        """What guests have written to these nodes of xenstore, None where there is no such node. One command,
        and one more for each that is not there."""

    def signs(self, domids: Sequence[int]) -> Mapping[int, Signs]:
        """What these guests show of themselves while they stop. One command and a small file a disk; what cannot be
        had is not known, and nothing is raised."""

    def last_words(self, name: str) -> LastWords: ...


class Actuator(Protocol):
    """Changes the host."""

    def perform(self, action: Action) -> None:
        """Run the commands of one action, in order, until one fails.

        Raises CommandFailed, ToolMissing, Temporary. `StopDomain` only asks; waiting and destroying are the
        executor's. `AwaitReady` is never handed here.
        """

    def script(self, action: Action) -> Sequence[str]:
        """The same commands as shell lines, for `plan --sh`."""


class Work(Protocol):
    """Time and concurrency: real threads, or the simulator's virtual clock."""

    def now(self) -> float:
        """Seconds of a clock that never jumps."""

    def wall(self) -> float:
        """Unix seconds, for what people read and for names in the trash."""

    def submit(self, task: Callable[[], None]) -> Future[None]:
        """Run `task` beside others. Its end wakes `wait`."""

    def wait(self, until: float | None) -> None:
        """Return when a task ended, `wake` was called since the last return, or `now()` reached `until`."""

    def wake(self) -> None:
        """End the present or the next `wait`. From any thread or signal handler."""


class Prober(Protocol):
    def why_not(self, probe: Probe, guest: Guest) -> str:
        """One try, which may take seconds: "" when the probe says that the guest is ready, else why it does not,
        in words for the administrator that stay the same from try to try. Raises XenlocalError where it cannot
        be tried at all. Probes that only read xenstore are never handed here: the lookout reads for all at once.
        """


class Consoles(Protocol):
    """What guests write to their consoles. Nothing here fails: a console that cannot be had is only said."""

    def mark(self, name: str) -> str:
        """The place up to which the console has been written; "" where nothing is known of it."""

    def keep(self, name: str, note: str) -> None:
        """Keep the last part of it, whatever becomes of the log, with a note at its end."""


class MemoryStore(Protocol):
    """Where the memory lives between two processes: /run."""

    def load_memory(self) -> Memory: ...
    def save_memory(self, memory: Memory) -> None: ...


class Records(MemoryStore, Protocol):
    """All our own files: the memory, and the last good configuration in /var/lib."""

    def load_good(self) -> tuple[ConfigFile, ...] | None: ...
    def save_good(self, files: Sequence[ConfigFile]) -> None: ...


class History(Protocol):
    """What was done and what happened: for people, across boots. Nothing is decided by it."""

    def record(self, entries: Sequence[Entry]) -> None:
        """Never raises and never waits for a disk: what cannot be written is said in the log, and lost."""

    def read(self, query: Query) -> tuple[Entry, ...]:
        """Oldest first. From any thread. Raises XenlocalError where it cannot be read."""


class ConfigSource(Protocol):
    @property
    def path(self) -> str:
        """The directory."""

    def read(self) -> tuple[ConfigFile, ...]:
        """Every file, safely. Raises ConfigError naming each that cannot be trusted or read, with the others."""


class Notifier(Protocol):
    """systemd, or nobody."""

    def ready(self) -> None: ...
    def status(self, sentence: str) -> None: ...
    def reloading(self) -> None: ...
    def watchdog(self) -> None: ...
    def stopping(self) -> None: ...
    def watchdog_interval(self) -> float | None:
        """Seconds between two `watchdog` calls that systemd expects, or None."""
