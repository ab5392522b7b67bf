"""Drawings as a viewer shows them: rendered by librsvg, and measured in the pixels."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from xml.etree import ElementTree

from PIL import Image, ImageOps

SVG = "{http://www.w3.org/2000/svg}"
_BAND, _BASE = 24, 17  # pixels: a line of the sheet on which texts are measured, and where they stand on it
_SHEET = 500  # texts on one sheet: cairo draws 32,767 pixels at most
LIGHT = {"#ffffff", "#f5f5f5", "#dddddd", "#bbbbbb"}  # background and lines that a text may stand on


@dataclass(frozen=True)
class Area:
    left: float
    top: float
    right: float
    bottom: float
    what: str

    def meets(self, other: Area) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: Area) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )


def picture(svg: str) -> Image.Image:
    """Fails where librsvg does not take it, or is missing: `make check` installs librsvg2-bin."""
    done = subprocess.run(["rsvg-convert"], input=svg.encode(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return Image.open(io.BytesIO(done.stdout)).convert("RGB")


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.encode())


def texts(root: ElementTree.Element) -> list[Area]:
    """Where the ink of each text is, in the units of the drawing: measured by rendering each by itself."""
    found = []
    every = list(root.iter(f"{SVG}text"))
    for first in range(0, len(every), _SHEET):
        found += _measured(every[first : first + _SHEET], root.get("font-family", "serif"))
    return found


def _measured(elements: Sequence[ElementTree.Element], font: str) -> list[Area]:
    half = max(len(each.text or "") * float(each.attrib["font-size"]) * 0.7 for each in elements) + 10
    sheet = ElementTree.Element("svg", {"xmlns": SVG[1:-1], "font-family": font})
    sheet.attrib |= {"width": str(2 * half), "height": str(_BAND * len(elements))}
    ElementTree.SubElement(sheet, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    for number, each in enumerate(elements):
        moved = each.attrib | {"x": str(half), "y": str(_BAND * number + _BASE), "fill": "#000000"}
        ElementTree.SubElement(sheet, "text", moved).text = each.text
    ink = ImageOps.invert(picture(ElementTree.tostring(sheet, encoding="unicode")).convert("L"))
    found = []
    for number, each in enumerate(elements):
        box = ink.crop((0, _BAND * number, ink.width, _BAND * (number + 1))).getbbox()
        assert box, f"nothing is seen of {each.text!r}"
        assert box[0] > 0 and box[2] < ink.width and box[1] > 0 and box[3] < _BAND, f"no room for {each.text!r}"
        x, y = float(each.attrib["x"]) - half, float(each.attrib["y"]) - _BASE
        found.append(Area(box[0] + x, box[1] + y, box[2] + x, box[3] + y, each.text or ""))
    return found


def boxes(root: ElementTree.Element) -> list[Area]:
    """Every rectangle that is drawn in a colour of its own; `what`: the colour."""
    areas = []
    for each in root.iter(f"{SVG}rect"):
        if each.attrib["fill"] not in LIGHT:
            x, y, wide, high = (float(each.attrib[name]) for name in ("x", "y", "width", "height"))
            areas.append(Area(x, y, x + wide, y + high, each.attrib["fill"]))
    return areas


def assert_legible(svg: str) -> None:
    """All that is needed to read it, whatever is drawn."""
    root, seen = parsed(svg), picture(svg)
    wide, high = float(root.attrib["width"]), float(root.attrib["height"])
    assert abs(seen.width - wide) <= 1 and abs(seen.height - high) <= 1
    assert wide <= 2200, f"{wide} pixels wide"
    for side in ((0, 0, 8, seen.height), (seen.width - 8, 0, seen.width, seen.height), (0, 0, seen.width, 8),
                 (0, seen.height - 8, seen.width, seen.height)):  # fmt: skip
        assert seen.crop(side).getcolors() == [((side[2] - side[0]) * (side[3] - side[1]), (255, 255, 255))]
    for each in root.iter(f"{SVG}text"):
        assert float(each.attrib["font-size"]) >= 10 and contrast(each.attrib["fill"]) >= 4.5
        for letter in each.text or "":  # how wide any other is depends on the fonts of who looks at it
            assert letter.isprintable() and ord(letter) < 0x250, each.text
    words, bars, canvas = texts(root), boxes(root), Area(8, 8, wide - 8, high - 8, "")
    for area in (*words, *bars):
        assert canvas.holds(area), f"{area} leaves the canvas of {wide} x {high}"
    for one, other in combinations((*words, *bars), 2):
        assert not one.meets(other), f"{one} meets {other}"
    for bar in bars:
        assert bar.right - bar.left >= 1 and bar.bottom - bar.top >= 1
        middle = (int((bar.left + bar.right) / 2), int((bar.top + bar.bottom) / 2))
        assert seen.getpixel(middle) == rgb(bar.what), f"{bar} is not seen"


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def contrast(colour: str) -> float:
    """To white, as WCAG counts it: from 4.5 on it is good for small text."""
    red, green, blue = (
        part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb(colour)
    )
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
