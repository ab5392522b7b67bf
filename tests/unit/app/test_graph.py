"""`graph`: the order of the domUs, as a tree and for dot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xenlocal import views
from xenlocal.cli import main
from xenlocal.drawing.graph import dot

DOMU = "[domain {}]\nmemory = 1G\nkernel = /boot/vmlinuz\n"


def test_each_is_shown_below_what_it_waits_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.conf"
    path.write_text(
        DOMU.format("base")
        + DOMU.format("left") + "needs = base\n"
        + DOMU.format("right") + "after = base, device/dev/sdb\nstate = manual\n"
        + DOMU.format("top") + "needs = left\nafter = right\n"
        + DOMU.format("web") + "needs = top\n"
    )  # fmt: skip
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    assert main(["--config-dir", str(tmp_path), "graph"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "device//dev/sdb",
        "  right, manual (after device//dev/sdb)",
        "    top (after right)",
        "      web (needs top)",
        "base",
        "  left (needs base)",
        "    top (needs left) ...",
        "  right, manual (after base) ...",
    ]
    assert main(["--config-dir", str(tmp_path), "graph", "--dot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert '  "base" -> "left";' in lines and '  "base" -> "right" [style=dashed];' in lines
    assert main(["--config-dir", str(tmp_path), "graph", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["domains"][3] == {
        "name": "top", "state": "running", "needs": ["left"], "after": ["right"],
    }  # fmt: skip


def test_a_name_cannot_leave_its_quotes() -> None:
    row = {"name": 'a"; b\\', "state": "running", "needs": ['x"y\n&lt;'], "after": ['x"y\n&lt;']}
    assert dot({"domains": [row]}).splitlines()[5:-1] == [
        r'  "x\"y\\n&lt;" [label="x\"y &amp;lt;" shape=cylinder fillcolor="#eeeeee" color="#777777"];',
        r'  "a\"; b\\" [label="a\"; b\\"];',
        r'  "x\"y\\n&lt;" -> "a\"; b\\";',
    ]


def test_nothing_declared() -> None:
    assert views.graph({"domains": []}) == "no domU is declared"
