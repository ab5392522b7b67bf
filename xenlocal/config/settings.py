"""From a section to its typed settings: every key known, every value valid, or a problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xenlocal.config import schema
from xenlocal.config.passthrough import why_not
from xenlocal.config.problems import Place, Problems, clip, did_you_mean, nearest
from xenlocal.config.sections import Section


@dataclass
class Settings:
    """The valid keys of one section. `excused` are keys that were probably meant, so that nobody is told that they
    are missing too."""

    place: Place
    damaged: bool
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def at(self, key: str) -> Place:
        """Where the key stands: in the section itself, or the section where it is inherited or not given."""
        return self.places.get(key, self.place)

    def inherits(self, key: str) -> bool:
        return key in self.values and key not in self.places

    def lacks(self, key: str) -> bool:
        """Missing, and nothing else has been said that explains why."""
        return key not in self.values and key not in self.excused and not self.damaged

    def unclear(self, key: str) -> bool:
        """Not known, and something has been said that explains why: nothing follows from its default either."""
        return key not in self.values and not self.lacks(key)

    def inherit(self, defaults: Settings, keys: set[str]) -> None:
        for key in keys - self.values.keys() - self.excused:
            if key in defaults.values:
                self.values[key] = defaults.values[key]
        self.excused |= keys & defaults.excused - defaults.values.keys()
        self.damaged = self.damaged or defaults.damaged


def read_settings(section: Section, kind: str, problems: Problems) -> Settings:
    """Everything valid that the section sets."""
    known = schema.keys_of(kind)
    settings = Settings(section.place, section.damaged)
    for name, entry in section.entries.items():
        place = section.place.at(entry.line)
        key = known.get(name)
        if key is None:
            problems.add(place, _unknown(name, kind, known), name)
            settings.excused.add(nearest(name, known) or name)
            continue
        settings.excused.add(name)
        if kind == "defaults" and not key.shared:
            problems.add(place, f"{name} cannot be the same for every domU; put it into a [domain NAME]", name)
            continue
        text = entry.text.strip()
        if not text and not key.may_be_empty:
            problems.add(place, f"{name} has no value; write one, or remove the line", name)
            continue
        try:
            settings.values[name] = key.parse(name, text)
            settings.places[name] = place
        except ValueError as error:
            problems.add(place, str(error), name)
    return settings


def _unknown(name: str, kind: str, known: Mapping[str, schema.Key]) -> str:
    shown = f"unknown key '{clip(name)}'"
    owners = [other for other in ("domain", *schema.PARTS, "bridge", "iscsi", "host") if name in schema.keys_of(other)]
    if owners and owners[0] == "domain" and kind in schema.PARTS:
        return f"{shown}; it belongs to [domain NAME], above the first [[part]]"
    if owners:
        inner = owners[0] in schema.PARTS
        title = owners[0] + (" NAME" if (schema.PARTS if inner else schema.SECTIONS)[owners[0]] else "")
        return f"{shown}; it belongs to {f'[[{title}]]' if inner else f'[{title}]'}"
    if kind in ("domain", "defaults") and (why := why_not(name)) is not None:
        return f"{shown}; {why}"
    near = did_you_mean(name, known)
    if near:
        return shown + near
    if kind == "domain":
        return f"{shown}; keys of xl.cfg that xenlocal does not know go under [[xl]]"
    return shown if kind == "defaults" else f"{shown}; write one of {', '.join(sorted(known))}"
