"""Our own files: the memory of this boot in RUN/memory.json, the last good configuration and the host's id in STATE.

Loading never fails: a memory that cannot be understood is a fresh one (everything in it is observed again or was a
request by hand), a last good configuration that cannot be understood is none. Both are said in the log.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Any

from xenlocal.adapters import own
from xenlocal.adapters.files import Files, write_private
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Hand, Login, Memory, Off, Record, Reply

BOOT_ID = "/proc/sys/kernel/random/boot_id"
MACHINE_ID = "/etc/machine-id"
_SCHEMA = 1
_ID = re.compile(r"[0-9a-f]{32}")

log = logging.getLogger("xenlocal")


class FileRecords:
    """Satisfies `engine.ports.Records`. `boot_id`, `machine_id`: paths, for tests and simulations."""

    def __init__(self, run_dir: str, state_dir: str, *, boot_id: str = BOOT_ID, machine_id: str = MACHINE_ID) -> None:
        self._memory = os.path.join(run_dir, "memory.json")
        self._good = os.path.join(state_dir, "last-good.json")
        self._host_id = os.path.join(state_dir, "host-id")
        self._boot_id, self._machine_id = boot_id, machine_id
        self._files = Files()
        self._present_boot: str | None = None
        self._written: dict[str, tuple[Record, str]] = {}  # by UUID: what it was when it was encoded, and its text

    def load_memory(self) -> Memory:
        """Of another boot: a fresh one, since its times and domids mean nothing any more."""
        content = self._load(self._memory)
        if content is None:
            return Memory()
        try:
            if content["boot"] != self.boot():
                log.info("%s is of an earlier boot; beginning afresh", self._memory)
                return Memory()
            return decode_memory(content["memory"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("cannot understand %s (%r); beginning afresh", self._memory, error)
            return Memory()

    def save_memory(self, memory: Memory) -> None:
        """Raises XenlocalError. Called several times a start, so only records that have changed are encoded anew."""
        self._written = {uuid: self._encoded(uuid, record) for uuid, record in memory.records.items()}
        if self._present_boot is None:
            self._present_boot = self.boot()
        head = json.dumps({"schema": _SCHEMA, "boot": self._present_boot})[:-1]
        rest = json.dumps(_encode_rest(memory))[:-1]
        records = ",\n".join(f"{json.dumps(uuid)}: {text}" for uuid, (_, text) in self._written.items())
        self._write(self._memory, f'{head}, "memory": {rest}, "records": {{\n{records}\n}}}}}}\n')

    def _encoded(self, uuid: str, record: Record) -> tuple[Record, str]:
        written = self._written.get(uuid)
        if written is not None and written[0] is record:  # frozen: the same object is the same text
            return written
        return record, json.dumps(encode_record(record))

    def load_good(self) -> tuple[ConfigFile, ...] | None:
        content = self._load(self._good)
        if content is None:
            return None
        try:
            return tuple(ConfigFile(_str(each["name"]), _str(each["text"])) for each in content["files"])
        except (KeyError, TypeError) as error:
            log.warning("cannot understand %s: %r", self._good, error)
            return None

    def save_good(self, files: Sequence[ConfigFile]) -> None:
        """All files in one, so that no crash can leave half of the old and half of the new. Raises XenlocalError."""
        listed = [{"name": each.name, "text": each.text} for each in files]
        self._save(self._good, {"schema": _SCHEMA, "files": listed})

    def host_id(self) -> str:
        """32 hexadecimal digits from which UUIDs are derived: /etc/machine-id as it was at the first run, so that a
        changed machine-id gives no domU another UUID. Where it cannot be kept, the present machine-id. A machine
        without one (a container, a chroot) gets an id at random, kept in the same place.

        Raises XenlocalError where there is none and none can be kept.
        """
        kept = (own.read_text(self._host_id) or "").strip()
        if _ID.fullmatch(kept):
            return kept
        present = (self._files.read_text(self._machine_id) or "").strip()
        has_one = _ID.fullmatch(present) is not None
        chosen = present if has_one else os.urandom(16).hex()
        try:
            write_private(self._host_id, f"{chosen}\n", 0o644)
        except OSError as error:
            if not has_one:
                raise XenlocalError(
                    f"cannot tell this host's id: {self._machine_id} holds none, and {self._host_id} cannot be "
                    f"written ({error.strerror}); run systemd-machine-id-setup"
                ) from error
            log.debug("cannot keep %s: %s", self._host_id, error)
        return chosen

    def boot(self) -> str:
        """The kernel's id of this boot; empty where it cannot be had."""
        try:
            return (self._files.read_text(self._boot_id) or "").strip()
        except XenlocalError:
            return ""

    def _load(self, path: str) -> Any:
        try:
            text = own.read_text(path)
            return None if text is None else json.loads(text)
        except (XenlocalError, ValueError, RecursionError) as error:
            log.warning("cannot read %s: %s", path, error)
            return None

    def _save(self, path: str, content: Any) -> None:
        self._write(path, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def _write(self, path: str, text: str) -> None:
        try:
            write_private(path, text)
        except OSError as error:
            raise XenlocalError(f"cannot write {path}: {error.strerror}") from error


def encode_memory(memory: Memory) -> Mapping[str, Any]:
    return {**_encode_rest(memory), "records": {uuid: encode_record(each) for uuid, each in memory.records.items()}}


def _encode_rest(memory: Memory) -> dict[str, Any]:
    return {field.name: _plain(getattr(memory, field.name)) for field in fields(Memory) if field.name != "records"}


def encode_record(record: Record) -> Mapping[str, Any]:
    return {field.name: _plain(getattr(record, field.name)) for field in fields(Record)}


def decode_memory(content: Mapping[str, Any]) -> Memory:
    """Raises KeyError, TypeError, ValueError. Fields of a newer version are dropped, missing ones take defaults."""
    values = _decode(Memory, {key: value for key, value in content.items() if key != "records"})
    records = {_str(uuid): Record(**_decode(Record, each)) for uuid, each in content["records"].items()}
    return Memory(**{**values, "records": MappingProxyType(records)})


def _decode(kind: type[Memory | Record | Reply | Login], content: Mapping[str, Any]) -> dict[str, Any]:
    types = {field.name: str(field.type) for field in fields(kind)}
    return {key: _DECODERS[types[key]](value) for key, value in content.items() if key in types}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Reply | Login):
        return asdict(value)
    return list(value) if isinstance(value, tuple) else value


def _exactly(*kinds: type) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if type(value) not in kinds:
            raise TypeError(f"{value!r} is none of {', '.join(kind.__name__ for kind in kinds)}")
        return value

    return decode


def _optional(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else decode(value)


def _many(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: tuple(decode(each) for each in _exactly(list)(value))


_str, _int, _bool = _exactly(str), _exactly(int), _exactly(bool)
_number = _exactly(int, float)


def _float(value: Any) -> float:
    return float(_number(value))


def _mapping(value: Any) -> Mapping[str, str]:
    return MappingProxyType({_str(key): _str(each) for key, each in _exactly(dict)(value).items()})


def _times(value: Any) -> Mapping[int, float]:
    return MappingProxyType({int(_str(key)): _float(each) for key, each in _exactly(dict)(value).items()})


def _logins(value: Any) -> Mapping[str, Login]:
    found = {_str(key): Login(**_decode(Login, _exactly(dict)(each))) for key, each in _exactly(dict)(value).items()}
    return MappingProxyType(found)


def _reply(value: Any) -> Reply:
    return Reply(**_decode(Reply, _exactly(dict)(value)))


# By the annotation of the field, so that a field added to the model is kept without a word here.
_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "str": _str,
    "int": _int,
    "int | None": _optional(_int),
    "bool": _bool,
    "bool | None": _optional(_bool),
    "Reply | None": _optional(_reply),
    "float": _float,
    "float | None": _optional(_float),
    "Off | None": _optional(Off),
    "Hand | None": _optional(Hand),
    "tuple[float, ...]": _many(_float),
    "tuple[str, ...]": _many(_str),
    "Mapping[str, str]": _mapping,
    "Mapping[str, str] | None": _optional(_mapping),
    "Mapping[int, float]": _times,
    "Mapping[str, Login]": _logins,
}
