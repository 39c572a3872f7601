"""The picture that a notebook shows for a model; it never raises, and a large model is shown as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from dagmodels.graph import printing
from dagmodels.graph.dag import Dag
from dagmodels.render.dot import to_dot
from dagmodels.render.draw import draw

_MOST_NODES = 200  # more take seconds to lay out, and nobody can read them in a cell
_MOST_LINES = 60


def svg_for_notebook(
    dag: Dag, text: str | None = None, sizes: Mapping[str, int] | None = None, **options: Any
) -> str:
    """The model as SVG for `_repr_svg_`; where it is not drawn, its text and the reason as SVG.

    A model of more than 200 nodes is not drawn unasked; `render` draws it into a file.

    Parameters
    ----------
    dag : the model.
    text : what to show when it cannot be drawn; the model's own text when left out.
    sizes, options : those of `to_dot`.
    """
    try:
        if len(dag.nodes) > _MOST_NODES:
            reason = f"{len(dag.nodes)} nodes are too many to draw unasked: g.render('model.svg') does it."
            return _as_text(_lines(dag, text), reason)
        return draw(to_dot(dag, sizes=sizes, **options), "svg").decode("utf-8")
    except Exception as error:  # a notebook's display must not fail: the reason is shown instead
        return _as_text(_lines(dag, text), f"No picture: {error}")


def _lines(dag: Dag, text: str | None) -> list[str]:
    try:
        return (printing.text(dag) if text is None else text).splitlines()
    except Exception as error:  # as above
        return [f"model {getattr(dag, 'name', '')}", f"({type(error).__name__}: {error})"]


def _as_text(lines: list[str], reason: str) -> str:
    """Lines of text as an SVG of monospaced letters."""
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} more lines; print the model"]
    shown = [line.expandtabs(4) for line in [*reason.splitlines(), "", *lines]]
    width = 16 + 8 * max(len(line) for line in shown)
    spans = "".join(
        f'<tspan x="8" dy="16">{escape(line) or " "}</tspan>' for line in (_printable(s) for s in shown)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{16 * len(shown) + 16}">'
        f'<text xml:space="preserve" y="0" font-family="monospace" font-size="13">{spans}</text></svg>'
    )


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line)
