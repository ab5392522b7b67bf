"""From sections to the objects of the model, with the problems that one object has by itself.

A faulty object is still built, as far as it goes, so that the checks across objects see it: nobody gets to use it,
because one problem anywhere refuses the whole configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xenlocal.config import contradictions, identity, iscsi, names, passthrough, schema
from xenlocal.config.contradictions import BOOT
from xenlocal.config.install import build_install
from xenlocal.config.problems import Place, Problems, clip, did_you_mean
from xenlocal.config.sections import Section
from xenlocal.config.settings import Settings, read_settings
from xenlocal.model.desired import (
    Backing,
    BlockDevice,
    Bridge,
    Disk,
    Domain,
    GuestType,
    Host,
    ImageFile,
    Iscsi,
    LogicalVolume,
    Nic,
    State,
)
from xenlocal.model.diskwork import Install
from xenlocal.model.names import Kind
from xenlocal.model.names import domain as domain_target
from xenlocal.model.probes import NO_PROBE, ConsoleProbe, Probe
from xenlocal.model.units import Size

_BACKINGS = ("volume", "device", "file", "cdrom")


@dataclass(frozen=True)
class DomainDraft:
    """A domain, and where each thing of it stands."""

    domain: Domain
    settings: Settings
    disks: tuple[tuple[Disk, Settings], ...]
    nics: tuple[tuple[Nic, Settings], ...]


def build_host(section: Section, problems: Problems) -> Host:
    settings = _without_parts(section, "host", problems)
    return Host(**settings.values)


def build_defaults(section: Section, problems: Problems) -> Settings:
    settings = _without_parts(section, "defaults", problems)
    state = settings.get("state")
    if state in (State.STOPPED, State.ABSENT):  # a file cut off above `state = running` would stop that domU
        message = f"state = {state} is not for every domU that is silent; write it into each [domain NAME] it is for"
        problems.add(settings.at("state"), message, "state")
    return settings


def build_bridge(section: Section, name: str, problems: Problems) -> tuple[Bridge, Settings]:
    settings = _without_parts(section, "bridge", problems)
    _check_name(names.interface, name, section.place, problems)
    if name in (settings.get("ports") or ()):
        problems.add(settings.at("ports"), f"a bridge cannot be its own port; remove '{clip(name)}'", "ports")
    return Bridge(name=name, source=section.place.source, **settings.values), settings


def build_iscsi(section: Section, name: str, problems: Problems) -> tuple[Iscsi, Settings]:
    settings = _without_parts(section, "iscsi", problems)
    return iscsi.build(section, name, settings, problems), settings


def _without_parts(section: Section, kind: str, problems: Problems) -> Settings:
    for part in section.parts:
        message = f"[{kind}] has no parts; [[{clip(part.title)}]] belongs into a [domain NAME]"
        problems.add(part.place, message)
    return read_settings(section, kind, problems)


def _check_name(rule: Any, name: str, place: Place, problems: Problems) -> None:
    try:
        rule(name)
    except ValueError as error:
        problems.add(place, str(error))


def build_domain(section: Section, name: str, defaults: Settings, host_id: str, problems: Problems) -> DomainDraft:
    _check_name(names.domain, name, section.place, problems)
    settings = read_settings(section, "domain", problems)
    _inherit(settings, defaults, name)
    uuid = settings.get("uuid") or identity.derive_uuid(host_id, settings.get("was") or name)
    parts = _parts(section, problems)
    made = [_disk(part, title, problems) for part, kind, title in parts if kind == "disk"]
    disks = tuple((disk, where) for disk, where in made if disk and _is_attached(where))
    drawn = [_nic(part, title, uuid, problems) for part, kind, title in parts if kind == "nic"]
    nics = tuple((nic, where) for nic, where in drawn if _is_attached(where))
    probe: Probe = NO_PROBE
    extra: dict[str, str] = {}
    install: Install | None = None
    for part, kind, _ in parts:
        if kind == "ready":
            probe = _ready(part, problems)
            if isinstance(probe, ConsoleProbe) and settings.get("type") is GuestType.HVM:
                message = "the console of an hvm guest is not logged; write tcp, ping, xenstore or command instead"
                problems.add(part.place, message, "console")
        elif kind == "install":
            install = build_install(part, settings, disks, nics, problems)
        elif kind == "xl":
            extra = _xl(part, problems)
    diskless = all(part.title.partition(" ")[0] in {*schema.PARTS} - {"disk"} for part in section.parts)
    contradictions.check(settings, disks, diskless, problems)
    supported = {key.name for key in schema.keys_of("domain").values() if key.supported} - {"uuid"}
    fields = {"memory": Size.mib(4), **{key: settings.values[key] for key in supported & settings.values.keys()}}
    for key in ("after", "needs"):
        named = settings.get(key) or ()
        fields[key] = tuple(target.name for target in named if target.kind is Kind.DOMAIN)
        fields[f"{key}_things"] = tuple(target for target in named if target.kind is not Kind.DOMAIN)
    domain = Domain(
        name=name,
        uuid=uuid,
        source=section.place.source,
        disks=tuple(disk for disk, _ in disks),
        nics=tuple(nic for nic, _ in nics),
        unplugged=tuple(thing for thing, where in (*made, *drawn) if thing and not _is_attached(where)),
        probe=probe,
        install=install,
        extra=tuple(sorted(extra.items())),
        unsupported=_unsupported(settings),
        **fields,
    )
    return DomainDraft(domain, settings, disks, nics)


def _is_attached(settings: Settings) -> bool:
    return settings.values.get("attached", True) is True


def _inherit(settings: Settings, defaults: Settings, name: str) -> None:
    """Take from [defaults] what the domain is silent on. How it boots is one choice: a domain that declares its own
    way is not silent on the others; and one that everybody else waits for does not wait for itself."""
    keys = set(schema.keys_of("domain"))
    if "kernel" in settings.values:
        keys -= set(BOOT)
    elif settings.values.keys() & set(BOOT) or settings.get("type") is GuestType.HVM:
        keys -= {*BOOT, "ramdisk", "cmdline"}
    settings.inherit(defaults, keys)
    for key in ("after", "needs"):
        if settings.inherits(key):
            own = domain_target(name)
            settings.values[key] = tuple(other for other in settings.values[key] if other != own)


def _unsupported(settings: Settings) -> tuple[str, ...]:
    """What is valid here and this version cannot do yet, as the planner's refusal says it."""
    return tuple(
        key.name for key in schema.keys_of("domain").values() if not key.supported and key.name in settings.values
    )


def _parts(section: Section, problems: Problems) -> list[tuple[Section, str, str]]:
    """The parts of a domain that are of a known kind and well named: (part, kind, name)."""
    found: dict[tuple[str, str], Section] = {}
    for part in section.parts:
        kind, _, title = part.title.partition(" ")
        message = _part_problem(part.title, kind, title)
        if message:
            problems.add(part.place, message)
        elif (kind, title) in found:
            problems.add(part.place, f"already declared at {found[kind, title].place.source}")
            _read_only_for_problems(part, kind, problems)
        else:
            found[kind, title] = part
    return [(part, kind, title) for (kind, title), part in found.items()]


def _part_problem(text: str, kind: str, title: str) -> str | None:
    if kind not in schema.PARTS:
        if kind in schema.SECTIONS:
            return f"[[{clip(text)}]] is no part of a domain; write [{clip(text)}]"
        return f"unknown part [[{clip(text)}]]" + did_you_mean(
            kind, schema.PARTS, "write [[disk NAME]], [[nic NAME]], [[ready]], [[install]] or [[xl]]"
        )
    if schema.PARTS[kind] and not title:
        return f"[[{kind}]] has no name; write one such as [[{kind} {'xvda' if kind == 'disk' else 'eth0'}]]"
    if not schema.PARTS[kind] and title:
        return f"[[{kind}]] takes no name; write [[{kind}]]"
    return None


def _read_only_for_problems(part: Section, kind: str, problems: Problems) -> None:
    if kind == "xl":
        _xl(part, problems)
    else:
        read_settings(part, kind, problems)


def _disk(part: Section, vdev: str, problems: Problems) -> tuple[Disk | None, Settings]:
    _check_name(names.vdev, vdev, part.place, problems)
    settings = read_settings(part, "disk", problems)
    given = [key for key in _BACKINGS if key in settings.values]
    for key in given[1:]:
        message = f"a disk is either a volume, a device, a file or a cdrom; remove {given[0]} or {key}"
        problems.add(settings.at(key), message, key)
    if not given:
        if not settings.damaged and not settings.excused & {*_BACKINGS}:
            message = "the disk has no volume, device or file; write one such as volume = vg0/web-root"
            problems.add(settings.place, message, "volume")
        return None, settings
    if given in (["device"], ["cdrom"]) and "size" in settings.values:
        message = f"size is not for a {given[0]}, which is used as it is; remove it"
        problems.add(settings.at("size"), message, "size")
    _check_making(settings, given[0], problems)
    value = settings.values[given[0]]
    backing: Backing = (
        value
        if isinstance(value, LogicalVolume)
        else (BlockDevice(value) if given[0] == "device" else ImageFile(value))
    )
    cdrom = given[0] == "cdrom"
    if cdrom and settings.get("mode") in ("w", "w!"):
        problems.add(settings.at("mode"), "mode is not for a cdrom, which is only read; remove it", "mode")
    mode = settings.get("mode")
    resize_fs = settings.get("resize_fs") is True
    if resize_fs and (cdrom or mode in ("r", "w!") or settings.lacks("size")):
        message = "resize_fs is for a disk of one domU, writable and with a size, which xenlocal can grow; remove it"
        problems.add(settings.at("resize_fs"), message, "resize_fs")
    disk = Disk(
        vdev,
        backing,
        part.place.source,
        settings.get("size"),
        readonly=cdrom or mode == "r",
        cdrom=cdrom,
        shared=mode == "w!",
        pool=settings.get("pool"),
        full=settings.get("allocate") == "full",
        resize_fs=resize_fs,
    )
    return disk, settings


def _check_making(settings: Settings, kind: str, problems: Problems) -> None:
    """Keys that say how something is made belong to what xenlocal makes."""
    for key, owner in (("pool", "volume"), ("allocate", "file")):
        if key in settings.values and kind != owner:
            problems.add(settings.at(key), f"{key} is for a {owner}, and this is a {kind}; remove it", key)


def _nic(part: Section, name: str, uuid: str, problems: Problems) -> tuple[Nic, Settings]:
    _check_name(names.nic, name, part.place, problems)
    settings = read_settings(part, "nic", problems)
    if settings.lacks("bridge"):
        problems.add(settings.place, "bridge is missing; write one such as bridge = br0", "bridge")
    mac = settings.get("mac") or identity.derive_mac(uuid, name)
    return Nic(name, settings.values.get("bridge", ""), mac, part.place.source), settings


def _ready(part: Section, problems: Problems) -> Probe:
    settings = read_settings(part, "ready", problems)
    given = list(settings.values)
    for key in given[1:]:
        problems.add(settings.at(key), f"one probe only; remove {given[0]} or {key}", key)
    if not settings.excused and not settings.damaged:
        message = "[[ready]] is empty; write one such as tcp = 192.0.2.21:5432, or remove it"
        problems.add(settings.place, message)
    probe: Probe = settings.values[given[0]] if given else NO_PROBE
    return probe


def _xl(part: Section, problems: Problems) -> dict[str, str]:
    found = {}
    for key, entry in part.entries.items():
        try:
            found[key] = passthrough.render(key, entry)
        except ValueError as error:
            problems.add(part.place.at(entry.line), str(error), key)
    return found
