"""`xenlocal kernel NAME --update` through the whole command line, on a simulated dom0 and without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.app.support import declare, state_of
from xenlocal.cli import main
from xenlocal.simulator.__main__ import main as poke

WEB = """[domain web]
memory = 1G
state = manual
kernel = /boot/vmlinuz-{}
cmdline = root=/dev/xvda ro
start_timeout = 20s
stop_timeout = 20s
[[disk xvda]]
volume = vg0/web
size = 1G
[[ready]]
tcp = 192.0.2.50:1
"""


def test_from_the_first_start_to_a_kernel_that_has_failed(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, WEB.format("6.1"))
    assert main([*host, "apply"]) == 0
    assert poke([str(state_of(host)), "listen", "web", "192.0.2.50:1", "1"]) in (0, None)
    assert main([*host, "start", "web"]) == 0
    declare(host, WEB.format("6.2"))
    assert main([*host, "kernel", "web", "--update"]) == 1
    assert "it is not off; type: xenlocal stop web" in capsys.readouterr().err
    assert main([*host, "stop", "web"]) == 0
    assert main([*host, "kernel", "web", "--update"]) == 0
    assert "domain/web: its kernel 6.1.0-49-amd64 is put on trial" in capsys.readouterr().err
    assert main([*host, "stop", "web"]) == 0

    declare(host, WEB.format("6.3"))
    state = json.loads(state_of(host).read_text())
    state["behaviours"]["web"]["hangs_with"] = "vmlinuz-6.3"
    state_of(host).write_text(json.dumps(state))
    capsys.readouterr()
    assert main([*host, "kernel", "web", "--update", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False and "was not ready after 20s: tcp 192.0.2.50:1 refuses; it goes back" in said["message"]
    for verb in ("status", "why"):
        assert main([*host, verb, "web"]) == 0
        assert "has failed its trial" in capsys.readouterr().out
    assert main([*host, "history", "web"]) == 0
    assert "end in vain the trial of the kernel of" in capsys.readouterr().out
    assert main([*host, "stop", "web"]) == 0
    trials = Path(host[1].partition("=")[2], "trials.json")
    recorded = trials.read_text()
    assert main([*host, "rehearse", "--start", "web"]) == 0 and trials.read_text() == recorded
    assert main([*host, "start", "web"]) == 0 and trials.read_text() == recorded
    (start,) = [each for each in Path(host[2].partition("=")[2], "domains").iterdir() if each.name == "web.cfg"]
    assert "/vmlinuz-6.2." in start.read_text()
    declare(host, WEB.format("6.2"))
    main([*host, "apply"])  # of the copies that are not used any more the next one takes care
    assert main([*host, "apply"]) == 0 and json.loads(trials.read_text())["trials"] == []


def test_what_is_no_use_of_it(host: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, WEB.format("6.1"))
    assert main([*host, "kernel", "nobody", "--update"]) == 3
    for words in (["kernel", "web"], ["kernel", "--update"], ["kernel", "web", "db", "--update"]):
        with pytest.raises(SystemExit) as ended:
            main([*host, *words])
        assert ended.value.code == 2
