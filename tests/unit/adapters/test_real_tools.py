"""The commands and the readers with the real ip, lvm and losetup, where this machine lets us: a network namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.adapters.scripted import NO_KERNELS
from xenlocal.adapters import iproute
from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.command import Commands
from xenlocal.adapters.files import Files
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.inspection import GROUPS, Inspector
from xenlocal.adapters.lvm import REPORT
from xenlocal.model.errors import CommandFailed
from xenlocal.model.host_actions import ChangeBridge, ResizeFile
from xenlocal.model.observed import Link
from xenlocal.model.units import Size
from xenlocal.planner.checkup_storage import pattern_of


def namespace() -> bool:
    if not shutil.which("ip") or not shutil.which("unshare"):
        return False
    make = "ip link add name t0 type bridge && ip link add name t1 type veth peer name t2"
    return subprocess.run(["unshare", "-n", "sh", "-c", make], capture_output=True, check=False).returncode == 0


def bridge_after(*changes: ChangeBridge) -> dict[str, Link]:
    """The links of a new network namespace with a pair of virtual Ethernet interfaces, after the changes."""
    actuator = HostActuator(Commands(), "/run/xenlocal", False, Identities("/var/lib/xenlocal"), NO_KERNELS)
    lines = [line for change in changes for line in actuator.script(change)]
    begin = ("exec 3>&1 >&2", "ip link add name eno1 type veth peer name far")
    script = "\n".join([*begin, *lines, "ip -j -d addr show >&3"])
    done = subprocess.run(["unshare", "-n", "sh", "-e"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(iproute.parse_links(done.stdout))


@pytest.mark.skipif(not namespace(), reason="needs a network namespace with bridges")
def test_a_bridge_is_made_as_declared_and_taken_back() -> None:
    make = ChangeBridge(
        "br-lab", create=True, add_ports=("eno1",), add_address="10.9.0.1/24", mtu=1400, stp=True,
        up=True,
    )  # fmt: skip
    links = bridge_after(make)
    bridge, port = links["br-lab"], links["eno1"]
    assert (bridge.kind, bridge.alias, bridge.mtu, bridge.up) == ("bridge", "xenlocal", 1400, True)
    assert bridge.stp is True and "10.9.0.1/24" in bridge.addresses
    assert port.master == "br-lab" and port.up
    back = ChangeBridge("br-lab", remove_ports=("eno1",), remove_address="10.9.0.1/24", mtu=1500, stp=False)
    links = bridge_after(make, back)
    assert links["eno1"].master is None and links["br-lab"].mtu == 1500 and links["br-lab"].stp is False
    assert "10.9.0.1/24" not in links["br-lab"].addresses


@pytest.mark.skipif(not shutil.which("lvm"), reason="needs lvm2")
def test_lvm_knows_what_the_doctor_asks_and_the_filter_that_it_advises() -> None:
    Inspector(Commands(), Files()).lvm()
    pattern = pattern_of("/dev/disk/by-path/ip-192.0.2.1:3260-iscsi-iqn.2012-10.example:a+b-lun-3", partitions=True)
    config = f'devices{{global_filter=["{pattern}"] filter=["r|.*|"]}}'
    assert '"report"' in Commands().run((*GROUPS[:2], "--driverloaded", "n", "--config", config, *GROUPS[2:]))
    broken = config.replace("(-part", "((-part")
    with pytest.raises(CommandFailed, match="regex"):
        Commands().run((*GROUPS[:2], "--driverloaded", "n", "--config", broken, *GROUPS[2:]))


@pytest.mark.skipif(not shutil.which("lvm"), reason="needs lvm2")
def test_lvm_knows_every_field_of_the_report() -> None:
    """Without a device mapper it reports nothing, but it checks the options; no device is looked at."""
    argv = (*REPORT[:2], "--driverloaded", "n", "--config", 'devices{filter=["r|.*|"]}', *REPORT[2:])
    assert '"report"' in Commands().run(argv)


def attached(image: Path, options: str = "") -> str:
    """The loop device that was made for the file; "" where this machine lets us make none."""
    command = f"losetup --find --show {options} '{image}'"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False).stdout.strip()


@pytest.mark.skipif(not shutil.which("losetup") or os.geteuid() != 0, reason="needs root and losetup")
def test_whoever_has_a_file_attached_sees_that_it_has_grown(tmp_path: Path) -> None:
    image = tmp_path / "a disk.img"
    image.write_bytes(bytes(1 << 20))
    devices = [each for each in (attached(image), attached(image, "--read-only")) if each]
    if not devices:
        pytest.skip("needs loop devices")
    try:
        actuator = HostActuator(Commands(), "/run/xenlocal", False, Identities("/var/lib/xenlocal"), NO_KERNELS)
        actuator.perform(ResizeFile(str(image), Size(3 << 20), "grow"))
        for device in devices:
            assert Path(f"/sys/block/{Path(device).name}/size").read_text() == f"{(3 << 20) // 512}\n"
    finally:
        for device in devices:
            subprocess.run(["losetup", "--detach", device], check=True)
    actuator.perform(ResizeFile(str(image), Size(4 << 20), "grow"))
    assert image.stat().st_size == 4 << 20
