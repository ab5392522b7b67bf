"""What an administrator must not be told wrongly, through the whole command line on a simulated dom0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xenlocal import app, views
from xenlocal.cli import main
from xenlocal.model.plan import Goal, Plan
from xenlocal.simulator.__main__ import main as poke

FOREIGN = "vg0/xenlocal-trash.1600000000.theirs"


@pytest.fixture
def host(tmp_path: Path) -> list[str]:
    """The global options of a host of one's own."""
    (tmp_path / "etc").mkdir(mode=0o755)
    places = {"config": "etc", "state": "var", "run": "run"}
    options = [f"--{kind}-dir={tmp_path / place}" for kind, place in places.items()]
    return [*options, f"--simulate={tmp_path / 'dom0.json'}"]


def declare(host: list[str], text: str) -> None:
    path = Path(host[0].partition("=")[2], "a.conf")
    path.write_text(text)
    path.chmod(0o644)


def test_apply_of_files_that_are_not_valid_fails_and_names_them(
    host: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    declare(host, "[domain web]\nmemory = 20\n")
    assert main([*host, "apply", "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"] and 2 in [problem["line"] for problem in told["problems"]]


def test_a_shutdown_is_told_as_it_went_whatever_the_files_say(host: list[str]) -> None:
    declare(host, "[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\n")
    assert main([*host, "apply"]) == 0
    declare(host, "[domain web\n")
    assert main([*host, "shutdown"]) == 0
    assert main([*host, "trash", "list"]) == 0


def test_nothing_is_applied_while_the_host_shuts_down(host: list[str]) -> None:
    declare(host, "[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\n")
    assert main([*host, "shutdown"]) == 0
    assert main([*host, "apply"]) == 1


def test_a_volume_that_only_looks_like_trash_is_not_ours(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    state = host[-1].partition("=")[2]
    assert poke([state, "volume", FOREIGN, "64"]) in (0, None)
    assert main([*host, "trash"]) == 0 and "theirs" not in capsys.readouterr().out
    assert main([*host, "trash", "purge", FOREIGN, "--yes"]) == 3
    assert main([*host, "trash", "restore", FOREIGN]) == 3
    assert "xenlocal-trash.1600000000.theirs" in Path(state).read_text()


def test_a_script_says_what_is_not_known() -> None:
    unknown = Plan(Goal.CONVERGE, unavailable=(("storage", "lvs failed"),))
    assert "# unknown: storage: lvs failed" in views.plan_sh(unknown, {})


def test_purge_touches_nothing_unless_every_name_is_right(host: list[str]) -> None:
    text = "[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\nstate = {}\n[[disk xvda]]\nvolume = vg0/w\nsize = 1G\n"
    for state in ("stopped", "absent"):
        declare(host, text.format(state))
        assert main([*host, "apply"]) == 0
    dom0 = Path(host[-1].partition("=")[2])
    name = next(word for word in dom0.read_text().split('"') if word.startswith("xenlocal-trash."))
    assert main([*host, "trash", "purge", f"vg0/{name}", "vg0/nonsense", "--yes"]) == 3
    assert name in dom0.read_text()
    assert main([*host, "trash", "purge", f"vg0/{name}", f"vg0/{name}", "--yes"]) == 0
    assert name not in dom0.read_text()


def test_the_daemon_is_not_started_again_and_again_where_there_is_no_dom0(
    host: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_is_dom0", lambda: False)
    monkeypatch.setattr("os.umask", lambda _mask: 0)
    assert main([*host[:3], "run"]) == 3
    assert "boot into Xen first" in capsys.readouterr().err
    unit = Path(app.__file__).parents[1] / "systemd" / "xenlocal.service"
    assert "\nRestartPreventExitStatus=3\n" in unit.read_text()


def test_a_setting_that_is_pending_is_shown_once(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = "[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\n"
    declare(host, text)
    assert main([*host, "apply"]) == 0
    declare(host, text + "cmdline = quiet\n")
    main([*host, "apply"])
    capsys.readouterr()
    for words in (["status", "web"], ["status"]):
        assert main([*host, *words]) == 0
        assert capsys.readouterr().out.count("cmdline") == 1
    assert main([*host, "status", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["domains"]
    assert row["pending"] == ["cmdline"]
