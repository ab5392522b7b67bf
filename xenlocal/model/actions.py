"""Everything xenlocal can do, typed, so that it can be inspected before it happens: here what it does to domUs and to
what is recorded of them; `model.host_actions` has what it does to the dom0 itself. `Action` is one of all.

`adapters.argv` turns each into the commands it runs: the same for doing it and for `plan --sh`.
A domain is acted upon by domid, and the UUID goes along: the executor re-reads it just before use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from xenlocal.model.desired import Backing, Patience
from xenlocal.model.diskwork import Preparation
from xenlocal.model.host_actions import (
    ActivateVolume,
    ChangeBridge,
    CreateVolume,
    DeactivateVolume,
    DropKernel,
    GrowVolume,
    LogIn,
    PurgeVolume,
    ResizeFile,
    RestoreVolume,
    RetireVolume,
    UntagVolume,
)
from xenlocal.model.identity import Identity
from xenlocal.model.names import Kind, Target
from xenlocal.model.probes import Probe
from xenlocal.model.trial import Trial
from xenlocal.model.units import Duration


@dataclass(frozen=True)
class _OfDomain:
    name: str
    uuid: str

    @property
    def target(self) -> Target:
        return Target(Kind.DOMAIN, self.name)


_BEGINNINGS = {
    Preparation.INSTALL: "begin installing",
    Preparation.RESIZE: "begin growing the file system of",
    Preparation.MODULES: "begin installing the modules of",
}


@dataclass(frozen=True)
class PrepareDisk(_OfDomain):
    """Begin work on a disk of it, in a unit of its own, since that takes minutes. `settings` are the environment of the
    script, which checks once more that the disk is marked, as it has to be, and held by nobody."""

    disk: Backing
    settings: Mapping[str, str]
    work: Preparation = Preparation.INSTALL

    @property
    def verb(self) -> str:
        return _BEGINNINGS[self.work]


@dataclass(frozen=True)
class WatchDisk(_OfDomain):
    """No command: waits until that has ended."""

    disk: Backing
    work: Preparation = Preparation.INSTALL
    verb = "watch"


@dataclass(frozen=True)
class StartDomain(_OfDomain):
    """`xl create` in a scope of its own. `config` is the whole xl.cfg, `settings` what it says, key by key. `copy`: of
    the kernel, where a trial says which; None: of the files that are declared, as they are."""

    config: str
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    copy: str | None = None
    verb = "start"


@dataclass(frozen=True)
class AwaitReady(_OfDomain):
    """No command: waits until the domU is ready, at most `timeout` from its birth. `late`: that time is over, and
    nothing new is said of it in the journal each time it is tried once more."""

    probe: Probe
    timeout: Duration
    late: bool = False
    verb = "await"


@dataclass(frozen=True)
class CheckReady(_OfDomain):
    """No command that changes anything: a domU that was ready is asked whether it still is. `restarts`: that it is
    not counts as one of the ends that were not meant to be, since it leads to a restart."""

    probe: Probe
    restarts: bool = False
    verb = "check"


@dataclass(frozen=True)
class StopDomain(_OfDomain):
    """Ask for a clean shutdown, wait until it is gone; destroy it only when its own time is over (`planner.ladder`).

    `asked`: when it was already asked (monotonic seconds), so that a restart of the daemon gives nobody more or less
    time. `destroy` False (a foreign domU): never, only report that it did not stop in time. `grow_until`, `end_by`,
    `ask_by`: what the deadline of the host leaves, monotonic seconds; None: there is none.
    """

    domid: int
    timeout: Duration
    asked: float | None = None
    destroy: bool = True
    hung: Duration | None = None
    most: Duration | None = None
    grow_until: float | None = None
    end_by: float | None = None
    ask_by: float | None = None
    hvm: bool = False
    verb = "stop"

    @property
    def patience(self) -> Patience:
        hung, most = (None if time is None else time.seconds for time in (self.hung, self.most))
        return Patience.of(self.timeout.seconds, hung, most)


@dataclass(frozen=True)
class NudgeDomain(_OfDomain):
    """The rung between asking and destroying: the ACPI button of an HVM guest; any other writes its caches to its
    disks, so that less is lost if it has to be destroyed."""

    domid: int
    hvm: bool = False

    @property
    def verb(self) -> str:
        return "press the power button of" if self.hvm else "sync"


@dataclass(frozen=True)
class DestroyDomain(_OfDomain):
    """`xl destroy` by an administrator's explicit word (`verb` destroy), or of a guest that has already
    ended and is only kept to tell why (`verb` reap). `within`: then it is ended, where the host has no time to wait for
    one that hangs. What Xen has torn down until then stays so, and the next one goes on from there."""

    domid: int
    verb: str
    within: Duration | None = None


@dataclass(frozen=True)
class SetLive(_OfDomain):
    """A setting that Xen changes on a running domU: memory, vcpus, cpus, cpu_weight."""

    domid: int
    key: str  # the xl.cfg key
    rendered: str  # as in xl.cfg; `value` is without quotes
    scheduler: str = "credit2"  # cpu_weight goes through `xl sched-SCHEDULER`
    verb = "set"

    @property
    def value(self) -> str:
        return self.rendered.strip('"')


@dataclass(frozen=True)
class StageConfig(_OfDomain):
    """`xl config-update`: takes effect at the guest's own next reboot. `copy` as for a start."""

    domid: int
    config: str
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    copy: str | None = None
    verb = "stage"


@dataclass(frozen=True)
class _OfDevice(_OfDomain):
    """A disk or nic of a domU that runs. `key` is that of xl.cfg, disk or vif, and `spec` what stands there."""

    domid: int
    key: str
    spec: str


@dataclass(frozen=True)
class AttachDevice(_OfDevice):
    verb = "attach"


@dataclass(frozen=True)
class DetachDevice(_OfDevice):
    """Ask it to let go of that. A guest that uses the disk keeps it: never by force."""

    verb = "detach"


@dataclass(frozen=True)
class _OfTrial:
    trial: Trial

    @property
    def target(self) -> Target:
        return self.trial.target


@dataclass(frozen=True)
class BeginTrial(_OfTrial):
    """Copy the kernel, which are the `files`, mark the disk as one that waits for its modules, and record the trial, in
    this order: what a crash leaves of it is nothing that a start would follow. Only `xenlocal kernel` makes this."""

    disk: Backing
    files: tuple[str, ...]
    verb = "put on trial the kernel of"


@dataclass(frozen=True)
class FailTrial(_OfTrial):
    """Record that it has failed, and why, and have the domU started from the kernel before: no command."""

    verb = "end in vain the trial of the kernel of"


@dataclass(frozen=True)
class EndTrial(_OfTrial):
    """Forget it: no command."""

    verb = "end the trial of the kernel of"


@dataclass(frozen=True)
class LockIdentity:
    """Record who the domU is, before its first start: no command, but a file of ours that outlives every boot."""

    identity: Identity
    verb = "lock"

    @property
    def target(self) -> Target:
        return self.identity.target


@dataclass(frozen=True)
class UnlockIdentity:
    """Forget that. Only `xenlocal unlock` makes this; the planner never does."""

    identity: Identity
    verb = "unlock"

    @property
    def target(self) -> Target:
        return self.identity.target


Action = (
    CreateVolume
    | GrowVolume
    | ActivateVolume
    | DeactivateVolume
    | RetireVolume
    | RestoreVolume
    | UntagVolume
    | PurgeVolume
    | ResizeFile
    | ChangeBridge
    | LogIn
    | PrepareDisk
    | WatchDisk
    | StartDomain
    | AwaitReady
    | CheckReady
    | StopDomain
    | NudgeDomain
    | DestroyDomain
    | SetLive
    | StageConfig
    | AttachDevice
    | DetachDevice
    | DropKernel
    | BeginTrial
    | FailTrial
    | EndTrial
    | LockIdentity
    | UnlockIdentity
)
