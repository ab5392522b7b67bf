"""`FileBackedDom0`: a simulated dom0 whose state lives in a FILE, so that commands chain and a demo can be poked at.

Not live, for one command at a time: the clock is virtual, kept in FILE, and advances only by what happens. Live, for
a daemon: the clock goes on by itself, 1 / `time_scale` simulated seconds in each real one, and a thread notices
births, deaths and what other processes did to FILE. A command that meets a live process goes by its clock too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from xenlocal.simulator.coding import from_json, to_json
from xenlocal.simulator.host import SimulatedDom0
from xenlocal.simulator.state import Host, small_host
from xenlocal.simulator.store import Store, uptime

_POLL = 0.1  # real seconds between two looks at FILE, in live mode
_TIME_SCALE = 0.2  # of a new FILE


class FileBackedDom0(SimulatedDom0):
    """`path`: FILE, made as `state.small_host` where it does not exist. `clock`: real seconds that never jump, the
    same in every process. Is itself the `Sleeper` of a live `SimRunner`.

    Raises ValueError where FILE holds no state of a host, OSError where it cannot be read or written.
    """

    def __init__(self, path: str, live: bool = False, clock: Callable[[], float] = uptime) -> None:
        self._store = Store(path)
        self._clock = clock
        self.live = False
        """Whether time goes on by itself, here or because another process runs FILE live."""
        super().__init__(small_host())
        self._closing = threading.Event()
        self._store.lock()
        try:
            self._load(self._store.read())
            others = self._store.anybody_live()
            if live:
                self._store.go_live()
            if not others:
                self.state.live_since = [clock(), self.state.now] if live else None
            self.live = live or others
            self._save()
        finally:
            self._store.unlock()
        self._announced = self.state.lifecycle
        self._thread = threading.Thread(target=self._watch_file, name="simulated-dom0", daemon=True) if live else None
        if self._thread:
            self._thread.start()

    @property
    def now(self) -> float:
        """While the state is held it stands still: what is due happens at its own time, not when it was noticed."""
        return self.state.now if self._depth else self._flowing()

    def _flowing(self) -> float:
        if self.live and self.state.live_since:
            began, then = self.state.live_since
            return max(self.state.now, then + (self._clock() - began) / self._scale())
        return self.state.now

    def advance(self, to: float) -> None:
        """Live, time cannot be pushed: it is waited for."""
        if not self.live:
            super().advance(to)
            return
        while (left := to - self._flowing()) > 0 and not self._closing.wait(left * self._scale()):
            pass
        with self.hold():
            pass  # comes up to date on the way in

    def sleep(self, seconds: float) -> None:
        """Let simulated seconds pass for the calling thread."""
        self.advance(self.now + seconds)

    def json(self) -> str:
        """The state as FILE holds it."""
        with self.hold():
            return to_json(self.state)

    def close(self) -> None:
        """Stop the thread, and live time with it."""
        self._closing.set()
        if self._thread:
            self._thread.join()
        self._store.close()

    def _scale(self) -> float:
        return max(self.state.time_scale, 0.001)

    def _load(self, text: str | None) -> None:
        if text is None:
            self.state = small_host()
            self.state.time_scale = _TIME_SCALE
        else:
            self.state = from_json(text)

    def _enter(self) -> None:
        self._store.lock()
        try:
            if self._store.changed():
                before: Host = self.state
                self._load(self._store.read())
                self.state.now = max(self.state.now, before.now)
            if self.live:
                super().advance(self._flowing())
        except BaseException:
            self._store.unlock()
            raise

    def _leave(self) -> None:
        try:
            self._save()
        finally:
            self._store.unlock()

    def _save(self) -> None:
        text = to_json(self.state)
        if text != self._store.text:
            self._store.write(text)

    def _watch_file(self) -> None:
        while not self._closing.wait(_POLL):
            event = self.next_event()
            if self._store.changed() or (event is not None and event <= self._flowing()):
                try:
                    with self.hold():
                        pass  # on the way in it comes up to date, on the way out it announces
                except ValueError:
                    continue  # somebody wrote nonsense by hand; whoever asks next is told
