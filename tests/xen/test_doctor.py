"""`xenlocal doctor` and `capacity` on a dom0 as Debian leaves it: what they say is so, and what they advise helps."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lab import NETWORK, domain, reload, wait_all_ready, write

from rig.machine import Machine

pytestmark = [pytest.mark.every_suite, pytest.mark.limit(1500)]


def doctor(m: Machine, code: int) -> dict[str, list[dict[str, Any]]]:
    """The findings of each code."""
    result = m.run("xenlocal doctor --json", 300, check=False)
    assert result.rc == code, result.out
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(result.out)["findings"]:
        found.setdefault(finding["code"], []).append(finding)
    return found


def severities(found: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {code: finding["severity"] for code, (finding, *_) in found.items() if finding["severity"] != "ok"}


def test_doctor_and_capacity(installed: Machine) -> None:
    m = installed
    m.make_vg()
    m.run("modprobe loop && truncate -s 64M /srv/given.img && losetup /dev/loop7 /srv/given.img")
    given = "  [[disk xvdb]]\n  device = /dev/loop7\n"
    write(
        m,
        net=NETWORK,
        web=domain("web", keys="cpus = 1"),
        tool=domain("tool", keys="state = manual", memory="128M", parts=given),
    )
    assert reload(m).rc == 0
    wait_all_ready(m, "web")

    found = doctor(m, 5)
    assert severities(found) == {"clock": "warning", "guest-clock": "info", "console-log": "warning", "modules": "info"}
    assert "dom0_mem=" in m.out("xl info xen_commandline")
    assert "NTPSynchronized=no" in m.out("timedatectl show")
    assert "--log" not in m.out("tr '\\0' ' ' < /proc/$(pgrep -x xenconsoled)/cmdline")
    assert m.out("systemctl show --property=ExecStop xendomains.service").strip() == ""

    data = json.loads(m.out("xenlocal capacity --json", 300))
    info = dict(re.findall(r"^(\w+) *: (\d+)$", m.out("xl info"), re.MULTILINE))
    memory = data["memory"]
    assert memory["total"] >> 20 == int(info["total_memory"]) and memory["free"] >> 20 == int(info["free_memory"])
    assert memory["promised"] >> 20 == 96 + 8 + 1 and memory["promised_manual"] >> 20 == 128 + 8 + 1
    size, free = m.out("vgs --noheadings --units b --nosuffix -o vg_size,vg_free vg0").split()
    (group,) = data["groups"]
    assert (group["name"], group["total"], group["free"]) == ("vg0", int(size), int(free))
    assert group["promised"] == group["promised_manual"] == 32 << 20 and group["free_after_boot"] == int(free)

    # the guest makes a volume group on the disk that it is given; the state of a domU, and a link, are left over
    m.run("vgcreate -q inner /dev/loop7; mkdir -p /var/lib/xen/save /etc/xen/auto")
    m.run("touch /var/lib/xen/save/web; ln -s /root/old.cfg /etc/xen/auto/old.cfg")
    found = doctor(m, 1)
    assert severities(found) == {
        "save-image": "critical", "auto-link": "warning", "lvm-filter": "critical", "clock": "warning",
        "guest-clock": "info", "console-log": "warning", "modules": "info",
    }  # fmt: skip
    (filtered,) = found["lvm-filter"]
    line = re.search(r"global_filter = \[ .* \]", filtered["next"])
    assert line, filtered
    m.put("/root/line", line[0] + "\n")
    m.run("sed -i '/^devices {/r /root/line' /etc/lvm/lvm.conf; rm /var/lib/xen/save/web /etc/xen/auto/old.cfg")
    assert m.out("vgs --noheadings -o vg_name").split() == ["vg0"]
    found = doctor(m, 5)
    assert severities(found) == {"clock": "warning", "guest-clock": "info", "console-log": "warning", "modules": "info"}

    m.run("systemctl stop xenlocal; rm -r /usr/lib/systemd/system/xendomains.service.d; systemctl daemon-reload")
    found = doctor(m, 1)
    assert {code: how for code, how in severities(found).items() if how in ("critical", "unknown")} == {
        "xendomains": "critical"
    }
    assert [finding["text"] for finding in found["units"]][0].startswith("xenlocal.service is not active")
