"""Valid configurations over the whole language are taken, and what they say reaches the xl.cfg."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings

from tests.config.valid import configurations
from xenlocal.config import KEYS, read
from xenlocal.model.conffiles import ConfigFile
from xenlocal.planner import xlcfg
from xenlocal.simulator import xlcfg as xl

QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_all_that_is_drawn_is_valid_and_arrives() -> None:
    seen: set[tuple[str, str]] = set()

    @QUICK
    @given(configurations())
    def check(drawn: tuple[str, frozenset[tuple[str, str]]]) -> None:
        text, keys = drawn
        seen.update(keys)
        for domain in read([ConfigFile("a.conf", text)], "host").domains.values():
            config = xl.parse(xlcfg.render(domain), "xl.cfg")
            assert config["name"] == domain.name and config["uuid"] == domain.uuid
            assert config["memory"] == domain.memory.in_mib and config["vcpus"] == domain.vcpus
            assert config.get("cmdline", "") == domain.cmdline
            assert config.get("kernel") == (domain.kernel or domain.pvgrub)
            assert [(disk.vdev, disk.path, not disk.writable) for disk in xl.disks(config)] == [
                (disk.vdev, disk.backing.path, disk.readonly) for disk in domain.disks
            ]
            assert [(nic.mac, nic.bridge) for nic in xl.nics(config)] == [(nic.mac, nic.bridge) for nic in domain.nics]
            assert {key for key, _ in domain.extra} <= config.keys()

    check()
    assert {(key.section, key.name) for key in KEYS} - seen == set()
