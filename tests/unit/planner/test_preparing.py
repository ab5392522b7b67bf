"""When a disk is installed into or its file system grows, what waits for that, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner import build
from tests.unit.planner.build import GIB, desired, dom, image, lv, storage, volume
from xenlocal.model.actions import PrepareDisk, WatchDisk
from xenlocal.model.desired import Disk, Domain, ImageFile, LogicalVolume, Nic, State
from xenlocal.model.diskwork import Install, Preparation
from xenlocal.model.host_actions import CreateVolume, GrowVolume, ResizeFile
from xenlocal.model.memory import Hand
from xenlocal.model.observed import NOT_ASKED, Observed, PathFacts, PathKind, Table, Unavailable
from xenlocal.model.plan import Plan
from xenlocal.model.storage import OUR_TAG
from xenlocal.model.units import Size
from xenlocal.planner.preparing import MMDEBSTRAP

BOOKWORM = Install(suite="bookworm")
MARKED = frozenset({OUR_TAG, Preparation.INSTALL.mark})
DISK = LogicalVolume("vg0", "web")
FILE = "/srv/web.img"
INSTALLING, GROWING = frozenset({"install /dev/vg0/web"}), frozenset({"resize /dev/vg0/web"})


def web(install: Install = BOOKWORM, **values: Any) -> Domain:
    return dom("web", lv("web"), install=install, **values)


def seen(*volumes: Any, at_work: Any = frozenset(), paths: tuple[str, ...] = (MMDEBSTRAP,), **tables: Any) -> Observed:
    known = {path: build.file_facts(path) for path in paths if not path.endswith("/")}
    known |= {path[:-1]: PathFacts(PathKind.OTHER, Size(0), path[:-1]) for path in paths if path.endswith("/")}
    lives = tables.pop("lives", ())
    return build.observed(*lives, storage=storage(*volumes), paths=known, at_work=at_work, **tables)


def plan(observed: Observed, *domains: Domain) -> Plan:
    return build.plan(desired(*(domains or (web(),))), observed)


def ids(made: Plan) -> list[str]:
    return [step.id for step in made.steps]


def test_a_new_volume_is_made_marked_and_the_start_waits_for_its_installation() -> None:
    made = plan(seen())
    assert ids(made) == [
        "create volume/vg0/web",
        "begin installing domain/web",
        "watch domain/web",
        "start domain/web",
        "await domain/web",
    ]
    create, begin, watch, start, _ = made.steps
    assert create.action == CreateVolume("vg0", "web", GIB, "here", install=True)
    assert begin.needs == (create.id,) and watch.needs == (begin.id,) and {begin.id, watch.id} <= {*start.needs}
    assert begin.reason == "volume/vg0/web is new, and to hold bookworm"
    assert watch.action == WatchDisk("web", web().uuid, DISK) and not watch.changes_host


@pytest.mark.parametrize(
    ("begun", "first"),
    [
        ("install /dev/vg0/web", "watch domain/web"),
        ("resize /dev/vg0/web", "begin installing domain/web"),
        ("install /dev/vg0/db", "begin installing domain/web"),
    ],
)
def test_what_has_been_begun_is_heard_to_its_end_before_it_begins_anew(begun: str, first: str) -> None:
    record = build.rec("web", preparing=begun)
    made = build.plan(desired(web()), seen(volume("web", tags=MARKED)), build.memory(record))
    assert ids(made)[0] == first and ids(made)[-1] == "await domain/web"


def test_a_volume_without_the_mark_is_used_as_it_is() -> None:
    assert ids(plan(seen(volume("web")))) == ["start domain/web", "await domain/web"]


def test_one_that_is_not_ours_is_never_installed_into_and_says_how_to_hand_it_over() -> None:
    """Somebody has set the mark of an LV that was there before, and not our tag."""
    made = plan(seen(volume("web", tags=frozenset({Preparation.INSTALL.mark}))))
    assert not made.steps
    assert made.refusals[0].reason == (
        "volume/vg0/web is marked as one to be installed into, and does not carry the tag xenlocal (a.conf:1); type:"
        " lvchange --addtag xenlocal vg0/web, or to use the disk as it is type: lvchange --deltag"
        " xenlocal-install vg0/web"
    )
    grown = volume("web", Size.mib(2048), tags=frozenset({Preparation.RESIZE.mark}))
    assert ids(plan(seen(grown), grows())) == ["start domain/web", "await domain/web"]


@pytest.mark.parametrize(
    ("disk", "marks", "how"),
    [
        (lv("web"), (), "lvchange --deltag xenlocal-install vg0/web"),
        (image(FILE, GIB), (FILE, f"{FILE}.xenlocal-install"), f"rm {FILE}.xenlocal-install"),
    ],
)
def test_no_domain_starts_from_a_marked_disk_that_no_part_of_it_installs_into(
    disk: Disk, marks: tuple[str, ...], how: str
) -> None:
    """The part is gone, or the disk has come to another domU, or to another place of it."""
    marked = volume("web", tags=MARKED)
    for domain in (dom("web", disk), dom("other", lv("root"), replace(disk, vdev="xvdb"), install=BOOKWORM)):
        observed = seen(marked, volume("root"), paths=(MMDEBSTRAP, *marks))
        made = plan(observed, domain)
        assert not made.steps and "no [[install]] says what (a.conf:1); write one, or to" in made.refusals[0].reason
        assert made.refusals[0].reason.endswith(f"type: {how}")
        made = plan(replace(observed, at_work=frozenset({f"install {disk.backing.path}"})), domain)
        assert not made.steps and "`systemctl list-units 'xenlocal-install-*'` shows" in made.refusals[0].reason
    assert plan(seen(), dom("web", lv("web"))).steps[0].action == CreateVolume("vg0", "web", GIB, "here")


def test_a_file_system_that_no_file_asks_to_grow_any_more_is_used_as_it_is_unless_it_is_at_work() -> None:
    marked, domain = volume("web", tags=frozenset({OUR_TAG, Preparation.RESIZE.mark})), dom("web", lv("web"))
    assert ids(plan(seen(marked), domain)) == ["start domain/web", "await domain/web"]
    made = plan(seen(marked, at_work=GROWING), domain)
    assert not made.steps and "`systemctl list-units 'xenlocal-resize-*'` shows" in made.refusals[0].reason


def test_what_is_unfinished_begins_anew() -> None:
    made = plan(seen(volume("web", tags=MARKED)))
    assert ids(made)[:2] == ["begin installing domain/web", "watch domain/web"]
    made = plan(seen(volume("web", tags=MARKED, active=False)))
    assert ids(made)[:2] == ["activate volume/vg0/web", "begin installing domain/web"]
    assert made.steps[1].needs == ("activate volume/vg0/web",)


def test_one_at_work_is_waited_for_though_it_holds_the_volume() -> None:
    mounted = volume("web", tags=MARKED, opened=True)
    made = plan(seen(mounted, at_work=INSTALLING))
    assert ids(made) == ["watch domain/web", "start domain/web", "await domain/web"]
    (told,) = made.notices
    assert (
        "is installed before it starts, which takes minutes; `tail -f /var/log/xenlocal/install-web.log`" in told.text
    )
    assert "is open on the dom0 itself" in plan(seen(mounted)).refusals[0].reason, "somebody else has mounted it"


@pytest.mark.parametrize(
    ("disk", "at_work"),
    [
        (lv("web"), INSTALLING),
        (image(FILE, GIB), frozenset({f"resize {FILE}"})),
        (build.device("/dev/mapper/vg0-web"), GROWING),
        (build.device("/dev/link"), GROWING),
    ],
    ids=["volume", "file", "its other name", "a link"],
)
def test_no_guest_gets_a_disk_that_is_worked_on_whatever_has_become_of_its_mark(
    disk: Disk, at_work: frozenset[str]
) -> None:
    """Somebody has taken the mark away, as is said where work has failed, while the next try is at it; or another domU
    names the disk, in its own way."""
    node = PathFacts(PathKind.BLOCK, Size(0), "/dev/dm-0", (253, 0))
    paths = {FILE: build.file_facts(FILE), "/dev/mapper/vg0-web": node, "/dev/link": node}
    tables: dict[str, Any] = {"storage": storage(volume("web", opened=True, device=(253, 0)), volume("root"))}
    observed = build.observed(paths=paths, **tables, at_work=at_work)
    made = plan(observed, dom("db", disk))
    assert not made.steps and " is being worked on, until what `systemctl list-units 'xenlocal-" in (
        made.refusals[0].reason
    )
    made = plan(observed, dom("db", lv("root"), replace(disk, vdev="xvdb")))
    assert not made.steps, "nor as its second one"
    assert plan(replace(observed, at_work=frozenset({"resize /dev/vg0/root"})), dom("db", disk)).steps or (
        disk.backing != ImageFile(FILE)
    )


def test_what_is_at_work_goes_on_first_and_the_rest_is_begun_after_it() -> None:
    grown = volume("web", Size.mib(2048), tags=MARKED | {Preparation.RESIZE.mark}, opened=True)
    domain = replace(web(), disks=(replace(lv("web", Size.mib(2048)), resize_fs=True),))
    for at_work, first, then in (
        (INSTALLING, Preparation.INSTALL, Preparation.RESIZE),
        (GROWING, Preparation.RESIZE, Preparation.INSTALL),
    ):
        made = plan(seen(grown, at_work=at_work), domain)
        watches = [step for step in made.steps if isinstance(step.action, WatchDisk)]
        (begin,) = [step for step in made.steps if isinstance(step.action, PrepareDisk)]
        assert [getattr(step.action, "work", None) for step in watches] == [first, then]
        assert getattr(begin.action, "work", None) is then and begin.needs == (watches[0].id,)
        assert watches[1].needs == (begin.id,)


def test_nothing_is_done_where_it_is_not_known_whether_one_is_at_work() -> None:
    made = plan(seen(volume("web", tags=MARKED), at_work=Unavailable("no /proc")))
    assert not made.steps
    assert made.refusals[0].reason == "whether a disk of it is being worked on could not be found out"
    assert Table.AT_WORK in plan(seen(volume("web", tags=MARKED), at_work=NOT_ASKED)).wanted
    assert Table.AT_WORK in plan(seen(volume("web"), at_work=NOT_ASKED)).wanted, "also where there is no mark"
    assert Table.AT_WORK not in plan(build.observed(at_work=NOT_ASKED), dom("web")).wanted, "it has no disk"


def test_nothing_is_done_where_the_mark_could_not_be_looked_for() -> None:
    observed = replace(seen(volume("web", tags=MARKED)), storage=Unavailable("vg0: locked"))
    assert not plan(observed).steps


@pytest.mark.parametrize(
    ("install", "paths", "reason"),
    [
        (BOOKWORM, (), "/usr/bin/mmdebstrap is missing, which installs a suite; type: apt install mmdebstrap"),
        (
            replace(BOOKWORM, ssh_key="/root/keys"),
            (MMDEBSTRAP,),
            "ssh_key /root/keys of its [[install]] does not exist (a.conf:1)",
        ),
        (Install(image="/a.img"), (), "image /a.img of its [[install]] does not exist (a.conf:1)"),
        (
            replace(BOOKWORM, hooks="/a.txt"),
            (MMDEBSTRAP, "/a.txt"),
            "hooks /a.txt of its [[install]] is no directory (a.conf:1)",
        ),
        (
            replace(BOOKWORM, root_password="/root"),
            (MMDEBSTRAP, "/root/"),
            "root_password /root of its [[install]] is not a regular file (a.conf:1)",
        ),
    ],
)
def test_what_it_needs_of_the_dom0(install: Install, paths: tuple[str, ...], reason: str) -> None:
    made = plan(seen(volume("web", tags=MARKED), paths=paths), web(install))
    assert not made.steps and made.refusals[0].reason == reason
    assert plan(seen(volume("web"), paths=paths), web(install)).steps, "there is nothing to install any more"


def test_an_image_needs_no_mmdebstrap() -> None:
    made = plan(seen(paths=("/a.img",)), web(Install(image="/a.img")))
    assert made.steps[1].reason == "volume/vg0/web is new, and to hold /a.img"


def test_one_that_runs_from_a_marked_disk_is_not_installed_over() -> None:
    """Somebody has started it by hand, or has set the mark."""
    running = build.live(5, "web")
    for disk, how, more in (
        (lv("web"), "lvchange --deltag xenlocal-install vg0/web", ()),
        (image(FILE, GIB), f"rm {FILE}.xenlocal-install", (FILE, Preparation.INSTALL.mark_of_file(FILE))),
    ):
        observed = seen(volume("web", tags=MARKED), paths=(MMDEBSTRAP, *more), lives=(running,))
        by_hand = build.memory(build.ready("web", 5, hand=Hand.RESTART, hand_domid=5))
        made = build.plan(desired(dom("web", disk, install=BOOKWORM)), observed, by_hand)
        assert not any(isinstance(step.action, PrepareDisk) for step in made.steps)
        assert how in made.refusals[0].reason


def test_an_image_file_is_marked_beside_it() -> None:
    domain = dom("web", image(FILE, GIB), install=BOOKWORM)
    made = plan(seen(), domain)
    assert made.steps[0].action == ResizeFile(FILE, GIB, work=Preparation.INSTALL)
    assert ids(made)[1] == "begin installing domain/web"
    unfinished = seen(paths=(MMDEBSTRAP, FILE, Preparation.INSTALL.mark_of_file(FILE)))
    assert ids(plan(unfinished, domain))[0] == "begin installing domain/web"
    assert ids(plan(seen(paths=(FILE,)), domain)) == ["start domain/web", "await domain/web"]


def test_only_the_first_disk_is_installed_into() -> None:
    made = plan(seen(), dom("web", lv("web"), lv("data", vdev="xvdb"), install=BOOKWORM))
    assert [step.action.install for step in made.steps if isinstance(step.action, CreateVolume)] == [False, True]
    for name in ("also", "zoo"):
        made = plan(seen(), web(), dom(name, lv("web", readonly=True)))
        assert [step.action.install for step in made.steps if isinstance(step.action, CreateVolume)] == [True]


def test_what_installs_is_told_everything() -> None:
    install = Install(
        suite="trixie",
        mirror="/etc/apt/lab.list",
        packages=("vim", "less"),
        hostname="w",
        address="192.0.2.21/24",
        gateway="192.0.2.1",
        dns=("192.0.2.1", "192.0.2.2"),
        ssh_key="/k",
        root_password="/h",
        hooks="/hooks",
    )
    domain = web(install, kernel="/boot/vmlinuz-6.1")
    domain = replace(domain, nics=(Nic("eth0", "br0", "00:16:3e:00:00:01", build.HERE),))
    network = build.network(build.bridge_link("br0"))
    observed = seen(
        paths=(MMDEBSTRAP, "/etc/apt/lab.list", "/k", "/h", "/hooks/", "/boot/vmlinuz-6.1"), network=network
    )
    action = plan(observed, domain).steps[1].action
    assert isinstance(action, PrepareDisk)
    assert {key.removeprefix("XENLOCAL_"): value for key, value in action.settings.items()} == {
        "NAME": "web", "UUID": domain.uuid, "VOLUME": "vg0/web", "DISK": "/dev/vg0/web", "VDEV": "xvda",
        "KERNEL": "/boot/vmlinuz-6.1", "SUITE": "trixie", "MIRROR": "/etc/apt/lab.list", "PACKAGES": "vim,less",
        "HOSTNAME": "w", "MAC": "00:16:3e:00:00:01", "ADDRESS": "192.0.2.21/24", "GATEWAY": "192.0.2.1",
        "DNS": "192.0.2.1 192.0.2.2", "SSH_KEY": "/k", "ROOT_PASSWORD": "/h", "HOOKS": "/hooks",
    }  # fmt: skip
    bare = plan(seen(paths=("/a.tar",)), dom("web", image(FILE, GIB), install=Install(image="/a.tar"))).steps[1].action
    assert isinstance(bare, PrepareDisk) and bare.disk == ImageFile(FILE)
    assert {key.removeprefix("XENLOCAL_") for key in bare.settings} == {
        "NAME", "UUID", "DISK", "VDEV", "IMAGE", "HOSTNAME",
    }  # fmt: skip


def grows(**values: Any) -> Domain:
    return dom("web", replace(lv("web", Size.mib(2048)), resize_fs=True), **values)


RESIZE = frozenset({OUR_TAG, Preparation.RESIZE.mark})


def test_a_file_system_grows_with_its_disk_before_the_start() -> None:
    made = plan(seen(volume("web")), grows())
    assert ids(made) == [
        "grow volume/vg0/web",
        "begin growing the file system of domain/web",
        "watch domain/web",
        "start domain/web",
        "await domain/web",
    ]
    grow, begin, watch, start, _ = made.steps
    assert isinstance(grow.action, GrowVolume) and grow.action.resize
    assert begin.needs == (grow.id,) and watch.needs == (begin.id,) and {begin.id, watch.id} <= {*start.needs}
    assert begin.reason == "volume/vg0/web has grown"
    assert isinstance(begin.action, PrepareDisk) and begin.action.work is Preparation.RESIZE
    assert {*begin.action.settings} == {f"XENLOCAL_{key}" for key in ("NAME", "UUID", "VOLUME", "DISK", "VDEV")} | {
        "XENLOCAL_HOSTNAME"
    }
    (told,) = made.notices
    assert told.text.startswith("has the file system of volume/vg0/web grown before it starts, which takes minutes;")


def test_it_grows_later_where_the_guest_ran() -> None:
    large = volume("web", Size.mib(2048), tags=RESIZE)
    assert ids(plan(seen(large), grows()))[:2] == ["begin growing the file system of domain/web", "watch domain/web"]
    assert ids(plan(seen(replace(large, opened=True), at_work=GROWING), grows()))[0] == "watch domain/web"
    without = dom("web", lv("web", Size.mib(2048)))
    assert ids(plan(seen(large), without))[0] == "start domain/web", "it is not wanted any more"
    made = plan(seen(volume("web")), dom("web", lv("web", Size.mib(2048))))
    assert made.steps[0].action == GrowVolume("vg0", "web", Size.mib(2048))


def test_it_does_not_grow_once_more_while_its_file_system_grows() -> None:
    """resize2fs has looked at its size, and takes away the mark, also that of another growth."""
    held = "its file system is just growing; it grows once more when that has ended"
    half = volume("web", Size.mib(1536), tags=RESIZE, opened=True)
    made = plan(seen(half, at_work=GROWING), grows())
    assert ids(made) == ["watch domain/web", "start domain/web", "await domain/web"]
    assert build.refused(made, "volume/vg0/web") == held
    made = plan(seen(half, at_work=Unavailable("no /proc")), grows())
    assert build.refused(made, "volume/vg0/web") == "whether its file system is just growing could not be found out"
    assert Table.AT_WORK in plan(seen(half, at_work=NOT_ASKED), grows()).wanted
    without = dom("web", lv("web", Size.mib(2048)), state=State.STOPPED)
    assert ids(plan(seen(half, at_work=GROWING), without)) == ["grow volume/vg0/web"], "that has no mark"
    made = plan(seen(replace(half, tags=MARKED), at_work=INSTALLING), replace(grows(), install=BOOKWORM))
    assert "grow volume/vg0/web" in ids(made), "that has a mark of its own"
    of_file = dom("web", replace(image(FILE, Size.mib(2048)), resize_fs=True))
    marked = seen(paths=(FILE, Preparation.RESIZE.mark_of_file(FILE)), at_work=frozenset({f"resize {FILE}"}))
    made = plan(marked, of_file, dom("db", image("/srv/zoo.img", GIB)))
    assert build.refused(made, f"file/{FILE}") == held and "create file//srv/zoo.img" in ids(made)
    assert f"grow file/{FILE}" not in ids(made)


def test_for_one_that_runs_there_is_the_command_to_type_inside() -> None:
    running = build.live(5, "web")
    memory = build.memory(build.ready("web", 5, running={}))
    for disk in (volume("web"), volume("web", Size.mib(2048), tags=RESIZE)):
        made = build.plan(desired(grows()), seen(disk, lives=(running,)), memory)
        assert not any(isinstance(step.action, PrepareDisk) for step in made.steps)
        assert "type `resize2fs /dev/xvda` inside the guest" in build.noticed(made, "domain/web")
    made = build.plan(desired(web()), seen(volume("web", tags=MARKED), lives=(running,)), memory)
    assert "resize2fs" not in build.noticed(made, "domain/web")


def test_a_restart_grows_it_between_the_stop_and_the_start() -> None:
    running = build.live(5, "web")
    memory = build.memory(build.ready("web", 5, hand=Hand.RESTART, hand_domid=5))
    made = build.plan(desired(grows()), seen(volume("web", Size.mib(2048), tags=RESIZE), lives=(running,)), memory)
    assert ids(made) == [
        "stop domain/web",
        "begin growing the file system of domain/web",
        "watch domain/web",
        "start domain/web",
        "await domain/web",
    ]
    assert made.steps[1].needs == ("stop domain/web",)


def test_several_disks_grow_one_after_the_other_and_a_new_one_is_only_installed_into() -> None:
    disks = (
        replace(lv("web", Size.mib(2048)), resize_fs=True),
        replace(image(FILE, Size.mib(2048), "xvdb"), resize_fs=True),
    )
    made = plan(seen(volume("web"), paths=(FILE,)), dom("web", *disks))
    assert isinstance(made.steps[1].action, ResizeFile) and made.steps[1].action.work is Preparation.RESIZE
    begins = [step for step in made.steps if isinstance(step.action, PrepareDisk)]
    assert begins[1].needs == ("grow file//srv/web.img", "watch domain/web")
    marked = seen(volume("web", Size.mib(2048)), paths=(Preparation.RESIZE.mark_of_file(FILE), FILE))
    assert "begin growing the file system of domain/web" in ids(plan(marked, dom("web", *disks)))
    new = plan(seen(), replace(web(), disks=(replace(lv("web"), resize_fs=True),)))
    assert [step.action.work for step in new.steps if isinstance(step.action, PrepareDisk)] == [Preparation.INSTALL]
    for name in ("also", "zoo"):
        shared = plan(seen(volume("web")), grows(), dom(name, lv("web", readonly=True)))
        assert isinstance(shared.steps[0].action, GrowVolume) and shared.steps[0].action.resize
