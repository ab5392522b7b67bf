"""The few SVG elements that drawings are made of: a canvas with text whose size is known before anybody renders it.

All text is in a monospaced font, whichever the viewer has: they all need at most `_CELL` of the size for a character.
What such a font may not have is written as an escape, so that neither a foreign script nor a control character can
change the width or the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

FONTS = "DejaVu Sans Mono,Menlo,Consolas,Liberation Mono,monospace"
_CELL = 0.61  # of the font size; DejaVu Sans Mono has 0.602, Courier 0.6, Consolas 0.55
_LATIN = 0x250  # the first character that a common monospaced font may lack
_MORE = "..."


def visible(text: str) -> str:
    """Only of characters that are seen, and as wide as all others."""
    return "".join(each if each.isprintable() and ord(each) < _LATIN else ascii(each)[1:-1] for each in text)


def plain(text: str) -> str:
    """The same, on one line."""
    return visible(" ".join(text.split()))


def shortened(text: str, most: int) -> str:
    """At most so many characters of it: its begin and its end, which both tell objects apart."""
    text = plain(text)
    if len(text) <= most:
        return text
    end = (most - len(_MORE)) // 3
    return text[: most - len(_MORE) - end] + _MORE + text[len(text) - end :]


def width(text: str, size: int) -> float:
    """Pixels that a `plain` text needs at most."""
    return len(text) * size * _CELL


def characters(pixels: float, size: int) -> int:
    """How many characters have room there."""
    return int(pixels / (size * _CELL))


class Canvas:
    """Pixels from the top left corner. `grow_to` what is drawn; the background is white."""

    def __init__(self) -> None:
        self._root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "font-family": FONTS})
        self._back = ElementTree.SubElement(self._root, "rect", {"fill": "#ffffff"})
        self._width = self._height = 0.0

    def text(self, x: float, y: float, text: str, size: int = 12, anchor: str = "start", **attributes: str) -> None:
        """A `plain` text; y: of its base line."""
        left = x - width(text, size) * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        self.grow_to(left + width(text, size), y + size * 0.3)
        values = {"x": _number(x), "y": _number(y), "font-size": str(size), "text-anchor": anchor}
        self._add("text", {**values, **attributes}).text = text

    def box(self, x: float, y: float, wide: float, high: float, tip: str = "", **attributes: str) -> None:
        """`tip`: shown where the mouse rests on it."""
        self.grow_to(x + wide, y + high)
        values = {"x": _number(x), "y": _number(y), "width": _number(wide), "height": _number(high)}
        drawn = self._add("rect", {**values, **attributes})
        if tip:
            ElementTree.SubElement(drawn, "title").text = plain(tip)

    def grow_to(self, x: float, y: float) -> None:
        self._width, self._height = max(self._width, x), max(self._height, y)

    @property
    def size(self) -> tuple[float, float]:
        return self._width, self._height

    def document(self, margin: int) -> str:
        """The whole file; `margin`: pixels that stay free at the right and at the bottom."""
        wide, high = _number(self._width + margin), _number(self._height + margin)
        self._root.attrib |= {"width": wide, "height": high, "viewBox": f"0 0 {wide} {high}"}
        self._back.attrib |= {"width": wide, "height": high}
        ElementTree.indent(self._root)
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(self._root, encoding="unicode")

    def _add(self, tag: str, attributes: Mapping[str, str]) -> ElementTree.Element:
        named = {name.replace("_", "-"): value for name, value in attributes.items()}
        return ElementTree.SubElement(self._root, tag, named)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
