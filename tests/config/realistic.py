"""Fifty configurations as administrators write them: the same ones in every run, no two alike.

`configurations` gives for each its files by name. All are valid, and all can run on the host that `host.running` makes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

COUNT = 50
_ROLES = ("db", "db2", "web", "web-old", "nas", "auth", "licence", "ts", "mail", "mail2", "git")
_COMMENTS = (
    "# Büro im 2. Stock — nicht anfassen",
    "# 2019-03-11 müller: more memory for the students",
    "# TODO: ask Łukasz about the licence → until May",
    "# state = absent",
    "# [domain retired]",
    "#",
    "# 日本のお客様",
)
_NOTES = (
    "PostgreSQL of the lab",
    "Zeiterfassung für alle",
    "'a # b'",
    '"one; two"',
    '"""two\n  lines # of it"""',
    "naïve",
)
_XL = (
    "timer_mode = no_delay_for_missed_ticks",
    'cpuid = "host,tm=0"',
    "nestedhvm = 0",
    "localtime = 1",
    "keymap = 'de'",
)


def configurations() -> list[Mapping[str, str]]:
    return [_configuration(number) for number in range(COUNT)]


def _configuration(number: int) -> Mapping[str, str]:
    random = Random(number)
    names = sorted(random.sample(_ROLES, random.randint(1, 6)))
    bridges = [f"br{count}" for count in range(random.randint(0, 3))]
    common = [_host(random)] if random.random() < 0.6 else []
    shared = random.random() < 0.5
    common += [_defaults(random)] if shared else []
    common += [_bridge(random, name, f"eno{place + 2}") for place, name in enumerate(bridges)]
    states = {name: random.choice(("running",) * 6 + ("manual", "stopped", "absent")) for name in names}
    domains = {name: _domain(random, name, states, bridges, shared) for name in names}
    style = random.choice(("one file", "a file each", "two files"))
    if style == "one file":
        files = {"all.conf": [*common, *domains.values()]}
    elif style == "a file each":
        files = {"xenlocal.conf": common, **{f"{name}.conf": [text] for name, text in domains.items()}}
    else:
        files = {"00-host.conf": common, "10-guests.conf": list(domains.values())}
    end = "\r\n" if random.random() < 0.1 else "\n"
    return {name: "\n".join(parts).replace("\n", end) for name, parts in files.items() if parts}


def _lines(random: Random, head: str, keys: list[str], indent: str = "") -> str:
    """A section with its keys in some order, some with a comment, some with blanks where nobody needs them."""
    random.shuffle(keys)
    lines = [f"{indent}{head}" + random.choice(("", "", "   # see the wiki"))]
    for key in keys:
        name, _, value = key.partition(" = ")
        if random.random() < 0.15:
            lines.append(random.choice(("", random.choice(_COMMENTS))))
        line = f"{indent}{name}{random.choice((' = ', ' = ', '=', '   = '))}{value}"
        plain = not set("#'\"") & set(value)
        lines.append(line + random.choice(("", "", "", "  # größer ging nicht")) if plain else line)
    return "\n".join(lines) + "\n"


def _some(random: Random, share: float, *keys: str) -> list[str]:
    return [key for key in keys if random.random() < share]


def _host(random: Random) -> str:
    keys = [
        f"shutdown_deadline = {random.randint(5, 29)}m",
        f"start_parallel = {random.choice(('auto', '2'))}",
        "dom0_reserve = 512M",
        f"trash_keep = {random.randint(1, 30)}d",
        f"resync = {random.choice(('30s', '5m', '1h'))}",
    ]
    return _lines(random, "[host]", _some(random, 0.6, *keys))


def _defaults(random: Random) -> str:
    keys = [
        "ramdisk = /boot/initrd.img-6.1.0-37-amd64",
        "cmdline = root=/dev/xvda ro console=hvc0",
        "stop_timeout = 10m",
    ]
    keys += ["on_crash = stay-off", "on_unready = restart", "state = manual", "memory = 1G", "vcpus = 2"]
    return _lines(random, "[defaults]", ["kernel = /boot/vmlinuz-6.1.0-37-amd64", *_some(random, 0.4, *keys)])


def _bridge(random: Random, name: str, port: str) -> str:
    second = f"eno{int(port[3:]) + 10}"
    ports = random.choice(("none", port, f"{port}, {second}", f"{port},{second},", f'"{port}, {second}"'))
    keys = [f"address = 10.9.{random.randint(1, 250)}.1/24", "mtu = 9000", "stp = no", "vlan_filtering = yes"]
    return _lines(random, f"[bridge {name}]", [f"ports = {ports}", *_some(random, 0.4, *keys)])


def _domain(random: Random, name: str, states: Mapping[str, str], bridges: list[str], shared: bool) -> str:
    place, state = list(states).index(name), states[name]
    keys = [f"memory = {random.choice(('512M', '4G', '2048M', '1.5G'))}"]
    keys += [f"state = {state}"] if state != "running" or random.random() < 0.7 else []
    keys += [] if shared else ["kernel = /boot/vmlinuz-6.1.0-xen"]
    before = random.sample(list(states)[:place], min(place, random.randint(0, 2)))
    needs = random.random() < 0.5 and all(states[each] == "running" for each in before)
    keys += [f"{'needs' if needs else 'after'} = {', '.join(before)}"] if before else []
    keys += _some(
        random, 0.3, f"description = {random.choice(_NOTES)}", f"type = {random.choice(('pv', 'pvh'))}", "maxmem = 16G",
        f"vcpus = {random.choice((1, 4, 16))}", "maxvcpus = 16", "cpus = 2-5, 7", "cpu_weight = 512", "critical = yes",
        f"uuid = 4d{random.getrandbits(24):06x}-1111-4222-8333-{random.getrandbits(48):012x}", "start_timeout = 3m",
        "stop_timeout = 20m", "stop_max = 40m", "hung_timeout = 2m", "on_poweroff = restart", "on_crash = preserve",
        "on_unready = restart",
    )  # fmt: skip
    text = _lines(random, f"[domain {name}]", keys)
    disks = random.randint(0, 3)
    for number in range(disks):
        text += _disk(random, name, number)
    for number in range(random.randint(0, 2) if bridges else 0):
        mac = _some(random, 0.5, f"mac = 00:16:3E:{place:02x}:{number:02x}:{random.getrandbits(8):02x}")
        text += _lines(random, f"[[nic eth{number}]]", [f"bridge = {random.choice(bridges)}", *mac], "  ")
    if random.random() < 0.6:
        text += _lines(random, "[[ready]]", [_ready(random, place)], "  ")
    if random.random() < 0.3:
        text += _lines(random, "[[xl]]", random.sample(_XL, 2), "  ")
    return text


def _disk(random: Random, name: str, number: int) -> str:
    """Names of volumes of which one begins like another, at times of a domU beside it: web-root, web-root-old."""
    plain = re.sub(r"[^a-z].*", "", name)
    volume = f"volume = vg0/{plain}-root{name.removeprefix(plain)}{'-srv'[: 4 * (number % 2)]}{number // 2 or ''}"
    backing = random.choice(
        (volume, volume, f"file = /srv/xen/{name}-{number}.img", f"device = /dev/disk/by-id/{name}-{number}")
    )
    keys = [backing, *_some(random, 0.2, "mode = r")]
    keys += [f"size = {random.choice(('20G', '1.5G', '200M'))}"] if not backing.startswith("device") else []
    return _lines(random, f"[[disk xvd{'abc'[number]}]]", keys, random.choice(("  ", "", "\t")))


def _ready(random: Random, place: int) -> str:
    host = f"192.0.2.{20 + place}"
    return random.choice((
        f"tcp = {host}:5432", f"ping = {host}", "console = 'login:'", "xenstore = data/xenlocal/ready",
        f"command = /usr/local/bin/is-ready --host {host}", f"tcp = [2001:db8::{place + 1}]:443",
    ))  # fmt: skip
