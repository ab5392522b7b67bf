"""What went wrong on hosts made by hand, each as a scenario: first under Debian's own xendomains, which is to fail the
way it always did, then on the same machine under xenlocal. `make peers` prints the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from comparison import Comparison
from hand_made import (
    SAVED,
    TIME,
    asked,
    clear,
    configure,
    declare,
    guest,
    heal_xl,
    names,
    ran,
    shutdown,
    started,
    stopped,
    take_over,
    xendomains,
)
from lab import NETWORK, domain, journal, reload, row, status, wait_all_ready, wait_notice, whats, when, write

from rig.guest import create, domids, states, wait_ready
from rig.journal import times
from rig.machine import Machine
from rig.package import install
from rig.wait import wait_for

pytestmark = [pytest.mark.long, pytest.mark.limit(1200)]
LATE = 15


def why(m: Machine, name: str) -> str:
    return str(json.loads(m.out(f"xenlocal why {name} --json", 120))["sentences"][0])


XL_LIST_FAILS = """#!/bin/sh
[ "$1" != list ] || [ ! -e /run/xl-list-fails ] || exit 1
exec "$0.real" "$@"
"""


def let_xl_list_fail(m: Machine, seconds: int) -> None:
    """Every form of it, from now on, as on a dom0 that is short of memory."""
    xl = m.out("ls /usr/lib/xen-*/bin/xl")
    m.run(f"mv {xl} {xl}.real")
    m.put(xl, XL_LIST_FAILS, 0o755)
    m.run(f"touch /run/xl-list-fails; {{ sleep {seconds}; rm /run/xl-list-fails; }} >/dev/null 2>&1 &")


def hide_from_list_l(m: Machine, name: str) -> None:
    """Without what libxl remembers of a domain, `xl list -l` leaves it out, and says nothing."""
    m.run(f"rm /var/lib/xen/userdata-d.{domids(m)[name]}.*.libxl-json")
    assert f'"{name}"' not in m.out("xl list -l")


def test_xl_list_fails(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, both = by_hand, ("one", "two")
    fails, skips = "`xl list` fails for 20 s while the host goes down", "`xl list -l` skips a guest, silently"
    configure(m, SAVE="", STOP_MAXWAIT=str(TIME))
    started(m, guest("one"), guest("two"))
    let_xl_list_fail(m, 20)
    end = xendomains(m, "stop")
    m.wait_until("[ ! -e /run/xl-list-fails ]")
    assert end.rc == 0 and not asked(m, *both) and len(domids(m)) == 2
    told = f"asked: {names(asked(m, *both))}; left running: {names(domids(m))}; {end}"
    compare.tell(fails, xendomains=told)

    hide_from_list_l(m, "one")
    end = xendomains(m, "stop")
    assert end.rc == 0 and asked(m, *both) == ["two"] and list(domids(m)) == ["one"]
    told = f"asked: {names(asked(m, *both))}; left running: {names(domids(m))}; {end}"
    compare.tell(skips, xendomains=told)

    heal_xl(m)
    take_over(m, deb, one=domain("one"), two=domain("two"))
    hide_from_list_l(m, "one")
    let_xl_list_fail(m, 20)
    end = shutdown(m)
    assert end.rc == 0 and stopped(m, *both) == ["one", "two"] and not domids(m), end.said
    told = f"asked: {names(asked(m, *both))}; left running: {names(domids(m))}; {end} (both faults at once)"
    compare.tell(fails, xenlocal=told)
    compare.tell(skips, xenlocal=told)


def test_guests_that_hang(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, scenario = by_hand, f"three guests hang at the shutdown; each has {TIME} s"
    three = ("one", "two", "three")
    configure(m, SAVE="", STOP_MAXWAIT=str(TIME))
    started(m, *(guest(name, stop="hang") for name in three))
    end = xendomains(m, "stop")
    assert end.rc == 0 and len(domids(m)) == 3 and end.seconds > 3 * TIME
    told = f"waits for one after the other: {end}; still running, to be cut off: {names(domids(m))}"
    compare.tell(scenario, xendomains=told)

    keys = f"stop_timeout = {TIME}s"
    take_over(m, deb, **{name: domain(name, keys=keys, options={"stop": "hang"}) for name in three})
    end = shutdown(m)
    assert end.rc == 5 and not domids(m) and all(name in end.said for name in three), end.said
    told = f"waits for all at once: {end}; names those it had to destroy: {names(list(three))}"
    compare.tell(scenario, xenlocal=told)


def test_a_guest_that_is_still_booting(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, scenario = by_hand, "a guest is still booting when it is asked, and loses the request"
    configure(m, SAVE="", STOP_MAXWAIT=str(TIME))
    started(m, guest("booting", lose="1"))
    end = xendomains(m, "stop")
    assert end.rc == 0 and list(domids(m)) == ["booting"] and not asked(m, "booting")
    compare.tell(scenario, xendomains=f"asked once; {end}; still running, to be cut off: {names(domids(m))}")

    take_over(m, deb, booting=domain("booting", options={"lose": "1"}))
    end = shutdown(m)
    assert end.rc == 0 and stopped(m, "booting") and not domids(m), end.said
    between = when(m, "booting", "asked") - when(m, "booting", "lost")
    compare.tell(scenario, xenlocal=f"asked again after {between:.0f} s, ended by itself; {end}")


def test_saved_state_over_a_changed_disk(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, scenario = by_hand, "a guest was saved; its disk changes; then it is started"
    one = guest("one")
    started(m, one)
    xendomains(m, "stop")
    size = int(m.out(f"stat -c %s {SAVED}/one"))
    create(m, one)  # somebody needs it and starts it by hand
    wait_for(lambda: "started life=2" in whats(m, "one"), 120, "its second life", 0.5)
    wait_ready(m, one)
    m.run("xl shutdown -w one", 120)
    before = journal(m, "one")
    assert xendomains(m, "start").rc == 0
    assert m.run(f"test -e {SAVED}/one", check=False).rc == 1, "it was restored"
    m.run("xl shutdown -w one", 120)
    after = journal(m, "one")
    lost = [event for event in before if event not in after]
    assert any("life=2" in event.what for event in lost)
    told = f"restores it, asks nothing: {len(lost)} of {len(before)} records on its disk were overwritten"
    compare.tell(scenario, xendomains=told)

    assert xendomains(m, "start").rc == 0
    wait_ready(m, one)
    xendomains(m, "stop")
    m.run("lvchange -q --addtag xenlocal vg0/one-0")
    install(m, deb)
    write(m, net=NETWORK, one=domain("one"))
    assert reload(m).rc == 0
    notice = wait_notice(m, "one", "saved state")
    assert not domids(m)
    m.run(f"rm {SAVED}/one")
    wait_all_ready(m, "one")
    assert shutdown(m).rc == 0
    assert m.out(f"ls {SAVED}") == ""
    compare.tell(scenario, xenlocal=f"does not start it, and says: {notice.splitlines()[0]}. Saves nothing itself")
    compare.tell(
        "what a shutdown writes for a guest of 96 MB",
        xendomains=f"{size / 2**20:.0f} MB below {SAVED}",
        xenlocal="nothing",
    )


def test_saved_states_fill_the_disk(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, scenario = by_hand, f"{SAVED} has no room for a saved guest"
    m.run(f"mkdir -p {SAVED} && mount -t tmpfs -o size=64M none {SAVED}")
    configure(m, STOP_MAXWAIT="60")
    one = guest("one")
    started(m, one)
    end = xendomains(m, "stop")
    used = m.out(f"ls {SAVED} | wc -l; df --output=pcent {SAVED} | tail -n 1").split()
    again = xendomains(m, "start")
    told = f"stop: {end}, {used[0]} unusable image, {used[1]} full; start: {again}; `one` is a shell that does not run"
    compare.tell(scenario, xendomains=told)
    assert end.rc == again.rc == 0 and states(m) == {"one": "s"}, again.said

    take_over(m, deb, one=domain("one"))
    end = shutdown(m)
    used = m.out(f"ls {SAVED} | wc -l; df --output=pcent {SAVED} | tail -n 1").split()
    assert end.rc == 0 and used == ["0", "0%"] and stopped(m, "one"), end.said
    compare.tell(scenario, xenlocal=f"stop: {end}, ended by itself; {used[0]} images, {used[1]} used")


def test_order_of_the_start(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, scenario = by_hand, f"`app` needs `nas`, which listens {LATE} s after its start"
    m.run("ip link add lab0 type bridge && ip addr add 192.0.2.1/24 dev lab0 && ip link set lab0 up")
    nas = {"ip": "192.0.2.11/24", "listen": f"2049:{LATE}"}
    started(m, guest("app"), guest("nas", "mac=00:16:3e:00:00:01,bridge=lab0", **nas))
    early = when(m, "nas", "ready") - when(m, "app", "started")
    assert when(m, "app", "started") < when(m, "nas", "started")
    compare.tell(scenario, xendomains=f"by file name: `app` starts {early:.0f} s before `nas` listens")

    clear(m)
    m.run("ip link del lab0")
    probe = "  [[ready]]\n  tcp = 192.0.2.11:2049\n"
    take_over(
        m, deb, app=domain("app", keys="after = nas"), nas=domain("nas", nics=("lab0",), options=nas, parts=probe)
    )
    late = when(m, "app", "started") - when(m, "nas", "ready")
    assert late > 0
    compare.tell(scenario, xenlocal=f"by need: `app` starts {late:.0f} s after `nas` listens")


def test_the_service_is_restarted(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, scenario = by_hand, "the service is restarted; the package is upgraded"
    declare(m, guest("one"), guest("two"))
    m.run("systemctl restart xendomains", 300)
    before = domids(m)
    assert len(before) == 2
    for name in before:
        wait_ready(m, guest(name))
    end = ran(m, "systemctl restart xendomains")
    gone = [name for name, domid in before.items() if domids(m).get(name) != domid]
    assert gone == list(before)
    told = f"restart: {names(gone)} saved to disk and restored, the host without guests meanwhile; {end}"
    compare.tell(scenario, xendomains=told)

    take_over(m, deb, one=domain("one"), two=domain("two"))
    before = domids(m)
    m.run("systemctl restart xenlocal", 120)
    install(m, deb)
    same = domids(m) == before
    assert same and len(before) == 2
    assert [what.split()[0] for what in whats(m, "one")].count("started") == 1
    compare.tell(scenario, xenlocal="restart, then reinstalled: same domains, no guest noticed")


def test_the_monitor_of_a_guest(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, scenario = by_hand, "a guest is started from within a unit that then ends; later it reboots itself"
    one = guest("one")
    declare(m, one)
    m.run("systemd-run -q --wait --unit=job xl create -q /etc/xen/auto/one.cfg", 120)
    wait_ready(m, one)
    monitors = m.out("pgrep -c -f 'x[l] create' || true")  # exit 1: none, which it prints as 0
    m.run("xl reboot one")
    wait_for(lambda: "s" in states(m)["one"], 60, "it to be down", 0.5)
    assert monitors == "0"
    told = f"xl monitors left: {monitors}; after its reboot it stays down (state {states(m)['one']}), for ever"
    compare.tell(scenario, xendomains=told)

    take_over(m, deb, other=domain("other"))
    write(m, one=domain("one", keys="state = manual"))
    assert reload(m).rc == 0
    m.run("systemd-run -q --wait --unit=job2 xenlocal start one", 300)
    wait_all_ready(m, "one")
    m.run("systemctl restart xenlocal", 120)
    group = m.out("cat /proc/$(pgrep -f 'x[l] create.*/one.cfg' | head -n 1)/cgroup").rpartition("/")[2]
    assert group.endswith(".scope")
    m.run(f"xl reboot {domids(m)['one']}", 60)
    wait_for(lambda: "started life=2" in whats(m, "one"), 120, "it to be back from its own reboot", 1)
    compare.tell(scenario, xenlocal=f"its xl monitor lives in {group}; after its reboot it is back")


def mac(m: Machine, name: str) -> str:
    return m.out(f"xenstore-read /local/domain/{domids(m)[name]}/device/vif/0/mac")


def test_mac_and_bridge(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, no_mac, no_bridge = by_hand, "a nic without a MAC address", "a nic without a bridge"
    m.run("ip link add lab0 type bridge && ip link set lab0 up")
    m.run("lvcreate -q -y -Wy -n one-0 -L 32M vg0")
    found = []
    for _ in range(2):
        create(m, guest("one", "bridge=lab0"))
        found.append(mac(m, "one"))
        m.run("xl destroy one")
        m.wait_until("! systemctl is-active -q rig-one.scope")
    assert found[0] != found[1]
    compare.tell(no_mac, xendomains=f"another one at each start: {', '.join(found)}")
    m.put("/etc/xen/bare.cfg", guest("one", "type=vif").config())
    end = ran(m, "xl create /etc/xen/bare.cfg", 180)
    assert end.rc != 0 and "one" not in domids(m)
    compare.tell(no_bridge, xendomains=f"tries xenbr0, whatever there is; {end}: no guest")

    m.run("ip link del lab0")
    take_over(m, deb, one=domain("one", nics=("lab0",)))
    found = [mac(m, "one")]
    m.run("xenlocal restart one", 300)
    wait_all_ready(m, "one")
    found.append(mac(m, "one"))
    assert found[0] == found[1] and len(times(journal(m, "one"), "started")) == 2
    compare.tell(no_mac, xenlocal=f"the same one for ever, from its UUID: {', '.join(found)}")
    write(m, one=domain("one", parts="  [[nic eth0]]\n"))
    checked = m.run("xenlocal check", 60, check=False)
    assert checked.rc == 4
    problem = next(line for line in (checked.out + checked.err).splitlines() if "nic" in line)
    compare.tell(no_bridge, xenlocal=f"refused before anything is done: {problem}")


def test_what_became_of_a_guest(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m, off, crash = by_hand, "a guest powered itself off", "a guest crashed"
    off_by = {"off": {"then": f"poweroff:{LATE}"}, "crash": {"then": f"crash:{LATE}"}}
    declare(m, *(guest(name, **options) for name, options in off_by.items()))
    assert xendomains(m, "start").rc == 0
    wait_for(lambda: not domids(m), 180, "both to be gone", 1)
    unit = m.out("systemctl is-active xendomains || true")  # exit 3: it is not, which it prints too
    for name, scenario in (("off", off), ("crash", crash)):
        code = m.out(f"grep -o 'reason code [0-9]*' /var/log/xen/xl-{name}.log | tail -n 1")
        told = f"gone from `xl list`, not started again, the service is {unit}; all there is: `{code}` in xl-{name}.log"
        compare.tell(scenario, xendomains=told)

    clear(m)
    install(m, deb)
    keys = {"off": "", "crash": "on_crash = stay-off"}
    write(m, net=NETWORK, **{name: domain(name, keys=keys[name], options=off_by[name]) for name in off_by})
    assert reload(m).rc == 0
    for name, scenario, said in (
        ("off", off, "the guest powered itself off"), ("crash", crash, "the guest crashed")
    ):  # fmt: skip
        wait_notice(m, name, said)
        sentence = why(m, name)
        assert said in sentence
        compare.tell(scenario, xenlocal=f"xenlocal why {name}: {sentence}")


def test_a_file_that_is_half_written(by_hand: Machine, deb: Path, compare: Comparison) -> None:
    m = by_hand
    in_a_line, between = "a file was written up to the middle of a line", "a file was written up to its disk"
    whole = guest("one").config()
    declare(m, guest("one"), guest("two"))
    m.put("/etc/xen/auto/one.cfg", whole[: whole.index("vcpus") + 3])
    end = xendomains(m, "start")
    assert end.rc == 0 and list(domids(m)) == ["two"]
    compare.tell(in_a_line, xendomains=f"`one` is not started, the service is a success: {end}")
    m.put("/etc/xen/auto/one.cfg", whole[: whole.index("\ndisk") + 1])
    end = xendomains(m, "start")
    assert end.rc == 0 and "one" in domids(m)
    disks = m.out("xl block-list one | tail -n +2 | wc -l")
    assert disks == "0"
    compare.tell(between, xendomains=f"start: {end}; `one` runs with {disks} of its 1 disk")

    take_over(m, deb, one=domain("one"), two=domain("two"))
    before = domids(m)
    whole = domain("one")
    write(m, one=whole[: whole.index("ramdisk") + 3])
    told = reload(m)
    assert told.rc != 0 and "one.conf" in str(status(m)["problems"]) and domids(m) == before
    problem = status(m)["problems"][0]
    compare.tell(in_a_line, xenlocal=f"{problem['file']}:{problem['line']}: {problem['message']}; all run on as before")
    write(m, one=whole[: whole.index("  [[disk")])
    reload(m)
    shown = row(m, "one")
    assert domids(m) == before
    compare.tell(
        between, xenlocal=f"`one` runs on with its disk; status: {'; '.join(shown['pending'] + shown['notices'])}"
    )
