"""RUN/memory.json, STATE/last-good.json and STATE/host-id: round trips, corruption, another boot."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenlocal.adapters.records import _DECODERS, FileRecords, decode_memory, encode_memory
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.errors import XenlocalError
from xenlocal.model.memory import Hand, Login, Memory, Off, Record, Reply

TEXT = st.text(max_size=20)
TIME = st.floats(allow_nan=False, allow_infinity=False)
SETTINGS = st.dictionaries(TEXT, TEXT, max_size=3).map(MappingProxyType)


def optional(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


STRATEGIES = {
    "str": TEXT,
    "int": st.integers(),
    "int | None": optional(st.integers()),
    "bool": st.booleans(),
    "float": TIME,
    "float | None": optional(TIME),
    "Off | None": optional(st.sampled_from(Off)),
    "Hand | None": optional(st.sampled_from(Hand)),
    "tuple[float, ...]": st.lists(TIME, max_size=3).map(tuple),
    "tuple[str, ...]": st.lists(TEXT, max_size=3).map(tuple),
    "Mapping[str, str]": SETTINGS,
    "Mapping[str, str] | None": optional(SETTINGS),
    "Mapping[int, float]": st.dictionaries(st.integers(), TIME, max_size=3).map(MappingProxyType),
}
REPLY = st.builds(
    Reply, TIME, optional(st.booleans()), *[optional(TIME), optional(st.integers())], *[optional(TIME)] * 3
)
STRATEGIES["bool | None"], STRATEGIES["Reply | None"] = optional(st.booleans()), optional(REPLY)
LOGIN = st.builds(Login, TEXT, st.booleans(), st.integers(), TEXT, optional(TIME))
STRATEGIES["Mapping[str, Login]"] = st.dictionaries(TEXT, LOGIN, max_size=3).map(MappingProxyType)
RECORD = st.builds(Record, **{field.name: STRATEGIES[str(field.type)] for field in fields(Record)})
MEMORY = st.builds(
    Memory,
    records=st.dictionaries(TEXT, RECORD, max_size=3).map(MappingProxyType),
    **{field.name: STRATEGIES[str(field.type)] for field in fields(Memory) if field.name != "records"},
)


@given(MEMORY)
def test_round_trip(memory: Memory) -> None:
    again = decode_memory(json.loads(json.dumps(encode_memory(memory))))
    assert again == memory
    for uuid, record in memory.records.items():
        assert [type(getattr(again.records[uuid], field.name)) for field in fields(Record)] == [
            type(getattr(record, field.name)) for field in fields(Record)
        ]


def test_every_field_of_the_model_can_be_kept() -> None:
    kept = {
        str(field.type) for kind in (Record, Reply, Login, Memory) for field in fields(kind) if field.name != "records"
    }
    assert kept <= set(_DECODERS)


@pytest.fixture
def records(tmp_path: Path) -> FileRecords:
    (tmp_path / "boot_id").write_text("boot-1\n")
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    return FileRecords(
        str(tmp_path / "run"), str(tmp_path / "state"),
        boot_id=str(tmp_path / "boot_id"), machine_id=str(tmp_path / "machine-id"),
    )  # fmt: skip


MEMORY_1 = Memory(boot_done=True).with_record(Record("u", "web", domid=3, born=1.5, hand=Hand.STOP, off=Off.CRASH))


def test_memory_is_kept_privately(records: FileRecords, tmp_path: Path) -> None:
    assert records.load_memory() == Memory()
    records.save_memory(MEMORY_1)
    assert records.load_memory() == MEMORY_1
    assert (tmp_path / "run/memory.json").stat().st_mode & 0o777 == 0o600


@given(st.lists(MEMORY, min_size=1, max_size=4))
def test_each_save_is_the_whole_memory(memories: list[Memory]) -> None:
    """Also where records of the one before are still known by their text."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "boot_id").write_text("boot-1\n")
        kept = FileRecords(directory, directory, boot_id=f"{directory}/boot_id")
        for memory in (*memories, memories[0]):
            kept.save_memory(memory)
            assert kept.load_memory() == memory


def test_another_boot_forgets(records: FileRecords, tmp_path: Path) -> None:
    records.save_memory(MEMORY_1)
    (tmp_path / "boot_id").write_text("boot-2\n")
    assert records.load_memory() == Memory()


def test_every_truncation_is_a_fresh_memory(
    records: FileRecords, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records.save_memory(MEMORY_1)
    whole = (tmp_path / "run/memory.json").read_bytes()
    for length in range(len(whole.rstrip())):
        caplog.clear()
        (tmp_path / "run/memory.json").write_bytes(whole[:length])
        assert records.load_memory() == Memory()
        assert [each.levelno for each in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    "change",
    [{"boot_done": "yes"}, {"records": []}, {"records": {"u": {}}}, {"records": {"u": 3}}, {"forced": "web"},
     {"records": {"u": {"uuid": "u", "name": "web", "domid": True}}},
     {"records": {"u": {"uuid": "u", "name": "web", "off": "other"}}},
     {"records": {"u": {"uuid": "u", "name": "web", "running": {"a": 1}}}}],
)  # fmt: skip
def test_a_memory_of_other_types_is_a_fresh_one(records: FileRecords, tmp_path: Path, change: object) -> None:
    records.save_memory(MEMORY_1)
    path = tmp_path / "run/memory.json"
    content = json.loads(path.read_text())
    content["memory"] |= change
    path.write_text(json.dumps(content))
    assert records.load_memory() == Memory()


def test_fields_of_other_versions(records: FileRecords, tmp_path: Path) -> None:
    records.save_memory(MEMORY_1)
    path = tmp_path / "run/memory.json"
    content = json.loads(path.read_text())
    content["memory"]["records"]["u"]["future"] = content["memory"]["future"] = [1]
    del content["memory"]["records"]["u"]["crashes"], content["memory"]["forced"]
    path.write_text(json.dumps(content))
    assert records.load_memory() == MEMORY_1


def test_last_good(records: FileRecords, tmp_path: Path) -> None:
    files = (ConfigFile("/etc/xenlocal/a.conf", "[host]\n# ü\n"), ConfigFile("/etc/xenlocal/b.conf", ""))
    assert records.load_good() is None
    records.save_good(files)
    assert records.load_good() == files
    records.save_good(())
    assert records.load_good() == ()
    for text in ("", "{", "[]", '{"files": [{"name": 1, "text": ""}]}', '{"files": 3}', "[" * 100_000):
        (tmp_path / "state/last-good.json").write_text(text)
        assert records.load_good() is None


def test_what_cannot_be_saved_is_said(records: FileRecords, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(XenlocalError, match="cannot write"):
        records.save_memory(MEMORY_1)
    assert records.load_memory() == Memory()


def test_host_id_stays_when_the_machine_id_changes(records: FileRecords, tmp_path: Path) -> None:
    first = records.host_id()
    (tmp_path / "machine-id").write_text("f" * 32)
    assert records.host_id() == first == "0123456789abcdef0123456789abcdef"


def test_a_machine_without_an_id_gets_one_for_ever(records: FileRecords, tmp_path: Path) -> None:
    (tmp_path / "machine-id").unlink()
    first = records.host_id()
    assert re.fullmatch("[0-9a-f]{32}", first)
    (tmp_path / "machine-id").write_text("f" * 32)
    assert records.host_id() == first


def test_host_id_without_a_place_or_a_source(
    records: FileRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "machine-id").write_text("uninitialized\n")
    monkeypatch.setattr("xenlocal.adapters.records.write_private", full)
    with pytest.raises(XenlocalError, match="No space left.*systemd-machine-id-setup"):
        records.host_id()
