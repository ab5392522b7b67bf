"""What is done with the console of a guest when one of its lives ends: it is kept, and what comes next is the next
life's, so that no line of the life before proves that this one is ready."""

from __future__ import annotations

from functools import partial

from xenlocal.engine.tasks import Tools
from xenlocal.model.memory import Memory


def begin_life(tools: Tools, uuid: str, name: str) -> None:
    """Whatever the console says from now on, the next life has said."""
    mark = tools.consoles.mark(name)
    tools.keeper.update(lambda memory: memory.change(uuid, console=mark))


def note_ends(tools: Tools, before: Memory) -> None:
    """After a look: of each life that has ended since `before`."""
    for uuid, record in tools.keeper.memory.records.items():
        old = before.records.get(uuid)
        if old is None or old.domid is None or old.off is not None:
            continue
        if record.domid != old.domid or record.off is not None:
            if record.off is not None or record.domid is None:
                begin_life(tools, uuid, record.known_as)
            # else the next life was seen at once, and may have said all it ever says: the former mark stays
            note = f"xenlocal: domid {old.domid} has ended ({record.off or 'rebooted'})"
            tools.work.submit(partial(tools.consoles.keep, old.known_as, note))
