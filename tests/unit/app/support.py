"""A simulated host of one's own, for tests through the whole command line."""

from __future__ import annotations

from pathlib import Path


def new_host(path: Path) -> list[str]:
    """Its global options; `path` holds its files."""
    (path / "etc").mkdir(mode=0o755)
    places = {"config": "etc", "state": "var", "run": "run"}
    return [*(f"--{kind}-dir={path / place}" for kind, place in places.items()), f"--simulate={path / 'dom0.json'}"]


def declare(host: list[str], text: str) -> None:
    path = Path(host[0].partition("=")[2], "a.conf")
    path.write_text(text)
    path.chmod(0o644)


def state_of(host: list[str]) -> Path:
    """The FILE of --simulate."""
    return Path(host[-1].partition("=")[2])
