"""From a section to its settings: which section a strange key belongs to, and what is not told twice."""

import pytest

from tests.unit.config.support import WEB, complaints, desired

DISK = WEB + "[[disk xvda]]\nvolume = vg0/a\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WEB + "ports = eno1", "4: domain web: unknown key 'ports'; it belongs to [bridge NAME]"),
        (WEB + "portal = 192.0.2.1", "4: domain web: unknown key 'portal'; it belongs to [iscsi NAME]"),
        (WEB + "resync = 1m", "4: domain web: unknown key 'resync'; it belongs to [host]"),
        (WEB + "tcp = h:1", "4: domain web: unknown key 'tcp'; it belongs to [[ready]]"),
        (WEB + "mac = 00:16:3e:00:00:01", "4: domain web: unknown key 'mac'; it belongs to [[nic NAME]]"),
        (DISK + "mac = 00:16:3e:00:00:01", "6: domain web / disk xvda: unknown key 'mac'; it belongs to [[nic NAME]]"),
        (DISK + "mtu = 9000", "6: domain web / disk xvda: unknown key 'mtu'; it belongs to [bridge NAME]"),
        (
            DISK + "vcpus = 1",
            "6: domain web / disk xvda: unknown key 'vcpus'; it belongs to [domain NAME], above the first [[part]]",
        ),
        (
            DISK + "frobnicate = 1",
            "6: domain web / disk xvda: unknown key 'frobnicate'; write one of allocate, attached, cdrom, device, file,"
            " mode, pool, resize_fs, size, volume",
        ),
        (
            "[bridge br0]\nroot = /dev/xvda",
            "2: bridge br0: unknown key 'root'; write one of address, external, mtu, ports, stp, vlan_filtering",
        ),
        ("[defaults]\nextra = quiet", "2: defaults: unknown key 'extra'; use cmdline in [domain NAME] instead"),
        ("[defaults]\nfrobnicate = 1", "2: defaults: unknown key 'frobnicate'"),
        (WEB + "builder = hvm", "4: domain web: unknown key 'builder'; use type in [domain NAME] instead"),
        (WEB + "bios = ovmf", "4: domain web: unknown key 'bios'; use firmware in [domain NAME] instead"),
        (WEB + "name = web", "4: domain web: unknown key 'name'; use NAME in [domain NAME] instead"),
        (WEB + "disk = x", "4: domain web: unknown key 'disk'; disks are declared by [[disk NAME]]"),
        ("[defaults]\nvif = x", "2: defaults: unknown key 'vif'; nics are declared by [[nic NAME]]"),
        (
            WEB + "vncpasswd = x",
            "4: domain web: unknown key 'vncpasswd'; it belongs to vnc = ADDRESS:DISPLAY of the domain",
        ),
    ],
)
def test_a_strange_key_is_told_where_it_belongs(text: str, said: str) -> None:
    assert complaints(text + "\n") == [f"web.conf:{said}"]


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ("memory = 1\nkernel = /k\n", "web.conf:2: defaults: size '1' has no unit"),
        ("memroy = 1G\nkernel = /k\n", "web.conf:2: defaults: unknown key 'memroy'"),
        ("memory 1G\nkernel = /k\n", "web.conf:2: defaults: cannot read 'memory 1G'"),
        ("memory = 1G\nkernel: /k\n", "web.conf:3: defaults: cannot read 'kernel: /k'"),
    ],
)
def test_a_slip_in_the_defaults_is_told_there_alone(defaults: str, said: str) -> None:
    [found] = complaints(f"[defaults]\n{defaults}[domain a]\n[domain b]\n")
    assert found.startswith(f"{said};")


@pytest.mark.parametrize(
    "key",
    [
        "uuid = 4c4c4544-0042-3510-8053-b4c04f4e3132",
        "was = old",
        "hostid = locked",
        "vnc = 127.0.0.1:1",
        "pci = 03:00.0",
        "usb = 0529:0001",
    ],
)
def test_what_is_one_domains_own_is_no_default_and_is_given_to_none(key: str) -> None:
    name = key.split()[0]
    assert complaints(f"[defaults]\nmemory = 1G\nkernel = /k\n{key}\n[domain a]\n[domain b]\n") == [
        f"web.conf:4: defaults: {name} cannot be the same for every domU; put it into a [domain NAME]"
    ]


def test_what_a_domain_says_wrongly_it_does_not_inherit() -> None:
    """Nobody is told that what is inherited does not go with the rest."""
    [found] = complaints("[defaults]\nmaxmem = 2G\nmemory = 1G\nkernel = /k\n[domain a]\nmaxmem = 9\nmemory = 4G\n")
    assert found == "web.conf:6: domain a: size '9' has no unit; write 9M or 9G"


def test_a_misspelt_key_beside_the_right_one_takes_nothing_away() -> None:
    assert complaints("[defaults]\nmemroy = 2G\nmemory = 1G\nkernel = /k\n[domain a]\nmaxmem = 512M\n") == [
        "web.conf:2: defaults: unknown key 'memroy'; did you mean 'memory'?",
        "web.conf:6: domain a: maxmem 512M is less than memory 1G; write maxmem = 1G or more",
    ]


def test_a_domain_that_is_silent_has_what_the_defaults_say() -> None:
    read = desired("[defaults]\nmemory = 1G\nkernel = /k\nvcpus = 3\n[domain a]\n[domain b]\nvcpus = 1\n").domains
    assert (read["a"].vcpus, read["b"].vcpus) == (3, 1)
