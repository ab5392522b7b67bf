"""Scenario 8: an honest shutdown. What each guest has of time, and what hangs or is killed in the middle of it."""

from __future__ import annotations

import re
from concurrent.futures import Future
from pathlib import Path

import pytest
from lab import NETWORK, domain, journal, reload, wait_all_ready, write
from test_dom0_reboot import keep_the_journal, life

from rig.guest import domids
from rig.machine import Machine, Result
from rig.package import install

pytestmark = pytest.mark.long
HUNG_TIME = 15
WRITING = 60
SLACK = 45
"""Seconds that commands and looks may add under emulation."""
NORMAL = tuple(f"n{number}" for number in range(1, 10))
OPTIONS = {"booting": {"lose": "1"}, "writer": {"stop": f"write:{WRITING}"}}
KEYS = {
    "deaf": f"hung_timeout = {HUNG_TIME}s\nstop_timeout = 3m",
    "booting": "stop_timeout = 1m",
    "writer": "stop_timeout = 20s\nstop_max = 3m",
}
ALL = (*NORMAL, *KEYS)
KILLER = """#!/bin/bash
for ((n = 0; ; n++)); do
    pkill -KILL -f 'xl shutdown -F'
    [ $((n % 10)) -ge 5 ] || pkill -KILL -f 'xl list -v'
    sleep 0.2
done
"""
FIRST_DESTROY_STOPS = """#!/bin/bash
[ "$1" = destroy ] && mkdir /run/destroy-has-stopped 2>/dev/null || exec "$0.real" "$@"
"$0.real" "$@" &
sleep 0.3
kill -STOP $!
wait
"""


def start(m: Machine, deb: Path, host: str, guests: dict[str, str]) -> None:
    keep_the_journal(m)
    m.make_vg()
    install(m, deb)
    write(m, net=NETWORK, **guests)
    if host:
        write(m, xenlocal=host)
    assert reload(m).rc == 0
    wait_all_ready(m, *guests, timeout=900)


def told(m: Machine, boot: int, unit: str = "xenlocal*") -> list[tuple[float, str]]:
    """Time and text of each line of the journal."""
    lines = m.out(f"journalctl -b {boot} -u '{unit}' -o short-unix --no-pager", 120).splitlines()
    return [(float(line.split()[0]), line) for line in lines if re.match(r"\d", line)]


def moment(lines: list[tuple[float, str]], pattern: str) -> float:
    return next(time for time, text in lines if re.search(pattern, text))


@pytest.mark.limit(2700)
def test_twelve_guests(fresh_dom0: Machine, deb: Path, figures: dict[str, str]) -> None:
    """One is deaf (paused: nothing of it runs), one loses the first request, one writes for a minute; nine are fine."""
    m = fresh_dom0
    guests = {name: domain(name, keys=KEYS.get(name, ""), options=OPTIONS.get(name)) for name in ALL}
    start(m, deb, "", guests)
    m.run(f"xl pause {domids(m)['deaf']}")
    seconds = m.reboot(900)

    said = told(m, -1)
    lives = {name: life(m, name, 1) for name in ALL}
    for name in ALL:
        assert ("stopped" in lives[name]) is (name != "deaf"), f"{name}: {lives[name]}"
    assert {text.partition("destroyed: ")[2] for _, text in said if "had to be destroyed: " in text} == {"deaf"}
    assert any("status=5" in text for _, text in said), "the exit status of the unit says so"
    # the deaf one: synced, and gone at its own time
    asked, gone = moment(said, r"stop domain/deaf: the host"), moment(said, r"domain/deaf: stop late: was destroyed")
    assert HUNG_TIME <= gone - asked < HUNG_TIME + SLACK
    assert moment(said, r"domain/deaf: sync it") < gone
    # the one that lost the first request got another
    assert 5 < lives["booting"]["asked"] - lives["booting"]["lost"] < 10 + SLACK
    # the one that wrote had the time for it
    took = lives["writer"]["stopped"] - lives["writer"]["asked"]
    assert took >= WRITING - 1
    ends = [each["stopped"] for each in lives.values() if "stopped" in each] + [gone]
    total = max(ends) - min(each["asked"] for each in lives.values() if "asked" in each)
    assert total < WRITING + SLACK, "near the longest, not the sum"
    figures["xenlocal: twelve guests, from the first request to the last end"] = f"{total:.0f} s (longest {took:.0f} s)"
    figures["xenlocal: a guest that hangs, from the request to its end (hung_timeout = 15s)"] = f"{gone - asked:.0f} s"
    figures["xenlocal: twelve guests, from `systemctl reboot` to the next kernel"] = f"{seconds:.0f} s"


def three(stop: str) -> dict[str, str]:
    keys = "stop_timeout = 2m"
    return {name: domain(name, keys=keys, options={"stop": stop}) for name in ("one", "two", "three")}


def shut_down(m: Machine) -> Future[Result]:
    """By hand, as the unit does it; returns when the first guest has been asked."""
    begun = m.spawn("xenlocal shutdown", 300)
    m.wait_until("journalctl -b -u xenlocal -o cat | grep -q 'stop domain/'", 120)
    return begun


def all_clean(m: Machine, begun: Future[Result]) -> None:
    result = begun.result(330)
    assert result.rc == 0, result.err
    assert domids(m) == {}
    for name in three(""):
        whats = [event.what.split()[0] for event in journal(m, name)]
        assert whats.count("asked") == 1 and whats[-1] == "stopped", f"{name}: {whats}"


@pytest.mark.limit(1500)
def test_daemon_killed_in_the_middle(fresh_dom0: Machine, deb: Path) -> None:
    """The command line goes on where the daemon was."""
    m = fresh_dom0
    start(m, deb, "", three("slow:20"))
    begun = shut_down(m)
    m.run("systemctl kill --kill-whom=main --signal=KILL xenlocal.service")
    all_clean(m, begun)


@pytest.mark.limit(1500)
def test_xl_killed_in_the_middle(fresh_dom0: Machine, deb: Path) -> None:
    """Each `xl shutdown` and many an `xl list` is killed: xenstore asks, and the next look sees."""
    m = fresh_dom0
    start(m, deb, "", three("slow:20"))
    m.put("/root/killer", KILLER, 0o755)
    killer = m.spawn("timeout 60 /root/killer", 90)
    all_clean(m, shut_down(m))
    killer.result(120)


@pytest.mark.limit(1500)
def test_a_destroy_that_stops_in_the_middle_is_tried_once_more(installed: Machine) -> None:
    m = installed
    m.make_vg()
    hung = domain("hung", keys=f"hung_timeout = {HUNG_TIME}s\nafter = nas")
    write(m, net=NETWORK, nas=domain("nas"), hung=hung)
    assert reload(m).rc == 0
    wait_all_ready(m, "nas", "hung")
    m.run(f"xl pause {domids(m)['hung']}")
    xl = m.out("ls /usr/lib/xen-*/bin/xl")
    m.run(f"mv {xl} {xl}.real")
    m.put(xl, FIRST_DESTROY_STOPS, 0o755)

    end = m.spawn("xenlocal shutdown", 500).result(530)
    m.run(f"mv {xl}.real {xl}")
    assert end.rc == 5 and "had to be destroyed: hung" in end.out + end.err, end
    assert domids(m) == {} and [event.what for event in journal(m, "nas")][-1] == "stopped"
    assert m.run("pgrep -f 'xl.real destroy'", check=False).rc == 1, "the first has ended before the second began"
    said = told(m, 0)
    tried = moment(said, r"domain/hung: cannot run 'xl destroy \d+' \(timed out\).*tried once more in 10 s")
    assert 60 <= tried - moment(said, r"stop domain/hung: the host") - HUNG_TIME < 60 + SLACK
    assert moment(said, r"stop domain/nas: the host") > moment(said, r"domain/hung: stop late: was destroyed") > tried
    assert f"it had not stopped within hung_timeout = {HUNG_TIME}s" in m.out("xenlocal why hung", 120)


@pytest.mark.limit(2400)
def test_xenstored_killed_in_the_middle(fresh_dom0: Machine, deb: Path, figures: dict[str, str]) -> None:
    """Nothing can be asked any more: that is said, and the host is down when the deadline is over."""
    m = fresh_dom0
    start(m, deb, "[host]\nshutdown_deadline = 90s\n", three("slow:40"))
    wait = "until journalctl -b -u xenlocal -o cat | grep -q 'stop domain/'; do sleep 1; done"
    # outlives what systemd stops at the beginning of a shutdown
    unit = "systemd-run -q --unit=murderer -p DefaultDependencies=no"
    m.run(f'{unit} sh -c "{wait}; sleep 3; pkill -KILL -x oxenstored; pkill -KILL -x xenstored"')
    seconds = m.reboot(1500)
    said = told(m, -1)
    begun = moment(said, r"stop domain/")
    ended = moment(said, r"which guests are left is unknown|still running")
    assert ended - begun < 90 + SLACK
    assert any("status=5" in text for _, text in said)
    assert any("xenstored has usually died" in text for _, text in said)
    figures["xenlocal: xenstored killed, from `systemctl reboot` to the next kernel (deadline 90 s)"] = (
        f"{seconds:.0f} s"
    )
