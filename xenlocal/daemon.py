"""The daemon: the loop, what wakes it, and who may ask it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from xenlocal.adapters import control, own, process
from xenlocal.adapters.command import Commands
from xenlocal.adapters.confdir import ConfigDir
from xenlocal.adapters.process import Lock
from xenlocal.adapters.rehearser import Rehearser
from xenlocal.adapters.systemd import SystemdNotifier, log_to
from xenlocal.engine.foresight import Foresight
from xenlocal.engine.inbox import Inbox, Request
from xenlocal.engine.loop import Loop
from xenlocal.model.errors import NoDom0
from xenlocal.parts import Parts


def run(parts: Parts, daemonize: bool) -> None:
    """Until it is told to stop. Raises NoDom0, Busy."""
    from xenlocal import hosts

    os.umask(0o077)
    for place in (parts.places.run_dir, parts.places.state_dir):
        with own.directory(place):
            pass  # made, and only ours
    if parts.places.simulate is None and not hosts.is_dom0():
        raise NoDom0("this machine is no Xen dom0: /proc/xen/capabilities does not say control_d; boot into Xen first")
    with Lock(parts.places.run_dir) as lock:
        if daemonize:
            process.daemonize(lock, str(parts.run_dir / "daemon.log"))
        log_to(sys.stderr)
        serve(parts)


def serve(parts: Parts) -> None:
    """Under the lock."""
    host, history = parts.host(live=True), parts.history()
    foresight = Foresight(Rehearser(Commands(), parts.myself), host.work)
    loop, inbox = parts.loop(host, SystemdNotifier(), history, foresight)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: inbox.stop())
    signal.signal(signal.SIGHUP, lambda _number, _frame: inbox.look_again())
    server = control.ControlServer(parts.socket, _handler(loop, inbox))
    watches = [ConfigDir(parts.places.config_dir).watch(inbox.look_again), host.watch(inbox.host_event)]
    try:
        loop.run()
    finally:
        server.close()
        for watch in watches:
            watch.stop()
        history.close()


def _handler(loop: Loop, inbox: Inbox) -> control.Handler:
    """Answers from what the last cycle saw where that is enough; all else is the loop's to do."""

    def handle(
        verb: str,
        names: tuple[str, ...],
        progress: Callable[[str], None],
        ended: Callable[[int, dict[str, Any]], None],
    ) -> None:
        if verb == "status":
            data = loop.status()
            ended(0, data) if data is not None else ended(1, {"message": "the first look at the host is not over yet"})
        elif verb == "reload":
            ended(*loop.reload())
        elif verb == "why":
            ended(*loop.why(names[0] if names else ""))
        else:
            request = Request(verb, names, progress)
            request.ended = lambda: ended(request.code, request.result)
            inbox.ask(request)

    return handle
