"""`xenlocal graph --svg`, laid out by the real graphviz and rendered: texts stay in boxes, arrows pass by them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.unit.drawing.render import SVG, Area, parsed, picture, texts
from xenlocal.adapters import command
from xenlocal.cli import main
from xenlocal.drawing.graph import dot
from xenlocal.offline import Offline
from xenlocal.parts import Parts, Places

DOMU = "[domain {}]\nmemory = 1G\nkernel = /boot/vmlinuz\n"
LAB = {
    "nas": "", "auth": "needs = nas", "db": "needs = auth", "web": "needs = db\nafter = auth", "licence": "",
    "mail": "needs = auth\nafter = nas", "wiki": "needs = db\nafter = web", "build1": "after = nas",
    "build2": "after = build1\nstate = manual", "terminal-server": "needs = auth\nafter = print",
    "print": "after = device/dev/disk/by-path/ip-192.0.2.10:3260-iscsi-iqn.2012-10.example:bay1-lun-3",
    "backup": "after = web, mail, wiki", "research1": "needs = nas", "research2": "needs = nas",
    "w" * 63: "after = mail",
}  # fmt: skip


def svg_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path = tmp_path / "a.conf"
    path.write_text("".join(f"{DOMU.format(name)}{lines}\n" for name, lines in LAB.items()))
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    assert main(["--config-dir", str(tmp_path), "graph", "--svg"]) == 0
    return capsys.readouterr().out


def nodes(root: ElementTree.Element) -> dict[str, Area]:
    """The box, or the cylinder, of each node by its name."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        if group.get("class") == "node":
            name = group.findtext(f"{SVG}title") or ""
            shapes = [each.get("points") or each.get("d") or "" for each in group if each.tag != f"{SVG}text"]
            found[name] = area(" ".join(shapes), name)
    return found


def area(path: str, what: str) -> Area:
    places = list(points(path))
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return Area(min(xs), min(ys), max(xs), max(ys), what)


def points(path: str) -> Iterator[tuple[float, float]]:
    for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path):
        yield float(x), float(y)


def curve(path: str) -> Iterator[tuple[float, float]]:
    """Forty points on each of its Bezier curves."""
    first, *rest = points(path)
    for number in range(0, len(rest), 3):
        corners = (first, *rest[number : number + 3])
        for step in range(41):
            t = step / 40
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            x, y = (sum(w * c[axis] for w, c in zip(weights, corners, strict=True)) for axis in (0, 1))
            yield x, y
        first = corners[3]


def test_fifteen_domus_are_legible(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    svg = svg_of(tmp_path, capsys)
    root, seen = parsed(svg), picture(svg)
    colours = seen.getcolors(1 << 20) or []
    assert seen.width <= 3000 and max(colours)[1] == (255, 255, 255)
    words, boxes = texts(root), nodes(root)
    assert set(LAB) < set(boxes) and len(boxes) == len(LAB) + 1
    for number, one in enumerate(words):
        assert not any(one.meets(other) for other in words[number + 1 :])
    for name, box in boxes.items():
        inside = [each for each in words if box.holds(each)]
        assert len(inside) == 1, f"the text of {name} leaves its box, or another's is in it"
        assert name not in LAB or inside[0].what.startswith(name)
    assert {float(each.attrib["font-size"]) for each in root.iter(f"{SVG}text")} == {12.0}


def test_arrows_pass_by_the_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = parsed(svg_of(tmp_path, capsys))
    boxes, drawn = nodes(root), {}
    for group in root.iter(f"{SVG}g"):
        if group.get("class") != "edge":
            continue
        title, path = group.findtext(f"{SVG}title") or "", group.find(f"{SVG}path")
        assert path is not None
        drawn[title] = "dashed" if path.get("stroke-dasharray") else "solid"
        for x, y in curve(path.attrib["d"]):
            for name, box in boxes.items():
                inside = box.left < x < box.right and box.top < y < box.bottom
                assert not inside or name in title.split("->"), f"{title} goes through {name}"
    assert drawn["auth->web"] == "dashed" and drawn["db->web"] == "solid" and len(drawn) == 19
    assert boxes["nas"].right < boxes["auth"].left and boxes["auth"].right < boxes["db"].left


@pytest.mark.parametrize("name", ["</svg><script>&amp;", 'a"b\\', "x\x1b[2J\x00\ny", "中文", "\\N\\G"])
def test_a_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    row: dict[str, Any] = {"name": name, "state": "running", "needs": [], "after": []}
    svg = Offline(Parts(Places(str(tmp_path), str(tmp_path), str(tmp_path)))).laid_out(dot({"domains": [row]}))
    last = [each.text for each in parsed(svg).iter(f"{SVG}text")][-1]
    shown = {"x\x1b[2J\x00\ny": r"x\x1b[2J\x00 y", "中文": r"\u4e2d\u6587"}.get(name, name)
    assert last == shown


def test_without_graphviz_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = command.Commands(search_path=str(tmp_path))
    monkeypatch.setattr(command, "Commands", lambda: nowhere)
    tmp_path.chmod(0o755)
    assert main(["--config-dir", str(tmp_path), "graph", "--svg"]) == 1
    assert "install it with: apt install graphviz" in capsys.readouterr().err
