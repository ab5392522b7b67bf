"""Marks of disks: one that is not asked for, two at once, and those that could not be looked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner import build
from tests.unit.planner.build import GIB, image, lv, volume
from tests.unit.planner.test_preparing import BOOKWORM, FILE, grows, ids, plan, seen, web
from xenlocal.model.actions import PrepareDisk
from xenlocal.model.desired import Disk
from xenlocal.model.diskwork import Preparation
from xenlocal.model.observed import NOT_ASKED, Observed, Table, Unavailable
from xenlocal.model.plan import Goal
from xenlocal.model.storage import OUR_TAG
from xenlocal.model.trial import Trial
from xenlocal.model.units import Size
from xenlocal.planner.draft import Draft
from xenlocal.planner.kernels import copy_name
from xenlocal.planner.preparing import MMDEBSTRAP, hurdle_of_preparation, is_marked, is_there

INSTALL, RESIZE = Preparation.INSTALL, Preparation.RESIZE
_FACTS = build.file_facts("/boot/vmlinuz-6.2")


def marked(*works: Preparation, **values: Any) -> Observed:
    tags = frozenset({OUR_TAG, *(work.mark for work in works)})
    return seen(volume("web", Size.mib(2048), tags=tags), **values)


def test_an_installation_that_is_done_needs_nothing_more_of_the_dom0() -> None:
    """What waits is the growth of its file system, of which the part says nothing: whether that is asked for or not."""
    domain = replace(grows(), install=replace(BOOKWORM, ssh_key="/gone"))
    grown = plan(marked(RESIZE, paths=()), domain)
    assert ids(grown)[:2] == ["begin growing the file system of domain/web", "watch domain/web"]
    assert not grown.refusals
    begin = grown.steps[0].action
    assert isinstance(begin, PrepareDisk)
    assert {*begin.settings} == {f"XENLOCAL_{key}" for key in ("NAME", "UUID", "VOLUME", "DISK", "VDEV", "HOSTNAME")}
    bare = plan(marked(RESIZE, paths=()), build.dom("web", lv("web", None), install=BOOKWORM))
    assert ids(bare) == ["start domain/web", "await domain/web"] and not bare.refusals


def test_of_a_kernel_on_trial_only_what_brings_its_modules_is_told() -> None:
    domain = grows(kernel="/boot/vmlinuz-6.2", cmdline="root=/dev/xvda")
    trial = Trial("web", domain.uuid, "6.2", copy_name(("/boot/vmlinuz-6.2",), {"/boot/vmlinuz-6.2": _FACTS}), None)
    both = marked(RESIZE, Preparation.MODULES, paths=("/boot/vmlinuz-6.2",), trials={domain.uuid: trial})
    begins = [step.action for step in plan(both, domain).steps if isinstance(step.action, PrepareDisk)]
    told = {each.work: each.settings.get("XENLOCAL_RELEASE") for each in begins}
    assert told == {RESIZE: None, Preparation.MODULES: "6.2"}


def test_a_device_is_no_directory_of_hooks() -> None:
    observed = replace(marked(INSTALL), paths={"/hooks": build.block_facts("/hooks"), MMDEBSTRAP: _FACTS})
    reason = "hooks /hooks of its [[install]] is no directory (a.conf:1)"
    assert plan(observed, web(replace(BOOKWORM, hooks="/hooks"))).refusals[0].reason == reason


def test_one_that_waits_for_both_is_refused_what_its_installation_lacks() -> None:
    both = marked(INSTALL, RESIZE, paths=())
    reason = "/usr/bin/mmdebstrap is missing, which installs a suite; type: apt install mmdebstrap"
    assert plan(both, replace(grows(), install=BOOKWORM)).refusals[0].reason == reason


@pytest.mark.parametrize(
    ("disk", "table"), [(lv("web"), "storage"), (image(FILE, GIB), "paths")], ids=["volume", "file"]
)
def test_a_disk_of_which_nothing_is_known_is_neither_marked_nor_there(disk: Disk, table: str) -> None:
    known = marked(INSTALL, paths=(FILE, INSTALL.mark_of_file(FILE)))
    assert is_there(disk.backing, known) and is_marked(disk.backing, INSTALL, known)
    unknown = replace(known, **{table: Unavailable("it hangs")})
    assert not is_there(disk.backing, unknown) and not is_marked(disk.backing, INSTALL, unknown)
    gone = seen(paths=())
    assert not is_there(disk.backing, gone) and not is_marked(disk.backing, INSTALL, gone)


def test_what_it_needs_of_the_dom0_is_not_missing_where_that_is_not_known() -> None:
    for unknown, wanted in ((Unavailable("it hangs"), set()), (NOT_ASKED, {Table.PATHS})):
        observed = replace(marked(INSTALL), paths=unknown)
        draft = Draft(observed)
        told = hurdle_of_preparation(draft, web(replace(BOOKWORM, ssh_key=MMDEBSTRAP)), None, observed)
        assert told == "the host's paths could not be found out"
        assert draft.plan(Goal.CONVERGE, 1).wanted == wanted
