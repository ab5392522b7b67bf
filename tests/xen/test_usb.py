"""A licence's dongle: what is plugged into the host is given to its hvm guest, also when that runs."""

from __future__ import annotations

import pytest
from lab import SETTLE, reload, wait_all_ready, write

from rig.machine import Machine
from rig.wait import wait_for

pytestmark = [pytest.mark.long, pytest.mark.every_suite]
DONGLE, OTHER, PORT = "0627:0001", "1-3", "3"  # a tablet of QEMU, and what is in the third port of its controller
USB = f"usb = {DONGLE}, {OTHER}\n"
WIN = f"[domain win]\ntype = hvm\nmemory = 64M\nstop_timeout = 5s\n{USB}[[ready]]\ncommand = /bin/true\n"


def plug(m: Machine, driver: str, name: str, **where: str) -> None:
    assert m.qemu
    m.qemu.qmp("device_add", driver=driver, id=name, bus="xhci.0", **where)


def given(m: Machine) -> str:
    """What the guest's device model says it has."""
    return m.out("xl qemu-monitor-command win 'info usb'", 60)


@pytest.mark.limit(1200)
def test_a_guest_gets_what_is_plugged_in(installed: Machine) -> None:
    m = installed
    assert m.qemu
    m.qemu.qmp("device_add", driver="qemu-xhci", id="xhci")
    m.wait_until("test -e /sys/bus/usb/devices/usb1", 60)
    write(m, win=WIN)
    said = m.run("xenlocal check", 120, check=False)
    assert said.rc == 5, said
    for device in (DONGLE, OTHER):
        assert f"domain/win has no usb {device}: it is not plugged in" in said.out + said.err

    # it starts without
    assert reload(m).rc == 0
    wait_all_ready(m, "win")
    assert "QEMU USB Tablet" not in given(m) and "Wacom" not in given(m)

    plug(m, "usb-tablet", "dongle")
    plug(m, "usb-wacom-tablet", "other", port=PORT)
    wait_for(lambda: "QEMU USB Tablet" in given(m) and "Wacom" in given(m), SETTLE, "both to reach the guest", 5)
    assert m.run("xenlocal check", 120).rc == 0
