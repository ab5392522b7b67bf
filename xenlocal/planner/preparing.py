"""What is done to the disks of a domU before it starts: its first installation, the growth of a file system, and the
modules of a kernel on trial.

The mark of an installation says that the disk holds nothing, or what one of ours has left unfinished. A disk without it
is used as it is, whatever `[[install]]` says; no domU is started on one with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from xenlocal.model.actions import PrepareDisk, WatchDisk
from xenlocal.model.desired import Backing, Disk, Domain, LogicalVolume
from xenlocal.model.diskwork import Install, Preparation
from xenlocal.model.memory import Record
from xenlocal.model.observed import LiveDomain, Observed, PathFacts, PathKind, Table, Unavailable
from xenlocal.model.storage import OUR_TAG, Volume
from xenlocal.planner.checkup_modules import Root, root_disk
from xenlocal.planner.draft import Draft, unknown
from xenlocal.planner.holders import identity

MMDEBSTRAP = "/usr/bin/mmdebstrap"
_UNKNOWN = "whether a disk of it is being worked on could not be found out"
# steps that put the mark there; that of MODULES is put there by a command
_MAKES = {Preparation.INSTALL: ("create ",), Preparation.RESIZE: ("grow ",), Preparation.MODULES: ()}


def plan_preparation(draft: Draft, domain: Domain, record: Record, observed: Observed) -> None:
    """Steps of the domU that its start has to wait for, where a disk is marked or about to be. What has just ended
    without being done is watched once more, which tells why, before it begins anew."""
    before = draft.ends_of(domain.target)  # its former self lets go of the disk first
    due = sorted(_due(draft, domain, observed), key=lambda each: each[1] not in at_work_on(each[0].backing, observed))
    for disk, work in due:  # one after the other, what is already at work first
        target = disk.backing.target
        if work not in at_work_on(disk.backing, observed) and record.preparing != work.key_of(disk.backing.path):
            settings = _settings(domain, disk, work, observed)
            action = PrepareDisk(domain.name, domain.uuid, disk.backing, settings, work)
            before = (draft.step(action, _reason(domain, disk, work), needs=(*draft.steps_of(target), *before)),)
        doing = {
            Preparation.INSTALL: "is installed",
            Preparation.RESIZE: f"has the file system of {target} grown",
            Preparation.MODULES: f"gets the modules of its kernel, on {target},",
        }[work]
        how = f"`tail -f {work.log_of(domain.name)}` shows how far that is"
        draft.notice(domain.target, f"{doing} before it starts, which takes minutes; {how}")
        watch = WatchDisk(domain.name, domain.uuid, disk.backing, work)
        before = (draft.step(watch, "it is not started before that has ended", needs=before),)


def tell_unprepared(draft: Draft, domain: Domain, observed: Observed) -> None:
    """What is left to do on the disks of a domU that runs."""
    for disk, work in _due(draft, domain, observed):
        if work is Preparation.RESIZE:
            how = f"type `resize2fs /dev/{disk.vdev}` inside the guest; else it grows before its next start"
            draft.notice(domain.target, f"{disk.backing.target} has grown, and the file system on it has not: {how}")


def hurdle_of_preparation(draft: Draft, domain: Domain, live: LiveDomain | None, observed: Observed) -> str | None:
    """What is in its way, on whatever disk. `live`: its present self, which is to be stopped."""
    if not domain.disks:
        return None
    if draft.table(Table.AT_WORK, observed.at_work) is None:
        return _UNKNOWN
    due = tuple(_due(draft, domain, observed))
    others = [(disk, work) for disk in domain.disks for work in Preparation if (disk, work) not in due]
    for disk, work in others:
        if (why := _hurdle_of_other(domain, disk, work, observed)) is not None:
            return f"{disk.backing.target} {why}"
    install = domain.install if any(work is Preparation.INSTALL for _, work in due) else None
    if install is None:
        return None
    if live is not None:
        first = domain.disks[0].backing
        return (
            f"it runs from {first.target}, which is marked as one to be installed into; to keep what is on it type:"
            f" {_how_to_unmark(first)}"
        )
    paths = draft.table(Table.PATHS, observed.paths)
    if paths is None:
        return unknown(Table.PATHS)
    for key, path in install.files:
        if wrong := _why_not_read(key, paths.get(path)):
            return f"{key} {path} of its [[install]] {wrong} ({domain.source})"
    if install.suite is not None and MMDEBSTRAP not in paths:
        return f"{MMDEBSTRAP} is missing, which installs a suite; type: apt install mmdebstrap"
    return None


def _why_not_read(key: str, facts: PathFacts | None) -> str | None:
    if facts is None:
        return "does not exist"
    if key == "hooks":
        return "is no directory" if facts.kind in (PathKind.FILE, PathKind.BLOCK) else None
    return None if facts.kind is PathKind.FILE else "is not a regular file"


def hurdle_to_have(draft: Draft, domain: Domain, disk: Disk, observed: Observed) -> str | None:
    """Why a domU that runs must not get the disk, neither now nor by its own reboot."""
    if draft.table(Table.AT_WORK, observed.at_work) is None:
        return _UNKNOWN
    if (disk, Preparation.INSTALL) in _due(draft, domain, observed):
        return f"{disk.backing.target} is still to be installed into, before its next start"
    others = (_hurdle_of_other(domain, disk, work, observed) for work in Preparation)
    return next((f"{disk.backing.target} {why}" for why in others if why is not None), None)


def _hurdle_of_other(domain: Domain, disk: Disk, work: Preparation, observed: Observed) -> str | None:
    """Of work that is not waited for: no file asks for it any more, since the part is gone or the disk has come to
    another domU; or the disk is not ours; or somebody has taken its mark away, which ends no work."""
    if work in at_work_on(disk.backing, observed):
        return f"is being worked on, until what `systemctl list-units 'xenlocal-{work}-*'` shows has ended"
    if work is not Preparation.INSTALL or not is_marked(disk.backing, work, observed):
        return None
    what, how = "no [[install]] says what", "write one"
    if _declares(domain, disk, work, observed) and isinstance(disk.backing, LogicalVolume):
        what, how = (
            f"does not carry the tag {OUR_TAG}",
            f"type: lvchange --addtag {OUR_TAG} {disk.backing.vg}/{disk.backing.lv}",
        )
    return (
        f"is marked as one to be installed into, and {what} ({disk.source}); {how}, or to use the disk as it is type:"
        f" {_how_to_unmark(disk.backing)}"
    )


def _due(draft: Draft, domain: Domain, observed: Observed) -> Iterator[tuple[Disk, Preparation]]:
    """Disks that wait for work, or will when this plan is done."""
    for disk in domain.disks:
        for work in Preparation:
            made = any(step.startswith(_MAKES[work]) for step in draft.steps_of(disk.backing.target))
            marked = is_marked(disk.backing, work, observed) and not _is_foreign(disk.backing, observed)
            if _declares(domain, disk, work, observed) and (made or marked):
                yield disk, work


def _declares(domain: Domain, disk: Disk, work: Preparation, observed: Observed) -> bool:
    if work is Preparation.MODULES:
        trial = observed.trial_of(domain.uuid)
        if trial is None or trial.failed or not disk.is_own:
            return False
        # another disk may still carry the mark of a trial that was over before it got them, perhaps of another domU
        root = root_disk(domain)
        return isinstance(root, Root) and root.sure and disk is root.disk
    return disk.resize_fs if work is Preparation.RESIZE else domain.install is not None and disk is domain.disks[0]


def _reason(domain: Domain, disk: Disk, work: Preparation) -> str:
    if work is Preparation.RESIZE:
        return f"{disk.backing.target} has grown"
    if work is Preparation.MODULES:
        return f"{disk.backing.target} is to have those of the kernel on trial"
    install = _install(domain, work)
    return f"{disk.backing.target} is new, and to hold {install.suite or install.image}"


def _install(domain: Domain, work: Preparation) -> Install:
    """What is to be installed; nothing by other work."""
    return (domain.install if work is Preparation.INSTALL else None) or Install()


def _how_to_unmark(disk: Backing) -> str:
    if isinstance(disk, LogicalVolume):
        return f"lvchange --deltag {Preparation.INSTALL.mark} {disk.vg}/{disk.lv}"
    return f"rm {Preparation.INSTALL.mark_of_file(disk.path)}"


def is_marked(disk: Backing, work: Preparation, observed: Observed) -> bool:
    """Whether it waits for that, as far as the tables at hand tell."""
    if isinstance(disk, LogicalVolume):
        volume = _volume(disk, observed)
        return volume is not None and work.mark in volume.tags
    return not isinstance(observed.paths, Unavailable) and work.mark_of_file(disk.path) in observed.paths


def _is_foreign(disk: Backing, observed: Observed) -> bool:
    """An LV without our tag is used as it is, and never changed."""
    volume = _volume(disk, observed)
    return volume is not None and not volume.ours


def is_there(disk: Backing, observed: Observed) -> bool:
    """A disk without a mark is done; one that is not to be seen is not, whatever has become of it."""
    if isinstance(disk, LogicalVolume):
        return _volume(disk, observed) is not None
    return not isinstance(observed.paths, Unavailable) and disk.path in observed.paths


def _volume(disk: Backing, observed: Observed) -> Volume | None:
    """None also where LVM could not be asked."""
    if not isinstance(disk, LogicalVolume) or isinstance(observed.storage, Unavailable):
        return None
    return observed.storage.volumes.get((disk.vg, disk.lv))


def at_work_on(disk: Backing, observed: Observed) -> frozenset[Preparation]:
    """What is being done to it, by whichever of its names."""
    keys = frozenset[str]() if isinstance(observed.at_work, Unavailable) else observed.at_work
    names = identity(disk, observed).names if keys else ()
    return frozenset(work for work in Preparation if not keys.isdisjoint(map(work.key_of, names)))


def _settings(domain: Domain, disk: Disk, work: Preparation, observed: Observed) -> Mapping[str, str]:
    """The environment of the script and of the hooks, as xenlocal.conf(5) describes it."""
    trial = observed.trial_of(domain.uuid) if work is Preparation.MODULES else None
    install = _install(domain, work)
    nic = domain.nics[0] if domain.nics else None
    backing = disk.backing
    values = {
        "NAME": domain.name,
        "UUID": domain.uuid,
        "VOLUME": f"{backing.vg}/{backing.lv}" if isinstance(backing, LogicalVolume) else None,
        "DISK": backing.path,
        "VDEV": disk.vdev,
        "KERNEL": domain.kernel,
        "RELEASE": None if trial is None else trial.release,
        "SUITE": install.suite,
        "IMAGE": install.image,
        "MIRROR": install.mirror,
        "PACKAGES": ",".join(install.packages),
        "HOSTNAME": install.hostname or domain.name,
        "MAC": None if nic is None else nic.mac,
        "ADDRESS": install.address,
        "GATEWAY": install.gateway,
        "DNS": " ".join(install.dns),
        "SSH_KEY": install.ssh_key,
        "ROOT_PASSWORD": install.root_password,
        "HOOKS": install.hooks,
    }
    return MappingProxyType({f"XENLOCAL_{key}": value for key, value in values.items() if value})
