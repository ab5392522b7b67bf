"""Steps are named by what an action does to what: no two actions of one object may go by the same name."""

from __future__ import annotations

from typing import get_args

import pytest

from xenlocal.model import actions, host_actions
from xenlocal.model.actions import Action
from xenlocal.model.desired import LogicalVolume
from xenlocal.model.diskwork import Preparation
from xenlocal.model.identity import Identity
from xenlocal.model.iscsi import Node, Portal
from xenlocal.model.probes import PingProbe
from xenlocal.model.trial import Trial
from xenlocal.model.units import Duration, Size

WEB, ROOT = ("web", "uuid"), ("vg0", "root")
TRIAL = Trial(*WEB, "6.1", "new", "old")
ALL: dict[str, Action] = {
    "deactivate volume/vg0/root": host_actions.DeactivateVolume(*ROOT),
    "create volume/vg0/root": host_actions.CreateVolume(*ROOT, Size(1), "dom0"),
    "grow volume/vg0/root": host_actions.GrowVolume(*ROOT, Size(1)),
    "activate volume/vg0/root": host_actions.ActivateVolume(*ROOT),
    "retire volume/vg0/root": host_actions.RetireVolume(*ROOT, "trash"),
    "restore volume/vg0/root": host_actions.RestoreVolume(*ROOT, "trash"),
    "untag volume/vg0/root": host_actions.UntagVolume(*ROOT, ("tag",)),
    "purge volume/vg0/root": host_actions.PurgeVolume(*ROOT),
    "create file//srv/x.img": host_actions.ResizeFile("/srv/x.img", Size(1)),
    "create bridge/br0": host_actions.ChangeBridge("br0", create=True),
    "change bridge/br0": host_actions.ChangeBridge("br0"),
    "begin installing domain/web": actions.PrepareDisk(*WEB, LogicalVolume(*ROOT), {}),
    "begin growing the file system of domain/web": actions.PrepareDisk(
        *WEB, LogicalVolume(*ROOT), {}, Preparation.RESIZE
    ),
    "begin installing the modules of domain/web": actions.PrepareDisk(
        *WEB, LogicalVolume(*ROOT), {}, Preparation.MODULES
    ),
    "watch domain/web": actions.WatchDisk(*WEB, LogicalVolume(*ROOT)),
    "log in to iscsi/bay1": host_actions.LogIn("bay1", Node("iqn.2012-10.example:bay1", Portal("192.0.2.10"))),
    "start domain/web": actions.StartDomain(*WEB, ""),
    "await domain/web": actions.AwaitReady(*WEB, PingProbe("192.0.2.1"), Duration(1)),
    "check domain/web": actions.CheckReady(*WEB, PingProbe("192.0.2.1")),
    "stop domain/web": actions.StopDomain(*WEB, 1, Duration(1)),
    "sync domain/web": actions.NudgeDomain(*WEB, 1),
    "press the power button of domain/web": actions.NudgeDomain(*WEB, 1, hvm=True),
    "destroy domain/web": actions.DestroyDomain(*WEB, 1, verb="destroy"),
    "set domain/web": actions.SetLive(*WEB, 1, "memory", "1"),
    "stage domain/web": actions.StageConfig(*WEB, 1, ""),
    "attach domain/web": actions.AttachDevice(*WEB, 1, "disk", ""),
    "detach domain/web": actions.DetachDevice(*WEB, 1, "disk", ""),
    "drop file//x": host_actions.DropKernel("/x"),
    "put on trial the kernel of domain/web": actions.BeginTrial(TRIAL, LogicalVolume(*ROOT), ()),
    "end in vain the trial of the kernel of domain/web": actions.FailTrial(TRIAL),
    "end the trial of the kernel of domain/web": actions.EndTrial(TRIAL),
    "lock domain/web": actions.LockIdentity(Identity(*WEB)),
    "unlock domain/web": actions.UnlockIdentity(Identity(*WEB)),
}


@pytest.mark.parametrize("name", ALL)
def test_what_is_done_to_what(name: str) -> None:
    assert f"{ALL[name].verb} {ALL[name].target}" == name


def test_every_action_is_in_the_table() -> None:
    assert {type(each) for each in ALL.values()} == set(get_args(Action))
