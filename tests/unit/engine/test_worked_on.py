"""While a disk is worked on nobody else gets it, and whatever is edited meanwhile is neither lost nor in its way."""

from __future__ import annotations

from tests.unit.engine.rig import Daemon, Machine, conf

BACKINGS = {"file": "file = /srv/web.img", "volume": "volume = vg0/web"}


def grows(backing: str, size: str) -> str:
    return conf("web", "[[disk xvda]]", BACKINGS[backing], f"size = {size}", "resize_fs = yes")


def growing(backing: str, *others: str) -> tuple[Machine, Daemon]:
    """From 20 s on its file system is checked and grows, for 200 s."""
    made = Machine(grows(backing, "1G"), *others)
    Daemon(made).run(30)
    made.behave("web", install_seconds=200)
    daemon = Daemon(made)
    daemon.edit(5, grows(backing, "2G"), *others)
    daemon.ask(20, "restart", "web")
    return made, daemon


def test_a_file_system_may_take_as_long_as_it_likes_to_grow() -> None:
    """What ends resize2fs damages it, and a check that is begun anew every two hours never ends."""
    made, daemon = growing("volume")
    made.behave("web", install_seconds=10_000.0)
    daemon.run(10_200)
    assert made.running == {"web": "running"} and not [
        each for each in made.history.deeds() if each.outcome == "failed"
    ]
