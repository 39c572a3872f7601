"""How results look in a notebook: plain HTML without scripts, and text that shows as it prints."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from dagmodels.results.tables import format_numbers, is_number

if TYPE_CHECKING:
    from dagmodels.results.fit import Columns, Fit

ROWS = 60


class Shown(str):
    """A string that an interactive session shows as it prints, with its lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self)}</pre>"


def table_html(columns: Columns, limit: int = ROWS) -> str:
    """A table: numbers to the right with as many digits as they deserve, what is unknown left blank."""
    total = max((len(v) for v in columns.values()), default=0)
    texts: list[list[str]] = []
    for values in columns.values():
        cells = list(values)[:limit]
        numeric = all(is_number(v) or v is None for v in cells) and any(is_number(v) for v in cells)
        shown = format_numbers(cells) if numeric else ["" if v is None else str(v) for v in cells]
        align = "right" if numeric else "left"
        texts.append([f'<td style="text-align:{align}">{escape(t)}</td>' for t in shown])
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*texts, strict=True))
    more = f"<p>... and {total - limit} more</p>" if total > limit else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def fit_html(fit: Fit) -> str:
    """Method, criterion, estimates, certificate and warnings of a fit."""
    from dagmodels.results.summary import certificate, criterion, estimate_table, heading

    first, *rest = heading(fit).split("\n")
    parts = [f"<b>{escape(first)}</b>", *map(escape, rest), *map(escape, criterion(fit).split("\n"))]
    ends = [*certificate(fit).split("\n"), *(f"Warning: {w}" for w in fit.warnings)]
    return f"<div>{'<br>'.join(parts)}{table_html(estimate_table(fit))}{'<br>'.join(map(escape, ends))}</div>"
