"""A kernel on trial: `xenlocal kernel NAME --update` gives its modules to the domU and starts that from it. Ready in
time, it stays; else the domU goes back to the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

from xenlocal.model.names import Kind, Target


@dataclass(frozen=True)
class Trial:
    """Outlives every boot of the host: what has failed must not be booted by the next one. `copy` and `before` are
    names of copies of kernels; `before` None: there is none to go back to. `failed`: why, or "" while it lasts."""

    name: str
    uuid: str
    release: str  # of the kernel on trial, as in /lib/modules
    copy: str
    before: str | None
    failed: str = ""

    @property
    def target(self) -> Target:
        return Target(Kind.DOMAIN, self.name)

    @property
    def copies(self) -> frozenset[str]:
        return frozenset({self.copy} if self.before is None else {self.copy, self.before})
