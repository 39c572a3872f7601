"""What things look like in DOT text: colours and shapes, attributes, labels of several lines."""

from __future__ import annotations

from collections.abc import Mapping

from dagmodels.render.boxes import Box
from dagmodels.render.edges import Edge
from dagmodels.render.labels import SMALL, escape, identifier, plain, quote

FONT = "DejaVu Serif,Georgia,serif"
"""Measured with DejaVu Serif, which comes with matplotlib; the others are for viewers without it."""

COVARIANCE = "#a0461e"
LAG = "#1f5f8b"
PLATE = "#8a8a8a"

# What each role looks like.  Given data are shaded, what is uncertain is round.
ROLES: Mapping[str, Mapping[str, str]] = {
    "latent": {"shape": "ellipse"},
    "observed": {"shape": "ellipse", "style": "filled", "fillcolor": "#d3d3d3"},
    "deterministic": {"shape": "ellipse", "peripheries": "2"},
    "parameter": {"shape": "ellipse", "style": "dashed"},
    "covariate": {"shape": "box", "style": "rounded,filled", "fillcolor": "#ececec"},
    "constant": {"shape": "box", "style": "filled", "fillcolor": "#ececec"},
}


def opening(name: str) -> list[str]:
    """First lines of a picture: the defaults of all its parts."""
    graph = {
        "rankdir": "TB",
        "newrank": "true",
        "nodesep": "0.22",
        "ranksep": "0.42",
        "pad": "0.1",
        "outputorder": "edgesfirst",
        "fontname": FONT,
        "fontsize": "12",
    }
    node = {"fontname": FONT, "fontsize": "14", "height": "0.42", "width": "0.55", "margin": "0.08,0.04"}
    edge = {"fontname": FONT, "fontsize": str(SMALL), "arrowsize": "0.7", "color": "#303030"}
    return [
        f"digraph {identifier(name)} {{",
        f"  graph {bracketed(graph)};",
        f"  node {bracketed(node)};",
        f"  edge {bracketed(edge)};",
    ]


class Html(str):
    """A value that DOT takes in angle brackets."""

    __slots__ = ()


def bracketed(values: Mapping[str, str]) -> str:
    """A list of attributes, `[a="1", b=<...>]`."""
    parts = (f"{k}=<{v}>" if isinstance(v, Html) else f"{k}={quote(v)}" for k, v in values.items())
    return f"[{', '.join(parts)}]"


def edge_colours(edge: Edge) -> Mapping[str, str]:
    """Own colours for lags and covariances."""
    if edge.lags:
        return {"color": LAG, "fontcolor": LAG}
    return {"color": COVARIANCE} if edge.covariance else {}


def arrow(tail: str, head: str, attributes: Mapping[str, str]) -> str:
    """One line of an edge."""
    return f"  {identifier(tail)} -> {identifier(head)}{' ' + bracketed(attributes) if attributes else ''};"


def stacked(lines: list[str]) -> str:
    """A name and small lines below it, as a table: rows keep clear of the name's subscript."""
    small = [f'<FONT POINT-SIZE="{SMALL}">{line}</FONT>' for line in lines[1:]]
    rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in [lines[0], *small])
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>'


def beside(lines: list[str]) -> str:
    """Small lines to stand beside an arrow, with room to its sides."""
    rows = "".join(f'<TR><TD ALIGN="LEFT">\u00a0\u00a0{line}\u00a0</TD></TR>' for line in lines)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>'


def title_label(box: Box) -> str:
    """The label of a plate's box."""
    if not box.note:
        return plain(box.title)
    note = f'<FONT POINT-SIZE="{SMALL}">{escape(box.note)}</FONT>'
    return Html(f'{escape(box.title)}<BR ALIGN="RIGHT"/>{note}<BR ALIGN="RIGHT"/>')
