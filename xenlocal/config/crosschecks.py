"""What is wrong between objects, over all files: names that lead nowhere, and things that two have at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from xenlocal.config import iscsi
from xenlocal.config.build import DomainDraft
from xenlocal.config.identity import derive_mac
from xenlocal.config.names import unmapped
from xenlocal.config.problems import Place, Problems, clip, did_you_mean
from xenlocal.config.settings import Settings
from xenlocal.model.desired import Backing, BlockDevice, Bridge, Disk, Iscsi, LogicalVolume, State
from xenlocal.model.names import Kind


@dataclass(frozen=True)
class Drafts:
    """Everything declared, faulty or not. `perhaps` are names in headers of unknown kind: somebody meant something
    by them, so a reference to one is not reported as well. `complete` False: some text declares nobody knows
    what, so that no reference can be called unknown."""

    bridges: Mapping[str, tuple[Bridge, Settings]]
    iscsi: Mapping[str, tuple[Iscsi, Settings]]
    domains: Mapping[str, DomainDraft]
    defaults: Settings
    perhaps: frozenset[str]
    complete: bool

    def in_order(self) -> list[DomainDraft]:
        """By where they stand, so that of two that quarrel the later one is told."""
        return sorted(self.domains.values(), key=lambda draft: (draft.settings.place.file, draft.settings.place.line))


def check(drafts: Drafts, problems: Problems) -> None:
    _ports(drafts, problems)
    _bridges_of_nics(drafts, problems)
    quarrel = _former_names(drafts, problems)
    _macs(drafts, quarrel, problems)
    _uuids(drafts, quarrel, problems)
    _screens(drafts, problems)
    _devices(drafts, problems)
    _disks(drafts, problems)
    iscsi.check_nodes(drafts.iscsi, problems)
    _portals_of_disks(drafts, problems)
    _references(drafts, problems)


def _known(name: str, known: Iterable[str], drafts: Drafts) -> bool:
    return not name or name in known or name in drafts.perhaps or not drafts.complete


def _ports(drafts: Drafts, problems: Problems) -> None:
    first: dict[str, Place] = {}
    by_place = sorted(drafts.bridges.values(), key=lambda each: (each[1].place.file, each[1].place.line))
    for bridge, settings in by_place:
        for port in bridge.ports or ():
            place = settings.at("ports")
            if port in first:
                where = f"already a port of {first[port].label} ({first[port].source})"
                problems.add(place, f"port '{port}' is {where}; a port has one bridge", "ports")
            elif port in drafts.bridges and port != bridge.name:
                problems.add(place, f"port '{port}' is itself a bridge; remove it", "ports")
            first.setdefault(port, place)


def _bridges_of_nics(drafts: Drafts, problems: Problems) -> None:
    for draft in drafts.in_order():
        for nic, settings in draft.nics:
            if not _known(nic.bridge, drafts.bridges, drafts):
                problems.add(settings.at("bridge"), _unknown_bridge(nic.bridge, "", drafts), "bridge")


def _unknown_bridge(name: str, where: str, drafts: Drafts) -> str:
    otherwise = f"declare [bridge {clip(name)}], with external = yes if something else makes it"
    return f"unknown bridge '{clip(name)}'{where}{did_you_mean(name, drafts.bridges, otherwise)}"


def _former_names(drafts: Drafts, problems: Problems) -> frozenset[str]:
    """`was`: one domU, one identity. Returns those that quarrel, of whose UUIDs and MACs nothing more is to be said."""
    first: dict[str, Place] = {}
    quarrel: set[str] = set()
    for draft in drafts.in_order():
        was, name, place = draft.domain.was, draft.domain.name, draft.settings.at("was")
        if was is None:
            continue
        other, message = drafts.domains.get(was), ""
        if was == name:
            message = "was names the domU itself; remove it"
        elif other is not None:
            message = (
                f"it was '{clip(was)}', and [domain {clip(was)}] is still declared ({other.settings.place.source});"
                f" remove that section, or write uuid = {draft.domain.uuid} here instead of was"
            )
        elif was in first:
            message = f"{first[was].label} was '{clip(was)}' too ({first[was].source}); a domU has one successor"
        if message:
            quarrel.add(name)
            problems.add(place, message, "was")
        first.setdefault(was, place)
    return frozenset(quarrel)


def _macs(drafts: Drafts, quarrel: frozenset[str], problems: Problems) -> None:
    first: dict[str, Place] = {}
    drawn = [draft for draft in drafts.in_order() if draft.domain.name not in quarrel]
    declared_first = sorted(
        ((nic, settings, draft) for draft in drawn for nic, settings in draft.nics),
        key=lambda each: "mac" not in each[1].values,
    )
    taken = {nic.mac for nic, _, _ in declared_first}
    for nic, settings, draft in declared_first:
        place = settings.at("mac")
        if nic.mac not in first:
            first[nic.mac] = place
            continue
        other = f"{first[nic.mac].label} ({first[nic.mac].source})"
        if "mac" in settings.values:
            message = f"mac {nic.mac} is already that of {other}; write another, or leave mac out"
        else:
            others = (derive_mac(draft.domain.uuid, f"{nic.name}/{number}") for number in count())
            free = next(mac for mac in others if mac not in taken)
            message = f"the derived mac {nic.mac} happens to be that of {other}; write one, such as mac = {free}"
        problems.add(place, message, "mac")


def _uuids(drafts: Drafts, quarrel: frozenset[str], problems: Problems) -> None:
    first: dict[str, Place] = {}
    for draft in drafts.in_order():
        if draft.domain.name in quarrel:
            continue
        place = draft.settings.at("uuid")
        if draft.domain.uuid in first:
            other = first[draft.domain.uuid]
            message = f"uuid {draft.domain.uuid} is already that of {other.label} ({other.source})"
            problems.add(place, f"{message}; take one from uuidgen, or leave uuid out", "uuid")
        first.setdefault(draft.domain.uuid, place)


def _screens(drafts: Drafts, problems: Problems) -> None:
    first: dict[int, Place] = {}
    for draft in drafts.in_order():
        screen, place = draft.domain.vnc, draft.settings.at("vnc")
        if screen is None:
            continue
        if screen.display in first:
            other = first[screen.display]
            free = next(number for number in count(1) if number not in first)
            message = f"display {screen.display} is already that of {other.label} ({other.source})"
            problems.add(place, f"{message}; write another, such as {free}", "vnc")
        first.setdefault(screen.display, place)


def _devices(drafts: Drafts, problems: Problems) -> None:
    first: dict[str, Place] = {}
    for draft in drafts.in_order():
        given = {"pci": draft.domain.pci, "usb": draft.domain.usb} if draft.domain.state is not State.ABSENT else {}
        for key, device in [(key, device) for key, devices in given.items() for device in devices]:
            place = draft.settings.at(key)
            if device in first:
                other = f"{first[device].label} ({first[device].source})"
                problems.add(place, f"{key} {device} is already given to {other}; a device has one guest", key)
            first.setdefault(device, place)


@dataclass(frozen=True)
class _Use:
    draft: DomainDraft
    disk: Disk
    settings: Settings

    @property
    def place(self) -> Place:
        return self.settings.at(self.disk.backing.target.kind)

    @property
    def absent(self) -> bool:
        return self.draft.domain.state is State.ABSENT

    @property
    def who(self) -> str:
        return f"{self.settings.place.label} ({self.place.source})"


def _disks(drafts: Drafts, problems: Problems) -> None:
    uses: dict[str, list[_Use]] = defaultdict(list)
    for draft in drafts.in_order():
        for disk, settings in draft.disks:
            uses[same_storage(disk.backing)].append(_Use(draft, disk, settings))
    for users in uses.values():
        _shared(users, problems)


def _portals_of_disks(drafts: Drafts, problems: Problems) -> None:
    for draft in drafts.in_order():
        for disk, settings in draft.disks:
            if isinstance(disk.backing, BlockDevice) and drafts.complete:
                why = iscsi.why_not_reached(disk.backing.path, drafts.iscsi)
                if why is not None:
                    problems.add(settings.at("device"), why, "device")


def _shared(users: Sequence[_Use], problems: Problems) -> None:
    """Each use after the first that quarrels is told once, with the one it quarrels with."""
    retired = next((use for use in users if use.absent and isinstance(use.disk.backing, LogicalVolume)), None)
    writer: _Use | None = None
    for use in users:
        target = use.disk.backing.target
        if retired and not use.absent:
            message = f"{target} also belongs to {retired.who}, which is absent: it would be retired under this domU"
            problems.add(use.place, f"{message}; remove it there", target.kind)
        elif not use.disk.readonly and not (use.absent and retired is None):
            if writer and not (use.disk.goes_with(writer.disk) and use.draft is not writer.draft):
                message = f"{target} is already writable in {writer.who}; {_instead(use, writer)}"
                problems.add(use.place, message, target.kind)
            writer = writer or use
    _read_beside(users, problems)
    _made_alike(users, problems)


def _instead(use: _Use, writer: _Use) -> str:
    """What to write. One that says w! has said that its guest can share the disk; the other has to say so too."""
    other = f"or another {use.disk.backing.target.kind}"
    if use.draft is writer.draft:
        return f"write mode = r, {other}"
    if not (use.disk.shared or writer.disk.shared):
        return f"write mode = r in both, {other}"
    silent = writer if use.disk.shared else use
    return f"mode = w! is for all that share it: write it in {silent.who} too, or mode = r in both, {other}"


def _read_beside(users: Sequence[_Use], problems: Problems) -> None:
    """Of two that are to run, one only reads what the other writes to: whichever comes second could never start."""
    running = [use for use in users if use.draft.domain.state is State.RUNNING]
    writer = next((use for use in running if not use.disk.readonly), None)
    for use in running:
        if writer and use.disk.readonly and use.draft is not writer.draft:
            target = use.disk.backing.target
            message = f"{target} is writable in {writer.who}, so no other domU can have it beside that; write mode = r"
            problems.add(use.place, f"{message} in both, or another {target.kind}", target.kind)


def _made_alike(users: Sequence[_Use], problems: Problems) -> None:
    """One volume is made in one way."""
    first: dict[str, tuple[str, Place]] = {}
    for use in users:
        for key in {"pool", "allocate"} & use.settings.values.keys():
            value, place = str(use.settings.values[key]), use.settings.at(key)
            other = first.setdefault(key, (value, place))
            if other[0] != value:
                message = f"{key} of {use.disk.backing.target} is {other[0]} in {other[1].label} ({other[1].source})"
                problems.add(place, f"{message}; write the same here, or leave it out", key)


def same_storage(backing: Backing) -> str:
    """The same text for two ways to write one volume: by LVM's names, /dev/VG/LV or /dev/mapper/VG-LV."""
    return unmapped(backing.path)


def _references(drafts: Drafts, problems: Problems) -> None:
    for draft in drafts.in_order():
        domain, settings = draft.domain, draft.settings
        for key, names, things in (
            ("after", domain.after, domain.after_things),
            ("needs", domain.needs, domain.needs_things),
        ):
            place = drafts.defaults.at(key) if settings.inherits(key) else settings.at(key)
            for target in things:
                if target.kind is Kind.BRIDGE and not _known(target.name, drafts.bridges, drafts):
                    problems.add(place, _unknown_bridge(target.name, f" in {key}", drafts), key)
                elif target.kind is Kind.ISCSI and not _known(target.name, drafts.iscsi, drafts):
                    hint = did_you_mean(target.name, drafts.iscsi, f"declare [iscsi {clip(target.name)}]")
                    problems.add(place, f"unknown iscsi '{clip(target.name)}' in {key}{hint}", key)
            for name in names:
                other = drafts.domains.get(name)
                if name == domain.name:
                    problems.add(place, f"{key} names the domU itself; remove '{clip(name)}'", key)
                elif other is None:
                    if not _known(name, (), drafts):
                        hint = _who_is(name, set() if settings.inherits(key) else {domain.name}, drafts)
                        problems.add(place, f"unknown domain '{clip(name)}' in {key}{hint}", key)
                elif key == "needs" and domain.state is State.RUNNING:
                    _can_start(draft, other, settings.at(key), problems)


def _who_is(name: str, own: set[str], drafts: Drafts) -> str:
    for other, draft in drafts.domains.items():
        if draft.domain.was == name:
            return f"; it is [domain {clip(other)}] now, write {clip(other)}"
    return did_you_mean(name, drafts.domains.keys() - own, f"declare [domain {clip(name)}]")


def _can_start(draft: DomainDraft, other: DomainDraft, place: Place, problems: Problems) -> None:
    state, name = other.domain.state, clip(other.domain.name)
    if state in (State.STOPPED, State.ABSENT):
        problems.add(
            place,
            f"it needs '{name}', which is {state} ({other.settings.at('state').source}), so it can never start; "
            f"write after = {name} instead",
            "needs",
        )
