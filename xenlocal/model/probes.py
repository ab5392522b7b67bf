"""How a domU shows that it does its job: `[[ready]]`. Each prints as `status` names it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from xenlocal.model.units import Duration


@dataclass(frozen=True)
class TcpProbe:
    """`tcp = HOST:PORT`: ready when a connection is accepted."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp {f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True)
class PingProbe:
    """`ping = HOST`: ready when it answers one ping."""

    host: str

    def __str__(self) -> str:
        return f"ping {self.host}"


@dataclass(frozen=True)
class ConsoleProbe:
    """`console = REGEX`: ready when a line that it has written to its console since its birth matches."""

    pattern: str

    def __str__(self) -> str:
        return f"console {self.pattern}"


@dataclass(frozen=True)
class XenstoreProbe:
    """`xenstore = data/...`: ready when the guest has written it; `key` is below /local/domain/DOMID/."""

    key: str

    def __str__(self) -> str:
        return f"xenstore {self.key}"


@dataclass(frozen=True)
class CommandProbe:
    """`command = /absolute/path ...`: ready when it exits with 0 on the dom0."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return f"command {shlex.join(self.argv)}"


@dataclass(frozen=True)
class DefaultProbe:
    """No `[[ready]]`: the PV stop feature shows in xenstore, or `after` has passed since the birth."""

    after: Duration = Duration(10)


NO_PROBE = DefaultProbe()

Probe = TcpProbe | PingProbe | ConsoleProbe | XenstoreProbe | CommandProbe | DefaultProbe
