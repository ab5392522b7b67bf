"""Sizes and durations: the only two quantities with units, so that no bare number ever crosses a function."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SIZE_UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)")
_MAX_SIZE = 1 << 60
_MAX_SECONDS = 3650 * 86400


@dataclass(frozen=True, order=True)
class Size:
    """An amount of bytes. Units are powers of 1024, as LVM and xl use them."""

    bytes: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """`512M`, `20G`, `1.5T`. Raises ValueError with a sentence for the administrator."""
        match = _NUMBER.fullmatch(text.strip())
        if not match:
            raise ValueError(f"'{text}' is not a size; write a number and a unit, such as 512M, 20G or 1.5T")
        number, unit = match.groups()
        if not unit:
            raise ValueError(f"size '{text}' has no unit; write {number}M or {number}G")
        factor = _SIZE_UNITS.get(unit.upper().removesuffix("IB").removesuffix("B") or "B")
        if factor is None:
            raise ValueError(f"unknown unit '{unit}' in size '{text}'; use K, M, G or T")
        whole, _, part = number.partition(".")
        exact, rest = divmod(int(whole + part) * factor, 10 ** len(part))  # exact where a float would not be
        if rest:
            raise ValueError(f"size '{text}' is not a whole number of bytes")
        if exact > _MAX_SIZE:
            raise ValueError(f"size '{text}' is beyond anything Xen or LVM can hold")
        return cls(exact)

    @classmethod
    def mib(cls, count: int) -> Size:
        return cls(count << 20)

    @property
    def in_mib(self) -> int:
        """Whole MiB, rounded down: the unit of xl's memory keys."""
        return self.bytes >> 20

    def rounded_up(self, step: Size) -> Size:
        """The next multiple of `step`: LVM allocates whole extents."""
        return Size(-(-self.bytes // step.bytes) * step.bytes)

    def __str__(self) -> str:
        """The largest unit that keeps the number whole: `20G`, `20481M`, `0B`."""
        for unit in ("P", "T", "G", "M", "K"):
            factor = _SIZE_UNITS[unit]
            if self.bytes and self.bytes % factor == 0:
                return f"{self.bytes // factor}{unit}"
        return f"{self.bytes}B"


@dataclass(frozen=True, order=True)
class Duration:
    """A length of time."""

    seconds: float

    @classmethod
    def parse(cls, text: str) -> Duration:
        """`30s`, `5m`, `1h`, `14d`. Raises ValueError with a sentence for the administrator."""
        match = _NUMBER.fullmatch(text.strip())
        if not match:
            raise ValueError(f"'{text}' is not a duration; write a number and a unit, such as 30s, 5m or 1h")
        number, unit = match.groups()
        if not unit:
            raise ValueError(f"duration '{text}' has no unit; write {number}s or {number}m")
        factor = _DURATION_UNITS.get(unit)
        if factor is None:
            raise ValueError(f"unknown unit '{unit}' in duration '{text}'; use s, m, h or d")
        seconds = float(number) * factor
        if seconds > _MAX_SECONDS:
            raise ValueError(f"duration '{text}' is longer than ten years")
        return cls(seconds)

    def __str__(self) -> str:
        """The largest unit that keeps the number whole: `5m`, `90s`, `1.5s`."""
        for unit in ("d", "h", "m"):
            factor = _DURATION_UNITS[unit]
            if self.seconds and self.seconds % factor == 0:
                return f"{int(self.seconds // factor)}{unit}"
        return f"{self.seconds:g}s"
