"""Booted once, resumed many times: the saved state of an idle dom0 and the disks that belong to it.

The state is written by QEMU's migration to a file, not by `savevm`: the disks then stay plain read-only qcow2 files, a
scenario's own disks are empty overlays on them, and nothing of some hundred MB is copied per scenario.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from rig.cache import cached, key_of
from rig.image import Image
from rig.machine import Machine
from rig.qemu import Hardware, qemu_version

HERE = Path(__file__).parent


def snapshot(image: Image, hardware: Hardware | None = None) -> Path:
    """The cached directory of a booted `image`: `state`, the disks, and `times.json` (seconds)."""
    hardware = hardware or Hardware()
    made_of: list[str | Path] = [
        image.key,
        repr(astuple(hardware)),
        qemu_version(),
        HERE / "qemu.py",
        HERE / "snapshot.py",
    ]
    return cached(f"booted-{image.suite}-{key_of(made_of)}", lambda target: _take(image, hardware, target))


def _take(image: Image, hardware: Hardware, target: Path) -> None:
    with _closed_on_failure(Machine(image, target, hardware)) as machine:
        began = time.monotonic()
        machine.boot()
        booted = time.monotonic()
        machine.run("sync; fstrim /; echo 3 > /proc/sys/vm/drop_caches", timeout=120)
        assert machine.qemu
        machine.qemu.save_state(target / "state")
        times = {"boot": round(booted - began, 1), "save": round(time.monotonic() - booted, 1)}
        (target / "times.json").write_text(json.dumps(times))


def resumed(image: Image, work: Path, hardware: Hardware | None = None) -> Machine:
    """A machine resumed from the snapshot of `image` on overlays of its own in `work`."""
    with _closed_on_failure(Machine(image, work, hardware, snapshot(image, hardware))) as machine:
        machine.resume()
        return machine


def booted(image: Image, work: Path, hardware: Hardware | None = None) -> Machine:
    """A machine booted from power-off on overlays of its own in `work`."""
    with _closed_on_failure(Machine(image, work, hardware)) as machine:
        machine.boot()
        return machine


@contextmanager
def _closed_on_failure(machine: Machine) -> Iterator[Machine]:
    """No QEMU stays behind where its start failed; the console goes with the exception."""
    try:
        yield machine
    except BaseException as problem:
        problem.add_note(f"console:\n{machine.console()[-4000:]}")
        machine.close()
        raise
