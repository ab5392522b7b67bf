"""[[xl]]: what is passed on to xl as it is, and what is xenlocal's own."""

import pytest

from tests.unit.config.support import WEB, complaints, desired, domain, web
from xenlocal.config.passthrough import OWNED
from xenlocal.config.schema import keys_of
from xenlocal.planner import xlcfg

MAY_BE_CHANGED = {"serial", "usb"}  # what an hvm guest has where nobody says otherwise


def refused(key: str) -> bool:
    found = complaints(f"{WEB}[[xl]]\n{key} = 1\n")
    return len(found) == 1 and found[0].startswith(f"web.conf:5: domain web / xl: '{key}' is ")


def test_no_key_that_xenlocal_writes_can_be_written_once_more() -> None:
    """In an xl.cfg the last one wins."""
    text = domain("a", "ramdisk = /r", "cmdline = ro", "cpus = 1", "cpu_weight = 1", "pci = 03:00.0")
    text += "[domain b]\nmemory = 1G\nbootloader = pygrub\n[[disk xvda]]\nvolume = vg0/b\n"
    text += "[domain c]\nmemory = 1G\ntype = hvm\nvnc = 127.0.0.1:1\nusb = 0529:0001\n"
    written = {key for each in desired(text).domains.values() for key in xlcfg.settings(each)}
    assert len(written) > 20 and {key for key in written if not refused(key)} == MAY_BE_CHANGED


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("acpi_shutdown", "stop_timeout"),
        ("builder", "type"),
        ("cpus_soft", "cpus"),
        ("extra", "cmdline"),
        ("name", "NAME"),
        ("on_reboot", "on_poweroff"),
        ("on_shutdown", "on_poweroff"),
        ("on_soft_reset", "on_crash"),
        ("on_watchdog", "on_crash"),
        ("root", "cmdline"),
        ("bios", "firmware"),
        ("usbdev", "usb"),
        ("usbdevice", "usb"),
    ],
)
def test_what_is_xenlocals_by_another_name(key: str, instead: str) -> None:
    assert complaints(f"{WEB}[[xl]]\n{key} = 1\n") == [
        f"web.conf:5: domain web / xl: '{key}' is xenlocal's own; use {instead} in [domain NAME] instead"
    ]


@pytest.mark.parametrize("key", sorted(OWNED.keys() & keys_of("domain").keys()))
def test_what_is_a_key_of_a_domain_too_is_told_by_its_name(key: str) -> None:
    assert complaints(f"{WEB}[[xl]]\n{key} = 1\n") == [
        f"web.conf:5: domain web / xl: '{key}' is xenlocal's own; use {key} in [domain NAME] instead"
    ]


@pytest.mark.parametrize(
    "key",
    ["nics", "vfb", "driver_domain", "backend_domid", "device_seclabel", "passwd", "spicehost", "stubdomain_cmdline"],
)
def test_what_is_never_passed_on(key: str) -> None:
    assert refused(key)


@pytest.mark.parametrize(
    ("line", "rendered"),
    [
        ("nics_max = 2", ("nics_max", "2")),
        ("vfb_x = 2", ("vfb_x", "2")),
        ("scripted = 1", ("scripted", "1")),
        ("seclabels = 1", ("seclabels", "1")),
        ("k = 1x", ("k", '"1x"')),
        ("k = 0", ("k", "0")),
        ("k = 0xffffffffffffffff", ("k", "0xffffffffffffffff")),
        (f"k = {'x' * 1023}", ("k", f'"{"x" * 1023}"')),
        (f"{'k' * 64} = 1", ("k" * 64, "1")),
    ],
)
def test_what_is_passed_on(line: str, rendered: tuple[str, str]) -> None:
    assert web(f"[[xl]]\n{line}").extra == (rendered,)


@pytest.mark.parametrize(("word", "number"), [("yes", 1), ("True", 1), ("true", 1), ("no", 0), ("false", 0), ("No", 0)])
def test_words_that_xl_does_not_know(word: str, number: int) -> None:
    assert complaints(f"{WEB}[[xl]]\nacpi = {word}\n") == [
        f"web.conf:5: domain web / xl: acpi is '{word}', but xl has no such word; write acpi = {number}"
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"k = {'x' * 1024}", "k is 1024 characters long; at most 1023 are possible"),
        ("k = +5", "k is '+5'; xl takes numbers without sign and without leading zeros"),
        (f"{'k' * 65} = 1", f"'{'k' * 59}…' is not a key of xl.cfg; those are of small letters, digits and _"),
        ("k = é", "k holds 'é', which could end or change the statement in xl.cfg; remove it"),
    ],
)
def test_what_is_not_passed_on(line: str, said: str) -> None:
    assert complaints(f"{WEB}[[xl]]\n{line}\n") == [f"web.conf:5: domain web / xl: {said}"]
