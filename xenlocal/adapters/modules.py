"""The modules that guests have for the kernels of the dom0 which they boot, read from their disks without a mount.

Only `check` and `doctor` ask; part of `adapters.inspection`. What a running guest has is read in a snapshot that lives
as long as the look. One that was left behind, since we were killed or the host lost its power, is removed by the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from xenlocal.adapters import argv, checked
from xenlocal.adapters.command import Runner
from xenlocal.adapters.files import FileReader
from xenlocal.adapters.kernels import HEADER, parse_release
from xenlocal.model.desired import Desired, Domain
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.inspection import GuestModules
from xenlocal.model.names import RELEASE, is_look_name
from xenlocal.model.observed import Observed, Unavailable
from xenlocal.model.storage import LOOK_TAG
from xenlocal.planner.checkup_modules import TABLES, Look, how_to_look, modular, root_disk

# catastrophic mode: read only, and without the bitmaps, which need not be right for a look; -f -: from stdin
DEBUGFS = ("debugfs", "-c", "-f", "-")
REQUESTS = "ls -p /\nls -p /lib/modules\n"
_SECONDS = 60.0
_ROW = re.compile(rf"/\d+/04\d{{4}}/\d+/\d+/({RELEASE.pattern})//")


def modules(runner: Runner, files: FileReader, desired: Desired, observed: Observed) -> Mapping[str, GuestModules]:
    """By name of the domU. Raises CommandFailed, ToolMissing or another XenlocalError."""
    _clear(runner, observed)
    domains = [domain for domain in desired.domains.values() if modular(domain)]
    tables = {table: getattr(observed, table) for table in TABLES}
    for table, known in tables.items():
        if domains and isinstance(known, Unavailable):
            raise XenlocalError(f"{table} is not known: {known.why}")
    found = {domain.name: _of_kernel(runner, files, domain, observed) for domain in domains}
    return {name: known for name, known in found.items() if known is not None}


def _of_kernel(runner: Runner, files: FileReader, domain: Domain, observed: Observed) -> GuestModules | None:
    """None where its kernel has no modules, or is not there, which another check says."""
    kernel = domain.kernel or ""
    place, _, name = kernel.rpartition("/")
    head = files.head(kernel, HEADER)
    config = files.read_text(f"{place}/config-{name.removeprefix('vmlinuz-')}")
    if head is None or (config is not None and "\nCONFIG_MODULES=y\n" not in config):
        return None
    release, root = parse_release(head), root_disk(domain)
    if release is None or isinstance(root, str):
        return GuestModules(release)
    look = how_to_look(domain, root.disk, observed)
    if isinstance(look, str):
        return GuestModules(release, unknown=look)
    try:
        with _seen(runner, look) as path:
            said = runner.run((*DEBUGFS, checked.path(path)), timeout=_SECONDS, input=REQUESTS)
    except CommandFailed as error:
        return GuestModules(release, unknown=str(error))
    return parse_modules(release, said, root.disk.backing.path)


def parse_modules(release: str, said: str, path: str) -> GuestModules:
    """debugfs (1.47) ends with 0 whatever happens; each request stands above what it has found."""
    _, _, rest = said.partition("debugfs: ls -p /\n")
    top, _, below = rest.partition("debugfs: ls -p /lib/modules\n")
    if not top.strip():
        return GuestModules(release, unknown=f"{path} holds no ext2, ext3 or ext4 file system that could be read")
    return GuestModules(
        release, tuple(sorted(match[1] for line in below.splitlines() if (match := _ROW.fullmatch(line))))
    )


@contextmanager
def _seen(runner: Runner, look: Look) -> Iterator[str]:
    if look.origin is None:
        yield look.path
        return
    try:
        runner.run(argv.take_look(look.origin.vg, look.origin.lv, look.room), timeout=_SECONDS)
    except CommandFailed as error:
        if error.status is None:  # killed halfway: it may be there
            _remove(runner, look.origin.vg, look.path)
        raise
    try:
        yield look.path
    finally:
        _remove(runner, look.origin.vg, look.path)


def _remove(runner: Runner, vg: str, path: str) -> None:
    lv = path.rpartition("/")[2]
    try:
        runner.run(argv.end_look(vg, lv), timeout=_SECONDS)
    except CommandFailed as error:
        raise XenlocalError(f"a snapshot could not be removed: {error}; type: lvremove {vg}/{lv}") from error


def _clear(runner: Runner, observed: Observed) -> None:
    """One that is open is another's, who looks just now."""
    if isinstance(observed.storage, Unavailable):
        return
    for volume in observed.storage.volumes.values():
        if LOOK_TAG in volume.tags and is_look_name(volume.lv) and not volume.opened:
            _remove(runner, volume.vg, volume.lv)
