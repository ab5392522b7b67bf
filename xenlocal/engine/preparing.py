"""A step that waits until a disk is prepared. The unit that does it goes on whatever becomes of this wait."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

from xenlocal.engine.ports import Reader
from xenlocal.engine.tasks import Outcome, Tools
from xenlocal.model.actions import WatchDisk
from xenlocal.model.desired import LogicalVolume
from xenlocal.model.diskwork import Preparation
from xenlocal.model.observed import Observed
from xenlocal.planner import memory as transitions
from xenlocal.planner.preparing import is_marked, is_there

_WHAT = {
    Preparation.INSTALL: "its installation",
    Preparation.RESIZE: "to grow its file system",
    Preparation.MODULES: "the installation of its modules",
}
_INTERVAL = 2.0  # seconds between two looks at /proc


class Preparing:
    runs_command = False  # it only looks, so it never keeps anything urgent waiting
    ran = ()

    def __init__(self, action: WatchDisk, tools: Tools) -> None:
        self._action, self._tools = action, tools
        self._answer: str | None = None
        self.next: float | None = None
        self._look: Future[None] | None = tools.work.submit(self._ask)

    def _ask(self) -> None:
        self._answer = why_not(self._tools.reader, self._action)

    def poll(self) -> tuple[Outcome, str] | None:
        now = self._tools.work.now()
        if self._look is None:
            if self.next is None or now < self.next:
                return None
            self._look, self.next = self._tools.work.submit(self._ask), None
            return None
        if not self._look.done():
            return None
        error, self._look = self._look.exception(), None
        if error is None and self._answer == "":
            self._tools.keeper.update(lambda memory: memory.change(self._action.uuid, preparing=""))
            return Outcome.DONE, ""
        if error is None and self._answer is not None:
            why, uuid = f"{_WHAT[self._action.work]} failed: {self._answer}", self._action.uuid
            self._tools.keeper.update(partial(transitions.start_failed, uuid=uuid, why=why, now=now))
            return Outcome.FAILED, why
        self.next = now + _INTERVAL  # it is at work, or nobody knows
        return None


def why_not(reader: Reader, action: WatchDisk) -> str | None:
    """None while it is at work; "" when the mark is gone; else why it is not. Raises XenlocalError for unknown."""
    disk, work = action.disk, action.work
    if work.key_of(disk.path) in reader.disks_at_work():
        return None
    if isinstance(disk, LogicalVolume):
        seen = Observed(storage=reader.storage())
    else:
        seen = Observed(paths=reader.paths((disk.path, work.mark_of_file(disk.path))))
    if is_marked(disk, work, seen):
        return reader.words_of_work(action)
    return "" if is_there(disk, seen) else f"{disk.target} is not there any more"
