"""Births, behaviour and deaths of simulated domUs, by the commands an adapter would run."""

from __future__ import annotations

import pytest

from tests.unit.simulator.support import config, host, run, states
from xenlocal.model.errors import CommandFailed
from xenlocal.simulator.answer import UnknownCommand
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.runner import SimRunner
from xenlocal.simulator.state import Later, Path
from xenlocal.simulator.work import VirtualWork


def web() -> SimulatedDom0:
    dom0 = host("web")
    run(dom0, "xl create -q /etc/xen/web.cfg")
    return dom0


def stoppable(dom0: SimulatedDom0, domid: int = 1) -> bool:
    return f'/local/domain/{domid}/control/feature-poweroff = "1"' in run(dom0, "xenstore-ls -f /local/domain")


def test_a_created_domain_is_listed_holds_its_disk_and_joins_its_bridge() -> None:
    dom0 = web()
    assert dom0.now == 2.0
    assert "web                                          1   512     1     -b----" in run(dom0, "xl list -v")
    vif = dom0.state.link("vif1.0")
    assert vif is not None and vif.master == "br0"
    with pytest.raises(CommandFailed, match=r"vg0/web-root in use") as caught:
        run(dom0, "lvremove --yes vg0/web-root")
    assert caught.value.status == 5


def test_it_can_be_stopped_once_it_has_booted() -> None:
    dom0 = web()
    assert not stoppable(dom0)
    dom0.advance(5.0)
    assert stoppable(dom0)


def test_a_shutdown_returns_at_once_is_heard_and_leaves_a_preserved_shell() -> None:
    dom0 = web()
    dom0.advance(10)
    run(dom0, "xl shutdown -F 1")
    assert '/control/shutdown = "poweroff"' in run(dom0, "xenstore-ls -f /local/domain")
    dom0.advance(dom0.now + 0.2)
    assert '/local/domain/1/control/shutdown = ""' in run(dom0, "xenstore-ls -f /local/domain")
    assert states(dom0) == {"web": "running"}
    dom0.advance(dom0.now + 2)
    assert "---s--" in run(dom0, "xl list -v")
    with pytest.raises(CommandFailed, match='name "web" already exists'):
        run(dom0, "xl create -q /etc/xen/web.cfg")
    run(dom0, "xl destroy 1")
    assert states(dom0) == {} and dom0.state.link("vif1.0") is None


def test_a_pv_guest_hears_a_request_made_while_it_boots_and_a_pvh_guest_loses_it() -> None:
    for kind, end in (("pv", "shutdown"), ("pvh", "running")):
        dom0 = host("web")
        dom0.state.texts["/etc/xen/web.cfg"] = config("web", type=kind)
        run(dom0, "xl create -q /etc/xen/web.cfg")
        run(dom0, "xl shutdown -F 1")
        dom0.advance(30)
        assert states(dom0) == {"web": end}


def test_a_hung_guest_hears_and_stays_a_deaf_one_does_not_even_hear() -> None:
    dom0 = web()
    dom0.state.behaviour("web").stop_seconds = None
    dom0.advance(10)
    run(dom0, "xl shutdown -F 1")
    dom0.advance(1000)
    assert states(dom0) == {"web": "running"} and dom0.state.domains[0].requested == ""
    dom0.state.behaviour("web").deaf = True
    run(dom0, "xl shutdown -F 1")
    dom0.advance(2000)
    assert dom0.state.domains[0].requested == "poweroff"


def test_without_pv_drivers_only_acpi_helps() -> None:
    dom0 = host("web")
    dom0.state.texts["/etc/xen/web.cfg"] = config("web", type="hvm")
    dom0.state.behaviour("web").no_pv = True
    run(dom0, "xl create -q /etc/xen/web.cfg")
    dom0.advance(60)
    assert not stoppable(dom0)
    with pytest.raises(CommandFailed, match="PV control interface not available"):
        run(dom0, "xl shutdown 1")
    run(dom0, "xl shutdown -F 1")
    dom0.advance(70)
    assert states(dom0) == {"web": "shutdown"}


def test_a_guest_that_reboots_is_away_for_seconds_and_comes_back_with_what_was_staged() -> None:
    dom0 = host("web")
    dom0.state.behaviour("web").later = [Later(20, "reboot")]
    run(dom0, "xl create -q /etc/xen/web.cfg")
    before = dom0.state.domains[0].uuid
    dom0.state.texts["/run/next.cfg"] = config("web", memory=1024)
    run(dom0, "xl config-update 1 /run/next.cfg")
    dom0.advance(23)
    assert states(dom0) == {}
    assert run(dom0, "tail -n 20 /var/log/xen/xl-web.log").endswith("Done. Rebooting now\n")
    dom0.advance(60)
    (domain,) = dom0.state.domains
    assert (domain.domid, domain.uuid, domain.memory_kib) == (2, before, 1024 << 10)


def test_a_reboot_that_cannot_be_completed_ends_it() -> None:
    dom0 = host("web")
    dom0.state.behaviour("web").later = [Later(20, "reboot")]
    run(dom0, "xl create -q /etc/xen/web.cfg")
    dom0.advance(22)
    run(dom0, "lvrename vg0 web-root away")
    dom0.advance(60)
    assert states(dom0) == {}
    assert "failed to stat" in run(dom0, "tail -n 1 /var/log/xen/xl-web.log")


def test_a_crash_shows_c_and_an_unmonitored_guest_is_never_cleaned_up() -> None:
    dom0 = host("web", "db")
    dom0.state.behaviour("web").later = [Later(5, "crash")]
    dom0.state.behaviour("db").later = [Later(9, "reboot")]
    run(dom0, "systemd-run --scope --collect --unit=web-1 -- xl create -q /etc/xen/web.cfg")
    run(dom0, "systemd-run --scope --collect --unit=db-1 -- xl create -q /etc/xen/db.cfg")
    run(dom0, "systemctl stop db-1.scope")
    dom0.advance(100)
    assert states(dom0) == {"web": "crashed", "db": "shutdown"}
    assert "---sc-" in run(dom0, "xl list -v")


def test_a_scope_is_taken_as_long_as_its_monitor_lives() -> None:
    dom0 = host("web", "db")
    run(dom0, "systemd-run --scope --unit=one --quiet -- xl create -q /etc/xen/web.cfg")
    with pytest.raises(CommandFailed, match="already loaded"):
        run(dom0, "systemd-run --scope --unit=one --quiet -- xl create -q /etc/xen/db.cfg")
    dom0.state.domains[0].config["on_crash"] = "preserve"
    run(dom0, "xl destroy 1")
    run(dom0, "systemd-run --scope --unit=one --quiet -- xl create -q /etc/xen/db.cfg")


def test_on_the_way_in_and_out_it_is_listed_as_paused() -> None:
    dom0 = host("web")
    dom0.state.behaviour("web").later = [Later(10, "reboot")]
    work = VirtualWork(dom0)
    runner = SimRunner(dom0, work)
    future = work.submit(lambda: runner.run(["xl", "create", "-q", "/etc/xen/web.cfg"]) and None)
    seen: list[tuple[str, str]] = []
    while work.now() < 25:
        work.wait(work.now() + 0.1)
        lines = runner.run(["xl", "list", "-v"]).splitlines()[2:]
        state = (lines[0].split()[4], lines[0].split()[7]) if lines else ("", "")
        if not seen or seen[-1] != state:
            seen.append(state)
    assert future.done()
    began, up, away = ("--p---", "-"), ("-b----", "-"), ("", "")
    assert seen == [away, began, up, ("--psr-", "1"), away, began, up]


def test_a_dying_domain_holds_its_disk_and_has_no_name() -> None:
    dom0 = host("web")
    dom0.state.durations.dying = 5.0
    run(dom0, "xl create -q /etc/xen/web.cfg")
    run(dom0, "xl destroy 1")
    assert "(null)" in run(dom0, "xl list -v") and "---s-d" in run(dom0, "xl list -v")
    assert "backend/vbd/1/51712/params" in run(dom0, "xenstore-ls -f /local/domain")
    with pytest.raises(CommandFailed, match="unable to add disk devices"):
        run(dom0, "xl create -q /etc/xen/web.cfg")
    dom0.advance(20)
    assert "(null)" not in run(dom0, "xl list -v")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"disk": ["phy:/dev/vg0/none,xvda,w"]}, "Disk vdev=xvda failed to stat: /dev/vg0/none"),
        ({"vif": ["mac=00:16:3e:00:00:01,bridge=br7"]}, "Could not find bridge device br7"),
        ({"kernel": "/boot/none"}, "failed to open kernel image /boot/none"),
        ({"memory": 99999}, "failed to free memory for the domain"),
        ({"cpus": "4-5"}, "Domain 1:Setting vcpu affinity: Invalid argument"),
        ({"cpus": "all,^0-7"}, "Domain 1:Setting vcpu affinity: Invalid argument"),
        ({"pci": ["0000:03:00.0"]}, "passthrough not supported on this platform"),
        ({"name": ""}, "Domain name must be specified"),
        ({"disk": ["format=raw,vdev=xvda,nonsense=1,target=/dev/vg0/web-root"]}, "unknown parameter `nonsense'"),
        ({"vif": ["mac=1,bridge=br0"]}, "invalid MAC address"),
    ],
)
def test_what_create_refuses(keys: dict[str, object], said: str) -> None:
    dom0 = host("web")
    dom0.state.texts["/etc/xen/web.cfg"] = config("web", **keys)
    with pytest.raises(CommandFailed, match=said) as caught:
        run(dom0, "xl create -q /etc/xen/web.cfg")
    assert caught.value.status == 1 and states(dom0) == {}


def test_devices_of_the_host() -> None:
    dom0, at = host("web"), "/sys/bus/pci/devices/0000:03:00.0"
    dom0.state.virt_caps += " pv_directio"
    for name in ("a", "b"):
        dom0.state.texts[f"/etc/xen/{name}.cfg"] = config(name, pci=["0000:03:00.0"], disk=[])
    with pytest.raises(CommandFailed, match="is not assignable"):
        run(dom0, "xl create -q /etc/xen/a.cfg")
    dom0.state.paths |= {at: Path("other"), f"{at}/driver": Path("other", real="/sys/bus/pci/drivers/pciback")}
    run(dom0, "xl create -q /etc/xen/a.cfg")
    domid = dom0.state.domains[0].domid
    tree = run(dom0, "xenstore-ls -f /local/domain/0")
    assert f'/local/domain/0/backend/pci/{domid}/0/dev-0 = "0000:03:00.0"' in tree
    with pytest.raises(CommandFailed, match="already attached to a domain"):
        run(dom0, "xl create -q /etc/xen/b.cfg")


def test_no_disk_is_writable_in_two_domains() -> None:
    dom0 = web()
    dom0.state.texts["/etc/xen/b.cfg"] = config("b", disk=["phy:/dev/vg0/web-root,xvda,w"])
    with pytest.raises(CommandFailed, match="mounted in a guest domain"):
        run(dom0, "xl create -q /etc/xen/b.cfg")


def test_live_settings_within_their_limits() -> None:
    dom0 = host("web")
    dom0.state.texts["/etc/xen/web.cfg"] = config("web", maxmem=2048, maxvcpus=4)
    run(dom0, "xl create -q /etc/xen/web.cfg")
    run(dom0, "xl mem-set 1 1024m")
    run(dom0, "xl vcpu-set 1 3")
    run(dom0, "xl vcpu-pin 1 all 0-1")
    run(dom0, "xl sched-credit2 -d 1 -w 512")
    assert " 1024     3 " in run(dom0, "xl list")
    assert (dom0.state.domains[0].pinned, dom0.state.domains[0].weight) == ("0-1", 512)
    run(dom0, "xl vcpu-pin 1 all 2-9")  # of these it has two
    for line in ("xl mem-set 1 4096m", "xl vcpu-set 1 5", "xl vcpu-pin 1 all 9", "xl mem-set 7 1m"):
        with pytest.raises(CommandFailed):
            run(dom0, line)


@pytest.mark.parametrize(
    "line",
    ["frobnicate", "xl frob", "xl create -x /etc/xen/web.cfg", "lvcreate --thin vg0", "ip link delete br0", "sh -c a|b",
     "truncate --size=5 /x", "systemd-run xl list", "xl create name=x", "ip link set dev br0 type bridge ageing_time 0",
     "lvm fullreport", "systemctl restart x"],
)  # fmt: skip
def test_an_unknown_command_is_never_a_success(line: str) -> None:
    dom0 = host()
    with pytest.raises(UnknownCommand):
        run(dom0, line)
    assert dom0.unknown == [tuple(line.split())]


def test_a_lost_request_is_acknowledged_and_the_next_one_obeyed() -> None:
    dom0 = web()
    dom0.state.behaviour("web").loses = 1
    dom0.advance(10)
    for state in ("running", "shutdown"):
        run(dom0, "xl shutdown -F 1")
        dom0.advance(dom0.now + 20)
        assert states(dom0) == {"web": state} and dom0.state.domains[0].requested == ""


def test_xenstore_write_asks_like_xl_and_knows_nothing_else() -> None:
    dom0 = web()
    dom0.advance(10)
    assert run(dom0, "xenstore-read /local/domain/1/vm") == f"/vm/{dom0.state.domains[0].uuid}\n"
    assert run(dom0, "xenstore-write /local/domain/1/control/shutdown poweroff") == ""
    dom0.advance(20)
    assert states(dom0) == {"web": "shutdown"}
    with pytest.raises(UnknownCommand):
        run(dom0, "xenstore-write /local/domain/1/control/shutdown halt")


def test_a_power_button_is_for_hvm_guests() -> None:
    dom0 = web()
    dom0.advance(10)
    run(dom0, "xl trigger 1 power")
    run(dom0, "xl sysrq 1 s")
    dom0.advance(20)
    assert states(dom0) == {"web": "running"}
    assert [trace.what for trace in dom0.trace if trace.what in ("button", "sync")] == ["button", "sync"]


DATA = ["format=raw, vdev=xvdb, access=rw, target=/dev/vg0/db-root"]


def attach(dom0: SimulatedDom0, *words: str) -> None:
    SimRunner(dom0).run(["xl", *words])


def test_a_disk_and_a_nic_come_to_a_running_guest_and_leave_it() -> None:
    dom0 = host("web", "db")
    run(dom0, "xl create -q /etc/xen/web.cfg")
    attach(dom0, "block-attach", "1", *DATA)
    run(dom0, "xl network-attach 1 mac=00:16:3e:00:00:09 bridge=br0")
    printed = run(dom0, "xenstore-ls -f /local/domain/0")
    assert 'backend/vbd/1/51728/dev = "xvdb"' in printed and 'backend/vif/1/1/mac = "00:16:3e:00:00:09"' in printed
    port = dom0.state.link("vif1.1")
    assert port is not None and port.master == "br0"
    run(dom0, "xl block-detach 1 xvdb")
    run(dom0, "xl network-detach 1 00:16:3e:00:00:09")
    (web,) = dom0.state.domains
    assert [disk.vdev for disk in web.disks] == ["xvda"] and len(web.nics) == 1 and dom0.state.link("vif1.1") is None
    assert (len(web.config["disk"]), len(web.config["vif"])) == (1, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("block-attach", "1", DATA[0].replace("xvdb", "xvda")), "libxl_device_disk_add failed"),
        (("block-attach", "1", DATA[0].replace("db-root", "none")), "libxl_device_disk_add failed"),
        (("block-attach", "1", DATA[0].replace("rw", "yes")), "unknown value"),
        (("block-attach", "7", *DATA), "invalid domain identifier"),
        (("block-detach", "1", "xvdz"), "Device xvdz not connected"),
        (("block-detach", "1", "xvda"), "libxl_device_disk_remove failed"),
        (("network-attach", "1", "mac=00:16:3e:00:00:09", "bridge=br9"), "libxl_device_nic_add failed"),
        (("network-detach", "1", "00:16:3e:00:00:77"), "Unknown device"),
    ],
)
def test_what_xl_refuses_of_that(words: tuple[str, ...], said: str) -> None:
    dom0 = host("web", "db")
    run(dom0, "xl create -q /etc/xen/web.cfg")
    dom0.state.behaviour("web").mounted.append("xvda")
    with pytest.raises(CommandFailed, match=said):
        attach(dom0, *words)
    with pytest.raises(UnknownCommand):
        run(dom0, "xl block-detach --force 1 xvda")
