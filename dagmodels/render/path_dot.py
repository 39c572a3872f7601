"""A path diagram as DOT text with every place in it, so that Graphviz only draws (its layout `nop2`)."""

from __future__ import annotations

from typing import Any

from dagmodels.graph.dag import Dag
from dagmodels.render.labels import escape, identifier, plain
from dagmodels.render.markup import COVARIANCE, FONT, Html, bracketed
from dagmodels.render.path_diagram import PathDiagram
from dagmodels.render.path_geometry import LINE, Curve, Route, shortened
from dagmodels.render.path_layout import label_width
from dagmodels.render.path_routes import arranged
from dagmodels.render.path_sources import PathOptions, diagrams

INK = "#303030"
FIXED = "#8a8a8a"
BETWEEN = 46.0
TRIANGLE = 20.0


def path_dot(dag: Dag, fit: Any, options: PathOptions, naming: Any = None) -> str:
    """The picture of all groups, side by side; equal input gives equal text."""
    whole = {"layout": "nop2", "outputorder": "edgesfirst", "pad": "0.15", "fontname": FONT}
    node = {"fontname": FONT, "fontsize": "13", "fixedsize": "true", "penwidth": "1.1", "color": INK}
    edge = {"fontname": FONT, "arrowsize": "0.6", "color": INK, "dir": "both", "arrowtail": "none"}
    lines = [
        f"digraph {identifier(dag.name)} {{",
        f"  graph {bracketed(whole)};",
        f"  node {bracketed({**node, 'style': 'filled', 'fillcolor': 'white'})};",
        f"  edge {bracketed(edge)};",
    ]
    right = 0.0
    for number, d in enumerate(diagrams(dag, fit, options, naming)):
        body, right = _group(d, f"{number}:", right)
        lines += body
    return "\n".join([*lines, "}"]) + "\n"


def _group(d: PathDiagram, prefix: str, left: float) -> tuple[list[str], float]:
    """Lines of one group's diagram, beginning at `left`, and where the next may begin."""
    where, drawn = arranged(d)
    points = [p for r in drawn for p in r.curve]
    points += [(p.x + s * p.width / 2, p.y + s * p.height / 2) for p in where.values() for s in (-1, 1)]
    points += [(r.at[0] + s * label_width(r.label) / 2, r.at[1]) for r in drawn for s in (-1, 1)]
    low, high = min(p[0] for p in points), max(p[0] for p in points)
    shift = left - low
    lines = []
    if d.title:
        at = (left + (high - low) / 2, max(p[1] for p in points) + 26)
        lines.append(_shape(prefix, "box", plain(d.title), at, (160, 22), fontsize="15", penwidth="0"))
    for name, p in where.items():
        shape = "ellipse" if p.latent else "box"
        lines.append(_shape(prefix + name, shape, plain(name), (p.x + shift, p.y), (p.width, p.height)))
    for k, r in enumerate(drawn):
        lines += _route(r, prefix, k, shift)
    return lines, left + high - low + BETWEEN


def _route(r: Route, prefix: str, k: int, shift: float) -> list[str]:
    """A line with its label, which is a node without frame on it."""
    both = r.heads == "b"
    colour = COVARIANCE if r.kind in ("arc", "own") else INK
    curve: Curve = tuple((x + shift, y) for x, y in r.curve)  # type: ignore[assignment]
    inner = shortened(curve, both, True)
    pos = f"{f's,{_point(curve[0])} ' if both else ''}e,{_point(curve[3])} {' '.join(map(_point, inner))}"
    start = prefix + r.ends[0]
    lines = []
    if r.kind == "mean":
        start = f"{prefix}`1 {r.ends[1]}"
        lines.append(_shape(start, "triangle", "1", curve[0], (TRIANGLE, TRIANGLE), fontsize="9"))
    attributes = {"pos": pos, "color": colour, **({"arrowtail": "normal"} if both else {})}
    lines.append(f"  {identifier(start)} -> {identifier(prefix + r.ends[1])} {bracketed(attributes)};")
    if r.label:
        label = Html("<BR/>".join(map(escape, r.label)))
        at, size = (r.at[0] + shift, r.at[1]), (label_width(r.label), LINE * len(r.label))
        ink = FIXED if r.fixed else colour
        more = {"fontsize": "9.5", "penwidth": "0", "margin": "0", "fontcolor": ink}
        lines.append(_shape(f"{prefix}`{k}", "box", label, at, size, **more))
    return lines


def _shape(
    name: str, shape: str, label: str, at: tuple[float, float], size: tuple[float, float], **more: str
) -> str:
    """One line of a node with its place and size in points."""
    wide, high = (f"{v / 72:.3f}" for v in size)
    known = {"shape": shape, "label": label, "pos": _point(at), "width": wide, "height": high}
    return f"  {identifier(name)} {bracketed({**known, **more})};"


def _point(p: tuple[float, float]) -> str:
    return f"{p[0]:.1f},{p[1]:.1f}"
