"""While a disk is worked on nobody else gets it, and whatever is edited meanwhile is neither lost nor in its way."""

from __future__ import annotations

import pytest

from tests.unit.engine.rig import Daemon, Machine, conf
from tests.unit.engine.test_identity import notices
from tests.unit.engine.test_trial import kernel_of, machine, stamp, trial, web
from xenlocal.model.diskwork import Preparation
from xenlocal.simulator import diskwork

ROOT = "[[disk xvda]]\nvolume = vg0/{}\nsize = 1G"
SUITE = "[[install]]\nsuite = bookworm"
BACKINGS = {"file": "file = /srv/web.img", "volume": "volume = vg0/web"}


def grows(backing: str, size: str) -> str:
    return conf("web", "[[disk xvda]]", BACKINGS[backing], f"size = {size}", "resize_fs = yes")


def growing(backing: str, *others: str) -> tuple[Machine, Daemon]:
    """From 20 s on its file system is checked and grows, for 200 s."""
    made = Machine(grows(backing, "1G"), *others)
    Daemon(made).run(30)
    made.behave("web", install_seconds=200)
    daemon = Daemon(made)
    daemon.edit(5, grows(backing, "2G"), *others)
    daemon.ask(20, "restart", "web")
    return made, daemon


def test_who_takes_the_mark_away_while_the_next_try_is_at_it_starts_no_guest_from_that_disk() -> None:
    """As the failure of the try before says: to start it as it is."""
    made, daemon = growing("file")

    def follow_the_advice() -> None:
        del made.dom0.state.paths["/srv/web.img.xenlocal-resize"]
        daemon.inbox.look_again()

    def nobody_has_it() -> None:
        assert diskwork.at_work(made.dom0) and not made.running

    daemon.at(80, follow_the_advice)
    daemon.at(120, nobody_has_it)
    daemon.run(300)
    assert made.running == {"web": "running"}, "as soon as that has ended"


@pytest.mark.parametrize("backing", BACKINGS)
def test_a_running_guest_does_not_get_a_disk_that_is_worked_on(backing: str) -> None:
    db = conf("db", ROOT.format("db"))
    made, daemon = growing(backing, db)
    given = conf("db", ROOT.format("db"), "[[disk xvdb]]", BACKINGS[backing], "size = 2G")
    daemon.edit(80, given, conf("new", ROOT.format("new"), SUITE))
    told = list[str]()
    daemon.at(120, lambda: told.extend((notices(daemon, "db"), *_disks(made, "db"))))
    daemon.run(300)
    assert "is being worked on, until what `systemctl list-units 'xenlocal-resize-*'` shows has ended" in told[0]
    assert told[1:] == ["xvda"] and _disks(made, "db") == ["xvda", "xvdb"]


def _disks(made: Machine, name: str) -> list[str]:
    return [disk.vdev for each in made.dom0.state.domains if each.name == name for disk in each.disks]


@pytest.mark.parametrize("backing", BACKINGS)
def test_a_further_growth_waits_for_the_one_before_and_keeps_its_mark(backing: str) -> None:
    made, daemon = growing(backing)
    daemon.edit(80, grows(backing, "3G"))
    told = list[str]()
    daemon.at(120, lambda: told.append(str(daemon.loop.status())))
    daemon.run(400)
    assert "its file system is just growing; it grows once more when that has ended" in told[0]
    marks = [tag for each in made.dom0.state.volumes for tag in each.tags] + [*made.dom0.state.paths]
    assert [each for each in marks if each.endswith(Preparation.RESIZE.mark)], "for the next start"
    assert "type `resize2fs /dev/xvda` inside the guest" in notices(daemon, "web")


def test_what_grows_while_it_is_installed_into_has_not_failed_to() -> None:
    one, more = (conf("web", f"{ROOT.format('web')[:-2]}{size}\nresize_fs = yes", SUITE) for size in ("1G", "2G"))
    made = Machine(one)
    daemon = Daemon(made)
    daemon.edit(80, more)
    daemon.run(500)
    assert made.running == {"web": "running"} and not [each for each in made.history.deeds() if each.outcome != "done"]
    work = [
        each.text.partition("libexec/xenlocal/")[2] for each in made.dom0.trace if each.text.startswith("systemd-run")
    ]
    assert work[:2] == ["install web /dev/vg0/web", "resize web /dev/vg0/web"]


def test_an_edit_while_the_file_system_grows_does_not_end_the_trial_of_a_kernel() -> None:
    made = machine()
    larger = web().replace("size = 4G", "size = 5G\nresize_fs = yes")
    made.write(larger, conf("db", "state = manual"))
    daemon = Daemon(made)
    request = daemon.ask(20, "kernel", "web")
    daemon.edit(60, larger, conf("db", "state = manual"), conf("other"))
    daemon.run(900)
    assert request.code == 0 and made.running["web"] == "running" and stamp(2) in kernel_of(made)
    assert trial(made) == {} and made.running["other"] == "running"


def test_a_file_system_may_take_as_long_as_it_likes_to_grow() -> None:
    """What ends resize2fs damages it, and a check that is begun anew every two hours never ends."""
    made, daemon = growing("volume")
    made.behave("web", install_seconds=10_000.0)
    daemon.run(10_200)
    assert made.running == {"web": "running"} and not [
        each for each in made.history.deeds() if each.outcome == "failed"
    ]


def test_what_ended_well_while_its_domu_was_not_wanted_has_not_failed_when_there_is_more_to_do() -> None:
    made, daemon = growing("volume")
    stopped = grows("volume", "{}").replace("memory", "state = stopped\nmemory")
    daemon.edit(80, stopped.format("2G"))
    daemon.edit(400, stopped.format("3G"))
    daemon.edit(420, grows("volume", "3G"))
    daemon.run(900)
    assert made.running == {"web": "running"}
    assert not [each for each in made.history.deeds() if each.outcome == "failed"]
