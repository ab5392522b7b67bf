"""From sections to objects: what reaches them, and what is said once."""

import pytest

from tests.unit.config.support import WEB, complaints, desired, domain, web
from xenlocal.model.desired import Disk, Nic


def test_how_something_is_made_reaches_the_disk() -> None:
    text = "[[disk xvda]]\nvolume = vg0/a\npool = thin0\n[[disk xvdb]]\nfile = /srv/b.img\nallocate = full\n"
    text += "[[disk xvdc]]\nfile = /srv/c.img\nallocate = sparse\nsize = 1G\n[[disk xvdd]]\nvolume = vg0/d\nmode = w!\n"
    disks = web(text).disks
    assert [disk.pool for disk in disks] == ["thin0", None, None, None]
    assert [disk.full for disk in disks] == [False, True, False, False]
    assert [disk.shared for disk in disks] == [False, False, False, True]
    assert [str(disk.size) for disk in disks] == ["None", "None", "1G", "None"]


def test_only_what_is_not_attached_is_unplugged() -> None:
    parts = ("[[disk xvda]]", "volume = vg0/a", "attached = {}", "[[nic eth0]]", "bridge = br0", "attached = {}")
    read = desired(
        "[bridge br0]\n",
        domain("in", *(each.format("yes") for each in parts)),
        domain("out", *(each.format("no") for each in parts)).replace("vg0/a", "vg0/b"),
        domain("silent", "[[disk xvda]]", "volume = vg0/c"),
    ).domains
    assert {name: [type(each) for each in found.unplugged] for name, found in read.items()} == {
        "in": [], "out": [Disk, Nic], "silent": [],
    }  # fmt: skip
    assert (len(read["in"].disks), len(read["in"].nics), len(read["silent"].disks)) == (1, 1, 1)
    assert (read["out"].disks, read["out"].nics) == ((), ())


@pytest.mark.parametrize("key", ["after", "needs"])
def test_defaults_do_not_make_a_domain_wait_for_itself(key: str) -> None:
    read = desired(f"[defaults]\n{key} = nas\n" + domain("nas") + domain("a")).domains
    assert (getattr(read["nas"], key), getattr(read["a"], key)) == ((), ("nas",))


def test_a_second_part_is_read_for_its_problems_too() -> None:
    again = "[[xl]]\nacpi = 1\n[[xl]]\nacpi = 0\nmemory = 5\n[[nic eth0]]\nbridge = br0\n[[nic eth0]]\nbrige = br0\n"
    assert complaints("[bridge br0]\n" + WEB + again) == [
        "web.conf:7: domain web / xl: already declared at web.conf:5",
        "web.conf:9: domain web / xl: 'memory' is xenlocal's own; use memory in [domain NAME] instead",
        "web.conf:12: domain web / nic eth0: already declared at web.conf:10",
        "web.conf:13: domain web / nic eth0: unknown key 'brige'; did you mean 'bridge'?",
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[[disk xvda]]\nvolume vg0/a\n", "5: domain web / disk xvda: cannot read 'volume vg0/a'"),
        ("[[disk xvda]]\nvolum = vg0/a\n", "5: domain web / disk xvda: unknown key 'volum'"),
        ("[[disk xvda]]\nvolume = a\n", "5: domain web / disk xvda: volume 'a' is not VG/LV"),
        ("[[ready]]\ntcp 192.0.2.1:80\n", "5: domain web / ready: cannot read 'tcp 192.0.2.1:80'"),
        ("[[ready]]\ntpc = 192.0.2.1:80\n", "5: domain web / ready: unknown key 'tpc'"),
        ("[[ready]]\nping = a b\n", "5: domain web / ready: 'a b' is neither an address nor a host name"),
    ],
)
def test_a_part_with_a_slip_is_not_called_empty_too(lines: str, said: str) -> None:
    [found] = complaints(WEB + lines)
    assert found.partition(";")[0] == f"web.conf:{said}"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("cdrom = /srv/a.iso\nmode = w!\n", "6: {}mode is not for a cdrom, which is only read; remove it"),
        ("file = /srv/a.img\npool = thin0\n", "6: {}pool is for a volume, and this is a file; remove it"),
        ("device = /dev/sdb\nallocate = full\n", "6: {}allocate is for a file, and this is a device; remove it"),
    ],
)
def test_keys_that_are_not_for_such_a_disk(lines: str, said: str) -> None:
    text = "[domain web]\ntype = hvm\nmemory = 1G\n[[disk hda]]\n" + lines
    assert complaints(text) == [f"web.conf:{said.format('domain web / disk hda: ')}"]
    assert complaints(text.rstrip("\n").rpartition("\n")[0] + "\n") == []
