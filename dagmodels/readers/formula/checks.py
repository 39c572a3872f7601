"""What lme4 asks of grouping factors and columns before it fits, with the same strictness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dagmodels.data.distinct import count_distinct
from dagmodels.errors import ModelError
from dagmodels.readers.formula.columns import Column
from dagmodels.readers.formula.design import Collector
from dagmodels.readers.formula.rank import dependent
from dagmodels.readers.formula.values import Floats, Levels


def check_groups(
    groups: Mapping[str, Levels],
    terms: Sequence[tuple[str, int, str]],
    seen: NDArray[np.bool_] | None,
    n: int,
    scale: bool,
    faults: Collector,
) -> None:
    """Enough levels, and fewer than observations.

    Parameters
    ----------
    terms : grouping factor, number of effects and text of each random term.
    seen : rows with a response; None where all have one.
    n : how many these are.
    scale : the response has a variance of its own (a Normal one), which levels with one row each, or
        as many deviations as observations, leave unidentified.
    """
    for name, levels in groups.items():
        count = len(levels.labels)
        if seen is not None:
            count = count_distinct(levels.codes[seen])
        if count < 2:
            faults.add(
                ModelError(
                    f"the grouping factor '{name}' has {count} level{'' if count == 1 else 's'}",
                    node=name,
                    hint="its variance needs two levels or more: drop the term",
                )
            )
            continue
        if count >= n and scale:
            faults.add(
                ModelError(
                    f"the grouping factor '{name}' has {count} levels for {n} observations",
                    node=name,
                    hint="there must be fewer levels than observations, or its variance and the residual "
                    "variance are one: drop the term, or group the rows more coarsely",
                )
            )
            continue
        for group, effects, text in terms:
            if group == name and scale and effects > 1 and count * effects >= n:
                faults.add(
                    ModelError(
                        f"the term ({text}) has {count * effects} random effects for {n} observations",
                        node=name,
                        hint="its variances and the residual variance are not identified: let fewer vary",
                    )
                )


def dropped_columns(columns: Sequence[Column], seen: NDArray[np.bool_] | None, n: int) -> NDArray[np.int64]:
    """Places of fixed columns that are combinations of earlier ones, over the rows with a response."""
    if not columns:
        return np.zeros(0, dtype=np.int64)
    x: Floats = np.empty((n, len(columns)))
    for j, (_, values) in enumerate(columns):
        x[:, j] = 1.0 if values is None else values if seen is None else values[seen]
    return dependent(x)


def check_effects(
    random: Sequence[tuple[str, Sequence[Column]]],
    fixed: Sequence[Column],
    seen: NDArray[np.bool_] | None,
    n: int,
    faults: Collector,
) -> None:
    """Effects that vary together must not be combinations of one another.

    Parameters
    ----------
    random : text and columns of each random term.
    fixed : columns that are known to be independent.
    """
    known = {id(values) for _, values in fixed}
    for text, columns in random:
        if len(columns) < 2 or all(id(values) in known for _, values in columns):
            continue
        gone = [columns[j][0] for j in dropped_columns(columns, seen, n)]
        if gone:
            rest = ", ".join(name for name, _ in columns if name not in gone)
            are = "is a combination" if len(gone) == 1 else "are combinations"
            faults.add(
                ModelError(
                    f"in ({text}) {' and '.join(gone)} {are} of {rest}",
                    hint="their variances are not identified: leave out what the others say already",
                )
            )


def check_repeats(
    bars: Sequence[tuple[str, str, str, Sequence[Column]]],
    groups: Mapping[str, Levels],
    seen: NDArray[np.bool_] | None,
    faults: Collector,
) -> None:
    """No effect varies twice by the same groups: of the two variances only the sum would be known.

    Parameters
    ----------
    bars : grouping factor, predictor, text and columns of each random term.
    """
    for i, (group, part, text, own) in enumerate(bars):
        for other, their, told, columns in bars[:i]:
            if part != their or not _same_groups(group, other, groups, seen):
                continue
            twice = [n for n, x in own for m, y in columns if x is y or (n == m and np.array_equal(x, y))]  # type: ignore[arg-type]
            if twice:
                alike = "" if group == other else f" ('{group}' and '{other}' group the rows alike)"
                faults.add(
                    ModelError(
                        f"{' and '.join(twice)} var{'ies' if len(twice) == 1 else 'y'} twice by the same "
                        f"groups, in ({told}) and ({text}){alike}",
                        node=group,
                        hint="only the sum of the two variances is identified: leave one out",
                    )
                )


def _same_groups(one: str, two: str, groups: Mapping[str, Levels], seen: NDArray[np.bool_] | None) -> bool:
    """Whether two grouping factors part the rows in the same way."""
    if one == two:
        return True
    if one not in groups or two not in groups:
        return False
    a, b = groups[one], groups[two]
    if seen is None and len(a.labels) != len(b.labels):
        return False
    left, right = (a.codes, b.codes) if seen is None else (a.codes[seen], b.codes[seen])
    partner = np.full(len(a.labels), -1, dtype=np.int64)
    partner[left] = right
    if (partner[left] != right).any():
        return False
    used = partner[partner >= 0]
    return count_distinct(used) == used.size
