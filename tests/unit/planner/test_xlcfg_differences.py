"""In what a domU that runs differs from its files, and what of that Xen can change while it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.planner.build import HERE, dom, lv
from xenlocal.model.desired import Domain, GuestType, LogicalVolume, Nic, Vnc
from xenlocal.model.units import Size
from xenlocal.planner import xlcfg

ROOT, DATA = lv("root"), lv("data", vdev="xvdb")
ETH0, ETH1 = (Nic(f"eth{number}", "br0", f"00:16:3e:00:00:0{number}", HERE) for number in (0, 1))
WEB = dom("web", ROOT, DATA, vcpus=2)


def web(**values: Any) -> Domain:
    sizes = {key: Size.mib(value) for key, value in values.items() if key in ("memory", "maxmem")}
    return replace(WEB, **{**values, **sizes})


def differs(now: Domain, before: Domain) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys that differ; those of them that wait for the next start."""
    running = xlcfg.settings(before)
    return xlcfg.differences(now, running), xlcfg.pending(now, running)


@pytest.mark.parametrize(
    ("now", "before", "keys", "pending"),
    [
        (web(), web(), (), ()),
        # what Xen changes, within the limit that it was started with
        (web(memory=512), web(memory=1024), ("memory",), ()),
        (web(memory=2048), web(memory=1024), ("maxmem", "memory"), ("maxmem", "memory")),
        (web(memory=1024), web(memory=512, maxmem=1024), ("memory",), ()),
        (web(memory=1025), web(memory=512, maxmem=1024), ("maxmem", "memory"), ("maxmem", "memory")),
        (web(vcpus=1), web(vcpus=2), ("vcpus",), ()),
        (web(vcpus=3), web(vcpus=2), ("maxvcpus", "vcpus"), ("maxvcpus", "vcpus")),
        (web(vcpus=4), web(vcpus=2, maxvcpus=4), ("vcpus",), ()),
        # a limit that is declared is one, though it is wide enough
        (web(maxmem=2048), web(maxmem=4096), ("maxmem",), ("maxmem",)),
        (web(maxvcpus=4), web(maxvcpus=8), ("maxvcpus",), ("maxvcpus",)),
        (web(cpus="2-5"), web(), ("cpus",), ()),
        (web(cpus="2-5"), web(cpus="2-7"), ("cpus",), ()),
        (web(cpu_weight=512), web(), ("cpu_weight",), ()),
        # what is no longer said can be taken back by a start only: nobody knows what else Xen would have chosen
        (web(), web(cpus="2-5", cpu_weight=512), ("cpu_weight", "cpus"), ("cpu_weight", "cpus")),
        (web(kernel="/boot/b"), web(kernel="/boot/a"), ("kernel",), ("kernel",)),
        (web(), web(cmdline="ro", pci=("0000:03:00.0",)), ("cmdline", "pci"), ("cmdline", "pci")),
        (web(extra=(("timer_mode", "1"),)), web(), ("timer_mode",), ("timer_mode",)),
        # disks go by their names, nics by their order
        (web(disks=(DATA, ROOT)), web(), (), ()),
        (web(disks=(ROOT,)), web(), ("disk",), ("disk",)),
        (web(disks=(replace(ROOT, readonly=True), DATA)), web(), ("disk",), ("disk",)),
        (web(nics=(ETH1, ETH0)), web(nics=(ETH0, ETH1)), ("vif",), ("vif",)),
    ],
)
def test_what_differs_and_what_of_it_waits_for_the_next_start(
    now: Domain, before: Domain, keys: tuple[str, ...], pending: tuple[str, ...]
) -> None:
    assert differs(now, before) == (keys, pending)


def test_of_what_is_not_known_everything_differs() -> None:
    assert set(xlcfg.differences(WEB, {})) == set(xlcfg.settings(WEB))
    assert {"memory", "vcpus"} <= set(xlcfg.pending(WEB, {})), "no limit is known to be wide enough"


@pytest.mark.parametrize("key", ["disk", "vif", "kernel"])
def test_a_key_that_only_one_of_two_has_differs(key: str) -> None:
    assert not xlcfg.same(key, None, "[ ]") and not xlcfg.same(key, "[ ]", None)
    assert xlcfg.same(key, None, None)


def test_the_parts_of_a_list_go_by_what_xl_knows_them_by() -> None:
    odd = replace(DATA, backing=LogicalVolume("vg0", "vdev=a=b"))
    settings = xlcfg.settings(web(disks=(ROOT, odd), nics=(ETH0, ETH1)))
    assert list(xlcfg.parts(settings["disk"])) == ["xvda", "xvdb"]
    assert list(xlcfg.parts(settings["vif"])) == ["00:16:3e:00:00:00", "00:16:3e:00:00:01"]
    assert xlcfg.parts(settings["vif"])["00:16:3e:00:00:01"] == "mac=00:16:3e:00:00:01, bridge=br0"


def test_whoever_looks_at_an_hvm_guest_points_where_its_pointer_is() -> None:
    """A mouse, which only tells how far it has moved, runs away from the one of the viewer."""
    domain = web(type=GuestType.HVM, vnc=Vnc("127.0.0.1", 3))
    more = {key: value for key, value in xlcfg.settings(domain).items() if key not in xlcfg.settings(WEB)}
    assert more == {
        "firmware": '"bios"',
        "serial": '"pty"',
        "vnc": "1",
        "vnclisten": '"127.0.0.1"',
        "vncdisplay": "3",
        "vncunused": "0",
        "usb": "1",
        "usbdevice": '[ "tablet" ]',
    }
