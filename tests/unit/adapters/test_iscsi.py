"""What open-iscsi keeps in files."""

from __future__ import annotations

from tests.unit.adapters.scripted import TextFiles
from xenlocal.adapters.iscsi import read_records
from xenlocal.model.inspection import IscsiRecord

IQN = "iqn.2012-10.example:bay1"
RECORD = f"# BEGIN RECORD 2.1.8\nnode.name = {IQN}\nnode.tpgt = -1\nnode.startup = manual\n# END RECORD\n"


def test_records_are_files_or_directories() -> None:
    """The first as `-o new` makes it, the second as a discovery does."""
    plain, found = (f"{top}/iscsi/nodes/{IQN}/192.0.2.10,3260" for top in ("/etc", "/var/lib"))
    files = TextFiles({plain: RECORD, f"{found},1/default": RECORD.replace("manual", "automatic")})
    assert read_records(files) == (
        IscsiRecord(IQN, "192.0.2.10,3260", "manual"),
        IscsiRecord(IQN, "192.0.2.10,3260,1", "automatic"),
    )
