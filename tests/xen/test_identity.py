"""Who a domU is to its licences: `hostid = locked`, and `was = OLD` for another name."""

from __future__ import annotations

import pytest
from lab import NETWORK, domain, reload, row, wait_all_ready, wait_notice, wait_off, write

from rig.guest import domids
from rig.machine import Machine
from rig.wait import wait_for

pytestmark = pytest.mark.long
OTHER = "00:16:3e:00:00:99"
LOCKED = "hostid = locked"


@pytest.fixture
def host(installed: Machine) -> Machine:
    installed.make_vg()
    return installed


def lic(keys: str = LOCKED, mac: str = "") -> str:
    return domain("lic", keys=keys, nics=("lab0",), parts=f"  mac = {mac}\n" if mac else "")


def identity(m: Machine, domid: int) -> tuple[str, str]:
    """UUID and MAC, as Xen has them."""
    m.wait_until(f"xenstore-read /local/domain/0/backend/vif/{domid}/0/mac", 120)
    uuid = m.out(f"xenstore-read /local/domain/{domid}/vm").strip().removeprefix("/vm/")
    return uuid, m.out(f"xenstore-read /local/domain/0/backend/vif/{domid}/0/mac").strip()


def reboot_by_itself(m: Machine, domid: int) -> int:
    """Its monitor creates it anew; returns its new domid."""
    m.run(f"xl reboot {domid}", 60)
    found: list[int] = []

    def back() -> bool:
        found[:] = [each for each in domids(m).values() if each > domid]
        return bool(found)

    wait_for(back, 120, "it to be back from its own reboot", 2)
    return found[0]


@pytest.mark.limit(1200)
def test_a_locked_identity(host: Machine) -> None:
    write(host, net=NETWORK, lic=lic())
    assert reload(host).rc == 0
    wait_all_ready(host, "lic")
    domid = domids(host)["lic"]
    uuid, mac = identity(host, domid)
    store = host.out("cat /var/lib/xenlocal/identities.json")
    assert uuid in store and mac in store
    assert host.out("stat -c %a /var/lib/xenlocal/identities.json").strip() == "600"

    # an edit is refused aloud, also where the key itself is removed; its own reboot brings nothing else
    write(host, lic=lic(keys="", mac=OTHER))
    assert reload(host).rc == 0
    told = wait_notice(host, "lic", "xenlocal unlock lic")
    assert mac in told and OTHER in told and "lic.conf:" in told
    refused = host.run("xenlocal restart lic", 300, check=False)
    assert refused.rc != 0 and "is locked" in refused.err
    assert domids(host) == {"lic": domid}
    domid = reboot_by_itself(host, domid)
    assert identity(host, domid) == (uuid, mac)

    # off: not started, until the word is said
    assert host.run("xenlocal stop lic", 300).rc == 0
    wait_off(host, "lic")
    refused = host.run("xenlocal start lic", 300, check=False)
    assert refused.rc != 0 and "is locked" in refused.err and domids(host) == {}
    unlocked = host.run("xenlocal unlock lic", 120)
    assert mac in unlocked.err
    host.run("xenlocal start lic", 300)
    assert identity(host, domids(host)["lic"]) == (uuid, OTHER)
    assert host.run("xenlocal unlock lic", 120, check=False).rc == 3, "without the key nothing is locked again"


@pytest.mark.limit(1200)
def test_another_name(host: Machine) -> None:
    old = domain("old", nics=("lab0",))
    write(host, net=NETWORK, guest=old)
    assert reload(host).rc == 0
    wait_all_ready(host, "old")
    domid = domids(host)["old"]
    who = identity(host, domid)

    write(host, guest=old.replace("[domain old]", "[domain new]\nwas = old"))
    assert reload(host).rc == 0
    wait_notice(host, "new", "pending until its next reboot: name")
    assert row(host, "new")["observed"] == "running" and domids(host) == {"old": domid}

    # by its own reboot it stays the same domU, whatever xl calls it then, and nothing is started beside it
    again = reboot_by_itself(host, domid)
    wait_for(lambda: row(host, "new")["domid"] == again, 120, "new to be known again", 5)
    assert identity(host, again) == who and len(domids(host)) == 1

    host.run("xenlocal restart new", 300)
    assert list(domids(host)) == ["new"] and identity(host, domids(host)["new"]) == who
    assert "xl create" not in host.out("xenlocal plan --sh", 120)
