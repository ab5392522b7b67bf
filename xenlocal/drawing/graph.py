"""`xenlocal graph --dot` and `--svg`: the order of the domUs, for graphviz, which lays it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xenlocal.drawing.svg import FONTS, shortened, visible

_LABEL = 64  # characters at most
_LEGEND = (
    r"\lsolid arrow: needs (starts only once that is ready)\l"
    r"dashed arrow: after (starts later than that)\l"
    r"dashed box: not started at boot\l"
    r"cylinder: bridge, volume or device\l"
)
_HEAD = f"""digraph xenlocal {{
  graph [rankdir=LR bgcolor="#ffffff" pad=0.2 ranksep=0.6 nodesep=0.2 fontname="{FONTS}" fontsize=12 labeljust=l]
  node [shape=box style=filled height=0.3 fontname="{FONTS}" fontsize=12 fillcolor="#d6ebf8" color="#0072b2"]
  edge [color="#333333" arrowsize=0.7]
  label="{_LEGEND}";"""
_THING = 'shape=cylinder fillcolor="#eeeeee" color="#777777"'
_NOT_STARTED = 'style="filled,dashed" fillcolor="#ffffff" color="#777777"'


def dot(data: Mapping[str, Any]) -> str:
    """An arrow leads from what is waited for to who waits; a dashed one where it is only `after`."""
    lines = [_HEAD]
    waited_for = {other for row in data["domains"] for other in (*row["needs"], *row["after"])}
    for thing in sorted(waited_for - {row["name"] for row in data["domains"]}):
        lines.append(_node(thing, thing, _THING))
    for row in data["domains"]:
        name, running = row["name"], row["state"] == "running"
        lines.append(_node(name, name if running else f"{name}, {row['state']}", "" if running else _NOT_STARTED))
        lines += [f"  {_quoted(other)} -> {_quoted(name)};" for other in row["needs"]]
        after = [other for other in row["after"] if other not in row["needs"]]
        lines += [f"  {_quoted(other)} -> {_quoted(name)} [style=dashed];" for other in after]
    return "\n".join([*lines, "}"])


def _node(name: str, label: str, attributes: str) -> str:
    text = _quoted(shortened(label, _LABEL).replace("&", "&amp;"))
    return f"  {_quoted(name)} [{f'label={text} {attributes}'.rstrip()}];"


def _quoted(text: str) -> str:
    escaped = visible(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
