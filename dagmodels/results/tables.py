"""Plain-text tables: aligned columns, numbers with as many digits as they deserve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def text_table(columns: Mapping[str, Sequence[Any]], indent: str = "", limit: int | None = None) -> str:
    """Columns under their names: numbers to the right, words to the left.

    Parameters
    ----------
    columns : equal lengths; NaN and None are left blank.
    indent : put before every line.
    limit : at most so many rows; a last line says how many more there are.
    """
    total = max((len(v) for v in columns.values()), default=0)
    shown = total if limit is None else min(limit, total)
    blocks: list[list[str]] = []
    for name, values in columns.items():
        cells = list(values)[:shown]
        numeric = all(is_number(v) or v is None for v in cells) and any(is_number(v) for v in cells)
        texts = format_numbers(cells) if numeric else ["" if v is None else str(v) for v in cells]
        width = max([len(name), *(len(t) for t in texts)])
        align = str.rjust if numeric else str.ljust
        blocks.append([align(t, width) for t in (name, *texts)])
    lines = [(indent + "  ".join(row)).rstrip() for row in zip(*blocks, strict=True)]
    if shown < total:
        lines.append(f"{indent}... and {total - shown} more")
    return "\n".join(lines)


def is_number(value: object) -> bool:
    """Whether a cell is a number (numpy's included), not a truth value."""
    return not isinstance(value, bool | str | bytes) and hasattr(value, "__float__")


def format_numbers(values: Sequence[Any], digits: int = 4) -> list[str]:
    """One text a number, with decimals that suit the whole column.

    The smallest number that is not zero keeps `digits - 1` digits and the largest `digits + 1`;
    columns that span more than five decades, or hold extreme numbers, are written one by one.
    """
    numbers = [math.nan if v is None else float(v) for v in values]
    sizes = [abs(x) for x in numbers if math.isfinite(x) and x != 0]
    if all(float(x).is_integer() for x in numbers if math.isfinite(x)) and max(sizes, default=0) < 1e12:
        return [_one(x, lambda x: f"{x:.0f}") for x in numbers]
    low, high = math.floor(math.log10(min(sizes))), math.floor(math.log10(max(sizes)))
    if high - low > 5 or high > 8 or low < -6:
        return [_one(x, lambda x: f"{x:.{digits + 1}g}") for x in numbers]
    decimals = max(digits - high, digits - 2 - low, 0)
    return [_one(x, lambda x: f"{x:.{decimals}f}") for x in numbers]


def format_number(value: object, digits: int = 6) -> str:
    """A single number inside a sentence: `digits` significant figures, "?" when unknown."""
    if value is None:
        return "?"
    number = float(value)  # type: ignore[arg-type]
    if number.is_integer() and abs(number) < 1e12:
        return f"{number:.0f}"
    return f"{number:.{digits}g}"


def _one(x: float, write: Any) -> str:
    if math.isnan(x):
        return ""
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    return write(x)
