"""Single values: what is just possible, and what is just too much."""

from typing import Any

import pytest

from tests.unit.config.support import WEB, complaints, desired, web
from xenlocal.model.units import Duration, Size

CPUS_256 = ",".join(["1"] * 128) + ","
assert len(CPUS_256) == 256


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("stop_timeout = 1s", "stop_timeout", Duration(1)),
        ("vcpus = 512", "vcpus", 512),
        ("cpu_weight = 65535", "cpu_weight", 65535),
        ("cpu_weight = 1", "cpu_weight", 1),
        (f"description = {'x' * 200}", "description", "x" * 200),
        (f"cmdline = {'x' * 1023}", "cmdline", "x" * 1023),
        ("cmdline = a%(b)s", "cmdline", "a%(b)s"),
        (f"cpus = {CPUS_256}", "cpus", CPUS_256.rstrip(",")),
        ("cpus = 4095", "cpus", "4095"),
        ("cpus = 3", "cpus", "3"),
        ("cpus = all,^0-4094", "cpus", "all,^0-4094"),
        ("cpus = 0-3,^0-2", "cpus", "0-3,^0-2"),
        ("after =  none ", "after", ()),
    ],
)
def test_what_is_just_possible_for_a_domain(line: str, field: str, value: Any) -> None:
    assert getattr(web(line), field) == value


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cpus = 0-3,^0-3", "cpus '0-3,^0-3' leaves no CPU; write all,0-3,^0-3"),
        ("cpus = 4096", "cpus '4096' is beyond the 4096 CPUs that Xen can have"),
        ("cpus = 2x", "cpus '2x' is no list of CPUs; write one such as 2-5,7 or all,^3 or all"),
        (f"cpus = {CPUS_256}1", f"cpus '{CPUS_256[:59]}…' is too long; write ranges such as 2-5,7"),
        ("vcpus = 4x", "vcpus is '4x'; write a whole number from 1 to 512"),
        ("after = a b, c", "after is a list; write commas: a, b, c"),
        ("after = \"''\"", "after holds an empty item; remove a comma"),
        ("after = ,", "after holds an empty item; remove a comma"),
        ("after = a, none", "'none' stands alone; write after = none, or only the names"),
        ("maxmem = 2047.5K", "maxmem is 2096640B; at least 4M is needed"),
        (f"cmdline = {'x' * 1024}", "cmdline is 1024 characters long; at most 1023 reach a guest"),
    ],
)
def test_what_is_just_too_much_for_a_domain(line: str, said: str) -> None:
    assert complaints(f"{WEB}{line}\n") == [f"web.conf:4: domain web: {said}"]


def test_all_are_those_that_xen_can_have() -> None:
    [found] = complaints(f"{WEB}cpus = all,^0-4095\n")
    assert "leaves no CPU" in found


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("true", "yes"),
        ("on", "yes"),
        ("1", "yes"),
        ("Yes", "yes"),
        ("YES", "yes"),
        ("false", "no"),
        ("Off", "no"),
        ("0", "no"),
        ("No", "no"),
        ("perhaps", "yes or no"),
    ],
)
def test_other_words_for_yes_and_no(text: str, better: str) -> None:
    assert complaints(f"{WEB}critical = {text}\n") == [f"web.conf:4: domain web: critical is '{text}'; write {better}"]


@pytest.mark.parametrize(
    ("section", "line", "field", "value"),
    [
        ("host", "resync = 10s", "resync", Duration(10)),
        ("host", "shutdown_deadline = 29m", "shutdown_deadline", Duration(29 * 60)),
        ("host", "shutdown_deadline = 1s", "shutdown_deadline", Duration(1)),
        ("host", "start_parallel = 64", "start_parallel", 64),
        ("host", "start_parallel = 1", "start_parallel", 1),
        ("bridge", "mtu = 68", "mtu", 68),
        ("bridge", "mtu = 65535", "mtu", 65535),
        ("bridge", "address = 2001:DB0::/28", "address", "2001:db0::/28"),
        ("bridge", "address = 10.9.0.255/31", "address", "10.9.0.255/31"),
        ("bridge", "address = 10.9.0.7/32", "address", "10.9.0.7/32"),
    ],
)
def test_what_is_just_possible_for_the_host(section: str, line: str, field: str, value: Any) -> None:
    read = desired(f"[{section}{' br0' if section == 'bridge' else ''}]\n{line}\n")
    assert getattr(read.host if section == "host" else read.bridges["br0"], field) == value


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("address = 0.0.0.0/0", "address 0.0.0.0 cannot belong to a host; write one such as 10.9.0.1/24"),
        ("address = ::/64", "address :: cannot belong to a host; write one such as 10.9.0.1/24"),
        ("address = 10.9.0.3/30", "address 10.9.0.3 is the broadcast address; write one such as 10.9.0.1/30"),
        ("address = 10.9.0.0/30", "address 10.9.0.0 is the network itself; write one such as 10.9.0.1/30"),
        (
            "address = 10.9.0.1/24/24",
            "address '10.9.0.1/24/24' is not an address with its prefix length; write one such as 10.9.0.1/24",
        ),
    ],
)
def test_what_no_bridge_can_have(line: str, said: str) -> None:
    assert complaints(f"[bridge br0]\n{line}\n") == [f"web.conf:2: bridge br0: {said}"]


def test_the_longest_time_that_the_host_waits() -> None:
    assert complaints("[host]\nshutdown_deadline = 1741s\n") == [
        "web.conf:2: host: shutdown_deadline is 1741s; write at most 29m: systemd forces the reboot at 30 minutes"
    ]


def test_the_smallest_memory_and_disk() -> None:
    assert web("maxmem = 4097M").maxmem == Size.mib(4097)
    read = desired("[domain a]\nmemory = 4M\nkernel = /k\n[[disk xvda]]\nvolume = vg0/a\nsize = 512B\n").domains["a"]
    assert (read.memory, read.disks[0].size) == (Size.mib(4), Size(512))
    assert complaints("[domain a]\nmemory = 3M\nkernel = /k\n") == [
        "web.conf:2: domain a: memory is 3M; at least 4M is needed"
    ]
