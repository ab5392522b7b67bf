"""What `xl` itself reads out of the xl.cfg of any valid configuration is what was declared."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from rig.machine import Machine
from tests.config.valid import configurations
from xenlocal.config import read
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.desired import Domain
from xenlocal.planner import xlcfg

pytestmark = [pytest.mark.every_suite, pytest.mark.limit(1200)]

CONFIGURATIONS = 300
LEAST = 120
"""Different domUs in them."""

# One xl after the other, in the dom0; each leaves NAME.json, or what it said in NAME.err.
LOOP = """
cd /run/xlcfg && tar xf all.tar
for file in *.cfg; do
  xl create --dryrun --defconfig "$file" > "$file.json" 2> "$file.err" || echo "exit $?" >> "$file.err"
done
tar cf answers.tar *.json *.err
"""


def drawn() -> list[Domain]:
    """The domUs of the same configurations in every run. Hypothesis repeats itself."""
    found: dict[str, Domain] = {}

    @settings(
        max_examples=CONFIGURATIONS,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(configurations())
    def collect(drawn: tuple[str, frozenset[tuple[str, str]]]) -> None:
        for domain in read([ConfigFile("a.conf", drawn[0])], "host").domains.values():
            found[xlcfg.render(domain)] = domain

    collect()
    return list(found.values())


def declared(domain: Domain) -> dict[str, Any]:
    """What xl must have understood."""
    return {
        "name": domain.name,
        "uuid": domain.uuid,
        "type": str(domain.type),
        "memory": domain.memory.bytes >> 10,
        "maxmem": (domain.maxmem or domain.memory).bytes >> 10,
        "vcpus": domain.vcpus,
        "maxvcpus": domain.maxvcpus or domain.vcpus,
        "weight": domain.cpu_weight,
        "kernel": domain.kernel or domain.pvgrub,
        "bootloader": domain.bootloader,
        "screen": domain.vnc and (domain.vnc.address, domain.vnc.display),
        "ramdisk": domain.ramdisk,
        "cmdline": domain.cmdline or None,
        "disks": [(disk.vdev, disk.backing.path, "raw", int(not disk.readonly)) for disk in domain.disks],
        "nics": [(nic.mac, nic.bridge) for nic in domain.nics],
        "ends": ("preserve", "restart", "preserve"),
        **{key: value for key, value in domain.extra if key in PASSED},
    }


# Of what [[xl]] passes on: where xl's JSON has it, as text of an xl.cfg.
PASSED: dict[str, Callable[[dict[str, Any]], str]] = {
    "max_grant_frames": lambda info: str(info["max_grant_frames"]),
    "max_event_channels": lambda info: str(info["event_channels"]),
    "rtc_timeoffset": lambda info: str(info.get("rtc_timeoffset", 0)),
    "localtime": lambda info: str(int(info.get("localtime") == "True")),
    "nomigrate": lambda info: str(int(info.get("disable_migrate") == "True")),
    "tsc_mode": lambda info: f'"{info.get("tsc_mode", "default")}"',
    "ioports": lambda info: "[" + ", ".join(f'"{each["first"]:x}"' for each in info["ioports"]) + "]",
}


def understood(answer: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    """The same of xl's JSON, which leaves out what has its default value. `keys`: of [[xl]]."""
    create, info = answer["c_info"], answer["b_info"]
    screen = info.get("type.hvm", {}).get("vnc", {})
    return {
        "name": create["name"],
        "uuid": create["uuid"],
        "type": create["type"],
        "memory": info["target_memkb"],
        "maxmem": info["max_memkb"],
        "vcpus": len(info["avail_vcpus"]),
        "maxvcpus": info["max_vcpus"],
        "weight": info.get("sched_params", {}).get("weight"),
        "kernel": info.get("kernel"),
        "bootloader": info.get("bootloader"),
        "screen": (screen["listen"], screen.get("display", 0)) if "listen" in screen else None,
        "ramdisk": info.get("ramdisk"),
        "cmdline": info.get("cmdline"),
        "disks": [
            (disk["vdev"], disk["pdev_path"], disk["format"], disk.get("readwrite", 0))
            for disk in answer.get("disks", [])
        ],
        "nics": [(nic["mac"], nic["bridge"]) for nic in answer.get("nics", [])],
        "ends": tuple(answer.get(f"on_{end}") for end in ("poweroff", "reboot", "crash")),
        **{key: PASSED[key](info) for key in keys},
    }


HOST_CPUS = frozenset({0, 1})


def pinned(cpus: str) -> frozenset[int]:
    """Which of the host's CPUs are meant."""
    chosen: set[int] = set()
    for item in cpus.split(","):
        first, _, last = item.removeprefix("^").replace("all", "0-4095").partition("-")
        span = set(range(int(first), int(last or first) + 1))
        chosen = chosen - span if item.startswith("^") else chosen | span
    return HOST_CPUS & chosen


def test_xl_understands_what_was_declared(dom0: Machine) -> None:
    domains = drawn()
    assert len(domains) >= LEAST
    dom0.put("/run/xlcfg/all.tar", packed({f"{n}.cfg": xlcfg.render(domain) for n, domain in enumerate(domains)}))
    dom0.run(LOOP, 900)
    answers = unpacked(dom0.get("/run/xlcfg/answers.tar"))
    wrong = []
    for number, domain in enumerate(domains):
        said, err = answers[f"{number}.cfg.json"], answers[f"{number}.cfg.err"]
        if domain.cpus and not pinned(domain.cpus):  # xl refuses what names none of the host's own
            if "exit" not in err:
                wrong.append(f"{domain.name}: cpus = {domain.cpus} was taken")
            continue
        if "exit" in err:
            wrong.append(f"{domain.name}: {' '.join(err.split())}; of {dict(xlcfg.settings(domain))}")
            continue
        # the answer comes after a line that names the file
        answer, wanted = json.loads(said[said.index("{") :]), declared(domain)
        found = understood(answer, wanted.keys() & PASSED.keys())
        wrong += [
            f"{domain.name}: {key} is {found[key]!r}, declared {wanted[key]!r}"
            for key in wanted
            if found[key] != wanted[key]
        ]
        for affinity in answer["b_info"].get("vcpu_hard_affinity", []):
            if domain.cpus and HOST_CPUS & set(affinity) != pinned(domain.cpus):
                wrong.append(f"{domain.name}: cpus = {domain.cpus} became {affinity}")
    assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:40]])


def packed(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def unpacked(data: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {each.name: tar.extractfile(each).read().decode() for each in tar}  # type: ignore[union-attr]
