"""Where built images and snapshots live between runs: outside the checkout, published whole or not at all.

Directory: `$XENLOCAL_CACHE`, else `~/.cache/xenlocal-rig`. An entry's name carries a hash of everything it was made
from, so that a changed input is a new entry and nothing is ever updated in place.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.wait import wait_for

UNUSED_SECONDS = 7 * 24 * 3600
"""An older version of an entry goes when nobody has used it for so long."""

LOCK_SECONDS = 1800
"""How long one run waits for another that builds the same entry."""


def cache_dir() -> Path:
    """The cache's directory, made if absent."""
    path = Path(os.environ.get("XENLOCAL_CACHE") or Path.home() / ".cache" / "xenlocal-rig")
    path.mkdir(parents=True, exist_ok=True)
    return path


def key_of(parts: Iterable[str | bytes | Path]) -> str:
    """A short hash of strings, bytes and the contents of files."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:12]


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold the lock of one entry, so that two runs do not build it at once; the kernel frees it if we die."""
    with open(cache_dir() / f".{name}.lock", "w") as lock:

        def taken() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_for(taken, LOCK_SECONDS, f"another run that builds {name}", every=0.5)
        yield


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """The cached directory `name`, made by `build(empty directory)` where it is missing."""
    entry = cache_dir() / name
    if entry.is_dir():
        os.utime(entry)
        return entry
    with _locked(name):
        if not entry.is_dir():
            work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=cache_dir()))
            try:
                work.chmod(0o755)
                build(work)
                work.rename(entry)
                _forget_unused(name)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return entry


def _forget_unused(name: str) -> None:
    """Remove former versions of `name` (the same name with another hash): an image is close to 1 GB."""
    family, _, _ = name.rpartition("-")
    for other in cache_dir().glob(f"{family}-*"):
        if other.is_dir() and time.time() - other.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(other)
