"""[iscsi NAME]: from its settings to the model, and which disks are reached by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xenlocal.config import iscsi_values
from xenlocal.config.problems import Place, Problems
from xenlocal.config.sections import Section
from xenlocal.config.settings import Settings
from xenlocal.model.desired import BlockDevice, Disk, Domain, Iscsi
from xenlocal.model.iscsi import Chap, Node, Portal


def build(section: Section, title: str, settings: Settings, problems: Problems) -> Iscsi:
    try:
        iscsi_values.name(title)
    except ValueError as error:
        problems.add(section.place, str(error))
    for key, example in (("portal", "192.0.2.10:3260"), ("target", "iqn.2012-10.example:bay1")):
        if settings.lacks(key):
            problems.add(settings.place, f"{key} is missing; write one such as {key} = {example}", key)
    for key, other in (("chap_user", "chap_secret"), ("chap_secret", "chap_user")):
        if key in settings.values and settings.lacks(other):
            message = f"{key} needs {other}; write both, or none where the target asks for no CHAP"
            problems.add(settings.at(key), message, key)
    node = Node(settings.values.get("target", ""), settings.values.get("portal", Portal("")))
    given = settings.values
    chap = Chap(given["chap_user"], given["chap_secret"]) if "chap_user" in given and "chap_secret" in given else None
    return Iscsi(title, section.place.source, node, chap)


def check_nodes(declared: Mapping[str, tuple[Iscsi, Settings]], problems: Problems) -> None:
    first: dict[Node, Place] = {}
    by_place = sorted(declared.values(), key=lambda each: (each[1].place.file, each[1].place.line))
    for each, settings in by_place:
        if not (each.node.iqn and each.node.portal.address):
            continue
        if each.node in first:
            other = first[each.node]
            message = f"{each.node} is already that of {other.label} ({other.source}); remove one of the two"
            problems.add(settings.at("target"), message, "target")
        first.setdefault(each.node, settings.place)


def why_not_reached(path: str, declared: Mapping[str, tuple[Iscsi, Settings]]) -> str | None:
    """What is wrong with a disk of a target that is declared at other portals than the one in its path: nobody would
    see to that session."""
    node = Node.of_disk(path)
    if node is None:
        return None
    same = [(each, settings) for each, settings in declared.values() if each.node.iqn == node.iqn]
    if not same or any(each.node == node for each, _ in same):
        return None
    each, settings = same[0]
    return (
        f"it is reached by {node.portal}, and {settings.place.label} ({settings.place.source}) logs in by"
        f" {each.node.portal}; write that address, or declare an [iscsi NAME] with portal = {node.portal} too"
    )


def tied(domain: Domain, declared: Mapping[str, Iscsi]) -> Domain:
    """The domain whose disks know by which section they are reached."""
    by_node = {each.node: each.target for each in declared.values()}

    def tie(disk: Disk) -> Disk:
        node = Node.of_disk(disk.backing.path) if isinstance(disk.backing, BlockDevice) else None
        return disk if node not in by_node else replace(disk, session=by_node[node])

    return replace(domain, disks=tuple(tie(disk) for disk in domain.disks))
