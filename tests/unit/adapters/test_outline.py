"""Which domains there are, and who has ended, as only xenstore shows it: on what a real dom0 printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.adapters.scripted import ScriptedRunner
from tests.unit.adapters.test_readers import records, shown, text_of
from xenlocal.adapters import xl
from xenlocal.adapters.outline import outline
from xenlocal.model.errors import CommandFailed
from xenlocal.model.observed import LiveState

LIST = ("xenstore-list", "/local/domain")
LS = ("xenstore-ls", "-f", "/local/domain/0")


def runner_of(tree: str) -> ScriptedRunner:
    """The whole tree as `xenstore-ls -f` printed it, told as the three commands tell it."""
    domids = sorted({found[1] for found in re.finditer(r"^/local/domain/(\d+)[ /]", tree, re.MULTILINE)}, key=int)
    own = "".join(f"{line}\n" for line in tree.splitlines() if line.startswith("/local/domain/0"))
    paths = [f"/local/domain/{domid}/{key}" for domid in domids if domid != "0" for key in ("name", "vm")]
    values = "".join(re.findall(rf'^{path} = "(.*)"$', tree, re.MULTILINE)[0] + "\n" for path in paths)
    script: list[tuple[tuple[str, ...], str]] = [(LIST, "".join(f"{each}\n" for each in domids)), (LS, own)]
    return ScriptedRunner(*script, *([(("xenstore-read", *paths), values)] if paths else []))


@pytest.mark.parametrize("path", records("xenstore-ls-f.txt"), ids=shown)
def test_it_agrees_with_xl_but_for_what_xenstore_does_not_show(path: Path) -> None:
    by_xl = xl.parse_list(text_of(path.with_name("xl-list-v.txt"))).domains
    found = outline(runner_of(text_of(path)))
    assert {(each.domid, each.name, each.uuid) for each in found.values()} == {
        (each.domid, each.name, each.uuid) for each in by_xl.values()
    }
    hidden = {LiveState.CRASHED: LiveState.RUNNING, LiveState.PAUSED: LiveState.RUNNING}
    assert {domid: each.state for domid, each in found.items()} == {
        domid: hidden.get(each.state, each.state) for domid, each in by_xl.items()
    }


def test_one_disk_that_is_not_closed_is_a_guest_that_has_not_ended() -> None:
    tree = text_of(next(path for path in records("xenstore-ls-f.txt") if path.parent.name == "poweredoff"))
    assert {each.state for each in outline(runner_of(tree)).values()} == {LiveState.SHUTDOWN}
    state = '/local/domain/0/backend/vbd/1/51728/state = "{}"'
    for number in "12345":
        changed = tree.replace(state.format(6), state.format(number))
        assert changed != tree
        assert {each.state for each in outline(runner_of(changed)).values()} == {LiveState.RUNNING}


def test_one_without_disks_and_nics_is_never_taken_for_ended() -> None:
    tree = '/local/domain/0 = ""\n/local/domain/7/name = "web"\n/local/domain/7/vm = "/vm/x"\n'
    assert outline(runner_of(tree))[7].state is LiveState.RUNNING


@pytest.mark.parametrize("listed", ["", "1\n", "0\n1", "0\nweb\n", "0\n-1\n"])
def test_a_list_that_is_not_whole_is_none(listed: str) -> None:
    with pytest.raises(CommandFailed):
        outline(ScriptedRunner((LIST, listed)))


@pytest.mark.parametrize("tree", ["", "/local/domain/0", '/local/domain/7/name = "web"\n', "nonsense\n"])
def test_a_tree_that_is_not_whole_is_none(tree: str) -> None:
    with pytest.raises(CommandFailed):
        outline(ScriptedRunner((LIST, "0\n7\n"), (LS, tree)))


def test_one_that_vanishes_meanwhile_has_no_name() -> None:
    missing = CommandFailed((), 1, "xenstore-read: couldn't read path /local/domain/7/name")
    gone = CommandFailed((), 1, "xenstore-read: couldn't read path /local/domain/7/vm")
    found = outline(
        ScriptedRunner(
            (LIST, "0\n7\n"),
            (LS, '/local/domain/0 = ""\n'),
            (("xenstore-read", "/local/domain/7/name", "/local/domain/7/vm"), missing),
            (("xenstore-read", "/local/domain/7/vm"), gone),
        )
    )
    assert (found[7].name, found[7].uuid) == ("", "")
