"""The scripts of `libexec` in the very units that xenlocal gives them, under a real systemd: what is seen of them from
outside, what is left when they are ended in the middle, and a Debian made from packages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.repository import repository
from tests.systemd.container import Container, possible
from xenlocal.adapters.diskwork import begin, disks_at_work, unit_of
from xenlocal.model.actions import PrepareDisk
from xenlocal.model.desired import ImageFile
from xenlocal.model.diskwork import Preparation

ROOT = Path(__file__).parents[2]
DISK = "/srv/web.img"
MARK = f"{DISK}.{Preparation.INSTALL.mark}"
PROGRAMS = "/usr/libexec/xenlocal"

pytestmark = pytest.mark.skipif(not possible(), reason="needs root, to make namespaces with a systemd of its own")


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    made = Container(tmp_path_factory.mktemp("container"))
    try:
        for script in (ROOT / "libexec").iterdir():
            made.write(f"{PROGRAMS}/{script.name}", script.read_text(), script.stat().st_mode)
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def container(booted: Container) -> Container:
    """With loop devices, a new disk and its mark."""
    nodes = "; ".join(f"[ -e /dev/loop{n} ] || mknod /dev/loop{n} b 7 {n}" for n in range(16))
    booted.run("sh", "-c", f"[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237; {nodes}")
    booted.run("sh", "-c", f"rm -f {DISK}* /root/*; truncate -s 1G {DISK}; touch {MARK}; mkdir -p /mnt/web")
    return booted


def install(container: Container, **settings: str) -> None:
    values = {"NAME": "web", "UUID": "u", "DISK": DISK, "VDEV": "xvda", "HOSTNAME": "web", **settings}
    action = PrepareDisk("web", "u", ImageFile(DISK), {f"XENLOCAL_{key}": value for key, value in values.items()})
    container.run(*begin(action))


def at_work(container: Container) -> frozenset[str]:
    lines = container.run(
        "sh", "-c", "for each in /proc/[0-9]*/cmdline; do tr '\\0' '\\t' <$each; echo; done", check=False
    )
    found = disks_at_work(tuple(line.removesuffix("\t").split("\t")) for line in lines.stdout.splitlines())
    return frozenset(path for _, path in found)


def log_of(container: Container) -> str:
    return (container.root / "var/log/xenlocal/install-web.log").read_text()


def ended(container: Container, seconds: float) -> None:
    unit = unit_of("web", Preparation.INSTALL)
    container.wait(lambda: container.state(unit) in ("inactive", "failed"), unit, seconds)


def in_its_root(container: Container, command: str) -> str:
    script = f"mount -o loop,ro {DISK} /mnt/web && cd /mnt/web && ({command})"
    return container.run("unshare", "--mount", "--propagation", "private", "sh", "-ec", script).stdout


def make_tar(container: Container, hook: str) -> dict[str, str]:
    container.write("/root/hooks/10-hook", f"#!/bin/sh\n{hook}\n", 0o755)
    container.run(
        "sh",
        "-c",
        "mkdir -p /srv/root/etc && echo old >/srv/root/etc/hostname && tar -cJf /srv/a.tar.xz -C /srv/root .",
    )
    return {"IMAGE": "/srv/a.tar.xz", "HOOKS": "/root/hooks"}


def test_it_is_seen_from_outside_and_its_mounts_are_not(container: Container) -> None:
    settings = make_tar(container, "touch /root/waits; while [ ! -e /root/go ]; do sleep 0.1; done")
    install(container, **settings)
    assert at_work(container) == {DISK}, "as soon as the command that begins it has ended"
    container.wait((container.root / "root/waits").exists, "the hook")
    assert DISK not in container.run("cat", "/proc/self/mounts").stdout
    assert "web.img" in container.run("losetup", "--list").stdout, "it is mounted for itself"
    again = PrepareDisk("web", "u", ImageFile(DISK), {})
    assert "already loaded" in container.run(*begin(again), check=False).stderr, "nor does it run twice"
    (container.root / "root/go").touch()
    ended(container, 30)
    assert not (container.root / MARK[1:]).exists() and log_of(container).endswith("is installed\n")
    assert at_work(container) == frozenset() and "web.img" not in container.run("losetup", "--list").stdout
    assert in_its_root(container, "cat etc/hostname etc/fstab") == "web\n/dev/xvda\t/\text4\terrors=remount-ro\t0\t1\n"


def test_one_that_is_ended_in_the_middle_leaves_nothing_behind_but_its_mark(container: Container) -> None:
    settings = make_tar(container, "touch /root/waits; [ -e /root/go ] || sleep 1000")
    install(container, **settings)
    container.wait((container.root / "root/waits").exists, "the hook")
    container.run("systemctl", "stop", unit_of("web", Preparation.INSTALL))
    container.wait(
        lambda: "web.img" not in container.run("losetup", "--list").stdout, "its loop device to be let go of"
    )
    assert (container.root / MARK[1:]).exists() and at_work(container) == frozenset()
    assert log_of(container).endswith("cannot install web: it was ended before it was done\n")
    (container.root / "root/go").touch()
    install(container, **settings)
    ended(container, 30)
    assert "begins anew" in log_of(container) and not (container.root / MARK[1:]).exists()
    assert in_its_root(container, "cat etc/hostname") == "web\n"


def test_a_file_system_that_grows_is_let_finish_when_the_host_goes_down(container: Container) -> None:
    program, mark = "/usr/sbin/resize2fs", f"{DISK}.{Preparation.RESIZE.mark}"
    container.run(
        "sh", "-c", f"rm {MARK}; mkfs.ext4 -q {DISK}; truncate -s 2G {DISK}; touch {mark}; mv {program} {program}.real"
    )
    waits = "touch /root/waits; while [ ! -e /root/go ]; do sleep 0.1; done"
    container.write(program, f'#!/bin/sh\n{waits}; exec {program}.real "$@"\n', 0o755)
    container.run(*begin(PrepareDisk("web", "u", ImageFile(DISK), {}, Preparation.RESIZE)))
    unit = unit_of("web", Preparation.RESIZE)
    container.wait((container.root / "root/waits").exists, "resize2fs")
    container.run("systemctl", "stop", "--no-block", unit)
    container.wait(lambda: container.state(unit) == "deactivating", "the unit to be told to end")
    (container.root / "root/go").touch()
    container.wait(lambda: container.state(unit) == "inactive", unit, 60)
    assert (container.root / "var/log/xenlocal/resize-web.log").read_text().endswith("is done\n")
    assert not (container.root / mark[1:]).exists()
    assert "Block count:              524288\n" in container.run("dumpe2fs", "-h", DISK).stdout
    container.run("mv", f"{program}.real", program)


@pytest.mark.parametrize("link", ["root", "etc", "lib/modules"])
def test_a_tar_whose_directories_are_links_writes_nothing_to_the_dom0(container: Container, link: str) -> None:
    """Its own /root would be that of dom0, where keys let people in."""
    container.write("/root/keys", "ssh-ed25519 AAAA somebody\n")
    made = "rm -rf /srv/evil; mkdir -p /srv/evil/etc /srv/evil/lib; cd /srv/evil; rm -rf"
    container.run(
        "sh", "-c", f"{made} {link}; ln -s /srv/outside {link}; tar -cf /srv/evil.tar .; mkdir -p /srv/outside"
    )
    install(container, IMAGE="/srv/evil.tar", SSH_KEY="/root/keys")
    ended(container, 30)
    wrong = f"{link} in /srv/evil.tar leads out of it, to /srv/outside"
    assert log_of(container).endswith(f"cannot install web: {wrong}\n") and (container.root / MARK[1:]).exists()
    assert not list((container.root / "srv/outside").iterdir())


def test_a_debian_from_packages(container: Container) -> None:
    """Twice: what the second one needs is kept of the first."""
    packages = container.root / "srv/packages"
    packages.mkdir(exist_ok=True)
    subprocess.run(["cp", "-r", f"{repository('bookworm')}/.", str(packages)], check=True, timeout=60)
    container.write("/srv/packages.list", "deb [trusted=yes] copy:/srv/packages ./\n")
    container.write("/root/keys", "ssh-ed25519 AAAA somebody\n")
    container.write("/root/hash", "$6$salt$hash\n", 0o600)
    container.write("/usr/lib/modules/6.1.0-test/x.ko", "a module\n")
    settings = {
        "SUITE": "bookworm",
        "MIRROR": "/srv/packages.list",
        "SSH_KEY": "/root/keys",
        "MAC": "00:16:3e:00:00:01",
    }
    settings |= {"ROOT_PASSWORD": "/root/hash", "ADDRESS": "192.0.2.21/24", "GATEWAY": "192.0.2.1", "DNS": "192.0.2.1"}
    for first in (True, False):
        container.run("sh", "-c", f"rm -f {DISK}; truncate -s 1G {DISK}; touch {MARK}")
        install(container, **settings, KERNEL="/boot/vmlinuz-6.1.0-test")
        ended(container, 600)
        assert log_of(container).endswith("is installed\n"), log_of(container)
        assert ("fetches and unpacks" in log_of(container)) == first
    found = in_its_root(
        container, "cat etc/hostname root/.ssh/authorized_keys etc/resolv.conf lib/modules/6.1.0-test/x.ko"
    )
    assert found == "web\nssh-ed25519 AAAA somebody\nnameserver 192.0.2.1\na module\n"
    assert "Address=192.0.2.21/24\nGateway=192.0.2.1" in in_its_root(container, "cat etc/systemd/network/*.network")
    assert "root:$6$salt$hash:" in in_its_root(container, "cat etc/shadow")
    shown = in_its_root(
        container, "ls -d sbin/init etc/systemd/system/*/systemd-networkd.service; stat -c %s etc/machine-id"
    )
    assert "sbin/init" in shown and "multi-user.target.wants" in shown and shown.split()[-1] == "0"
    assert "unsafe-io" not in in_its_root(container, "cat etc/dpkg/dpkg.cfg.d/* 2>/dev/null || true")
    assert "LABEL=xenlocal-root\n" in container.run("blkid", "-p", "-o", "export", DISK).stdout
