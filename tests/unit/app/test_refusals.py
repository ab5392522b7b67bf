"""What an administrator must not be told wrongly, through the whole command line on a simulated dom0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.app.support import declare
from xenlocal import app, hosts, views
from xenlocal.cli import main
from xenlocal.model.plan import Goal, Plan
from xenlocal.simulator.__main__ import main as poke

FOREIGN = "vg0/xenlocal-trash.1600000000.theirs"


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


BRIDGE = "[bridge lab0]\nports = none\n"
ON_IT = "[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\n[[nic eth0]]\nbridge = lab0\n"


def put(host: list[str], name: str, text: str) -> Path:
    path = Path(host[0].partition("=")[2], name)
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_a_file_of_the_directory_is_checked_with_its_others(host: list[str], tmp_path: Path) -> None:
    put(host, "net.conf", BRIDGE)
    web = put(host, "web.conf", ON_IT)
    assert main([*host, "check", str(web)]) == 0
    alone = tmp_path / "web.conf"
    alone.write_text(ON_IT)
    alone.chmod(0o644)
    assert main([*host, "check", str(alone)]) == 4
    put(host, "other.conf", "[domain\n")
    assert main([*host, "check", str(web)]) == 4, "the directory as a whole is what a reload takes"


def test_a_directory_that_lost_its_files_is_no_wish_for_nothing(
    host: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*host, "apply"]) == 0, "one that never had any is empty"
    path = put(host, "web.conf", ON_IT.partition("[[")[0])
    assert main([*host, "apply"]) == 0
    path.unlink()
    assert main([*host, "apply"]) == 4
    capsys.readouterr()
    assert main([*host, "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["desired"] for row in told["domains"]] == ["running"]
    assert "LAST GOOD" in told["host"]["summary"] and "touch" in told["problems"][0]["message"]
    put(host, "xenlocal.conf", "")
    assert main([*host, "apply"]) == 0


def test_status_does_not_promise_a_last_good_configuration(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, "[domain web\n")
    assert main([*host, "status", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)["host"]["summary"]
    assert "NOT VALID" in summary and "nothing is done until they are" in summary


def test_errors_are_json_where_json_was_asked_for(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for asked, code in (
        (["status", "nope"], 3),
        (["console", "nope"], 1),
        (["destroy", "nope"], 3),
        (["trash", "purge", "vg0/nope"], 3),
        (["why", "nope"], 3),
        (["blame"], 3),
        (["log", "nope"], 3),
    ):
        assert main([*host, *asked, "--json"]) == code
        told = json.loads(capsys.readouterr().out)
        assert told["schema"] == 1 and not told["ok"] and told["message"], asked


def test_a_plan_as_json_carries_its_commands_where_asked(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, BRIDGE)
    assert main([*host, "plan", "--json", "--sh"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert any("ip link add" in line for line in steps[0]["sh"])


def test_the_plan_of_a_host_that_goes_down_is_its_shutdown(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, "[domain web]\nmemory = 1G\nkernel = /boot/vmlinuz\n")
    assert main([*host, "apply"]) == 0
    assert main([*host, "shutdown"]) == 0
    capsys.readouterr()
    assert main([*host, "plan", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["goal"] == "shutdown" and not told["steps"]


def test_a_file_that_is_no_simulation_is_named(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(host[-1].partition("=")[2])
    path.write_text("hello")
    assert main([*host, "status"]) == 1
    assert str(path) in capsys.readouterr().err


def test_the_daemon_is_not_started_again_and_again_where_there_is_no_dom0(
    host: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "is_dom0", lambda: False)
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


BESIDE = "[domain web]\nmemroy = 1G\nbridge = br9\nneeds = db\n[[nic eth0]]\nbridge = br7\n"


@pytest.mark.parametrize("verb", ["check", "reload", "plan"])
def test_what_is_wrong_with_a_file_does_not_hide_what_is_wrong_in_another(
    host: list[str], verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(host, BESIDE)
    directory = Path(host[0].partition("=")[2])
    (directory / "0.conf").symlink_to("/nowhere")
    (directory / "b.conf").symlink_to("/nowhere")
    assert main([*host, verb, "--json"]) == 4
    problems = json.loads(capsys.readouterr().out)["problems"]
    told = [(Path(problem["file"]).name, problem["line"], problem["message"]) for problem in problems]
    assert [(name, line) for name, line, _ in told] == [("0.conf", 0), ("a.conf", 2), ("a.conf", 3), ("b.conf", 0)]
    assert "memroy" in told[1][2]  # and nothing of db, br7 or a kernel, which a file nobody can read may declare


def test_check_of_a_file_elsewhere_tells_what_is_wrong_with_all(
    host: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(host, BESIDE)
    assert main([*host, "check", "--json", str(tmp_path / "gone"), str(tmp_path / "etc" / "a.conf")]) == 4
    told = [problem["line"] for problem in json.loads(capsys.readouterr().out)["problems"]]
    assert sorted(told) == [0, 2, 3]


@pytest.mark.parametrize("verb", ["start", "stop", "why", "status", "history", "log", "skip", "rehearse --start"])
@pytest.mark.parametrize("name", ["", "a\x1b[2Jb", "a\nb", "x" * 256, "\udcff"])
def test_what_is_no_name_is_wrong_usage_and_no_command_to_the_terminal(
    host: list[str], capsys: pytest.CaptureFixture[str], verb: str, name: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*host, *verb.split(), name])
    said = capsys.readouterr().err
    assert caught.value.code == 2 and "is no name of a domU" in said and said.replace("\n", "").isprintable()


def test_who_is_only_foreign_is_not_said_to_be_unknown(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert poke([host[-1].partition("=")[2], "add-foreign", "theirs"]) in (0, None)
    assert main([*host, "rehearse", "--start", "theirs"]) == 3 and main([*host, "destroy", "theirs"]) == 3
    assert capsys.readouterr().err == "xenlocal: no domU named theirs is declared; `xenlocal status` lists all\n" * 2


def test_the_name_of_a_foreign_domu_is_shown_as_text(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert poke([host[-1].partition("=")[2], "add-foreign", "a\x1b[2Jb"]) in (0, None)
    capsys.readouterr()
    assert main([*host, "status"]) == 0
    assert "a\\x1b[2Jb" in capsys.readouterr().out
