"""PURE: which commands each action runs. The same mapping does it and prints it (`plan --sh`).

Every name that came from a file or from the host is checked once more (`checked`): where one raises ValueError, nothing
is run.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from xenlocal.adapters import bridging, checked, diskwork
from xenlocal.model.actions import (
    Action,
    AttachDevice,
    AwaitReady,
    BeginTrial,
    CheckReady,
    DestroyDomain,
    DetachDevice,
    EndTrial,
    FailTrial,
    LockIdentity,
    NudgeDomain,
    PrepareDisk,
    SetLive,
    StageConfig,
    StartDomain,
    StopDomain,
    UnlockIdentity,
    WatchDisk,
)
from xenlocal.model.desired import LogicalVolume
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
from xenlocal.model.iscsi import Node
from xenlocal.model.names import is_whole_copy, look_name
from xenlocal.model.storage import KEPT_TAG, LOOK_TAG, OUR_TAG, OWNER_TAG
from xenlocal.model.units import Size
from xenlocal.planner import xlcfg

Argv = tuple[str, ...]


@dataclass(frozen=True)
class Context:
    """What the commands depend on beside the action. `systemd`: it runs this machine (/run/systemd/system exists).
    `unique`: part of the name of a scope, since the monitor of an earlier life may still hold the former scope."""

    run_dir: str
    systemd: bool
    unique: str


def commands(action: Action, context: Context) -> tuple[Argv, ...]:
    """In order, each to be run only after the one before has succeeded. Raises ValueError for an unsafe argument."""
    match action:
        case CreateVolume(vg, lv, size, host, pool, install):
            marks = (Preparation.INSTALL.mark,) if install else ()
            tags = tuple(w for tag in (OUR_TAG, f"{OWNER_TAG}{checked.name(host)}", *marks) for w in ("--addtag", tag))
            # a thin pool hands out zeroed blocks by itself, and lvcreate takes no --zero there
            how = ("--zero", "y", "--size") if pool is None else ("--thinpool", checked.name(pool), "--virtualsize")
            where = (*how, checked.size(size), "--name", checked.name(lv), checked.name(vg))
            return (("lvcreate", "--yes", "--wipesignatures", "y", *tags, *where),)
        case GrowVolume(vg, lv, size, resize):
            mark = ("lvchange", "--addtag", Preparation.RESIZE.mark, checked.lv(vg, lv))
            return (*((mark,) if resize else ()), ("lvextend", "--size", checked.size(size), checked.lv(vg, lv)))
        case ActivateVolume(vg, lv):
            # lvchange succeeds without a word where activation/volume_list of lvm.conf(5) leaves the LV out
            return (
                ("lvchange", "--activate", "ey", checked.lv(vg, lv)),
                ("blockdev", "--getsize64", f"/dev/{checked.lv(vg, lv)}"),
            )
        case DeactivateVolume(vg, lv):
            return (("lvchange", "--activate", "n", checked.lv(vg, lv)),)
        case RetireVolume(vg, lv, trash):
            # LVM itself renames an LV that is open; but to deactivate one it refuses, whatever anybody else has said
            return (
                ("lvchange", "--activate", "n", checked.lv(vg, lv)),
                ("lvrename", checked.name(vg), checked.name(lv), checked.trash(trash)),
            )
        case RestoreVolume(vg, lv, trash):
            # Tagged first: a volume that came back untagged would be retired again by the next cycle.
            mark = ("lvchange", "--addtag", KEPT_TAG, checked.lv(vg, checked.trash(trash)))
            rename = ("lvrename", checked.name(vg), trash, checked.name(lv))
            return (mark, rename, ("lvchange", "--activate", "ey", checked.lv(vg, lv)))
        case UntagVolume(vg, lv, tags):
            options = tuple(word for tag in tags for word in ("--deltag", checked.name(tag)))
            return (("lvchange", *options, checked.lv(vg, lv)),)
        case PurgeVolume(vg, lv):
            return (("lvremove", "--yes", checked.lv(vg, checked.trash(lv))),)
        case ResizeFile(path, size, verb, full, work):
            # The mark comes first: a file that has its size and no mark would be taken for one that needs no work.
            # Its size comes last: a file that has it is whole, also where the disk was full or we were killed before.
            begin = () if work is None else (_truncate(work.mark_of_file(path), 0),)
            fill: tuple[Argv, ...] = ()
            if full:
                fill = (("fallocate", "--keep-size", "--length", str(size.bytes), checked.path(path)),)
            if verb == "create":
                make = (_truncate(path, 0),) if full else ()  # fallocate makes no file
                return (*begin, *make, *fill, _truncate(path, size.bytes))
            return (_tell_guests((*begin, *fill, _truncate(path, size.bytes, "--no-create")), path),)
        case ChangeBridge():
            armed = bridging.arm(action, context.systemd)
            return (*armed, *bridging.change(action), *bridging.verify(action), *bridging.disarm(action))
        case PrepareDisk():
            if not context.systemd:
                raise ValueError("without systemd nothing keeps it apart from the rest of the host")
            return (diskwork.begin(action),)
        case LogIn(node=node, known=known):
            return (*(() if known else make_record(node)), *log_in(node))
        case StartDomain(name):
            return (_create(name, context),)
        case StopDomain(domid=domid):
            return (("xl", "shutdown", "-F", checked.domid(domid)),)
        case NudgeDomain(domid=domid, hvm=hvm):
            # -F of `xl shutdown` presses the button only where Xen sees no PV drivers, whether they hear or not
            return (
                ("xl", "trigger", checked.domid(domid), "power") if hvm else ("xl", "sysrq", checked.domid(domid), "s"),
            )
        case DestroyDomain(domid=domid):
            return (("xl", "destroy", checked.domid(domid)),)
        case SetLive():
            return (_set(action),)
        case StageConfig(domid=domid):
            return (("xl", "config-update", checked.domid(domid), config_file(action, context)[0]),)
        case AttachDevice(domid=domid, key="disk", spec=spec):
            return (("xl", "block-attach", checked.domid(domid), checked.disk(spec)),)
        case AttachDevice(domid=domid, spec=spec):
            words = (checked.vif(word) for word in spec.split(", "))
            return (("xl", "network-attach", checked.domid(domid), *words),)
        case DetachDevice(domid=domid, key=key, spec=spec):
            # without --force: a disk that the guest has mounted stays where it is (xl(1), since Xen 4.15)
            verb = "block-detach" if key == "disk" else "network-detach"
            return (("xl", verb, checked.domid(domid), checked.device(xlcfg.name_of(spec))),)
        case DropKernel(path):
            if not is_whole_copy(checked.copy(path)):
                return (("rm", "-r", path),)
            # what a crash leaves of it is never taken for a whole one
            return (("mv", "-T", path, f"{path}.old"), ("rm", "-r", f"{path}.old"))
        case BeginTrial(disk=LogicalVolume(vg, lv)):
            return (("lvchange", "--addtag", Preparation.MODULES.mark, checked.lv(vg, lv)),)
        case BeginTrial(disk=disk):
            return (_truncate(Preparation.MODULES.mark_of_file(disk.path), 0),)
        case AwaitReady() | CheckReady() | WatchDisk() | LockIdentity() | UnlockIdentity() | FailTrial() | EndTrial():
            return ()


def make_record(node: Node) -> tuple[Argv, ...]:
    """Of a node that has none: `-o new` overwrites one. Not automatic: at boot open-iscsi would try for minutes before
    any domU starts, also those on other disks. One try at each login, which ends soon: when to try again is decided
    here."""
    settings = {"node.startup": "manual", "node.session.initial_login_retry_max": "1"}
    settings["node.conn[0].timeo.login_timeout"] = "15"
    words = (word for key, value in settings.items() for word in ("-n", key, "-v", value))
    return (*_node(node), "-o", "new"), (*update_record(node), *words)


def update_record(node: Node) -> Argv:
    return (*_node(node), "-o", "update")


def log_in(node: Node) -> tuple[Argv, ...]:
    """The kernel knows the disks when the first has ended, udev has named them when the second has."""
    return (*_node(node), "--login"), ("udevadm", "settle", "--timeout=10")


def _node(node: Node) -> Argv:
    return ("iscsiadm", "-m", "node", "-T", checked.iqn(node.iqn), "-p", checked.portal(str(node.portal)))


def ask_through_xenstore(action: StopDomain) -> tuple[Argv, Argv]:
    """What `xl shutdown` does, without xl: the first prints /vm/UUID of the domain, to be compared, since the second
    would make a path of a domain that is gone."""
    home = f"/local/domain/{checked.domid(action.domid)}"
    return ("xenstore-read", f"{home}/vm"), ("xenstore-write", f"{home}/control/shutdown", "poweroff")


def config_file(action: StartDomain | StageConfig, context: Context) -> tuple[str, str]:
    """Path and text of the xl.cfg that has to be there before the commands run."""
    end = "cfg" if isinstance(action, StartDomain) else "next.cfg"
    return checked.path(f"{context.run_dir}/domains/{checked.name(action.name)}.{end}"), action.config


def _create(name: str, context: Context) -> Argv:
    """In a scope of its own, so that no restart of a unit takes the monitor along, and that comes down only after
    xenlocal-guests.service has stopped the guests (FACTS: `Before=` turns round at shutdown)."""
    create = ("xl", "create", "-q", checked.path(f"{context.run_dir}/domains/{checked.name(name)}.cfg"))
    if not context.systemd:
        return create
    return (
        "systemd-run", "--scope", "--collect", "--quiet", "--slice=xenlocal.slice",
        f"--unit=xenlocal-{checked.unit_escape(name)}-{checked.name(context.unique)}",
        f"--description=domU {name}, started by xenlocal",
        "--property=Before=xenlocal-guests.service", "--", *create,
    )  # fmt: skip


def _truncate(path: str, size: int, *options: str) -> Argv:
    """GNU truncate reads `>N` as "at least N": whatever the file has become since, this never shrinks it."""
    return ("truncate", *options, f"--size=>{size}", checked.path(path))


def _tell_guests(resize: tuple[Argv, ...], path: str) -> Argv:
    """xl attaches a raw file through a loop device, which keeps its size until told; blkback then tells the guest.
    One process for all: if we were killed in between, the file would have its size and nobody would tell the guest."""
    find = shlex.join(("losetup", "--noheadings", "--output", "NAME", "--associated", path))
    tell = 'for device in $devices; do losetup --set-capacity "$device"; done'
    return ("sh", "-ec", f"{'; '.join(map(shlex.join, resize))}; devices=$({find}); {tell}")


def _set(action: SetLive) -> Argv:
    domid = checked.domid(action.domid)
    match action.key:
        case "memory":
            return ("xl", "mem-set", domid, f"{checked.number(action.value)}m")
        case "vcpus":
            return ("xl", "vcpu-set", domid, checked.number(action.value))
        case "cpus":
            return ("xl", "vcpu-pin", domid, "all", checked.cpus(action.value))
        case "cpu_weight":
            if action.scheduler not in ("credit", "credit2"):
                raise ValueError(f"the scheduler {action.scheduler} knows no weight")
            return ("xl", f"sched-{action.scheduler}", "-d", domid, "-w", checked.number(action.value))
    raise ValueError(f"{action.key} cannot be changed on a running domU")


def take_look(vg: str, lv: str, room: Size | None) -> Argv:
    """A snapshot that nobody can write to; `room` None: of a thin volume, whose snapshot is off without that."""
    how = ("--setactivationskip", "n") if room is None else ("--size", checked.size(room))
    what = ("--name", checked.look(look_name(lv)), checked.lv(vg, lv))
    return ("lvcreate", "--yes", "--snapshot", "--permission", "r", "--addtag", LOOK_TAG, *how, *what)


def end_look(vg: str, lv: str) -> Argv:
    return ("lvremove", "--yes", f"{checked.name(vg)}/{checked.look(lv)}")


def ping(host: str) -> Argv:
    """One ping that waits 2 s for its answer; exit 0 where there is one."""
    return ("ping", "-n", "-q", "-c", "1", "-W", "2", checked.host(host))


def grep(pattern: str) -> Argv:
    """Exit 0 where a line of stdin matches, 1 where none does, 2 for an error such as too much backtracking."""
    return ("grep", "-P", "-a", "-q", "-e", pattern)
