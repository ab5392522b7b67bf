"""The simulated host as JSON: the dataclasses of `state` key by key. A key left out has its default, so a host can be
written by hand in a few lines.
"""

from __future__ import annotations

import json
import types
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from xenlocal.simulator.state import Host

T = TypeVar("T")


def to_json(host: Host) -> str:
    """Sorted keys, so that the same state is the same text."""
    return json.dumps(asdict(host), indent=1, sort_keys=True) + "\n"


def from_json(text: str) -> Host:
    """Raises ValueError that names the key where a value is not of its type, or the key is unknown."""
    return _object(Host, json.loads(text), "host")


def _object(cls: type[T], value: Any, where: str) -> T:
    """A dataclass from its `asdict` form, checked."""
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object")
    hints = get_type_hints(cls)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise ValueError(f"{where}: unknown key '{unknown[0]}'")
    known = [name for name in hints if name in value]
    try:
        return cls(**{name: _decode(hints[name], value[name], f"{where}.{name}") for name in known})
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _decode(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        return _object(hint, value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list and isinstance(value, list):
        return [_decode(arguments[0], one, f"{where}[{number}]") for number, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _decode(arguments[1], one, f"{where}.{key}") for key, one in value.items()}
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _decode(next(one for one in arguments if one is not type(None)), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if origin is None and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"{where}: {value!r} is not {getattr(hint, '__name__', hint)}")
