"""One try of a probe: the Prober port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from xenlocal.adapters import argv, console
from xenlocal.adapters.command import Runner
from xenlocal.adapters.files import FileReader
from xenlocal.engine.ports import Guest
from xenlocal.model.errors import CommandFailed, XenlocalError
from xenlocal.model.probes import CommandProbe, ConsoleProbe, PingProbe, Probe, TcpProbe

_TCP_TIMEOUT = 2.0  # seconds, for each address of the host
_PING_TIMEOUT = 10.0  # seconds; the answer itself gets 2 s, the rest is for a slow name server
_COMMAND_TIMEOUT = 10.0
_NOT_RUN = (126, 127)  # by convention: it, or the program that it is about, could not be run
_GREP_TIMEOUT = 5.0
_CONSOLE_LIMIT = 256 << 10  # bytes: only the last so many since its birth are matched

Connect = Callable[[str, int, float], str]


def connect(host: str, port: int, timeout: float) -> str:
    """Why no connection is accepted within `timeout` seconds (for each of its addresses); "" where one is. Raises
    XenlocalError where the dom0 could not even ask, as without a name server or a route."""
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return ""
    except ConnectionRefusedError:
        return "refuses"
    except TimeoutError:
        return "does not answer"
    except (OSError, ValueError, OverflowError) as error:
        why = f"cannot be reached: {getattr(error, 'strerror', None) or error}"
        if isinstance(error, ConnectionError) or getattr(error, "errno", None) == errno.EHOSTUNREACH:
            return why
        raise XenlocalError(f"{TcpProbe(host, port)} {why}") from error


class HostProber:
    """Satisfies `engine.ports.Prober`. `connect` is there for the simulator."""

    def __init__(self, runner: Runner, files: FileReader, connect: Connect = connect) -> None:
        self._runner, self._files, self._connect = runner, files, connect

    def why_not(self, probe: Probe, guest: Guest) -> str:
        """Raises XenlocalError where it cannot be tried."""
        match probe:
            case TcpProbe(host, port):
                why = self._connect(host, port, _TCP_TIMEOUT)
                return f"{probe} {why}" if why else ""
            case PingProbe(host):
                return self._ping(probe, host)
            case ConsoleProbe(pattern):
                return self._console(probe, pattern, guest)
            case CommandProbe(words):
                return self._command(probe, words)
        raise ValueError(f"{probe} is tried by the lookout")

    def _ping(self, probe: PingProbe, host: str) -> str:
        try:
            self._runner.run(argv.ping(host), timeout=_PING_TIMEOUT)
        except CommandFailed as error:
            # iputils: 1 is no answer; anything else an error such as an unknown name, no end a slow name server
            if error.status != 1:
                raise
            return f"{probe} does not answer"
        return ""

    def _console(self, probe: ConsoleProbe, pattern: str, guest: Guest) -> str:
        """A guest chooses what is matched, and a pattern may take for ever on the right text: so the text is bounded,
        and a process of its own matches it, which can be ended (Python's `re` would stop the whole daemon)."""
        found = self._files.read_on(console.log_path(guest.name), guest.console, _CONSOLE_LIMIT)
        if found is None:
            raise XenlocalError(f"{probe}: {console.HOW_TO_LOG}")
        if not found[1]:
            return f"{probe}: nothing has come to {console.log_path(guest.name)} since its birth"
        try:
            self._runner.run(argv.grep(pattern), timeout=_GREP_TIMEOUT, input=console.plain(found[1]))
        except CommandFailed as error:
            if error.status != 1:
                raise
            return f"{probe}: no line matches since its birth"
        return ""

    def _command(self, probe: CommandProbe, words: tuple[str, ...]) -> str:
        """The administrator's own program, as root: so only what root alone can have put there."""
        untrusted = self._files.untrusted(words[0])
        if untrusted:
            raise XenlocalError(f"{probe} is not run: {untrusted}")
        try:
            self._runner.run(words, timeout=_COMMAND_TIMEOUT)
        except CommandFailed as error:
            if error.status in _NOT_RUN or (error.status is not None and error.status < 0):
                raise
            how = f"has no end after {_COMMAND_TIMEOUT:.0f} s" if error.status is None else f"exits with {error.status}"
            return f"{probe} {how}"
        return ""
