"""Whether a TCP service answers: the Prober port."""

from __future__ import annotations

import socket


class TcpProber:
    def accepts(self, host: str, port: int, timeout: float) -> bool:
        """Whether a connection to `host` is accepted within `timeout` seconds (for each of its addresses)."""
        try:
            with socket.create_connection((host, port), timeout=timeout):
                return True
        except (OSError, ValueError, OverflowError):
            return False
