"""Of which sessions and disks the administrator is told, and when a session is looked at again."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.planner.build import (
    NOW,
    bay,
    block_facts,
    desired,
    dom,
    ids,
    live,
    lun,
    lv,
    memory,
    noticed,
    observed,
    plan,
    ready,
    sessions,
    storage,
    volume,
)
from xenlocal.model.memory import Login, Memory
from xenlocal.planner.iscsi import LOST


def test_where_one_is_missing_nothing_is_lost_yet() -> None:
    made = plan(desired(bay(1), bay(2)), observed(iscsi=sessions(bay2="LOGGED_IN")))
    assert ids(made) == ("log in to iscsi/bay1",) and not made.notices
    alone = plan(desired(bay(1)), observed(iscsi=sessions()))
    assert alone.look_again is None and not alone.notices, "the login itself tells when it has ended"


def test_one_that_we_had_logged_in_to_before_is_logged_in_to_again() -> None:
    kept = Memory(boot_done=True, logins={str(bay().node): Login("bay1", done=True)})
    made = plan(desired(bay()), observed(iscsi=sessions()), kept)
    assert ids(made) == ("log in to iscsi/bay1",) and not made.refusals


def test_a_guest_is_told_which_of_its_disks_wait_and_for_which_session() -> None:
    disks = (lun(1), lun(2, vdev="xvdb"), lun(1, 2, vdev="xvdc"), lv("root", vdev="xvdd"))
    paths = {disk.backing.path: block_facts(disk.backing.path) for disk in disks}
    seen = observed(
        live(7, "web"),
        iscsi=sessions(bay1="FAILED", bay2="LOGGED_IN"),
        paths=paths,
        storage=storage(volume("root", opened=True)),
    )
    made = plan(desired(bay(1), bay(2), dom("web", *disks)), seen, memory(ready("web", 7, running={"memory": "1024"})))
    told = [each.text for each in made.notices if str(each.target) == "domain/web"]
    assert "its xvda, xvdb waits for iscsi/bay1, whose session is lost; the guest is left as it is" in told
    assert noticed(made, "iscsi/bay1") == LOST and not noticed(made, "iscsi/bay2")
    assert made.look_again == NOW + 10


def test_sessions_whose_sections_have_vanished_are_told_of_one_by_one() -> None:
    login = {str(bay(number).node): Login(f"bay{number}", done=True) for number in (2, 1, 3)}
    kept = replace(Memory(boot_done=True), logins=login)
    made = plan(desired(), observed(iscsi=sessions(bay1="LOGGED_IN", bay2="LOGGED_IN")), kept)
    assert [str(each.target) for each in made.notices] == ["iscsi/bay1", "iscsi/bay2"]
    node = bay(1).node
    assert made.notices[0].text == (
        f"its section is gone from the files: the session to {node} stays as it is; when nobody uses its disks any"
        f" more, `iscsiadm -m node -T {node.iqn} -p {node.portal} --logout` ends it"
    )
