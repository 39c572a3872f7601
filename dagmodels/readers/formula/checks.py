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
