"""Discrete nodes as tables of their states, for the picture of a network."""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node
from dagmodels.graph.statement import Rows, Stochastic
from dagmodels.render.estimates import Shown
from dagmodels.render.labels import SMALL, escape

_BAR = 48
_FULL = "#5b7fa6"
_EMPTY = "#e6ecf2"
_MOST_STATES = 12


@dataclass(frozen=True, slots=True)
class State:
    """One row: the state's label and its probability, None where the model does not say."""

    label: str
    probability: float | None


def table(dag: Dag, node: Node, shown: Shown) -> list[State] | None:
    """The states of a discrete node whose plate states its levels, else None.

    Probabilities are those given (the answer to a query), or the model's own for a node without
    parents; a conditional table has no probability of a state by itself.
    """
    if node.values_in is None:
        return None
    plate = dag.plate[dag.base(node.values_in)]
    if plate.levels is None:
        return None
    given = shown.probabilities.get(node.name)
    if given is not None:
        probabilities = [given.get(level, given.get(str(level))) for level in plate.levels]
    else:
        own = _own_probabilities(node)
        fits = own is not None and len(own) == len(plate.levels)
        probabilities = list(own) if own is not None and fits else [None] * len(plate.levels)
    return [State(str(x), p) for x, p in zip(plate.levels, probabilities, strict=True)]


def _own_probabilities(node: Node) -> list[float] | None:
    """Numbers of a `Table([...])` without parents or of a `Categorical([...])`."""
    if len(node.statements) != 1 or not isinstance(node.statements[0], Stochastic):
        return None
    distribution = node.statements[0].distribution
    entries = distribution.argument("rows" if distribution.family == "Table" else "p")
    if isinstance(entries, Rows):
        entries = ex.Vector(entries.rows[0].entries) if _unconditional(entries) else None
    if not isinstance(entries, ex.Vector):
        return None
    numbers = [e.value for e in entries.items if isinstance(e, ex.Number)]
    return [float(x) for x in numbers] if len(numbers) == len(entries.items) else None


def _unconditional(rows: Rows) -> bool:
    return len(rows.rows) == 1 and not rows.rows[0].labels


def html_table(name: str, rows: list[State], shading: str) -> str:
    """An HTML-like label: the name above, a line for each state, bars where probabilities are known."""
    with_bars = any(r.probability is not None for r in rows)
    columns = 3 if with_bars else 1
    lines = [f'<TR><TD COLSPAN="{columns}" BGCOLOR="{shading}" BORDER="1" SIDES="B">{name}</TD></TR>']
    for row in rows[:_MOST_STATES]:
        label = f'<TD ALIGN="LEFT"><FONT POINT-SIZE="{SMALL}">{escape(row.label)}</FONT></TD>'
        lines.append(f"<TR>{label}{_bar(row.probability) if with_bars else ''}</TR>")
    if len(rows) > _MOST_STATES:
        more = f"… {len(rows) - _MOST_STATES} more"
        lines.append(f'<TR><TD COLSPAN="{columns}"><FONT POINT-SIZE="{SMALL}">{more}</FONT></TD></TR>')
    start = (
        '<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" STYLE="ROUNDED" BGCOLOR="white">'
    )
    return f"{start}{''.join(lines)}</TABLE>"


def _bar(probability: float | None) -> str:
    if probability is None:
        return "<TD></TD><TD></TD>"
    share = min(max(probability, 0.0), 1.0)
    full = round(_BAR * share)
    cells = ""
    for width, colour in ((full, _FULL), (_BAR - full, _EMPTY)):
        if width:
            cells += f'<TD FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="8" BGCOLOR="{colour}"></TD>'
    bar = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{cells}</TR></TABLE>'
    text = f"{100 * probability:.3g}%"
    return f'<TD>{bar}</TD><TD ALIGN="RIGHT"><FONT POINT-SIZE="{SMALL}">{text}</FONT></TD>'
