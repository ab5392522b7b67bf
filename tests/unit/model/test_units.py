"""Sizes and durations: what is taken, what it prints as, and what is refused with which words."""

from __future__ import annotations

import pytest

from xenlocal.model.units import Duration, Size


@pytest.mark.parametrize(
    ("text", "count"),
    [("512M", 512 << 20), ("1.5T", 3 << 39), ("20G", 20 << 30), ("7k", 7 << 10), ("4MiB", 4 << 20), ("9GB", 9 << 30)],
)
def test_a_size_is_read_exactly_in_powers_of_1024(text: str, count: int) -> None:
    assert Size.parse(text) == Size(count)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20", "size '20' has no unit; write 20M or 20G"),
        ("M", "'M' is not a size; write a number and a unit, such as 512M, 20G or 1.5T"),
        ("3X", "unknown unit 'X' in size '3X'; use K, M, G or T"),
        ("0.3K", "size '0.3K' is not a whole number of bytes"),
        ("9999999P", "size '9999999P' is beyond anything Xen or LVM can hold"),
    ],
)
def test_what_is_no_size_is_told_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        Size.parse(text)
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("90", "duration '90' has no unit; write 90s or 90m"),
        ("h", "'h' is not a duration; write a number and a unit, such as 30s, 5m or 1h"),
        ("3y", "unknown unit 'y' in duration '3y'; use s, m, h or d"),
        ("4000d", "duration '4000d' is longer than ten years"),
    ],
)
def test_what_is_no_duration_is_told_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        Duration.parse(text)
    assert str(error.value) == said


@pytest.mark.parametrize("text", ["20G", "20481M", "3T", "2P", "1K", "0B", "513B"])
def test_a_size_prints_as_what_can_be_written(text: str) -> None:
    assert str(Size.parse(text)) == text


@pytest.mark.parametrize("text", ["5m", "90s", "1.5s", "14d", "2h", "0s"])
def test_a_duration_prints_as_what_can_be_written(text: str) -> None:
    assert str(Duration.parse(text)) == text
