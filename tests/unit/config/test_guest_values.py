"""What is just possible, and what is just too much, in values about the guest's outside."""

import pytest

from tests.unit.config.support import WEB, complaints, desired, web
from xenlocal.config import guest_values
from xenlocal.model.probes import CommandProbe, ConsoleProbe, PingProbe, Probe, TcpProbe, XenstoreProbe

LABEL = "x" * 63
HOST_253 = f"{LABEL}.{LABEL}.{LABEL}.{'x' * 61}"
KEY_256 = "data/" + "x" * 251


@pytest.mark.parametrize(
    ("line", "probe"),
    [
        ("tcp = h:1", TcpProbe("h", 1)),
        ("tcp = h:65535", TcpProbe("h", 65535)),
        ("tcp = [::1]:65535", TcpProbe("::1", 65535)),
        ("tcp = 3com.example.org:80", TcpProbe("3com.example.org", 80)),
        (f"ping = {HOST_253}", PingProbe(HOST_253)),
        ("ping = 10-0-0-1.example", PingProbe("10-0-0-1.example")),
        (f"console = {'x' * 256}", ConsoleProbe("x" * 256)),
        ("console = x", ConsoleProbe("x")),
        (f"xenstore = {KEY_256}", XenstoreProbe(KEY_256)),
        ("command = /bin/true", CommandProbe(("/bin/true",))),
    ],
)
def test_probes_that_are_just_possible(line: str, probe: Probe) -> None:
    assert web(f"[[ready]]\n{line}").probe == probe


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"ping = {HOST_253}x", f"'{HOST_253[:59]}…' is neither an address nor a host name"),
        ("ping = 10.0.0", "'10.0.0' is neither an address nor a host name"),
        ("ping = h.example/x", "'h.example/x' is neither an address nor a host name"),
        (
            "tcp = h:80/x",
            "tcp 'h:80/x' is not HOST:PORT; write one such as 192.0.2.21:5432 or [2001:db8::21]:5432",
        ),
        ("tcp = [::1]:0", "tcp '[::1]:0' has no such port; write one from 1 to 65535"),
        ("tcp = h:65536", "tcp 'h:65536' has no such port; write one from 1 to 65535"),
        (f"console = {'x' * 257}", "console is 257 characters long; at most 256 are possible"),
        (
            "console = login:\ta",
            r"console holds a character that cannot be printed; what is matched is a line: write \s or \x09",
        ),
        (
            f"xenstore = {KEY_256}x",
            f"xenstore '{KEY_256[:59]}…' is no key a guest can write; write one such as data/xenlocal/ready",
        ),
        (
            "xenstore = data/ready now",
            "xenstore 'data/ready now' is no key a guest can write; write one such as data/xenlocal/ready",
        ),
        ("command = ''", "command has no value; write one, or remove the line"),
        ("command = \"'' /bin/true\"", "command '' is not an absolute path; write it from / on"),
        ("command = /usr/../bin/x", "path '/usr/../bin/x' holds '..'; write where it really leads"),
    ],
)
def test_probes_that_are_too_much(line: str, said: str) -> None:
    assert complaints(f"{WEB}[[ready]]\n{line}\n") == [f"web.conf:5: domain web / ready: {said}"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vnc = 127.0.0.1:1000", "vnc '127.0.0.1:1000' is not ADDRESS:DISPLAY; write one such as 127.0.0.1:1"),
        (
            "pci = 0000:03:00.0/x",
            "pci '0000:03:00.0/x' is not a PCI address; write one such as 0000:03:00.0, as lspci -D prints",
        ),
        (
            "usb = 0529:00012",
            "usb '0529:00012' is not a USB device; write VENDOR:PRODUCT such as 0529:0001, as lsusb prints",
        ),
        ("pci = 03:00.0 03:00.1", "pci is a list; write commas: 03:00.0, 03:00.1"),
        ("usb = 0529:0001,,1-2", "usb holds an empty item; remove a comma"),
        ("owner = bob@lab", "owner 'bob@lab' is not the name of a Unix user or group"),
        (f"group = {'x' * 33}", f"group '{'x' * 33}' is not the name of a Unix user or group"),
    ],
)
def test_what_only_begins_well(line: str, said: str) -> None:
    assert complaints(f"[domain w]\nmemory = 1G\ntype = hvm\n{line}\n") == [f"web.conf:4: domain w: {said}"]


def test_displays_and_accounts() -> None:
    found = desired("[domain w]\nmemory = 1G\ntype = hvm\nvnc = 127.0.0.1:999\n").domains["w"].vnc
    assert found is not None and found.display == 999
    assert guest_values.account("owner", "_bob-1") == "_bob-1"
